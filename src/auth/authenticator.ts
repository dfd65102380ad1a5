import { VestalError } from '../core/errors.ts'
import { type CacheStatistics, SieveCache } from '../core/sieve-cache.ts'
import { LEEWAY_SECONDS } from '../jwt/claims.ts'
import type { KeyInput } from '../jwt/key-set.ts'
import { createVerifier, type VerifiedJwt, type VerifyOptions } from '../jwt/verify.ts'
import { type CredentialOptions, createCredentialReader } from './credentials.ts'
import { compileGrants, grantsOf, type PermissionCheck } from './permissions.ts'

export interface AuthenticatorOptions extends CredentialOptions, VerifyOptions {
  /** Names the protected space in `WWW-Authenticate` (RFC 9110 §11.5); default `vestal`. */
  readonly realm?: string
  /** Verified tokens that are remembered; default 10 000, and 0 remembers none. */
  readonly cacheEntriesMax?: number
  /** Memory for them, in bytes, each counted as eight times its characters; default 64 MiB. */
  readonly cacheBytesMax?: number
  /** Asked of each request's token, remembered or not: true refuses it. It must answer at once. */
  readonly isRevoked?: (token: VerifiedJwt) => boolean
}

/** Says who a request is from, and whether they may. */
export interface Authenticator {
  /**
   * The verified token of a request. It is frozen: the same token gives the same object again.
   * @throws VestalError with status 400, 401 or 403, and a `WWW-Authenticate` header (RFC 6750 §3)
   */
  authenticate(request: Request): AuthenticatedToken
  /**
   * Passes when the token grants all of the permissions.
   * @throws VestalError PERMISSION_MISSING
   */
  authorize(token: AuthenticatedToken, required: readonly string[]): void
  /** Takes other keys from now on; what was verified with the old ones is forgotten at once. */
  replaceKeys(keys: KeyInput): void
  /** What the cache of verified tokens has done. */
  readonly cacheStatistics: CacheStatistics
}

export interface AuthenticatedToken extends VerifiedJwt {
  /** Answers whether the token grants all of these permissions. */
  readonly allows: PermissionCheck
}

interface Remembered {
  readonly token: AuthenticatedToken
  /** Milliseconds since 1970 between which the token's times are right, leeway included. */
  readonly fromMs: number
  readonly untilMs: number
}

const CACHE_ENTRIES_MAX = 10_000
const CACHE_BYTES_MAX = 64 * 1024 * 1024
/** A longer token is verified each time: a few of them would push many out. */
const CACHED_TOKEN_BYTES_MAX = 4096
/** Bytes that a remembered token takes for each of its characters: the text, its claims and its permissions. */
const BYTES_A_CHARACTER = 8

/**
 * Prepares keys, credentials and rules once, so that a request costs only its own work.
 * @throws KeyError, TypeError when keys or options cannot be used
 */
export function createAuthenticator(keys: KeyInput, options: AuthenticatorOptions = {}): Authenticator {
  const { realm = 'vestal', interop, headerPrefix = 'Bearer', isRevoked, now = Date.now } = options
  if (!/^[\x20\x21\x23-\x5b\x5d-\x7e]*$/.test(realm)) throw new TypeError('"realm" is printable ASCII without quotes')
  const reader = createCredentialReader(options)
  const cache = createCache(options)
  const challenge = `${headerPrefix === '' ? 'Bearer' : headerPrefix} realm="${realm}"`
  const grantOptions = interop === undefined ? {} : { interop }
  const leewayMs = (options.leewaySeconds ?? LEEWAY_SECONDS) * 1000
  let verify = createVerifier(keys, options)

  /** The token that is remembered under a header's value, where its times are still right. */
  const recall = (header: string): AuthenticatedToken | undefined => {
    const remembered = cache.get(header)
    if (remembered === undefined) return undefined
    const time = now()
    if (time >= remembered.fromMs && time < remembered.untilMs) return remembered.token
    cache.delete(header)
    return undefined
  }
  const verifyAndRemember = (text: string, header: string): AuthenticatedToken => {
    const verified = verify(text)
    const token = freezeDeep({ ...verified, allows: compileGrants(grantsOf(verified.payload, grantOptions)) })
    if (text.length <= CACHED_TOKEN_BYTES_MAX) {
      const { exp, nbf, iat } = verified.payload
      const fromMs = Math.max(secondsToMs(nbf) ?? 0, secondsToMs(iat) ?? 0) - leewayMs
      const untilMs = (secondsToMs(exp) ?? Number.POSITIVE_INFINITY) + leewayMs
      cache.set(header, { token, fromMs, untilMs }, text.length * BYTES_A_CHARACTER)
    }
    return token
  }
  const identify = (request: Request): AuthenticatedToken | undefined => {
    const header = reader.header(request)
    if (header !== null) {
      const known = recall(header)
      if (known !== undefined) return known
    }
    const text = header === null ? reader.tokenOfCookie(request) : reader.tokenOfHeader(header)
    if (text === undefined) return undefined
    const canonical = reader.canonical(text)
    return (header === canonical ? undefined : recall(canonical)) ?? verifyAndRemember(text, canonical)
  }
  return {
    authenticate(request) {
      let token: AuthenticatedToken | undefined
      try {
        token = identify(request)
        if (token !== undefined && isRevoked?.(token) === true)
          throw new VestalError('TOKEN_REVOKED', { reason: 'the token is revoked' })
      } catch (error) {
        throw error instanceof VestalError ? withChallenge(error, challenge) : error
      }
      if (token === undefined)
        throw new VestalError('TOKEN_MISSING', { reason: 'no token was sent', headers: { 'www-authenticate': challenge } })
      return token
    },
    authorize(token, required) {
      if (token.allows(required)) return
      const header = `${challenge}, error="insufficient_scope"${scopeOf(required)}`
      throw new VestalError('PERMISSION_MISSING', {
        reason: `needs ${required.join(', ')}`,
        headers: { 'www-authenticate': header },
      })
    },
    replaceKeys(next) {
      verify = createVerifier(next, options)
      cache.clear()
    },
    get cacheStatistics() {
      return cache.statistics
    },
  }
}

function createCache({ cacheEntriesMax = CACHE_ENTRIES_MAX, cacheBytesMax = CACHE_BYTES_MAX }: AuthenticatorOptions) {
  for (const [name, value] of Object.entries({ cacheEntriesMax, cacheBytesMax })) {
    if (!Number.isSafeInteger(value) || value < 0) throw new TypeError(`"${name}" is a whole number from 0 up`)
  }
  return new SieveCache<Remembered>({ entriesMax: cacheEntriesMax, weightMax: cacheBytesMax })
}

function secondsToMs(seconds: number | null | undefined): number | undefined {
  // Flama's tokens may have null for a claim that is not there.
  return seconds === undefined || seconds === null ? undefined : seconds * 1000
}

/** One token's claims are handed to many requests: none of them may change what the next one sees. */
function freezeDeep<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  for (const member of Object.values(value)) freezeDeep(member)
  return Object.freeze(value)
}

/** RFC 6750 §3.1: what kind of refusal it is, and no word more. */
function withChallenge({ code, status, detail, message: reason }: VestalError, challenge: string): VestalError {
  if (status === 403) return new VestalError(code, { detail, reason })
  const error = status === 400 ? 'invalid_request' : 'invalid_token'
  return new VestalError(code, { detail, reason, headers: { 'www-authenticate': `${challenge}, error="${error}"` } })
}

/** `scope` of RFC 6750 §3, when every permission is a `scope-token` of RFC 6749 §3.3. */
function scopeOf(required: readonly string[]): string {
  return required.every((permission) => /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(permission)) ? `, scope="${required.join(' ')}"` : ''
}
