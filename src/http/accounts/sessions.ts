import { Elysia } from 'elysia'
import { refreshSession } from '../../accounts/refresh.ts'
import { changePassword, endOwnSession, ownAccount, sessionsOf, signOut, signOutEverywhere } from '../../accounts/sessions.ts'
import { VestalError } from '../../core/errors.ts'
import type { Answer } from '../../schema/build.ts'
import type { AuthenticationPlugin } from '../authentication.ts'
import { jsonResponse } from '../json.ts'
import { SESSION_DETAIL } from '../openapi/sessions.ts'
import { type AccountRoutesOptions, bearerOf, refuseCrossSite, sessionResponse } from './context.ts'
import { clearCookies } from './cookies.ts'
import { fieldFault, readFields } from './fields.ts'
import {
  type Ended,
  type OwnAccount,
  PasswordChange,
  Refresh,
  type Session,
  type SessionList,
  type SignedIn,
  type SignedOut,
} from './schemas.ts'

const NO_STORE = { 'cache-control': 'no-store' }

/** What an account does with its own sessions. */
export function accountSessions(options: AccountRoutesOptions & { readonly authentication: AuthenticationPlugin }) {
  const { context, originOf } = options
  return new Elysia({ name: 'account-sessions' })
    .use(options.authentication)
    .post('/auth/refresh/', async ({ request }) => refresh(options, request), {
      parse: 'none',
      detail: SESSION_DETAIL.refresh,
    })
    .post('/auth/logout/', ({ request, token }) => signedOut(options, signOut(context, bearerOf(token, originOf(request)))), {
      parse: 'none',
      permissions: [],
      detail: SESSION_DETAIL.logout,
    })
    .post(
      '/auth/logout/all/',
      ({ request, token }) => signedOut(options, signOutEverywhere(context, bearerOf(token, originOf(request)))),
      { parse: 'none', permissions: [], detail: SESSION_DETAIL.logoutAll },
    )
    .get(
      '/auth/me/',
      async ({ request, token }) => {
        const { accountId } = bearerOf(token, originOf(request))
        return jsonResponse(shownAccount(await ownAccount(context, accountId)), NO_STORE)
      },
      { permissions: [], detail: SESSION_DETAIL.me },
    )
    .post(
      '/auth/password/',
      async ({ request, token }) => {
        const bearer = bearerOf(token, originOf(request))
        const { old_password: old, new_password: password } = await readFields(request, PasswordChange, options)
        const issued = await changePassword(context, bearer, { old, password })
        return jsonResponse({ id: bearer.accountId, token: issued.token } satisfies Answer<typeof SignedIn>, NO_STORE)
      },
      { parse: 'none', permissions: [], detail: SESSION_DETAIL.password },
    )
    .get(
      '/auth/sessions/',
      async ({ request, token }) => {
        const { accountId, sessionId } = bearerOf(token, originOf(request))
        const sessions = await sessionsOf(context, accountId)
        const shown = sessions.map((session) => shownSession(session, sessionId))
        return jsonResponse({ sessions: shown } satisfies Answer<typeof SessionList>, NO_STORE)
      },
      { permissions: [], detail: SESSION_DETAIL.list },
    )
    .delete(
      '/auth/sessions/:id/',
      async ({ request, token, params }) => {
        const bearer = bearerOf(token, originOf(request))
        await endOwnSession(context, bearer, params.id)
        return jsonResponse({ ended: params.id } satisfies Answer<typeof Ended>, NO_STORE)
      },
      { parse: 'none', permissions: [], detail: SESSION_DETAIL.end },
    )
}

/** The token of the body, or where there is no body that of the cookie; the answer goes the way the question came. */
async function refresh(options: AccountRoutesOptions, request: Request): Promise<Response> {
  const { context, cookies, originOf } = options
  const origin = originOf(request)
  const sent = await sentToken(request, options)
  const refreshToken = sent ?? cookieOf(request, cookies.refresh)
  if (refreshToken === undefined) throw fieldFault('refresh_token', `is missing, and there is no cookie "${cookies.refresh}"`)
  if (sent === undefined) refuseCrossSite(request)
  try {
    const refreshed = await refreshSession(context, { refreshToken, origin })
    return sessionResponse(options, refreshed, sent === undefined ? 'cookie' : 'token')
  } catch (error) {
    // A useless cookie is deleted; an array of two would be one header here, so only the refresh cookie.
    if (sent !== undefined || !(error instanceof VestalError) || error.code !== 'REFRESH_TOKEN_REFUSED') throw error
    const { code, headers, message: reason } = error
    throw new VestalError(code, { reason, headers: { ...headers, 'set-cookie': clearCookies(cookies)[1] ?? '' } })
  }
}

async function sentToken(request: Request, options: AccountRoutesOptions): Promise<string | undefined> {
  const length = request.headers.get('content-length')
  if (length === '0' || request.body === null) return undefined
  return (await readFields(request, Refresh, options)).refresh_token
}

/** The first cookie of that name; a second is an attempt to plant one. */
function cookieOf(request: Request, name: string): string | undefined {
  const values = (request.headers.get('cookie') ?? '').split(';').flatMap((pair) => {
    const equals = pair.indexOf('=')
    return equals !== -1 && pair.slice(0, equals).trim() === name ? [pair.slice(equals + 1).trim()] : []
  })
  if (new Set(values).size > 1) throw new VestalError('COOKIE_AMBIGUOUS')
  return values[0]
}

/** The answer once the sessions have ended; it deletes the cookies. */
async function signedOut({ cookies }: AccountRoutesOptions, ended: Promise<void>): Promise<Response> {
  await ended
  const headers = new Headers({ 'content-type': 'application/json', ...NO_STORE })
  for (const cookie of clearCookies(cookies)) headers.append('set-cookie', cookie)
  return new Response(JSON.stringify({ signed_out: true } satisfies Answer<typeof SignedOut>), { headers })
}

function shownAccount(account: Awaited<ReturnType<typeof ownAccount>>): Answer<typeof OwnAccount> {
  const { id, name, permissions, roles, lastSignInAt, hasPassword } = account
  return { id, name, permissions, roles, last_sign_in_at: timeOrNull(lastSignInAt), has_password: hasPassword }
}

function shownSession(session: Awaited<ReturnType<typeof sessionsOf>>[number], own: string | undefined): Answer<typeof Session> {
  const { id, createdAt, refreshedAt, expiresAt, address, userAgent, clientId } = session
  const times = { created_at: timeOf(createdAt), used_at: timeOf(refreshedAt), expires_at: timeOf(expiresAt) }
  return { id, is_this: id === own, ...times, address, user_agent: userAgent, client_id: clientId }
}

/** A time as RFC 3339 writes it, in UTC. */
export function timeOf(milliseconds: number): string {
  return new Date(milliseconds).toISOString()
}

/** The same of a time that may be absent. */
export function timeOrNull(milliseconds: number | null): string | null {
  return milliseconds === null ? null : timeOf(milliseconds)
}
