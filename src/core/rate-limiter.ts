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

/** What is asked of a key. */
export interface RateQuestion {
  readonly perMinute: number
  readonly units: number
}

export const WINDOW_MS = 60_000
/** What rounding leaves. */
export const SLACK_MS = 0.001
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
    const question = { perMinute, units }
    const owedMs = Math.max(0, (this.#fullAtMs.get(key) ?? 0) - nowMs)
    if (lateMsOf(owedMs, question) > SLACK_MS) return stateOf(owedMs, { ...question, isAllowed: false })
    const nextMs = owedMs + costMsOf(question)
    this.#fullAtMs.delete(key)
    if (this.#fullAtMs.size >= keysMax) this.#forgetOldest()
    this.#fullAtMs.set(key, nowMs + nextMs)
    return stateOf(nextMs, { ...question, isAllowed: true })
  }

  #forgetOldest(): void {
    const oldest = this.#fullAtMs.keys().next()
    if (oldest.done !== true) this.#fullAtMs.delete(oldest.value)
  }
}

/** Milliseconds that a key's units take to come back. */
export function costMsOf({ perMinute, units }: RateQuestion): number {
  return (units * WINDOW_MS) / perMinute
}

/** The answer for a key whose units are all available again after so many milliseconds. */
export function stateOf(owedMs: number, { isAllowed, ...question }: RateQuestion & { readonly isAllowed: boolean }): RateState {
  const unitMs = WINDOW_MS / question.perMinute
  return {
    isAllowed,
    remaining: Math.max(0, Math.floor((WINDOW_MS - owedMs) / unitMs + SLACK_MS)),
    resetSeconds: Math.ceil(owedMs / 1000),
    retrySeconds: isAllowed ? 0 : Math.max(1, Math.ceil(lateMsOf(owedMs, question) / 1000)),
  }
}

/** By how much a key's units come too late; at most 0 where they are allowed. */
function lateMsOf(owedMs: number, question: RateQuestion): number {
  return owedMs + Math.min(costMsOf(question), WINDOW_MS) - WINDOW_MS
}
