import { constants, Database as SqliteDatabase } from 'bun:sqlite'
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { CountRows } from './integrity.ts'
import { appliedIn, faultsIn } from './sqlite.ts'

const { SQLITE_OPEN_READONLY, SQLITE_OPEN_URI } = constants

/** A database as it is found, open for as long as it is looked at. */
export interface FoundSqlite {
  readonly applied: ReturnType<typeof appliedIn>
  readonly faults: readonly string[]
  readonly count: CountRows
}

/**
 * Reads a file of SQLite and leaves no trace. A file whose log lies beside it is in use, or was when its process was killed, and is read
 * with the log; one without is opened as an immutable file, because SQLite would make a log for it otherwise.
 */
export async function inspectSqlite<T>(path: string, look: (found: FoundSqlite) => Promise<T>): Promise<T> {
  const isInUse = existsSync(`${path}-wal`) && existsSync(`${path}-shm`)
  const client = isInUse
    ? new SqliteDatabase(path, { readonly: true })
    : new SqliteDatabase(`${pathToFileURL(resolve(path)).href}?immutable=1`, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI)
  try {
    if (isInUse) client.run('PRAGMA busy_timeout = 2000')
    const count: CountRows = async (sql) => Number(client.query<{ n: number }, []>(sql).get()?.n)
    return await look({ applied: appliedIn(client), faults: faultsIn(client), count })
  } finally {
    client.close()
  }
}
