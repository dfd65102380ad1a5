/** The algorithms that sign and verify (RFC 7518 §3.1, RFC 8037 §3.1). */
export type Algorithm =
  | 'HS256'
  | 'HS384'
  | 'HS512'
  | 'RS256'
  | 'RS384'
  | 'RS512'
  | 'PS256'
  | 'PS384'
  | 'PS512'
  | 'ES256'
  | 'ES384'
  | 'ES512'
  | 'EdDSA'

/** `kty` of RFC 7518 §6.1 and RFC 8037 §2. */
export type KeyKind = 'oct' | 'RSA' | 'EC' | 'OKP'

export interface AlgorithmFacts {
  readonly kind: KeyKind
  /** Name of the hash for node:crypto; empty for EdDSA, which has its own. */
  readonly hash: '' | 'sha256' | 'sha384' | 'sha512'
  /** Bytes of the hash: the least length of an HMAC secret (RFC 7518 §3.2) and the salt length of PS* (§3.5). */
  readonly hashBytes: number
  /** Bytes of a signature where the algorithm fixes it; 0 for RSA, where the key does. */
  readonly signatureBytes: number
  /** OpenSSL's name of the curve, for ES* and EdDSA. */
  readonly curve?: string
}

/** The signature algorithms of RFC 7518 §3.1 and RFC 8037 §3.1. `none` is not one of them. */
export const ALGORITHMS: Readonly<Record<Algorithm, AlgorithmFacts>> = {
  HS256: { kind: 'oct', hash: 'sha256', hashBytes: 32, signatureBytes: 32 },
  HS384: { kind: 'oct', hash: 'sha384', hashBytes: 48, signatureBytes: 48 },
  HS512: { kind: 'oct', hash: 'sha512', hashBytes: 64, signatureBytes: 64 },
  RS256: { kind: 'RSA', hash: 'sha256', hashBytes: 32, signatureBytes: 0 },
  RS384: { kind: 'RSA', hash: 'sha384', hashBytes: 48, signatureBytes: 0 },
  RS512: { kind: 'RSA', hash: 'sha512', hashBytes: 64, signatureBytes: 0 },
  PS256: { kind: 'RSA', hash: 'sha256', hashBytes: 32, signatureBytes: 0 },
  PS384: { kind: 'RSA', hash: 'sha384', hashBytes: 48, signatureBytes: 0 },
  PS512: { kind: 'RSA', hash: 'sha512', hashBytes: 64, signatureBytes: 0 },
  ES256: { kind: 'EC', hash: 'sha256', hashBytes: 32, signatureBytes: 64, curve: 'prime256v1' },
  ES384: { kind: 'EC', hash: 'sha384', hashBytes: 48, signatureBytes: 96, curve: 'secp384r1' },
  ES512: { kind: 'EC', hash: 'sha512', hashBytes: 64, signatureBytes: 132, curve: 'secp521r1' },
  EdDSA: { kind: 'OKP', hash: '', hashBytes: 64, signatureBytes: 64, curve: 'ed25519' },
}

/** True for the names of `ALGORITHMS`, to the letter. */
export function isAlgorithm(name: unknown): name is Algorithm {
  return typeof name === 'string' && Object.hasOwn(ALGORITHMS, name)
}

/** Every algorithm for that kind of key. */
export function algorithmsOf(kind: KeyKind): Algorithm[] {
  return (Object.keys(ALGORITHMS) as Algorithm[]).filter((name) => ALGORITHMS[name].kind === kind)
}
