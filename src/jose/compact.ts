import { VestalError } from '../core/errors.ts'
import { type Algorithm, isAlgorithm } from './algorithms.ts'
import { bytesOfBase64url, endsCanonically, isCanonicalBase64url, isPaddedBase64url } from './base64url.ts'
import { type JsonObject, readStrictObject } from './strict-json.ts'

/** Bytes of a token by default; a longer one is rejected before it is parsed. */
export const TOKEN_BYTES_MAX = 8192

/** A JOSE header (RFC 7515 §4) that has passed `readHeader`. */
export interface JoseHeader extends JsonObject {
  readonly alg: Algorithm
  readonly kid?: string
  readonly typ?: string
}

/** A compact JWS (RFC 7515 §7.1) taken apart; nothing in it is trusted yet. */
export interface CompactJws {
  readonly text: string
  /** The protected header's base64url, still encoded. */
  readonly header: string
  readonly payload: string
  readonly signature: string
}

export interface CompactOptions {
  /** Characters accepted; default 8192. */
  readonly tokenBytesMax?: number | undefined
  /** `flama` accepts base64url that is padded. */
  readonly interop?: 'flama' | undefined
}

/**
 * Splits a compact JWS and checks its encoding, and decodes nothing.
 * @throws VestalError TOKEN_TOO_LONG, TOKEN_ENCRYPTED, TOKEN_MALFORMED
 */
export function splitCompact(token: unknown, options: CompactOptions): CompactJws {
  if (typeof token !== 'string') throw malformed('the token is not a string')
  if (token.length > (options.tokenBytesMax ?? TOKEN_BYTES_MAX)) throw new VestalError('TOKEN_TOO_LONG', { reason: 'too long' })
  if (COMPACT.test(token) && options.interop === undefined) return splitCanonical(token)
  const first = token.indexOf('.')
  const second = token.indexOf('.', first + 1)
  if (first <= 0 || second === -1) throw malformed('the token has fewer than three parts')
  if (token.indexOf('.', second + 1) !== -1) throw tooManyParts(token)
  const parts = {
    text: token,
    header: token.slice(0, first),
    payload: token.slice(first + 1, second),
    signature: token.slice(second + 1),
  }
  const isEncoded = options.interop === 'flama' ? isPaddedBase64url : isCanonicalBase64url
  if (!isEncoded(parts.header) || !isEncoded(parts.payload) || !isEncoded(parts.signature)) {
    throw malformed('a part of the token is not canonical base64url')
  }
  return parts
}

/** Three parts of the alphabet, the first of them not empty: what every good token is. */
const COMPACT = /^[\w-]+\.[\w-]*\.[\w-]*$/

function splitCanonical(token: string): CompactJws {
  const first = token.indexOf('.')
  const second = token.lastIndexOf('.')
  const header = token.slice(0, first)
  const payload = token.slice(first + 1, second)
  const signature = token.slice(second + 1)
  if (endsCanonically(header) && endsCanonically(payload) && endsCanonically(signature))
    return { text: token, header, payload, signature }
  throw malformed('a part of the token is not canonical base64url')
}

/** Five parts are a JWE (RFC 7516 §7.1), which is not accepted here; any other count is nothing. */
function tooManyParts(token: string): VestalError {
  const isEncrypted = /^[\w-]+(?:\.[\w-]*){4}$/.test(token)
  return isEncrypted
    ? new VestalError('TOKEN_ENCRYPTED', { reason: 'the token is encrypted' })
    : malformed('the token has more than three parts')
}

/** Header parameters that would let a token choose its own key or its own rules (RFC 7515 §4.1, RFC 7797, RFC 8725 §3.10). */
const REFUSED_PARAMETERS = ['crit', 'b64', 'zip', 'enc', 'jwk', 'jku', 'x5u', 'x5c'] as const

/**
 * Reads a protected header that `splitCompact` has passed.
 * @throws VestalError TOKEN_MALFORMED, ALGORITHM_REFUSED, HEADER_PARAMETER_REFUSED
 */
export function readHeader(encoded: string): JoseHeader {
  const header = readStrictObject(bytesOfBase64url(encoded))
  if (typeof header === 'string') throw malformed(`the header is ${header}`)
  return checkHeader(header)
}

/** The rules of `readHeader` for a header that is an object already. */
export function checkHeader(header: JsonObject): JoseHeader {
  const { alg, kid, typ, cty } = header
  if (!isAlgorithm(alg))
    throw new VestalError('ALGORITHM_REFUSED', { reason: 'the header\'s "alg" is not a signature algorithm' })
  for (const name of REFUSED_PARAMETERS) {
    if (Object.hasOwn(header, name)) throw new VestalError('HEADER_PARAMETER_REFUSED', { reason: `the header has "${name}"` })
  }
  if (kid !== undefined && typeof kid !== 'string') throw malformed('the header\'s "kid" is not a string')
  if (typ !== undefined && typeof typ !== 'string') throw malformed('the header\'s "typ" is not a string')
  if (cty !== undefined && (typeof cty !== 'string' || mediaType(cty) === 'application/jwt')) {
    throw new VestalError('HEADER_PARAMETER_REFUSED', { reason: 'the token holds another token ("cty")' })
  }
  // The cast is what the checks above establish.
  return header as JoseHeader
}

/** A `typ` or `cty` as a whole media type in lower case: one without a `/` has `application/` in front of it (RFC 7515 §4.1.9). */
export function mediaType(name: string): string {
  const lower = name.toLowerCase()
  return lower.includes('/') ? lower : `application/${lower}`
}

function malformed(reason: string): VestalError {
  return new VestalError('TOKEN_MALFORMED', { reason })
}
