import { VestalError } from '../core/errors.ts'

/**
 * `WWW-Authenticate` (RFC 9110 §11.6.1) before anything is said of an error.
 * @throws TypeError when the realm cannot stand between quotes
 */
export function challengeOf(realm: string, headerPrefix: string): string {
  if (!/^[\x20\x21\x23-\x5b\x5d-\x7e]*$/.test(realm)) throw new TypeError('"realm" is printable ASCII without quotes')
  return `${headerPrefix === '' ? 'Bearer' : headerPrefix} realm="${realm}"`
}

/** RFC 6750 §3.1: what kind of refusal it is, and no word more. */
export function withChallenge(
  { code, status, detail, headers, holder, message: reason }: VestalError,
  challenge: string,
): VestalError {
  if (status !== 400 && status !== 401) return new VestalError(code, { detail, reason, headers })
  const error = status === 400 ? 'invalid_request' : 'invalid_token'
  return new VestalError(code, { detail, reason, holder, headers: challengeHeaders(`${challenge}, error="${error}"`) })
}

type ChallengeHeaders = Readonly<Record<'www-authenticate', string>>

/** Headers by what they say: of one authenticator there are three, and a stranger may ask for any number of them. */
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
