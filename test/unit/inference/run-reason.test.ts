import { describe, expect, test } from 'bun:test'
import { runReason } from '../../../src/inference/runtime/run-reason.ts'

const SOURCE = '/onnxruntime_src/onnxruntime/core/providers/cpu/'
const node = (operator: string, name: string, status: string) =>
  `Non-zero status code returned while running ${operator} node. Name:'${name}' Status Message: ${status}\n`

/** Texts of ONNX Runtime 1.30, and what is said in their place. */
const CASES: readonly (readonly [text: string, reason: string])[] = [
  [
    node(
      'Reshape',
      '/layer/Reshape',
      `${SOURCE}tensor/reshape_helper.h:91 onnxruntime::ReshapeHelper::ReshapeHelper(const onnxruntime::TensorShape&, onnxruntime::TensorShapeVector&, bool) input_shape_size == requested_shape_size was false. The input tensor cannot be reshaped to the requested shape. Input shape:{3}, requested shape:{2,2}`,
    ),
    'the node "/layer/Reshape" (Reshape) cannot reshape [3] to [2,2]; both must have as many elements',
  ],
  [
    node('MatMul', 'm', 'matmul_helper.h:59 Compute MatMul dimension mismatch'),
    'the node "m" (MatMul) multiplies matrices whose inner sizes differ',
  ],
  [
    node('Gemm', 'g', 'GEMM: Dimension mismatch, W: {4,2} K: 3 N:2'),
    'the node "g" (Gemm) multiplies rows of 3 with a matrix of [4,2]',
  ],
  [
    node(
      'Add',
      '',
      `${SOURCE}math/element_wise_ops.h:563 void onnxruntime::BroadcastIterator::Init(ptrdiff_t, ptrdiff_t) axis == 1 || axis == largest was false. Attempting to broadcast an axis by a dimension other than 1. 2 by 3\n`,
    ),
    'a node Add combines tensors of sizes 2 and 3; sizes must be equal, or one of them 1',
  ],
  [
    node('Gather', 'g', 'indices element out of data bounds, idx=9 must be within the inclusive range [-2,1]'),
    'the node "g" (Gather) looks up index 9; it must be from -2 to 1',
  ],
  [node('GatherND', 'g', 'invalid index found, index = 9'), 'the node "g" (GatherND) looks up index 9, which is out of range'],
  [
    node(
      'Concat',
      'c',
      'concatbase.h:133 PrepareForComputeImpl Non concat axis dimensions must match: Axis 1 has mismatched dimensions of 4 and 3',
    ),
    'the node "c" (Concat) joins tensors whose dimension 1 differs: 4 and 3',
  ],
  [
    node(
      'Squeeze',
      's',
      `${SOURCE}tensor/squeeze.h:53 static onnxruntime::TensorShapeVector onnxruntime::SqueezeBase::ComputeOutputShape(const onnxruntime::TensorShape&, const onnxruntime::TensorShapeVector&) input_shape[i] == 1 was false. Dimension of input 1 must be 1 instead of 3. shape={2,3}`,
    ),
    'the node "s" (Squeeze) takes size 1 in dimension 1, and [2,3] has 3',
  ],
  [
    node(
      'Split',
      's',
      "Cannot split using values in 'split' attribute. Axis=0 Input shape={5} NumOutputs=2 Num entries in 'split' (must equal number of outputs) was 2 Sum of sizes in 'split' (must equal size of selected axis) was 3",
    ),
    'the node "s" (Split) splits dimension 0 into parts of 3 in all, and its input is [5]',
  ],
  [
    node('Conv', 'c', 'Input channels C is not equal to kernel channels * group. C: 2 kernel channels: 3 group: 1'),
    'the node "c" (Conv) takes 3 channels, and its input has 2',
  ],
  [
    node('TopK', 't', 'k argument [5] should not be greater than specified axis dim value [2]'),
    'the node "t" (TopK) asks for the top 5 of 2',
  ],
  [node('Div', 'd', 'element_wise_ops.cc:692 Compute Integer division by zero'), 'the node "d" (Div) divides an integer by zero'],
  [
    node(
      'ConstantOfShape',
      'c',
      '/onnxruntime_src/onnxruntime/core/framework/bfc_arena.cc:360 void* onnxruntime::BFCArena::AllocateRawInternal(size_t, bool, onnxruntime::Stream*) Failed to allocate memory for requested buffer of size 4000000000000000',
    ),
    'the node "c" (ConstantOfShape) needs 4000000000000000 bytes of memory at once, which there are not',
  ],
  [
    node(
      'CumSum',
      'c',
      '/onnxruntime_src/onnxruntime/core/providers/common.h:31 int64_t onnxruntime::HandleNegativeAxis(int64_t, int64_t) IsAxisInRange(axis, tensor_rank) was false. axis 5 is not in valid range [-1,0]',
    ),
    'the node "c" (CumSum) names dimension 5; it must be from -1 to 0',
  ],
  [node('Cast', 'c', 'stod'), 'the node "c" (Cast) makes numbers of texts, and was given a text that is none'],
  [
    node('LSTM', 'l', 'Input W must have shape {1,12,3}. Actual:{1,12,4}'),
    'the node "l" (LSTM) takes an input of [1,12,3], and was given [1,12,4]',
  ],
  // The node inside is the one that failed.
  [
    node('Loop', 'outer', node('TopK', 'inner', 'value of k must not be negative')),
    'the node "inner" (TopK) asks for the top of a negative number',
  ],
  // What is not known is not passed on.
  [
    node(
      'Pad',
      'p',
      `${SOURCE}tensor/padbase.h:122 static void onnxruntime::PadBase::ComputePadsImpl() pads_data.size() was false.`,
    ),
    `the node "p" (Pad) rejects what it is given; the server's log says more`,
  ],
  [node('ArgMax', 'a', ''), `the node "a" (ArgMax) rejects what it is given; the server's log says more`],
  [
    '/onnxruntime_src/onnxruntime/core/session/inference_session.cc:1 something',
    `ONNX Runtime rejects its inputs; the server's log says more`,
  ],
  ['', `ONNX Runtime rejects its inputs; the server's log says more`],
]

describe('why a run failed', () => {
  for (const [text, reason] of CASES) test(reason, () => expect(runReason(text)).toBe(reason))

  test('names a node by no more than 100 characters, and in one line', () => {
    const reason = runReason(node('Relu', `${'n'.repeat(300)}\n"`, 'x'))
    expect(reason).toStartWith(`the node "${'n'.repeat(100)}…" (Relu)`)
    expect(runReason(node('Relu', 'a\n"b', 'x'))).toStartWith('the node "a\\n\\"b" (Relu)')
  })
})
