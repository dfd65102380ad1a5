import { randomUUID } from 'node:crypto'
import type { Account, Session } from './records.ts'
import type { Records } from './store.ts'

/** What a token of an account or an API key says. */
export interface AccountClaims {
  readonly sub: string
  readonly jti: string
  /** The session it is of. */
  readonly sid?: string
  /** The account's epoch when it was made. */
  readonly epoch?: number
  readonly client_id: string
  readonly data: Grants
}

/** The `client_id` of tokens that no OAuth client asked for: RFC 9068 §2.2 asks for one in each. */
export const OWN_CLIENT = 'vestal'

/** Signs claims as a token that this server accepts for so long; it adds issuer, audience and times. */
export type SignClaims = (claims: AccountClaims, lifetimeSeconds: number) => string

export interface IssuedToken {
  readonly token: string
  readonly tokenId: string
  readonly lifetimeSeconds: number
}

/** What says how long tokens live, of all that accounts are made of. */
interface Lifetime {
  readonly now: () => number
  readonly lifetimes: { readonly accessTokenSeconds: number }
}

/** How long a token counts: as long as any, and no longer than what it is of, which ends then; null for never. */
export function lifetimeUntil(endMs: number | null, { now, lifetimes }: Lifetime): number {
  const { accessTokenSeconds } = lifetimes
  if (endMs === null) return accessTokenSeconds
  // The times of a token are whole seconds, and what ends within one has not ended yet.
  return Math.max(1, Math.min(accessTokenSeconds, Math.floor(endMs / 1000) - Math.floor(now() / 1000)))
}

/** What an account may do, as its tokens carry it: its own permissions, and those of each of its roles by the role's name. */
export interface Grants {
  readonly permissions: readonly string[]
  readonly roles: Readonly<Record<string, readonly string[]>>
}

/** Reads what an account may do now. */
export async function grantsOfAccount(records: Records, account: Account): Promise<Grants> {
  const roles = await records.rolesNamed(account.roles)
  return {
    permissions: account.permissions,
    roles: Object.fromEntries(roles.map(({ name, permissions }) => [name, permissions])),
  }
}

/** Makes an access token for an account's session. `epoch` and `sid` are what a revocation is compared with. */
export function issueToken(
  context: Lifetime & { readonly sign: SignClaims },
  {
    account,
    grants,
    session: { id: sid, clientId, expiresAt },
  }: {
    readonly account: Account
    readonly grants: Grants
    readonly session: Pick<Session, 'id' | 'clientId' | 'expiresAt'>
  },
): IssuedToken {
  const tokenId = randomUUID()
  const claims = { sub: account.id, sid, epoch: account.epoch, jti: tokenId, client_id: clientId ?? OWN_CLIENT }
  const lifetimeSeconds = lifetimeUntil(expiresAt, context)
  return { token: context.sign({ ...claims, data: grants }, lifetimeSeconds), tokenId, lifetimeSeconds }
}
