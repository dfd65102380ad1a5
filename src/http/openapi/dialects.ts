import { operation, TIMEOUT } from './operation.ts'
import type { SchemaName } from './schemas.ts'

/** Tags of the dialects, for the document. */
export const DIALECT_TAGS = [
  { name: 'OpenAI', description: 'Embeddings for clients of OpenAI' },
  { name: 'Text Embeddings Inference', description: 'What TEI answers, for its clients' },
  { name: 'Cohere and Jina', description: 'Embeddings and reranking for clients of these' },
  { name: 'Hugging Face', description: 'Tasks for `InferenceClient` of Python and JavaScript' },
  { name: 'KServe v1', description: 'Predictions of the first protocol of KServe and TensorFlow Serving' },
] as const

interface DialectOperation {
  readonly tag: (typeof DIALECT_TAGS)[number]['name']
  readonly summary: string
  readonly description?: string
  /** Default `model:<name>:predict`. */
  readonly permission?: string
  readonly body?: { readonly schema: SchemaName; readonly examples: Readonly<Record<string, unknown>> }
  readonly answer: { readonly description: string; readonly schema?: SchemaName; readonly example?: unknown }
  /** The form of failures. */
  readonly failure: SchemaName
}

function dialectOperation({ permission = 'model:<name>:predict', ...rest }: DialectOperation) {
  const computes = rest.body !== undefined
  return operation({
    ...rest,
    permission,
    ...(computes && { parameters: [TIMEOUT] }),
    failures: computes ? [404, 413, 503] : [404],
  })
}

const NAMED_IN_BODY =
  'The body names the model: a model that the token may not use and one that does not exist have the same answer. At most 2 MB.'
const openAi = { tag: 'OpenAI', failure: 'OpenAiFailure' } as const
const tei = { tag: 'Text Embeddings Inference', failure: 'TeiFailure' } as const
const cohere = { tag: 'Cohere and Jina', failure: 'CohereFailure' } as const
const jina = { tag: 'Cohere and Jina', failure: 'JinaFailure' } as const
const both = <Detail extends DialectOperation>(detail: Detail) => ({
  named: dialectOperation({ ...detail, permission: '', description: NAMED_IN_BODY }),
  underModel: dialectOperation({ ...detail, summary: `${detail.summary}, of one model` }),
})
const MODEL = { id: 'minilm', object: 'model', created: 1_764_400_000, owned_by: 'vestal' }
const VECTOR = [0.0123, -0.0456, 0.0789]

/** The documentation of the dialects' routes. */
export const DIALECT_DETAIL = {
  openAiEmbeddings: both({
    ...openAi,
    summary: 'Embed texts',
    body: { schema: 'OpenAiEmbeddingsRequest', examples: { text: { model: 'minilm', input: 'A man is eating food.' } } },
    answer: {
      description: 'A vector for each text',
      schema: 'OpenAiEmbeddings',
      example: {
        object: 'list',
        data: [{ object: 'embedding', index: 0, embedding: VECTOR }],
        model: 'minilm',
        usage: { prompt_tokens: 8, total_tokens: 8 },
      },
    },
  }),
  openAiModels: dialectOperation({
    ...openAi,
    summary: 'The models that the token may read',
    description: 'KServe’s clients of the first protocol read `models`.',
    permission: '',
    answer: {
      description: 'Models, by name',
      schema: 'OpenAiModels',
      example: { object: 'list', data: [MODEL], models: ['minilm'] },
    },
  }),
  openAiModel: dialectOperation({
    ...openAi,
    summary: 'A model',
    description: 'KServe’s clients of the first protocol read `name` and `ready`.',
    permission: 'model:<name>:read',
    answer: { description: 'The model', schema: 'OpenAiModel', example: { ...MODEL, name: 'minilm', ready: true } },
  }),
  openAiModelsOfOne: dialectOperation({
    ...openAi,
    summary: 'The one model, in a list',
    permission: 'model:<name>:read',
    answer: { description: 'The model', schema: 'OpenAiModels', example: { object: 'list', data: [MODEL], models: ['minilm'] } },
  }),
  kservePredict: dialectOperation({
    tag: 'KServe v1',
    summary: 'Predict, in instances',
    description: 'The path is `/v1/models/<name>:predict`. Instances are rows of a model of tensors, and texts of one for texts.',
    body: { schema: 'KserveRequest', examples: { iris: { instances: [[5.1, 3.5, 1.4, 0.2]] } } },
    answer: {
      description: 'A prediction for each instance',
      schema: 'KserveAnswer',
      example: { predictions: [{ label: 'setosa', probabilities: { setosa: 0.98, versicolor: 0.02, virginica: 0 } }] },
    },
    failure: 'KserveFailure',
  }),
  cohereEmbed: both({
    ...cohere,
    summary: 'Embed texts (Cohere)',
    body: {
      schema: 'CohereEmbedRequest',
      examples: { query: { model: 'minilm', texts: ['A man is eating food.'], input_type: 'search_query' } },
    },
    answer: {
      description: 'Vectors in each form',
      schema: 'CohereEmbeddings',
      example: {
        id: '0f1c9f9e-2c39-4a8a-8a64-0d9c31a1c2b1',
        embeddings: { float: [VECTOR] },
        texts: ['A man is eating food.'],
        meta: { api_version: { version: '2' }, billed_units: { input_tokens: 8 } },
        response_type: 'embeddings_by_type',
      },
    },
  }),
  cohereRerank: both({
    ...cohere,
    summary: 'Rerank documents (Cohere)',
    body: {
      schema: 'CohereRerankRequest',
      examples: { food: { model: 'reranker', query: 'food', documents: ['A man eats.', 'The sky is blue.'], top_n: 1 } },
    },
    answer: {
      description: 'The best documents',
      schema: 'CohereRanks',
      example: {
        id: '0f1c9f9e-2c39-4a8a-8a64-0d9c31a1c2b1',
        results: [{ index: 0, relevance_score: 0.97 }],
        meta: { api_version: { version: '2' }, billed_units: { input_tokens: 17 } },
      },
    },
  }),
  jinaRerank: both({
    ...jina,
    summary: 'Rerank documents (Jina)',
    body: {
      schema: 'JinaRerankRequest',
      examples: { food: { model: 'reranker', query: 'food', documents: ['A man eats.', 'The sky is blue.'], top_n: 1 } },
    },
    answer: {
      description: 'The best documents',
      schema: 'JinaRanks',
      example: {
        model: 'reranker',
        usage: { total_tokens: 17 },
        results: [{ index: 0, relevance_score: 0.97, document: { text: 'A man eats.' } }],
      },
    },
  }),
  huggingFace: dialectOperation({
    tag: 'Hugging Face',
    summary: 'Do what the model is for',
    description:
      'The task of the model decides what `inputs` and `parameters` are: those of the task on Hugging Face. A picture or sound may be the whole body, with its own `Content-Type`.',
    body: { schema: 'HuggingFaceRequest', examples: { text: { inputs: 'A man is eating food.' } } },
    answer: { description: 'As the task has it', schema: 'HuggingFaceAnswer', example: [[{ label: 'positive', score: 0.98 }]] },
    failure: 'HuggingFaceFailure',
  }),
  teiEmbed: dialectOperation({
    ...tei,
    summary: 'Embed texts',
    body: { schema: 'TeiEmbedRequest', examples: { texts: { inputs: ['A man is eating food.'] } } },
    answer: { description: 'Vectors', schema: 'TeiEmbedding', example: [VECTOR] },
  }),
  teiEmbedAll: dialectOperation({
    ...tei,
    summary: 'Embed tokens',
    body: { schema: 'TeiEmbedTokensRequest', examples: { texts: { inputs: ['food'] } } },
    answer: { description: 'Vectors of tokens', schema: 'TeiTokenEmbedding', example: [[VECTOR, VECTOR, VECTOR]] },
  }),
  teiEmbedSparse: dialectOperation({
    ...tei,
    summary: 'Embed texts, sparsely',
    body: { schema: 'TeiEmbedTokensRequest', examples: { texts: { inputs: ['food'] } } },
    answer: { description: 'Weights', schema: 'TeiSparseEmbedding', example: [[{ index: 2833, value: 1.25 }]] },
  }),
  teiRerank: dialectOperation({
    ...tei,
    summary: 'Rerank texts',
    body: { schema: 'TeiRerankRequest', examples: { food: { query: 'food', texts: ['A man eats.', 'The sky is blue.'] } } },
    answer: {
      description: 'Best first',
      schema: 'TeiRanks',
      example: [
        { index: 0, score: 0.97 },
        { index: 1, score: 0.02 },
      ],
    },
  }),
  teiSimilarity: dialectOperation({
    ...tei,
    summary: 'Compare sentences with one',
    body: {
      schema: 'TeiSimilarityRequest',
      examples: { food: { inputs: { source_sentence: 'A man eats.', sentences: ['A man has lunch.', 'The sky is blue.'] } } },
    },
    answer: { description: 'Cosines', schema: 'TeiSimilarities', example: [0.75, -0.01] },
  }),
  teiTokenize: dialectOperation({
    ...tei,
    summary: 'Split texts into tokens',
    body: { schema: 'TeiTokenizeRequest', examples: { text: { inputs: 'food', add_special_tokens: false } } },
    answer: {
      description: 'Tokens of each text',
      schema: 'TeiTokens',
      example: [[{ id: 2833, text: 'food', special: false, start: 0, stop: 4 }]],
    },
  }),
  teiDecode: dialectOperation({
    ...tei,
    summary: 'Make texts of tokens',
    body: { schema: 'TeiDecodeRequest', examples: { ids: { ids: [2833] } } },
    answer: { description: 'Texts', schema: 'TeiTexts', example: ['food'] },
  }),
  teiInfo: dialectOperation({
    ...tei,
    summary: 'What the model is, and its limits',
    permission: 'model:<name>:read',
    answer: {
      description: 'The model',
      schema: 'TeiInfo',
      example: {
        model_id: 'minilm',
        model_type: { embedding: { pooling: 'mean' } },
        max_input_length: 256,
        max_client_batch_size: 32,
      },
    },
  }),
  teiHealth: dialectOperation({
    ...tei,
    summary: 'Whether the model is ready',
    permission: 'model:<name>:read',
    answer: { description: 'It is ready' },
  }),
} as const
