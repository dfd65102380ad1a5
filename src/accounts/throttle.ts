import { createHash } from 'node:crypto'
import { type RateLimiterAbstract, RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible'
import { VestalError } from '../core/errors.ts'
import { subnetOf } from './subnet.ts'

export interface ThrottleOptions {
  /** Attempts for one account, right or wrong, within the window; a right one starts anew. Default 10. */
  readonly accountMax?: number
  /** Attempts from one address within the window. Default 100. */
  readonly addressMax?: number
  /** Seconds; default 900. */
  readonly windowSeconds?: number
  /** A Redis client that several processes share; memory of this process where it is absent. */
  readonly redis?: RedisCommands
}

/** What the throttle asks of Redis: a connection of ioredis. */
export type RedisCommands = object

/** Bounds how often a password may be tried. */
export interface Throttle {
  /** Counts an attempt before the password is looked at. @throws VestalError SIGN_IN_THROTTLED with Retry-After, STORE_UNAVAILABLE */
  attempt(account: string, address: string): Promise<void>
  /** A right password: the account's count starts anew, and the address gets its attempt back. */
  succeeded(account: string, address: string): Promise<void>
  /** Refuses an address that sent too many secrets that are nobody's. Where Redis does not say, it passes. @throws VestalError SIGN_IN_THROTTLED */
  refuseGuesser(address: string): Promise<void>
  /** Counts a client's secret or a refresh token that is nobody's. */
  guessed(address: string): Promise<void>
}

/** Prepares the two counts. Names that exist and names that do not are counted alike, under a hash of the name. */
export function createThrottle(options: ThrottleOptions = {}): Throttle {
  const { accountMax = 10, addressMax = 100, windowSeconds = 900, redis } = options
  const limiter = (keyPrefix: string, points: number): RateLimiterAbstract =>
    redis === undefined
      ? new RateLimiterMemory({ keyPrefix, points, duration: windowSeconds })
      : new RateLimiterRedis({ storeClient: redis, keyPrefix, points, duration: windowSeconds })
  const accounts = limiter('vestal-account', accountMax)
  const addresses = limiter('vestal-address', addressMax)
  const guesses = limiter('vestal-guess', addressMax)
  return {
    async attempt(account, address) {
      await consume(addresses, subnetOf(address))
      await consume(accounts, keyOf(account))
    },
    async succeeded(account, address) {
      await Promise.all([accounts.delete(keyOf(account)), addresses.reward(subnetOf(address))])
    },
    async refuseGuesser(address) {
      // These secrets have 256 random bits, so who is signed in goes on while Redis cannot be reached.
      const known = await guesses.get(subnetOf(address)).catch(() => null)
      if (known !== null && known.consumedPoints >= addressMax) throw throttled(known)
    },
    async guessed(address) {
      await guesses.penalty(subnetOf(address)).catch(() => undefined)
    },
  }
}

async function consume(limiter: RateLimiterAbstract, key: string): Promise<void> {
  try {
    await limiter.consume(key)
  } catch (error) {
    if (!(error instanceof RateLimiterRes)) throw new VestalError('STORE_UNAVAILABLE', { cause: error })
    throw throttled(error)
  }
}

function throttled({ msBeforeNext }: RateLimiterRes): VestalError {
  const seconds = Math.max(1, Math.ceil(msBeforeNext / 1000))
  return new VestalError('SIGN_IN_THROTTLED', { headers: { 'retry-after': String(seconds) } })
}

function keyOf(account: string): string {
  return createHash('sha256').update(account).digest('base64url')
}
