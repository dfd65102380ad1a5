import type { Clock } from '../../core/clock.ts'
import { type IndexedItem, IndexedSet } from '../../core/indexed-set.ts'

interface Timed extends IndexedItem {
  readonly deadlineMs: number
}

/** Tells of each job whose time is over, with one timer for all: it is set to the earliest, and looks again when it fires. */
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

  /** Tells at once of those whose time is over, where a timer is late. */
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
