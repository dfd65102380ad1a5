import { type ErrorCode, VestalError } from '../../core/errors.ts'
import { type LedgerLimits, MemoryLedger } from '../../core/memory-ledger.ts'
import type { RejectionReason } from '../statistics.ts'

export interface AdmissionLimits extends LedgerLimits {
  /** Requests of all models that wait or run. */
  readonly requestsMax: number
  /** Of these, requests of one subject. */
  readonly subjectRequestsMax: number
}

/**
 * Counts the pending requests of the whole server, and those of each subject. The bytes of inputs are counted in the ledger, beside
 * all else that is held for requests.
 */
export class Admission {
  readonly memory: MemoryLedger
  #limits: AdmissionLimits
  readonly #subjects = new Map<string, number>()
  #requests = 0

  constructor(limits: AdmissionLimits, memory = new MemoryLedger(limits)) {
    this.#limits = limits
    this.memory = memory
  }

  /** Takes other limits from now on; what is in stays in. */
  limit(limits: AdmissionLimits): void {
    this.#limits = limits
    this.memory.limit(limits)
  }

  get requests(): number {
    return this.#requests
  }

  get bytes(): number {
    return this.memory.bytes
  }

  /**
   * Admits a request, or says which limit it exceeds. The subject's own limit comes first: it is the one to change.
   * Requests of no subject (`''`) have only the server's limits.
   */
  enter(subject: string, bytes: number): 'entered' | 'queue-full' | 'subject-limit' | 'subject-bytes' {
    const { requestsMax, subjectRequestsMax } = this.#limits
    const own = this.#subjects.get(subject) ?? 0
    if (subject !== '' && own >= subjectRequestsMax) return 'subject-limit'
    if (this.#requests >= requestsMax) return 'queue-full'
    // At least one byte: a single request may be larger than the limit, and one without bytes counts too.
    const charge = this.memory.enter(subject, bytes || 1)
    if (charge !== 'entered') return charge === 'bytes' ? 'queue-full' : charge
    this.#subjects.set(subject, own + 1)
    this.#requests += 1
    return 'entered'
  }

  /** Gives back a place that was taken with the same two. */
  leave(subject: string, bytes: number): void {
    const own = (this.#subjects.get(subject) ?? 0) - 1
    if (own > 0) this.#subjects.set(subject, own)
    else this.#subjects.delete(subject)
    this.#requests -= 1
    this.memory.leave(subject, bytes || 1)
  }
}

const CODES: Readonly<Record<RejectionReason, ErrorCode>> = {
  'queue-full': 'QUEUE_FULL',
  'subject-limit': 'SUBJECT_LIMIT',
  'subject-bytes': 'SUBJECT_MEMORY_LIMIT',
  timeout: 'REQUEST_TIMEOUT',
  aborted: 'REQUEST_ABORTED',
  'worker-lost': 'WORKER_LOST',
  stopping: 'SERVER_STOPPING',
}

/**
 * Seconds after which to ask again where the server could not take or finish a request; one whose run took too long is not asked to.
 * A queue that is full, or too slow for a request's time, says when it will have been worked off; a subject's own limit has room as
 * soon as one of its requests is done.
 */
const RETRY_AFTER: Readonly<Partial<Record<RejectionReason, string>>> = {
  'subject-limit': '1',
  'subject-bytes': '1',
  'worker-lost': '1',
  stopping: '1',
}

export interface RejectionOptions {
  /** Seconds in which the queue will be worked off. */
  readonly queueSeconds: number
  /** True for a request that left the queue without a run. */
  readonly hasWaited: boolean
}

/** The error of a rejected or cancelled request. */
export function rejection(reason: RejectionReason, { queueSeconds, hasWaited }: RejectionOptions): VestalError {
  const isOfQueue = reason === 'queue-full' || (reason === 'timeout' && hasWaited)
  const after = isOfQueue ? String(queueSeconds) : RETRY_AFTER[reason]
  const code = reason === 'timeout' && hasWaited ? 'QUEUE_TIMEOUT' : CODES[reason]
  return new VestalError(code, after === undefined ? {} : { headers: { 'retry-after': after } })
}
