import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ListRow, SingleRow, TablesRow } from './settings/row.ts'
import { flagOf, keyOf, SETTING_NAMES, SETTINGS, type SettingName, type Settings, variableOf } from './settings.ts'

export type Environment = Readonly<Record<string, string | undefined>>

export interface Sources {
  /** Values of flags by setting, as they were given. */
  readonly flags: Readonly<Partial<Record<SettingName, readonly string[]>>>
  readonly environment: Environment
  /** A file named with `--config`; it must be there. Without one `vestal.toml` is read where it is. */
  readonly configFile?: string
  /** Folder of `vestal.toml`. */
  readonly directory: string
  /** What is wrong already, to be told with the rest. */
  readonly faults?: readonly string[]
}

export interface Loaded {
  readonly settings: Settings
  /** What does no harm and should be known. */
  readonly warnings: readonly string[]
}

/** Settings as far as they could be read: one with a fault has its default. */
export interface Examined extends Loaded {
  readonly faults: readonly string[]
  /** The file of settings, where there is one, and whether something in it is to be kept secret. */
  readonly file?: { readonly path: string; readonly hasSecrets: boolean }
}

/** Everything that is wrong with the settings, told at once. No message holds the value of a secret. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError'
  readonly faults: readonly string[]

  constructor(faults: readonly string[]) {
    super(faults.join('\n'))
    this.faults = faults
  }
}

/** Where a value came from, in words: `--port`, `VESTAL_PORT`, `port in vestal.toml`. */
interface Given {
  readonly source: string
  readonly texts: readonly string[]
}

/**
 * Takes each setting from the first source that has it: flags, environment, file, default.
 * @throws SettingsError with every fault there is
 */
export function loadSettings(sources: Sources): Loaded {
  const { settings, warnings, faults } = examineSettings(sources)
  if (faults.length > 0) throw new SettingsError(faults)
  return { settings, warnings }
}

/** The same, with the faults beside what could be read. */
export function examineSettings(sources: Sources): Examined {
  const faults: string[] = [...(sources.faults ?? [])]
  const file = readFile(sources, faults)
  const settings: Record<string, unknown> = {}
  for (const name of SETTING_NAMES) {
    const row = SETTINGS[name]
    if (row.kind === 'tables') {
      settings[name] = tablesOf(row, keyOf(name), { file, faults })
      continue
    }
    const given = givenBy(name, { ...sources, file }, faults)
    settings[name] = given === undefined ? row.default : read(row, given, faults)
  }
  for (const key of Object.keys(file.table)) {
    if (!SETTING_NAMES.some((name) => keyOf(name) === key)) faults.push(`${key} in ${file.name}: is not a setting`)
  }
  const hasSecrets = SETTING_NAMES.some((name) => SETTINGS[name].isSecret === true && Object.hasOwn(file.table, keyOf(name)))
  return {
    // The cast: each setting was read by its own row, or has its default.
    settings: settings as unknown as Settings,
    warnings: unknownVariables(sources.environment),
    faults,
    ...(file.path !== undefined && { file: { path: file.path, hasSecrets } }),
  }
}

interface File {
  readonly name: string
  /** Absent where there is no file. */
  readonly path?: string
  readonly table: Readonly<Record<string, unknown>>
}

/** A list of tables, from the file alone. */
function tablesOf(
  row: TablesRow<unknown>,
  key: string,
  { file, faults }: { readonly file: File; readonly faults: string[] },
): unknown {
  if (!Object.hasOwn(file.table, key)) return row.default
  const value = file.table[key]
  const isList = Array.isArray(value) && value.every((item) => typeof item === 'object' && item !== null && !Array.isArray(item))
  if (isList) return row.read(value, (place, rule) => faults.push(`${key}${place} in ${file.name}: ${rule}`))
  faults.push(`${key} in ${file.name}: must be tables, each begun with [[${key}]]`)
  return row.default
}

function readFile({ configFile, environment, directory }: Sources, faults: string[]): File {
  const asked = configFile ?? (environment.VESTAL_CONFIG || undefined)
  const name = asked ?? 'vestal.toml'
  const path = asked ?? join(directory, name)
  if (asked === undefined && !existsSync(path)) return { name, table: {} }
  try {
    return { name, path, table: Bun.TOML.parse(readFileSync(path, 'utf8')) as Readonly<Record<string, unknown>> }
  } catch (error) {
    const isMissing = error instanceof Error && 'code' in error
    faults.push(isMissing ? `${name}: cannot be read` : `${name}: is not valid TOML`)
    return { name, table: {} }
  }
}

function givenBy(
  name: SettingName,
  sources: Omit<Sources, 'faults'> & { readonly file: File },
  faults: string[],
): Given | undefined {
  const row = SETTINGS[name]
  const flags = sources.flags[name]
  if (flags !== undefined) return { source: flagOf(name), texts: flags }
  for (const variable of row.kind === 'tables' || row.alias === undefined ? [variableOf(name)] : [variableOf(name), row.alias]) {
    const text = sources.environment[variable]
    // A variable that is set to nothing is how many tools unset one.
    if (text === undefined || text === '') continue
    return { source: variable, texts: row.kind === 'list' ? text.split(',').map((part) => part.trim()) : [text] }
  }
  const key = keyOf(name)
  if (!Object.hasOwn(sources.file.table, key)) return undefined
  const source = `${key} in ${sources.file.name}`
  const texts = textsOf(sources.file.table[key])
  if (texts !== undefined) return { source, texts }
  faults.push(`${source}: must be a text, a number, a list of these, or a table for [model]`)
  return undefined
}

/** TOML values as the texts that flags would give. */
function textsOf(value: unknown): readonly string[] | undefined {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint') return [String(value)]
  if (Array.isArray(value)) return value.every((item) => typeof item === 'string') ? value : undefined
  if (typeof value !== 'object' || value === null) return undefined
  const entries = Object.entries(value)
  return entries.every(([, path]) => typeof path === 'string') ? entries.map(([key, path]) => `${key}=${path}`) : undefined
}

function read(row: SingleRow<unknown> | ListRow<unknown>, { source, texts }: Given, faults: string[]): unknown {
  const shown = row.isSecret === true ? 'its value is not shown' : `got ${JSON.stringify(texts.join(', ')).slice(0, 120)}`
  try {
    if (row.kind === 'list') return row.read(texts)
    const [text, second] = texts
    if (text !== undefined && second === undefined) return row.read(text)
    throw new RangeError('must be given once')
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    faults.push(`${source}: ${error.message}; ${shown}`)
    return row.default
  }
}

function unknownVariables(environment: Environment): readonly string[] {
  const known = new Set([...SETTING_NAMES.filter((name) => SETTINGS[name].kind !== 'tables').map(variableOf), 'VESTAL_CONFIG'])
  const unknown = Object.keys(environment).filter((name) => name.startsWith('VESTAL_') && !known.has(name))
  return unknown.map((name) => `${name} is set in the environment and is not a setting`)
}
