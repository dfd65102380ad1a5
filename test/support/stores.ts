import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type OpenStore, openStore } from '../../src/storage/open-store.ts'
import { hasPostgres, isPostgresHere, postgresServer } from './postgres.ts'

/** A database of a test's own, empty, and how to open it. */
export interface TestDatabase {
  readonly address: string
  open(): OpenStore
  [Symbol.asyncDispose](): Promise<void>
}

/** A kind of store to run a suite with. */
export interface StoreKind {
  readonly name: 'SQLite' | 'Postgres'
  readonly create: () => Promise<TestDatabase>
}

function databaseAt(address: string, folder?: string): TestDatabase {
  const opened: OpenStore[] = []
  return {
    address,
    open() {
      const store = openStore(address)
      opened.push(store)
      return store
    },
    async [Symbol.asyncDispose]() {
      for (const store of opened) await store.close()
      if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
    },
  }
}

const SQLITE: StoreKind = {
  name: 'SQLite',
  create: async () => {
    const folder = mkdtempSync(join(tmpdir(), 'vestal-store-'))
    return databaseAt(join(folder, 'vestal.db'), folder)
  },
}

const POSTGRES: StoreKind = {
  name: 'Postgres',
  create: async () => databaseAt(await (await postgresServer()).createDatabase()),
}

/** SQLite everywhere, and Postgres where it is installed. */
export const STORES: readonly StoreKind[] = isPostgresHere() ? [SQLITE, POSTGRES] : [SQLITE]

/** The same, for the tests of a file that run with each: those with Postgres are reported as skipped where it is missing. */
export function stores(): readonly StoreKind[] {
  return hasPostgres() ? [SQLITE, POSTGRES] : [SQLITE]
}
