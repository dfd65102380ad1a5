import type { Clock } from '../../core/clock.ts'
import { VestalError } from '../../core/errors.ts'
import type { IndexedItem } from '../../core/indexed-set.ts'
import type { MemoryLedger } from '../../core/memory-ledger.ts'
import type { NamedTensors } from '../../tensor/tensor.ts'
import { bytesOf } from '../batches.ts'
import type { InferOptions, RunTimes } from '../engine.ts'
import { rejection } from '../queue/admission.ts'
import { Cancellations, Deadlines } from '../queue/deadlines.ts'
import type { Blocks } from './exchange-area.ts'

/** The engine process ends what takes too long; one that says nothing for this long after that hangs. */
const LATE_MS = 1000

/** A request that the engine process has. */
export interface Pending extends IndexedItem {
  readonly id: number
  readonly subject: string
  readonly bytes: number
  readonly submission: Pick<InferOptions, 'signal'>
  readonly watch: ((times: RunTimes) => void) | undefined
  readonly takenMs: number
  readonly deadlineMs: number
  readonly resolve: (outputs: NamedTensors) => void
  readonly reject: (error: unknown) => void
  /** Its large inputs, until they are read. */
  blocks: Blocks
  isAnswered: boolean
  stopListening: (() => void) | undefined
}

export interface PendingOptions {
  readonly clock: Clock
  readonly memory: MemoryLedger
  /** Its caller gave it up. */
  readonly cancelled: (request: Pending) => void
}

/** The requests that are pending in the engine process, until they are answered, cancelled or failed. */
export class PendingRequests {
  readonly #options: PendingOptions
  readonly #requests = new Map<number, Pending>()
  readonly #deadlines: Deadlines<Pending>
  readonly #cancellations: Cancellations<Pending>
  #lastId = 0

  constructor(options: PendingOptions) {
    this.#options = options
    this.#deadlines = new Deadlines(options.clock, (request) => this.#giveUp(request, 'REQUEST_TIMEOUT'))
    this.#cancellations = new Cancellations(options.clock, this.#deadlines, (request) => {
      options.cancelled(request)
      this.#giveUp(request, 'REQUEST_ABORTED')
    })
  }

  get size(): number {
    return this.#requests.size
  }

  /**
   * Charges a request's inputs, and gives it a place.
   * @throws VestalError QUEUE_FULL, SUBJECT_MEMORY_LIMIT, REQUEST_ABORTED
   */
  open(
    inputs: NamedTensors,
    { signal, subject = '', timeoutMs = Number.POSITIVE_INFINITY, watch }: InferOptions,
    timeoutMsMax: number,
  ): { readonly request: Pending; readonly answer: Promise<NamedTensors> } {
    if (typeof signal === 'object' && signal.aborted) throw rejection('aborted', NOT_QUEUED)
    const bytes = bytesOf(inputs) || 1
    const charge = this.#options.memory.enter(subject, bytes)
    if (charge !== 'entered') throw rejection(charge === 'bytes' ? 'queue-full' : charge, NOT_QUEUED)
    const { promise: answer, resolve, reject } = Promise.withResolvers<NamedTensors>()
    const nowMs = this.#options.clock.now()
    this.#lastId = (this.#lastId + 1) % 2 ** 32
    const request: Pending = {
      id: this.#lastId,
      subject,
      bytes,
      submission: { signal },
      watch,
      takenMs: nowMs,
      deadlineMs: nowMs + Math.min(timeoutMs, timeoutMsMax) + LATE_MS,
      resolve,
      reject,
      blocks: [],
      isAnswered: false,
      stopListening: undefined,
      index: -1,
    }
    this.#requests.set(request.id, request)
    this.#deadlines.add(request)
    return { request, answer }
  }

  /** Listens to its caller, once it was sent. */
  watch(request: Pending): void {
    this.#cancellations.watch(request)
  }

  get(id: number): Pending | undefined {
    return this.#requests.get(id)
  }

  /** The engine process is done with it: ends its share of the limits, and returns the request. */
  close(request: Pending): void {
    if (!this.#requests.delete(request.id)) return
    this.#deadlines.remove(request)
    request.stopListening?.()
    this.#options.memory.leave(request.subject, request.bytes)
  }

  /** Tells all of them what became of the engine process. */
  failAll(error: () => VestalError): void {
    for (const request of [...this.#requests.values()]) {
      this.close(request)
      if (!request.isAnswered) request.reject(error())
    }
  }

  /** Answers the caller now; the engine process may still be at it, and its place is kept until it says so. */
  #giveUp(request: Pending, code: 'REQUEST_TIMEOUT' | 'REQUEST_ABORTED'): void {
    if (request.isAnswered) return
    request.isAnswered = true
    request.stopListening?.()
    request.reject(new VestalError(code))
  }
}

const NOT_QUEUED = { queueSeconds: 1, hasWaited: false } as const
