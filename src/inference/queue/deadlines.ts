import type { Clock } from '../../core/clock.ts'
import { type IndexedItem, IndexedSet } from '../../core/indexed-set.ts'
import type { Submission } from './job.ts'

interface Timed extends IndexedItem {
  readonly deadlineMs: number
}

/** Calls back for each job past its deadline, with one timer for all: it is set to the earliest deadline, and set again when it fires. */
export class Deadlines<J extends Timed> {
  readonly #clock: Clock
  readonly #expire: (job: J) => void
  readonly #jobs = new IndexedSet<J>()
  #wakeMs = Number.POSITIVE_INFINITY
  #callOff: (() => void) | undefined

  constructor(clock: Clock, expire: (job: J) => void) {
    this.#clock = clock
    this.#expire = expire
  }

  add(job: J): void {
    this.#jobs.add(job)
    this.#wakeAt(job.deadlineMs)
  }

  /** Those that were added and not removed. */
  all(): readonly J[] {
    return this.#jobs.all()
  }

  remove(job: J): void {
    // A timer that is left over finds nothing to do: most jobs end in time, and a timer each would cost more.
    this.#jobs.remove(job)
  }

  /** Expires overdue jobs at once, where a timer is late. */
  look(): void {
    if (this.#clock.now() < this.#wakeMs) return
    this.#callOff?.()
    this.#wake()
  }

  #wakeAt(timeMs: number): void {
    if (timeMs >= this.#wakeMs) return
    this.#callOff?.()
    this.#wakeMs = timeMs
    this.#callOff = this.#clock.at(timeMs, () => this.#wake())
  }

  #wake(): void {
    const nowMs = this.#clock.now()
    this.#wakeMs = Number.POSITIVE_INFINITY
    this.#callOff = undefined
    let next = Number.POSITIVE_INFINITY
    for (const job of this.#jobs.all()) {
      if (job.deadlineMs <= nowMs) {
        this.#jobs.remove(job)
        this.#expire(job)
      } else next = Math.min(next, job.deadlineMs)
    }
    this.#wakeAt(next)
  }
}

interface Cancellable {
  readonly submission: Pick<Submission<unknown>, 'signal'>
  readonly takenMs: number
  isAnswered: boolean
  stopListening: (() => void) | undefined
}

/** A request that is answered before this costs no listener; what is cut off in this time is noticed at its end. */
const LATE_MS = 20

/**
 * Tells of callers that gave their request up. A signal that is given as a function is asked for once its request has waited for a
 * while: making and hearing one costs more than a small model, and most requests are answered sooner. Nothing is kept for that but a timer: what is
 * kept of a request that has its answer is work for the collector.
 */
export class Cancellations<J extends Cancellable> {
  readonly #clock: Clock
  readonly #inFlight: { all(): readonly J[] }
  readonly #cancel: (job: J) => void
  #isTimed = false

  /** @param inFlight gives the jobs that have no answer yet; others may be among them */
  constructor(clock: Clock, inFlight: { all(): readonly J[] }, cancel: (job: J) => void) {
    this.#clock = clock
    this.#inFlight = inFlight
    this.#cancel = cancel
  }

  /** Listens until the job's `stopListening` is called. */
  watch(job: J): void {
    const { signal } = job.submission
    if (typeof signal === 'object') this.#listen(job, signal)
    else if (signal !== undefined && !this.#isTimed) this.#lookLater()
  }

  #listen(job: J, signal: AbortSignal): void {
    if (signal.aborted) {
      this.#cancel(job)
      return
    }
    const cancel = () => this.#cancel(job)
    signal.addEventListener('abort', cancel)
    // A signal may outlive many requests, so the listener of an answered one is removed.
    job.stopListening = () => signal.removeEventListener('abort', cancel)
  }

  #lookLater(): void {
    this.#isTimed = true
    this.#clock.at(this.#clock.now() + LATE_MS, () => {
      this.#isTimed = false
      this.#look()
    })
  }

  #look(): void {
    const dueMs = this.#clock.now() - LATE_MS
    let isEarly = false
    for (const job of this.#inFlight.all()) {
      const { signal } = job.submission
      if (typeof signal !== 'function' || job.isAnswered || job.stopListening !== undefined) continue
      if (job.takenMs > dueMs) isEarly = true
      else this.#listen(job, signal())
    }
    if (isEarly) this.#lookLater()
  }
}
