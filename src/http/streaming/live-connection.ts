import { VestalError } from '../../core/errors.ts'
import type { Hold } from '../../core/memory-ledger.ts'
import { vestalErrorIn } from '../errors.ts'
import type { Witness } from './witness.ts'

/** What is used of Bun's WebSocket. */
export interface Socket {
  send(message: string | Uint8Array): number
  close(code: number, reason: string): void
  /** Bytes that were sent and that the system has not taken yet. */
  getBufferedAmount(): number
}

/** Answers a message, in the form that it came in. */
export interface MessagePredictor {
  (message: string | Uint8Array): Promise<string | Uint8Array>
  /** The answer that says what was wrong with a message. */
  readonly failure: (message: string | Uint8Array, error: VestalError) => string | Uint8Array
}

export interface LiveConnectionOptions {
  readonly predict: MessagePredictor
  readonly stillMay: Witness
  /** When the token expires, in milliseconds since 1970; absent when it does not. */
  readonly expiresAtMs: number | undefined
  readonly messageBytesMax: number
  /** Holds what the socket holds by being open; messages and unread answers are charged to it. */
  readonly hold: Hold
  /** Calls back when the server leaves the connection to another process, or stops; gives what takes that back. */
  readonly whenEnding: (hear: () => void) => () => void
  readonly report: (error: unknown) => void
  readonly abort: AbortController
}

/** Messages of one connection that wait while another is computed, and their bytes. */
export const MESSAGES_MAX = 64
/** Messages that are answered before others get a turn: what is rejected at once would keep the thread for all that has come. */
const TURN_MESSAGES_MAX = 16
/** Codes of the WebSocket registry: unauthorized, forbidden, going away, message too big, internal error, try again later. */
const CLOSE = { unauthorized: 3000, forbidden: 3003, goingAway: 1001, tooBig: 1009, internal: 1011, tooMany: 1013 } as const
/** How long after it has expired a token is asked for again. */
const WATCH_MS = 1000
/** A timer cannot wait longer. */
const TIMER_MS_MAX = 2 ** 31 - 1
/** What Bun's `send` gives when the client reads too slowly: what it keeps until then, and what it does not take. */
const [IS_FULL, IS_DROPPED] = [-1, 0]

/**
 * One open WebSocket: messages are answered one after the other, in their order. Nothing is computed while the client does not read, and
 * the connection ends with its token, or with the server once what came before that is answered.
 */
export class LiveConnection {
  readonly #options: LiveConnectionOptions
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

  constructor(options: LiveConnectionOptions) {
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

  /** Says that the connection is over: what is computed for it is given up. */
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
    // Only pongs, which Bun writes by itself, can be before an answer: whoever pings and reads nothing gets no more.
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
    const { predict, report } = this.#options
    try {
      return (await this.#check(message)) ? await predict(message) : undefined
    } catch (error) {
      const failure = vestalErrorIn(error)
      if (failure !== undefined) return predict.failure(message, failure)
      report(error)
      this.#close(CLOSE.internal, 'internal error')
      return undefined
    }
  }

  /** True while the token may; otherwise the refusal is told and the connection closed. */
  async #check(message?: string | Uint8Array): Promise<boolean> {
    const refusal = await this.#options.stillMay()
    if (refusal === undefined || this.#isClosed) return !this.#isClosed
    if (message !== undefined) this.#socket?.send(this.#options.predict.failure(message, refusal))
    this.#close(refusal.status === 403 ? CLOSE.forbidden : CLOSE.unauthorized, String(refusal.detail))
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
