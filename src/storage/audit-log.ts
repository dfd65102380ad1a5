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
/** A disk that is full stays so: one warning in this time says enough. */
const WARNING_EVERY_MS = 60_000

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
  /** Events that could not be written. */
  readonly lost: () => number
  flush(): Promise<void>
}

/** Prepares the log where the setting says. A line of the file is there when `write` returns; one of the database follows. */
export function createAuditLog({ to, folder, store, now, warn, waitingMax = WAITING_MAX }: AuditLogOptions): AuditLog {
  const toFile = to === 'database' ? () => undefined : createAuditFile({ path: join(folder, FILE), filesMax: FILES_MAX })
  let waiting = 0
  let lost = 0
  /** Lost events that the database has recorded since. */
  let recorded = 0
  let warnedMs = Number.NEGATIVE_INFINITY
  let last: Promise<void> = Promise.resolve()
  const lose = (reason: string) => {
    lost += 1
    if (now() >= warnedMs && now() - warnedMs < WARNING_EVERY_MS) return
    warnedMs = now()
    warn(`events of the audit log are lost (${lost} up to now): ${reason}`)
  }
  const insert = async (line: string, at: number) => {
    const unrecorded = lost - recorded
    await store?.transaction(async (records) => {
      await records.insertAudit({ id: randomUUID(), at, line })
      if (unrecorded > 0)
        await records.insertAudit({ id: randomUUID(), at, line: auditLine({ event: 'audit-lost', count: unrecorded }, at) })
    })
    recorded += unrecorded
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
      try {
        toFile(line)
      } catch (error) {
        // The action continues: a full disk ends no sign-in.
        lose(error instanceof Error && 'code' in error ? `the file cannot be written (${String(error.code)})` : String(error))
      }
      if (to !== 'file') toDatabase(line, at)
    },
    lost: () => lost,
    flush: () => last,
  }
}

/** Where the files are, or would be, newest first. */
export function auditPaths(folder: string): readonly string[] {
  return Array.from({ length: FILES_MAX + 1 }, (_, number) => join(folder, number === 0 ? FILE : `${FILE}.${number}`))
}

/** The lines of the files, oldest first, 100 000 at most. */
export function readAuditFiles(folder: string): readonly string[] {
  const lines = [...auditPaths(folder)]
    .reverse()
    .filter((path) => existsSync(path))
    .flatMap((path) => readFileSync(path, 'utf8').split('\n'))
  return lines.filter((line) => line !== '').slice(-LINES_MAX)
}

/** The lines of the database, oldest first, 100 000 at most. */
export async function readAuditTable(store: Store): Promise<readonly string[]> {
  return (await store.read((records) => records.audit({ since: 0 }, LINES_MAX))).map(({ line }) => line).reverse()
}
