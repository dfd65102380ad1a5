import type { Records, Store } from '../accounts/store.ts'
import { accountRecords, roleRecords } from './account-records.ts'
import { isPostgresAddress } from './address.ts'
import { addressRecords } from './address-records.ts'
import type { Connection } from './connection.ts'
import { storeFailure } from './failures.ts'
import { type CountRows, findFaults, findNotes } from './integrity.ts'
import { applyMigrations, type MigrationState, migrationsOf } from './migrations.ts'
import { apiKeyRecords, auditRecords, revocationRecords } from './other-records.ts'
import { openPostgres } from './postgres.ts'
import type { Source } from './query.ts'
import { sessionRecords } from './session-records.ts'
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

function recordsOf(source: Source): Records {
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
