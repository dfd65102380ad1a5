import type { Clock } from '../../core/clock.ts'
import type { Submission } from './job.ts'

interface Cancellable {
  readonly submission: Pick<Submission<unknown>, 'signal'>
  readonly takenMs: number
  isAnswered: boolean
  stopListening: (() => void) | undefined
}

/** Gives the jobs that have no answer yet; others may be among them. */
interface AtHand<J> {
  all(): readonly J[]
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
  readonly #atHand: AtHand<J>
  readonly #cancel: (job: J) => void
  #isTimed = false

  constructor(clock: Clock, atHand: AtHand<J>, cancel: (job: J) => void) {
    this.#clock = clock
    this.#atHand = atHand
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
    // A signal may outlive many requests, so nobody listens to it for one that has its answer.
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
    for (const job of this.#atHand.all()) {
      const { signal } = job.submission
      if (typeof signal !== 'function' || job.isAnswered || job.stopListening !== undefined) continue
      if (job.takenMs > dueMs) isEarly = true
      else this.#listen(job, signal())
    }
    if (isEarly) this.#lookLater()
  }
}
