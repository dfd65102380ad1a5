import { join } from 'node:path'
import type { Settings } from '../config/settings.ts'

/** Where the accounts' database is: an address of Postgres, or a file of SQLite. */
export function databaseAddress({ database, data }: Pick<Settings, 'database' | 'data'>): string {
  return database ?? join(data, 'vestal.db')
}
