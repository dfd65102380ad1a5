import { createPrivateKey, createPublicKey, createSecretKey, type KeyObject } from 'node:crypto'
import { ALGORITHMS, type Algorithm, algorithmsOf, isAlgorithm, type KeyKind } from './algorithms.ts'
import { bytesOfBase64url, isCanonicalBase64url } from './base64url.ts'

/** A key that cannot be used, told at the start and never because of a request. The message never holds key material. */
export class KeyError extends Error {
  override readonly name = 'KeyError'
}

/** A JSON Web Key (RFC 7517 §4). */
export type Jwk = Readonly<Record<string, unknown>>
/** A JSON Web Key Set (RFC 7517 §5). */
export interface JwkSet {
  readonly keys: readonly Jwk[]
}

/** A checked key. Its material stays in node:crypto's `KeyObject`s, which print nothing of it. */
export interface Key {
  readonly kid?: string
  readonly kind: KeyKind
  /** What this key signs with. */
  readonly algorithm: Algorithm
  /** What a token signed by this key may name in `alg`: the key decides, never the token (RFC 8725 §3.1). */
  readonly algorithms: readonly Algorithm[]
  readonly canSign: boolean
  readonly verifying: KeyObject
  readonly signing?: KeyObject
}

export interface ImportOptions {
  /** Pins the algorithm; default HS256 for a secret, RS256 for RSA, else what the curve says. */
  readonly algorithm?: Algorithm
  readonly kid?: string
  /** `flama` accepts secrets shorter than the hash, and any HMAC algorithm unless one is pinned. */
  readonly interop?: 'flama'
}

const RSA_BITS_MIN = 2048
const RSA_BITS_MAX = 16_384
const RSA_EXPONENT_MIN = 65_537n

/** Makes an HMAC key of a shared secret: a text's UTF-8, or bytes, at least as long as the hash (RFC 7518 §3.2). */
export function importSecret(secret: Uint8Array | string, options: ImportOptions = {}): Key {
  const bytes = typeof secret === 'string' ? Buffer.from(secret, 'utf8') : Buffer.from(secret)
  const isFlama = options.interop === 'flama'
  const algorithm = options.algorithm ?? 'HS256'
  if (ALGORITHMS[algorithm].kind !== 'oct') throw new KeyError(`a shared secret cannot be used with ${algorithm}`)
  if (bytes.length === 0) throw new KeyError('the secret is empty')
  // Everybody knows a public key: taken for a secret it would let everybody sign (RFC 8725 §3.1, CVE-2016-10555 and its kin).
  if (bytes.includes('-----BEGIN ')) throw new KeyError('the secret is a PEM; hand the key over as text in "keys"')
  const bytesMin = ALGORITHMS[algorithm].hashBytes
  if (bytes.length < bytesMin && !isFlama) {
    throw new KeyError(`the secret has ${bytes.length} bytes; ${algorithm} needs at least ${bytesMin} (RFC 7518 §3.2)`)
  }
  const algorithms = isFlama && options.algorithm === undefined ? algorithmsOf('oct') : [algorithm]
  const material = createSecretKey(bytes)
  return freezeKey({ kind: 'oct', algorithm, algorithms, canSign: true, verifying: material, signing: material }, options.kid)
}

/** Makes a key of a PEM text: SPKI or PKCS#1 public, PKCS#8 or PKCS#1 or SEC1 private. A private key verifies with its public part. */
export function importPem(pem: string, options: ImportOptions = {}): Key {
  const isPrivate = /-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(pem)
  const signing = isPrivate ? attempt(() => createPrivateKey(pem), 'the PEM does not hold a usable private key') : undefined
  const verifying = attempt(() => createPublicKey(pem), 'the PEM does not hold a usable public key')
  return asymmetricKey(verifying, signing, options)
}

/** Makes a key of a JSON Web Key; `alg`, `use` and `key_ops` are obeyed (RFC 7517 §4.2 to §4.4). */
export function importJwk(jwk: Jwk, options: ImportOptions = {}): Key {
  if (typeof jwk !== 'object' || jwk === null || Array.isArray(jwk)) throw new KeyError('a JWK is a JSON object')
  checkUse(jwk)
  const { kid, alg } = jwk
  if (kid !== undefined && typeof kid !== 'string') throw new KeyError('the JWK member "kid" is not a string')
  if (alg !== undefined && !isAlgorithm(alg)) throw new KeyError('the JWK member "alg" is not a signature algorithm known here')
  if (alg !== undefined && options.algorithm !== undefined && alg !== options.algorithm) {
    throw new KeyError(`the JWK is for ${alg}, not for ${options.algorithm}`)
  }
  const pinned = options.algorithm ?? alg
  const named = kid ?? options.kid
  const withNames = { ...options, ...(pinned && { algorithm: pinned }), ...(named !== undefined && { kid: named }) }
  if (jwk.kty === 'oct') return importSecretJwk(jwk, withNames, pinned)
  // The cast: node:crypto itself checks the members, and throws.
  const material = { key: jwk, format: 'jwk' } as unknown as Parameters<typeof createPrivateKey>[0] &
    Parameters<typeof createPublicKey>[0]
  const signing =
    jwk.d === undefined ? undefined : attempt(() => createPrivateKey(material), 'the JWK is not a usable private key')
  return asymmetricKey(
    attempt(() => createPublicKey(material), 'the JWK is not a usable public key'),
    signing,
    withNames,
  )
}

function importSecretJwk(jwk: Jwk, options: ImportOptions, pinned: Algorithm | undefined): Key {
  if (typeof jwk.k !== 'string' || !isCanonicalBase64url(jwk.k)) throw new KeyError('the JWK member "k" is not base64url')
  const bytes = bytesOfBase64url(jwk.k)
  const key = importSecret(bytes, options)
  if (pinned !== undefined) return key
  // Without `alg` the key serves every HMAC that it is long enough for (RFC 7518 §3.2).
  return { ...key, algorithms: algorithmsOf('oct').filter((name) => bytes.length >= ALGORITHMS[name].hashBytes) }
}

function checkUse(jwk: Jwk): void {
  if (jwk.use !== undefined && jwk.use !== 'sig') throw new KeyError('the JWK member "use" is not "sig"')
  if (jwk.key_ops === undefined) return
  const operations = jwk.key_ops
  if (!Array.isArray(operations) || new Set(operations).size !== operations.length) {
    throw new KeyError('the JWK member "key_ops" is not a list of different operations')
  }
  if (!operations.includes('verify') && !operations.includes('sign')) {
    throw new KeyError('the JWK member "key_ops" holds neither "sign" nor "verify"')
  }
}

function asymmetricKey(verifying: KeyObject, signing: KeyObject | undefined, options: ImportOptions): Key {
  const fitting = fittingAlgorithms(verifying)
  const pinned = options.algorithm
  if (pinned !== undefined && !fitting.includes(pinned)) throw new KeyError(`this key cannot be used with ${pinned}`)
  const algorithm = pinned ?? fitting[0]
  if (algorithm === undefined) throw new KeyError('this type of key is not supported')
  const algorithms = pinned === undefined ? fitting : [pinned]
  const { kind } = ALGORITHMS[algorithm]
  const canSign = signing !== undefined
  return freezeKey({ kind, algorithm, algorithms, canSign, verifying, ...(signing && { signing }) }, options.kid)
}

function fittingAlgorithms(key: KeyObject): Algorithm[] {
  const details = key.asymmetricKeyDetails
  switch (key.asymmetricKeyType) {
    case 'rsa': {
      const bits = details?.modulusLength ?? 0
      const exponent = details?.publicExponent ?? 0n
      if (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX) {
        throw new KeyError(`the RSA key has ${bits} bits; ${RSA_BITS_MIN} to ${RSA_BITS_MAX} are accepted (RFC 7518 §3.3)`)
      }
      if (exponent < RSA_EXPONENT_MIN || exponent % 2n === 0n)
        throw new KeyError('the RSA public exponent is even or below 65537')
      return algorithmsOf('RSA')
    }
    case 'ec':
      return algorithmsOf('EC').filter((name) => ALGORITHMS[name].curve === details?.namedCurve)
    case 'ed25519':
      return ['EdDSA']
    default:
      return []
  }
}

function freezeKey(key: Key, kid: string | undefined): Key {
  return Object.freeze(kid === undefined ? key : { ...key, kid })
}

function attempt<T>(work: () => T, message: string): T {
  try {
    return work()
  } catch {
    // The cause is left out on purpose: its text may hold a piece of the key.
    throw new KeyError(message)
  }
}
