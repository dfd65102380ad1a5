import type { Kit } from './kit.ts'

/** Every table there is, written once; the kit says for which database. Lists are JSON in a text; times are milliseconds since 1970. */
export function defineTables({ table, text, number, index, primaryKey }: Kit) {
  const accounts = table('accounts', {
    id: text('id').primaryKey(),
    name: text('name').notNull().unique(),
    passwordHash: text('password_hash'),
    isPasswordOnce: number('is_password_once').notNull(),
    permissions: text('permissions').notNull(),
    epoch: number('epoch').notNull(),
    version: number('version').notNull(),
    disabledAt: number('disabled_at'),
    createdAt: number('created_at').notNull(),
    lastSignInAt: number('last_sign_in_at'),
  })
  /** The account of a row, which goes with it. */
  const ofAccount = () =>
    text('account_id')
      .notNull()
      .references(() => accounts.id, { onDelete: 'cascade' })
  const roles = table('roles', {
    name: text('name').primaryKey(),
    description: text('description').notNull(),
    permissions: text('permissions').notNull(),
    version: number('version').notNull(),
    createdAt: number('created_at').notNull(),
  })
  const accountRoles = table(
    'account_roles',
    {
      accountId: ofAccount(),
      role: text('role')
        .notNull()
        .references(() => roles.name, { onDelete: 'cascade' }),
    },
    (row) => [primaryKey({ columns: [row.accountId, row.role] }), index('account_roles_by_role').on(row.role)],
  )
  const sessions = table(
    'sessions',
    {
      id: text('id').primaryKey(),
      accountId: ofAccount(),
      generation: number('generation').notNull(),
      sealedToken: text('sealed_token'),
      createdAt: number('created_at').notNull(),
      refreshedAt: number('refreshed_at').notNull(),
      expiresAt: number('expires_at').notNull(),
      clientId: text('client_id'),
      address: text('address').notNull(),
      userAgent: text('user_agent').notNull(),
    },
    (row) => [index('sessions_by_account').on(row.accountId)],
  )
  const refreshTokens = table(
    'refresh_tokens',
    {
      hash: text('hash').primaryKey(),
      sessionId: text('session_id')
        .notNull()
        .references(() => sessions.id, { onDelete: 'cascade' }),
      generation: number('generation').notNull(),
    },
    (row) => [index('refresh_tokens_by_session').on(row.sessionId)],
  )
  const knownAddresses = table(
    'known_addresses',
    {
      accountId: ofAccount(),
      subnet: text('subnet').notNull(),
      lastAt: number('last_at').notNull(),
    },
    (row) => [primaryKey({ columns: [row.accountId, row.subnet] })],
  )
  return {
    accounts,
    roles,
    accountRoles,
    sessions,
    refreshTokens,
    knownAddresses,
    ...defineOtherTables({ table, text, number, index, primaryKey }),
  }
}

function defineOtherTables({ table, text, number, index, primaryKey }: Kit) {
  const apiKeys = table('api_keys', {
    id: text('id').primaryKey(),
    name: text('name').notNull(),
    hash: text('hash').notNull(),
    permissions: text('permissions').notNull(),
    version: number('version').notNull(),
    createdAt: number('created_at').notNull(),
    expiresAt: number('expires_at'),
    lastUsedAt: number('last_used_at'),
    revokedAt: number('revoked_at'),
  })
  const revocations = table(
    'revocations',
    {
      kind: text('kind').notNull(),
      value: text('value').notNull(),
      epoch: number('epoch').notNull(),
      createdAt: number('created_at').notNull(),
      until: number('until').notNull(),
    },
    (row) => [primaryKey({ columns: [row.kind, row.value] }), index('revocations_by_time').on(row.createdAt)],
  )
  const audit = table(
    'audit',
    { id: text('id').primaryKey(), at: number('at').notNull(), line: text('line').notNull() },
    (row) => [index('audit_by_time').on(row.at)],
  )
  return { apiKeys, revocations, audit }
}

export type Tables = ReturnType<typeof defineTables>
