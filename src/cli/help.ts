import type { FlagRow } from '../config/arguments.ts'
import { shownDefault } from '../config/page.ts'
import { flagOf, keyOf, SETTING_NAMES, SETTINGS, type SettingName, variableOf } from '../config/settings.ts'
import { VERSION } from '../core/version.ts'
import { wrapped } from '../core/wrap.ts'

/** One verb of the command line, as help and completion show it. */
export interface VerbHelp {
  readonly name: string
  readonly usage: string
  readonly summary: string
  readonly flags: readonly FlagRow[]
  /** Settings that it is used with most; `--help --all` shows the rest too. */
  readonly settings: readonly SettingName[]
  /** What may follow its name; none by default. */
  readonly actions?: readonly string[]
}

/** Where the text of a row begins, and where it ends at the latest. */
const [TEXT_AT, WIDTH] = [30, 80]

/** `vestal --help`. */
export function overview(verbs: readonly VerbHelp[]): string {
  const rows = verbs.map(({ name, summary }) => `  ${name.padEnd(10)} ${summary}`)
  return `vestal ${VERSION}: serves ONNX models behind JSON Web Tokens

Usage: vestal <verb> [flags]

${rows.join('\n')}

\`vestal <verb> --help\` lists the flags of a verb. Settings may also stand in the
environment or in vestal.toml.
`
}

/** `vestal <verb> --help`, and with `--all` every setting. */
export function verbHelp({ name, usage, summary, flags, settings }: VerbHelp, { isAll }: { readonly isAll: boolean }): string {
  const own = flags.map(({ name: flag, value, help }) => row(`--${flag}${value === undefined ? '' : ` ${value}`}`, help))
  const shown = isAll ? SETTING_NAMES.map(settingRow) : settings.map(shortRow)
  const config = row('--config FILE', 'File of settings (VESTAL_CONFIG, default vestal.toml)')
  const rest = `\`vestal ${name} --help --all\` lists all ${SETTING_NAMES.length} settings, and their variables.`
  return [
    `${summary}\n\nUsage: vestal ${usage}`,
    ...(own.length > 0 ? [`Flags:\n${own.join('\n')}`] : []),
    `${isAll || own.length === 0 ? 'Settings' : 'Settings that it is used with most'}:\n${[config, ...shown].join('\n')}`,
    ...(isAll ? [] : [rest]),
  ]
    .join('\n\n')
    .concat('\n')
}

/** The first sentence of what a setting does, and its default. */
function shortRow(name: SettingName): string {
  const setting = SETTINGS[name]
  const { help, isSecret } = setting
  const left = isSecret === true || setting.kind === 'tables' ? variableOf(name) : `${flagOf(name)} ${setting.value}`
  const note = isSecret === true ? 'no flag, since others can read a command line' : `default ${shownDefault(name)}`
  return row(left, `${firstSentence(help)} (${note})`)
}

/** What a text says before its first full stop, without it. */
export function firstSentence(text: string): string {
  return text.split(/(?<=\.)\s/)[0]?.replace(/\.$/, '') ?? text
}

function settingRow(name: SettingName): string {
  const setting = SETTINGS[name]
  if (setting.kind === 'tables') return row(`[[${keyOf(name)}]]`, `${setting.help} (vestal.toml alone)`)
  const { value, help, isSecret } = setting
  const left = isSecret === true ? variableOf(name) : `${flagOf(name)} ${value}`
  const note =
    isSecret === true
      ? 'environment or vestal.toml; no flag, since others can read a command line'
      : `${variableOf(name)}, default ${shownDefault(name)}`
  return row(left, `${help} (${note})`)
}

/** A long left column gets a line of its own. */
function row(left: string, right: string): string {
  const lines = wrapped(right, WIDTH - TEXT_AT)
  const begin = `  ${left}`
  const text = lines.join(`\n${' '.repeat(TEXT_AT)}`)
  return begin.length < TEXT_AT ? `${begin.padEnd(TEXT_AT)}${text}` : `${begin}\n${' '.repeat(TEXT_AT)}${text}`
}
