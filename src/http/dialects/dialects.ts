import { Elysia } from 'elysia'
import type { AuthenticatedToken } from '../../auth/authenticator.ts'
import { VestalError } from '../../core/errors.ts'
import { isObject, parseJson } from '../../tensor/exact-json.ts'
import { guard } from '../authentication.ts'
import { jsonResponse } from '../json.ts'
import { findModel, findReadyVersion, mayRead, permissionTo } from '../model-access.ts'
import { DIALECT_DETAIL } from '../openapi/dialects.ts'
import type { TaskCodec } from '../predict/codec.ts'
import { type Caller, type PredictionOptions, predict, predictTask } from '../predict/predict.ts'
import { fault } from './bodies.ts'
import { cohereEmbed, cohereRerank } from './cohere.ts'
import { huggingFace } from './hugging-face.ts'
import { jinaRerank } from './jina.ts'
import { kserveRows, kserveTask } from './kserve.ts'
import { openAiEmbeddings, openAiModel, openAiModels } from './openai.ts'
import type { DialectSettings, Operation } from './operation.ts'
import { teiDecode, teiEmbed, teiEmbedAll, teiEmbedSparse, teiInfo, teiRerank, teiSimilarity, teiTokenize } from './tei.ts'

export interface DialectOptions extends PredictionOptions {
  readonly settings: DialectSettings
  /** Writes the model that answers into the record of a request. */
  readonly noteModel: (request: Request, model: string) => void
}

/** Who asks for what. */
interface Asking {
  readonly request: Request
  readonly token: AuthenticatedToken
}

/** Bytes of a body that names its model: what its sender may ask is known once it is read. Text Embeddings Inference takes as many. */
const BODY_BYTES_MAX = 2_000_000

/** No model has a longer name; what a body brings is shown in logs and headers. */
const NAME_LENGTH_MAX = 100

/** What clients of other servers ask: under the path of a model, or, in dialects that name it, with its name in the body. */
export function dialects(options: DialectOptions) {
  return new Elysia({ name: 'dialects' })
    .use(openAi(options))
    .use(rankers(options))
    .use(textEmbeddingsInference(options))
    .use(others(options))
}

/** The routes of OpenAI, and the list of models that KServe's clients read too. */
function openAi(options: DialectOptions) {
  const { engine, authenticator } = options
  const { byPath, byBody } = createServing(options)
  const { openAiEmbeddings: embeddings, openAiModels: list, openAiModel: one, openAiModelsOfOne: only } = DIALECT_DETAIL
  return new Elysia({ name: 'dialects-openai' })
    .use(guard(authenticator))
    .post('/v1/embeddings', ({ request, token }) => byBody(openAiEmbeddings, { request, token }), {
      permissions: [],
      parse: 'none',
      detail: embeddings.named,
    })
    .post(
      '/models/:name/v1/embeddings',
      ({ params, request, token }) => byPath(openAiEmbeddings, params.name, { request, token }),
      {
        permissions: permissionTo('predict', engine),
        parse: 'none',
        detail: embeddings.underModel,
      },
    )
    .get('/v1/models', ({ token }) => jsonResponse(openAiModels(engine.models().filter(mayRead(token)))), {
      permissions: [],
      detail: list,
    })
    .get('/v1/models/:name', ({ params }) => jsonResponse(openAiModel(findModel(engine, params.name))), {
      permissions: permissionTo('read', engine),
      detail: one,
    })
    .get('/models/:name/v1/models', ({ params }) => jsonResponse(openAiModels([findModel(engine, params.name)])), {
      permissions: permissionTo('read', engine),
      detail: only,
    })
}

/** The routes of Cohere and Jina. */
function rankers(options: DialectOptions) {
  const { engine, authenticator } = options
  const { byPath, byBody } = createServing(options)
  const { cohereEmbed: embed, cohereRerank: rerank, jinaRerank: jina } = DIALECT_DETAIL
  const permissions = permissionTo('predict', engine)
  return new Elysia({ name: 'dialects-rankers' })
    .use(guard(authenticator))
    .post('/v2/embed', ({ request, token }) => byBody(cohereEmbed, { request, token }), {
      permissions: [],
      parse: 'none',
      detail: embed.named,
    })
    .post('/v2/rerank', ({ request, token }) => byBody(cohereRerank, { request, token }), {
      permissions: [],
      parse: 'none',
      detail: rerank.named,
    })
    .post('/v1/rerank', ({ request, token }) => byBody(jinaRerank, { request, token }), {
      permissions: [],
      parse: 'none',
      detail: jina.named,
    })
    .post('/models/:name/v2/embed', ({ params, request, token }) => byPath(cohereEmbed, params.name, { request, token }), {
      permissions,
      parse: 'none',
      detail: embed.underModel,
    })
    .post('/models/:name/v2/rerank', ({ params, request, token }) => byPath(cohereRerank, params.name, { request, token }), {
      permissions,
      parse: 'none',
      detail: rerank.underModel,
    })
    .post('/models/:name/v1/rerank', ({ params, request, token }) => byPath(jinaRerank, params.name, { request, token }), {
      permissions,
      parse: 'none',
      detail: jina.underModel,
    })
}

/** The routes of Text Embeddings Inference: it serves one model, so that its clients name none, and each model has its own. */
function textEmbeddingsInference(options: DialectOptions) {
  const { engine, authenticator } = options
  const { byPath } = createServing(options, BODY_BYTES_MAX)
  const permissions = permissionTo('predict', engine)
  const mayRead = permissionTo('read', engine)
  const route = <Detail>(detail: Detail) => ({ permissions, parse: 'none', detail }) as const
  return new Elysia({ name: 'dialects-tei' })
    .use(guard(authenticator))
    .post(
      '/models/:name/embed',
      ({ params, request, token }) => byPath(teiEmbed, params.name, { request, token }),
      route(DIALECT_DETAIL.teiEmbed),
    )
    .post(
      '/models/:name/embed_all',
      ({ params, request, token }) => byPath(teiEmbedAll, params.name, { request, token }),
      route(DIALECT_DETAIL.teiEmbedAll),
    )
    .post(
      '/models/:name/embed_sparse',
      ({ params, request, token }) => byPath(teiEmbedSparse, params.name, { request, token }),
      route(DIALECT_DETAIL.teiEmbedSparse),
    )
    .post(
      '/models/:name/tokenize',
      ({ params, request, token }) => byPath(teiTokenize, params.name, { request, token }),
      route(DIALECT_DETAIL.teiTokenize),
    )
    .post(
      '/models/:name/decode',
      ({ params, request, token }) => byPath(teiDecode, params.name, { request, token }),
      route(DIALECT_DETAIL.teiDecode),
    )
    .post(
      '/models/:name/rerank',
      ({ params, request, token }) => byPath(teiRerank, params.name, { request, token }),
      route(DIALECT_DETAIL.teiRerank),
    )
    .post(
      '/models/:name/similarity',
      ({ params, request, token }) => byPath(teiSimilarity, params.name, { request, token }),
      route(DIALECT_DETAIL.teiSimilarity),
    )
    .get('/models/:name/info', ({ params }) => jsonResponse(teiInfo(readyTarget(options, params.name))), {
      permissions: mayRead,
      detail: DIALECT_DETAIL.teiInfo,
    })
    .get('/models/:name/health', ({ params }) => healthy(readyTarget(options, params.name)), {
      permissions: mayRead,
      detail: DIALECT_DETAIL.teiHealth,
    })
}

/** Hugging Face's one route, and that of KServe v1. */
function others(options: DialectOptions) {
  const { engine, authenticator } = options
  const { byCodec, callerOf } = createServing(options)
  const permissions = permissionTo('predict', engine)
  const toPredictInstances = ({ name = '' }: Readonly<Record<string, string>>) => permissions({ name: withoutVerb(name) })
  return new Elysia({ name: 'dialects-others' })
    .use(guard(authenticator))
    .post('/models/:name/', ({ params, request, token }) => byCodec(huggingFace, params.name, { request, token }), {
      permissions,
      parse: 'none',
      detail: DIALECT_DETAIL.huggingFace,
    })
    .post(
      '/v1/models/:name',
      ({ params, request, token }) => predictInstances(params.name, callerOf({ request, token }), options),
      {
        permissions: toPredictInstances,
        parse: 'none',
        detail: DIALECT_DETAIL.kservePredict,
      },
    )
}

/** A name and a verb as KServe and TensorFlow Serving write them; no name of a model has a colon. */
function withoutVerb(nameAndVerb: string): string {
  return nameAndVerb.split(':', 1)[0] ?? ''
}

/** @throws VestalError NOT_FOUND for any verb but `predict`, and as `predict` */
function predictInstances(nameAndVerb: string, caller: Caller, { engine, noteModel }: DialectOptions): Promise<Response> {
  const name = withoutVerb(nameAndVerb)
  if (nameAndVerb !== `${name}:predict`) throw new VestalError('NOT_FOUND', { detail: 'The path must end with :predict' })
  const { task } = findReadyVersion(findModel(engine, name))
  noteModel(caller.request, name)
  return task === undefined ? predict(kserveRows, { name }, caller) : predictTask(kserveTask, { name }, caller)
}

function readyTarget({ engine }: DialectOptions, name: string) {
  const model = findModel(engine, name)
  return { model, version: findReadyVersion(model) }
}

/** The answer for what is ready, and nothing else comes here. */
function healthy(_: ReturnType<typeof readyTarget>): Response {
  return new Response(null)
}

/** What answers the requests of one dialect. */
function createServing(
  { engine, authenticator, memory, pictures, taskLimits, settings, noteModel }: DialectOptions,
  bytesMax?: number,
) {
  const callerOf = ({ request, token }: Asking): Caller => {
    return { engine, memory, pictures, taskLimits, request, subject: token.principal.key, allows: token.allows }
  }
  const codecOf = <Asked>(operation: Operation<Asked>, parsed?: () => unknown): TaskCodec<Asked> => ({
    ...(bytesMax !== undefined && { bytesMax }),
    decode: ({ bytes }) => operation.read(parsed?.() ?? parseJson(bytes), settings),
    answer: async (asked, call, target) => ({ json: await operation.answer(asked, call, target), blobs: [] }),
  })
  const byCodec = <Asked>(codec: TaskCodec<Asked>, name: string, asking: Asking) => {
    if (engine.model(name) !== undefined) noteModel(asking.request, name)
    return predictTask(codec, { name }, callerOf(asking))
  }
  return {
    callerOf,
    byCodec,
    /** Answers a request whose path names the model. */
    byPath: <Asked>(operation: Operation<Asked>, name: string, asking: Asking) => byCodec(codecOf(operation), name, asking),
    /** Answers a request whose body names it: what the caller may ask is checked then. */
    byBody: <Asked>(operation: Operation<Asked>, asking: Asking) => {
      let body: unknown
      const find = (bytes: Uint8Array) => {
        body = parseJson(bytes)
        const name = modelIn(body)
        authenticator.authorize(asking.token, [engine.permission(name, 'predict')])
        if (engine.model(name) !== undefined) noteModel(asking.request, name)
        return { name }
      }
      const codec = codecOf(operation, () => body)
      return predictTask({ ...codec, bytesMax: Math.min(BODY_BYTES_MAX, memory.bodyBytesMax) }, find, callerOf(asking))
    },
  }
}

/** @throws VestalError BODY_INVALID */
function modelIn(body: unknown): string {
  if (!isObject(body)) throw fault('body', 'must be an object with "model"')
  const name = body.model
  if (typeof name === 'string' && name !== '' && name.length <= NAME_LENGTH_MAX) return name
  throw fault('model', `must be the name of a model, of at most ${NAME_LENGTH_MAX} characters`)
}
