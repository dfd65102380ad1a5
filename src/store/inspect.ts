import { existsSync } from 'node:fs'
import { migrationsOf } from './migrations.ts'
import { openPostgres } from './postgres.ts'
import { inspectSqlite } from './sqlite-inspect.ts'

/** What a database says of itself. */
export interface Inspection {
  readonly kind: 'sqlite' | 'postgres'
  /** False where it has none of our tables yet. */
  readonly isThere: boolean
  /** Migrations that it lacks, that this version does not know, and that are not what they were. */
  readonly missing: readonly string[]
  readonly unknown: readonly string[]
  readonly changed: readonly string[]
  readonly faults: readonly string[]
  /** Its clock, in milliseconds since 1970, where it has one of its own. */
  readonly clockMs?: number
}

type Applied = readonly { readonly name: string; readonly hash: string }[]

/** Looks at a database without changing it, not even by making it. @throws Error where it cannot be read */
export async function inspectDatabase(address: string): Promise<Inspection> {
  if (!/^postgres(?:ql)?:\/\//.test(address)) {
    if (!existsSync(address)) return compare('sqlite', [], [])
    const { applied, faults } = inspectSqlite(address)
    return compare('sqlite', applied, faults)
  }
  const connection = openPostgres(address)
  try {
    const clockMs = await connection.clockMs()
    return { ...compare('postgres', await connection.applied(), []), clockMs }
  } finally {
    await connection.close()
  }
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
  }
}
