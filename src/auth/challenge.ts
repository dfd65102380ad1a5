import { ERROR_CATALOGUE, type ErrorCode, type Holder, VestalError } from '../core/errors.ts'

/**
 * `WWW-Authenticate` (RFC 9110 §11.6.1) before anything is said of an error.
 * @throws TypeError when the realm cannot stand between quotes
 */
export function challengeOf(realm: string, headerPrefix: string): string {
  if (!/^[\x20\x21\x23-\x5b\x5d-\x7e]*$/.test(realm)) throw new TypeError('"realm" is printable ASCII without quotes')
  return `${headerPrefix === '' ? 'Bearer' : headerPrefix} realm="${realm}"`
}

/**
 * The error descriptions for the holder of a token (RFC 6750 §3), where its signature is valid. They have no quotes and no backslashes, and nothing of the
 * token in them.
 */
const DESCRIPTIONS: Readonly<Partial<Record<ErrorCode, string>>> = {
  TOKEN_EXPIRED: 'The access token expired',
  TOKEN_NOT_YET_VALID: 'The access token is not valid yet',
  TOKEN_ISSUED_IN_FUTURE: 'The access token was issued in the future; check the clocks',
  TOKEN_LIFETIME_TOO_LONG: 'The access token lives longer than this server accepts',
  TOKEN_REVOKED: 'The access token was revoked',
  ISSUER_REFUSED: 'The access token is from an issuer that this server does not accept',
  AUDIENCE_REFUSED: 'The access token is for a different audience',
  CLAIM_MISSING: 'The access token lacks a claim that this server requires',
  CLAIM_INVALID: 'The access token has a claim that this server does not accept',
}

/**
 * The rejection with its challenge (RFC 6750 §3.1). Why a credential was rejected is said only to who holds it (`descriptionOf`): who makes one
 * up learns nothing from trying.
 */
export function withChallenge(error: VestalError, challenge: string): VestalError {
  const { code, status, headers, holder, message: reason } = error
  if (status !== 400 && status !== 401) return new VestalError(code, { detail: error.detail, reason, headers })
  // RFC 6750 §3.1: a request without a credential gets no error code.
  if (code === 'TOKEN_MISSING') return new VestalError(code, { reason, headers: challengeHeaders(challenge) })
  const word = status === 400 ? 'invalid_request' : 'invalid_token'
  const description = descriptionOf(error)
  const said = description === undefined ? '' : `, error_description="${description}"`
  return new VestalError(code, {
    detail: code === 'TOKEN_EXPIRED' && holder ? expiredDetail(holder) : (description ?? error.detail),
    reason,
    holder,
    headers: challengeHeaders(`${challenge}, error="${word}"${said}`),
  })
}

/**
 * Why it is rejected: of a token with a valid signature, whose error names its holder, and of an API key with the right secret, whose error has
 * a detail of its own.
 */
function descriptionOf({ code, holder, detail }: VestalError): string | undefined {
  if (code !== 'API_KEY_REFUSED') return holder && DESCRIPTIONS[code]
  return typeof detail === 'string' && detail !== ERROR_CATALOGUE[code].detail ? detail : undefined
}

/** Only in the body: the header is the same for every token that expired, and is built once. */
function expiredDetail({ expiresAtSeconds }: Holder): string {
  return expiresAtSeconds === undefined
    ? 'The access token expired'
    : `The access token expired at ${new Date(expiresAtSeconds * 1000).toISOString().replace(/\.\d+/, '')}`
}

type ChallengeHeaders = Readonly<Record<'www-authenticate', string>>

/** Headers by what they say: of one authenticator there are a dozen, and a client may ask for any number of them. */
const made = new Map<string, ChallengeHeaders>()
const MADE_MAX = 64

/** The header as the same object each time, so that what is made of it can be kept (`http/errors.ts`). */
export function challengeHeaders(value: string): ChallengeHeaders {
  const known = made.get(value)
  if (known !== undefined) return known
  const headers = Object.freeze({ 'www-authenticate': value })
  if (made.size < MADE_MAX) made.set(value, headers)
  return headers
}

/** `scope` of RFC 6750 §3, when every permission is a `scope-token` of RFC 6749 §3.3. */
export function scopeOf(required: readonly string[]): string {
  return required.every((permission) => /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(permission)) ? `, scope="${required.join(' ')}"` : ''
}
