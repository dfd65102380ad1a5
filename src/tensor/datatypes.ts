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
  readonly create: (length: number) => NumberArray
}
interface BigIntegerFacts {
  readonly kind: 'big-integer'
  readonly min: bigint
  readonly max: bigint
  readonly create: (length: number) => BigInt64Array | BigUint64Array
}
interface FloatFacts {
  readonly kind: 'float'
  /** The largest finite value; what is larger becomes infinite when it is stored. */
  readonly max: number
  readonly create: (length: number) => NumberArray
}

export type DatatypeFacts = { readonly onnx: string } & (BooleanFacts | TextFacts | IntegerFacts | BigIntegerFacts | FloatFacts)

/** What each datatype can hold, and what onnxruntime-node calls it. */
export const DATATYPES: Readonly<Record<Datatype, DatatypeFacts>> = {
  BOOL: { kind: 'boolean', onnx: 'bool' },
  UINT8: { kind: 'integer', onnx: 'uint8', min: 0, max: 255, create: (length) => new Uint8Array(length) },
  UINT16: { kind: 'integer', onnx: 'uint16', min: 0, max: 65_535, create: (length) => new Uint16Array(length) },
  UINT32: { kind: 'integer', onnx: 'uint32', min: 0, max: 4_294_967_295, create: (length) => new Uint32Array(length) },
  UINT64: { kind: 'big-integer', onnx: 'uint64', min: 0n, max: 2n ** 64n - 1n, create: (length) => new BigUint64Array(length) },
  INT8: { kind: 'integer', onnx: 'int8', min: -128, max: 127, create: (length) => new Int8Array(length) },
  INT16: { kind: 'integer', onnx: 'int16', min: -32_768, max: 32_767, create: (length) => new Int16Array(length) },
  INT32: { kind: 'integer', onnx: 'int32', min: -2_147_483_648, max: 2_147_483_647, create: (length) => new Int32Array(length) },
  INT64: {
    kind: 'big-integer',
    onnx: 'int64',
    min: -(2n ** 63n),
    max: 2n ** 63n - 1n,
    create: (length) => new BigInt64Array(length),
  },
  FP16: { kind: 'float', onnx: 'float16', max: 65_504, create: (length) => new Float16Array(length) },
  FP32: { kind: 'float', onnx: 'float32', max: 3.4028234663852886e38, create: (length) => new Float32Array(length) },
  FP64: { kind: 'float', onnx: 'float64', max: Number.MAX_VALUE, create: (length) => new Float64Array(length) },
  BYTES: { kind: 'text', onnx: 'string' },
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
  return specs.some(({ datatype }) => DATATYPES[datatype].kind === 'big-integer')
}
