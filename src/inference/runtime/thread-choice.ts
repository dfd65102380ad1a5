/** A run that takes one thread less than this gains nothing from others: to wake them, once for each operator, takes longer. */
const LONG_MS = 0.5
/** Long runs in a row that show that more threads are worth waking; the first runs of a model take longer than the next. */
const LONG_RUNS = 3
/** A run of a size that was short takes so many times as long: it is no longer taken for short. */
const DOUBT = 4

/** How a run is computed: by one thread, by many, or by one whose time is to be noted. */
export type Width = 'one' | 'many' | 'measured'

/**
 * Chooses whether runs of a small model are computed by one thread or by many, by the bytes of their inputs: from short runs up to some size and long
 * ones from some size on. A size between is measured. Pure.
 */
export class ThreadChoice {
  /** Inputs up to this size were computed in a short time. */
  #shortBytes = -1
  /** Inputs from this size on take long. */
  #longBytes = Number.POSITIVE_INFINITY
  #longRuns = 0

  /** How a run with inputs of so many bytes is to be computed. */
  of(bytes: number): Width {
    if (bytes <= this.#shortBytes) return 'one'
    return bytes >= this.#longBytes ? 'many' : 'measured'
  }

  /** Notes what a measured run took of its thread. */
  note(bytes: number, threadMs: number): void {
    if (threadMs < LONG_MS) {
      this.#shortBytes = Math.max(this.#shortBytes, bytes)
      this.#longRuns = 0
      return
    }
    this.#longRuns += 1
    if (this.#longRuns < LONG_RUNS) return
    this.#longBytes = bytes
    this.#longRuns = 0
  }

  /** Notes how long a run by one thread took by the clock, other processes included: the size of one that took long is measured again. */
  look(bytes: number, wallMs: number): void {
    if (wallMs > LONG_MS * DOUBT) this.#shortBytes = Math.min(this.#shortBytes, bytes - 1)
  }
}
