import { describe, expect, test } from 'bun:test'
import { loadReason } from '../../../src/inference/runtime/load-reason.ts'

const failed = (text: string) => `Load model from /srv/models/m/1/model.onnx failed:${text}`
const SOURCE = '/onnxruntime_src/onnxruntime/core/'

/** Texts of ONNX Runtime 1.30, and what is said in their place. */
const CASES: readonly (readonly [text: string, reason: string])[] = [
  [
    failed(
      `${SOURCE}graph/model.cc:202 onnxruntime::Model::Model(onnx::ModelProto&&, const onnxruntime::PathString&) Unsupported model IR version: 99, max supported IR version: 13\n`,
    ),
    'it is written in IR version 99, and this ONNX Runtime reads those up to 13; export it with an older one',
  ],
  [
    failed('Fatal error: com.acme:Foo(-1) is not a registered function/op'),
    'it has the operator com.acme:Foo, which this ONNX Runtime does not know; export it without, or with an older opset',
  ],
  [
    failed(
      'This is an invalid model. In Node, ("s", Sc\ufffdler, "", -1) , Error No Op registered for Sc\ufffdler with domain_version of 1',
    ),
    'it has the operator "Sc\ufffdler", which this ONNX Runtime does not know; export it without, or with an older opset',
  ],
  [
    failed(
      'This is an invalid model. In Node, ("", Upsample, "", -1) : ("x": tensor(float),) -> ("y": tensor(float),) , Error Op registered for Upsample is deprecated in domain_version of 17',
    ),
    'it has the operator Upsample, which opset 17 has no more; export it with an opset that fits its operators',
  ],
  [
    "Could not find an implementation for Relu(1) node with name ''",
    'it has the operator Relu as opset 1 defines it; export it with opset 7 or newer',
  ],
  [
    "Could not find an implementation for Relu(14) node with name ''",
    'it has the operator Relu with types that this ONNX Runtime cannot compute; cast them inside the model',
  ],
  [
    failed(
      'This is an invalid model. In Node, ("t", Relu, "", -1) : ("x": tensor(float),"x": tensor(float),) -> ("y": tensor(float),) , Error Node(t) with schema(::Relu:14) has input size 2 not in range [min=1, max=1].',
    ),
    'the node "t" (Relu) has 2 inputs; it takes 1',
  ],
  [
    failed(
      'This is an invalid model. In Node, ("t", Relu, "", -1) : ("x": tensor(float),) -> ("y": tensor(float),) , Error Unrecognized attribute: wrong for operator Relu',
    ),
    'the node "t" (Relu) has the attribute "wrong", which is none of its',
  ],
  [
    failed(
      'This is an invalid model. In Node, ("t", Concat, "", -1) : ("x": tensor(float),) -> ("y": tensor(float),) , Error Required attribute \'axis\' is missing.',
    ),
    'the node "t" (Concat) lacks the attribute "axis"',
  ],
  [
    failed('Node (mm) Op (MatMul) [ShapeInferenceError] Incompatible dimensions for matrix multiplication'),
    'the node "mm" (MatMul) cannot compute the shapes of its inputs; export the model again',
  ],
  [
    failed(
      'Type Error: Type parameter (T) of Optype (Add) bound to different types (tensor(float) and tensor(int64) in node (mix).',
    ),
    'the node "mix" (Add) has inputs of float and int64; cast them to one type',
  ],
  [
    failed('Type Error: Type (tensor(int64)) of output arg (y) of node (r) does not match expected type (tensor(float)).'),
    'the value "y" is declared as int64 and computed as float',
  ],
  [failed('This is an invalid model. Error: the graph is not acyclic.'), 'its nodes form a cycle'],
  [failed('This is an invalid model. Error: two nodes with same node name (t).'), 'two of its nodes have the name "t"'],
  [
    failed('This is an invalid model. Error: Duplicate definition of name (y).'),
    'two of its nodes, inputs or constants give the value "y"',
  ],
  [
    failed("Invalid model. Node input 'nope' is not a graph input, initializer, or output of a previous node."),
    'a node takes the value "nope", which nothing gives',
  ],
  [
    failed(
      `${SOURCE}graph/graph.cc:1555 void onnxruntime::Graph::InitializeStateFromModelFileGraphProto() This is an invalid model. Graph output (q) does not exist in the graph.\n`,
    ),
    'nothing gives its output "q"',
  ],
  [
    `Exception during initialization: ${SOURCE}optimizer/initializer.cc:51 onnxruntime::Initializer::Initializer(const onnx::TensorProto&) [ONNXRuntimeError] : 1 : FAIL : tensorprotoutils.cc:1469 ValidateEmbeddedTensorProtoDataSizeAndShape Initializer 'w': raw_data size (9 bytes) does not match expected size from shape and data type (16 bytes)\n`,
    'its constant "w" has 9 bytes, and its shape needs 16',
  ],
  [
    'tensorprotoutils.cc:1422 GetSizeInBytesFromTensorProto Out of bounds dimensions in TypeProto_Tensor',
    'a constant has a dimension of a negative size, or one that is too large',
  ],
  [failed('Protobuf parsing failed.'), 'it is not an ONNX model, or a damaged one; export it, or copy it, again'],
  [
    `Exception during initialization: ${SOURCE}providers/cpu/ml/scaler.cc:70 onnxruntime::ml::ScalerOp<T>::ScalerOp(const onnxruntime::OpKernelInfo&) [with T = float] scale_.size() == offset_.size() was false. Scale size: (3) != (1)\n`,
    `an operator rejects its attributes or constants; the server's log says more`,
  ],
  // What is not known is not passed on.
  [
    `${SOURCE}session/inference_session.cc:1 somewhere in /srv/models`,
    `ONNX Runtime rejects it; the server's log says more, and so may onnx.checker.check_model of the Python package onnx`,
  ],
]

describe('why a model is not loaded', () => {
  for (const [text, reason] of CASES) test(reason, () => expect(loadReason(text)).toBe(reason))
})
