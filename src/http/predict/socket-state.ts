import { VestalError } from '../../core/errors.ts'
import type { CarriedState } from '../../inference/carried-state.ts'
import { DATATYPES } from '../../tensor/datatypes.ts'
import { describeShape, elementCount, matchesShape } from '../../tensor/shape.ts'
import type { NamedTensors, Tensor, TensorData, TensorSpec } from '../../tensor/tensor.ts'
import type { Target } from './codec.ts'

/** What a model with a carried state is asked, for one message of a socket. */
export interface CarriedMessage {
  /** The version without what is carried: what the client sends and gets. */
  readonly target: Target
  /** The inputs of the model: those of the message, and what is carried. @throws VestalError INPUT_INVALID */
  feed(tensors: NamedTensors): NamedTensors
  /** The outputs to compute, for those that the client asks for. */
  outputs(asked: readonly string[] | undefined): readonly string[] | undefined
  /** Carries on what was computed, and gives what the client gets. @throws VestalError INFERENCE_FAILED, MEMORY_LIMIT, SUBJECT_MEMORY_LIMIT */
  keep(results: NamedTensors): NamedTensors
}

/** Bytes that one socket carries at most, with what a message is joined to. */
const BYTES_MAX = 256 * 1024 * 1024

/** What the models of one socket carry from a message to the next. It is the socket's own, and begins with zeros. */
export class SocketState {
  readonly #hold: (bytes: number) => void
  #version = ''
  #carried: ReadonlyMap<string, Tensor> = new Map()
  #bytes = 0

  /** @param hold charges bytes more to the socket, or fewer where they are less than nothing */
  constructor(hold: (bytes: number) => void) {
    this.#hold = hold
  }

  /** How a message is computed; undefined for a model that carries nothing. */
  of(found: Target): CarriedMessage | undefined {
    const { version } = found
    const { carried: rules } = version
    if (rules === undefined) return undefined
    // Another version is another model: what the one before it said means nothing to it.
    if (this.#version !== version.version) this.#carried = new Map()
    this.#version = version.version
    let next = new Map<string, Tensor>()
    return {
      target: { ...found, version: { ...version, ...visible(version, rules) } },
      feed: (tensors) => {
        const rows = rowsOf(version.inputs, tensors)
        this.#charge(bytesToFeed(version.inputs, rules, { tensors, rows }))
        const fed = new Map(tensors)
        next = new Map()
        for (const { input, values } of rules.contexts) {
          // The cast: the message was checked to have it.
          const own = tensors.get(input) as Tensor
          const shape = [...own.shape.slice(0, -1), values]
          const joined = joinLast(this.#of(input, own, shape), own)
          fed.set(input, joined)
          next.set(input, lastOf(joined, values))
        }
        for (const { input } of rules.outputs) fed.set(input, this.#state(specOf(version.inputs, input), rows))
        return fed
      },
      outputs: (asked) => asked && [...asked, ...rules.outputs.map(({ output }) => output)],
      keep: (results) => {
        const shown = new Map(results)
        for (const { output, input } of rules.outputs) {
          next.set(input, stateIn(results.get(output), { output, spec: specOf(version.inputs, input) }))
          shown.delete(output)
        }
        const bytes = [...next.values()].reduce((sum, { data }) => sum + (data as Uint8Array).byteLength, 0)
        this.#charge(bytes)
        this.#carried = next
        return shown
      },
    }
  }

  /** Holds what is needed before it is made. @throws VestalError INPUT_INVALID, MEMORY_LIMIT, SUBJECT_MEMORY_LIMIT */
  #charge(bytes: number): void {
    if (bytes > BYTES_MAX)
      throw new VestalError('INPUT_INVALID', {
        detail: `The state of so many rows has ${bytes} bytes; a socket carries at most ${BYTES_MAX}: send fewer rows in a message`,
      })
    this.#hold(bytes - this.#bytes)
    this.#bytes = bytes
  }

  #state({ name, datatype, shape }: TensorSpec, rows: number): Tensor {
    const whole = shape.map((size) => (size === -1 ? rows : size))
    const kept = this.#carried.get(name)
    if (kept === undefined) return zeros(datatype, whole)
    const isSame = kept.shape.length === whole.length && kept.shape.every((size, index) => shape[index] !== -1 || size === rows)
    if (isSame) return kept
    throw otherRows(name, kept)
  }

  #of(name: string, { datatype }: Tensor, shape: readonly number[]): Tensor {
    const kept = this.#carried.get(name)
    if (kept === undefined) return zeros(datatype, shape)
    if (kept.shape.join() === shape.join()) return kept
    throw otherRows(name, kept)
  }
}

/** Bytes that are made for a message, however few it has itself: rows of no values have a state too. */
function bytesToFeed(
  specs: readonly TensorSpec[],
  { outputs, contexts }: CarriedState,
  { tensors, rows }: { readonly tensors: NamedTensors; readonly rows: number },
): number {
  const states = outputs.map(({ input }) => {
    const { datatype, shape } = specOf(specs, input)
    return bytesOf(
      datatype,
      shape.map((size) => (size === -1 ? rows : size)),
    )
  })
  const joined = contexts.map(({ input, values }) => {
    // The cast: the message was checked to have it.
    const { datatype, shape } = tensors.get(input) as Tensor
    return bytesOf(datatype, [...shape.slice(0, -1), (shape.at(-1) ?? 0) + 3 * values])
  })
  return [...states, ...joined].reduce((sum, bytes) => sum + bytes, 0)
}

function bytesOf(datatype: Tensor['datatype'], shape: readonly number[]): number {
  const facts = DATATYPES[datatype]
  return shape.reduce((product, size) => product * size, 'array' in facts ? facts.array.BYTES_PER_ELEMENT : 1)
}

function otherRows(name: string, { shape }: Tensor): VestalError {
  return new VestalError('INPUT_INVALID', {
    detail: `The socket carries "${name}" of ${describeShape(shape)} from the message before: send as many rows in each, or open another socket`,
  })
}

/** The inputs and outputs that are the client's. */
function visible({ inputs, outputs }: Target['version'], { outputs: fed, contexts }: CarriedState) {
  return {
    inputs: inputs
      .filter(({ name }) => !fed.some(({ input }) => input === name))
      .map((spec) => {
        const values = contexts.find(({ input }) => input === spec.name)?.values
        const last = spec.shape.at(-1) ?? -1
        return values === undefined || last === -1 ? spec : { ...spec, shape: [...spec.shape.slice(0, -1), last - values] }
      }),
    outputs: outputs.filter(({ name }) => !fed.some(({ output }) => output === name)),
  }
}

function specOf(specs: readonly TensorSpec[], name: string): TensorSpec {
  // The cast: a version whose state names something else is not served.
  return specs.find((spec) => spec.name === name) as TensorSpec
}

/** Rows of a message: what dimensions of any size of a state are. */
function rowsOf(specs: readonly TensorSpec[], tensors: NamedTensors): number {
  const first = specs.find(({ name, shape }) => shape[0] === -1 && tensors.has(name))
  return (first && tensors.get(first.name)?.shape[0]) ?? 1
}

function zeros(datatype: Tensor['datatype'], shape: readonly number[]): Tensor {
  const facts = DATATYPES[datatype]
  const count = elementCount(shape)
  if (facts.kind === 'text') throw new Error('a state is of numbers')
  return { datatype, shape, data: facts.kind === 'boolean' ? new Uint8Array(count) : new facts.array(count) }
}

/** Both along the last dimension. */
function joinLast(before: Tensor, after: Tensor): Tensor {
  const [first, last] = [before.shape.at(-1) ?? 0, after.shape.at(-1) ?? 0]
  const joined = zeros(after.datatype, [...after.shape.slice(0, -1), first + last])
  const rows = last === 0 ? 0 : after.data.length / last
  const data = joined.data as Uint8Array
  for (let row = 0; row < rows; row += 1) {
    data.set(part(before.data, row * first, first), row * (first + last))
    data.set(part(after.data, row * last, last), row * (first + last) + first)
  }
  return joined
}

/** The last values along the last dimension, as memory of its own. */
function lastOf({ datatype, shape, data }: Tensor, values: number): Tensor {
  const length = shape.at(-1) ?? 0
  const last = zeros(datatype, [...shape.slice(0, -1), values])
  const rows = last.data.length / values
  for (let row = 0; row < rows; row += 1)
    (last.data as Uint8Array).set(part(data, (row + 1) * length - values, values), row * values)
  return last
}

function part(data: TensorData, begin: number, count: number): Uint8Array {
  // The cast: numbers are in an array of their own, which `set` takes as it is.
  return (data as Uint8Array).subarray(begin, begin + count)
}

/** An output as the next message's input: a copy, since its memory is shared with the other outputs. */
function stateIn(tensor: Tensor | undefined, { output, spec }: { readonly output: string; readonly spec: TensorSpec }): Tensor {
  if (tensor !== undefined && tensor.datatype === spec.datatype && matchesShape(spec.shape, tensor.shape))
    return { ...tensor, data: (tensor.data as Uint8Array).slice() }
  const given = tensor === undefined ? 'missing' : `${tensor.datatype} ${describeShape(tensor.shape)}`
  throw new VestalError('INFERENCE_FAILED', {
    detail: `The output "${output}" of the model is ${given}, but the input "${spec.name}" takes ${spec.datatype} ${describeShape(spec.shape)}`,
  })
}
