import { Elysia } from 'elysia'
import type { Authenticator } from '../auth/authenticator.ts'
import { VERSION } from '../core/version.ts'
import type { Engine, Model } from '../engine/engine.ts'
import { guard } from './authentication.ts'
import { jsonResponse } from './json.ts'
import { findModel, findReadyVersion, findVersion, permissionTo } from './model-access.ts'
import type { ModelRoutesOptions } from './models.ts'
import { infer } from './open-inference/infer.ts'
import { OPEN_INFERENCE_DETAIL } from './openapi/open-inference.ts'

/** What Open Inference Protocol clients take for the name of ONNX Runtime. */
const PLATFORM = 'onnxruntime_onnx'

/** Extensions of the protocol that are here, by the names that Triton gives them. */
export const EXTENSIONS: readonly string[] = ['classification', 'schedule_policy', 'binary_tensor_data', 'parameters']

/** The Open Inference Protocol, version 2, with Triton's extensions: metadata, readiness and inference under `/v2`. */
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
    .get('/v2', () => jsonResponse({ name: 'vestal', version: VERSION, extensions: EXTENSIONS }), {
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
    .post(
      '/v2/models/:name/infer',
      async ({ params, request, token }) => infer(engine, params, { request, bodyBytesMax, subject: token.payload.sub }),
      guarded,
    )
    .post(
      '/v2/models/:name/versions/:version/infer',
      async ({ params, request, token }) => infer(engine, params, { request, bodyBytesMax, subject: token.payload.sub }),
      guarded,
    )
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
