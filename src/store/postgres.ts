import { SQL } from 'bun'
import { drizzle } from 'drizzle-orm/bun-sql'
import type { Connection } from './connection.ts'
import { MIGRATIONS_TABLE } from './migrations.ts'
import { POSTGRES_TABLES } from './postgres-tables.ts'
import type { Database } from './query.ts'

/** Connections of one process: sign-ins are bounded by argon2 long before. */
const CONNECTIONS_MAX = 10
const CONNECT_SECONDS = 5
/** A statement that runs longer is given up: nothing here should take a tenth of it. */
const STATEMENT_TIMEOUT_MS = 10_000
/** Name of the advisory lock under which migrations run: any number that others are unlikely to take. */
const MIGRATION_LOCK = 8_307_115_116

/** A connection to a server, which has a clock of its own. */
export interface PostgresConnection extends Connection {
  /** Milliseconds since 1970. */
  readonly clockMs: () => Promise<number>
}

/** Prepares a pool of connections; the first question opens one. */
export function openPostgres(url: string): PostgresConnection {
  const client = new SQL(url, {
    max: CONNECTIONS_MAX,
    connectionTimeout: CONNECT_SECONDS,
    idleTimeout: 60,
    connection: { application_name: 'vestal', statement_timeout: STATEMENT_TIMEOUT_MS },
  })
  const pool = drizzle({ client })
  // The casts: Postgres's query builders take the calls that the records make of SQLite's.
  const database = pool as unknown as Database
  const applied = async (sql: SQL) => {
    const [found] = await sql.unsafe(`SELECT to_regclass('${MIGRATIONS_TABLE}') IS NOT NULL AS there`)
    return found?.there === true ? [...(await sql.unsafe(`SELECT name, hash FROM ${MIGRATIONS_TABLE} ORDER BY name`))] : []
  }
  return {
    kind: 'postgres',
    tables: POSTGRES_TABLES,
    read: (work) => work(database),
    transaction: (work) => pool.transaction((transaction) => work(transaction as unknown as Database)),
    migrate: (work) =>
      client.begin(async (transaction) => {
        await transaction.unsafe(`SELECT pg_advisory_xact_lock(${MIGRATION_LOCK})`)
        return work({ run: (statement) => transaction.unsafe(statement), applied: () => applied(transaction) })
      }),
    applied: () => applied(client),
    async clockMs() {
      const [row] = await client`SELECT extract(epoch FROM clock_timestamp()) * 1000 AS ms`
      return Number(row?.ms)
    },
    count: async (sql) => Number((await client.unsafe(sql))[0]?.n),
    faults: () => faultsIn(client),
    close: () => client.close({ timeout: 5 }),
  }
}

/** What Postgres itself knows to be unfinished. Its pages are checked by `pg_amcheck`, which needs rights that a server should not have. */
async function faultsIn(client: SQL): Promise<readonly string[]> {
  const indexes = await client.unsafe(`SELECT index.relname AS name FROM pg_index
    JOIN pg_class AS index ON index.oid = indexrelid
    WHERE NOT indisvalid AND index.relnamespace = current_schema()::regnamespace ORDER BY 1`)
  const constraints = await client.unsafe(`SELECT conname AS name FROM pg_constraint
    WHERE NOT convalidated AND connamespace = current_schema()::regnamespace ORDER BY 1`)
  return [
    ...indexes.map(({ name }: { name: string }) => `the index ${name} is not valid`),
    ...constraints.map(({ name }: { name: string }) => `the constraint ${name} was not checked against all rows`),
  ]
}
