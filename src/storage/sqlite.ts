import { Database as SqliteDatabase } from 'bun:sqlite'
import { chmodSync, closeSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { drizzle } from 'drizzle-orm/bun-sqlite'
import type { Connection } from './connection.ts'
import { MIGRATIONS_TABLE } from './migrations.ts'
import type { Database } from './query.ts'
import { SQLITE_TABLES } from './sqlite-tables.ts'

/** Milliseconds that a transaction waits for another connection's. */
const WAIT_MS_MAX = 5000
/** SQLite blocks its thread, which is the one that answers requests, so it blocks only this long; the rest of the wait is asynchronous. */
const BUSY_TIMEOUT_MS = 20
const RETRY_MS = 5

/**
 * Opens the file, or creates it, readable only by its owner. A transaction takes the write lock at its
 * beginning, so two processes on one file follow one another. `synchronous = FULL`: a sign-out that was answered survives a power cut.
 */
export function openSqlite(path: string): Connection {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  // Made by us with its mode, so that there is no moment in which others could open it.
  closeSync(openSync(path, 'a', 0o600))
  chmodSync(path, 0o600)
  const client = new SqliteDatabase(path, { strict: true })
  // Nobody is answered yet, and another process may be mending the log of one that was killed.
  client.run(`PRAGMA busy_timeout = ${WAIT_MS_MAX}`)
  client.run('PRAGMA journal_mode = WAL')
  client.run(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`)
  client.run('PRAGMA synchronous = FULL')
  client.run('PRAGMA foreign_keys = ON')
  client.run('PRAGMA secure_delete = ON')
  // The cast: bun:sqlite answers at once, and `await` takes that as well.
  const database = drizzle({ client }) as unknown as Database
  const inTurn = createSerial()

  async function transaction<T>(work: (database: Database) => Promise<T>): Promise<T> {
    await begin(client)
    try {
      const result = await work(database)
      client.run('COMMIT')
      return result
    } catch (error) {
      if (client.inTransaction) client.run('ROLLBACK')
      throw error
    }
  }

  return {
    kind: 'sqlite',
    tables: SQLITE_TABLES,
    // There is one connection: what reads beside a transaction would read what it has not committed.
    read: (work) => inTurn(() => work(database)),
    transaction: (work) => inTurn(() => transaction(work)),
    migrate: (work) =>
      inTurn(() =>
        transaction(() =>
          work({
            run: async (statement) => client.run(statement),
            applied: async () => appliedIn(client),
          }),
        ),
      ),
    applied: () => inTurn(async () => appliedIn(client)),
    count: (sql) => inTurn(async () => Number(client.query<{ n: number }, []>(sql).get()?.n)),
    faults: () => inTurn(async () => faultsIn(client)),
    close: () => inTurn(async () => client.close()),
  }
}

async function begin(client: SqliteDatabase, untilMs = performance.now() + WAIT_MS_MAX): Promise<void> {
  try {
    client.run('BEGIN IMMEDIATE')
  } catch (error) {
    const isBusy = error instanceof Error && 'code' in error && error.code === 'SQLITE_BUSY'
    if (!isBusy || performance.now() > untilMs) throw error
    await Bun.sleep(RETRY_MS)
    await begin(client, untilMs)
  }
}

/** The migrations that a file was given. */
export function appliedIn(client: SqliteDatabase): readonly { name: string; hash: string }[] {
  const isThere = client.query(`SELECT 1 FROM sqlite_master WHERE name = '${MIGRATIONS_TABLE}'`).get() !== null
  return isThere
    ? client.query<{ name: string; hash: string }, []>(`SELECT name, hash FROM ${MIGRATIONS_TABLE} ORDER BY name`).all()
    : []
}

/** What SQLite finds wrong with a file. */
export function faultsIn(client: SqliteDatabase): readonly string[] {
  const integrity = client.query<{ integrity_check: string }, []>('PRAGMA integrity_check').all()
  const orphans = client.query<{ table: string }, []>('PRAGMA foreign_key_check').all()
  return [
    ...integrity.map((row) => row.integrity_check).filter((text) => text !== 'ok'),
    ...orphans.map(({ table }) => `a row of ${table} points to nothing`),
  ]
}

/** Runs pieces of work one after another, in the order they were asked for. */
function createSerial(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve()
  return (work) => {
    const result = last.then(work)
    last = result.catch(() => undefined)
    return result
  }
}
