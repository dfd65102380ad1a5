import { Elysia } from 'elysia'
import { VestalError } from '../../core/errors.ts'
import { guard } from '../authentication.ts'
import { findModel, findReadyVersion, permissionTo } from '../model-access.ts'
import type { ModelRoutesOptions } from '../models.ts'
import { STREAMING_DETAIL } from '../openapi/streaming.ts'
import { LiveConnection, type Socket } from './live-connection.ts'
import { createMessagePredictor } from './message-predictor.ts'
import { createWitness } from './witness.ts'

/** Makes a socket of the connection of a request; false where the request asks for none. */
export type LiveUpgrade = (request: Request, options: { readonly data: SocketData }) => boolean

/** What an open socket holds beside its messages: what was shown to open it, and what Bun and the system keep for it. */
const SOCKET_BYTES = 32 * 1024

/** What Elysia's own WebSocket handler calls on a connection's data. */
interface SocketData {
  readonly open: (socket: Socket) => void
  readonly message: (socket: Socket, message: string | Uint8Array) => void
  readonly drain: () => void
  readonly close: () => void
}

/**
 * Predictions over a WebSocket, `/models/{name}/live`: one message in, one out. It is a GET route and not Elysia's `ws`, which would parse
 * messages itself and round 64-bit integers; the token is checked before the upgrade, as on every route. Bun keeps a message that has not
 * come whole where nobody sees it, so each socket is charged for the longest there may be.
 */
export function live({ engine, authenticator, memory, report, readiness, upgrade }: ModelRoutesOptions) {
  const predict = permissionTo('predict', engine)
  return new Elysia().use(guard(authenticator)).get(
    '/models/:name/live',
    ({ params, request, server, token }) => {
      const model = findModel(engine, params.name)
      findReadyVersion(model)
      const abort = new AbortController()
      const subject = token.principal.key
      const hold = memory.ledger.open(subject)
      hold.grow(SOCKET_BYTES + memory.messageBytesMax)
      const connection = new LiveConnection({
        predict: createMessagePredictor({ engine, name: model.name, subject, allows: token.allows, signal: abort.signal }),
        stillMay: createWitness(authenticator, request, () => predict(params)),
        expiresAtMs: token.payload.exp === undefined ? undefined : token.payload.exp * 1000,
        messageBytesMax: memory.messageBytesMax,
        hold,
        whenEnding: (hear) => readiness?.whenEnding('socket', hear) ?? (() => undefined),
        report: (error) => report(error, request),
        abort,
      })
      // The cast: Elysia types the server for any data.
      const { upgrade: own } = (server ?? { upgrade: () => false }) as unknown as { readonly upgrade: LiveUpgrade }
      open(upgrade ?? own.bind(server), request, connection)
      // Nobody is sent this: the connection is a socket by now. It is for the log and the metrics.
      return new Response(null, { status: 101 })
    },
    { permissions: predict, detail: STREAMING_DETAIL.live },
  )
}

function open(upgrade: LiveUpgrade, request: Request, connection: LiveConnection): void {
  const data: SocketData = {
    open: (socket) => connection.opened(socket),
    message: (_socket, message) => connection.receive(message),
    drain: () => connection.drained(),
    close: () => connection.closed(),
  }
  if (upgrade(request, { data })) return
  connection.closed()
  throw new VestalError('UPGRADE_REQUIRED', { headers: { upgrade: 'websocket', connection: 'Upgrade' } })
}
