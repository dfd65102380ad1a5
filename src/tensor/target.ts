import type { TensorSpec } from './tensor.ts'

/** What a model takes and gives, for the checks and their texts. */
export interface InferTarget {
  readonly model: string
  readonly inputs: readonly TensorSpec[]
  readonly outputs: readonly TensorSpec[]
  /** False where no dimension counts rows; by default the first does where it is of any size. */
  readonly hasRows?: boolean | undefined
}

/** A name from the request, as messages show it: no longer than a model's name may be. */
export function quote(name: string): string {
  return `'${name.length > 100 ? `${name.slice(0, 100)}…` : name}'`
}
