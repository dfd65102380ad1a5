import { Type } from '@sinclair/typebox'
import type { Model } from '../../inference/engine.ts'
import { type Answer, strict, text, words, yes } from '../../schema/build.ts'
import { embed } from '../../tasks/text/embed.ts'
import { type Fields, maybe, readFields, readTexts, type Text, whole } from './bodies.ts'
import type { Operation } from './operation.ts'
import { base64OfVectors, jsonOfVectors, listOf } from './vectors.ts'

/** Texts of one request, as OpenAI has it. */
const TEXTS_MAX = 2048

const EmbeddingsRequest = strict({
  input: Type.Unknown({
    description: `A text, or up to ${TEXTS_MAX} in a list; none may be empty. Ids of tokens, where the setting token_ids accepts them.`,
  }),
  model: maybe(Type.String(), 'Name of the model; under `/models/<name>/` the path says it, and this counts for nothing'),
  encoding_format: maybe(words(['float', 'base64']), 'base64 is that of 32-bit floats, little-endian'),
  dimensions: maybe(whole(1), 'Numbers of a vector: the first ones, made to length 1 again'),
  user: maybe(Type.String(), 'Counts for nothing'),
})

interface Embeddings {
  readonly texts: readonly Text[]
  readonly isBase64: boolean
  readonly dimensions: number | undefined
}

/** `POST /v1/embeddings`. */
export const openAiEmbeddings: Operation<Embeddings> = {
  read(body, { mayBeIds }) {
    const fields: Fields<typeof EmbeddingsRequest> = readFields(EmbeddingsRequest, body)
    const { texts } = readTexts(fields.input, { field: 'input', max: TEXTS_MAX, mayBeIds, mayBeEmpty: false })
    return { texts, isBase64: fields.encoding_format === 'base64', dimensions: fields.dimensions }
  },
  async answer({ texts, isBase64, dimensions }, call, { model }) {
    const { vectors, tokens } = await embed(call, texts, { dimensions })
    const written = await (isBase64 ? base64OfVectors(vectors) : jsonOfVectors(vectors))
    const data = written.map((embedding, index) => `{"object":"embedding","index":${index},"embedding":${embedding}}`)
    const used = tokens.reduce((sum, count) => sum + count, 0)
    const usage = JSON.stringify({ prompt_tokens: used, total_tokens: used })
    return `{"object":"list","data":${listOf(data)},"model":${JSON.stringify(model.name)},"usage":${usage}}`
  },
}
const ENTRY = {
  id: text('Name of the model'),
  object: words(['model']),
  created: Type.Integer({ description: 'When the server started, in seconds since 1970' }),
  owned_by: text('`vestal`'),
}
const ModelEntry = Type.Object(ENTRY)
const ModelAlone = Type.Object({ ...ENTRY, name: text('Name of the model'), ready: yes('Whether it answers') })

const STARTED_SECONDS = Math.floor(performance.timeOrigin / 1000)

function entryOf({ name }: Model): Answer<typeof ModelEntry> {
  return { id: name, object: 'model', created: STARTED_SECONDS, owned_by: 'vestal' }
}

/** `GET /v1/models`, where KServe v1 has the names alone. */
export function openAiModels(models: readonly Model[]): Answer<typeof ModelList> {
  return { object: 'list', data: models.map(entryOf), models: models.map(({ name }) => name) }
}

/** `GET /v1/models/<name>`, where KServe v1 has the name and whether it is ready. */
export function openAiModel(model: Model): Answer<typeof ModelAlone> {
  return { ...entryOf(model), name: model.name, ready: model.versions.some(({ state }) => state === 'ready') }
}

const ModelList = Type.Object({
  object: words(['list']),
  data: Type.Array(ModelEntry),
  models: Type.Array(Type.String(), { description: 'The names, for clients of KServe v1' }),
})

/** What the routes of OpenAI take and give, by name. */
export const OPENAI_SCHEMAS = {
  OpenAiEmbeddingsRequest: EmbeddingsRequest,
  OpenAiEmbeddings: Type.Object({
    object: words(['list']),
    data: Type.Array(
      Type.Object({
        object: words(['embedding']),
        index: Type.Integer({ description: 'Place of the text in the request' }),
        embedding: Type.Unknown({ description: 'A list of numbers, or base64' }),
      }),
    ),
    model: text('Name of the model'),
    usage: Type.Object(
      { prompt_tokens: Type.Integer(), total_tokens: Type.Integer() },
      { description: 'Tokens that the model got' },
    ),
  }),
  OpenAiModelEntry: ModelEntry,
  OpenAiModel: ModelAlone,
  OpenAiModels: ModelList,
  OpenAiFailure: Type.Object({
    error: Type.Object({
      message: text('What is wrong'),
      type: text('Kind of failure'),
      param: Type.Unknown({ description: 'The field that it is about, or null' }),
      code: Type.Unknown({ description: 'A word for it, or null' }),
    }),
  }),
}
