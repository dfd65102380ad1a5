import { OPEN_INFERENCE_TAG } from './open-inference.ts'
import { operation } from './operation.ts'

const TENSORS = {
  inputs: [{ name: 'X', datatype: 'FP32', shape: [-1, 4] }],
  outputs: [{ name: 'label', datatype: 'INT64', shape: [-1] }],
}
const tag = OPEN_INFERENCE_TAG

/** The documentation of the routes under `/v2` that say what there is. */
export const DESCRIPTION_DETAIL = {
  live: operation({
    tag: 'Health',
    summary: 'Whether the server is alive',
    answer: { description: 'It is', schema: 'Live', example: { live: true } },
  }),
  ready: operation({
    tag: 'Health',
    summary: 'Whether the server can answer predictions',
    description: 'A token with `metrics:read` is told the reasons; any other token changes nothing.',
    answer: { description: 'It can', schema: 'Ready', example: { ready: true } },
    failures: [503],
    isOpenInference: true,
  }),
  server: operation({
    tag,
    summary: 'Server metadata',
    permission: '',
    answer: {
      description: 'Name, version and extensions of the protocol',
      schema: 'ServerMetadata',
      example: { name: 'vestal', version: '0.1.0', extensions: ['binary_tensor_data', 'statistics'] },
    },
    isOpenInference: true,
  }),
  list: operation({
    tag,
    summary: 'Names of the models that the token may read',
    description: 'As KServe has it; the repository index says more.',
    permission: '',
    answer: { description: 'The names', schema: 'ModelNames', example: { models: ['digits', 'iris'] } },
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
  configuration: operation({
    tag,
    summary: 'How a model is served',
    permission: 'model:<name>:read',
    answer: {
      description: 'The configuration, as Triton has it',
      schema: 'ModelConfiguration',
      example: {
        name: 'iris',
        platform: 'onnxruntime_onnx',
        backend: 'onnxruntime',
        max_batch_size: 0,
        input: [{ name: 'X', data_type: 'TYPE_FP32', dims: [-1, 4] }],
        output: [{ name: 'label', data_type: 'TYPE_INT64', dims: [-1] }],
      },
    },
    failures: [404, 503],
    isOpenInference: true,
  }),
}
