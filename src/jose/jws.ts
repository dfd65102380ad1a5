import { VestalError } from '../core/errors.ts'
import { type Algorithm, isAlgorithm } from './algorithms.ts'
import { bytesOfBase64url, isCanonicalBase64url } from './base64url.ts'
import { type CompactJws, type JoseHeader, splitCompact, TOKEN_BYTES_MAX } from './compact.ts'
import { importUsableKeys, type KeyInput, selectKeys } from './key-set.ts'
import { createSignatureCheck, type SignatureBackendOption } from './signature-backends.ts'
import { type JsonObject, readStrictObject } from './strict-json.ts'

export interface JwsOptions {
  /** Algorithms accepted of those that the keys allow; all of them by default. */
  readonly algorithms?: readonly Algorithm[]
  readonly signatureBackend?: SignatureBackendOption
  /** Longest token, or payload, in characters; default 8192. */
  readonly tokenBytesMax?: number
}

/** A JWS whose signature has been checked; the payload may be anything. */
export interface VerifiedJws {
  readonly header: JoseHeader
  readonly payload: Uint8Array
}

/** A JWS in the flattened JSON form (RFC 7515 §7.2.2). */
export interface FlattenedJws {
  readonly payload: string
  readonly protected?: string
  /** The unprotected header: its members are not covered by the signature. */
  readonly header?: JsonObject
  readonly signature: string
}

/**
 * Verifies a compact JWS (RFC 7515 §5.2) whatever its payload is, and checks no claim: for a token use `verifyJwt`. Of a JWK Set the
 * member with the header's `kid` is used, or, where the header has none, whichever member fits its `alg` (RFC 7515 appendix D).
 *
 * @example
 * const { payload } = verifyCompactJws(token, jwkSet)
 * console.log(new TextDecoder().decode(payload))
 *
 * @throws VestalError with the reason's code; KeyError when the keys cannot be used
 */
export function verifyCompactJws(token: string, jwkOrSet: KeyInput, options: JwsOptions = {}): VerifiedJws {
  const parts = splitCompact(token, options)
  return verifyParts(parts, joinHeaders(readStrictObject(bytesOfBase64url(parts.header)), {}), { jwkOrSet, options })
}

/**
 * Verifies a JWS in the flattened JSON form (RFC 7515 §7.2.2). Protected and unprotected header must not share a member.
 *
 * @example
 * const [header = '', payload = '', signature = ''] = token.split('.')
 * const verified = verifyFlattenedJws({ protected: header, payload, signature }, jwkSet)
 *
 * @throws VestalError with the reason's code; KeyError when the keys cannot be used
 */
export function verifyFlattenedJws(jws: FlattenedJws, jwkOrSet: KeyInput, options: JwsOptions = {}): VerifiedJws {
  if (typeof jws !== 'object' || jws === null || Array.isArray(jws)) throw malformed('a flattened JWS is an object')
  if ('signatures' in jws) throw malformed('a JWS with several signatures is not accepted')
  // §7.2.1: a header that has nothing in it is absent.
  if (jws.protected === '') throw malformed('the member "protected" is empty')
  const { payload, protected: header = '', signature, header: unprotected = {} } = jws
  for (const [name, value] of Object.entries({ payload, protected: header, signature })) {
    if (typeof value !== 'string') throw malformed(`the member "${name}" is not a string`)
    if (value.length > (options.tokenBytesMax ?? TOKEN_BYTES_MAX))
      throw new VestalError('TOKEN_TOO_LONG', { reason: `"${name}" is too long` })
    if (!isCanonicalBase64url(value)) throw malformed(`the member "${name}" is not canonical base64url`)
  }
  if (typeof unprotected !== 'object' || unprotected === null || Array.isArray(unprotected))
    throw malformed('"header" is not an object')
  if (jws.header !== undefined && Object.keys(unprotected).length === 0) throw malformed('the member "header" is empty')
  const joined = joinHeaders(header === '' ? {} : readStrictObject(bytesOfBase64url(header)), unprotected)
  const parts = { text: `${header}.${payload}.${signature}`, header, payload, signature }
  return verifyParts(parts, joined, { jwkOrSet, options })
}

function joinHeaders(protectedHeader: JsonObject | string, unprotected: JsonObject): JoseHeader {
  if (typeof protectedHeader === 'string') throw malformed(`the protected header is ${protectedHeader}`)
  const shared = Object.keys(unprotected).find((name) => Object.hasOwn(protectedHeader, name))
  if (shared !== undefined) throw malformed('a member is in both headers')
  return checkJwsHeader({ ...unprotected, ...protectedHeader })
}

function verifyParts(
  parts: CompactJws,
  header: JoseHeader,
  { jwkOrSet, options }: { readonly jwkOrSet: KeyInput; readonly options: JwsOptions },
): VerifiedJws {
  const { algorithms, signatureBackend } = options
  if (algorithms !== undefined && !algorithms.includes(header.alg)) {
    throw new VestalError('ALGORITHM_REFUSED', { reason: `${header.alg} is not one of the accepted algorithms` })
  }
  const keys = selectKeys(importUsableKeys(jwkOrSet), header.alg, header.kid)
  const backendOptions = { ...(signatureBackend && { signatureBackend }), isPayloadFree: true }
  if (!keys.some((key) => createSignatureCheck(key, header.alg, backendOptions)(parts)))
    throw new VestalError('SIGNATURE_INVALID', { reason: 'the signature is not right' })
  return { header, payload: new Uint8Array(bytesOfBase64url(parts.payload)) }
}

function malformed(reason: string): VestalError {
  return new VestalError('TOKEN_MALFORMED', { reason })
}

/** What changes how a JWS is read (RFC 7515 §4.1.11, RFC 7797), and what a JWE has (RFC 7516 §4.1): none of it is supported. */
const REFUSED_PARAMETERS = ['crit', 'b64', 'zip', 'enc'] as const
/** Texts of RFC 7515 §4.1. They name keys and types; the caller has chosen the key, and none of them is followed. */
const TEXTS = ['kid', 'typ', 'cty', 'jku', 'x5u', 'x5t', 'x5t#S256'] as const

/**
 * The rules for the header of a bare JWS. Parameters that name a key are ignored, as RFC 7515 §4 asks of what is not used; a token's header
 * has stricter ones (`compact.ts`).
 * @throws VestalError ALGORITHM_REFUSED, HEADER_PARAMETER_REFUSED, TOKEN_MALFORMED
 */
export function checkJwsHeader(header: JsonObject): JoseHeader {
  if (!isAlgorithm(header.alg))
    throw new VestalError('ALGORITHM_REFUSED', { reason: 'the header\'s "alg" is not a signature algorithm' })
  for (const name of REFUSED_PARAMETERS) {
    if (Object.hasOwn(header, name)) throw new VestalError('HEADER_PARAMETER_REFUSED', { reason: `the header has "${name}"` })
  }
  for (const name of TEXTS) {
    const value = header[name]
    if (value !== undefined && typeof value !== 'string')
      throw new VestalError('TOKEN_MALFORMED', { reason: `the header's "${name}" is not a string` })
  }
  // The cast is what the checks above establish.
  return header as JoseHeader
}
