import { VestalError } from '../core/errors.ts'
import { DATATYPES } from '../tensor/datatypes.ts'
import { describeShape, elementCount, matchesShape } from '../tensor/shape.ts'
import type { NamedTensors, Tensor, TensorData, TensorSpec } from '../tensor/tensor.ts'

/** What one request wants of a model. */
export interface RunInput {
  readonly inputs: NamedTensors
  /** Names of the outputs to compute; all of them when absent. */
  readonly outputs?: readonly string[] | undefined
  /** For the log, where a worker ends in its run. */
  readonly requestId?: string | undefined
  /** Who asks. */
  readonly subject?: string | undefined
}

/**
 * Checks that tensors match a model's inputs, wherever they come from: what does not match must not reach native code or a batch.
 * @throws VestalError INPUT_INVALID naming the input and the rule
 */
export function checkInputs(specs: readonly TensorSpec[], inputs: NamedTensors): void {
  for (const { name, datatype, shape } of specs) {
    const tensor = inputs.get(name)
    if (tensor === undefined) throw invalid(`the input '${name}' is missing`)
    if (tensor.datatype !== datatype) throw invalid(`the input '${name}' is ${tensor.datatype}, but the model takes ${datatype}`)
    if (!matchesShape(shape, tensor.shape)) {
      throw invalid(
        `the input '${name}' has the shape ${describeShape(tensor.shape)}, but the model takes ${describeShape(shape)}`,
      )
    }
    const count = elementCount(tensor.shape)
    if (tensor.data.length !== count)
      throw invalid(`the input '${name}' has ${tensor.data.length} elements, and its shape ${count}`)
  }
  if (inputs.size !== specs.length) throw superfluous(specs, inputs)
}

function superfluous(specs: readonly TensorSpec[], inputs: NamedTensors): VestalError {
  const other = [...inputs.keys()].find((name) => !specs.some((spec) => spec.name === name))
  return invalid(`the model has no input '${String(other).slice(0, 64)}'`)
}

function invalid(detail: string): VestalError {
  return new VestalError('INPUT_INVALID', { detail })
}

/** True for a model whose inputs and outputs all begin with a dimension of any size, as one that takes rows does. */
export function isInRows(specs: readonly TensorSpec[]): boolean {
  return specs.length > 0 && specs.every(({ shape }) => shape[0] === -1)
}

/** The rows that all inputs agree on; undefined where they do not, or there are none. */
export function rowsOf(inputs: NamedTensors): number | undefined {
  let rows: number | undefined
  for (const { shape } of inputs.values()) {
    if (shape[0] === undefined || (rows !== undefined && rows !== shape[0])) return undefined
    rows = shape[0]
  }
  return rows
}

/**
 * Gives what names the requests that may share a run: those with the same shapes behind the rows and the same outputs. The
 * datatypes are the model's own.
 */
export function createBucketOf(specs: readonly TensorSpec[]): (input: RunInput) => string {
  const isFixed = specs.every(({ shape }) => !shape.includes(-1, 1))
  return ({ inputs, outputs }) => {
    const tails = isFixed ? '' : specs.map(({ name }) => inputs.get(name)?.shape.slice(1).join(',')).join(';')
    return outputs === undefined ? tails : `${tails}|${JSON.stringify(outputs)}`
  }
}

/** Puts the rows of several requests into one tensor for each input, in the order of the model's inputs; one request stays as it is. */
export function joinInputs(specs: readonly TensorSpec[], requests: readonly NamedTensors[]): readonly Tensor[] {
  return specs.map(({ name }) => {
    // The cast: the inputs were checked when the request came.
    const tensors = requests.map((inputs) => inputs.get(name) as Tensor)
    return joinRows(tensors as [Tensor])
  })
}

/** One tensor with the rows of all, whose datatypes and shapes behind the rows are the same. */
export function joinRows(tensors: readonly [Tensor, ...Tensor[]]): Tensor {
  const [first] = tensors
  if (tensors.length === 1) return first
  const rows = tensors.reduce((sum, { shape }) => sum + (shape[0] ?? 0), 0)
  return { datatype: first.datatype, shape: [rows, ...first.shape.slice(1)], data: joinData(tensors) }
}

function joinData(tensors: readonly Tensor[]): TensorData {
  const [{ datatype }] = tensors as [Tensor]
  const facts = DATATYPES[datatype]
  if (facts.kind === 'text') return tensors.flatMap(({ data }) => data as readonly string[])
  const length = tensors.reduce((sum, { data }) => sum + data.length, 0)
  const joined = facts.kind === 'boolean' ? new Uint8Array(length) : new facts.array(length)
  let offset = 0
  for (const { data } of tensors) {
    // The cast: all of them are of the one kind that the datatype has.
    joined.set(data as never, offset)
    offset += data.length
  }
  return joined
}

/**
 * Gives each request the rows of the outputs that are its own, as views of what was computed; undefined where an output has not one
 * row for each of the inputs'.
 */
export function splitOutputs(outputs: NamedTensors, rows: readonly number[]): readonly NamedTensors[] | undefined {
  if (rows.length === 1) return [outputs]
  const total = rows.reduce((sum, each) => sum + each, 0)
  for (const { shape } of outputs.values()) if (shape[0] !== total) return undefined
  const parts = rows.map(() => new Map<string, Tensor>())
  for (const [name, { datatype, shape, data }] of outputs) {
    const size = data.length / total
    const isView = ArrayBuffer.isView(data)
    let begin = 0
    let partShape = [0, ...shape.slice(1)]
    for (let index = 0; index < rows.length; index += 1) {
      const each = rows[index] ?? 0
      const end = begin + each * size
      // Most requests have one row, and what is read only can be shared.
      if (partShape[0] !== each) partShape = [each, ...shape.slice(1)]
      parts[index]?.set(name, { datatype, shape: partShape, data: isView ? data.subarray(begin, end) : data.slice(begin, end) })
      begin = end
    }
  }
  return parts
}

/** About how many bytes a request holds while it waits. */
export function bytesOf(inputs: NamedTensors): number {
  return bytesOfTensors(inputs.values())
}

/** About how many bytes tensors take. */
export function bytesOfTensors(tensors: Iterable<Tensor>): number {
  let bytes = 0
  for (const { data } of tensors) {
    if (ArrayBuffer.isView(data)) bytes += data.byteLength
    else for (const text of data) bytes += 16 + text.length * 2
  }
  return bytes
}
