import type { Jwk } from './jwk-members.ts'
import type { JwkSet, Key } from './keys.ts'
import { keyIdOf } from './thumbprint.ts'

/** Seconds that verifiers may keep the key set: so long, at most, a new key is unknown to them, and a revoked one known. */
export const KEY_SET_SECONDS = 300

/** What may be published of keys (RFC 7517 §5): the public part of each, named, with its use and algorithm; of shared secrets nothing. */
export function publicKeySet(keys: readonly Key[]): JwkSet {
  return { keys: keys.filter(({ kind }) => kind !== 'oct').map(publicJwkOf) }
}

/** Built member by member from the public half, so that nothing else can be in it. */
function publicJwkOf(key: Key): Jwk {
  const { kty, crv, x, y, n, e } = key.verifying.export({ format: 'jwk' })
  const members = { kty, crv, x, y, n, e, kid: keyIdOf(key), use: 'sig', alg: key.algorithm }
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined))
}
