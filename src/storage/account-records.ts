import { type AnyColumn, and, asc, eq, exists, gt, inArray, isNotNull, isNull, like, or, type SQL, sql } from 'drizzle-orm'
import type { Account, Role } from '../accounts/records.ts'
import type { AccountChanges, AccountFilter, Page, Records } from '../accounts/store.ts'
import { listIn, listText, locked, type Source } from './query.ts'
import type { Tables } from './schema.ts'

type AccountRow = Tables['accounts']['$inferSelect']

/** Accounts, and which roles they have. */
export function accountRecords({ database, tables }: Source) {
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
export function roleRecords({ database, tables }: Source) {
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
    roles: ({ after, limit }: Page) =>
      read(
        database
          .select()
          .from(roles)
          .where(after === undefined ? undefined : gt(roles.name, after))
          .orderBy(asc(roles.name))
          .limit(limit),
      ),
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
