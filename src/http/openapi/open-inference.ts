import { operation, TIMEOUT } from './operation.ts'

/** Tag of the routes under `/v2`. */
export const OPEN_INFERENCE_TAG = 'Open Inference Protocol'

/** The documentation of the inference routes under `/v2`. */
export const INFER_DETAIL = operation({
  tag: OPEN_INFERENCE_TAG,
  summary: 'Predict, in tensors',
  description:
    'Binary tensor data may follow the JSON (`application/octet-stream`), whose length `Inference-Header-Content-Length` then gives; 0 is one raw tensor. Outputs come so ' +
    'where the request asks for `binary_data`. `Content-Encoding` and `Accept-Encoding` may be gzip or deflate.',
  permission: 'model:<name>:predict',
  parameters: [
    {
      name: 'Inference-Header-Content-Length',
      in: 'header',
      description: 'Bytes of JSON where binary tensor data follows it; absent otherwise',
      schema: { type: 'integer', minimum: 0 },
    },
    TIMEOUT,
  ],
  body: {
    schema: 'InferRequest',
    examples: {
      iris: { id: '7', inputs: [{ name: 'X', shape: [1, 4], datatype: 'FP32', data: [5.1, 3.5, 1.4, 0.2] }] },
      classes: {
        inputs: [{ name: 'X', shape: [1, 4], datatype: 'FP32', data: [5.1, 3.5, 1.4, 0.2] }],
        outputs: [{ name: 'probabilities', parameters: { classification: 2 } }],
        parameters: { timeout: 1_000_000 },
      },
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
  failures: [404, 413, 429, 501, 503, 504],
  isOpenInference: true,
})
