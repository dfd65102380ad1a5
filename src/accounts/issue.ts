import { randomUUID } from 'node:crypto'
import type { Account } from './records.ts'
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

/** Signs claims as a token that this server accepts; it adds issuer, audience and times. */
export type SignClaims = (claims: AccountClaims) => string

export interface IssuedToken {
  readonly token: string
  readonly tokenId: string
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
  sign: SignClaims,
  { account, grants, sessionId, clientId }: { account: Account; grants: Grants; sessionId: string; clientId: string | null },
): IssuedToken {
  const tokenId = randomUUID()
  const claims = { sub: account.id, sid: sessionId, epoch: account.epoch, jti: tokenId, client_id: clientId ?? OWN_CLIENT }
  return { token: sign({ ...claims, data: grants }), tokenId }
}
