import { SQL } from 'bun'
import { drizzle } from 'drizzle-orm/bun-sql'
import type { Connection } from './connection.ts'
import { inTime, Late } from './in-time.ts'
import { MIGRATIONS_TABLE } from './migrations.ts'
import { POSTGRES_TABLES } from './postgres-tables.ts'
import type { Database } from './query.ts'

/** Connections of one process: sign-ins are bounded by argon2 long before. */
const CONNECTIONS_MAX = 10
const CONNECT_SECONDS = 5
/** A statement that runs longer is cancelled: none should take a tenth of it. */
const STATEMENT_TIMEOUT_MS = 8_000
/** A question that has no answer then has none to come: the server hangs, or the network swallows what is sent. */
const ANSWER_MS_MAX = 10_000
/** Name of the advisory lock under which migrations run: any number that others are unlikely to take. */
const MIGRATION_LOCK = 8_307_115_116

/** A connection to a server, which has a clock of its own. */
export interface PostgresConnection extends Connection {
  /** Milliseconds since 1970. */
  readonly clockMs: () => Promise<number>
}

/** Prepares a pool of connections. */
function openPool(url: string) {
  const client = new SQL(url, {
    max: CONNECTIONS_MAX,
    connectionTimeout: CONNECT_SECONDS,
    idleTimeout: 60,
    connection: { application_name: 'vestal', statement_timeout: STATEMENT_TIMEOUT_MS },
  })
  return { client, drizzled: drizzle({ client }) }
}

type Pool = ReturnType<typeof openPool>

/**
 * Prepares a pool of connections; the first question opens one. After a question that was not answered in time there is a new pool, since
 * what hangs may hang for ever; what was still asked of the old one fails.
 */
export function openPostgres(url: string, answerMsMax = ANSWER_MS_MAX): PostgresConnection {
  let pool = openPool(url)
  const ask = async <T>(work: (pool: Pool) => Promise<T>): Promise<T> => {
    const asked = pool
    try {
      return await inTime(work(asked), answerMsMax, 'the database does not answer')
    } catch (error) {
      if (error instanceof Late && pool === asked) {
        pool = openPool(url)
        void asked.client.close({ timeout: 0 }).catch(() => undefined)
      }
      throw error
    }
  }
  const applied = async (sql: SQL) => {
    const [found] = await sql.unsafe(`SELECT to_regclass('${MIGRATIONS_TABLE}') IS NOT NULL AS there`)
    return found?.there === true ? [...(await sql.unsafe(`SELECT name, hash FROM ${MIGRATIONS_TABLE} ORDER BY name`))] : []
  }
  return {
    kind: 'postgres',
    tables: POSTGRES_TABLES,
    // The casts: Postgres's query builders take the calls that the records make of SQLite's.
    read: (work) => ask(({ drizzled }) => work(drizzled as unknown as Database)),
    transaction: (work) => ask(({ drizzled }) => drizzled.transaction((transaction) => work(transaction as unknown as Database))),
    migrate: (work) =>
      pool.client.begin(async (transaction) => {
        await transaction.unsafe(`SELECT pg_advisory_xact_lock(${MIGRATION_LOCK})`)
        return work({ run: (statement) => transaction.unsafe(statement), applied: () => applied(transaction) })
      }),
    applied: () => applied(pool.client),
    async clockMs() {
      const [row] = await pool.client`SELECT extract(epoch FROM clock_timestamp()) * 1000 AS ms`
      return Number(row?.ms)
    },
    count: async (sql) => Number((await pool.client.unsafe(sql))[0]?.n),
    faults: () => faultsIn(pool.client),
    close: () => pool.client.close({ timeout: 5 }),
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
