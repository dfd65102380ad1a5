import { VestalError } from '../core/errors.ts'
import { invariant } from '../core/invariant.ts'
import { type Algorithm, isAlgorithm } from './algorithms.ts'
import { textOfBase64url } from './base64url.ts'
import { type ClaimRules, checkClaims, holderOf, type JwtPayload } from './claims.ts'
import { type JoseHeader, mediaType, readHeader, splitCompact, TOKEN_BYTES_MAX } from './compact.ts'
import { importKeys, type KeyInput, selectKey, selectPublishedKeys } from './key-set.ts'
import type { Key } from './keys.ts'
import type { SignatureCheck } from './signature-backends/signature-check.ts'
import { createSignatureCheck, type SignatureBackendOption } from './signature-backends.ts'
import { type JsonObject, readStrictText } from './strict-json.ts'

/** Which tokens are accepted. */
export interface VerifyOptions extends ClaimRules {
  /** Algorithms accepted of those that the keys allow; all of them by default. */
  readonly algorithms?: readonly Algorithm[] | undefined
  /** Accepted `typ` values, compared as RFC 7515 §4.1.9 says; default `JWT` and `at+jwt`. A token without one counts as `JWT`. */
  readonly types?: readonly string[] | undefined
  /** Longest token in characters; default 8192. */
  readonly tokenBytesMax?: number | undefined
  readonly signatureBackend?: SignatureBackendOption | undefined
  /** Clock in milliseconds since 1970; default `Date.now`. */
  readonly now?: (() => number) | undefined
}

/** A token whose signature, header and claims have been checked. */
export interface VerifiedJwt {
  readonly header: JoseHeader
  readonly payload: JwtPayload
}

const TYPES = ['JWT', 'at+jwt']
/** Headers remembered by a verifier: a service sees as many as it has keys, and those of forged tokens must not evict them for long. */
const HEADERS_MAX = 64

/**
 * Prepares a verifier: keys imported, options checked, so that a token costs only its own work.
 *
 * @example
 * const verify = createVerifier(secret, { issuers: ['https://id.example'], audiences: ['models'] })
 * const { payload } = verify(token)
 *
 * @throws KeyError, TypeError when the keys or options cannot be used
 */
export function createVerifier(input: KeyInput, options: VerifyOptions = {}): (token: string) => VerifiedJwt {
  checkOptions(options)
  const algorithm = options.algorithms?.length === 1 ? options.algorithms[0] : undefined
  const keys = importKeys(input, { algorithm, interop: options.interop })
  return verifierOf(options, ({ alg, kid }) => [selectKey(keys, alg, kid)])
}

/**
 * Prepares verifiers for published key sets: several keys may share a name, and each that fits the token's algorithm is tried.
 * The options are checked once, for any keys.
 * @throws TypeError when the options cannot be used
 */
export function createPublishedVerifier(options: VerifyOptions): (keys: readonly Key[]) => (token: string) => VerifiedJwt {
  checkOptions(options)
  return (keys) => verifierOf(options, ({ alg, kid }) => selectPublishedKeys(keys, alg, kid))
}

function verifierOf(options: VerifyOptions, select: (header: JoseHeader) => readonly Key[]): (token: string) => VerifiedJwt {
  const prepare = headerReader(options.types ?? TYPES, signatureChecks(options, select))
  const now = options.now ?? Date.now
  return (token) => {
    const parts = splitCompact(token, options)
    const { header, isSigned } = prepare(parts.header)
    if (!isSigned(parts)) throw new VestalError('SIGNATURE_INVALID', { reason: 'the signature is not right' })
    const text = textOfBase64url(parts.payload)
    const payload = text === undefined ? 'not UTF-8' : readStrictText(text)
    if (typeof payload === 'string') throw new VestalError('TOKEN_MALFORMED', { reason: `the payload is ${payload}` })
    return { header, payload: checkSigned(payload, options, now() / 1000) }
  }
}

/**
 * Verifies one token: parsing, signature and claims. For many tokens with the same keys, keep a `createVerifier`.
 *
 * @example
 * const { header, payload } = verifyJwt(token, publicKeyPem, { algorithms: ['ES256'] })
 *
 * @throws VestalError with the reason's code; KeyError when the keys cannot be used
 */
export function verifyJwt(token: string, keys: KeyInput, options: VerifyOptions = {}): VerifiedJwt {
  return createVerifier(keys, options)(token)
}

/** The checked claims of a signed payload. An error names the principal. */
function checkSigned(payload: JsonObject, rules: ClaimRules, nowSeconds: number): JwtPayload {
  try {
    return checkClaims(payload, rules, nowSeconds)
  } catch (error) {
    if (!(error instanceof VestalError)) throw error
    throw new VestalError(error.code, { reason: error.message, holder: holderOf(payload) })
  }
}

interface KnownHeader {
  readonly header: JoseHeader
  readonly isSigned: SignatureCheck
}

/** Reads headers, with the check that each asks for, and remembers those that are right: tokens of one issuer share theirs to the letter. */
function headerReader(
  types: readonly string[],
  checkOf: (header: JoseHeader) => SignatureCheck,
): (encoded: string) => KnownHeader {
  const accepted = new Set(types.map(mediaType))
  const remembered = new Map<string, KnownHeader>()
  return (encoded) => {
    const known = remembered.get(encoded)
    if (known !== undefined) return known
    const header = readHeader(encoded)
    if (!accepted.has(mediaType(header.typ ?? 'JWT')))
      throw new VestalError('TOKEN_TYPE_REFUSED', { reason: 'the "typ" is not accepted' })
    const read = { header: Object.freeze(header), isSigned: checkOf(header) }
    if (remembered.size >= HEADERS_MAX) remembered.clear()
    remembered.set(encoded, read)
    return read
  }
}

/** Finds, and prepares at first use, the signature check that a header asks for: at most keys × algorithms of them. */
function signatureChecks(
  options: VerifyOptions,
  select: (header: JoseHeader) => readonly Key[],
): (header: JoseHeader) => SignatureCheck {
  const prepared = new Map<Key, Map<Algorithm, SignatureCheck>>()
  const { algorithms, signatureBackend } = options
  const backendOptions = { signatureBackend, isPayloadFree: options.interop === 'flama' }
  const checkOf = (key: Key, alg: Algorithm): SignatureCheck => {
    const checks = prepared.get(key) ?? new Map<Algorithm, SignatureCheck>()
    const check = checks.get(alg) ?? createSignatureCheck(key, alg, backendOptions)
    if (!checks.has(alg)) prepared.set(key, checks.set(alg, check))
    return check
  }
  return (header) => {
    const { alg } = header
    const keys = select(header)
    if (algorithms !== undefined && !algorithms.includes(alg)) {
      throw new VestalError('ALGORITHM_REFUSED', { reason: `${alg} is not one of the accepted algorithms` })
    }
    const [first, ...others] = keys.map((key) => checkOf(key, alg))
    invariant(first !== undefined, 'a key is selected, or none is and that is thrown')
    return others.length === 0 ? first : (parts) => first(parts) || others.some((check) => check(parts))
  }
}

/** Throws a TypeError where an option cannot be used. */
function checkOptions(options: VerifyOptions): void {
  const { algorithms, leewaySeconds = 0, tokenBytesMax = TOKEN_BYTES_MAX, lifetimeSecondsMax = 1, interop } = options
  if (algorithms !== undefined && (algorithms.length === 0 || !algorithms.every(isAlgorithm))) {
    throw new TypeError('"algorithms" is a list of at least one signature algorithm')
  }
  if (!(leewaySeconds >= 0 && leewaySeconds <= 300)) throw new TypeError('"leewaySeconds" is between 0 and 300')
  if (!(tokenBytesMax >= 64 && tokenBytesMax <= 65_536)) throw new TypeError('"tokenBytesMax" is between 64 and 65536')
  if (!(lifetimeSecondsMax > 0)) throw new TypeError('"lifetimeSecondsMax" is a positive number of seconds')
  if (interop !== undefined && interop !== 'flama') throw new TypeError('"interop" is "flama" or absent')
  for (const name of ['issuers', 'audiences', 'requiredClaims', 'types'] as const) {
    const list = options[name]
    if (list !== undefined && !isListOfTexts(list)) throw new TypeError(`"${name}" is a list of strings`)
  }
  if (options.types?.length === 0) throw new TypeError('"types" is a list of at least one token type')
  if (options.audienceClaim === '') throw new TypeError('"audienceClaim" is the name of a claim')
  if (!isListOfTexts(Object.values(options.requiredValues ?? {}))) throw new TypeError('"requiredValues" are texts by claim')
}

function isListOfTexts(list: unknown): boolean {
  return Array.isArray(list) && list.every((item) => typeof item === 'string' && item !== '')
}
