import { type Static, type TProperties, type TSchema, Type } from '@sinclair/typebox'
import { byName, strict } from './build.ts'
import { faultsIn } from './check.ts'

/** Where a value stands, for errors. */
export interface TomlPlace {
  readonly file: string
  /** Default the whole file. */
  readonly path?: string
}

/** A table with these keys and no others. */
export function table<P extends TProperties>(properties: P) {
  return strict(properties, { rule: 'must be a table' })
}

/** A table whose keys are names of the writer's choice. */
export function tableByName<S extends TSchema>(value: S, options: object = {}) {
  return byName(value, { rule: 'must be a table', ...options })
}

/** A whole number between two bounds, both included. */
export function whole([minimum, maximum]: readonly [min: number, max: number]) {
  return Type.Integer({ minimum, maximum })
}

/**
 * Reads the text of a TOML file.
 * @throws Error naming the file, the key and the rule
 */
export function readToml<S extends TSchema>(schema: S, text: string, file: string): Static<S> {
  let value: unknown
  try {
    value = Bun.TOML.parse(text)
  } catch (error) {
    throw new Error(`${file} is not valid TOML: ${error instanceof Error ? error.message.split('\n')[0] : ''}`)
  }
  return checkToml(schema, value, { file })
}

/** The value, as its schema describes it. @throws Error naming the file, the key and the rule */
export function checkToml<S extends TSchema>(schema: S, value: unknown, { file, path = '' }: TomlPlace): Static<S> {
  const [fault] = faultsIn(schema, value, { unknown: 'is not a key that is known', path })
  if (fault !== undefined) {
    const { given } = fault
    throw tomlFault(
      file,
      fault.path,
      given === undefined ? fault.rule : `${fault.rule}; got ${JSON.stringify(given.slice(0, 64))}`,
    )
  }
  // The cast is what the check establishes.
  return value as Static<S>
}

/** The error of one key. */
export function tomlFault(file: string, path: string, rule: string): Error {
  return new Error(`${file}: "${path}" ${rule}`)
}

/** The object without the keys that have no value. */
export function withoutAbsent<T extends object>(values: { readonly [K in keyof T]: T[K] | undefined }): T {
  // The cast: what is left has a value.
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as T
}
