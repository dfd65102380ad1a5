import { randomUUID } from 'node:crypto'
import { toBase64url } from './base64url.ts'
import type { JwtPayload } from './claims.ts'
import { KeyError } from './key-error.ts'
import { importKeys, type KeyInput } from './key-set.ts'
import type { ImportOptions, Key } from './keys.ts'
import { createToken, type SignatureBackendOption } from './signature-backends.ts'
import { keyIdOf } from './thumbprint.ts'

/** Seconds that a token lives where its `exp` is not given. */
const LIFETIME_SECONDS = 300

/** How a token is signed. */
export interface SignOptions extends ImportOptions {
  /** Seconds from `iat` to `exp`; default 300. Not used when the payload has its own `exp`. */
  readonly lifetimeSeconds?: number
  /** The header's `typ`; default `JWT`. */
  readonly type?: string
  /** Who signs with a shared secret: `auto`, the default, and `native` are Rust, where the type is `JWT`; BoringSSL signs everything else. */
  readonly signatureBackend?: SignatureBackendOption
  /** Clock in milliseconds since 1970; default `Date.now`. */
  readonly now?: () => number
}

/**
 * Makes a signed token (RFC 7519 §7.1, compact form). Claims that are not given are added: `iat` now, `exp` after the lifetime,
 * `jti` a random UUID. A claim that is undefined is left out.
 *
 * @example
 * const token = signJwt({ sub: 'me', data: { permissions: ['model:iris:predict'] } }, secret)
 *
 * @throws KeyError when the key cannot sign; TypeError when the payload cannot be written
 */
export function signJwt(payload: JwtPayload, key: KeyInput, options: SignOptions = {}): string {
  const signer = signingKey(key, options)
  const { lifetimeSeconds = LIFETIME_SECONDS, type = 'JWT', signatureBackend, now = Date.now } = options
  if (!(lifetimeSeconds > 0)) throw new TypeError('"lifetimeSeconds" is a positive number')
  if (typeof payload !== 'object' || payload === null || Array.isArray(payload))
    throw new TypeError('the payload is an object of claims')
  const algorithm = options.algorithm ?? signer.algorithm
  if (!signer.algorithms.includes(algorithm)) throw new KeyError(`this key cannot be used with ${algorithm}`)
  const iat = payload.iat ?? Math.floor(now() / 1000)
  const claims = { ...payload, iat, exp: payload.exp ?? iat + Math.ceil(lifetimeSeconds), jti: payload.jti ?? randomUUID() }
  const kid = keyIdOf(signer)
  // In the order in which node-rs writes it.
  const header = { typ: type, alg: algorithm, ...(kid !== undefined && { kid }) }
  const input = `${toBase64url(JSON.stringify(header))}.${toBase64url(JSON.stringify(claims))}`
  return createToken(signer, { algorithm, kid, claims, input }, signatureBackend)
}

function signingKey(input: KeyInput, options: ImportOptions): Key {
  const signer = importKeys(input, options).find((key) => key.canSign)
  if (signer === undefined) throw new KeyError('none of the keys can sign: a private key or a shared secret is needed')
  return signer
}
