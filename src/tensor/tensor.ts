import type { Datatype } from './datatypes.ts'

/** Element storage by datatype: numbers in typed arrays (BOOL as 0 or 1 in a Uint8Array), BYTES as strings. */
export type TensorData =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | BigUint64Array
  | BigInt64Array
  | Float16Array
  | Float32Array
  | Float64Array
  | readonly string[]

/** A tensor in row-major order; `data.length` is the product of `shape` (1 for a scalar, whose shape is `[]`). */
export interface Tensor {
  readonly datatype: Datatype
  readonly shape: readonly number[]
  readonly data: TensorData
}

/** What a model says of one of its inputs or outputs; a dimension of -1 may be of any size. */
export interface TensorSpec {
  readonly name: string
  readonly datatype: Datatype
  readonly shape: readonly number[]
}

/** Tensors by the name of the input or output. */
export type NamedTensors = ReadonlyMap<string, Tensor>

/** A copy of data in memory of its own. A `Buffer` is a `Uint8Array` too, and its `slice` shares memory, often that of a pool. */
export function copyData<T extends TensorData>(data: T): T {
  // The cast: a copy has the type of what it is a copy of, but for a Buffer, whose copy is the plain array that it stands for.
  return (data instanceof Uint8Array ? new Uint8Array(data) : data.slice()) as T
}
