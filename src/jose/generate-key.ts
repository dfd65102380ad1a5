import { generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import { ALGORITHMS, type Algorithm } from './algorithms.ts'
import type { Jwk } from './jwk-members.ts'
import { KeyError } from './key-error.ts'
import { importJwk, type Key } from './keys.ts'
import { publicKeySet } from './public-key-set.ts'
import { keyIdOf, thumbprintOf } from './thumbprint.ts'

/** A new key in the parts that a ring keeps. */
export interface GeneratedKey {
  readonly kid: string
  readonly algorithm: Algorithm
  readonly publicJwk?: Jwk
  readonly secret: Jwk
}

/** NIST SP 800-57 gives RSA of 2 048 bits until 2030. */
const RSA_BITS = 3072

/** Makes a key: named by its RFC 7638 thumbprint, or, for a shared secret, at random, since its name must reveal nothing of it. */
export function generateKey(algorithm: Algorithm): GeneratedKey {
  const { kind, hashBytes } = ALGORITHMS[algorithm]
  if (kind === 'oct') {
    const kid = nameOf(randomBytes(16))
    const secret = { kty: 'oct', k: randomBytes(hashBytes).toString('base64url'), kid, alg: algorithm, use: 'sig' }
    return { kid, algorithm, secret }
  }
  const { privateKey, publicKey } = pairFor(algorithm)
  const publicMembers = publicKey.export({ format: 'jwk' }) as Jwk
  // The name is never undefined: the key is no shared secret.
  const kid = thumbprintOf(importJwk(publicMembers, { algorithm })) ?? ''
  // On a command line a name that begins with a dash would be taken for a flag.
  if (kid.startsWith('-')) return generateKey(algorithm)
  const names = { kid, alg: algorithm, use: 'sig' }
  const secret = { ...(privateKey.export({ format: 'jwk' }) as Jwk), ...names }
  return { kid, algorithm, publicJwk: { ...publicMembers, ...names }, secret }
}

/** The parts that a ring keeps of a key that was made elsewhere. @throws KeyError where it cannot sign */
export function partsOf(key: Key): GeneratedKey {
  const { algorithm, signing } = key
  if (signing === undefined) throw new KeyError('the key is public; a ring holds keys that sign')
  const kid = keyIdOf(key) ?? nameOf(randomBytes(16))
  const [publicJwk] = publicKeySet([{ ...key, kid }]).keys
  const secret = { ...(signing.export({ format: 'jwk' }) as Jwk), kid, alg: algorithm, use: 'sig' }
  return { kid, algorithm, secret, ...(publicJwk && { publicJwk }) }
}

function nameOf(bytes: Buffer): string {
  const name = bytes.toString('base64url')
  return name.startsWith('-') ? nameOf(randomBytes(bytes.length)) : name
}

function pairFor(algorithm: Algorithm): { readonly privateKey: KeyObject; readonly publicKey: KeyObject } {
  const { kind, curve = '' } = ALGORITHMS[algorithm]
  if (kind === 'RSA') return generateKeyPairSync('rsa', { modulusLength: RSA_BITS })
  return kind === 'EC' ? generateKeyPairSync('ec', { namedCurve: curve }) : generateKeyPairSync('ed25519')
}
