import { randomUUID } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Audit, auditLine } from '../accounts/audit.ts'
import type { Store } from '../accounts/store.ts'
import { createAuditFile } from './audit-file.ts'

const FILE = 'audit.log'
const FILES_MAX = 5
const LINES_MAX = 100_000
/** Lines that wait for the database; more are lost, and their number is written when it answers again. */
const WAITING_MAX = 10_000

export interface AuditLogOptions {
  readonly to: 'file' | 'database' | 'both'
  readonly folder: string
  /** Needed where the database is written. */
  readonly store?: Pick<Store, 'transaction'>
  /** Clock in milliseconds since 1970. */
  readonly now: () => number
  readonly warn: (message: string) => void
  /** Lines that may wait for the database; default 10 000. */
  readonly waitingMax?: number
}

/** An audit log, and how to wait for what it has not written yet. */
export interface AuditLog {
  readonly write: Audit
  flush(): Promise<void>
}

/** Prepares the log where the setting says. A line of the file is there when `write` returns; one of the database follows. */
export function createAuditLog({ to, folder, store, now, warn, waitingMax = WAITING_MAX }: AuditLogOptions): AuditLog {
  const toFile = to === 'database' ? () => undefined : createAuditFile({ path: join(folder, FILE), filesMax: FILES_MAX })
  let waiting = 0
  let lost = 0
  let last: Promise<void> = Promise.resolve()
  const lose = (reason: string) => {
    if (lost === 0) warn(`events of the audit log are lost: ${reason}`)
    lost += 1
  }
  const insert = async (line: string, at: number) => {
    const told = lost
    await store?.transaction(async (records) => {
      await records.insertAudit({ id: randomUUID(), at, line })
      if (told > 0) await records.insertAudit({ id: randomUUID(), at, line: auditLine({ event: 'audit-lost', count: told }, at) })
    })
    lost -= told
  }
  const toDatabase = (line: string, at: number) => {
    if (waiting >= waitingMax) return lose('the database does not keep up')
    waiting += 1
    last = last
      .then(() => insert(line, at))
      .catch((error: unknown) => lose(String(error)))
      .finally(() => {
        waiting -= 1
      })
  }
  return {
    write(event) {
      const at = now()
      const line = auditLine(event, at)
      toFile(line)
      if (to !== 'file') toDatabase(line, at)
    },
    flush: () => last,
  }
}

/** The lines of the files, oldest first, 100 000 at most. */
export function readAuditFiles(folder: string): readonly string[] {
  const paths = Array.from({ length: FILES_MAX + 1 }, (_, number) =>
    join(folder, number === 0 ? FILE : `${FILE}.${number}`),
  ).reverse()
  const lines = paths.filter((path) => existsSync(path)).flatMap((path) => readFileSync(path, 'utf8').split('\n'))
  return lines.filter((line) => line !== '').slice(-LINES_MAX)
}

/** The lines of the database, oldest first, 100 000 at most. */
export async function readAuditTable(store: Store): Promise<readonly string[]> {
  return (await store.read((records) => records.audit(0, LINES_MAX))).map(({ line }) => line).reverse()
}
