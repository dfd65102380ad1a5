/** ONNX models written in code, byte by byte, so that a test needs no Python. Field numbers are those of onnx.proto3. */

const ELEMENT_TYPES = {
  FP32: 1,
  UINT8: 2,
  INT8: 3,
  UINT16: 4,
  INT16: 5,
  INT32: 6,
  INT64: 7,
  BYTES: 8,
  BOOL: 9,
  FP16: 10,
  FP64: 11,
  UINT32: 12,
  UINT64: 13,
  BF16: 16,
} as const

type ElementType = keyof typeof ELEMENT_TYPES

export interface Value {
  readonly name: string
  readonly datatype: ElementType
  /** A text is a symbolic dimension, of any size; without a shape nothing is said of it, not even how many dimensions it has. */
  readonly shape?: readonly (number | string)[]
}

export interface Node {
  readonly operator: string
  /** None where it is absent. */
  readonly name?: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  /** The attribute of that name. */
  readonly axis?: number
  /** The order of axes that Transpose gives. */
  readonly perm?: readonly number[]
}

export interface Constant {
  readonly name: string
  readonly shape: readonly number[]
  readonly values: Float32Array | BigInt64Array
  /** File beside the model that has the values in place of the model itself. */
  readonly location?: string
  /** What the model says of its place in that file; default the right ones. */
  readonly offset?: string
  readonly length?: string
}

export interface Graph {
  readonly nodes: readonly Node[]
  readonly inputs: readonly Value[]
  readonly outputs: readonly Value[]
  readonly constants?: readonly Constant[]
  /** Version of ONNX's operators; default 17. */
  readonly opset?: number
}

/** The bytes of a model with this graph. */
export function onnxModel({ nodes, inputs, outputs, constants = [], opset = 17 }: Graph): Uint8Array {
  const graph = [
    ...nodes.map((node) => message(1, nodeFields(node))),
    text(2, 'graph'),
    ...constants.map((constant) => message(5, constantFields(constant))),
    ...inputs.map((value) => message(11, valueFields(value))),
    ...outputs.map((value) => message(12, valueFields(value))),
  ]
  return Buffer.concat([integer(1, 8), message(7, graph), message(8, [text(1, ''), integer(2, opset)])])
}

/** A model that gives its input back: `x` → `y`. */
export function identityModel(datatype: ElementType, shape: readonly (number | string)[] = ['n']): Uint8Array {
  return onnxModel({
    nodes: [{ operator: 'Identity', inputs: ['x'], outputs: ['y'] }],
    inputs: [{ name: 'x', datatype, shape }],
    outputs: [{ name: 'y', datatype, shape }],
  })
}

/** Tokens that `attentionModel` knows, and numbers of each. */
export const ATTENTION_TOKENS = 24
const ATTENTION_WIDTH = 8

/**
 * A small layer of a transformer: `ids` and `mask` → `hidden` [n, s, 8] and `vector` [n, 8], the mean of the tokens. Without
 * `isMasked` its tokens look at the padding too.
 */
export function attentionModel({ isMasked = true } = {}): Uint8Array {
  const floats = (name: string, shape: readonly number[], at: (index: number) => number) => {
    const count = shape.reduce((product, size) => product * size, 1)
    return { name, shape, values: Float32Array.from({ length: count }, (_, index) => at(index)) }
  }
  const node = (operator: string, inputs: readonly string[], output: string, more: Pick<Node, 'axis' | 'perm'> = {}) => ({
    operator,
    inputs,
    outputs: [output],
    ...more,
  })
  return onnxModel({
    nodes: [
      node('Gather', ['table', 'ids'], 'tokens', { axis: 0 }),
      node('Transpose', ['tokens'], 'turned', { perm: [0, 2, 1] }),
      node('MatMul', ['tokens', 'turned'], 'likeness'),
      node('CastLike', ['mask', 'one'], 'present'),
      node('Sub', ['present', 'one'], 'absent'),
      node('Mul', ['absent', isMasked ? 'large' : 'nothing'], 'bias'),
      node('Unsqueeze', ['bias', 'first'], 'biases'),
      node('Add', ['likeness', 'biases'], 'scores'),
      node('Softmax', ['scores'], 'weights', { axis: 2 }),
      node('MatMul', ['weights', 'tokens'], 'looked'),
      node('Add', ['looked', 'tokens'], 'hidden'),
      node('Unsqueeze', ['present', 'second'], 'counted'),
      node('Mul', ['hidden', 'counted'], 'counting'),
      node('ReduceSum', ['counting', 'first'], 'total'),
      node('Squeeze', ['total', 'first'], 'sum'),
      node('ReduceSum', ['present', 'first'], 'count'),
      node('Div', ['sum', 'count'], 'vector'),
    ],
    inputs: [
      { name: 'ids', datatype: 'INT64', shape: ['n', 's'] },
      { name: 'mask', datatype: 'INT64', shape: ['n', 's'] },
    ],
    outputs: [
      { name: 'hidden', datatype: 'FP32', shape: ['n', 's', ATTENTION_WIDTH] },
      { name: 'vector', datatype: 'FP32', shape: ['n', ATTENTION_WIDTH] },
    ],
    constants: [
      floats('table', [ATTENTION_TOKENS, ATTENTION_WIDTH], (index) => Math.sin(index * 1.7 + 1)),
      floats('one', [], () => 1),
      floats('large', [], () => 1e9),
      floats('nothing', [], () => 0),
      { name: 'first', shape: [1], values: new BigInt64Array([1n]) },
      { name: 'second', shape: [1], values: new BigInt64Array([2n]) },
    ],
  })
}

/** A model that gives the negative of numbers in any shape: `x` → `y`. */
export function anyShapeModel(): Uint8Array {
  return onnxModel({
    nodes: [{ operator: 'Neg', inputs: ['x'], outputs: ['y'] }],
    inputs: [{ name: 'x', datatype: 'FP32' }],
    outputs: [{ name: 'y', datatype: 'FP32' }],
  })
}

/** A model that multiplies its square input with itself again and again, so that one run takes as long as a test needs. */
export function slowModel(times: number): Uint8Array {
  const nodes = Array.from({ length: times }, (_, index) => ({
    operator: 'MatMul',
    inputs: [index === 0 ? 'x' : `m${index}`, 'x'],
    outputs: [index === times - 1 ? 'y' : `m${index + 1}`],
  }))
  const shape = ['n', 'n']
  return onnxModel({ nodes, inputs: [{ name: 'x', datatype: 'FP32', shape }], outputs: [{ name: 'y', datatype: 'FP32', shape }] })
}

/** A model whose input fits its shape and still fails to run: it reshapes any number of elements to two rows of two. */
export function failingModel(): Uint8Array {
  return onnxModel({
    nodes: [{ operator: 'Reshape', inputs: ['x', 'shape'], outputs: ['y'] }],
    inputs: [{ name: 'x', datatype: 'FP32', shape: ['n'] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: [2, 2] }],
    constants: [{ name: 'shape', shape: [2], values: new BigInt64Array([2n, 2n]) }],
  })
}

/** A model with two outputs: `x` → `double` and `negative`. */
export function twoOutputModel(): Uint8Array {
  return onnxModel({
    nodes: [
      { operator: 'Add', inputs: ['x', 'x'], outputs: ['double'] },
      { operator: 'Neg', inputs: ['x'], outputs: ['negative'] },
    ],
    inputs: [{ name: 'x', datatype: 'FP32', shape: ['n', 2] }],
    outputs: [
      { name: 'double', datatype: 'FP32', shape: ['n', 2] },
      { name: 'negative', datatype: 'FP32', shape: ['n', 2] },
    ],
  })
}

/** A model that divides: `x` → `1/x`, so that 0 gives an infinity. */
export function reciprocalModel(): Uint8Array {
  return onnxModel({
    nodes: [{ operator: 'Reciprocal', inputs: ['x'], outputs: ['y'] }],
    inputs: [{ name: 'x', datatype: 'FP32', shape: ['n'] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: ['n'] }],
  })
}

function nodeFields({ operator, name, inputs, outputs, axis, perm }: Node): readonly Buffer[] {
  const own = name === undefined ? [] : [text(3, name)]
  const attributes = [
    ...(axis === undefined ? [] : [message(5, [text(1, 'axis'), integer(3, axis), integer(20, 2)])]),
    ...(perm === undefined ? [] : [message(5, [text(1, 'perm'), ...perm.map((each) => integer(8, each)), integer(20, 7)])]),
  ]
  return [
    ...inputs.map((each) => text(1, each)),
    ...outputs.map((each) => text(2, each)),
    ...own,
    text(4, operator),
    ...attributes,
  ]
}

/** A named value of a tensor's type. */
export function valueFields({ name, datatype, shape }: Value): readonly Buffer[] {
  const dimensions = shape?.map((dimension) =>
    message(1, [typeof dimension === 'number' ? integer(1, dimension) : text(2, dimension)]),
  )
  const said = dimensions === undefined ? [] : [message(2, dimensions)]
  return [text(1, name), message(2, [message(1, [integer(1, ELEMENT_TYPES[datatype]), ...said])])]
}

/** A named constant of the graph. */
export function constantFields({ name, shape, values, location, offset = '0', length }: Constant): readonly Buffer[] {
  const type = values instanceof Float32Array ? ELEMENT_TYPES.FP32 : ELEMENT_TYPES.INT64
  const raw = Buffer.from(values.buffer, values.byteOffset, values.byteLength)
  const entry = (key: string, value: string) => message(13, [text(1, key), text(2, value)])
  const content =
    location === undefined
      ? [bytes(9, raw)]
      : [entry('location', location), entry('offset', offset), entry('length', length ?? String(raw.length)), integer(14, 1)]
  return [...shape.map((dimension) => integer(1, dimension)), integer(2, type), text(8, name), ...content]
}

/** A field of protobuf. */
export function integer(field: number, value: number): Buffer {
  return Buffer.concat([varint(field * 8), varint(value)])
}

/** A field of protobuf. */
export function text(field: number, value: string): Buffer {
  return bytes(field, Buffer.from(value))
}

/** A field of protobuf. */
export function message(field: number, fields: readonly Buffer[]): Buffer {
  return bytes(field, Buffer.concat(fields))
}

function bytes(field: number, content: Buffer): Buffer {
  return Buffer.concat([varint(field * 8 + 2), varint(content.length), content])
}

function varint(value: number): Buffer {
  const out: number[] = []
  let rest = value
  while (rest > 127) {
    out.push((rest % 128) + 128)
    rest = Math.floor(rest / 128)
  }
  return Buffer.from([...out, rest])
}
