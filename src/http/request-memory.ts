import { freeBytes } from '../core/free-bytes.ts'
import { HELD_BYTES_MAX, type Hold, MemoryLedger, withShare } from '../core/memory-ledger.ts'
import { keyOfAddress } from '../core/principal.ts'
import { usableCores } from '../platform/cores.ts'
import type { NamedTensors } from '../tensor/tensor.ts'
import { BODY_BYTES_MAX, type BodyTimes, type Decompression, readBody } from './body.ts'
import type { TooLargeText } from './encodings.ts'
import type { Servers } from './servers.ts'
import { createTurns } from './turns.ts'

export interface RequestMemoryOptions {
  /** Default one of its own. */
  readonly ledger?: MemoryLedger | undefined
  /** Longest body where a route sets no limit of its own; default 64 MiB. */
  readonly bodyBytesMax?: number | undefined
  readonly bodyTimes?: BodyTimes | undefined
  /** How many times its size a compressed body may expand to; default 100. */
  readonly expansionRatioMax?: number | undefined
  /** Longest message of a WebSocket, or of a body where that is less; default 1 MiB. */
  readonly messageBytesMax?: number | undefined
  /** What knows which answers are still being sent. By default an answer counts as sent at once. */
  readonly servers?: Pick<Servers, 'isSending' | 'pendingOnSockets'> | undefined
  /** Who a request without a token is from; default one principal for all of them. */
  readonly addressOf?: ((request: Request) => string) | undefined
  /** The id of a request, where it has one. */
  readonly idOf?: ((request: Request) => string | undefined) | undefined
}

/** Bytes of a message of a WebSocket by default. Bun buffers an incomplete one invisibly, so a socket is charged for it. */
const MESSAGE_BYTES_MAX = 1024 * 1024

/** Decompressions that run at once: each keeps a core busy, and the rest of the server needs one. */
const DECOMPRESSIONS_MAX = Math.min(4, Math.max(1, usableCores() - 1))
/** Compressed bodies that wait for their turn, of all principals and of one. They are charged as received. */
const WAITING_MAX = 1024
const PRINCIPAL_WAITING_MAX = 128
/** Answers smaller than this are not charged: the system's own buffer of a connection takes them. */
const ANSWER_BYTES_MIN = 64 * 1024
/** A smaller body or output is left to the collector. */
const FREED_BYTES_MIN = 64 * 1024
/** Bytes of rejected outputs and bodies after which memory is collected. */
const DISCARDED_BYTES_MAX = 128 * 1024 * 1024
/** Milliseconds between two looks at the answers that are being sent. Bun does not report that one was sent; it can be asked. */
const LOOK_MS = 25

/** Reads the bodies of an app's requests and sends their answers; whatever they hold is charged to the one who sent them. */
export class RequestMemory {
  readonly ledger: MemoryLedger
  readonly bodyBytesMax: number
  readonly messageBytesMax: number
  readonly #bodyTimes: BodyTimes | undefined
  readonly #decompression: Decompression
  readonly #servers: RequestMemoryOptions['servers']
  readonly #addressOf: (request: Request) => string
  readonly #idOf: NonNullable<RequestMemoryOptions['idOf']>
  readonly #isReceived = (request: Request) => this.#servers?.isSending(request) === true
  readonly #sending = new Map<Request, Hold>()
  #discarded = 0
  /** Requests that are being worked on. */
  #working = 0
  #timer: ReturnType<typeof setInterval> | undefined

  constructor(options: RequestMemoryOptions) {
    const { bodyBytesMax = BODY_BYTES_MAX, bodyTimes, expansionRatioMax: ratioMax } = options
    this.ledger = options.ledger ?? new MemoryLedger(withShare({ bytesMax: HELD_BYTES_MAX }))
    this.bodyBytesMax = bodyBytesMax
    this.messageBytesMax = Math.min(bodyBytesMax, options.messageBytesMax ?? MESSAGE_BYTES_MAX)
    this.#bodyTimes = bodyTimes
    const turns = createTurns({
      atOnceMax: DECOMPRESSIONS_MAX,
      waitingMax: WAITING_MAX,
      principalWaitingMax: PRINCIPAL_WAITING_MAX,
    })
    this.#decompression = { ratioMax, turns }
    this.#servers = options.servers
    this.#addressOf = options.addressOf ?? (() => 'unknown')
    this.#idOf = options.idOf ?? (() => undefined)
  }

  /** How many times its size a compressed body may expand to. */
  get expansionRatioMax(): number | undefined {
    return this.#decompression.ratioMax
  }

  /** The id of a request, for logs; undefined where it has none. */
  idOf(request: Request): string | undefined {
    return this.#idOf(request)
  }

  /** Opens what a request holds; it must be closed. */
  open(request: Request, principal: string): RequestHold {
    this.#working += 1
    return new RequestHold(this, request, this.ledger.open(principal))
  }

  /**
   * Reads the small body of a request whose work needs no memory to speak of.
   * @param principal who it is from; default the address
   * @throws VestalError as `readBody`
   */
  async readSmall(
    request: Request,
    bytesMax: number,
    principal = keyOfAddress(this.#addressOf(request)),
    tooLarge?: TooLargeText,
  ): Promise<Uint8Array> {
    const held = this.open(request, principal)
    try {
      return await held.read(tooLarge, bytesMax)
    } finally {
      held.close()
    }
  }

  /** Reads a body into a hold. @throws VestalError as `readBody` */
  read(
    request: Request,
    hold: Hold,
    { bytesMax, tooLarge }: { readonly bytesMax: number; readonly tooLarge: TooLargeText | undefined },
  ): Promise<Uint8Array> {
    return readBody(request, {
      bytesMax,
      times: this.#bodyTimes,
      hold,
      decompression: this.#decompression,
      discarded: (bytes) => this.discarded(bytes),
      tooLarge,
      isReceived: this.#isReceived,
    })
  }

  /**
   * Says that bytes were taken and then rejected. The collector does not know that the next ones are on their way, so that under an attack
   * it would come late; nothing else pays for this.
   */
  discarded(bytes: number): void {
    this.#discarded += bytes
    if (this.#discarded < DISCARDED_BYTES_MAX) return
    this.#discarded = 0
    Bun.gc(true)
  }

  /** Says that a request is worked on no more. */
  closed(): void {
    this.#working -= 1
  }

  /** Holds what an answer holds until it is sent, or its connection is gone. */
  holdUntilSent(request: Request, hold: Hold): void {
    this.#sending.set(request, hold)
    this.#timer ??= setInterval(() => this.#look(), LOOK_MS)
    this.#timer.unref()
  }

  /** Answers that are sent. On a unix socket the number of those that are not is all there is to know, so it counts for the largest. */
  #sent(): readonly (readonly [Request, Hold])[] {
    const others = [...this.#sending].filter(([request]) => this.#servers?.isSending(request) !== true)
    const unsent = (this.#servers?.pendingOnSockets() ?? 0) - this.#working
    return unsent <= 0 ? others : others.sort(([, a], [, b]) => b.bytes - a.bytes).slice(unsent)
  }

  #look(): void {
    for (const [request, hold] of this.#sent()) {
      this.#sending.delete(request)
      hold.release()
    }
    if (this.#sending.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}

/** What one request holds, from its body to its answer. */
export class RequestHold {
  readonly #memory: RequestMemory
  readonly #request: Request
  readonly #hold: Hold
  #body: Uint8Array | undefined
  #outputs: NamedTensors | undefined
  #isSent = false

  constructor(memory: RequestMemory, request: Request, hold: Hold) {
    this.#memory = memory
    this.#request = request
    this.#hold = hold
  }

  /** Reads the body. @throws VestalError as `readBody` */
  read(tooLarge?: TooLargeText, bytesMax = this.#memory.bodyBytesMax): Promise<Uint8Array> {
    return this.#memory.read(this.#request, this.#hold, { bytesMax, tooLarge })
  }

  /**
   * Holds nothing for now: the body was decoded, and the engine charges what became of it from here on, in the same turn. Tensors may be
   * views of the body until there is an answer; then its memory is free.
   */
  handOver(body: Uint8Array): void {
    // What came in pieces may be the memory of a caller within this process, who goes on to use it.
    if (body.byteLength >= FREED_BYTES_MIN && this.#request.headers.has('content-length')) this.#body = body
    this.#hold.set(0)
  }

  /** Holds so many bytes more, beside the body. @throws VestalError SUBJECT_MEMORY_LIMIT, MEMORY_LIMIT */
  grow(bytes: number): void {
    this.#hold.grow(bytes)
  }

  /**
   * Charges outputs before they are written as an answer: what there is no room for need not be written, and gives its memory back, as the
   * others do with the answer.
   * @throws VestalError SUBJECT_MEMORY_LIMIT, MEMORY_LIMIT
   */
  computed(outputs: NamedTensors): void {
    let bytes = 0
    for (const { data } of outputs.values()) bytes += ArrayBuffer.isView(data) ? data.byteLength : data.length
    if (bytes >= FREED_BYTES_MIN) this.#outputs = outputs
    try {
      this.make(bytes)
    } catch (error) {
      this.#freeOutputs()
      throw error
    }
  }

  /**
   * Charges bytes of an answer that is being made.
   * @throws VestalError SUBJECT_MEMORY_LIMIT, MEMORY_LIMIT
   */
  make(bytes: number): void {
    if (bytes >= ANSWER_BYTES_MIN) this.#hold.set(bytes)
  }

  /**
   * Gives an answer that is charged until it is sent, or its connection is gone. Nothing needs the body and the outputs any more.
   * @throws VestalError SUBJECT_MEMORY_LIMIT, MEMORY_LIMIT
   */
  answer(response: Response, bytes: number): Response {
    if (this.#body !== undefined) freeBytes(this.#body)
    this.#freeOutputs()
    if (bytes < ANSWER_BYTES_MIN) return response
    this.#hold.set(bytes)
    this.#memory.holdUntilSent(this.#request, this.#hold)
    this.#isSent = true
    return response
  }

  /** Requests of one run have parts of the same memory, which are left to the collector. */
  #freeOutputs(): void {
    for (const { data } of this.#outputs?.values() ?? []) {
      if (!ArrayBuffer.isView(data) || data.byteLength < FREED_BYTES_MIN || data.byteLength < data.buffer.byteLength) continue
      freeBytes(data)
    }
    this.#outputs = undefined
  }

  /** Says that the request has its answer, or failed. */
  close(): void {
    this.#memory.closed()
    if (!this.#isSent) this.#hold.release()
  }
}
