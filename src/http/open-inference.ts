import { Elysia } from 'elysia'
import type { Authenticator } from '../auth/authenticator.ts'
import { VERSION } from '../core/version.ts'
import type { Engine, Model } from '../engine/engine.ts'
import { hasLongIntegers } from '../tensor/datatypes.ts'
import { parseJson } from '../tensor/exact-json.ts'
import { decodeInferRequest } from '../tensor/request.ts'
import { encodeInferResponse } from '../tensor/response.ts'
import { guard } from './authentication.ts'
import { readBody } from './body.ts'
import { jsonResponse, jsonTextResponse } from './json.ts'
import { findModel, findReadyVersion, findVersion, permissionTo } from './model-access.ts'
import type { ModelRoutesOptions } from './models.ts'
import { OPEN_INFERENCE_DETAIL } from './openapi/open-inference.ts'

/** What Open Inference Protocol clients take for the name of ONNX Runtime. */
const PLATFORM = 'onnxruntime_onnx'

/** The Open Inference Protocol, version 2, with JSON tensors: metadata, readiness and inference under `/v2`. */
export function openInference({ engine, authenticator, bodyBytesMax }: ModelRoutesOptions) {
  return new Elysia({ name: 'open-inference' })
    .use(health(engine))
    .use(descriptions(engine, authenticator))
    .use(inference({ engine, authenticator, bodyBytesMax }))
}

/** Open to everybody: an orchestrator has no token. */
function health(engine: Engine) {
  return new Elysia()
    .get('/v2/health/live', () => jsonResponse({ live: true }), { detail: OPEN_INFERENCE_DETAIL.live })
    .get('/v2/health/ready', () => readiness({ ready: engine.isReady() }), { detail: OPEN_INFERENCE_DETAIL.ready })
}

function descriptions(engine: Engine, authenticator: Authenticator) {
  const read = permissionTo('read', engine)
  return new Elysia()
    .use(guard(authenticator))
    .get('/v2', () => jsonResponse({ name: 'vestal', version: VERSION, extensions: [] }), {
      permissions: [],
      detail: OPEN_INFERENCE_DETAIL.server,
    })
    .get('/v2/models/:name', ({ params }) => jsonResponse(metadata(findModel(engine, params.name))), {
      permissions: read,
      detail: OPEN_INFERENCE_DETAIL.metadata,
    })
    .get(
      '/v2/models/:name/versions/:version',
      ({ params }) => jsonResponse(metadata(findModel(engine, params.name), params.version)),
      {
        permissions: read,
        detail: OPEN_INFERENCE_DETAIL.metadata,
      },
    )
    .get('/v2/models/:name/ready', ({ params }) => readiness(modelReadiness(findModel(engine, params.name))), {
      permissions: read,
      detail: OPEN_INFERENCE_DETAIL.modelReady,
    })
    .get(
      '/v2/models/:name/versions/:version/ready',
      ({ params }) => readiness(modelReadiness(findModel(engine, params.name), params.version)),
      {
        permissions: read,
        detail: OPEN_INFERENCE_DETAIL.modelReady,
      },
    )
}

function inference({ engine, authenticator, bodyBytesMax }: ModelRoutesOptions) {
  const guarded = { permissions: permissionTo('predict', engine), parse: 'none', detail: OPEN_INFERENCE_DETAIL.infer } as const
  return new Elysia()
    .use(guard(authenticator))
    .post('/v2/models/:name/infer', async ({ params, request }) => infer(engine, params, { request, bodyBytesMax }), guarded)
    .post(
      '/v2/models/:name/versions/:version/infer',
      async ({ params, request }) => infer(engine, params, { request, bodyBytesMax }),
      guarded,
    )
}

interface Asked {
  readonly request: Request
  readonly bodyBytesMax: number
}

async function infer(
  engine: Engine,
  params: { readonly name: string; readonly version?: string },
  asked: Asked,
): Promise<Response> {
  const model = findModel(engine, params.name)
  const { version, inputs, outputs: specs } = findReadyVersion(model, params.version)
  // The body alone says what it is: clients of this protocol send it with no Content-Type, or a wrong one.
  const body = parseJson(await readBody(asked.request, asked.bodyBytesMax), { exactIntegers: hasLongIntegers(inputs) })
  const question = decodeInferRequest(body, { model: model.name, inputs, outputs: specs })
  const outputs = await engine.infer(model.name, version, question.inputs, {
    signal: asked.request.signal,
    ...(question.outputs && { outputs: question.outputs }),
  })
  const order = question.outputs ?? specs.map(({ name }) => name)
  return jsonTextResponse(encodeInferResponse({ modelName: model.name, modelVersion: version, id: question.id, outputs, order }))
}

/** Model metadata as the protocol gives it: of the version asked for, or of the newest with the list of all that are ready. */
function metadata(model: Model, asked?: string) {
  const { version, inputs, outputs } = findReadyVersion(model, asked)
  const ready = model.versions.filter(({ state }) => state === 'ready').map(({ version: number }) => number)
  return { name: model.name, versions: asked === undefined ? ready : [version], platform: PLATFORM, inputs, outputs }
}

function modelReadiness(model: Model, asked?: string) {
  const isReady =
    asked === undefined ? model.versions.some(({ state }) => state === 'ready') : findVersion(model, asked).state === 'ready'
  return { name: model.name, ready: isReady }
}

function readiness(body: { readonly ready: boolean }): Response {
  return body.ready
    ? jsonResponse(body)
    : new Response(JSON.stringify(body), { status: 503, headers: { 'content-type': 'application/json', 'retry-after': '1' } })
}
