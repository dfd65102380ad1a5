import { constants, Database as SqliteDatabase } from 'bun:sqlite'
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { isPostgresAddress } from './address.ts'
import { type CountRows, findFaults, findNotes } from './integrity.ts'
import { migrationsOf } from './migrations.ts'
import { openPostgres } from './postgres.ts'
import { appliedIn, faultsIn } from './sqlite.ts'

/** What a database says of itself. */
export interface Inspection {
  readonly kind: 'sqlite' | 'postgres'
  /** False where it has none of our tables yet. */
  readonly isThere: boolean
  /** Migrations that it lacks, that this version does not know, and that are not what they were. */
  readonly missing: readonly string[]
  readonly unknown: readonly string[]
  readonly changed: readonly string[]
  /** What it finds wrong with itself and, where it has this version's tables, rows that fit no other. */
  readonly faults: readonly string[]
  /** What is no fault and worth a look. */
  readonly notes: readonly string[]
  /** Its clock, in milliseconds since 1970, where it has one of its own. */
  readonly clockMs?: number
}

type Applied = readonly { readonly name: string; readonly hash: string }[]

/** Looks at a database without changing it, not even by making it. @throws Error where it cannot be read */
export async function inspectDatabase(address: string): Promise<Inspection> {
  if (!isPostgresAddress(address)) {
    if (!existsSync(address)) return compare('sqlite', [], [])
    return inspectSqlite(address, ({ applied, faults, count }) => withRows(compare('sqlite', applied, faults), count))
  }
  const connection = openPostgres(address)
  try {
    const clockMs = await connection.clockMs()
    const compared = compare('postgres', await connection.applied(), await connection.faults())
    return { ...(await withRows(compared, (sql) => connection.count(sql))), clockMs }
  } finally {
    await connection.close()
  }
}

/** The rows can be looked at where every table is there. */
async function withRows(inspection: Inspection, count: CountRows): Promise<Inspection> {
  if (!inspection.isThere || inspection.missing.length > 0 || inspection.unknown.length > 0) return inspection
  return { ...inspection, faults: [...inspection.faults, ...(await findFaults(count))], notes: await findNotes(count) }
}

function compare(kind: Inspection['kind'], applied: Applied, faults: readonly string[]): Inspection {
  const steps = new Map(migrationsOf(kind).map(({ name, hash }) => [name, hash]))
  const names = applied.map(({ name }) => name)
  return {
    kind,
    isThere: applied.length > 0 || faults.length > 0,
    missing: [...steps.keys()].filter((name) => !names.includes(name)),
    unknown: names.filter((name) => !steps.has(name)),
    changed: applied.filter(({ name, hash }) => steps.has(name) && steps.get(name) !== hash).map(({ name }) => name),
    faults,
    notes: [],
  }
}

const { SQLITE_OPEN_READONLY, SQLITE_OPEN_URI } = constants

/** A database as it is found, open for as long as it is looked at. */
interface FoundSqlite {
  readonly applied: ReturnType<typeof appliedIn>
  readonly faults: readonly string[]
  readonly count: CountRows
}

/**
 * Reads a file of SQLite and leaves no trace. A file whose log lies beside it is in use, or was when its process was killed, and is read
 * with the log; one without is opened as an immutable file, because SQLite would make a log for it otherwise.
 */
async function inspectSqlite<T>(path: string, look: (found: FoundSqlite) => Promise<T>): Promise<T> {
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
