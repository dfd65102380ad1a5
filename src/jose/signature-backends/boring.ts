import { constants, createHmac, type KeyObject, sign, timingSafeEqual, verify } from 'node:crypto'
import { ALGORITHMS, type Algorithm } from '../algorithms.ts'
import { bytesOfBase64url } from '../base64url.ts'
import type { Key } from '../keys.ts'
import { type SignatureCheck, signedCharacters } from './signature-check.ts'

/** `CryptoHasher.digest` asks for room for the longest hash. */
const DIGEST_BYTES_MAX = 64

/** Bun's own cryptography (BoringSSL); the key is read once. */
export function boringCheck({ kind, verifying }: Key, algorithm: Algorithm): SignatureCheck {
  return kind === 'oct' ? hmacCheck(verifying, algorithm) : publicKeyCheck(verifying, algorithm)
}

function hmacCheck(key: KeyObject, algorithm: Algorithm): SignatureCheck {
  const { hash, signatureBytes } = ALGORITHMS[algorithm]
  if (hash === '') throw new TypeError(`${algorithm} has no hash`)
  // The key is hashed here, once, and each token begins with a copy of that: a third of the time of createHmac (`bun run bench verify`).
  const keyed = new Bun.CryptoHasher(hash, key.export())
  // Both are written over by the next token; one byte more than a MAC has shows that a signature is longer.
  const decoded = Buffer.alloc(signatureBytes + 1)
  const given = decoded.subarray(0, signatureBytes)
  const digest = Buffer.alloc(DIGEST_BYTES_MAX)
  const expected = digest.subarray(0, signatureBytes)
  return (token) => {
    // timingSafeEqual throws on different lengths; the length of a MAC is no secret.
    if (decoded.write(token.signature, 'base64url') !== signatureBytes) return false
    keyed
      .copy()
      .update(token.text.slice(0, signedCharacters(token)))
      .digest(digest)
    return timingSafeEqual(given, expected)
  }
}

function publicKeyCheck(key: KeyObject, algorithm: Algorithm): SignatureCheck {
  const { hash, signatureBytes } = ALGORITHMS[algorithm]
  const material = materialOf(key, algorithm)
  return (token) => {
    const given = bytesOfBase64url(token.signature)
    if (signatureBytes !== 0 && given.length !== signatureBytes) return false
    try {
      const signed = Buffer.from(token.text.slice(0, signedCharacters(token)), 'latin1')
      return verify(hash === '' ? null : hash, signed, material, given)
    } catch {
      // BoringSSL throws on some malformed signatures; whatever it cannot read is not a signature.
      return false
    }
  }
}

/** The bytes of a signature over `input`, in the form that RFC 7518 §3 gives the algorithm. */
export function createSignature(key: Key, algorithm: Algorithm, input: string): Buffer {
  if (key.signing === undefined) throw new TypeError('this key is public: it verifies and cannot sign')
  const { kind, hash } = ALGORITHMS[algorithm]
  if (kind === 'oct') return createHmac(hash, key.signing).update(input).digest()
  return sign(hash === '' ? null : hash, Buffer.from(input), materialOf(key.signing, algorithm))
}

/** PS* salts are as long as the hash (RFC 7518 §3.5) and ES* signatures are r and s, not DER (§3.4): neither is the default. */
function materialOf(key: KeyObject, algorithm: Algorithm) {
  if (algorithm.startsWith('PS')) {
    return { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: ALGORITHMS[algorithm].hashBytes }
  }
  return algorithm.startsWith('ES') ? { key, dsaEncoding: 'ieee-p1363' as const } : { key }
}
