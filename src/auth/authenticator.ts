import { VestalError } from '../core/errors.ts'
import type { KeyInput } from '../jwt/key-set.ts'
import { createVerifier, type VerifiedJwt, type VerifyOptions } from '../jwt/verify.ts'
import { type CredentialOptions, createCredentialReader } from './credentials.ts'
import { grantsOf, isAllowed } from './permissions.ts'

export interface AuthenticatorOptions extends CredentialOptions, VerifyOptions {
  /** Names the protected space in `WWW-Authenticate` (RFC 9110 §11.5); default `vestal`. */
  readonly realm?: string
}

/** Says who a request is from, and whether they may. */
export interface Authenticator {
  /**
   * The verified token of a request.
   * @throws VestalError with status 400, 401 or 403, and a `WWW-Authenticate` header (RFC 6750 §3)
   */
  authenticate(request: Request): VerifiedJwt
  /**
   * Passes when the token grants all of the permissions.
   * @throws VestalError PERMISSION_MISSING
   */
  authorize(token: VerifiedJwt, required: readonly string[]): void
  /** True when the token grants all of the permissions. */
  isAllowed(token: VerifiedJwt, required: readonly string[]): boolean
}

/**
 * Prepares keys, credentials and rules once, so that a request costs only its own work.
 * @throws KeyError, TypeError when keys or options cannot be used
 */
export function createAuthenticator(keys: KeyInput, options: AuthenticatorOptions = {}): Authenticator {
  const { realm = 'vestal', interop, headerPrefix = 'Bearer' } = options
  if (!/^[\x20\x21\x23-\x5b\x5d-\x7e]*$/.test(realm)) throw new TypeError('"realm" is printable ASCII without quotes')
  const read = createCredentialReader(options)
  const verify = createVerifier(keys, options)
  const challenge = `${headerPrefix === '' ? 'Bearer' : headerPrefix} realm="${realm}"`
  const grantOptions = interop === undefined ? {} : { interop }
  const allowed = (token: VerifiedJwt, required: readonly string[]) =>
    required.length === 0 || isAllowed(grantsOf(token.payload, grantOptions), required)
  return {
    authenticate(request) {
      let isPresent = false
      try {
        const credential = read(request)
        isPresent = credential !== undefined
        if (credential === undefined) throw new VestalError('TOKEN_MISSING', { reason: 'no token was sent' })
        return verify(credential.token)
      } catch (error) {
        throw error instanceof VestalError ? withChallenge(error, isPresent, challenge) : error
      }
    },
    authorize(token, required) {
      if (allowed(token, required)) return
      const refusal = new VestalError('PERMISSION_MISSING', { reason: `needs ${required.join(', ')}` })
      throw withHeader(refusal, `${challenge}, error="insufficient_scope"${scopeOf(required)}`)
    },
    isAllowed: allowed,
  }
}

/** RFC 6750 §3.1: no error code for those who sent nothing; otherwise what kind of refusal it is, and no word more. */
function withChallenge(error: VestalError, isPresent: boolean, challenge: string): VestalError {
  if (error.status === 403) return error
  if (error.status === 400) return withHeader(error, `${challenge}, error="invalid_request"`)
  return withHeader(error, isPresent ? `${challenge}, error="invalid_token"` : challenge)
}

/** `scope` of RFC 6750 §3, when every permission is a `scope-token` of RFC 6749 §3.3. */
function scopeOf(required: readonly string[]): string {
  return required.every((permission) => /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(permission)) ? `, scope="${required.join(' ')}"` : ''
}

function withHeader(error: VestalError, challenge: string): VestalError {
  const { code, detail, message: reason } = error
  return new VestalError(code, { detail, reason, headers: { 'www-authenticate': challenge }, cause: error })
}
