import { POSTGRES_KIT } from './kit.ts'
import { defineTables } from './schema.ts'

/** The tables as Postgres has them; drizzle-kit reads this file to write migrations. */
export const POSTGRES_TABLES = defineTables(POSTGRES_KIT)
export const { accounts, roles, accountRoles, sessions, refreshTokens, knownAddresses, apiKeys, revocations, audit } =
  POSTGRES_TABLES
