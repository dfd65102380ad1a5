export interface RateLimiterOptions {
  /** Units a minute; a whole minute's worth may come at once. */
  readonly perMinute: number
  /** Keys that are remembered; default 10 000. The one that was asked for longest ago is forgotten for the next. */
  readonly keysMax?: number
  /** Milliseconds of a clock that is never set; default `performance.now`. */
  readonly now?: () => number
}

/** What became of a request for units. */
export interface RateState {
  readonly isAllowed: boolean
  /** Units that may still come at once. */
  readonly remaining: number
  /** Seconds until all of them may again. */
  readonly resetSeconds: number
  /** Seconds until this many are allowed; 0 where they are. */
  readonly retrySeconds: number
}

const WINDOW_MS = 60_000
const KEYS_MAX = 10_000

/**
 * Allows so many units a minute to each key, by the generic cell rate algorithm: one number a key, no timer, and no border of a window at
 * which twice as many could come. More units at once than a minute has are allowed to a key that has all of its own, and are then owed.
 */
export class RateLimiter {
  readonly #options: Required<RateLimiterOptions>
  /** When each key will have all of its units again. */
  readonly #fullAtMs = new Map<string, number>()

  constructor(options: RateLimiterOptions) {
    this.#options = { keysMax: KEYS_MAX, now: () => performance.now(), ...options }
  }

  get perMinute(): number {
    return this.#options.perMinute
  }

  take(key: string, units = 1): RateState {
    const { perMinute, keysMax, now } = this.#options
    const nowMs = now()
    const unitMs = WINDOW_MS / perMinute
    const fullAtMs = Math.max(nowMs, this.#fullAtMs.get(key) ?? 0)
    const costMs = units * unitMs
    const lateMs = fullAtMs - nowMs + Math.min(costMs, WINDOW_MS) - WINDOW_MS
    // A microsecond is what rounding leaves.
    const isAllowed = lateMs <= 0.001
    const nextMs = isAllowed ? fullAtMs + costMs : fullAtMs
    if (isAllowed) {
      this.#fullAtMs.delete(key)
      if (this.#fullAtMs.size >= keysMax) this.#forgetOldest()
      this.#fullAtMs.set(key, nextMs)
    }
    return {
      isAllowed,
      remaining: Math.max(0, Math.floor((WINDOW_MS - (nextMs - nowMs)) / unitMs + 0.001)),
      resetSeconds: Math.ceil((nextMs - nowMs) / 1000),
      retrySeconds: isAllowed ? 0 : Math.max(1, Math.ceil(lateMs / 1000)),
    }
  }

  #forgetOldest(): void {
    const oldest = this.#fullAtMs.keys().next()
    if (oldest.done !== true) this.#fullAtMs.delete(oldest.value)
  }
}
