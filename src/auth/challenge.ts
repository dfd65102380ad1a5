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
export function withChallenge({ code, status, detail, headers, message: reason }: VestalError, challenge: string): VestalError {
  if (status !== 400 && status !== 401) return new VestalError(code, { detail, reason, headers })
  const error = status === 400 ? 'invalid_request' : 'invalid_token'
  return new VestalError(code, { detail, reason, headers: { 'www-authenticate': `${challenge}, error="${error}"` } })
}

/** `scope` of RFC 6750 §3, when every permission is a `scope-token` of RFC 6749 §3.3. */
export function scopeOf(required: readonly string[]): string {
  return required.every((permission) => /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(permission)) ? `, scope="${required.join(' ')}"` : ''
}
