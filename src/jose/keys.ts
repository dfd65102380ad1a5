import { createPrivateKey, createPublicKey, createSecretKey, type KeyObject } from 'node:crypto'
import { ALGORITHMS, type Algorithm, algorithmsOf, type KeyKind } from './algorithms.ts'
import { bytesOfBase64url, isCanonicalBase64url } from './base64url.ts'
import { checkMaterial, type Jwk, readNames } from './jwk-members.ts'
import { KeyError } from './key-error.ts'
import { fittingAlgorithms } from './key-floors.ts'

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
  /** False where `key_ops` leaves no use but signing; a private key's public part verifies all the same. */
  readonly canVerify: boolean
  readonly verifying: KeyObject
  readonly signing?: KeyObject
}

export interface ImportOptions {
  /** Pins the algorithm; default HS256 for a secret, RS256 for RSA, else what the curve says. */
  readonly algorithm?: Algorithm | undefined
  readonly kid?: string
  /** True leaves each key the one algorithm it would sign with, where neither it nor the caller names one. */
  readonly isOneAlgorithm?: boolean
  /** True rejects private keys and shared secrets: for published keys, where either is a mistake of the publisher. */
  readonly isPublicOnly?: boolean
  /** `flama` accepts secrets shorter than the hash, and any HMAC algorithm unless one is pinned. */
  readonly interop?: 'flama' | undefined
}

/** Makes an HMAC key of a shared secret: a text's UTF-8, or bytes, at least as long as the hash (RFC 7518 §3.2). */
export function importSecret(secret: Uint8Array | string, options: ImportOptions = {}): Key {
  // The cast: Buffer takes either, but its types have one overload for each.
  const bytes = Buffer.from(secret as string)
  const isFlama = options.interop === 'flama'
  const algorithm = options.algorithm ?? 'HS256'
  if (options.isPublicOnly === true) throw new KeyError('a shared secret is not a public key')
  if (ALGORITHMS[algorithm].kind !== 'oct') throw new KeyError(`a shared secret cannot be used with ${algorithm}`)
  if (bytes.length === 0)
    throw new KeyError('the secret is empty; set one of at least 32 random bytes, such as `openssl rand -base64 48` prints')
  const other = keyInSecret(bytes)
  if (other !== undefined) throw new KeyError(`the secret is ${other}; hand the key over in "keys" or a key file`)
  const bytesMin = ALGORITHMS[algorithm].hashBytes
  if (bytes.length < bytesMin && !isFlama) {
    throw new KeyError(`the secret has ${bytes.length} bytes; ${algorithm} needs at least ${bytesMin} (RFC 7518 §3.2)`)
  }
  const algorithms = isFlama && options.algorithm === undefined ? algorithmsOf('oct') : [algorithm]
  const material = createSecretKey(bytes)
  const key = {
    kind: 'oct' as const,
    algorithm,
    algorithms,
    canSign: true,
    canVerify: true,
    verifying: material,
    signing: material,
  }
  return freezeKey(key, options.kid)
}

/** True for a text with a PEM block in it (RFC 7468 §2), whatever it holds. */
export function isPem(text: string): boolean {
  return text.includes('-----BEGIN ')
}

/** Makes a key of a PEM text: SPKI or PKCS#1 public, PKCS#8 or PKCS#1 or SEC1 private. A private key verifies with its public part. */
export function importPem(pem: string, options: ImportOptions = {}): Key {
  const isPrivate = labelOf(pem).endsWith('PRIVATE KEY')
  const signing = isPrivate ? attempt(() => createPrivateKey(pem), 'the PEM does not hold a usable private key') : undefined
  const verifying = attempt(() => createPublicKey(pem), 'the PEM does not hold a usable public key')
  return asymmetricKey(verifying, signing, options)
}

const PEM_LABELS = ['PUBLIC KEY', 'RSA PUBLIC KEY', 'PRIVATE KEY', 'RSA PRIVATE KEY', 'EC PRIVATE KEY']

/** What the one block of a PEM says it is; OpenSSL writes the curve in a block of its own in front of it. */
function labelOf(pem: string): string {
  const labels = [...pem.matchAll(/-----BEGIN ([A-Z0-9 ]*)-----/g)].map(([, label = '']) => label)
  const [label, second] = labels.filter((name) => name !== 'EC PARAMETERS')
  if (label === 'CERTIFICATE') throw new KeyError('the PEM is a certificate; hand over its public key')
  if (label === 'ENCRYPTED PRIVATE KEY' || pem.includes('Proc-Type: 4,ENCRYPTED'))
    throw new KeyError('the PEM is encrypted; decrypt it, or make a key file with `vestal keys`')
  if (label === undefined || second !== undefined) throw new KeyError('a PEM holds one key')
  if (!PEM_LABELS.includes(label)) throw new KeyError('the PEM is neither a public nor a private key')
  return label
}

/** Makes a key of a JSON Web Key; `alg`, `use` and `key_ops` are obeyed (RFC 7517 §4.2 to §4.4). */
export function importJwk(jwk: Jwk, options: ImportOptions = {}): Key {
  if (typeof jwk !== 'object' || jwk === null || Array.isArray(jwk)) throw new KeyError('a JWK is a JSON object')
  const { kid, alg, operations } = readNames(jwk)
  if (alg !== undefined && options.algorithm !== undefined && alg !== options.algorithm) {
    throw new KeyError(`the JWK is for ${alg}, not for ${options.algorithm}`)
  }
  const pinned = options.algorithm ?? alg
  const withNames = { ...options, ...(pinned && { algorithm: pinned }), ...(kid !== undefined && { kid }) }
  const key = jwk.kty === 'oct' ? importSecretJwk(jwk, withNames, pinned) : importAsymmetricJwk(jwk, withNames)
  return operations === undefined ? key : withOperations(key, operations)
}

function withOperations(key: Key, operations: ReadonlySet<unknown>): Key {
  const canSign = key.canSign && operations.has('sign')
  const canVerify = operations.has('verify') || (canSign && key.kind !== 'oct')
  if (!canSign && !canVerify) throw new KeyError('the JWK member "key_ops" leaves this key no use')
  const { signing, ...rest } = key
  return Object.freeze({ ...rest, canSign, canVerify, ...(canSign && signing && { signing }) })
}

function importSecretJwk(jwk: Jwk, options: ImportOptions, pinned: Algorithm | undefined): Key {
  if (typeof jwk.k !== 'string' || !isCanonicalBase64url(jwk.k)) throw new KeyError('the JWK member "k" is not base64url')
  const bytes = bytesOfBase64url(jwk.k)
  const key = importSecret(bytes, options)
  if (pinned !== undefined || options.isOneAlgorithm === true) return key
  // Without `alg` the key serves every HMAC that it is long enough for (RFC 7518 §3.2).
  const algorithms = algorithmsOf('oct').filter((name) => bytes.length >= ALGORITHMS[name].hashBytes)
  return Object.freeze({ ...key, algorithms: algorithms.length > 0 ? algorithms : key.algorithms })
}

function importAsymmetricJwk(jwk: Jwk, options: ImportOptions): Key {
  const { publicMembers, isPrivate } = checkMaterial(jwk)
  if (!isPrivate) return asymmetricKey(publicKeyOf(publicMembers), undefined, options)
  const signing = attempt(() => {
    const key = createPrivateKey(asJwkInput(jwk))
    // Of an RSA JWK BoringSSL believes every number; reading the key again from DER, it checks that they belong together.
    return createPrivateKey({ key: key.export({ type: 'pkcs8', format: 'der' }), format: 'der', type: 'pkcs8' })
  }, 'the JWK is not a usable private key')
  const verifying = createPublicKey(signing)
  if (!verifying.equals(publicKeyOf(publicMembers)))
    throw new KeyError('the private and the public part of the JWK are of two keys')
  return asymmetricKey(verifying, signing, options)
}

function publicKeyOf(members: Jwk): KeyObject {
  return attempt(() => createPublicKey(asJwkInput(members)), 'the JWK is not a usable public key')
}

/** The cast: `checkMaterial` has checked the members, and node:crypto checks them again. */
function asJwkInput(jwk: Jwk) {
  return { key: jwk, format: 'jwk' } as unknown as Parameters<typeof createPrivateKey>[0] & Parameters<typeof createPublicKey>[0]
}

function asymmetricKey(verifying: KeyObject, signing: KeyObject | undefined, options: ImportOptions): Key {
  const fitting = fittingAlgorithms(verifying)
  const pinned = options.algorithm
  if (options.isPublicOnly === true && signing !== undefined) throw new KeyError('a private key is where a public one belongs')
  if (pinned !== undefined && !fitting.includes(pinned)) throw new KeyError(`this key cannot be used with ${pinned}`)
  const algorithm = pinned ?? fitting[0]
  if (algorithm === undefined) throw new KeyError('this type of key is not supported')
  const algorithms = pinned === undefined && options.isOneAlgorithm !== true ? fitting : [algorithm]
  const canSign = signing !== undefined
  const { kind } = ALGORITHMS[algorithm]
  return freezeKey({ kind, algorithm, algorithms, canSign, canVerify: true, verifying, ...(signing && { signing }) }, options.kid)
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

/**
 * What a shared secret would be by mistake: something that others know, or that is a key of another kind. Taken for a secret, a public
 * key lets everybody sign (RFC 8725 §3.1, CVE-2016-10555 and its kin). Undefined where the bytes are none of these.
 */
function keyInSecret(bytes: Uint8Array): string | undefined {
  const text = Buffer.from(bytes).toString('latin1').trim()
  if (isPem(text)) return 'a PEM'
  if (/^(?:ssh-(?:rsa|dss|ed25519)|ecdsa-sha2-\S+) /.test(text)) return 'an SSH key'
  if (text.startsWith('{') && isJwkText(text)) return 'a JWK'
  if (isDer(bytes) || (/^[\w+/-]+={0,2}$/.test(text) && isDer(Buffer.from(text, 'base64')))) return 'a key in DER'
  return undefined
}

function isJwkText(text: string): boolean {
  try {
    const value = JSON.parse(text) as unknown
    return typeof value === 'object' && value !== null && ('kty' in value || 'keys' in value)
  } catch {
    // Not JSON, so not a JWK.
    return false
  }
}

function isDer(bytes: Uint8Array): boolean {
  // A SEQUENCE: all keys in DER begin so.
  if (bytes[0] !== 0x30) return false
  return (['spki', 'pkcs1'] as const).some((type) => {
    try {
      createPublicKey({ key: Buffer.from(bytes), format: 'der', type })
      return true
    } catch {
      // Not a key of this form.
      return false
    }
  })
}
