import { VestalError } from '../core/errors.ts'
import { type Algorithm, isAlgorithm } from './algorithms.ts'
import type { Jwk } from './jwk-members.ts'
import { KeyError } from './key-error.ts'
import { type ImportOptions, importJwk, importPem, importSecret, type JwkSet, type Key } from './keys.ts'
import { keyIdOf } from './thumbprint.ts'

/** Keys in one set; a larger one is rejected at the start. */
export const KEYS_MAX = 64

/** Whatever a caller may hand over as verification keys. A text that is a PEM is read as one; any other text is a shared secret. */
export type KeyInput = string | Uint8Array | Key | Jwk | JwkSet | readonly (Key | Jwk)[]

/**
 * Checks the keys of one verifier together: at most 64, no two with one key id, and never shared secrets beside public keys,
 * which is the mix that algorithm confusion needs (RFC 8725 §3.1).
 */
export function importKeys(input: KeyInput, options: ImportOptions = {}): readonly Key[] {
  return checkTogether(listOf(input, options), (names) => names)
}

function checkTogether(
  keys: readonly Key[],
  namesOf: (names: readonly (string | undefined)[]) => readonly (string | undefined)[],
): readonly Key[] {
  if (keys.length === 0) throw new KeyError('there is no key')
  if (keys.length > KEYS_MAX) throw new KeyError(`there are ${keys.length} keys; at most ${KEYS_MAX} are accepted`)
  const names = namesOf(keys.map(keyIdOf))
  if (new Set(names).size !== names.length) throw new KeyError('two keys have the same "kid", or more than one secret has none')
  if (new Set(keys.map((key) => key.kind === 'oct')).size > 1) throw new KeyError('shared secrets and public keys are mixed')
  return keys
}

/** As `importKeys`; members of a JWK Set that cannot be used are left out, as RFC 7517 §5 asks, and secrets need no names. */
export function importUsableKeys(input: KeyInput): readonly Key[] {
  if (typeof input !== 'object' || input === null || !('keys' in input) || !Array.isArray(input.keys)) return importKeys(input)
  const usable = input.keys.flatMap((member: Jwk) => {
    try {
      return [oneOf(member, {})]
    } catch (error) {
      if (error instanceof KeyError) return []
      throw error
    }
  })
  return checkTogether(usable, (names) => names.filter((name) => name !== undefined))
}

function listOf(input: KeyInput, options: ImportOptions): readonly Key[] {
  if (typeof input === 'string') return [/-----BEGIN /.test(input) ? importPem(input, options) : importSecret(input, options)]
  if (input instanceof Uint8Array) return [importSecret(input, options)]
  if (typeof input !== 'object' || input === null)
    throw new KeyError('a key is a string, bytes, a JWK, a JWK Set or an imported key')
  if (Array.isArray(input)) return input.map((key: Key | Jwk) => oneOf(key, options))
  if ('keys' in input && Array.isArray(input.keys)) return input.keys.map((jwk: Jwk) => oneOf(jwk, options))
  return [oneOf(input as Key | Jwk, options)]
}

function oneOf(key: Key | Jwk, options: ImportOptions): Key {
  return isKey(key) ? key : importJwk(key, options)
}

function isKey(value: Key | Jwk): value is Key {
  return typeof value === 'object' && value !== null && 'verifying' in value && isAlgorithm(value.algorithm)
}

/**
 * The key that a header asks for. A single key without a `kid` answers to any; of several the header must name one, by its `kid` or,
 * for a public key without, by its thumbprint.
 * @throws VestalError KEY_UNKNOWN, ALGORITHM_REFUSED
 */
export function selectKey(keys: readonly Key[], algorithm: Algorithm, kid: string | undefined): Key {
  const only = keys.length === 1 ? keys[0] : undefined
  const key =
    only !== undefined && (kid === undefined || only.kid === undefined || only.kid === kid)
      ? only
      : keys.find((candidate) => kid !== undefined && keyIdOf(candidate) === kid)
  if (key === undefined) throw new VestalError('KEY_UNKNOWN', { reason: 'no key answers to the header\'s "kid"' })
  if (!key.canVerify) throw new VestalError('ALGORITHM_REFUSED', { reason: 'the key is only for signing ("key_ops")' })
  if (!key.algorithms.includes(algorithm))
    throw new VestalError('ALGORITHM_REFUSED', { reason: `the key is not for ${algorithm}` })
  return key
}

/**
 * The keys of a published set that may have signed: those with the header's name that are for its algorithm
 * (RFC 7517 §4.5: several may have one name). Where the header names none, there must be exactly one such key.
 * @throws VestalError KEY_UNKNOWN
 */
export function selectPublishedKeys(keys: readonly Key[], algorithm: Algorithm, kid: string | undefined): readonly Key[] {
  const only = keys.length === 1 ? keys[0] : undefined
  const named =
    kid === undefined || (only !== undefined && only.kid === undefined) ? keys : keys.filter((key) => keyIdOf(key) === kid)
  const fitting = named.filter((key) => key.canVerify && key.algorithms.includes(algorithm))
  const isChosen = kid === undefined ? fitting.length === 1 : fitting.length > 0
  if (!isChosen) throw new VestalError('KEY_UNKNOWN', { reason: 'no key answers to the header\'s "kid" and "alg"' })
  return fitting
}

/**
 * The keys that may have signed: the one that `selectKey` gives, or, where a header names none of several, all that are for the algorithm.
 * @throws VestalError KEY_UNKNOWN, ALGORITHM_REFUSED
 */
export function selectKeys(keys: readonly Key[], algorithm: Algorithm, kid: string | undefined): readonly Key[] {
  if (kid !== undefined || keys.length === 1) return [selectKey(keys, algorithm, kid)]
  const fitting = keys.filter((key) => key.canVerify && key.algorithms.includes(algorithm))
  if (fitting.length === 0) throw new VestalError('ALGORITHM_REFUSED', { reason: `no key is for ${algorithm}` })
  return fitting
}
