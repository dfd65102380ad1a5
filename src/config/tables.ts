import { didYouMean } from '../core/nearest.ts'
import type { Reader } from './readers.ts'

/** How a field of a table in vestal.toml is written and read. */
export type TableField = { readonly isNeeded?: true; readonly help: string } & (
  | { readonly kind: 'text'; readonly read: Reader<string> }
  | { readonly kind: 'number'; readonly read: Reader<number> }
  | { readonly kind: 'texts'; readonly read: (texts: readonly string[]) => readonly string[] }
  | { readonly kind: 'textByName'; readonly read: Reader<string> }
  | { readonly kind: 'textsByName'; readonly read: (texts: readonly string[]) => readonly string[] }
)

interface Values {
  readonly text: string
  readonly number: number
  readonly texts: readonly string[]
  readonly textByName: Readonly<Record<string, string>>
  readonly textsByName: Readonly<Record<string, readonly string[]>>
}
type ValueOf<F extends TableField> = Values[F['kind']]

/** What reading a table with these fields gives. */
export type TableOf<Fields extends Readonly<Record<string, TableField>>> = {
  readonly [Name in keyof Fields as Fields[Name] extends { readonly isNeeded: true } ? Name : never]: ValueOf<Fields[Name]>
} & {
  readonly [Name in keyof Fields as Fields[Name] extends { readonly isNeeded: true } ? never : Name]?: ValueOf<Fields[Name]>
}

/** Hears of each fault: where it is, beside the name of the setting, and the rule that was broken. */
export type FaultSink = (place: string, rule: string) => void

export interface ReadTablesOptions {
  readonly fault: FaultSink
  readonly tablesMax: number
}

/** `jwksUrl` → `jwks_url`. */
export function fieldKeyOf(field: string): string {
  return field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

/** Reads tables of TOML and reports every fault; a table with a fault is left out. The caller names the type of the fields. */
export function readTables<T>(
  fields: Readonly<Record<string, TableField>>,
  given: readonly Readonly<Record<string, unknown>>[],
  { fault, tablesMax }: ReadTablesOptions,
): readonly T[] {
  if (given.length > tablesMax) fault('', `must be at most ${tablesMax}`)
  return given.map((table, index) => readTable(fields, table, (name, rule) => fault(`[${index}].${name}`, rule)) as T)
}

function readTable(
  fields: Readonly<Record<string, TableField>>,
  table: Readonly<Record<string, unknown>>,
  fault: FaultSink,
): Readonly<Record<string, unknown>> {
  const known = new Map(Object.entries(fields).map(([name, field]) => [fieldKeyOf(name), { name, field }]))
  for (const key of Object.keys(table)) {
    if (!known.has(key)) fault(key.slice(0, 60), `is not a field of this table${didYouMean(key, known.keys())}`)
  }
  const values: Record<string, unknown> = {}
  for (const [key, { name, field }] of known) {
    if (!Object.hasOwn(table, key)) {
      if (field.isNeeded === true) fault(key, 'is missing')
      continue
    }
    try {
      values[name] = readField(field, table[key])
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      fault(key, error.message)
    }
  }
  return values
}

function readField(field: TableField, value: unknown): unknown {
  switch (field.kind) {
    case 'text':
      return field.read(text(value))
    case 'number':
      if (typeof value !== 'number') throw new RangeError(`must be a number; got ${kindOf(value)}`)
      return field.read(String(value))
    case 'texts':
      return field.read(texts(value))
    case 'textByName':
      return byName(value, (item) => field.read(text(item)))
    case 'textsByName':
      return byName(value, (item) => field.read(texts(item)))
  }
}

function text(value: unknown): string {
  if (typeof value !== 'string') throw new RangeError(`must be a string; got ${kindOf(value)}`)
  return value
}

function texts(value: unknown): readonly string[] {
  if (!Array.isArray(value) || value.length === 0) throw new RangeError('must be a list of at least one text')
  return value.map(text)
}

function byName<T>(value: unknown, read: (item: unknown) => T): Readonly<Record<string, T>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new RangeError(`must be a table; got ${kindOf(value)}`)
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, read(item)]))
}

/** What was written, with its value where that is a number or a boolean. */
function kindOf(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'boolean') return `the ${typeof value} ${value}`
  if (typeof value === 'string') return 'a string'
  return Array.isArray(value) ? 'a list' : 'a table'
}
