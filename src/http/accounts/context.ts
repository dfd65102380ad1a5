import type { ApiKeyDirectory } from '../../accounts/api-key-directory.ts'
import type { AuditReader, Origin } from '../../accounts/audit.ts'
import type { StalePolicy } from '../../accounts/revocation-sync.ts'
import type { AccountsContext } from '../../accounts/service.ts'
import type { Bearer } from '../../accounts/sessions.ts'
import type { SignedIn } from '../../accounts/sign-in.ts'
import type { AuthenticatedToken } from '../../auth/authenticator.ts'
import { isCrossSite } from '../../auth/credentials.ts'
import { VestalError } from '../../core/errors.ts'
import type { RequestMemory } from '../request-memory.ts'
import { type SessionCookies, setCookies } from './cookies.ts'
import type { OriginReader } from './origin.ts'

/** What accounts are served with. */
export interface AccountsOptions {
  readonly context: AccountsContext
  readonly cookies: SessionCookies
  readonly originOf: OriginReader
  readonly apiKeys: ApiKeyDirectory
  readonly readAudit: AuditReader
  /** False while what other processes revoke is not known here. */
  readonly isFresh: () => boolean
  readonly whenStale: StalePolicy
}

/** The same for the routes of an app, which knows the connection of each request and its id. */
export interface AccountRoutesOptions extends Omit<AccountsOptions, 'originOf'> {
  readonly originOf: (request: Request) => Origin
  readonly memory: RequestMemory
}

/** Whom a token of an account is for. @throws VestalError RECORD_UNKNOWN where it is another issuer's, or a program's */
export function bearerOf({ principal, payload }: AuthenticatedToken, origin: Bearer['origin']): Bearer {
  const { isLocal, subject } = principal
  if (!isLocal || subject === undefined || subject.startsWith('key:'))
    throw new VestalError('RECORD_UNKNOWN', { detail: 'The token is not of an account here' })
  const { sid } = payload
  return { accountId: subject, ...(typeof sid === 'string' && { sessionId: sid }), origin }
}

/** How a client wants to keep its session: as cookies, or as a refresh token that it keeps itself. */
export type SessionKind = 'cookie' | 'token'

/** The answer to a sign-in or a refresh. */
export function sessionResponse(
  { cookies, context }: Pick<AccountsOptions, 'cookies' | 'context'>,
  signedIn: Pick<SignedIn, 'accountId' | 'token' | 'lifetimeSeconds' | 'refreshToken'>,
  kind: SessionKind | undefined,
): Response {
  const { accountId: id, token, lifetimeSeconds: accessSeconds, refreshToken } = signedIn
  const { sessionSeconds: refreshSeconds } = context.lifetimes
  const body = { id, token, ...(kind === 'token' && { refresh_token: refreshToken, expires_in: accessSeconds }) }
  const headers = new Headers({ 'content-type': 'application/json', 'cache-control': 'no-store' })
  if (kind === 'cookie' && refreshToken !== undefined) {
    for (const cookie of setCookies(cookies, { token, refreshToken, accessSeconds, refreshSeconds }))
      headers.append('set-cookie', cookie)
  }
  return new Response(JSON.stringify(body), { headers })
}

/** Rejects a cross-site request, where the answer sets cookies or the request was authenticated by one. */
export function refuseCrossSite(request: Request): void {
  if (isCrossSite(request)) throw new VestalError('CROSS_SITE_REFUSED')
}
