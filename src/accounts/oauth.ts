import { randomUUID } from 'node:crypto'
import { VestalError } from '../core/errors.ts'
import type { KnownKey } from './api-key-directory.ts'
import { subjectOfKey } from './api-keys.ts'
import type { Origin } from './audit.ts'
import type { Grants, IssuedToken } from './issue.ts'
import { hashOf, isRefreshToken } from './refresh-tokens.ts'
import { type AccountsContext, endSession, transact } from './service.ts'

/** A token for a client that stands for itself. */
export interface ClientToken extends IssuedToken {
  readonly grants: Grants
}

/**
 * Makes a token for an API key, as OAuth's client credentials. It carries the key's version as its epoch: a change of the key ends it.
 * @param scope permissions that are enough for the caller; all that the key has where it is absent
 * @throws VestalError SCOPE_REFUSED
 */
export function issueClientToken(
  { sign, audit }: AccountsContext,
  { key, token }: KnownKey,
  { scope, origin }: { readonly scope: readonly string[] | undefined; readonly origin: Origin },
): ClientToken {
  if (scope !== undefined && !token.allows(scope)) throw new VestalError('SCOPE_REFUSED')
  const grants = { permissions: scope ?? key.permissions, roles: {} }
  const tokenId = randomUUID()
  const sub = subjectOfKey(key.id)
  audit({ event: 'client-token', actor: sub, tokenId, origin })
  return { token: sign({ sub, jti: tokenId, epoch: key.version, client_id: key.id, data: grants }), tokenId, grants }
}

/** What RFC 7662 §2.2 tells of a refresh token that is valid now; undefined for any other text. */
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
    return { ...described, ...(session.clientId !== null && { client_id: session.clientId }) }
  })
}

/** Ends the session of a refresh token, whichever of its generations; one that is unknown, or another client's, is no fault (RFC 7009 §2.2). */
export async function revokeRefreshToken(
  context: AccountsContext,
  token: string,
  by: { readonly clientId: string | undefined; readonly origin: Origin },
): Promise<void> {
  if (!isRefreshToken(token)) return
  const ended = await transact(context, async (records, revoke) => {
    const known = await records.refreshToken(hashOf(token))
    const session = known && (await records.lockSession(known.sessionId))
    if (session === undefined || session.clientId !== (by.clientId ?? null)) return undefined
    await endSession(records, revoke, session.id)
    return session
  })
  if (ended !== undefined)
    context.audit({ event: 'token-revoked', actor: ended.accountId, sessionId: ended.id, origin: by.origin })
}

/** Ends one access token, by its id. */
export async function revokeToken(
  context: AccountsContext,
  { tokenId, subject, origin }: { readonly tokenId: string; readonly subject: string; readonly origin: Origin },
): Promise<void> {
  await transact(context, (_records, revoke) => revoke('token', tokenId))
  context.audit({ event: 'token-revoked', actor: subject, tokenId, origin })
}
