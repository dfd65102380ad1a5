import { flagOf, keyOf, SETTING_NAMES, SETTINGS, type SettingName, variableOf } from './settings.ts'

/** What the documentation and `--help` show for a default. */
export function shownDefault(name: SettingName): string {
  const { shownDefault: shown, default: value } = SETTINGS[name]
  return shown ?? (value === undefined ? 'none' : String(value))
}

/** docs/settings.md, made of the table of settings. */
export function settingsPage(): string {
  const rows = SETTING_NAMES.map((name) => {
    const { isSecret, help, kind } = SETTINGS[name]
    const flag = isSecret === true ? 'none' : `\`${flagOf(name)}\``
    const file = kind === 'list' && name === 'model' ? '`[model]`' : `\`${keyOf(name)}\``
    return `| ${flag} | \`${variableOf(name)}\` | ${file} | ${escapeCell(shownDefault(name))} | ${escapeCell(help)} |`
  })
  return `# Settings

This page is written by \`bun run settings\` from the table in \`src/config/settings.ts\`; a test compares the two.

A setting is taken from the first of these that has it: a flag, the environment, \`vestal.toml\` in the working directory (or the
file that \`--config\` or \`VESTAL_CONFIG\` names), the default. A list is separated by commas in the environment, is an array in
TOML, and is a flag given several times. All faults are told at once, and the exit code is then 2.

| flag | environment | vestal.toml | default | what it does |
|---|---|---|---|---|
${rows.join('\n')}

\`NODE_ENV=production\`, or a host that is not a loopback address, means production mode: a secret or a key file must then be
set, and the demonstration sign-in does not exist.
`
}

function escapeCell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('<', '&lt;')
}
