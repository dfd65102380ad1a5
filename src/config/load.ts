import { didYouMean, nearestOf } from '../core/nearest.ts'
import type { ListRow, SingleRow, TablesRow } from './settings/row.ts'
import { flagOf, keyOf, SETTING_NAMES, SETTINGS, type SettingName, type Settings, variableOf } from './settings.ts'
import { readToml, type TomlFile } from './toml-file.ts'

export type Environment = Readonly<Record<string, string | undefined>>

export interface Sources {
  /** Values of flags by setting, as they were given. */
  readonly flags: Readonly<Partial<Record<SettingName, readonly string[]>>>
  readonly environment: Environment
  /** A file named with `--config`; it must be there. Without one `vestal.toml` is read where it is. */
  readonly configFile?: string
  /** Folder of `vestal.toml`. */
  readonly directory: string
  /** Faults that are known already, to be reported with the rest. */
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

/** All faults of the settings, reported at once. No message holds the value of a secret. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError'
  readonly faults: readonly string[]

  constructor(faults: readonly string[]) {
    super(faults.join('\n'))
    this.faults = faults
  }
}

/** Where a value came from, in words: `--port`, `VESTAL_PORT`, `port in vestal.toml, line 3`. */
interface Given {
  readonly source: string
  readonly texts: readonly string[]
  /** TOML's own word for a value that is no text, where the file has one. */
  readonly written?: 'number' | 'boolean'
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
  const file = readToml(sources.configFile ?? (sources.environment.VESTAL_CONFIG || undefined), sources.directory, faults)
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
  faults.push(...unknownKeys(file), ...mistypedVariables(sources.environment))
  const hasSecrets = SETTING_NAMES.some((name) => SETTINGS[name].isSecret === true && Object.hasOwn(file.table, keyOf(name)))
  return {
    // The cast: each setting was read by its own row, or has its default.
    settings: settings as unknown as Settings,
    warnings: strangeVariables(sources.environment),
    faults,
    ...(file.path !== undefined && { file: { path: file.path, hasSecrets } }),
  }
}

/** A list of tables, only from the file. */
function tablesOf(
  row: TablesRow<unknown>,
  key: string,
  { file, faults }: { readonly file: TomlFile; readonly faults: string[] },
): unknown {
  if (!Object.hasOwn(file.table, key)) return row.default
  const value = file.table[key]
  const isList = Array.isArray(value) && value.every((item) => typeof item === 'object' && item !== null && !Array.isArray(item))
  if (isList) {
    return row.read(value, (place, rule) => {
      const [, index = '', field = ''] = /^\[(\d+)\]\.(.*)$/.exec(place) ?? []
      const where = place === '' ? file.placeOf(key) : file.placeOf(key, { index: Number(index), field })
      faults.push(`${key}${place} in ${where}: ${rule}`)
    })
  }
  faults.push(`${key} in ${file.placeOf(key)}: must be tables, each begun with [[${key}]]`)
  return row.default
}

function givenBy(
  name: SettingName,
  sources: Omit<Sources, 'faults'> & { readonly file: TomlFile },
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
  const value = sources.file.table[key]
  const source = `${key} in ${sources.file.placeOf(key)}`
  const texts = row.kind === 'single' && typeof value === 'object' ? undefined : textsOf(value)
  if (texts === undefined) {
    faults.push(`${source}: must be a string, a number, a list of strings, or a table for [model]`)
    return undefined
  }
  const written =
    typeof value === 'boolean' ? 'boolean' : typeof value === 'string' || typeof value === 'object' ? undefined : 'number'
  return { source, texts, ...(written && { written }) }
}

/** TOML values as the texts that flags would give. */
function textsOf(value: unknown): readonly string[] | undefined {
  if (['string', 'number', 'bigint', 'boolean'].includes(typeof value)) return [String(value)]
  if (Array.isArray(value)) return value.every((item) => typeof item === 'string') ? value : undefined
  if (typeof value !== 'object' || value === null) return undefined
  const entries = Object.entries(value)
  return entries.every(([, path]) => typeof path === 'string') ? entries.map(([key, path]) => `${key}=${path}`) : undefined
}

function read(row: SingleRow<unknown> | ListRow<unknown>, { source, texts, written }: Given, faults: string[]): unknown {
  const shown = row.isSecret === true || !texts.every(mayShow) ? 'its value is not shown' : `got ${shownOf(texts, written)}`
  try {
    const value = row.kind === 'list' ? row.read(texts) : row.read(oneOf(texts))
    if (written === undefined || (written === 'number' && row.kind === 'single' && row.read.takesNumber === true)) return value
    throw new RangeError(`must be a string in quotes, not a ${written}`)
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    faults.push(`${source}: ${error.message}; ${shown}`)
    return row.default
  }
}

function oneOf(texts: readonly string[]): string {
  const [text, second] = texts
  if (text !== undefined && second === undefined) return text
  throw new RangeError('must be given once')
}

function shownOf(texts: readonly string[], written: Given['written']): string {
  return written === undefined ? JSON.stringify(texts.join(', ')).slice(0, 120) : `the ${written} ${texts.join(', ')}`
}

/** Not what may be a key, a token or an address with a password in it: it was put into the wrong setting. */
function mayShow(text: string): boolean {
  return !/-----BEGIN|^\s*\{|@|eyJ[\w-]{8,}|vst_/.test(text)
}

function unknownKeys({ table, placeOf }: TomlFile): readonly string[] {
  const known = SETTING_NAMES.map(keyOf)
  return Object.keys(table)
    .filter((key) => !known.includes(key))
    .map((key) => {
      const value = table[key]
      const isTable = typeof value === 'object' && value !== null && !Array.isArray(value)
      const inside = isTable ? Object.keys(value).find((name) => known.includes(name)) : undefined
      const hint =
        inside === undefined ? didYouMean(key, known) : `; ${inside} and the others stand at the top of the file, in no table`
      return `${key.slice(0, 60)} in ${placeOf(key)}: is not a setting${hint}`
    })
}

/** What the test suite reads; a server that a test starts is not to complain of it. */
const TEST_PREFIX = 'VESTAL_TEST_'
/** What Kubernetes sets in every container beside a Service named vestal. */
const SERVICE_LINK = /^VESTAL_(?:SERVICE_(?:HOST|PORT(?:_\w+)?)|PORT_\d+_(?:TCP|UDP|SCTP)(?:_\w+)?)$/

function unknownVariables(environment: Environment): readonly string[] {
  const known = new Set([...variables(), 'VESTAL_CONFIG'])
  return Object.keys(environment).filter((name) => /^VESTAL_/i.test(name) && !name.startsWith(TEST_PREFIX) && !known.has(name))
}

/** A variable whose name is nearly that of a setting is a misspelling: the server does not start. */
function mistypedVariables(environment: Environment): readonly string[] {
  return unknownVariables(environment).flatMap((name) => {
    const meant = meantBy(name)
    return meant === undefined ? [] : [`${name}: is not a setting; ${meant}`]
  })
}

function meantBy(name: string): string | undefined {
  const table = SETTING_NAMES.find((setting) => SETTINGS[setting].kind === 'tables' && variableOf(setting) === name)
  if (table !== undefined) return `write [[${keyOf(table)}]] in vestal.toml, the one place that holds tables`
  if (SERVICE_LINK.test(name)) return undefined
  const prefix = 'VESTAL_'
  const meant = nearestOf(
    name.slice(prefix.length),
    [...variables(), 'VESTAL_CONFIG'].map((each) => each.slice(prefix.length)),
  )
  return meant === undefined ? undefined : `did you mean ${prefix}${meant}?`
}

/** Others are none of ours, or belong to another version. */
function strangeVariables(environment: Environment): readonly string[] {
  return unknownVariables(environment)
    .filter((name) => meantBy(name) === undefined)
    .map((name) => `${name} is set in the environment and is not a setting`)
}

function variables(): readonly string[] {
  return SETTING_NAMES.filter((name) => SETTINGS[name].kind !== 'tables').map(variableOf)
}
