import { DrizzleQueryError } from 'drizzle-orm/errors'
import type { Store } from '../accounts/store.ts'
import { VestalError } from '../core/errors.ts'
import { isPostgresAddress } from './address.ts'
import type { Connection } from './connection.ts'
import { Late } from './in-time.ts'
import { type CountRows, findFaults, findNotes } from './integrity.ts'
import { applyMigrations, type MigrationState, migrationsOf } from './migrations.ts'
import { openPostgres } from './postgres.ts'
import { recordsOf } from './records.ts'
import { openSqlite } from './sqlite.ts'

/** A store, and what only the command line asks of its database. */
export interface OpenStore extends Store {
  /** Applies the migrations that are missing, under a lock, and gives their names. */
  migrate(): Promise<readonly string[]>
  migrations(): Promise<readonly MigrationState[]>
  /** What is wrong with the database: what it finds itself and, once all migrations are applied, rows that fit no other. */
  faults(): Promise<readonly string[]>
  /** Findings that are no fault and worth a look, such as accounts without a password. */
  notes(): Promise<readonly string[]>
}

/** Opens the database: Postgres for an address that begins with `postgres://` or `postgresql://`, and a file of SQLite for any other text. */
export function openStore(address: string): OpenStore {
  const connection = isPostgresAddress(address) ? openPostgres(address) : openSqlite(address)
  const steps = migrationsOf(connection.kind)
  const statistics = { reads: 0, transactions: 0 }
  return {
    kind: connection.kind,
    read(work) {
      statistics.reads += 1
      return withStoreFailure(connection.read((database) => work(recordsOf({ database, tables: connection.tables }))))
    },
    transaction(work) {
      statistics.transactions += 1
      return withStoreFailure(connection.transaction((database) => work(recordsOf({ database, tables: connection.tables }))))
    },
    migrate: () => connection.migrate((target) => applyMigrations(steps, target)),
    migrations: async () => statesOf(connection, steps),
    faults: async () => [...(await connection.faults()), ...(await whenMigrated(connection, steps, findFaults))],
    notes: () => whenMigrated(connection, steps, findNotes),
    get statistics() {
      return { ...statistics }
    },
    close: () => connection.close(),
  }
}

/** The result, or the failure as callers may see it. */
async function withStoreFailure<T>(result: Promise<T>): Promise<T> {
  try {
    return await result
  } catch (error) {
    throw storeFailure(error)
  }
}

/** The rows can be looked at where every table is there. */
async function whenMigrated(
  connection: Connection,
  steps: readonly { readonly name: string }[],
  find: (count: CountRows) => Promise<readonly string[]>,
): Promise<readonly string[]> {
  const isMigrated = (await statesOf(connection, steps)).every(({ isApplied }) => isApplied)
  return isMigrated ? find((sql) => connection.count(sql)) : []
}

async function statesOf(connection: Connection, steps: readonly { readonly name: string }[]): Promise<readonly MigrationState[]> {
  const applied = new Set((await connection.applied()).map(({ name }) => name))
  return steps.map(({ name }) => ({ name, isApplied: applied.has(name) }))
}

/**
 * Codes of a database that does not answer, or not now: connections, a server that stops or starts, locks that were waited for too
 * long, a disk that is full or broken.
 */
const UNAVAILABLE = [
  /^ERR_POSTGRES_(?:CONNECTION|IDLE|LIFETIME)/,
  /^E(?:CONN|PIPE|TIMEDOUT|HOSTUNREACH|NOTFOUND)/,
  /^(?:08|53|57|40)[0-9A-Z]{3}$/,
  /^(?:FailedToOpenSocket|ConnectionRefused|ConnectionClosed)$/,
  /^SQLITE_(?:BUSY|LOCKED|IOERR|FULL|CANTOPEN|READONLY|CORRUPT|NOTADB)/,
]

/**
 * What a failed question becomes: 503 where the database cannot be reached, and otherwise a bug of ours, without the values that the
 * question was asked with; they may be names, and hashes of tokens.
 */
function storeFailure(error: unknown): unknown {
  if (error instanceof VestalError) return error
  if (error instanceof Late) return unavailable(error.message)
  const cause = error instanceof DrizzleQueryError ? error.cause : error
  const codes = cause instanceof Error ? [field(cause, 'code'), field(cause, 'errno')] : []
  if (codes.some((code) => UNAVAILABLE.some((pattern) => pattern.test(code)))) {
    return unavailable(`the database answers ${codes.join(' ')}`)
  }
  return error instanceof DrizzleQueryError ? new Error(`a question to the database failed: ${error.query}`, { cause }) : error
}

function unavailable(reason: string): VestalError {
  return new VestalError('STORE_UNAVAILABLE', { reason, headers: { 'retry-after': '1' } })
}

function field(error: Error, name: 'code' | 'errno'): string {
  return String((error as { code?: unknown; errno?: unknown })[name] ?? '')
}
