import { VestalError } from '../core/errors.ts'
import type { AuditEventName, Origin } from './audit.ts'
import { grantsOfAccount, issueToken } from './issue.ts'
import type { RefreshTokenRecord, Session } from './records.ts'
import { hashOf, isRefreshToken, makeRefreshToken, openToken, sealToken } from './refresh-tokens.ts'
import { type AccountsContext, CHALLENGE, endSession, type Revoke, transact } from './service.ts'
import type { SignedIn } from './sign-in.ts'
import type { Records } from './store.ts'

/** Generations of one session; it ends at the last, and its owner signs in again. */
export const GENERATIONS_MAX = 10_000

export interface RefreshRequest {
  readonly refreshToken: string
  readonly origin: Origin
  /** OAuth client that asks; it must be the one that the session was made for. */
  readonly clientId?: string
}

type Refreshed = Required<SignedIn>
interface Rejected {
  readonly event: AuditEventName
  readonly reason: string
  readonly session?: Session
}

/**
 * Gives a session's next refresh token, and an access token. The parent of the valid one gives the same successor again for a short
 * time: an answer may be lost, and two tabs may ask at once. Whatever is older was copied, and ends the session.
 * @throws VestalError REFRESH_TOKEN_REFUSED, SIGN_IN_THROTTLED, STORE_UNAVAILABLE
 */
export async function refreshSession(context: AccountsContext, request: RefreshRequest): Promise<Refreshed> {
  const { audit, throttle } = context
  const { refreshToken, origin } = request
  await throttle.rejectGuesser(origin.address)
  const outcome = isRefreshToken(refreshToken)
    ? await transact(context, (records, revoke) => refresh(context, { ...request, records, revoke }))
    : ({ event: 'refresh-refused', reason: 'it is not a refresh token' } as const)
  if ('event' in outcome) {
    const { event, reason, session } = outcome
    audit({ event, reason, origin, ...(session && { subject: session.accountId, sessionId: session.id }) })
    if (session === undefined) await throttle.guessed(origin.address)
    throw new VestalError('REFRESH_TOKEN_REFUSED', { reason, headers: CHALLENGE })
  }
  const { accountId: actor, sessionId, tokenId } = outcome
  audit({ event: 'token-refreshed', actor, sessionId, tokenId, origin })
  return outcome
}

interface Step extends RefreshRequest {
  readonly records: Records
  readonly revoke: Revoke
}

/** A rejection is returned and not thrown: the sessions that it ends must be written. */
async function refresh(context: AccountsContext, step: Step): Promise<Refreshed | Rejected> {
  const { records, revoke, refreshToken, clientId } = step
  const known = await records.refreshToken(hashOf(refreshToken))
  const session = known && (await records.lockSession(known.sessionId))
  if (known === undefined || session === undefined) return { event: 'refresh-refused', reason: 'it is unknown' }
  if (session.clientId !== (clientId ?? null)) return { event: 'refresh-refused', reason: 'it is for another client', session }
  const account = await records.accountById(session.accountId)
  const over = account === undefined || account.disabledAt !== null ? 'the account is disabled' : reasonToEnd(context, session)
  const successor = over === undefined ? await successorOf(context, { ...step, session, known }) : undefined
  if (account === undefined || over !== undefined || successor === undefined) {
    await endSession(records, revoke, session.id)
    return over === undefined
      ? { event: 'refresh-reused', reason: 'it was used before', session }
      : { event: 'refresh-refused', reason: over, session }
  }
  const grants = await grantsOfAccount(records, account)
  const issued = issueToken(context, { account, grants, session })
  return { ...issued, accountId: account.id, sessionId: session.id, grants, refreshToken: successor }
}

function reasonToEnd({ now, lifetimes }: AccountsContext, { expiresAt, refreshedAt, generation }: Session): string | undefined {
  if (now() >= expiresAt) return 'the session has ended'
  if (now() >= refreshedAt + lifetimes.idleSeconds * 1000) return 'the session was not used for too long'
  return generation >= GENERATIONS_MAX ? 'the session was refreshed too often' : undefined
}

/** The next token for the valid one, the same next token for its parent in time, undefined for the rest. */
async function successorOf(
  { now, lifetimes }: AccountsContext,
  { records, session, known, refreshToken }: Step & { readonly session: Session; readonly known: RefreshTokenRecord },
): Promise<string | undefined> {
  const { id, generation, sealedToken, refreshedAt } = session
  if (known.generation === generation) {
    const token = makeRefreshToken()
    await records.insertRefreshToken(hashOf(token), { sessionId: id, generation: generation + 1 })
    await records.updateSession(id, {
      generation: generation + 1,
      sealedToken: sealToken(token, refreshToken),
      refreshedAt: now(),
    })
    return token
  }
  const isInTime = now() < refreshedAt + lifetimes.graceSeconds * 1000
  return known.generation === generation - 1 && isInTime && sealedToken !== null
    ? openToken(sealedToken, refreshToken)
    : undefined
}
