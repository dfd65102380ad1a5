import { VestalError } from '../core/errors.ts'
import { bytesOfBase64url, isCanonicalBase64url } from './base64url.ts'
import { mediaType, TOKEN_BYTES_MAX } from './compact.ts'
import { type DecryptionKey, type DecryptionKeyInput, importDecryptionKey } from './decryption-key.ts'
import { type JsonObject, readStrictObject } from './strict-json.ts'

export interface DecryptorOptions {
  /** Longest token in characters; default 8192. */
  readonly tokenBytesMax?: number | undefined
}

/** Returns the signed token inside an encrypted one, which is then checked like any other; rejects with a VestalError. */
export type Decryptor = (token: string) => Promise<string>

/** Tokens that are decrypted at once; unauthenticated clients can cause one, and each costs as much as a signature. */
const DECRYPTIONS_MAX = 64

/** Parameters that choose a key, a cost or a way to unpack (RFC 7516 §4.1, RFC 7518 §4.8). */
const REFUSED_PARAMETERS = ['crit', 'zip', 'jwk', 'jku', 'x5u', 'x5c', 'p2s', 'p2c', 'b64'] as const

/** True for five parts, which is what a compact JWE has (RFC 7516 §7.1). */
export function isEncrypted(token: string): boolean {
  let dots = 0
  for (let at = token.indexOf('.'); at !== -1 && dots < 5; at = token.indexOf('.', at + 1)) dots += 1
  return dots === 4
}

/**
 * Prepares the decryption of nested tokens (RFC 7519 §11.2): a JWE with a signed JWT inside. A JWE with claims inside is rejected: anyone who
 * has the public key can make one.
 * @throws KeyError when the key cannot be used
 */
export function createDecryptor(input: DecryptionKeyInput, options: DecryptorOptions = {}): Decryptor {
  const key = importDecryptionKey(input)
  const { tokenBytesMax = TOKEN_BYTES_MAX } = options
  let running = 0
  return async (token) => {
    const { alg, enc } = checkHeader(headerOf(token, tokenBytesMax), key)
    if (running >= DECRYPTIONS_MAX) {
      const detail = 'Too many encrypted tokens are being decrypted'
      throw new VestalError('QUEUE_FULL', { detail, headers: { 'retry-after': '1' } })
    }
    running += 1
    try {
      return await decrypt(token, key, { alg, enc })
    } finally {
      running -= 1
    }
  }
}

interface Algorithms {
  readonly alg: string
  readonly enc: string
}

async function decrypt(token: string, { jwk }: DecryptionKey, { alg, enc }: Algorithms): Promise<string> {
  // Read with the first encrypted token: most servers meet none.
  const { compactDecrypt, importJWK } = await import('jose')
  try {
    const options = { keyManagementAlgorithms: [alg], contentEncryptionAlgorithms: [enc] }
    const { plaintext } = await compactDecrypt(token, await importJWK({ ...jwk }, alg), options)
    return Buffer.from(plaintext).toString('latin1')
  } catch {
    // The error never says which step failed: that is what padding oracles need.
    throw new VestalError('DECRYPTION_FAILED', { reason: 'the token cannot be decrypted with the key here' })
  }
}

function headerOf(token: string, tokenBytesMax: number): JsonObject {
  if (token.length > tokenBytesMax) throw new VestalError('TOKEN_TOO_LONG', { reason: 'too long' })
  const parts = token.split('.', 6)
  if (parts.length !== 5 || parts[0] === '' || !parts.every(isCanonicalBase64url))
    throw malformed('a part of the token is not canonical base64url')
  const header = readStrictObject(bytesOfBase64url(parts[0] ?? ''))
  if (typeof header === 'string') throw malformed(`the header is ${header}`)
  return header
}

function checkHeader(header: JsonObject, key: DecryptionKey): Algorithms {
  const { alg, enc, cty, kid } = header
  if (typeof alg !== 'string' || !key.wrappings.includes(alg) || typeof enc !== 'string' || !key.encryptions.includes(enc))
    throw new VestalError('ALGORITHM_REFUSED', { reason: 'the decryption key is not for the header\'s "alg" and "enc"' })
  for (const name of REFUSED_PARAMETERS) {
    if (Object.hasOwn(header, name)) throw new VestalError('HEADER_PARAMETER_REFUSED', { reason: `the header has "${name}"` })
  }
  if (typeof cty !== 'string' || mediaType(cty) !== 'application/jwt')
    throw new VestalError('HEADER_PARAMETER_REFUSED', { reason: 'the encrypted token holds no signed one ("cty" is not JWT)' })
  if (kid !== undefined && (typeof kid !== 'string' || (key.kid !== undefined && kid !== key.kid)))
    throw new VestalError('KEY_UNKNOWN', { reason: 'the header\'s "kid" is not that of the decryption key' })
  return { alg, enc }
}

function malformed(reason: string): VestalError {
  return new VestalError('TOKEN_MALFORMED', { reason })
}
