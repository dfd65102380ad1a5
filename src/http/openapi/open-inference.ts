import { operation } from './operation.ts'

const TENSORS = {
  inputs: [{ name: 'X', datatype: 'FP32', shape: [-1, 4] }],
  outputs: [{ name: 'label', datatype: 'INT64', shape: [-1] }],
}
const tag = 'Open Inference Protocol'

/** The documentation of the routes under `/v2`. */
export const OPEN_INFERENCE_DETAIL = {
  live: operation({
    tag: 'Health',
    summary: 'Whether the server is alive',
    answer: { description: 'It is', schema: 'Live', example: { live: true } },
  }),
  ready: operation({
    tag: 'Health',
    summary: 'Whether the server can answer predictions',
    answer: { description: 'It can', schema: 'Ready', example: { ready: true } },
    failures: [503],
    isOpenInference: true,
  }),
  server: operation({
    tag,
    summary: 'Server metadata',
    permission: '',
    answer: {
      description: 'Name and version',
      schema: 'ServerMetadata',
      example: { name: 'vestal', version: '0.1.0', extensions: [] },
    },
    isOpenInference: true,
  }),
  metadata: operation({
    tag,
    summary: 'Model metadata',
    permission: 'model:<name>:read',
    answer: {
      description: 'Names, datatypes and shapes of the tensors',
      schema: 'ModelMetadata',
      example: { name: 'iris', versions: ['1'], platform: 'onnxruntime_onnx', ...TENSORS },
    },
    failures: [404, 503],
    isOpenInference: true,
  }),
  modelReady: operation({
    tag,
    summary: 'Whether a model can answer',
    permission: 'model:<name>:read',
    answer: { description: 'It can', schema: 'ModelReady', example: { name: 'iris', ready: true } },
    failures: [404, 503],
    isOpenInference: true,
  }),
  infer: operation({
    tag,
    summary: 'Predict, in tensors',
    permission: 'model:<name>:predict',
    body: {
      schema: 'InferRequest',
      examples: {
        iris: { id: '7', inputs: [{ name: 'X', shape: [1, 4], datatype: 'FP32', data: [5.1, 3.5, 1.4, 0.2] }] },
        reviews: { inputs: [{ name: 'text', shape: [1], datatype: 'BYTES', data: ['I would buy it again'] }] },
      },
    },
    answer: {
      description: 'The outputs',
      schema: 'InferAnswer',
      example: {
        model_name: 'iris',
        model_version: '1',
        id: '7',
        outputs: [{ name: 'label', datatype: 'INT64', shape: [1], data: [0] }],
      },
    },
    failures: [404, 413, 501, 503],
    isOpenInference: true,
  }),
}
