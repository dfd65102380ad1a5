import { type Algorithm, isAlgorithm } from './algorithms.ts'
import { bytesOfBase64url, isCanonicalBase64url } from './base64url.ts'
import { KeyError } from './key-error.ts'

/** A JSON Web Key (RFC 7517 §4). */
export type Jwk = Readonly<Record<string, unknown>>

/** What the members of a JWK that are not key material ask for. */
export interface JwkNames {
  readonly kid?: string
  readonly alg?: Algorithm
  /** What `use` and `key_ops` leave of the two uses of a key; `undefined` where they say nothing. */
  readonly operations?: ReadonlySet<unknown>
}

/**
 * Reads `kid`, `alg`, `use` and `key_ops` (RFC 7517 §4.2 to §4.5).
 * @throws KeyError naming the member that is wrong
 */
export function readNames(jwk: Jwk): JwkNames {
  const { kid, alg, use, key_ops: operations } = jwk
  if (kid !== undefined && typeof kid !== 'string') throw new KeyError('the JWK member "kid" is not a string')
  if (alg !== undefined && !isAlgorithm(alg)) throw new KeyError('the JWK member "alg" is not a signature algorithm known here')
  if (use !== undefined && use !== 'sig') throw new KeyError('the JWK member "use" is not "sig"')
  const names = { ...(kid !== undefined && { kid }), ...(alg !== undefined && { alg }) }
  if (operations === undefined) return names
  if (!Array.isArray(operations) || new Set(operations).size !== operations.length) {
    throw new KeyError('the JWK member "key_ops" is not a list of different operations')
  }
  if (!operations.includes('verify') && !operations.includes('sign')) {
    throw new KeyError('the JWK member "key_ops" holds neither "sign" nor "verify"')
  }
  return { ...names, operations: new Set(operations) }
}

/** Bytes of a coordinate, which RFC 7518 §6.2.1.2 and RFC 8037 §2 ask for in full. */
const COORDINATE_BYTES: Readonly<Record<string, number>> = { 'P-256': 32, 'P-384': 48, 'P-521': 66, Ed25519: 32 }
/** Members of key material by `kty`: those of the public key, and those that a private one adds. */
const MATERIAL = {
  EC: { public: ['x', 'y'], private: ['d'] },
  OKP: { public: ['x'], private: ['d'] },
  RSA: { public: ['n', 'e'], private: ['d', 'p', 'q', 'dp', 'dq', 'qi'] },
} as const

/**
 * Checks the key material of a public or private JWK: canonical base64url of the right length. node:crypto takes padding, other
 * alphabets and zeros in front, so that one key could have several forms, and several thumbprints.
 * @returns the members of the public key, and whether the private ones are there
 * @throws KeyError naming the member that is wrong
 */
export function checkMaterial(jwk: Jwk): { readonly publicMembers: Jwk; readonly isPrivate: boolean } {
  const { kty } = jwk
  if (kty !== 'EC' && kty !== 'OKP' && kty !== 'RSA')
    throw new KeyError('the JWK member "kty" is not one of "oct", "RSA", "EC" and "OKP"')
  const coordinateBytes = kty === 'RSA' ? undefined : coordinateBytesOf(kty, jwk.crv)
  const isPrivate = jwk.d !== undefined
  const members: readonly string[] = [...MATERIAL[kty].public, ...(isPrivate ? MATERIAL[kty].private : [])]
  for (const name of members) checkNumber(jwk[name], name, coordinateBytes)
  // RFC 7518 §6.3.2.7: more than two primes; the members above would then be only a part of the key.
  if (jwk.oth !== undefined) throw new KeyError('the JWK member "oth" is not supported')
  const named = kty === 'RSA' ? ['kty', ...MATERIAL.RSA.public] : ['kty', 'crv', ...MATERIAL[kty].public]
  return { publicMembers: Object.fromEntries(named.map((name) => [name, jwk[name]])), isPrivate }
}

function coordinateBytesOf(kty: 'EC' | 'OKP', crv: unknown): number {
  const bytes = typeof crv === 'string' && Object.hasOwn(COORDINATE_BYTES, crv) ? COORDINATE_BYTES[crv] : undefined
  if (bytes === undefined || (crv === 'Ed25519') !== (kty === 'OKP'))
    throw new KeyError('the JWK member "crv" is not a curve supported for this "kty"')
  return bytes
}

function checkNumber(value: unknown, name: string, bytesExact: number | undefined): void {
  if (typeof value !== 'string' || value === '' || !isCanonicalBase64url(value))
    throw new KeyError(`the JWK member "${name}" is not canonical base64url`)
  const bytes = bytesOfBase64url(value)
  if (bytesExact !== undefined && bytes.length !== bytesExact)
    throw new KeyError(`the JWK member "${name}" has ${bytes.length} bytes; its curve asks for ${bytesExact}`)
  if (bytesExact === undefined && bytes[0] === 0) throw new KeyError(`the JWK member "${name}" begins with a zero (RFC 7518 §2)`)
}
