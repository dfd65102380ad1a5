import { DATATYPES } from '../tensor/datatypes.ts'
import { describeShape, isAnyShape } from '../tensor/shape.ts'
import type { TensorSpec } from '../tensor/tensor.ts'

/** What a model carries from one message of a socket to the next: plain data, which goes between processes. */
export interface CarriedState {
  /** Outputs that are inputs of the next message; zeros for the first. */
  readonly outputs: readonly { readonly output: string; readonly input: string }[]
  /** Inputs whose last values along the last dimension stand before those of the next message; zeros for the first. */
  readonly contexts: readonly { readonly input: string; readonly values: number }[]
}

interface Specs {
  readonly inputs: readonly TensorSpec[]
  readonly outputs: readonly TensorSpec[]
}

/**
 * What a version carries, as its model's file says, checked against the model.
 * @throws Error naming the key and the rule
 */
export function carriedBy(carried: CarriedState | undefined, specs: Specs): { readonly carried?: CarriedState } {
  if (carried === undefined) return {}
  check(carried, specs)
  return { carried }
}

function check({ outputs, contexts }: CarriedState, specs: Specs): void {
  const fault = (key: string, rule: string) => new Error(`model.toml: "${key}" ${rule}`)
  const fed = new Set<string>()
  for (const { output, input } of outputs) {
    const [from, to] = [specOf(specs.outputs, output), specOf(specs.inputs, input)]
    if (from === undefined) throw fault(`state.${output}`, `must be an output of the model, which has ${namesOf(specs.outputs)}`)
    if (to === undefined) throw fault(`state.${output}`, `must name an input of the model, which has ${namesOf(specs.inputs)}`)
    if (fed.has(input)) throw fault(`state.${output}`, `names the input "${input}", which another output is already`)
    fed.add(input)
    if (!mayFeed(from, to))
      throw fault(
        `state.${output}`,
        `is ${from.datatype} ${describeShape(from.shape)}, but the input "${input}" takes ${to.datatype} ${describeShape(to.shape)}`,
      )
  }
  for (const { input, values } of contexts) {
    const spec = specOf(specs.inputs, input)
    if (spec === undefined) throw fault(`context.${input}`, `must be an input of the model, which has ${namesOf(specs.inputs)}`)
    if (fed.has(input)) throw fault(`context.${input}`, 'must not be an input of [state] too')
    const length = spec.shape.at(-1)
    if (length === undefined || isAnyShape(spec.shape) || !hasNumbers(spec))
      throw fault(`context.${input}`, 'must be an input of numbers with a dimension or more')
    if (length !== -1 && length <= values) throw fault(`context.${input}`, `must be less than ${length}, the length of the input`)
  }
}

function specOf(specs: readonly TensorSpec[], name: string): TensorSpec | undefined {
  return specs.find((spec) => spec.name === name)
}

function namesOf(specs: readonly TensorSpec[]): string {
  return specs.map(({ name }) => `"${name}"`).join(', ')
}

/** An output whose shape is not known in full may feed an input: what it gives is checked each time. */
function mayFeed(from: TensorSpec, to: TensorSpec): boolean {
  if (from.datatype !== to.datatype || !hasNumbers(to) || isAnyShape(to.shape)) return false
  if (isAnyShape(from.shape)) return true
  return (
    from.shape.length === to.shape.length &&
    from.shape.every((size, index) => size === -1 || to.shape[index] === -1 || size === to.shape[index])
  )
}

function hasNumbers({ datatype }: TensorSpec): boolean {
  return DATATYPES[datatype].kind !== 'text'
}
