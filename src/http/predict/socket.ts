import { Elysia } from 'elysia'
import { VestalError } from '../../core/errors.ts'
import type { Hold } from '../../core/memory-ledger.ts'
import { decodeJson, isObject } from '../../tensor/exact-json.ts'
import type { InferRequest } from '../../tensor/request.ts'
import type { RowForm } from '../../tensor/rows.ts'
import { guard } from '../authentication.ts'
import { vestalErrorIn } from '../errors.ts'
import { findModel, findReadyVersion, permissionTo } from '../model-access.ts'
import { STREAMING_DETAIL } from '../openapi/streaming.ts'
import type { Socket, SocketData, Upgrade } from '../servers.ts'
import type { Codec } from './codec.ts'
import { createRecheck, endOf, type LongLivedOptions, type Opening, type Recheck, type WhenEnding } from './long-lived.ts'
import { decodeTensors, jsonOptions, openInference } from './open-inference.ts'
import { joined, type PartCaller, predictPart } from './predict.ts'
import { decodeRowsMessage, rows } from './rows.ts'
import { SocketState } from './socket-state.ts'

interface ConnectionOptions {
  readonly caller: PartCaller
  readonly recheck: Recheck
  /** When the token expires, in milliseconds since 1970; absent when it does not. */
  readonly expiresAtMs: number | undefined
  readonly messageBytesMax: number
  /** Holds what the socket holds by being open; messages and unread answers are charged to it. */
  readonly hold: Hold
  readonly whenEnding: WhenEnding
  readonly report: (error: unknown) => void
  readonly abort: AbortController
}

/** What an open socket holds beside its messages: its credential, and what Bun and the system keep for it. */
const SOCKET_BYTES = 32 * 1024

/** Messages of one connection that wait while another is computed, and their bytes. */
export const MESSAGES_MAX = 64
/** Messages that are answered before other connections get a turn: rejected ones would otherwise keep the thread. */
const TURN_MESSAGES_MAX = 16
/** Codes of the WebSocket registry: unauthorized, forbidden, going away, message too big, internal error, try again later. */
const CLOSE = { unauthorized: 3000, forbidden: 3003, goingAway: 1001, tooBig: 1009, internal: 1011, tooMany: 1013 } as const
/** How long after it has expired a token is asked for again. */
const WATCH_MS = 1000
/** A timer cannot wait longer. */
const TIMER_MS_MAX = 2 ** 31 - 1
/** What Bun's `send` gives when the client reads too slowly: what it keeps until then, and what it does not take. */
const [IS_FULL, IS_DROPPED] = [-1, 0]

export interface SocketOptions extends LongLivedOptions {
  /** Makes a socket of a connection; default by the server that the app listens with. */
  readonly upgrade?: Upgrade
}

/**
 * Predictions over a WebSocket, `/models/{name}/live`. It is a GET route and not Elysia's `ws`, which would parse messages itself and round
 * 64-bit integers; the token is checked before the upgrade, as on every route.
 */
export function socket({ upgrade, ...options }: SocketOptions) {
  return new Elysia({ name: 'socket' }).use(guard(options.authenticator)).get(
    '/models/:name/live',
    ({ params, request, server, token }) => {
      openSocket({ name: params.name, request, token }, options, upgrade ?? upgradeBy(server))
      // Nobody is sent this: the connection is a socket by now. It is for the log and the metrics.
      return new Response(null, { status: 101 })
    },
    { permissions: permissionTo('predict', options.engine), detail: STREAMING_DETAIL.live },
  )
}

function upgradeBy(server: unknown): Upgrade {
  // The cast: Elysia types the server for any data.
  const listening = server as { readonly upgrade: Upgrade } | null
  return (request, options) => listening?.upgrade(request, options) === true
}

/**
 * Upgrades a connection to a socket, on which each message is a prediction. Bun buffers an incomplete message invisibly,
 * so each socket is charged for the longest there may be.
 * @throws VestalError MODEL_UNKNOWN, MODEL_UNAVAILABLE, UPGRADE_REQUIRED, MEMORY_LIMIT, SUBJECT_MEMORY_LIMIT
 */
function openSocket(opening: Opening, options: LongLivedOptions, upgrade: Upgrade): void {
  const { name, request, token } = opening
  const { engine, memory, report, readiness, taskLimits } = options
  findReadyVersion(findModel(engine, name))
  const abort = new AbortController()
  const subject = token.principal.key
  const hold = memory.ledger.open(subject)
  hold.grow(SOCKET_BYTES + memory.messageBytesMax)
  const charge = (bytes: number) => (bytes > 0 ? hold.grow(bytes) : hold.shrink(-bytes))
  const connection = new Connection({
    caller: { engine, name, subject, allows: token.allows, signal: abort.signal, state: new SocketState(charge), taskLimits },
    recheck: createRecheck(options, opening),
    expiresAtMs: token.payload.exp === undefined ? undefined : token.payload.exp * 1000,
    messageBytesMax: memory.messageBytesMax,
    hold,
    whenEnding: endOf('socket', readiness),
    report: (error) => report(error, request),
    abort,
  })
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

/**
 * One open WebSocket: messages are answered one after the other, in their order. Nothing is computed while the client does not read, and
 * the connection ends with its token, or with the server once what came before that is answered.
 */
class Connection {
  readonly #options: ConnectionOptions
  readonly #waiting: (string | Uint8Array)[] = []
  #expiry: ReturnType<typeof setTimeout> | undefined
  #waitingBytes = 0
  #answered = 0
  #socket: Socket | undefined
  #isWorking = false
  #isClosed = false
  #isEnding = false
  #forget: (() => void) | undefined
  #drain = Promise.withResolvers<void>()

  constructor(options: ConnectionOptions) {
    this.#options = options
  }

  /** Says that the connection is there. */
  opened(socket: Socket): void {
    this.#socket = socket
    this.#watch()
    this.#forget = this.#options.whenEnding(() => this.#end())
  }

  /** Takes a message; too large a one, or one more than may wait, ends the connection. */
  receive(message: string | Uint8Array): void {
    // What comes now is not answered, and the code of the end says that another connection may ask again.
    if (this.#isClosed || this.#isEnding) return
    const bytes = bytesIn(message)
    this.#waitingBytes += bytes
    if (bytes > this.#options.messageBytesMax) this.#close(CLOSE.tooBig, 'the message is too large')
    else if (this.#waiting.length >= MESSAGES_MAX || this.#waitingBytes > this.#options.messageBytesMax * 2) {
      this.#close(CLOSE.tooMany, 'too many messages wait for an answer')
    } else if (this.#charge(bytes)) {
      // Bun hands over memory that it uses again.
      this.#waiting.push(typeof message === 'string' ? message : new Uint8Array(message))
      if (!this.#isWorking) void this.#work()
    }
  }

  /** Charges a message; where there is no room for it the connection ends. */
  #charge(bytes: number): boolean {
    try {
      this.#options.hold.grow(bytes)
      return true
    } catch (error) {
      if (!(error instanceof VestalError)) throw error
      const whose = error.code === 'SUBJECT_MEMORY_LIMIT' ? 'subject_bytes_max' : 'input_bytes_max'
      this.#close(CLOSE.tooMany, `too many bytes are held, see ${whose}`)
      return false
    }
  }

  /** Says that the client has read some of what was sent. */
  drained(): void {
    if ((this.#socket?.getBufferedAmount() ?? 0) === 0) this.#drain.resolve()
  }

  /** Closes the connection: its pending predictions are cancelled. */
  closed(): void {
    this.#isClosed = true
    clearTimeout(this.#expiry)
    this.#forget?.()
    this.#waiting.length = 0
    this.#options.abort.abort()
    this.#options.hold.release()
    this.#drain.resolve()
  }

  /** Asks again when the token expires, and then each second: the clock of the check has a leeway. */
  #watch(): void {
    const { expiresAtMs } = this.#options
    if (expiresAtMs === undefined || this.#isClosed) return
    const delayMs = Math.min(TIMER_MS_MAX, Math.max(WATCH_MS, expiresAtMs - Date.now()))
    this.#expiry = setTimeout(async () => {
      if (await this.#check()) this.#watch()
    }, delayMs)
    this.#expiry.unref()
  }

  async #work(): Promise<void> {
    this.#isWorking = true
    for (let message = this.#waiting.shift(); message !== undefined && !this.#isClosed; message = this.#waiting.shift()) {
      const answer = await this.#answer(message)
      const bytes = bytesIn(message)
      this.#waitingBytes -= bytes
      this.#options.hold.shrink(bytes)
      if (answer === undefined || this.#isClosed) break
      await this.#send(answer)
      this.#answered += 1
      if (this.#answered % TURN_MESSAGES_MAX === 0) await new Promise(setImmediate)
    }
    this.#isWorking = false
    if (this.#isEnding && !this.#isClosed) this.#end()
  }

  /** Sends an answer, which is charged until the client has read it. */
  async #send(answer: string | Uint8Array): Promise<void> {
    const { hold } = this.#options
    this.#drain = Promise.withResolvers<void>()
    const sent = this.#socket?.send(answer)
    // Only pongs, which Bun writes by itself, can precede an answer: a client that pings and reads nothing gets no more.
    if (sent === IS_DROPPED) return this.#close(CLOSE.tooMany, 'too many pongs are unread')
    if (sent !== IS_FULL) return
    const bytes = bytesIn(answer)
    if (!this.#charge(bytes)) return
    await this.#drain.promise
    hold.shrink(bytes)
  }

  /** Closes once everything that came is answered. */
  #end(): void {
    this.#isEnding = true
    if (!this.#isWorking) this.#close(CLOSE.goingAway, 'the server is going away')
  }

  /** The answer to a message; undefined once the connection is closed. */
  async #answer(message: string | Uint8Array): Promise<string | Uint8Array | undefined> {
    const { caller, report } = this.#options
    try {
      return (await this.#check(message)) ? await answerMessage(message, caller) : undefined
    } catch (error) {
      const failure = vestalErrorIn(error)
      if (failure !== undefined) return failureMessage(message, failure)
      report(error)
      this.#close(CLOSE.internal, 'internal error')
      return undefined
    }
  }

  /** True while the token is accepted; otherwise the client gets the reason and the connection is closed. */
  async #check(message?: string | Uint8Array): Promise<boolean> {
    const rejection = await this.#options.recheck()
    if (rejection === undefined || this.#isClosed) return !this.#isClosed
    if (message !== undefined) this.#socket?.send(failureMessage(message, rejection))
    this.#close(rejection.status === 403 ? CLOSE.forbidden : CLOSE.unauthorized, String(rejection.detail))
    return false
  }

  #close(code: number, reason: string): void {
    this.#socket?.close(code, reason)
    this.closed()
  }
}

function bytesIn(message: string | Uint8Array): number {
  return typeof message === 'string' ? Buffer.byteLength(message) : message.byteLength
}

/**
 * A text is JSON: `{"input": rows}` is answered with `{"output"}`, `{"inputs": tensors}` as the Open Inference Protocol has it. A binary
 * message is such a request with binary tensor data: the length of its JSON, the JSON, the data; the answer has the same form.
 */
async function answerMessage(message: string | Uint8Array, caller: PartCaller): Promise<string | Uint8Array> {
  if (typeof message === 'string') return (await predictPart(text, Buffer.from(message), caller)).json
  const { json, blobs } = await predictPart(binary, message, caller)
  return framed(json, blobs)
}

/** The answer that says what was wrong with a message. */
function failureMessage(message: string | Uint8Array, { status, detail }: VestalError): string | Uint8Array {
  const json = JSON.stringify({ status_code: status, detail, error: null })
  return typeof message === 'string' ? json : framed(json, [])
}

/** A message of text is in rows or in tensors; its answer is JSON, whatever it asks for. */
const text: Codec<RowForm | InferRequest> = {
  taskIn: (bytes) =>
    decodeJson(bytes, {}, (message) =>
      isObject(message) && message.input !== undefined && !('inputs' in message)
        ? { input: message.input, parameters: message.parameters ?? {}, write: (json) => `{"output":${json}}` }
        : undefined,
    ),
  decode: (bytes, target) =>
    decodeJson(bytes, jsonOptions(target), (message) => {
      if (!isObject(message) || !('inputs' in message)) return decodeRowsMessage(message, target.version)
      const question = decodeTensors(message, target)
      const outputs = question.form.outputs.map((output) => ({ ...output, isBinary: false }))
      return { ...question, form: { ...question.form, outputs } }
    }),
  encode: (results, form, target) =>
    typeof form === 'string' ? rows.encode(results, form, target) : openInference.encode(results, form, target),
}

/** Bytes of the JSON's length, little-endian, at the beginning of a binary message. */
const LENGTH_BYTES = 4

const binary: Codec<InferRequest> = {
  decode(message, target) {
    if (message.length >= LENGTH_BYTES) {
      const jsonLength = new DataView(message.buffer, message.byteOffset).getUint32(0, true)
      return openInference.decode(message.subarray(LENGTH_BYTES), target, jsonLength)
    }
    throw new VestalError('BODY_INVALID', {
      detail: `a binary message must begin with the length of its JSON, in ${LENGTH_BYTES} bytes`,
    })
  },
  encode: openInference.encode,
}

function framed(json: string, blobs: readonly Uint8Array[]): Uint8Array {
  const length = new Uint8Array(LENGTH_BYTES)
  const { bytes, jsonLength } = joined({ json, blobs })
  new DataView(length.buffer).setUint32(0, jsonLength, true)
  return Buffer.concat([length, bytes])
}
