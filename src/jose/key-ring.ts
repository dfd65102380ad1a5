import type { Algorithm } from './algorithms.ts'
import { ALGORITHMS } from './algorithms.ts'
import type { Jwk } from './jwk-members.ts'
import { KeyError } from './key-error.ts'
import { KEYS_MAX } from './key-set.ts'

/**
 * What a key of a ring is for. `next` is published and verifies, and does not sign yet; `active` signs; `retired` verifies until the
 * tokens that it signed have ended; `revoked` does nothing from now on.
 */
export type KeyState = 'next' | 'active' | 'retired' | 'revoked'
export const KEY_STATES: readonly KeyState[] = ['next', 'active', 'retired', 'revoked']

/** A key of a ring, with what has happened to it. Times are whole seconds since 1970. */
export interface RingKey<Secret = Jwk> {
  readonly kid: string
  readonly algorithm: Algorithm
  readonly state: KeyState
  readonly createdAt: number
  readonly activatedAt?: number
  readonly retiredAt?: number
  readonly revokedAt?: number
  /** When a key that is retired or revoked leaves the ring; from then on it verifies nothing. */
  readonly dropAt?: number
  /** Its public part; absent for a shared secret. */
  readonly publicJwk?: Jwk
  /** The private key or the shared secret, open or sealed; dropped as soon as it has no use left. */
  readonly secret?: Secret
}

export interface KeyRing<Secret = Jwk> {
  readonly keys: readonly RingKey<Secret>[]
}

export interface ChangeOptions {
  /** Seconds since 1970. */
  readonly now: number
  /** Seconds that a retired key still verifies, and that a revoked one is still listed; default 90 000. */
  readonly keepSeconds?: number
}

/** A day, which is the longest life of a token made here, and an hour for clocks that differ. */
export const KEEP_SECONDS = 90_000

/** Adds a key: the first one signs at once, another waits as `next`. @throws KeyError where one waits already */
export function addKey<S>(ring: KeyRing<S>, key: Omit<RingKey<S>, 'state'>, { now }: ChangeOptions): KeyRing<S> {
  if (stateIn(ring, 'active') === undefined) return checkRing([...ring.keys, { ...key, state: 'active', activatedAt: now }])
  const waiting = stateIn(ring, 'next')
  if (waiting !== undefined) throw new KeyError(`the key ${waiting.kid} is next already; rotate to it, or retire it`)
  return checkRing([...ring.keys, { ...key, state: 'next' }])
}

/** Lets the next key sign, and the one that signed until now only verify. @throws KeyError without a next key */
export function rotate<S>(ring: KeyRing<S>, options: ChangeOptions): KeyRing<S> {
  const successor = stateIn(ring, 'next')
  if (successor === undefined) throw new KeyError('there is no next key to rotate to')
  return replaced(ring, (key) => {
    if (key.state === 'active') return toRetired(key, options)
    return key === successor ? { ...key, state: 'active', activatedAt: options.now } : key
  })
}

/** Lets a key only verify from now on; in place of the active one the next one signs. @throws KeyError where that cannot be */
export function retire<S>(ring: KeyRing<S>, kid: string, options: ChangeOptions): KeyRing<S> {
  const retiring = keyOf(ring, kid)
  if (retiring.state === 'active') return rotate(ring, options)
  if (retiring.state !== 'next') throw new KeyError(`the key ${kid} is ${retiring.state} already`)
  return replaced(ring, (key) => (key === retiring ? toRetired(key, options) : key))
}

/** Ends a key at once, for a key that others may know; in place of the active one the next one signs. @throws KeyError where that cannot be */
export function revoke<S>(ring: KeyRing<S>, kid: string, options: ChangeOptions): KeyRing<S> {
  const revoking = keyOf(ring, kid)
  if (revoking.state === 'revoked') throw new KeyError(`the key ${kid} is revoked already`)
  const rotated = revoking.state === 'active' ? rotate(ring, options) : ring
  return replaced(rotated, (key) => (key.kid === kid ? toRevoked(key, options) : key))
}

/** Removes expired keys. */
export function prune<S>(ring: KeyRing<S>, now: number): KeyRing<S> {
  return { keys: ring.keys.filter(({ dropAt }) => dropAt === undefined || now < dropAt) }
}

/** The keys that tokens are checked with: all but those that are revoked, or retired long enough. */
export function verifyingIn<S>(ring: KeyRing<S>, now: number): readonly RingKey<S>[] {
  return prune(ring, now).keys.filter(({ state }) => state !== 'revoked')
}

/** The one key in a state that only one may be in. */
export function stateIn<S>(ring: KeyRing<S>, state: 'active' | 'next'): RingKey<S> | undefined {
  return ring.keys.find((key) => key.state === state)
}

/**
 * Checks what must hold of a whole ring: at most 64 keys, no name twice, one active and one next key at most, each with its private
 * part, times for what has ended, and shared secrets never beside public keys.
 * @throws KeyError
 */
export function checkRing<S>(keys: readonly RingKey<S>[]): KeyRing<S> {
  if (keys.length > KEYS_MAX) throw new KeyError(`there are ${keys.length} keys; at most ${KEYS_MAX} are accepted`)
  if (new Set(keys.map(({ kid }) => kid)).size !== keys.length) throw new KeyError('two keys have the same "kid"')
  if (new Set(keys.map(isSecretKey)).size > 1) throw new KeyError('shared secrets and public keys are mixed')
  for (const state of ['active', 'next'] as const) {
    if (keys.filter((key) => key.state === state).length > 1) throw new KeyError(`more than one key is ${state}`)
  }
  for (const key of keys) checkKey(key)
  return { keys }
}

function checkKey<S>({ kid, state, algorithm, publicJwk, secret, dropAt, ...key }: RingKey<S>): void {
  const isSecret = isSecretKey({ algorithm })
  const mustSign = state === 'active' || state === 'next'
  if (mustSign && secret === undefined) throw new KeyError(`the key ${kid} is ${state} and has no private part`)
  if (state === 'retired' && isSecret && secret === undefined) throw new KeyError(`the key ${kid} is retired and has no secret`)
  if (!isSecret && publicJwk === undefined) throw new KeyError(`the key ${kid} has no public part`)
  if (isSecret && publicJwk !== undefined) throw new KeyError(`the key ${kid} is a secret and has a public part`)
  if (!mustSign && dropAt === undefined) throw new KeyError(`the key ${kid} is ${state} and has no time at which it is dropped`)
  if (state === 'revoked' && key.revokedAt === undefined) throw new KeyError(`the key ${kid} is revoked and has no time of it`)
}

function isSecretKey({ algorithm }: { readonly algorithm: Algorithm }): boolean {
  return ALGORITHMS[algorithm].kind === 'oct'
}

function keyOf<S>(ring: KeyRing<S>, kid: string): RingKey<S> {
  const key = ring.keys.find((candidate) => candidate.kid === kid)
  if (key === undefined) throw new KeyError(`there is no key ${JSON.stringify(kid.slice(0, 128))}`)
  return key
}

function replaced<S>(ring: KeyRing<S>, change: (key: RingKey<S>) => RingKey<S>): KeyRing<S> {
  return checkRing(ring.keys.map(change))
}

/** A private key that will never sign again is forgotten; a shared secret is still needed to verify. */
function toRetired<S>(key: RingKey<S>, { now, keepSeconds = KEEP_SECONDS }: ChangeOptions): RingKey<S> {
  const { secret, ...rest } = key
  const kept = isSecretKey(key) && secret !== undefined ? { secret } : {}
  return { ...rest, ...kept, state: 'retired', retiredAt: now, dropAt: now + keepSeconds }
}

function toRevoked<S>(key: RingKey<S>, { now, keepSeconds = KEEP_SECONDS }: ChangeOptions): RingKey<S> {
  const { secret: _, ...rest } = key
  return { ...rest, state: 'revoked', revokedAt: now, dropAt: now + keepSeconds }
}
