import { RateLimiter, type RateState } from '../../core/rate-limiter.ts'
import { ownShare, type Release, type SharedCounts } from '../../core/shared-counts.ts'

/** A value that is there, or comes. */
export type Maybe<T> = T | Promise<T>

/** Goes on with a value: at once where it is there. */
export function after<T, U>(value: Maybe<T>, use: (value: T) => Maybe<U>): Maybe<U> {
  return value instanceof Promise ? value.then(use) : use(value)
}

/** So many units a minute for each key. */
export interface Quota {
  readonly perMinute: number
  take(key: string, units?: number): Maybe<RateState>
}

export interface QuotaOptions {
  /** Which quota it is, where processes share it. */
  readonly name: string
  readonly perMinute: number
  readonly now?: (() => number) | undefined
  readonly shared?: SharedCounts | undefined
}

/** Units that are counted here, or together with other processes as long as they can be asked. */
export function createQuota({ name, perMinute, now, shared }: QuotaOptions): Quota {
  const own = new RateLimiter({ perMinute: ownShare(perMinute, shared), ...(now && { now }) })
  if (shared === undefined) return own
  return {
    perMinute,
    // A line break is in no name of a role and in no key, so that no two quotas can meet in one count.
    take: async (key, units = 1) => (await shared.take(`${name}\n${key}`, { perMinute, units })) ?? own.take(key, units),
  }
}

/** Requests of a key that may run at once. */
export interface Places {
  /** Takes a place, and gives what gives it back. */
  enter(key: string, placesMax: number): Maybe<Release | 'full'>
}

/** Places that are counted here, or together with other processes as long as they can be asked. */
export function createPlaces(shared: SharedCounts | undefined): Places {
  const running = new Map<string, number>()
  const enterHere = (key: string, placesMax: number): Release | 'full' => {
    const count = running.get(key) ?? 0
    if (count >= placesMax) return 'full'
    running.set(key, count + 1)
    return () => {
      const left = (running.get(key) ?? 1) - 1
      if (left === 0) running.delete(key)
      else running.set(key, left)
    }
  }
  if (shared === undefined) return { enter: enterHere }
  return { enter: async (key, placesMax) => (await shared.enter(key, placesMax)) ?? enterHere(key, ownShare(placesMax, shared)) }
}
