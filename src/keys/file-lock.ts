import { Database } from 'bun:sqlite'
import { closeSync, openSync } from 'node:fs'
import { KeyError } from '../jose/key-error.ts'

const WAIT_MS = 10_000

/**
 * Does work while no other process does under the same lock. The lock is SQLite's on an empty file beside: the system itself lets go of
 * it when its owner ends, however it ends, so a writer that was killed leaves nothing to clear up.
 * @throws KeyError where another process keeps it for ten seconds
 */
export function withFileLock<T>(path: string, work: () => T, waitMs = WAIT_MS): T {
  const name = `${path}.lock`
  closeSync(openSync(name, 'a', 0o600))
  const database = new Database(name)
  try {
    database.run(`PRAGMA busy_timeout = ${Math.trunc(waitMs)}`)
    take(database)
    return work()
  } finally {
    // Ends the transaction too.
    database.close()
  }
}

function take(database: Database): void {
  try {
    database.run('BEGIN EXCLUSIVE')
  } catch (error) {
    throw new KeyError('another process is changing the keys; try again', { cause: error })
  }
}
