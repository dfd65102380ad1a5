import type { MigrationTarget } from './migrations.ts'
import type { Database } from './query.ts'
import type { Tables } from './schema.ts'

/** An open database of one kind or the other. */
export interface Connection {
  readonly kind: 'sqlite' | 'postgres'
  readonly tables: Tables
  read<T>(work: (database: Database) => Promise<T>): Promise<T>
  transaction<T>(work: (database: Database) => Promise<T>): Promise<T>
  /** Runs the work in one transaction with exclusive access, across all processes. */
  migrate<T>(work: (target: MigrationTarget) => Promise<T>): Promise<T>
  /** The migrations that were applied. */
  applied(): Promise<readonly { readonly name: string; readonly hash: string }[]>
  /** Answers a question that has one number, in a column `n`. */
  count(sql: string): Promise<number>
  /** What the database finds wrong with itself; empty where nothing is. */
  faults(): Promise<readonly string[]>
  close(): Promise<void>
}
