import { RELOADABLE } from './reloadable.ts'
import { flagOf, keyOf, SETTING_NAMES, SETTINGS, type SettingName, variableOf } from './settings.ts'
import { fieldKeyOf } from './tables.ts'

/** What the documentation and `--help` show for a default. */
export function shownDefault(name: SettingName): string {
  const { shownDefault: shown, default: value } = SETTINGS[name]
  return shown ?? (value === undefined ? 'none' : String(value))
}

/** docs/reference/settings.md, made of the table of settings. */
export function settingsPage(): string {
  const rows = SETTING_NAMES.map((name) => {
    const { isSecret, help, kind } = SETTINGS[name]
    const flag = isSecret === true || kind === 'tables' ? 'none' : `\`${flagOf(name)}\``
    const variable = kind === 'tables' ? 'none' : `\`${variableOf(name)}\``
    const file = kind === 'tables' ? `\`[[${keyOf(name)}]]\`` : name === 'model' ? '`[model]`' : `\`${keyOf(name)}\``
    return `| ${flag} | ${variable} | ${file} | ${escapeCell(shownDefault(name))} | ${escapeCell(help)} |`
  })
  return `# Settings

This page is written by \`bun run settings\` from the table in \`src/config/settings.ts\`; a test compares the two.

A setting is taken from the first of these that has it: a flag, the environment, \`vestal.toml\` in the working directory (or the
file that \`--config\` or \`VESTAL_CONFIG\` names), the default. A list is separated by commas in the environment, is an array in
TOML, and is a flag given several times. All faults are told at once, and the exit code is then 2.

A variable \`VESTAL_…\` that is nearly the name of a setting (\`VESTAL_PORTT\`), and a key of the file that is none, is a fault: the
setting that it was meant to be would silently keep its default. Any other unknown \`VESTAL_…\` variable is a warning, since
Kubernetes sets some beside a Service named vestal (\`VESTAL_SERVICE_HOST\`; \`enableServiceLinks: false\` leaves them out, and
\`VESTAL_PORT\` with them). \`VESTAL_TEST_…\` belongs to the tests.

| flag | environment | vestal.toml | default | what it does |
|---|---|---|---|---|
${rows.join('\n')}

\`NODE_ENV=production\`, or a host that is not a loopback address, means production mode: a secret or a key file must then be
set, and the demonstration sign-in does not exist.

\`SIGHUP\` or \`POST /admin/reload\` makes a running server read these again, all or none ([reload](../guides/reload.md)):
${RELOADABLE.map((name) => `\`${keyOf(name)}\``).join(', ')}.
${SETTING_NAMES.map(tablesSection).join('')}`
}

/** The fields of a setting that is a list of tables; nothing for others. */
function tablesSection(name: SettingName): string {
  const row = SETTINGS[name]
  if (row.kind !== 'tables') return ''
  const fields = Object.entries(row.fields).map(([field, { help, isNeeded }]) => {
    return `| \`${fieldKeyOf(field)}\` | ${isNeeded === true ? 'yes' : 'no'} | ${escapeCell(help)} |`
  })
  return `
## [[${keyOf(name)}]]

${row.help}

| field | needed | what it is |
|---|---|---|
${fields.join('\n')}
`
}

function escapeCell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('<', '&lt;')
}
