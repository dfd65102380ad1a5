import { type Static, Type } from '@sinclair/typebox'
import { table, whole } from '../../schema/toml-file.ts'
import type { Datatype } from '../../tensor/datatypes.ts'

/** A run that a new version must pass before it serves, in the Flama form. */
export interface WarmupRows {
  readonly kind: 'rows'
  /** Rows, or columns by input name. */
  readonly input: unknown
  /** What it must answer, in the form of the answer; only that it answers counts when absent. */
  readonly output?: unknown
  /** How far a number of the answer may be from the recorded one: absolute, or relative to it where that is more. */
  readonly tolerance: number
  /** How often it is run. */
  readonly count: number
}

/** A run that a new version must pass before it serves, as Triton's configuration describes it. */
export interface WarmupTensors {
  readonly kind: 'tensors'
  readonly name: string
  /** Rows of the inputs; 0 where their dimensions are whole. */
  readonly rows: number
  readonly count: number
  readonly inputs: readonly WarmupInput[]
}

export interface WarmupInput {
  readonly name: string
  readonly datatype: Datatype
  readonly dims: readonly number[]
  /** Zeros and empty texts, random numbers, or the binary tensor data of a file in the folder `warmup`. */
  readonly data: 'zero' | 'random' | { readonly file: string }
}

export type Warmup = WarmupRows | WarmupTensors

const WARMUPS_MAX = 64
const COUNT_MAX = 1000
const TOLERANCE = 1e-4

/** `[[warmup]]` of model.toml. */
export const Warmups = Type.Array(
  table({
    input: Type.Unknown(),
    output: Type.Optional(Type.Unknown()),
    tolerance: Type.Optional(Type.Number({ minimum: 0, maximum: Number.MAX_VALUE })),
    count: Type.Optional(whole([1, COUNT_MAX])),
  }),
  { maxItems: WARMUPS_MAX, rule: `must be a list of at most ${WARMUPS_MAX} tables` },
)

/** The runs of `[[warmup]]`. */
export function readWarmups(warmups: Static<typeof Warmups> = []): readonly Warmup[] {
  return warmups.map(({ input, output, tolerance = TOLERANCE, count = 1 }) => {
    return { kind: 'rows', input, tolerance, count, ...(output !== undefined && { output }) }
  })
}
