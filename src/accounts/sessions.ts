import { VestalError } from '../core/errors.ts'
import type { Origin } from './audit.ts'
import { grantsOfAccount, type IssuedToken, issueToken } from './issue.ts'
import { isUuid } from './names.ts'
import { passwordFault } from './passwords.ts'
import type { Account, Session } from './records.ts'
import { type AccountsContext, CHALLENGE, endSession, raiseEpoch, transact } from './service.ts'
import type { Records } from './store.ts'

/** Whom a valid token is for: what its claims say. */
export interface Bearer {
  readonly accountId: string
  /** Absent for a token that was not made by signing in. */
  readonly sessionId?: string
  readonly origin: Origin
}

/** Ends the session of this token: its refresh token and all its access tokens. */
export async function signOut(context: AccountsContext, { accountId, sessionId, origin }: Bearer): Promise<void> {
  if (sessionId === undefined) throw new VestalError('RECORD_UNKNOWN', { detail: 'The token is not of a session' })
  await transact(context, (records, revoke) => endSession(records, revoke, sessionId))
  context.audit({ event: 'signed-out', actor: accountId, sessionId, origin })
}

/** Ends every session of an account, and every token that was made for it, wherever it was made. */
export async function signOutEverywhere(
  context: AccountsContext,
  { accountId, origin }: Bearer,
  actor = accountId,
): Promise<void> {
  await transact(context, async (records, revoke) => {
    const account = await lockedAccount(records, accountId)
    await raiseEpoch(records, revoke, account)
    for (const { id } of await records.sessionsOf(accountId)) await endSession(records, revoke, id)
  })
  context.audit({ event: 'signed-out-everywhere', actor, subject: accountId, origin })
}

/** The sessions of an account that are not over, the last used first. */
export async function sessionsOf({ store, now, lifetimes }: AccountsContext, accountId: string): Promise<readonly Session[]> {
  const sessions = await store.read((records) => records.sessionsOf(accountId))
  return sessions.filter(({ expiresAt, refreshedAt }) => now() < Math.min(expiresAt, refreshedAt + lifetimes.idleSeconds * 1000))
}

/** Ends one of an account's own sessions. @throws VestalError RECORD_UNKNOWN for another's as well */
export async function endOwnSession(context: AccountsContext, { accountId, origin }: Bearer, id: string): Promise<void> {
  await transact(context, async (records, revoke) => {
    const session = isUuid(id) ? await records.lockSession(id) : undefined
    if (session?.accountId !== accountId) throw new VestalError('RECORD_UNKNOWN')
    await endSession(records, revoke, id)
  })
  context.audit({ event: 'signed-out', actor: accountId, sessionId: id, origin })
}

/** An account as its owner may see it. */
export async function ownAccount({ store }: AccountsContext, accountId: string) {
  return store.read(async (records) => {
    const account = await records.accountById(accountId)
    if (account === undefined) throw new VestalError('RECORD_UNKNOWN', { detail: 'The token is not of an account here' })
    const { id, name, lastSignInAt } = account
    return { id, name, ...(await grantsOfAccount(records, account)), lastSignInAt, hasPassword: account.passwordHash !== null }
  })
}

export interface PasswordChange {
  /** The password until now; not asked for where there is none, as after a sign-in with a password for once. */
  readonly old: string | undefined
  readonly password: string
}

/**
 * Gives an account another password and ends its other sessions; all tokens made before die, and this session gets a new one.
 * @throws VestalError SIGN_IN_REFUSED, SIGN_IN_THROTTLED, BODY_INVALID
 */
export async function changePassword(context: AccountsContext, bearer: Bearer, change: PasswordChange): Promise<IssuedToken> {
  const { store, passwords, throttle, audit } = context
  const { accountId, sessionId, origin } = bearer
  const known = await store.read((records) => records.accountById(accountId))
  if (known === undefined || sessionId === undefined)
    throw new VestalError('RECORD_UNKNOWN', { detail: 'The token is not of a session' })
  const fault = passwordFault(change.password, known.name)
  if (fault !== undefined) throw new VestalError('BODY_INVALID', { detail: { new_password: fault } })
  // Counted for the session: failed sign-ins of others do not affect its owner.
  const attempt = { account: accountId, address: origin.address, place: sessionId }
  await throttle.attempt(attempt)
  const isRight = known.passwordHash === null || (await passwords.verify(change.old ?? '', known.passwordHash))
  if (!isRight) throw new VestalError('SIGN_IN_REFUSED', { detail: 'The old password is not right', headers: CHALLENGE })
  await throttle.succeeded(attempt)
  const passwordHash = await passwords.hash(change.password)
  const issued = await transact(context, async (records, revoke) => {
    const account = await lockedAccount(records, accountId)
    const session = await records.lockSession(sessionId)
    if (account.passwordHash !== known.passwordHash || account.disabledAt !== null || session === undefined)
      throw new VestalError('SIGN_IN_REFUSED', { detail: 'The old password is not right', headers: CHALLENGE })
    await records.updateAccount(accountId, { passwordHash, isPasswordOnce: false })
    await records.forgetAddresses(accountId)
    const epoch = await raiseEpoch(records, revoke, account)
    for (const { id } of await records.sessionsOf(accountId)) if (id !== sessionId) await endSession(records, revoke, id)
    const grants = await grantsOfAccount(records, account)
    return issueToken(context, { account: { ...account, epoch }, grants, session })
  })
  audit({ event: 'password-changed', actor: accountId, subject: accountId, sessionId, tokenId: issued.tokenId, origin })
  return issued
}

async function lockedAccount(records: Records, id: string): Promise<Account> {
  const account = await records.lockAccount(id)
  if (account === undefined) throw new VestalError('RECORD_UNKNOWN', { detail: 'The token is not of an account here' })
  return account
}
