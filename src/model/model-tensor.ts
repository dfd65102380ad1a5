import { DATATYPES, type Datatype } from '../tensor/datatypes.ts'
import { decodeRows } from '../tensor/rows.ts'
import { describeShape, elementCount, matchesShape } from '../tensor/shape.ts'
import type { NamedTensors, Tensor, TensorData, TensorSpec } from '../tensor/tensor.ts'

/** Numbers of a tensor or of a row of it. */
export type Numbers = Exclude<TensorData, readonly string[]>

/** Values in lists: `[[1, 2], [3, 4]]`. */
export type Nested = number | bigint | string | boolean | null | readonly Nested[]

/** What an input of a file can be given as: lists, numbers whose shape the model's own decides, or data with its shape. */
export type TensorLike =
  | Nested
  | Numbers
  | Pick<Tensor, 'shape' | 'data'>
  | { readonly shape: readonly number[]; readonly data: readonly number[] }

/** A tensor of a model, in row-major order. */
export class ModelTensor implements Tensor {
  readonly datatype: Datatype
  readonly shape: readonly number[]
  readonly data: TensorData

  constructor({ datatype, shape, data }: Tensor) {
    this.datatype = datatype
    this.shape = shape
    this.data = data
  }

  /** Rows: the first dimension; 1 of a scalar. */
  get rows(): number {
    return this.shape[0] ?? 1
  }

  /**
   * The numbers of one row, flat: of a tensor [2, 3], three.
   * @throws RangeError where there is no such row, TypeError where the elements are texts
   */
  row(index: number): Float32Array {
    const { data, rows } = this
    if (!ArrayBuffer.isView(data)) throw new TypeError('row() is for numbers; the elements of BYTES are in data')
    if (!Number.isInteger(index) || index < 0 || index >= rows)
      throw new RangeError(`there is no row ${index}: the shape is ${describeShape(this.shape)}`)
    const size = data.length / rows
    // The cast: what reads numbers of one kind of array reads those of the others; 64-bit integers are bigint, as their datatype says.
    return data.subarray(index * size, (index + 1) * size) as Float32Array
  }

  /** The tensor as lists; 64-bit integers become numbers. */
  toJSON(): unknown {
    return nested(this.shape, Array.isArray(this.data) ? this.data : Array.from(this.data as Float32Array, Number), 0)
  }
}

function nested(shape: readonly number[], data: readonly unknown[], begin: number): unknown {
  const [length, ...inner] = shape
  if (length === undefined) return data[begin]
  const size = elementCount(inner)
  return Array.from({ length }, (_, index) => nested(inner, data, begin + index * size))
}

/**
 * The inputs of a file as tensors.
 * @throws Error naming the input and the rule
 */
export function tensorsOf(values: Readonly<Record<string, TensorLike>>, specs: readonly TensorSpec[]): NamedTensors {
  const names = specs.map(({ name }) => `'${name}'`).join(', ')
  const other = Object.keys(values).find((name) => !specs.some((spec) => spec.name === name))
  if (other !== undefined) throw new Error(`the file has no input '${other}'; it has ${names}`)
  return new Map(
    specs.map((spec) => {
      const value = Object.hasOwn(values, spec.name) ? values[spec.name] : undefined
      if (value === undefined) throw new Error(`the input '${spec.name}' is missing; the file has ${names}`)
      return [spec.name, tensorOf(value, spec)]
    }),
  )
}

function tensorOf(value: TensorLike, spec: TensorSpec): Tensor {
  if (ArrayBuffer.isView(value))
    return { datatype: spec.datatype, shape: shapeFor(value.length, spec), data: dataFor(value, spec) }
  if (typeof value === 'object' && value !== null && 'shape' in value && 'data' in value) {
    const { shape, data } = value
    if (elementCount(shape) !== data.length)
      throw new Error(`the input '${spec.name}' has ${data.length} elements, and its shape ${describeShape(shape)}`)
    return { datatype: spec.datatype, shape, data: dataFor(data, spec) }
  }
  const found = decodeRows({ [spec.name]: value }, [spec]).get(spec.name)
  if (found === undefined) throw new Error(`the input '${spec.name}' is missing`)
  return found
}

function shapeFor(length: number, { name, shape }: TensorSpec): readonly number[] {
  const known = shape.filter((size) => size !== -1)
  const rest = elementCount(known)
  const open = shape.length - known.length
  const sized = shape.map((size) => (size === -1 ? length / rest : size))
  if (open <= 1 && matchesShape(shape, sized) && elementCount(sized) === length && sized.every(Number.isInteger)) return sized
  throw new Error(`${length} numbers do not fill the input '${name}' of shape ${describeShape(shape)}; give { shape, data }`)
}

/** Data in the array that the datatype has. */
function dataFor(data: TensorData | readonly number[], { name, datatype }: TensorSpec): TensorData {
  const facts = DATATYPES[datatype]
  const isText = !ArrayBuffer.isView(data) && data.every((each) => typeof each === 'string')
  if (facts.kind === 'text') {
    if (isText) return data as readonly string[]
    throw new Error(`the input '${name}' is BYTES: its elements must be texts`)
  }
  if (isText && data.length > 0) throw new Error(`the input '${name}' is ${datatype}: its elements must be numbers`)
  const Kind = facts.kind === 'boolean' ? Uint8Array : facts.array
  if (data instanceof Kind) return data
  const made = new Kind(data.length)
  // The casts: an array of bigint takes one, all others a number.
  for (const [index, value] of (data as readonly (number | bigint)[]).entries())
    made[index] = (facts.kind === 'big-integer' ? BigInt(value) : Number(value)) as never
  return made
}
