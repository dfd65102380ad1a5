import { Elysia } from 'elysia'
import type { KnownKey } from '../../accounts/api-key-directory.ts'
import type { Origin } from '../../accounts/audit.ts'
import type { Grants, IssuedToken } from '../../accounts/issue.ts'
import { describeRefreshToken, issueClientToken, revokeRefreshToken, revokeToken } from '../../accounts/oauth.ts'
import { refreshSession } from '../../accounts/refresh.ts'
import { signInWithPassword } from '../../accounts/sign-in.ts'
import type { AuthenticatedToken, Authenticator } from '../../auth/authenticator.ts'
import { grantsOf } from '../../auth/permissions.ts'
import { VestalError } from '../../core/errors.ts'
import type { Answer } from '../../schema/build.ts'
import { jsonResponse } from '../json.ts'
import { OAUTH_DETAIL } from '../openapi/oauth.ts'
import type { AccountRoutesOptions } from './context.ts'
import { basicClientOf, clientOf, type Form, isForm, needed, type OauthClient, postedClientOf, readForm } from './oauth-client.ts'
import { type TokenAnswer, TokenRequest, TokenText } from './schemas.ts'

/** RFC 6749 §5.1. */
const NO_STORE = { 'cache-control': 'no-store', pragma: 'no-cache' }
/** What a client must be granted to ask about tokens. */
const INTROSPECT_PERMISSION = 'tokens:introspect'

export interface OauthOptions extends AccountRoutesOptions {
  readonly authenticator: Authenticator
  /** The verified token of a text; it throws a `VestalError` where there is none. */
  readonly verify: (text: string) => Promise<AuthenticatedToken>
}

/** OAuth 2.0: tokens (RFC 6749), what they are (RFC 7662) and their end (RFC 7009). */
export function oauth(options: OauthOptions) {
  const { originOf } = options
  return new Elysia({ name: 'oauth' })
    .post('/oauth/token', async ({ request }) => giveToken(options, request, originOf(request)), {
      parse: 'none',
      detail: OAUTH_DETAIL.token,
    })
    .post('/oauth/introspect', async ({ request }) => introspect(options, request, originOf(request)), {
      parse: 'none',
      detail: OAUTH_DETAIL.introspect,
    })
    .post('/oauth/revoke', async ({ request }) => revoke(options, request, originOf(request)), {
      parse: 'none',
      detail: OAUTH_DETAIL.revoke,
    })
}

async function giveToken(options: OauthOptions, request: Request, origin: Origin): Promise<Response> {
  const { context } = options
  const form = await readForm(request, TokenRequest, options)
  const grant = needed(form, 'grant_type')
  const client = await clientOf(request, form, { options, origin })
  const scope = form.scope?.split(' ').filter((name) => name !== '')
  if (grant === 'client_credentials') return answer(issueClientToken(context, clientNeeded(client), { scope, origin }))
  // A session's grants are its account's; they are read anew at each refresh, so there is nothing to narrow.
  if (scope !== undefined) throw new VestalError('SCOPE_REFUSED', { detail: 'A scope is only accepted with client_credentials' })
  const clientId = client?.id
  if (grant === 'password') return password(options, form, { origin, clientId })
  if (grant !== 'refresh_token') throw new VestalError('GRANT_UNSUPPORTED')
  const refreshToken = needed(form, 'refresh_token')
  return answer(await asGrant(refreshSession(context, { refreshToken, origin, ...(clientId !== undefined && { clientId }) })))
}

async function password(
  options: OauthOptions,
  form: Form<typeof TokenRequest>,
  { origin, clientId }: { readonly origin: Origin; readonly clientId: string | undefined },
): Promise<Response> {
  const claimant = { login: needed(form, 'username'), password: needed(form, 'password'), origin, isLasting: true }
  return answer(await asGrant(signInWithPassword(options.context, { ...claimant, ...(clientId !== undefined && { clientId }) })))
}

/** The key of a client that asks for itself: a public client has nothing of its own to be granted. */
function clientNeeded(client: OauthClient | undefined): KnownKey {
  if (client?.known !== undefined) return client.known
  throw new VestalError('CLIENT_REFUSED', {
    reason: client === undefined ? 'no client is named' : 'a public client has no permissions of its own',
    headers: { 'www-authenticate': 'Basic realm="vestal"' },
  })
}

/** RFC 6749 §5.2 has one word, and 400, for all that is wrong with a password or a refresh token. */
async function asGrant<T>(result: Promise<T>): Promise<T> {
  try {
    return await result
  } catch (error) {
    const isGrant = error instanceof VestalError && (error.code === 'SIGN_IN_REFUSED' || error.code === 'REFRESH_TOKEN_REFUSED')
    throw isGrant ? new VestalError('GRANT_REFUSED', { reason: error.message }) : error
  }
}

function answer(issued: IssuedToken & { readonly grants: Grants; readonly refreshToken?: string }): Response {
  const { token, lifetimeSeconds: expires_in, grants, refreshToken } = issued
  const scope = [...new Set([...grants.permissions, ...Object.values(grants.roles).flat()])].join(' ')
  const refreshed = refreshToken === undefined ? {} : { refresh_token: refreshToken }
  const body: Answer<typeof TokenAnswer> = { access_token: token, token_type: 'Bearer', expires_in, scope, ...refreshed }
  return jsonResponse(body, NO_STORE)
}

/**
 * Who asks comes first: a client, a token or an API key, that is granted to. A header is looked at before the body is read; the form is
 * read first only where no header says who asks, and its client may.
 */
async function introspect(options: OauthOptions, request: Request, origin: Origin): Promise<Response> {
  const { context, authenticator } = options
  const asked = { options, origin }
  const basic = await basicClientOf(request, asked)
  const isInForm = basic === undefined && !hasCredential(request) && isForm(request)
  const early = isInForm ? await readForm(request, TokenText, options) : undefined
  const client = basic ?? (early && (await postedClientOf(early, asked)))
  const caller = client?.token ?? (await authenticator.authenticate(request))
  authenticator.authorize(caller, [INTROSPECT_PERMISSION])
  const form = early ?? (await readForm(request, TokenText, options))
  if (early === undefined && form.client_secret !== undefined)
    throw new VestalError('BODY_INVALID', { detail: 'The client is named twice' })
  const text = needed(form, 'token')
  const refresh = await describeRefreshToken(context, text)
  if (refresh !== undefined) return jsonResponse({ active: true, token_type: 'refresh_token', ...refresh }, NO_STORE)
  return jsonResponse(await describeToken(options, text), NO_STORE)
}

/** True where a header authenticates the client; an empty HTTP Basic header does not. */
function hasCredential({ headers }: Request): boolean {
  const authorization = headers.get('authorization')
  return headers.has('x-api-key') || (authorization !== null && !/^basic /i.test(authorization))
}

async function describeToken(options: OauthOptions, text: string): Promise<object> {
  const token = await verified(options, text)
  if (token === undefined) return { active: false }
  const { sub, exp, iat, nbf, aud, iss, jti, client_id } = token.payload
  const username = sub === undefined || !token.principal.isLocal ? undefined : await nameOf(options, sub)
  const scope = grantsOf(token.payload).join(' ')
  // A member that is undefined is left out of the JSON.
  return { active: true, token_type: 'Bearer', scope, client_id, username, sub, exp, iat, nbf, aud, iss, jti }
}

/** Undefined for a token that is not accepted here; a store or keys that cannot be reached are no answer about it. */
async function verified({ verify }: OauthOptions, text: string): Promise<AuthenticatedToken | undefined> {
  try {
    return await verify(text)
  } catch (error) {
    if (error instanceof VestalError && error.status < 500) return undefined
    throw error
  }
}

async function nameOf({ context }: OauthOptions, subject: string): Promise<string | undefined> {
  return (await context.store.read((records) => records.accountById(subject)))?.name
}

/**
 * A token that does not count here is answered like one that was revoked (RFC 7009 §2.2). One that counts is revoked, or the request is
 * rejected with the reason: a 200 for a token that stays valid would be a lie.
 */
async function revoke(options: OauthOptions, request: Request, origin: Origin): Promise<Response> {
  const { context } = options
  const form = await readForm(request, TokenText, options)
  const clientId = (await clientOf(request, form, { options, origin }))?.id
  const text = needed(form, 'token')
  if (await revokeRefreshToken(context, text, { clientId, origin })) return jsonResponse({}, NO_STORE)
  if (isApiKey(options, text))
    throw new VestalError('REVOCATION_REFUSED', { detail: 'An API key is revoked with DELETE /admin/api-keys/{id}/' })
  const token = await countingToken(options, text)
  if (token !== undefined) await revokeToken(context, token, { clientId, origin })
  return jsonResponse({}, NO_STORE)
}

/** True for the text of an API key that counts. */
function isApiKey({ apiKeys }: OauthOptions, text: string): boolean {
  try {
    apiKeys.find(text)
    return true
  } catch (error) {
    if (error instanceof VestalError) return false
    throw error
  }
}

/** As `verified`; a token that will count later is rejected, since it cannot be revoked before it does. */
async function countingToken({ verify }: OauthOptions, text: string): Promise<AuthenticatedToken | undefined> {
  try {
    return await verify(text)
  } catch (error) {
    if (!(error instanceof VestalError) || error.status >= 500) throw error
    if (error.code !== 'TOKEN_NOT_YET_VALID' && error.code !== 'TOKEN_ISSUED_IN_FUTURE') return undefined
    throw new VestalError('REVOCATION_REFUSED', { detail: 'The token is not valid yet; revoke it once it is' })
  }
}
