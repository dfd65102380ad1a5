import type { Account, ApiKey, AuditRecord, RefreshTokenRecord, Revocation, Role, Session } from './records.ts'

/** A part of a list: what comes after a place in it, up to a number of rows. */
export interface Page {
  /** The last key of the page before; absent for the first. */
  readonly after?: string
  /** Rows at most. */
  readonly limit: number
}

export interface AccountFilter {
  /** Beginning of the name. */
  readonly name?: string
  readonly role?: string
  readonly isDisabled?: boolean
}

/** Which lines of the audit log; times in milliseconds since 1970. */
export interface AuditFilter {
  readonly since: number
  readonly until?: number
  /** The last line of the part before. */
  readonly before?: { readonly at: number; readonly id: string }
}

/** Changes to an account; what is absent stays. */
export type AccountChanges = Partial<
  Pick<Account, 'name' | 'passwordHash' | 'isPasswordOnce' | 'permissions' | 'epoch' | 'version' | 'disabledAt' | 'lastSignInAt'>
>

/** Reads of the store, in a transaction or outside of one. A row from `lock…` stays locked until the transaction ends. */
export interface Records {
  hasAccounts(): Promise<boolean>
  accountById(id: string): Promise<Account | undefined>
  accountByName(name: string): Promise<Account | undefined>
  lockAccount(id: string): Promise<Account | undefined>
  /** Accounts by name. */
  accounts(filter: AccountFilter, page: Page): Promise<readonly Account[]>
  /** False where the name is taken. */
  insertAccount(account: Account): Promise<boolean>
  /** False where the name is taken by another. */
  updateAccount(id: string, changes: AccountChanges): Promise<boolean>
  deleteAccount(id: string): Promise<void>
  replaceRoles(accountId: string, roles: readonly string[]): Promise<void>

  rolesNamed(names: readonly string[]): Promise<readonly Role[]>
  lockRole(name: string): Promise<Role | undefined>
  roles(page: Page): Promise<readonly Role[]>
  holdersOf(role: string): Promise<readonly string[]>
  /** Ids of enabled accounts that have one of these grants, by the letter, themselves or by a role; by name, so many at most. */
  lockHolders(grants: readonly string[], limit: number): Promise<readonly string[]>
  insertRole(role: Role): Promise<boolean>
  updateRole(name: string, changes: Partial<Pick<Role, 'description' | 'permissions' | 'version'>>): Promise<void>
  deleteRole(name: string): Promise<void>

  lockSession(id: string): Promise<Session | undefined>
  sessionsOf(accountId: string): Promise<readonly Session[]>
  insertSession(session: Session): Promise<void>
  updateSession(id: string, changes: Pick<Session, 'generation' | 'sealedToken' | 'refreshedAt'>): Promise<void>
  deleteSession(id: string): Promise<void>
  refreshToken(hash: string): Promise<RefreshTokenRecord | undefined>
  insertRefreshToken(hash: string, token: RefreshTokenRecord): Promise<void>
  /** Deletes ended sessions, with their refresh tokens. */
  pruneSessions(expiredBefore: number, idleSince: number): Promise<void>

  /** True where the account signed in from there, at that time or later. */
  isKnownAddress(accountId: string, subnet: string, since: number): Promise<boolean>
  /** Remembers that the account signed in from there, and forgets all but the latest so many. */
  putKnownAddress(accountId: string, subnet: string, at: number, addressesMax: number): Promise<void>
  forgetAddresses(accountId: string): Promise<void>
  pruneAddresses(before: number): Promise<void>

  apiKeys(page: Page): Promise<readonly ApiKey[]>
  lockApiKey(id: string): Promise<ApiKey | undefined>
  countApiKeys(): Promise<number>
  insertApiKey(key: ApiKey): Promise<void>
  updateApiKey(
    id: string,
    changes: Partial<Pick<ApiKey, 'name' | 'permissions' | 'expiresAt' | 'revokedAt' | 'version'>>,
  ): Promise<void>
  touchApiKey(id: string, lastUsedAt: number): Promise<void>

  /** Adds it, or renews the one of the same kind and value. */
  putRevocation(revocation: Revocation): Promise<void>
  revocationsSince(createdAt: number): Promise<readonly Revocation[]>
  pruneRevocations(untilBefore: number): Promise<void>

  insertAudit(record: AuditRecord): Promise<void>
  /** Newest first. */
  audit(filter: AuditFilter, limit: number): Promise<readonly AuditRecord[]>
  pruneAudit(before: number): Promise<void>
}

/** Counts of what the store was asked, for tests and metrics. */
export interface StoreStatistics {
  readonly reads: number
  readonly transactions: number
}

/** Where accounts are kept. */
export interface Store {
  readonly kind: 'sqlite' | 'postgres'
  /** Reads outside of a transaction. */
  read<T>(work: (records: Records) => Promise<T>): Promise<T>
  /** All of the work or nothing of it; an error that the work throws undoes it. It must wait for nothing but its records. */
  transaction<T>(work: (records: Records) => Promise<T>): Promise<T>
  readonly statistics: StoreStatistics
  close(): Promise<void>
}
