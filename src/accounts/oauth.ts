import { randomUUID } from 'node:crypto'
import type { AuthenticatedToken } from '../auth/authenticator.ts'
import { VestalError } from '../core/errors.ts'
import type { KnownKey } from './api-key-directory.ts'
import { subjectOfKey } from './api-keys.ts'
import type { Origin } from './audit.ts'
import { type Grants, type IssuedToken, lifetimeUntil, OWN_CLIENT } from './issue.ts'
import { hashOf, isRefreshToken } from './refresh-tokens.ts'
import { untilTokenEnds } from './revocation-list.ts'
import { type AccountsContext, endSession, transact } from './service.ts'

/** A token for a client that stands for itself. */
export interface ClientToken extends IssuedToken {
  readonly grants: Grants
}

/**
 * Makes a token for an API key, as OAuth's client credentials. It carries the key's version as its epoch: a change of the key ends it, and it
 * expires with the key.
 * @param scope permissions that are enough for the caller; all that the key has where it is absent
 * @throws VestalError SCOPE_REFUSED
 */
export function issueClientToken(
  context: AccountsContext,
  { key, token }: KnownKey,
  { scope, origin }: { readonly scope: readonly string[] | undefined; readonly origin: Origin },
): ClientToken {
  if (scope !== undefined && !token.allows(scope)) throw new VestalError('SCOPE_REFUSED')
  const grants = { permissions: scope ?? key.permissions, roles: {} }
  const tokenId = randomUUID()
  const sub = subjectOfKey(key.id)
  context.audit({ event: 'client-token', actor: sub, tokenId, origin })
  const claims = { sub, jti: tokenId, epoch: key.version, client_id: key.id, data: grants }
  const lifetimeSeconds = lifetimeUntil(key.expiresAt, context)
  return { token: context.sign(claims, lifetimeSeconds), tokenId, lifetimeSeconds, grants }
}

/** The introspection answer (RFC 7662 §2.2) for a refresh token that is valid now; undefined for any other text. */
export async function describeRefreshToken({ store, now, lifetimes }: AccountsContext, token: string) {
  if (!isRefreshToken(token)) return undefined
  return store.read(async (records) => {
    const known = await records.refreshToken(hashOf(token))
    const session = known && (await records.lockSession(known.sessionId))
    const account = session && (await records.accountById(session.accountId))
    if (session === undefined || account === undefined || known?.generation !== session.generation) return undefined
    const until = Math.min(session.expiresAt, session.refreshedAt + lifetimes.idleSeconds * 1000)
    if (now() >= until || account.disabledAt !== null) return undefined
    const { id: sub, name: username } = account
    const described = { sub, username, exp: Math.floor(until / 1000), iat: Math.floor(session.refreshedAt / 1000) }
    return { ...described, client_id: session.clientId ?? OWN_CLIENT }
  })
}

/**
 * Ends the session of a refresh token, whichever of its generations; false for a text that is none (RFC 7009 §2.2).
 * @throws VestalError GRANT_REFUSED where the session is another client's (§2.1)
 */
export async function revokeRefreshToken(
  context: AccountsContext,
  token: string,
  by: { readonly clientId: string | undefined; readonly origin: Origin },
): Promise<boolean> {
  if (!isRefreshToken(token)) return false
  const ended = await transact(context, async (records, revoke) => {
    const known = await records.refreshToken(hashOf(token))
    const session = known && (await records.lockSession(known.sessionId))
    if (session === undefined) return undefined
    if (session.clientId !== (by.clientId ?? null)) throw anotherClients()
    await endSession(records, revoke, session.id)
    return session
  })
  if (ended === undefined) return false
  context.audit({ event: 'token-revoked', actor: ended.accountId, sessionId: ended.id, origin: by.origin })
  return true
}

/**
 * Revokes one access token, by its id, for as long as it would count.
 * @throws VestalError REVOCATION_REFUSED where it cannot be revoked here, GRANT_REFUSED where it was issued to another client
 */
export async function revokeToken(
  context: AccountsContext,
  { principal, payload }: AuthenticatedToken,
  { clientId, origin }: { readonly clientId: string | undefined; readonly origin: Origin },
): Promise<void> {
  const { jti: tokenId, exp, client_id } = payload
  if (!principal.isLocal)
    throw new VestalError('REVOCATION_REFUSED', { detail: 'Another issuer made the token; revoke it there' })
  if ((client_id ?? OWN_CLIENT) !== (clientId ?? OWN_CLIENT)) throw anotherClients()
  // Where claims may be null, a null one is absent.
  if (typeof tokenId !== 'string')
    throw new VestalError('REVOCATION_REFUSED', { detail: 'The token has no "jti", so it cannot be identified' })
  await transact(context, (_records, revoke) => revoke('token', tokenId, { until: untilTokenEnds(exp ?? undefined) }))
  context.audit({ event: 'token-revoked', actor: principal.key, tokenId, origin })
}

function anotherClients(): VestalError {
  return new VestalError('GRANT_REFUSED', { detail: 'The token was issued to another client' })
}
