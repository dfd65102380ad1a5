import { type AnyColumn, asc, gt } from 'drizzle-orm'
import type { BaseSQLiteDatabase, SQLiteSelect } from 'drizzle-orm/sqlite-core'
import type { Page } from '../accounts/store.ts'
import type { Tables } from './schema.ts'

/** A database, or a transaction of one, that is asked with `await`. Postgres's has the same calls, so its type is cast to this one. */
export type Database = BaseSQLiteDatabase<'async', unknown>

/** What the records are made of. */
export interface Source {
  readonly database: Database
  readonly tables: Tables
}

/** Locks the rows that a query finds for this transaction. SQLite needs nothing: its transaction already holds the write lock. */
export function locked<T>(query: T): T {
  const lockable = query as { for?: (strength: 'update') => T }
  return lockable.for === undefined ? query : lockable.for('update')
}

/** One page of what a query finds, in the order of a column that no two rows share. */
export function pageOf<Q extends SQLiteSelect>(query: Q, column: AnyColumn, { after, limit }: Page): Q {
  return query
    .where(after === undefined ? undefined : gt(column, after))
    .orderBy(asc(column))
    .limit(limit)
}

/** A list as its column holds it. */
export function listText(list: readonly string[]): string {
  return JSON.stringify(list)
}

/** The list that a column holds; only this server writes it. */
export function listIn(text: string): readonly string[] {
  return JSON.parse(text) as readonly string[]
}
