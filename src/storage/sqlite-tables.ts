import { SQLITE_KIT } from './kit.ts'
import { defineTables } from './schema.ts'

/** The tables as SQLite has them; drizzle-kit reads this file to write migrations. */
export const SQLITE_TABLES = defineTables(SQLITE_KIT)
export const { accounts, roles, accountRoles, sessions, refreshTokens, knownAddresses, apiKeys, revocations, audit } =
  SQLITE_TABLES
