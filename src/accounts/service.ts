import type { Audit } from './audit.ts'
import type { SignClaims } from './issue.ts'
import type { Passwords } from './passwords.ts'
import type { Revocation } from './records.ts'
import { type RevocationList, untilOwnTokensEnd, untilSubjectsTokensEnd } from './revocation-list.ts'
import type { Records, Store } from './store.ts'
import type { Throttle } from './throttle.ts'

/** What everything about accounts is made of. */
export interface AccountsContext {
  readonly store: Store
  readonly passwords: Passwords
  readonly throttle: Throttle
  readonly revocations: RevocationList
  readonly audit: Audit
  readonly sign: SignClaims
  /** Called when API keys were changed here, before anyone is answered. */
  readonly apiKeysChanged: () => Promise<void>
  /** Clock in milliseconds since 1970. */
  readonly now: () => number
  readonly lifetimes: Lifetimes
}

export interface Lifetimes {
  /** Seconds that a session lasts however much it is used; default 30 days. */
  readonly sessionSeconds: number
  /** Seconds after which a session ends that is not used. */
  readonly idleSeconds: number
  /** Seconds in which the parent of a refresh token still gives the same successor; 0 to 60. */
  readonly graceSeconds: number
  /** Seconds of an access token, as OAuth clients see it. */
  readonly accessTokenSeconds: number
  /** Longest lifetime of an accepted token, of any issuer; undefined where there is none. */
  readonly tokenSecondsMax?: number | undefined
}

/** What a 401 of a sign-in carries: RFC 9110 §15.5.2 asks for a challenge. */
export const CHALLENGE = { 'www-authenticate': 'Bearer realm="vestal"' }

/** A change to the store that may revoke: what it revokes is written with it, and holds here before anyone is answered. */
export async function transact<T>(
  {
    store,
    revocations,
    now,
    apiKeysChanged,
    lifetimes,
  }: Pick<AccountsContext, 'store' | 'revocations' | 'now' | 'apiKeysChanged' | 'lifetimes'>,
  work: (records: Records, revoke: Revoke) => Promise<T>,
): Promise<T> {
  let revoked: Revocation[] = []
  const untilOf = (kind: Revocation['kind']) =>
    kind === 'subject' ? untilSubjectsTokensEnd(now(), lifetimes.tokenSecondsMax) : untilOwnTokensEnd(now())
  const result = await store.transaction(async (records) => {
    revoked = []
    return work(records, async (kind, value, { epoch = 0, until = untilOf(kind) } = {}) => {
      const revocation = { kind, value, epoch, createdAt: now(), until }
      revoked.push(revocation)
      await records.putRevocation(revocation)
    })
  })
  for (const revocation of revoked) revocations.add(revocation)
  if (revoked.some(({ kind }) => kind === 'api-keys')) await apiKeysChanged()
  return result
}

/** Revokes, as part of a transaction. */
export type Revoke = (kind: Revocation['kind'], value: string, terms?: Partial<RevocationTerms>) => Promise<void>

type RevocationTerms = Pick<Revocation, 'epoch' | 'until'>

/** Revokes everything issued for an account up to now; sessions can continue, with new tokens. Returns the epoch that counts from now on. */
export async function raiseEpoch(
  records: Records,
  revoke: Revoke,
  account: { readonly id: string; readonly epoch: number },
): Promise<number> {
  const epoch = account.epoch + 1
  await records.updateAccount(account.id, { epoch })
  await revoke('subject', account.id, { epoch })
  return epoch
}

/** Ends a session, and the access tokens that it gave. */
export async function endSession(records: Records, revoke: Revoke, id: string): Promise<void> {
  await records.deleteSession(id)
  await revoke('session', id)
}
