import { randomUUID } from 'node:crypto'
import { VestalError } from '../core/errors.ts'
import type { Origin } from './audit.ts'
import { type Grants, grantsOfAccount, type IssuedToken, issueToken } from './issue.ts'
import { isUuid, nameFault, normaliseName } from './names.ts'
import type { Account, Session } from './records.ts'
import { hashOf, makeRefreshToken } from './refresh-tokens.ts'
import { type AccountsContext, CHALLENGE, endSession, transact } from './service.ts'
import type { Records } from './store.ts'
import { isAddress, subnetOf } from './subnet.ts'

/** Credentials of a sign-in. */
export interface Claimant {
  /** An account's id or name. */
  readonly login: string
  readonly password: string
  readonly origin: Origin
  /** True for a session that can be refreshed. */
  readonly isLasting: boolean
  /** OAuth client that asks for the account; null for the account itself. */
  readonly clientId?: string
}

export interface SignedIn extends IssuedToken {
  readonly accountId: string
  readonly sessionId: string
  readonly grants: Grants
  /** Absent where the session cannot be refreshed. */
  readonly refreshToken?: string
}

/** Sessions of one account at once; the one that was unused for longest ends when another begins. */
const SESSIONS_MAX = 100
/** Addresses of one account that are remembered, and for how long. */
export const ADDRESSES_MAX = 20
export const ADDRESS_DAYS = 90
const DAY_MS = 86_400_000
const USER_AGENT_LENGTH_MAX = 200
/** No account's id. */
const NOBODY = '00000000-0000-0000-0000-000000000000'

/**
 * Signs in with a password: one argon2 and one transaction. Nothing in the answer or its time says whether the name is known, the
 * password wrong, the account disabled.
 * @throws VestalError SIGN_IN_REFUSED, SIGN_IN_THROTTLED, SIGN_IN_BUSY, STORE_UNAVAILABLE
 */
export async function signInWithPassword(context: AccountsContext, claimant: Claimant): Promise<SignedIn> {
  const { store, throttle, audit } = context
  const { origin } = claimant
  const login = isUuid(claimant.login) ? claimant.login.toLowerCase() : normaliseName(claimant.login)
  const attempt = { name: login, origin }
  try {
    const { account, place } = await store.read((records) => knownOf(context, records, { login, origin }))
    // Counted under what identifies the account, so that its id and its name are not two accounts' worth of attempts.
    const counted = { account: account?.id ?? login, address: origin.address, ...(place !== undefined && { place }) }
    await throttle.attempt(counted)
    const isRight = await context.passwords.verify(claimant.password, account?.passwordHash)
    const signedIn = isRight && account !== undefined ? await beginSession(context, account, claimant) : undefined
    if (signedIn === undefined) throw new VestalError('SIGN_IN_REFUSED', { headers: CHALLENGE })
    await throttle.succeeded(counted)
    audit({ event: 'sign-in', actor: signedIn.accountId, sessionId: signedIn.sessionId, tokenId: signedIn.tokenId, ...attempt })
    return signedIn
  } catch (error) {
    if (error instanceof VestalError && error.code === 'SIGN_IN_REFUSED') audit({ event: 'sign-in-refused', ...attempt })
    if (error instanceof VestalError && error.code === 'SIGN_IN_THROTTLED') audit({ event: 'sign-in-throttled', ...attempt })
    throw error
  }
}

/** The account, and whether this address has signed in to it before. An unknown name takes as long. */
async function knownOf(
  { now }: AccountsContext,
  records: Records,
  { login, origin }: Pick<Claimant, 'login' | 'origin'>,
): Promise<{ readonly account: Account | undefined; readonly place: string | undefined }> {
  const account = await accountOf(records, login)
  const subnet = subnetOf(origin.address)
  const isKnown = await records.isKnownAddress(account?.id ?? NOBODY, subnet, now() - ADDRESS_DAYS * DAY_MS)
  return { account, place: isKnown ? subnet : undefined }
}

/** A text that cannot be a name belongs to no account: databases do not accept every text. */
async function accountOf(records: Records, login: string): Promise<Account | undefined> {
  if (isUuid(login)) return records.accountById(login)
  return nameFault(login) === undefined ? records.accountByName(login) : undefined
}

/** Begins a session for an account whose password was right a moment ago; undefined where that no longer holds. */
async function beginSession(context: AccountsContext, verified: Account, claimant: Claimant): Promise<SignedIn | undefined> {
  const { passwords, now } = context
  const { passwordHash } = verified
  const isWeak = passwordHash !== null && !verified.isPasswordOnce && passwords.isWeak(passwordHash)
  const stronger = isWeak ? await passwords.hash(claimant.password) : undefined
  const refreshToken = claimant.isLasting ? makeRefreshToken() : undefined
  return transact(context, async (records, revoke) => {
    const account = await records.lockAccount(verified.id)
    if (account === undefined || account.disabledAt !== null || account.passwordHash !== passwordHash) return undefined
    await records.updateAccount(account.id, {
      lastSignInAt: now(),
      ...(stronger !== undefined && { passwordHash: stronger }),
      // A password for once is used up, in the transaction that it opens a session in.
      ...(account.isPasswordOnce && { passwordHash: null, isPasswordOnce: false }),
    })
    const others = await records.sessionsOf(account.id)
    for (const { id } of others.slice(SESSIONS_MAX - 1)) await endSession(records, revoke, id)
    if (isAddress(claimant.origin.address))
      await records.putKnownAddress(account.id, subnetOf(claimant.origin.address), now(), ADDRESSES_MAX)
    const session = sessionOf(context, account.id, claimant)
    await records.insertSession(session)
    if (refreshToken !== undefined) {
      await records.insertRefreshToken(hashOf(refreshToken), { sessionId: session.id, generation: session.generation })
    }
    const grants = await grantsOfAccount(records, account)
    const issued = issueToken(context, { account, grants, session })
    return {
      ...issued,
      accountId: account.id,
      sessionId: session.id,
      grants,
      ...(refreshToken !== undefined && { refreshToken }),
    }
  })
}

function sessionOf({ now, lifetimes }: AccountsContext, accountId: string, { origin, isLasting, clientId }: Claimant): Session {
  // A session without refresh token ends when its only access token expires.
  const seconds = isLasting ? lifetimes.sessionSeconds : lifetimes.accessTokenSeconds
  return {
    id: randomUUID(),
    accountId,
    generation: isLasting ? 1 : 0,
    sealedToken: null,
    createdAt: now(),
    refreshedAt: now(),
    expiresAt: now() + seconds * 1000,
    clientId: clientId ?? null,
    address: origin.address,
    userAgent: origin.userAgent.slice(0, USER_AGENT_LENGTH_MAX),
  }
}
