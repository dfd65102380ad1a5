import { createHash } from 'node:crypto'
import { VestalError } from '../core/errors.ts'
import { type BucketOptions, type Buckets, createMemoryBuckets, createSharedBuckets, type RedisCommands } from './buckets.ts'
import { subnetOf } from './subnet.ts'

export interface ThrottleOptions {
  /** Attempts for one account that may come at once; they come back one by one within the window. Default 10. */
  readonly accountMax?: number
  /** The same from one address. Default 100. */
  readonly addressMax?: number
  /** Seconds in which all attempts are back; default 900. */
  readonly windowSeconds?: number
  /** Clock in milliseconds since 1970; default `Date.now`. */
  readonly now?: () => number
  /** A Redis that several processes share; memory of this process where it is absent. */
  readonly redis?: RedisCommands
}

/** A password that is tried. */
export interface Attempt {
  /** What identifies the account: its id, or the name where there is none. */
  readonly account: string
  readonly address: string
  /**
   * Where the account has been right before: an address of its own, or a session. Attempts from there are counted apart, so that
   * attackers who use up the account's attempts do not lock its owner out.
   */
  readonly place?: string
}

/** Bounds how often a password may be tried. */
export interface Throttle {
  /** Counts an attempt before the password is looked at. @throws VestalError SIGN_IN_THROTTLED with Retry-After, ATTEMPTS_UNKNOWN */
  attempt(attempt: Attempt): Promise<void>
  /** A right password: the attempts that it was counted under start anew, and the address gets its attempt back. */
  succeeded(attempt: Attempt): Promise<void>
  /** Rejects an address that sent too many unknown secrets. Where Redis does not answer, it passes. @throws VestalError SIGN_IN_THROTTLED */
  rejectGuesser(address: string): Promise<void>
  /** Counts an unknown client secret or refresh token. */
  guessed(address: string): Promise<void>
  /** Takes other limits from now on; what was used up comes back at the new pace. */
  limit(limits: Required<Pick<ThrottleOptions, 'accountMax' | 'addressMax'>>): void
}

/** Prepares the buckets. Names that exist and names that do not are counted alike, under a hash of the name. */
export function createThrottle(options: ThrottleOptions = {}): Throttle {
  const { accountMax = 10, addressMax = 100, windowSeconds = 900, now = Date.now, redis } = options
  const buckets = (prefix: string, capacity: number): Buckets => {
    const bucket: BucketOptions = { capacity, windowSeconds, now }
    return redis === undefined ? createMemoryBuckets(bucket) : createSharedBuckets(redis, { ...bucket, prefix })
  }
  const accounts = buckets('vestal-account', accountMax)
  const addresses = buckets('vestal-address', addressMax)
  const guesses = buckets('vestal-guess', addressMax)
  return {
    async attempt(attempt) {
      await counted(async () => {
        const key = keyOf(attempt)
        const addressMs = await addresses.take(subnetOf(attempt.address))
        // `Retry-After` is the time at which both allow an attempt.
        rejectWait(Math.max(addressMs, addressMs > 0 ? await accounts.look(key) : await accounts.take(key)))
      })
    },
    async succeeded(attempt) {
      await counted(() => Promise.all([accounts.refill(keyOf(attempt)), addresses.giveBack(subnetOf(attempt.address))]))
    },
    async rejectGuesser(address) {
      // These secrets have 256 random bits, so sessions continue while Redis cannot be reached.
      rejectWait(await guesses.look(subnetOf(address)).catch(() => 0))
    },
    async guessed(address) {
      await guesses.take(subnetOf(address)).catch(() => undefined)
    },
    limit(limits) {
      accounts.limit(limits.accountMax)
      addresses.limit(limits.addressMax)
      guesses.limit(limits.addressMax)
    },
  }
}

async function counted<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof VestalError) throw error
    throw new VestalError('ATTEMPTS_UNKNOWN', { reason: 'Redis cannot be used', headers: { 'retry-after': '1' }, cause: error })
  }
}

function rejectWait(waitMs: number): void {
  if (waitMs === 0) return
  throw new VestalError('SIGN_IN_THROTTLED', { headers: { 'retry-after': String(Math.ceil(waitMs / 1000)) } })
}

function keyOf({ account, place }: Attempt): string {
  return createHash('sha256')
    .update(place === undefined ? account : `${account} ${place}`)
    .digest('base64url')
}
