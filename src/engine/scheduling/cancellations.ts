import type { Clock } from './clock.ts'
import type { Submission } from './job.ts'

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
 * while: making and hearing one costs more than a small model, and most requests are answered sooner.
 */
export class Cancellations<J extends Cancellable> {
  readonly #clock: Clock
  readonly #cancel: (job: J) => void
  /** In the order in which they came. */
  #late: J[] = []
  #isTimed = false

  constructor(clock: Clock, cancel: (job: J) => void) {
    this.#clock = clock
    this.#cancel = cancel
  }

  /** Listens until the job's `stopListening` is called. */
  watch(job: J): void {
    const { signal } = job.submission
    if (signal === undefined) return
    if (typeof signal === 'function') {
      this.#late.push(job)
      if (!this.#isTimed) this.#lookLater()
    } else this.#listen(job, signal)
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
    const jobs = this.#late
    const dueMs = this.#clock.now() - LATE_MS
    const early = jobs.findIndex(({ takenMs }) => takenMs > dueMs)
    this.#late = early === -1 ? [] : jobs.splice(early)
    if (this.#late.length > 0) this.#lookLater()
    for (const job of jobs) {
      const { signal } = job.submission
      if (!job.isAnswered && typeof signal === 'function') this.#listen(job, signal())
    }
  }
}
