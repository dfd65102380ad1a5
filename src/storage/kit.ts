import { bigint, index as pgIndex, primaryKey as pgPrimaryKey, pgTable, text as pgText } from 'drizzle-orm/pg-core'
import { index, integer, primaryKey, sqliteTable, text } from 'drizzle-orm/sqlite-core'

/** What a table is made of in SQLite. Two kinds of column are enough: texts, and whole numbers of 53 bits. */
export const SQLITE_KIT = {
  table: sqliteTable,
  text: (name: string) => text(name),
  number: (name: string) => integer(name, { mode: 'number' }),
  index,
  primaryKey,
}

export type Kit = typeof SQLITE_KIT

// The cast: the schema is written once against SQLite's types, and Postgres's builders of the same names take the same calls.
export const POSTGRES_KIT = {
  table: pgTable,
  text: (name: string) => pgText(name),
  number: (name: string) => bigint(name, { mode: 'number' }),
  index: pgIndex,
  primaryKey: pgPrimaryKey,
} as unknown as Kit
