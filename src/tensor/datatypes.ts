/** The datatypes of the Open Inference Protocol that ONNX Runtime can hold. */
export type Datatype =
  | 'BOOL'
  | 'UINT8'
  | 'UINT16'
  | 'UINT32'
  | 'UINT64'
  | 'INT8'
  | 'INT16'
  | 'INT32'
  | 'INT64'
  | 'FP16'
  | 'FP32'
  | 'FP64'
  | 'BYTES'

type NumberArray =
  | Int8Array
  | Int16Array
  | Int32Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | Float16Array
  | Float32Array
  | Float64Array

/** A class of typed arrays: new memory, or a view of memory that is there. */
interface ArrayOf<T> {
  readonly BYTES_PER_ELEMENT: number
  new (length: number): T
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): T
}

interface BooleanFacts {
  readonly kind: 'boolean'
}
interface TextFacts {
  readonly kind: 'text'
}
interface IntegerFacts {
  readonly kind: 'integer'
  readonly min: number
  readonly max: number
  readonly array: ArrayOf<NumberArray>
}
interface BigIntegerFacts {
  readonly kind: 'big-integer'
  readonly min: bigint
  readonly max: bigint
  readonly array: ArrayOf<BigInt64Array | BigUint64Array>
}
interface FloatFacts {
  readonly kind: 'float'
  /** The largest finite value; what is larger becomes infinite when it is stored. */
  readonly max: number
  readonly array: ArrayOf<NumberArray>
}

export type DatatypeFacts = { readonly onnx: string } & (BooleanFacts | TextFacts | IntegerFacts | BigIntegerFacts | FloatFacts)

/** What each datatype can hold, and what onnxruntime-node calls it. */
export const DATATYPES: Readonly<Record<Datatype, DatatypeFacts>> = {
  BOOL: { kind: 'boolean', onnx: 'bool' },
  UINT8: { kind: 'integer', onnx: 'uint8', min: 0, max: 255, array: Uint8Array },
  UINT16: { kind: 'integer', onnx: 'uint16', min: 0, max: 65_535, array: Uint16Array },
  UINT32: { kind: 'integer', onnx: 'uint32', min: 0, max: 4_294_967_295, array: Uint32Array },
  UINT64: { kind: 'big-integer', onnx: 'uint64', min: 0n, max: 2n ** 64n - 1n, array: BigUint64Array },
  INT8: { kind: 'integer', onnx: 'int8', min: -128, max: 127, array: Int8Array },
  INT16: { kind: 'integer', onnx: 'int16', min: -32_768, max: 32_767, array: Int16Array },
  INT32: { kind: 'integer', onnx: 'int32', min: -2_147_483_648, max: 2_147_483_647, array: Int32Array },
  INT64: {
    kind: 'big-integer',
    onnx: 'int64',
    min: -(2n ** 63n),
    max: 2n ** 63n - 1n,
    array: BigInt64Array,
  },
  FP16: { kind: 'float', onnx: 'float16', max: 65_504, array: Float16Array },
  FP32: { kind: 'float', onnx: 'float32', max: 3.4028234663852886e38, array: Float32Array },
  FP64: { kind: 'float', onnx: 'float64', max: Number.MAX_VALUE, array: Float64Array },
  BYTES: { kind: 'text', onnx: 'string' },
}

/** Bytes of an element in binary tensor data; undefined for BYTES, whose elements have lengths of their own. */
export function elementBytes(datatype: Datatype): number | undefined {
  const facts = DATATYPES[datatype]
  if (facts.kind === 'text') return undefined
  return facts.kind === 'boolean' ? 1 : facts.array.BYTES_PER_ELEMENT
}

/** True for the names of `DATATYPES`, to the letter. */
export function isDatatype(name: unknown): name is Datatype {
  return typeof name === 'string' && Object.hasOwn(DATATYPES, name)
}

/** The datatype of onnxruntime-node's name for it; undefined for what the protocol has no name for. */
export function datatypeOfOnnx(onnx: string): Datatype | undefined {
  return (Object.keys(DATATYPES) as Datatype[]).find((name) => DATATYPES[name].onnx === onnx)
}

/** True when a tensor among these holds integers that a JavaScript number would round. */
export function hasLongIntegers(specs: readonly { readonly datatype: Datatype }[]): boolean {
  for (const { datatype } of specs) if (DATATYPES[datatype].kind === 'big-integer') return true
  return false
}

/**
 * What the long lists of numbers in a request's JSON are read as (`JsonOptions.lists`): floats where all inputs of numbers are FP32, doubles
 * elsewhere. Undefined where no input is of numbers.
 */
export function listKindOf(specs: readonly { readonly datatype: Datatype }[]): 'FP32' | 'FP64' | undefined {
  const numbers = specs.filter(({ datatype }) => datatype !== 'BYTES' && datatype !== 'BOOL')
  if (numbers.length === 0) return undefined
  return numbers.every(({ datatype }) => datatype === 'FP32') ? 'FP32' : 'FP64'
}
