import { integer, message, onnxModel, text, valueFields } from './tiny-models.ts'

/**
 * A classifier's end as skl2onnx writes it: probabilities `x` FP32[n,3] → `y`, a sequence of maps from class to number, and `z`, the same
 * as they came.
 */
export function zipMapModel(labels: 'integers' | 'packed' | 'texts' = 'integers'): Uint8Array {
  const attribute = {
    integers: [text(1, 'classlabels_int64s'), integer(8, 0), integer(8, 1), integer(8, 2), integer(20, 7)],
    packed: [text(1, 'classlabels_int64s'), message(8, [Buffer.from([0, 1, 200, 1])]), integer(20, 7)],
    texts: [text(1, 'classlabels_strings'), text(9, 'a'), text(9, 'b'), text(9, 'c'), integer(20, 8)],
  }[labels]
  const node = message(1, [text(1, 'x'), text(2, 'y'), text(4, 'ZipMap'), message(5, attribute), text(7, 'ai.onnx.ml')])
  const copy = message(1, [text(1, 'x'), text(2, 'z'), text(4, 'Identity')])
  const map = message(5, [integer(1, labels === 'texts' ? 8 : 7), message(2, [message(1, [integer(1, 1)])])])
  const sequence = message(2, [message(4, [message(1, [map])])])
  const input = message(11, [...valueFields({ name: 'x', datatype: 'FP32', shape: ['n', 3] })])
  const output = message(12, [...valueFields({ name: 'z', datatype: 'FP32', shape: ['n', 3] })])
  const graph = message(7, [node, copy, text(2, 'graph'), input, message(12, [text(1, 'y'), sequence]), output])
  const opsets = [message(8, [text(1, ''), integer(2, 17)]), message(8, [text(1, 'ai.onnx.ml'), integer(2, 1)])]
  return Buffer.concat([integer(1, 8), graph, ...opsets])
}

/** A model whose output is a sequence of tensors. */
export function sequenceModel(): Uint8Array {
  const node = message(1, [text(1, 'x'), text(1, 'x'), text(2, 'y'), text(4, 'SequenceConstruct')])
  const tensor = valueFields({ name: 'y', datatype: 'FP32', shape: ['n'] })[1] ?? Buffer.alloc(0)
  // A sequence of what that type is: the same bytes under another number.
  const sequence = message(2, [message(4, [message(1, [tensor.subarray(2)])])])
  const input = message(11, [...valueFields({ name: 'x', datatype: 'FP32', shape: ['n'] })])
  const graph = message(7, [node, text(2, 'graph'), input, message(12, [text(1, 'y'), sequence])])
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
export function externalModel(location: string): Uint8Array {
  return onnxModel({
    nodes: [{ operator: 'Mul', inputs: ['x', 'w'], outputs: ['y'] }],
    inputs: [{ name: 'x', datatype: 'FP32', shape: [2] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: [2] }],
    constants: [{ name: 'w', shape: [2], values: new Float32Array(2), location }],
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
