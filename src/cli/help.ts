import type { FlagRow } from '../config/arguments.ts'
import { shownDefault } from '../config/page.ts'
import { flagOf, keyOf, SETTING_NAMES, SETTINGS, variableOf } from '../config/settings.ts'
import { VERSION } from '../core/version.ts'

/** One verb of the command line, as help shows it. */
export interface VerbHelp {
  readonly name: string
  readonly usage: string
  readonly summary: string
  readonly flags: readonly FlagRow[]
}

/** `vestal --help`. */
export function overview(verbs: readonly VerbHelp[]): string {
  const rows = verbs.map(({ name, summary }) => `  ${name.padEnd(10)} ${summary}`)
  return `vestal ${VERSION}: serves ONNX models behind JSON Web Tokens

Usage: vestal <verb> [flags]

${rows.join('\n')}

\`vestal <verb> --help\` lists the flags of a verb. Settings may also stand in the environment or in vestal.toml.
`
}

/** `vestal <verb> --help`. */
export function verbHelp({ usage, summary, flags }: VerbHelp): string {
  const own = flags.map(({ name, value, help }) => row(`--${name}${value === undefined ? '' : ` ${value}`}`, help))
  const settings = SETTING_NAMES.map((name) => {
    const setting = SETTINGS[name]
    if (setting.kind === 'tables') return row(`[[${keyOf(name)}]]`, `${setting.help} (only in vestal.toml)`)
    const { value, help, isSecret } = setting
    const left = isSecret === true ? variableOf(name) : `${flagOf(name)} ${value}`
    const note =
      isSecret === true
        ? 'environment or vestal.toml; no flag, since others can read a command line'
        : `${variableOf(name)}, default ${shownDefault(name)}`
    return row(left, `${help} (${note})`)
  })
  return [
    `${summary}\n\nUsage: vestal ${usage}`,
    ...(own.length > 0 ? [`Flags:\n${own.join('\n')}`] : []),
    `Settings:\n${[row('--config FILE', 'File of settings (VESTAL_CONFIG, default vestal.toml where it is)'), ...settings].join('\n')}\n`,
  ].join('\n\n')
}

function row(left: string, right: string): string {
  return `  ${left.padEnd(30)} ${right}`
}
