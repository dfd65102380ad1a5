import type { AuthenticatedToken, Authenticator } from '../auth/authenticator.ts'
import { challengeHeaders, challengeOf, describedBy } from '../auth/challenge.ts'
import { ERROR_CATALOGUE, VestalError } from '../core/errors.ts'
import type { ApiKeyDirectory } from './api-key-directory.ts'

/** What happens while a revocation that was made elsewhere could be missing here. */
export type StalePolicy = 'closed' | 'administration' | 'open'

export interface GuardOptions {
  readonly apiKeys: Pick<ApiKeyDirectory, 'find'>
  /** False where the store has not answered for so long that a revocation could be missing. */
  readonly isFresh: () => boolean
  /** `closed` denies every permission then, `administration` those that change something, `open` none. */
  readonly whenStale: StalePolicy
}

const BEARER_KEY = /^bearer +(vst_\S*)$/i
/** Rooms of permissions that are about the server itself, and verbs that change. */
const ADMINISTRATIVE = /^(?:users|roles|api-keys|audit|keys|tokens|server):|:(?:admin|write)$|^\*$/

/** True for a permission that changes something, or shows who may. */
export function isAdministrative(permission: string): boolean {
  return ADMINISTRATIVE.test(permission)
}

/**
 * The authenticator, which takes API keys as well: in `X-API-Key`, or in `Authorization: Bearer`. While what is revoked is not known,
 * it rejects with 503 what the policy names.
 */
export function guardAuthenticator(inner: Authenticator, { apiKeys, isFresh, whenStale }: GuardOptions): Authenticator {
  const byKey = (request: Request): AuthenticatedToken | undefined => {
    const authorization = request.headers.get('authorization')
    const header = request.headers.get('x-api-key')
    if (header === null && authorization === null) return undefined
    if (header !== null && authorization !== null)
      throw new VestalError('AUTHORIZATION_MALFORMED', { detail: 'Send Authorization or X-API-Key, not both' })
    const text = header ?? BEARER_KEY.exec(authorization ?? '')?.[1]
    return text === undefined ? undefined : found(text)
  }
  const found = (text: string): AuthenticatedToken => {
    try {
      return apiKeys.find(text).token
    } catch (error) {
      if (!(error instanceof VestalError)) throw error
      const { code, detail, message: reason } = error
      const description = typeof detail === 'string' && detail !== ERROR_CATALOGUE[code].detail ? detail : undefined
      const headers = challengeHeaders(describedBy(challengeOf('vestal', 'Bearer'), 'invalid_token', description))
      throw new VestalError(code, { detail, reason, headers })
    }
  }
  return {
    mayWait: inner.mayWait,
    authenticate: (request) => byKey(request) ?? inner.authenticate(request),
    authenticateOrWait: (request) => byKey(request) ?? inner.authenticateOrWait(request),
    authorize(token, required) {
      const isDenied = whenStale === 'closed' || (whenStale === 'administration' && required.some(isAdministrative))
      if (isDenied && !isFresh()) {
        throw new VestalError('STORE_UNAVAILABLE', { reason: 'what is revoked is not known', headers: { 'retry-after': '1' } })
      }
      inner.authorize(token, required)
    },
    replaceKeys: (keys) => inner.replaceKeys(keys),
    get cacheStatistics() {
      return inner.cacheStatistics
    },
    get remoteKeyStatistics() {
      return inner.remoteKeyStatistics
    },
    close: () => inner.close(),
  }
}
