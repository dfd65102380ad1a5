import { parseArgs } from 'node:util'
import { didYouMean } from '../core/nearest.ts'
import { flagOf, SETTING_NAMES, SETTINGS, type SettingName } from './settings.ts'

/** A verb's own flag, beside those of the settings. */
export interface FlagRow {
  readonly name: string
  /** What `--help` shows for the value; absent for a flag without one. */
  readonly value?: string
  readonly help: string
}

export interface Arguments {
  readonly isHelp: boolean
  /** Flags that are unknown or lack their value, and words that the verb does not take. */
  readonly faults: readonly string[]
  readonly configFile?: string
  /** What stands beside the flags, for a verb that takes words. */
  readonly words: readonly string[]
  /** The settings' flags, as `loadSettings` takes them. */
  readonly settings: Readonly<Partial<Record<SettingName, readonly string[]>>>
  /** The verb's own flags with a value. */
  readonly values: ReadonlyMap<string, readonly string[]>
  /** The verb's own flags without one that were given. */
  readonly switches: ReadonlySet<string>
}

/** Reads a verb's flags, and up to so many words beside them. */
export function readArguments(args: readonly string[], rows: readonly FlagRow[], wordsMax = 0): Arguments {
  const settingOf = new Map(SETTING_NAMES.filter(hasFlag).map((name) => [flagOf(name), name]))
  const own = new Map(rows.map((row) => [`--${row.name}`, row]))
  const withValue = [
    '--config',
    ...settingOf.keys(),
    ...[...own.values()].filter(({ value }) => value).map(({ name }) => `--${name}`),
  ]
  const known = [...withValue, ...own.keys(), '--help']
  const { tokens } = parseArgs({
    args: [...args],
    options: Object.fromEntries(withValue.map((flag) => [flag.slice(2), { type: 'string', multiple: true }])),
    strict: false,
    tokens: true,
  })
  const faults: string[] = []
  const given = new Map<string, string[]>()
  const switches = new Set<string>()
  const words: string[] = []
  /** What follows an unknown flag is most often its value, and may be a secret. */
  let valueIndex = -1
  for (const token of tokens) {
    if (token.kind === 'positional' && token.index === valueIndex) continue
    if (token.kind === 'positional' && words.length < wordsMax) words.push(token.value)
    else if (token.kind === 'positional') faults.push(`${JSON.stringify(token.value.slice(0, 60))}: is not a flag`)
    if (token.kind !== 'option') continue
    const flag = token.rawName
    // `-port` would be taken for four flags of one letter.
    const raw = args[token.index] ?? flag
    if (/^-[a-z][a-z-]+(?:=|$)/i.test(raw)) {
      const fault = unknownFlag(raw.replace(/=.*$/s, ''), known)
      if (!faults.includes(fault)) faults.push(fault)
      valueIndex = token.index + 1
    } else if (withValue.includes(flag)) {
      // A flag that follows is not a value that was forgotten.
      if (token.value === undefined || (!token.inlineValue && token.value.startsWith('--'))) faults.push(`${flag}: needs a value`)
      else given.set(flag, [...(given.get(flag) ?? []), token.value])
    } else if (flag === '--help' || flag === '-h' || own.has(flag)) switches.add(flag.replace(/^--?/, ''))
    else {
      faults.push(unknownFlag(flag, known))
      valueIndex = token.index + 1
    }
  }
  const isHelp = switches.has('help') || switches.has('h')
  const configFile = given.get('--config')?.at(-1)
  return {
    isHelp,
    faults,
    words,
    ...(configFile !== undefined && { configFile }),
    settings: Object.fromEntries([...settingOf].flatMap(([flag, name]) => (given.has(flag) ? [[name, given.get(flag)]] : []))),
    values: new Map([...own.keys()].flatMap((flag) => (given.has(flag) ? [[flag.slice(2), given.get(flag) ?? []]] : []))),
    switches,
  }
}

function hasFlag(name: SettingName): boolean {
  const { isSecret, kind } = SETTINGS[name]
  return isSecret !== true && kind !== 'tables'
}

function unknownFlag(flag: string, known: readonly string[]): string {
  const isSecret = SETTING_NAMES.some((name) => SETTINGS[name].isSecret === true && flagOf(name) === flag)
  return isSecret
    ? `${flag}: others can read a command line; set it in the environment`
    : `${flag.slice(0, 60)}: is not a flag; --help lists them${didYouMean(flag, known)}`
}
