import { type Constant, constantFields, integer, message, onnxModel, text, type Value, valueFields } from './tiny-models.ts'

/**
 * A classifier's end as skl2onnx writes it: probabilities `x` FP32[n,3] → `y`, a sequence of maps from class to number, and `z`, the same
 * as they came. With a location, `z` is `x` times three weights that stand in that file.
 */
export function zipMapModel(labels: 'integers' | 'packed' | 'texts' = 'integers', location?: string): Uint8Array {
  const attribute = {
    integers: [text(1, 'classlabels_int64s'), integer(8, 0), integer(8, 1), integer(8, 2), integer(20, 7)],
    packed: [text(1, 'classlabels_int64s'), message(8, [Buffer.from([0, 1, 200, 1])]), integer(20, 7)],
    texts: [text(1, 'classlabels_strings'), text(9, 'a'), text(9, 'b'), text(9, 'c'), integer(20, 8)],
  }[labels]
  const node = message(1, [text(1, 'x'), text(2, 'y'), text(4, 'ZipMap'), message(5, attribute), text(7, 'ai.onnx.ml')])
  const isWeighed = location !== undefined
  const copy = message(1, [
    text(1, 'x'),
    ...(isWeighed ? [text(1, 'w')] : []),
    text(2, 'z'),
    text(4, isWeighed ? 'Mul' : 'Identity'),
  ])
  const weights = isWeighed ? [message(5, constantFields({ name: 'w', shape: [3], values: new Float32Array(3), location }))] : []
  const map = message(5, [integer(1, labels === 'texts' ? 8 : 7), message(2, [message(1, [integer(1, 1)])])])
  const sequence = message(2, [message(4, [message(1, [map])])])
  const input = message(11, [...valueFields({ name: 'x', datatype: 'FP32', shape: ['n', 3] })])
  const output = message(12, [...valueFields({ name: 'z', datatype: 'FP32', shape: ['n', 3] })])
  const graph = message(7, [node, copy, text(2, 'graph'), ...weights, input, message(12, [text(1, 'y'), sequence]), output])
  const opsets = [message(8, [text(1, ''), integer(2, 17)]), message(8, [text(1, 'ai.onnx.ml'), integer(2, 1)])]
  return Buffer.concat([integer(1, 8), graph, ...opsets])
}

/** The type of a value: what `valueFields` writes of it. */
function typeOf(value: Value): Buffer {
  // Behind the number of its field and its length, of a byte each.
  return (valueFields(value)[1] ?? Buffer.alloc(0)).subarray(2)
}

const FLOATS: Value = { name: 'x', datatype: 'FP32', shape: ['n'] }

/** A model of one operator with one input and one output of these types. */
function oneOperator(operator: string, input: Buffer, output: Buffer, inputs: readonly string[] = ['x']): Uint8Array {
  const node = message(1, [...inputs.map((name) => text(1, name)), text(2, 'y'), text(4, operator)])
  const value = (field: number, name: string, type: Buffer) => message(field, [text(1, name), message(2, [type])])
  const graph = message(7, [node, text(2, 'graph'), value(11, 'x', input), value(12, 'y', output)])
  return Buffer.concat([integer(1, 8), graph, message(8, [text(1, ''), integer(2, 18)])])
}

const sequence = (element: Buffer) => message(4, [message(1, [element])])
const optional = (element: Buffer) => message(9, [message(1, [element])])

/** A model whose output is a sequence of tensors. */
export function sequenceModel(): Uint8Array {
  return oneOperator('SequenceConstruct', typeOf(FLOATS), sequence(typeOf(FLOATS)), ['x', 'x'])
}

/** A model that gives the negative `n` and the size `s` of `x` FP32[k], as a sequence `y`; and `n` beside it, where that is asked for. */
export function madeSequenceModel(isBeside = false): Uint8Array {
  const node = (operator: string, inputs: readonly string[], output: string) =>
    message(1, [...inputs.map((name) => text(1, name)), text(2, output), text(4, operator)])
  const nodes = [node('Neg', ['x'], 'n'), node('Abs', ['x'], 's'), node('SequenceConstruct', ['n', 's'], 'y')]
  const said = message(12, [text(1, 'y'), message(2, [sequence(typeOf({ name: 'y', datatype: 'FP32' }))])])
  const beside = isBeside ? [message(12, valueFields({ ...FLOATS, name: 'n' }))] : []
  const graph = message(7, [...nodes, text(2, 'graph'), message(11, valueFields(FLOATS)), said, ...beside])
  return Buffer.concat([integer(1, 8), graph, message(8, [text(1, ''), integer(2, 17)])])
}

/** A model whose input is a sequence of tensors: their number. */
export function sequenceInputModel(): Uint8Array {
  return oneOperator('SequenceLength', sequence(typeOf(FLOATS)), typeOf({ name: 'y', datatype: 'INT64', shape: [] }))
}

/** A model whose output is an optional. */
export function optionalModel(): Uint8Array {
  return oneOperator('Optional', typeOf(FLOATS), optional(typeOf(FLOATS)))
}

/** A model whose input is an optional. */
export function optionalInputModel(): Uint8Array {
  return oneOperator('OptionalGetElement', optional(typeOf(FLOATS)), typeOf(FLOATS))
}

/** A model that makes upper case of texts, `x` → `y`, in a locale; none says nothing. */
export function upperCaseModel(locale?: string): Uint8Array {
  const attribute = (name: string, value: string) => message(5, [text(1, name), text(4, value), integer(20, 3)])
  const attributes = [attribute('case_change_action', 'UPPER'), ...(locale === undefined ? [] : [attribute('locale', locale)])]
  const node = message(1, [text(1, 'x'), text(2, 'y'), text(4, 'StringNormalizer'), ...attributes])
  const texts = (field: number, name: string) => message(field, valueFields({ name, datatype: 'BYTES', shape: ['n'] }))
  const graph = message(7, [node, text(2, 'graph'), texts(11, 'x'), texts(12, 'y')])
  return Buffer.concat([integer(1, 8), graph, message(8, [text(1, ''), integer(2, 17)])])
}

/** A model of an operator that ONNX Runtime does not have. */
export function unknownOperatorModel(): Uint8Array {
  return onnxModel({
    nodes: [{ operator: 'Telepathy', inputs: ['x'], outputs: ['y'] }],
    inputs: [{ name: 'x', datatype: 'FP32', shape: ['n'] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: ['n'] }],
  })
}

/** A model whose weights stand in a file beside it: `x` FP32[2] → `y`, each times its weight. */
export function externalModel(location: string, place: Pick<Constant, 'offset' | 'length'> = {}): Uint8Array {
  return onnxModel({
    nodes: [{ operator: 'Mul', inputs: ['x', 'w'], outputs: ['y'] }],
    inputs: [{ name: 'x', datatype: 'FP32', shape: [2] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: [2] }],
    constants: [{ name: 'w', shape: [2], values: new Float32Array(2), location, ...place }],
  })
}

/** A model with a second input that has a default, 10: `x` + `d` → `y`. */
export function defaultedModel(): Uint8Array {
  return onnxModel({
    nodes: [{ operator: 'Add', inputs: ['x', 'd'], outputs: ['y'] }],
    inputs: [
      { name: 'x', datatype: 'FP32', shape: ['n'] },
      { name: 'd', datatype: 'FP32', shape: [1] },
    ],
    outputs: [{ name: 'y', datatype: 'FP32', shape: ['n'] }],
    constants: [{ name: 'd', shape: [1], values: new Float32Array([10]) }],
  })
}

/** A model that makes 8-bit integers of numbers: `x` → `q` UINT8, and two scalars, `scale` and `zero`. */
export function quantizingModel(): Uint8Array {
  return onnxModel({
    nodes: [{ operator: 'DynamicQuantizeLinear', inputs: ['x'], outputs: ['q', 'scale', 'zero'] }],
    inputs: [{ name: 'x', datatype: 'FP32', shape: ['n'] }],
    outputs: [
      { name: 'q', datatype: 'UINT8', shape: ['n'] },
      { name: 'scale', datatype: 'FP32', shape: [] },
      { name: 'zero', datatype: 'UINT8', shape: [] },
    ],
  })
}

/** A matrix product in 8-bit integers: `a` UINT8[m,k], `b` INT8[k,n] → `y` INT32[m,n]. */
export function integerProductModel(): Uint8Array {
  return onnxModel({
    nodes: [{ operator: 'MatMulInteger', inputs: ['a', 'b'], outputs: ['y'] }],
    inputs: [
      { name: 'a', datatype: 'UINT8', shape: ['m', 'k'] },
      { name: 'b', datatype: 'INT8', shape: ['k', 'n'] },
    ],
    outputs: [{ name: 'y', datatype: 'INT32', shape: ['m', 'n'] }],
  })
}
