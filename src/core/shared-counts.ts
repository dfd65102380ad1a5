import type { RateQuestion, RateState } from './rate-limiter.ts'

/** Gives a place back. */
export type Release = () => void

/**
 * Counts that several processes share. What cannot be asked in time is answered with undefined, at once or after a short time, and never
 * with a failure: the process then counts by itself.
 */
export interface SharedCounts {
  /** Takes units of a key, by the rules of `RateLimiter`. */
  take(key: string, question: RateQuestion): Promise<RateState | undefined>
  /** Takes one of so many places of a key. A process that is gone keeps none for long. */
  enter(key: string, placesMax: number): Promise<Release | 'full' | undefined>
  /** Processes of one server that count by themselves at the same time: each then has its share of a limit. Default 1. */
  readonly processes?: number
  /** False from a failure on until an answer comes again. */
  readonly isReachable: boolean
  /** Times that they could not be asked. */
  readonly failures: number
  close(): void
}

/** What of a limit a process keeps while it counts by itself; 1 at least. */
export function ownShare(limit: number, shared: SharedCounts | undefined): number {
  return Math.max(1, Math.floor(limit / (shared?.processes ?? 1)))
}
