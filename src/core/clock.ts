/** Where time comes from; a test moves its own. */
export interface Clock {
  /** Milliseconds that only go forward. */
  now(): number
  /** Calls back once the work queued in this turn of the event loop is done. */
  soon(work: () => void): void
  /** Calls back at that time; returns a function that cancels it. The process may exit before, unless the timer keeps it alive. */
  at(timeMs: number, wake: () => void, options?: { readonly keepsAlive: true }): () => void
}

/** Longest wait of one timer: a longer one would be taken for none. */
const TIMER_MS_MAX = 2 ** 31 - 1

/** The time of this machine. */
export const SYSTEM_CLOCK: Clock = {
  now: () => performance.now(),
  soon: (work) => void setImmediate(work),
  at(timeMs, wake, options) {
    const timer = setTimeout(wake, Math.min(Math.max(0, Math.ceil(timeMs - performance.now())), TIMER_MS_MAX))
    if (options === undefined) timer.unref()
    return () => clearTimeout(timer)
  },
}
