import { ALGORITHMS, type Algorithm, isAlgorithm } from '../jose/algorithms.ts'
import type { Jwk } from '../jose/jwk-members.ts'
import { KeyError } from '../jose/key-error.ts'
import { KEYS_MAX } from '../jose/key-set.ts'
import { importJwk, type Key } from '../jose/keys.ts'
import { readStrictObject } from '../jose/strict-json.ts'
import { keyIdOf, thumbprintOf } from '../jose/thumbprint.ts'

/** Algorithms of an issuer's key where neither it nor the settings name one: public-key algorithms only, the most common of each kind first. */
const PUBLIC_ALGORITHMS = (Object.keys(ALGORITHMS) as Algorithm[]).filter((name) => ALGORITHMS[name].kind !== 'oct')

/** Members of a set that are read; the rest is left out. */
const MEMBERS_MAX = 256
/** Different keys with one `kid` and one algorithm: each of them is tried, so a forged token costs as many checks. */
const ALTERNATIVES_MAX = 4
/** Members that hold a secret (RFC 7518 §6). Whoever publishes one has given the key away. */
const SECRET_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'] as const

/** The keys of a set that may verify tokens. */
export interface PublishedKeys {
  readonly keys: readonly Key[]
  /** Members that hold a private or shared key. */
  readonly exposed: number
  /** Keys beyond a limit, which were left out. */
  readonly beyondLimits: number
}

/**
 * Reads a JWK Set that an issuer publishes (RFC 7517 §5). What cannot be used is left out and the rest is kept, as the standard asks: keys
 * for something else, of an unknown kind, too weak or malformed. A key counts once however often it is listed, and one whose private part
 * stands in the set does not count at all. Several keys may have one `kid` (§4.5).
 * @throws KeyError saying what is wrong, and never what the set holds
 */
export function readKeySet(bytes: Buffer, algorithms: readonly Algorithm[] = PUBLIC_ALGORITHMS): PublishedKeys {
  const set = readStrictObject(bytes)
  if (typeof set === 'string') throw new KeyError(`the answer is ${set}`)
  const { keys: members } = set
  if (!Array.isArray(members)) throw new KeyError('the answer is no JWK Set: it has no list "keys"')
  // The cast is what the check establishes.
  const jwks = members.slice(0, MEMBERS_MAX).filter((member) => isObject(member)) as readonly Jwk[]
  const exposed = jwks.filter((jwk) => SECRET_MEMBERS.some((name) => Object.hasOwn(jwk, name)))
  const given = new Set(exposed.map(publicPartOf))
  const usable = jwks
    .filter((jwk) => !exposed.includes(jwk))
    .flatMap((jwk) => readMember(jwk, algorithms))
    .filter((key) => !given.has(thumbprintOf(key)))
  const different = [...new Map(usable.map((key) => [fingerprint(key), key])).values()]
  const keys = withinLimits(different)
  if (keys.length === 0) {
    const why = exposed.length > 0 ? '; it holds private or shared keys, which do not count' : ''
    throw new KeyError(`the set has no key that may verify a token${why}`)
  }
  const beyondLimits = different.length - keys.length + Math.max(0, members.length - MEMBERS_MAX)
  return { keys, exposed: exposed.length, beyondLimits }
}

/** A text that is the same for copies of a key with one name and one use. */
export function fingerprint(key: Key): string {
  return JSON.stringify([keyIdOf(key), key.algorithms, thumbprintOf(key)])
}

function withinLimits(keys: readonly Key[]): readonly Key[] {
  const counts = new Map<string, number>()
  const kept = keys.filter((key) => {
    const name = JSON.stringify([keyIdOf(key), key.algorithm])
    const count = (counts.get(name) ?? 0) + 1
    counts.set(name, count)
    return count <= ALTERNATIVES_MAX
  })
  return kept.slice(0, KEYS_MAX)
}

function readMember(jwk: Jwk, algorithms: readonly Algorithm[]): readonly Key[] {
  const algorithm = algorithmFor(jwk, algorithms)
  if (algorithm === undefined) return []
  const key = unlessKeyError(() => importJwk(jwk, { algorithm }))
  return key === undefined ? [] : [key]
}

/** The thumbprint of the public part of a private key; undefined where it has none. */
function publicPartOf({ kty, crv, x, y, n, e }: Jwk): string | undefined {
  const members = Object.entries({ kty, crv, x, y, n, e }).filter(([, value]) => value !== undefined)
  const key = unlessKeyError(() => importJwk(Object.fromEntries(members)))
  return key && thumbprintOf(key)
}

/** For something else (`use`, `key_ops`), too short, off its curve, members missing: RFC 7517 §5 has it ignored, and its tokens then find no key. */
function unlessKeyError<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch (error) {
    if (error instanceof KeyError) return undefined
    throw error
  }
}

/** Each key has one algorithm: its own, or the first accepted one for its kind and curve. */
function algorithmFor({ alg, kty, crv }: Jwk, accepted: readonly Algorithm[]): Algorithm | undefined {
  if (alg !== undefined) return isAlgorithm(alg) && accepted.includes(alg) ? alg : undefined
  return accepted.find((name) => ALGORITHMS[name].kind === kty && (kty === 'RSA' || CURVES[name] === crv))
}

const CURVES: Readonly<Partial<Record<Algorithm, string>>> = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521', EdDSA: 'Ed25519' }

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
