import { SeenFilter } from '../core/seen-filter.ts'
import { type CacheStatistics, SieveCache } from '../core/sieve-cache.ts'
import { LEEWAY_SECONDS } from '../jose/claims.ts'
import type { VerifiedJwt } from '../jose/verify.ts'

export interface TokenCacheOptions {
  /** Verified tokens that are remembered; default 10 000, and 0 remembers none. */
  readonly cacheEntriesMax?: number
  /** Memory for them, in bytes, each counted as eight times its characters; default 64 MiB. */
  readonly cacheBytesMax?: number
  readonly leewaySeconds?: number | undefined
  readonly now?: (() => number) | undefined
}

/** The verified tokens that are remembered, by the header's value that clients write for them. */
export interface TokenCache<T extends VerifiedJwt> {
  /** The token that is remembered under a header's value, where its times are right now. */
  recall(header: string): T | undefined
  /**
   * Remembers a token, frozen, until its end or `untilMs`, whichever is first. Where the cache is full, a token is kept only when it comes again:
   * tokens that are used once would push out those that are used again, and keeping them costs more than verifying them.
   */
  remember(header: string, token: T, untilMs: number): void
  /** Forgets all of them, at once however many there are. */
  clear(): void
  readonly statistics: CacheStatistics
}

interface Remembered<T> {
  readonly token: T
  /** Milliseconds since 1970 between which the token's times are right, leeway included. */
  readonly fromMs: number
  readonly untilMs: number
}

const ENTRIES_MAX = 10_000
const BYTES_MAX = 64 * 1024 * 1024
/** A longer header is verified each time: a few of them would push many out. */
const HEADER_BYTES_MAX = 4096 + 'Bearer '.length
/** Bytes that a remembered token takes for each character of its header: the text, its claims and its permissions. */
const BYTES_A_CHARACTER = 8

/** @throws TypeError when an option cannot be used */
export function createTokenCache<T extends VerifiedJwt>(options: TokenCacheOptions): TokenCache<T> {
  const { cacheEntriesMax = ENTRIES_MAX, cacheBytesMax = BYTES_MAX, now = Date.now } = options
  for (const [name, value] of Object.entries({ cacheEntriesMax, cacheBytesMax })) {
    if (!Number.isSafeInteger(value) || value < 0) throw new TypeError(`"${name}" is a whole number from 0 up`)
  }
  const leewayMs = (options.leewaySeconds ?? LEEWAY_SECONDS) * 1000
  const cache = new SieveCache<Remembered<T>>({ entriesMax: cacheEntriesMax, weightMax: cacheBytesMax })
  // A token that comes again among so many is worth its place.
  const seen = new SeenFilter(Math.min(cacheEntriesMax, ENTRIES_MAX) * 4)
  return {
    recall(header) {
      const remembered = cache.get(header)
      if (remembered === undefined) return undefined
      const time = now()
      if (time >= remembered.fromMs && time < remembered.untilMs) return remembered.token
      cache.delete(header)
      return undefined
    },
    remember(header, token, untilMs) {
      const weight = header.length * BYTES_A_CHARACTER
      if (header.length > HEADER_BYTES_MAX || !(cache.hasRoom(weight) || seen.hasSeen(header))) return
      const { exp, nbf, iat } = token.payload
      const fromMs = Math.max(secondsToMs(nbf) ?? 0, secondsToMs(iat) ?? 0) - leewayMs
      const expiryMs = (secondsToMs(exp) ?? Number.POSITIVE_INFINITY) + leewayMs
      cache.set(header, { token: freezeDeep(token), fromMs, untilMs: Math.min(expiryMs, untilMs) }, weight)
    },
    clear: () => cache.clear(),
    get statistics() {
      return cache.statistics
    },
  }
}

function secondsToMs(seconds: number | null | undefined): number | undefined {
  // Flama's tokens may have null for a claim that is not there.
  return seconds === undefined || seconds === null ? undefined : seconds * 1000
}

/** One token's claims are handed to many requests: none of them may change what the next one sees. */
function freezeDeep<V extends object>(value: V): V {
  // Objects are walked by name: `Object.values` takes half as long again.
  if (Array.isArray(value)) for (const member of value) freezeInside(member)
  else for (const name in value) freezeInside(value[name])
  return Object.freeze(value)
}

function freezeInside(value: unknown): void {
  if (typeof value === 'object' && value !== null) freezeDeep(value)
}
