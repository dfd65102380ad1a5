import { Type } from '@sinclair/typebox'
import { strict, text, words } from '../../schema/build.ts'
import { shortScore } from '../../tasks/bodies/vector-json.ts'
import type { TaskCall } from '../../tasks/call.ts'
import type { TaskDescription } from '../../tasks/task.ts'
import { rerank } from '../../tasks/text/classify.ts'
import { embed } from '../../tasks/text/embed.ts'
import { tokenize } from '../../tasks/text/tokenize.ts'
import { isObject } from '../../tensor/exact-json.ts'
import { fault, maybe, readFields, readTextList } from './bodies.ts'
import type { Operation } from './operation.ts'
import { bestFirst } from './tei.ts'
import { base64OfVectors, jsonOfBits, jsonOfVectors, listOf } from './vectors.ts'

/** Texts of one request, as Cohere has it. */
const TEXTS_MAX = 96
/** Tokens of a document where a request says nothing of them, as Cohere has it. */
const DOCUMENT_TOKENS_MAX = 4096
/** Documents of one request, as Cohere has it. */
const DOCUMENTS_MAX = 1000

const TYPES = ['float', 'base64', 'binary', 'ubinary'] as const
type EmbeddingType = (typeof TYPES)[number]
const INPUT_TYPES = ['search_document', 'search_query', 'classification', 'clustering', 'image'] as const
type InputType = (typeof INPUT_TYPES)[number]

const model = maybe(Type.String(), 'Name of the model; under `/models/<name>/` the path says it, and this counts for nothing')
const count = (rule: string) => Type.Integer({ minimum: 1, rule: `must be a whole number from 1: ${rule}` })
const priority = maybe(Type.Integer(), 'Counts for nothing')

const EmbedRequest = strict({
  model,
  texts: maybe(Type.Array(Type.String()), `Up to ${TEXTS_MAX} texts; or else \`inputs\``),
  inputs: maybe(
    Type.Array(Type.Unknown()),
    `Up to ${TEXTS_MAX} objects with \`content\`, a list of one \`{"type": "text", "text"}\``,
  ),
  images: maybe(Type.Array(Type.String()), 'Rejected: no model here makes vectors of pictures'),
  input_type: maybe(words(INPUT_TYPES), 'Chooses the prompt of the model with that purpose, where it has one'),
  embedding_types: maybe(
    Type.Array(words(TYPES), {
      rule: `must be a list of ${TYPES.join(', ')}; int8 and uint8 need the ranges of a calibration set, which no model here has`,
    }),
    'Forms of the vectors; default float',
  ),
  output_dimension: maybe(count('numbers of a vector'), 'Numbers of a vector: the first ones, made to length 1 again'),
  truncate: maybe(
    words(['NONE', 'START', 'END']),
    'The part of a text that is too long that is cut; default END. With NONE such a text is a 400.',
  ),
  max_tokens: maybe(count('tokens of a text'), 'Tokens of one text; default as many as the model takes'),
  priority,
})
const RerankRequest = strict({
  model,
  query: Type.String({ description: 'What is looked for' }),
  documents: Type.Unknown({ description: `Up to ${DOCUMENTS_MAX} texts, in a list` }),
  top_n: maybe(count('documents in the answer'), 'Documents in the answer; default all'),
  max_tokens_per_doc: maybe(
    count('tokens of a document'),
    'Tokens of one document; default 4096, and never more than the model takes of it and the query',
  ),
  priority,
})

interface Embed {
  readonly texts: readonly string[]
  readonly inputType: InputType | undefined
  readonly types: readonly EmbeddingType[]
  readonly dimensions: number | undefined
  readonly truncate: boolean
  readonly truncationSide: 'left' | 'right'
  readonly tokensMax: number | undefined
}

/** `POST /v2/embed`. */
export const cohereEmbed: Operation<Embed> = {
  read(body) {
    const fields = readFields(EmbedRequest, body)
    const { input_type: inputType, embedding_types: types = ['float'], truncate = 'END' } = fields
    if (fields.images !== undefined || inputType === 'image') throw fault('images', 'cannot be embedded here; send texts')
    if (types.length === 0) throw fault('embedding_types', 'is empty; leave it out for float')
    return {
      texts: textsOf(fields),
      inputType,
      types: [...new Set(types)],
      dimensions: fields.output_dimension,
      truncate: truncate !== 'NONE',
      truncationSide: truncate === 'START' ? 'left' : 'right',
      tokensMax: fields.max_tokens,
    }
  },
  async answer({ texts, inputType, types, tokensMax, ...options }, call) {
    const promptName = promptFor(inputType, call.task)
    const { vectors, tokens } = await embed(atMost(tokensMax, call), texts, { promptName, ...options })
    const embeddings: string[] = []
    for (const type of types) embeddings.push(`${JSON.stringify(type)}:${listOf(await WRITERS[type](vectors))}`)
    const rest = JSON.stringify({ texts, meta: metaOf(tokens), response_type: 'embeddings_by_type' })
    return `{"id":"${crypto.randomUUID()}","embeddings":{${embeddings.join(',')}},${rest.slice(1)}`
  },
}

type Writer = (vectors: readonly Float32Array[]) => readonly string[] | Promise<readonly string[]>

const WRITERS: Readonly<Record<EmbeddingType, Writer>> = {
  float: jsonOfVectors,
  base64: base64OfVectors,
  binary: (vectors) => jsonOfBits(vectors, { isSigned: true }),
  ubinary: (vectors) => jsonOfBits(vectors, { isSigned: false }),
}

/** The same, with fewer tokens for each text where that is less than the model takes. */
function atMost(tokensMax: number | undefined, call: TaskCall): TaskCall {
  const { text } = call.task
  if (tokensMax === undefined || text === undefined || tokensMax >= text.tokensMax) return call
  return { ...call, task: { ...call.task, text: { ...text, tokensMax } } }
}

function textsOf({
  texts,
  inputs,
}: {
  readonly texts?: readonly string[] | undefined
  readonly inputs?: readonly unknown[] | undefined
}) {
  if (texts !== undefined && inputs !== undefined) throw fault('inputs', 'stands beside texts; send one of the two')
  if (inputs === undefined) return readTextList(texts, { field: 'texts', max: TEXTS_MAX })
  return readTextList(inputs.map(textOfInput), { field: 'inputs', max: TEXTS_MAX })
}

/** The text of `{"content": [{"type": "text", "text"}]}`. */
function textOfInput(input: unknown, index: number): string {
  const content = isObject(input) && Array.isArray(input.content) ? input.content : []
  const [part] = content
  if (content.length === 1 && isObject(part) && part.type === 'text' && typeof part.text === 'string') return part.text
  throw fault(`inputs[${index}]`, 'must be an object with "content", a list of one {"type": "text", "text"}')
}

/** Names of prompts that fit a purpose, the best first: those that sentence-transformers and many models use. */
const PROMPTS: Readonly<Record<InputType, readonly string[]>> = {
  search_query: ['search_query', 'query'],
  search_document: ['search_document', 'document', 'passage', 'corpus'],
  classification: ['classification', 'Classification'],
  clustering: ['clustering', 'Clustering'],
  image: [],
}

function promptFor(inputType: InputType | undefined, { text }: TaskDescription): string | undefined {
  const prompts = text?.prompts ?? {}
  return inputType === undefined ? undefined : PROMPTS[inputType].find((name) => Object.hasOwn(prompts, name))
}

function metaOf(tokens: readonly number[]) {
  const input_tokens = tokens.reduce((sum, each) => sum + each, 0)
  return { api_version: { version: '2' }, billed_units: { input_tokens } }
}

interface Rerank {
  readonly query: string
  readonly documents: readonly string[]
  readonly countMax: number | undefined
  readonly tokensMax: number
}

/** `POST /v2/rerank`. */
export const cohereRerank: Operation<Rerank> = {
  read(body) {
    const fields = readFields(RerankRequest, body)
    const documents = readTextList(fields.documents, { field: 'documents', max: DOCUMENTS_MAX })
    return { query: fields.query, documents, countMax: fields.top_n, tokensMax: fields.max_tokens_per_doc ?? DOCUMENT_TOKENS_MAX }
  },
  async answer({ query, documents, countMax, tokensMax }, call) {
    const { scores, tokens } = await rerank(call, query, await shortened(documents, tokensMax, call))
    const results = bestFirst(scores).slice(0, countMax)
    return JSON.stringify({
      id: crypto.randomUUID(),
      results: results.map(({ index, score }) => ({ index, relevance_score: shortScore(score) })),
      meta: metaOf(tokens),
    })
  },
}

/** Documents of so many tokens each, where that is less than the model takes. */
async function shortened(documents: readonly string[], tokensMax: number, call: TaskCall): Promise<readonly string[]> {
  const { text } = call.task
  if (text === undefined || tokensMax >= text.tokensMax) return documents
  const found = await tokenize(call, documents, { addSpecialTokens: false })
  return documents.map((document, index) => document.slice(0, found[index]?.[tokensMax - 1]?.end ?? document.length))
}

const Meta = Type.Object({
  api_version: Type.Object({ version: text('`2`') }),
  billed_units: Type.Object({ input_tokens: Type.Integer({ description: 'Tokens that the model got' }) }),
})

/** What the routes of Cohere take and give, by name. */
export const COHERE_SCHEMAS = {
  CohereEmbedRequest: EmbedRequest,
  CohereEmbeddings: Type.Object({
    id: text('Id of the answer'),
    embeddings: Type.Object(
      {},
      { description: 'A list of vectors for each form that was asked for', additionalProperties: true },
    ),
    texts: Type.Array(Type.String()),
    meta: Meta,
    response_type: words(['embeddings_by_type']),
  }),
  CohereRerankRequest: RerankRequest,
  CohereRanks: Type.Object({
    id: text('Id of the answer'),
    results: Type.Array(Type.Object({ index: Type.Integer(), relevance_score: Type.Number() }), { description: 'Best first' }),
    meta: Meta,
  }),
  CohereFailure: Type.Object({ message: text('What is wrong') }),
}
