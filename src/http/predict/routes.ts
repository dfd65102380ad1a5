import { Elysia } from 'elysia'
import { guard } from '../authentication.ts'
import { permissionTo } from '../model-access.ts'
import { MODEL_DETAIL } from '../openapi/models.ts'
import { INFER_DETAIL } from '../openapi/open-inference.ts'
import { STREAMING_DETAIL } from '../openapi/streaming.ts'
import type { LongLivedOptions } from './long-lived.ts'
import { openInference } from './open-inference.ts'
import { predict } from './predict.ts'
import { rows } from './rows.ts'
import { openSocket, type Upgrade } from './socket.ts'
import { predictStream } from './stream.ts'

export interface PredictionOptions extends LongLivedOptions {
  /** Makes a socket of a connection; default by the server that the app listens with. */
  readonly upgrade?: Upgrade
}

/** The routes of predictions: each chooses the dialect, and everything else is done in one place. */
export function predictions(options: PredictionOptions) {
  const { engine, authenticator, memory, upgrade } = options
  const permissions = permissionTo('predict', engine)
  const inRows = { permissions, parse: 'none', detail: MODEL_DETAIL.predict } as const
  const inTensors = { permissions, parse: 'none', detail: INFER_DETAIL } as const
  return (
    new Elysia({ name: 'predictions' })
      .use(guard(authenticator))
      .post(
        '/models/:name/predict/',
        ({ params, request, token }) =>
          predict(rows, params, { engine, memory, request, subject: token.principal.key, allows: token.allows }),
        inRows,
      )
      .post(
        '/v2/models/:name/infer',
        ({ params, request, token }) =>
          predict(openInference, params, { engine, memory, request, subject: token.principal.key, allows: token.allows }),
        inTensors,
      )
      .post(
        '/v2/models/:name/versions/:version/infer',
        ({ params, request, token }) =>
          predict(openInference, params, { engine, memory, request, subject: token.principal.key, allows: token.allows }),
        inTensors,
      )
      .post(
        '/models/:name/stream/',
        ({ params, request, token }) => {
          const response = predictStream({ name: params.name, request, token }, options)
          return response
        },
        { permissions, parse: 'none', detail: STREAMING_DETAIL.stream },
      )
      // A GET route and not Elysia's `ws`, which would parse messages itself and round 64-bit integers.
      .get(
        '/models/:name/live',
        ({ params, request, server, token }) => {
          openSocket({ name: params.name, request, token }, options, upgrade ?? upgradeBy(server))
          // Nobody is sent this: the connection is a socket by now. It is for the log and the metrics.
          return new Response(null, { status: 101 })
        },
        { permissions, detail: STREAMING_DETAIL.live },
      )
  )
}

function upgradeBy(server: unknown): Upgrade {
  // The cast: Elysia types the server for any data.
  const listening = server as { readonly upgrade: Upgrade } | null
  return (request, options) => listening?.upgrade(request, options) === true
}
