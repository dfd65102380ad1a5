import { operation, TIMEOUT } from './operation.ts'

const TENSORS = {
  inputs: [{ name: 'X', datatype: 'FP32', shape: [-1, 4] }],
  outputs: [
    { name: 'label', datatype: 'INT64', shape: [-1] },
    { name: 'probabilities', datatype: 'FP32', shape: [-1, 3] },
  ],
}
const MODEL = {
  name: 'iris',
  description: 'Names the species of an iris from four measurements in centimetres',
  permissions: { predict: 'model:iris:predict', read: 'model:iris:read', admin: 'model:iris:admin' },
  labels: { label: ['setosa', 'versicolor', 'virginica'] },
  examples: [[[5.1, 3.5, 1.4, 0.2]]],
  versions: [{ version: '1', state: 'ready', ...TENSORS }],
}

/** The documentation of the routes under `/models/`. */
export const MODEL_DETAIL = {
  list: operation({
    tag: 'Models',
    summary: 'The models that the token may read',
    permission: '',
    answer: { description: 'Models, by name', schema: 'ModelList', example: { models: [MODEL] } },
  }),
  describe: operation({
    tag: 'Models',
    summary: 'What a model is',
    permission: 'model:<name>:read',
    answer: { description: 'The model', schema: 'Model', example: MODEL },
    failures: [404],
  }),
  predict: operation({
    tag: 'Models',
    summary: 'Predict, in rows',
    description:
      'The answer has the form of the question: a list for a list, an object of lists for an object of lists. The task of a model decides what `input` and `parameters` are. Pictures and sound may also be sent as they are, or as `file` of a form.',
    permission: 'model:<name>:predict',
    parameters: [TIMEOUT],
    body: {
      schema: 'PredictRequest',
      examples: {
        iris: { input: [[5.1, 3.5, 1.4, 0.2]] },
        reviews: { input: ['I would buy it again', 'It broke on the first day'] },
        embedding: { input: ['A man is eating food.', 'The sky is blue today.'], parameters: { dimensions: 128 } },
        classify: { input: { text: 'A text', text_pair: 'and what belongs to it' }, parameters: { top_k: 1 } },
        rerank: { input: { query: 'What is eaten?', texts: ['A man is eating food.', 'The sky is blue.'] } },
        tokens: { input: 'Ada lives in Paris.', parameters: { aggregation_strategy: 'simple' } },
        simple: { input: { INPUT0: [Array(16).fill(3)], INPUT1: [Array(16).fill(1)] } },
      },
    },
    answer: {
      description: 'One element a row',
      schema: 'PredictAnswer',
      example: { output: [{ label: 'setosa', probabilities: { setosa: 0.98, versicolor: 0.02, virginica: 0 } }] },
    },
    failures: [404, 413, 503],
  }),
}
