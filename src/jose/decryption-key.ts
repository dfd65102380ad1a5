import { createPrivateKey, type KeyObject } from 'node:crypto'
import { bytesOfBase64url, isCanonicalBase64url } from './base64url.ts'
import type { Jwk } from './jwk-members.ts'
import { KeyError } from './key-error.ts'

/** What may wrap the key of an encrypted token (RFC 7518 §4). Not here: RSA1_5 and SHA-1, and PBES2, whose cost the sender chooses. */
const WRAPPINGS = {
  RSA: ['RSA-OAEP-256', 'RSA-OAEP-384', 'RSA-OAEP-512'],
  EC: ['ECDH-ES', 'ECDH-ES+A128KW', 'ECDH-ES+A256KW'],
  OKP: ['ECDH-ES', 'ECDH-ES+A128KW', 'ECDH-ES+A256KW'],
  oct: ['A128KW', 'A256KW', 'A128GCMKW', 'A256GCMKW', 'dir'],
} as const

type Kind = keyof typeof WRAPPINGS

/** What may encrypt a token's content (RFC 7518 §5): all of it is authenticated. */
const CONTENT_ENCRYPTIONS = ['A128GCM', 'A256GCM', 'A128CBC-HS256', 'A256CBC-HS512'] as const

/** Bytes of the keys that `dir` uses for the content itself. */
const CONTENT_BYTES: Readonly<Record<string, number>> = { A128GCM: 16, A256GCM: 32, 'A128CBC-HS256': 32, 'A256CBC-HS512': 64 }
const CURVES = ['P-256', 'P-384', 'P-521', 'X25519']
const RSA_BITS_MIN = 2048

/** A key that decrypts, and what a token may name for it: the key decides, never the token. */
export interface DecryptionKey {
  readonly jwk: Jwk
  readonly kid?: string
  readonly wrappings: readonly string[]
  readonly encryptions: readonly string[]
}

/** The PEM of a private key, or a JWK: a private one, or a shared one with its `alg`. */
export type DecryptionKeyInput = string | Jwk

/**
 * Checks a key for decryption. RSA is for RSA-OAEP-256 and curves are for ECDH-ES, with or without wrapping, unless the JWK's `alg` says
 * which; a shared key needs an `alg`.
 * @throws KeyError, whose message never holds key material
 */
export function importDecryptionKey(input: DecryptionKeyInput): DecryptionKey {
  if (typeof input === 'string')
    return privateKey(
      attempt(() => createPrivateKey(input)),
      {},
    )
  if (typeof input !== 'object' || input === null || Array.isArray(input))
    throw new KeyError('a decryption key is a PEM or a JWK')
  if (input.use !== undefined && input.use !== 'enc') throw new KeyError('the JWK member "use" is not "enc"')
  if (input.kid !== undefined && typeof input.kid !== 'string') throw new KeyError('the JWK member "kid" is not a string')
  // The cast: node:crypto itself checks the members, and throws.
  const material = { key: input, format: 'jwk' } as unknown as Parameters<typeof createPrivateKey>[0]
  return input.kty === 'oct'
    ? sharedKey(input)
    : privateKey(
        attempt(() => createPrivateKey(material)),
        input,
      )
}

function privateKey(key: KeyObject, { alg, kid }: Jwk): DecryptionKey {
  const jwk = attempt(() => key.export({ format: 'jwk' })) as Jwk
  const kind = jwk.kty
  if (kind !== 'RSA' && kind !== 'EC' && kind !== 'OKP') throw new KeyError('this type of key cannot decrypt')
  if (kind === 'RSA' && (key.asymmetricKeyDetails?.modulusLength ?? 0) < RSA_BITS_MIN)
    throw new KeyError(`the RSA key is shorter than ${RSA_BITS_MIN} bits`)
  if (kind !== 'RSA' && !CURVES.includes(String(jwk.crv))) throw new KeyError(`the curve is none of ${CURVES.join(', ')}`)
  const wrappings = alg === undefined ? (kind === 'RSA' ? [WRAPPINGS.RSA[0]] : WRAPPINGS[kind]) : [wrappingOf(alg, kind)]
  return { jwk, ...nameOf(kid), wrappings, encryptions: CONTENT_ENCRYPTIONS }
}

function sharedKey(jwk: Jwk): DecryptionKey {
  const { alg, k, kid } = jwk
  const wrapping = wrappingOf(alg, 'oct')
  if (typeof k !== 'string' || !isCanonicalBase64url(k)) throw new KeyError('the JWK member "k" is not base64url')
  const { length } = bytesOfBase64url(k)
  const encryptions = CONTENT_ENCRYPTIONS.filter((name) => wrapping !== 'dir' || CONTENT_BYTES[name] === length)
  const isFitting = wrapping === 'dir' ? encryptions.length > 0 : length === (wrapping.startsWith('A128') ? 16 : 32)
  if (!isFitting) throw new KeyError(`the shared key has ${length} bytes, which ${wrapping} does not take`)
  return { jwk: { kty: 'oct', k }, ...nameOf(kid), wrappings: [wrapping], encryptions }
}

function wrappingOf(alg: unknown, kind: Kind): string {
  const wrapping = WRAPPINGS[kind].find((name) => name === alg)
  if (wrapping === undefined) throw new KeyError(`the JWK member "alg" is none of ${WRAPPINGS[kind].join(', ')}`)
  return wrapping
}

function nameOf(kid: unknown): { readonly kid?: string } {
  return typeof kid === 'string' ? { kid } : {}
}

function attempt<T>(work: () => T): T {
  try {
    return work()
  } catch {
    // The cause is left out on purpose: its text may hold a piece of the key.
    throw new KeyError('the decryption key is not a usable private key')
  }
}
