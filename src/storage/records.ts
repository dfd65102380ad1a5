import {
  type AnyColumn,
  and,
  asc,
  desc,
  eq,
  exists,
  gt,
  gte,
  inArray,
  isNotNull,
  isNull,
  like,
  lt,
  or,
  type SQL,
  sql,
} from 'drizzle-orm'
import type { Account, ApiKey, AuditRecord, RefreshTokenRecord, Revocation, Role, Session } from '../accounts/records.ts'
import type { AccountChanges, AccountFilter, AuditFilter, Page, Records } from '../accounts/store.ts'
import { listIn, listText, locked, pageOf, type Source } from './query.ts'
import type { Tables } from './schema.ts'

/** Every record of the store, by the queries of one database. */
export function recordsOf(source: Source): Records {
  return {
    ...accountRecords(source),
    ...roleRecords(source),
    ...sessionRecords(source),
    ...addressRecords(source),
    ...apiKeyRecords(source),
    ...revocationRecords(source),
    ...auditRecords(source),
  }
}

type AccountRow = Tables['accounts']['$inferSelect']

/** Accounts, and which roles they have. */
function accountRecords({ database, tables }: Source) {
  const { accounts, accountRoles } = tables

  async function withRoles(rows: readonly AccountRow[]): Promise<readonly Account[]> {
    if (rows.length === 0) return []
    const ids = rows.map(({ id }) => id)
    const held = await database.select().from(accountRoles).where(inArray(accountRoles.accountId, ids)).orderBy(accountRoles.role)
    const rolesOf = Map.groupBy(held, ({ accountId }) => accountId)
    return rows.map((row) => ({
      ...row,
      isPasswordOnce: row.isPasswordOnce === 1,
      permissions: listIn(row.permissions),
      roles: (rolesOf.get(row.id) ?? []).map(({ role }) => role),
    }))
  }
  const one = async (rows: PromiseLike<readonly AccountRow[]>) => (await withRoles(await rows))[0]

  function filtered({ name, role, isDisabled }: AccountFilter, after: string | undefined): SQL | undefined {
    const hasRole = (held: string) =>
      exists(
        database
          .select()
          .from(accountRoles)
          .where(and(eq(accountRoles.accountId, accounts.id), eq(accountRoles.role, held))),
      )
    return and(
      ...(after === undefined ? [] : [gt(accounts.name, after)]),
      ...(name === undefined ? [] : [like(accounts.name, `${name.replace(/[\\%_]/g, '')}%`)]),
      ...(role === undefined ? [] : [hasRole(role)]),
      ...(isDisabled === undefined ? [] : [isDisabled ? isNotNull(accounts.disabledAt) : isNull(accounts.disabledAt)]),
    )
  }

  async function replaceRoles(accountId: string, roles: readonly string[]): Promise<void> {
    await database.delete(accountRoles).where(eq(accountRoles.accountId, accountId))
    if (roles.length > 0) await database.insert(accountRoles).values(roles.map((role) => ({ accountId, role })))
  }

  return {
    hasAccounts: async () => (await database.select({ id: accounts.id }).from(accounts).limit(1)).length > 0,
    accountById: (id) => one(database.select().from(accounts).where(eq(accounts.id, id))),
    accountByName: (name) => one(database.select().from(accounts).where(eq(accounts.name, name))),
    lockAccount: (id) => one(locked(database.select().from(accounts).where(eq(accounts.id, id)))),
    accounts: async (filter, { after, limit }) =>
      withRoles(await database.select().from(accounts).where(filtered(filter, after)).orderBy(asc(accounts.name)).limit(limit)),
    async insertAccount({ roles, permissions, isPasswordOnce, ...account }) {
      const row = { ...account, permissions: listText(permissions), isPasswordOnce: isPasswordOnce ? 1 : 0 }
      const added = await database.insert(accounts).values(row).onConflictDoNothing().returning({ id: accounts.id })
      if (added.length > 0 && roles.length > 0) await replaceRoles(account.id, roles)
      return added.length > 0
    },
    async updateAccount(id, changes) {
      const { name } = changes
      const taken = name === undefined ? [] : await database.select().from(accounts).where(eq(accounts.name, name))
      if (taken.some((other) => other.id !== id)) return false
      await database.update(accounts).set(rowOf(changes)).where(eq(accounts.id, id))
      return true
    },
    async deleteAccount(id) {
      await database.delete(accounts).where(eq(accounts.id, id))
    },
    replaceRoles,
  } satisfies Partial<Records>
}

function rowOf({ permissions, isPasswordOnce, ...changes }: AccountChanges) {
  return {
    ...changes,
    ...(permissions !== undefined && { permissions: listText(permissions) }),
    ...(isPasswordOnce !== undefined && { isPasswordOnce: isPasswordOnce ? 1 : 0 }),
  }
}

/** True where a list in a column has one of these items. `LIKE` ignores case in SQLite. */
function hasOne(column: AnyColumn, items: readonly string[]): SQL | undefined {
  return or(...items.map((item) => sql`replace(${column}, ${JSON.stringify(item)}, '') <> ${column}`))
}

/** Roles, and who holds them. */
function roleRecords({ database, tables }: Source) {
  const { accounts, roles, accountRoles } = tables
  const read = async (rows: PromiseLike<readonly Tables['roles']['$inferSelect'][]>): Promise<readonly Role[]> =>
    (await rows).map((row) => ({ ...row, permissions: listIn(row.permissions) }))

  return {
    rolesNamed: (names: readonly string[]) =>
      names.length === 0
        ? Promise.resolve([])
        : read(
            database
              .select()
              .from(roles)
              .where(inArray(roles.name, [...names]))
              .orderBy(asc(roles.name)),
          ),
    lockRole: async (name: string) => (await read(locked(database.select().from(roles).where(eq(roles.name, name)))))[0],
    roles: (page: Page) => read(pageOf(database.select().from(roles).$dynamic(), roles.name, page)),
    holdersOf: async (role: string) =>
      (await database.select().from(accountRoles).where(eq(accountRoles.role, role)).orderBy(asc(accountRoles.accountId))).map(
        ({ accountId }) => accountId,
      ),
    async lockHolders(grants: readonly string[], limit: number) {
      const byRole = exists(
        database
          .select()
          .from(accountRoles)
          .innerJoin(roles, eq(roles.name, accountRoles.role))
          .where(and(eq(accountRoles.accountId, accounts.id), hasOne(roles.permissions, grants))),
      )
      const found = await locked(
        database
          .select({ id: accounts.id })
          .from(accounts)
          .where(and(isNull(accounts.disabledAt), or(hasOne(accounts.permissions, grants), byRole)))
          .orderBy(asc(accounts.name))
          .limit(limit),
      )
      return found.map(({ id }) => id)
    },
    async insertRole(role: Role) {
      const row = { ...role, permissions: listText(role.permissions) }
      return (await database.insert(roles).values(row).onConflictDoNothing().returning({ name: roles.name })).length > 0
    },
    async updateRole(name: string, { permissions, ...changes }: Parameters<Records['updateRole']>[1]) {
      const row = { ...changes, ...(permissions !== undefined && { permissions: listText(permissions) }) }
      await database.update(roles).set(row).where(eq(roles.name, name))
    },
    async deleteRole(name: string) {
      await database.delete(roles).where(eq(roles.name, name))
    },
  } satisfies Partial<Records>
}

/** Sessions, and the hashes of their refresh tokens. */
function sessionRecords({ database, tables }: Source) {
  const { sessions, refreshTokens } = tables
  return {
    lockSession: async (id: string): Promise<Session | undefined> =>
      (await locked(database.select().from(sessions).where(eq(sessions.id, id))))[0],
    sessionsOf: (accountId: string): Promise<readonly Session[]> =>
      database.select().from(sessions).where(eq(sessions.accountId, accountId)).orderBy(desc(sessions.refreshedAt), sessions.id),
    async insertSession(session: Session) {
      await database.insert(sessions).values(session)
    },
    async updateSession(id: string, changes: Parameters<Records['updateSession']>[1]) {
      await database.update(sessions).set(changes).where(eq(sessions.id, id))
    },
    async deleteSession(id: string) {
      await database.delete(sessions).where(eq(sessions.id, id))
    },
    refreshToken: async (hash: string): Promise<RefreshTokenRecord | undefined> =>
      (await database.select().from(refreshTokens).where(eq(refreshTokens.hash, hash)))[0],
    async insertRefreshToken(hash: string, token: RefreshTokenRecord) {
      await database.insert(refreshTokens).values({ hash, ...token })
    },
    async pruneSessions(expiredBefore: number, idleSince: number) {
      await database.delete(sessions).where(or(lt(sessions.expiresAt, expiredBefore), lt(sessions.refreshedAt, idleSince)))
    },
  } satisfies Partial<Records>
}

/** Where accounts have signed in from. */
function addressRecords({ database, tables: { knownAddresses: known } }: Source) {
  const of = (accountId: string, subnet: string) => and(eq(known.accountId, accountId), eq(known.subnet, subnet))
  return {
    isKnownAddress: async (accountId: string, subnet: string, since: number) =>
      (
        await database
          .select({ at: known.lastAt })
          .from(known)
          .where(and(of(accountId, subnet), gte(known.lastAt, since)))
      ).length > 0,
    async putKnownAddress(accountId: string, subnet: string, at: number, addressesMax: number) {
      await database
        .insert(known)
        .values({ accountId, subnet, lastAt: at })
        .onConflictDoUpdate({ target: [known.accountId, known.subnet], set: { lastAt: at } })
      const all = await database
        .select()
        .from(known)
        .where(eq(known.accountId, accountId))
        .orderBy(desc(known.lastAt), known.subnet)
      for (const old of all.slice(addressesMax)) await database.delete(known).where(of(accountId, old.subnet))
    },
    async forgetAddresses(accountId: string) {
      await database.delete(known).where(eq(known.accountId, accountId))
    },
    async pruneAddresses(before: number) {
      await database.delete(known).where(lt(known.lastAt, before))
    },
  } satisfies Partial<Records>
}

/** Keys of programs. */
function apiKeyRecords({ database, tables: { apiKeys } }: Source) {
  const read = async (rows: PromiseLike<readonly Tables['apiKeys']['$inferSelect'][]>): Promise<readonly ApiKey[]> =>
    (await rows).map((row) => ({ ...row, permissions: listIn(row.permissions) }))
  return {
    apiKeys: (page: Page) => read(pageOf(database.select().from(apiKeys).$dynamic(), apiKeys.id, page)),
    lockApiKey: async (id: string) => (await read(locked(database.select().from(apiKeys).where(eq(apiKeys.id, id)))))[0],
    countApiKeys: () => database.$count(apiKeys),
    async insertApiKey(key: ApiKey) {
      await database.insert(apiKeys).values({ ...key, permissions: listText(key.permissions) })
    },
    async updateApiKey(id: string, { permissions, ...changes }: Parameters<Records['updateApiKey']>[1]) {
      const row = { ...changes, ...(permissions !== undefined && { permissions: listText(permissions) }) }
      await database.update(apiKeys).set(row).where(eq(apiKeys.id, id))
    },
    async touchApiKey(id: string, lastUsedAt: number) {
      await database.update(apiKeys).set({ lastUsedAt }).where(eq(apiKeys.id, id))
    },
  } satisfies Partial<Records>
}

/** What must no longer be accepted. */
function revocationRecords({ database, tables: { revocations } }: Source) {
  return {
    async putRevocation(revocation: Revocation) {
      const { kind, value, ...changes } = revocation
      await database
        .insert(revocations)
        .values({ kind, value, ...changes })
        .onConflictDoUpdate({
          target: [revocations.kind, revocations.value],
          // Never for less long than it was: two tokens may have one id.
          set: {
            ...changes,
            until: sql`case when ${revocations.until} > excluded.until then ${revocations.until} else excluded.until end`,
          },
        })
    },
    // The cast: only `putRevocation` writes the kind.
    revocationsSince: async (createdAt: number) =>
      (await database.select().from(revocations).where(gte(revocations.createdAt, createdAt))) as readonly Revocation[],
    async pruneRevocations(untilBefore: number) {
      await database.delete(revocations).where(lt(revocations.until, untilBefore))
    },
  } satisfies Partial<Records>
}

/** The audit log, where a setting keeps it in the database. */
function auditRecords({ database, tables: { audit } }: Source) {
  return {
    async insertAudit(record: AuditRecord) {
      await database.insert(audit).values(record)
    },
    audit: ({ since, until, before }: AuditFilter, limit: number): Promise<readonly AuditRecord[]> =>
      database
        .select()
        .from(audit)
        .where(
          and(
            gte(audit.at, since),
            ...(until === undefined ? [] : [lt(audit.at, until)]),
            ...(before === undefined ? [] : [or(lt(audit.at, before.at), and(eq(audit.at, before.at), lt(audit.id, before.id)))]),
          ),
        )
        .orderBy(desc(audit.at), desc(audit.id))
        .limit(limit),
    async pruneAudit(before: number) {
      await database.delete(audit).where(lt(audit.at, before))
    },
  } satisfies Partial<Records>
}
