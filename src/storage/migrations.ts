import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { readMigrationFiles } from 'drizzle-orm/migrator'

/** One step of the schema, as drizzle-kit wrote it. */
export interface Migration {
  readonly name: string
  /** SHA-256 of its file: a step that was applied and then changed is found by it. */
  readonly hash: string
  readonly statements: readonly string[]
}

/** A step and whether the database has it. */
export interface MigrationState {
  readonly name: string
  readonly isApplied: boolean
}

/** The steps of a kind of database, oldest first. */
export function migrationsOf(kind: 'sqlite' | 'postgres'): readonly Migration[] {
  const folder = join(import.meta.dir, 'migrations', kind)
  // The cast: drizzle-kit writes the journal, and its reader gives all of it but the names.
  const { entries } = JSON.parse(readFileSync(join(folder, 'meta/_journal.json'), 'utf8')) as { entries: { tag: string }[] }
  const files = readMigrationFiles({ migrationsFolder: folder })
  return files.map(({ hash, sql }, index) => ({ name: entries[index]?.tag ?? '', hash, statements: sql }))
}

/** What applies steps: a database under a lock, in one transaction. */
export interface MigrationTarget {
  /** Runs one statement. */
  readonly run: (statement: string) => Promise<unknown>
  /** Names and hashes of the steps that were applied; empty before the first. */
  readonly applied: () => Promise<readonly { readonly name: string; readonly hash: string }[]>
}

export const MIGRATIONS_TABLE = 'vestal_migrations'

/** Applies the steps that the database lacks, and gives their names. @throws Error where the database is newer than this program, or a step changed */
export async function applyMigrations(migrations: readonly Migration[], target: MigrationTarget): Promise<readonly string[]> {
  await target.run(`CREATE TABLE IF NOT EXISTS ${MIGRATIONS_TABLE} (name text PRIMARY KEY NOT NULL, hash text NOT NULL)`)
  const missing = missingOf(migrations, await target.applied())
  for (const { name, hash, statements } of missing) {
    for (const statement of statements) await target.run(statement)
    // Both come from our own files: only letters, digits and "_".
    await target.run(`INSERT INTO ${MIGRATIONS_TABLE} (name, hash) VALUES ('${name}', '${hash}')`)
  }
  return missing.map(({ name }) => name)
}

function missingOf(migrations: readonly Migration[], applied: readonly { readonly name: string; readonly hash: string }[]) {
  const known = new Map(migrations.map((migration) => [migration.name, migration.hash]))
  for (const { name, hash } of applied) {
    if (!known.has(name)) throw new Error(`the database has the migration ${name}, which this version of Vestal does not know`)
    if (known.get(name) !== hash) throw new Error(`the migration ${name} is not the one that the database was made with`)
  }
  return migrations.filter(({ name }) => !applied.some((row) => row.name === name))
}
