import type { Reader } from '../readers.ts'
import type { FaultSink, TableField } from '../tables.ts'

export interface Row<T> {
  /** Given where no source has a value. */
  readonly default: T
  /** What `--help` and the documentation show for the default where it is not its own text. */
  readonly shownDefault?: string
  /** What `--help` shows for the value. */
  readonly value: string
  readonly help: string
  /** The variable that OpenTelemetry has for it; counts where ours is not set. */
  readonly alias?: string
  /** Its value is never shown, and no flag takes it: others on the machine can read a command line. */
  readonly isSecret?: true
  /** A running server takes a new value when it reads the settings again; others count after a restart. */
  readonly isReloadable?: true
}

export interface SingleRow<T> extends Row<T> {
  readonly kind: 'single'
  readonly read: Reader<T>
}
export interface ListRow<T> extends Row<T> {
  readonly kind: 'list'
  readonly read: (texts: readonly string[]) => T
}
/** A list of tables, which only vestal.toml can hold. */
export interface TablesRow<T> extends Omit<Row<T>, 'value' | 'isSecret' | 'alias'> {
  readonly kind: 'tables'
  readonly isSecret?: never
  readonly fields: Readonly<Record<string, TableField>>
  readonly read: (tables: readonly Readonly<Record<string, unknown>>[], fault: FaultSink) => T
}
export type SettingRow = SingleRow<unknown> | ListRow<unknown> | TablesRow<unknown>

/** What the table says of a setting besides its reader and its default. */
type About<R extends Row<never>> = Omit<R, 'kind' | 'read' | 'default' | 'value'> & { readonly value?: string }

/** A setting with one value. */
export function single<T>(read: Reader<T>, initial: NoInfer<T>, about: About<SingleRow<never>>): SingleRow<T> {
  return { kind: 'single', read, default: initial, value: read.shown ?? 'TEXT', ...about }
}

/** A setting with one value or none. */
export function optional<T>(read: Reader<T>, about: About<SingleRow<never>>): SingleRow<T | undefined> {
  return { kind: 'single', read, default: undefined, value: read.shown ?? 'TEXT', ...about }
}

/** A setting that may be given several times. */
export function list<T>(read: (texts: readonly string[]) => T, initial: NoInfer<T>, about: About<ListRow<never>>): ListRow<T> {
  return { kind: 'list', read, default: initial, value: 'TEXT', ...about }
}

/** A setting that is a list of tables. */
export function tables<T>(read: TablesRow<T>['read'], row: Omit<TablesRow<T>, 'kind' | 'read'>): TablesRow<T> {
  return { kind: 'tables', read, ...row }
}
