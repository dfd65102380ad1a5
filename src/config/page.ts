import { flagOf, keyOf, RELOADABLE, SETTING_NAMES, SETTINGS, type SettingName, variableOf } from './settings.ts'
import { fieldKeyOf } from './tables.ts'

/** What the documentation and `--help` show for a default. */
export function shownDefault(name: SettingName): string {
  const { shownDefault: shown, default: value } = SETTINGS[name]
  const isNone = value === undefined || (Array.isArray(value) && value.length === 0) || (value instanceof Map && value.size === 0)
  return shown ?? (isNone ? 'none' : String(value))
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

\`bun run settings\` writes this page from the table of settings; a test compares the two.

A setting comes from the first of these that has it: a flag, the environment, \`vestal.toml\` in the working directory (or the file
that \`--config\` or \`VESTAL_CONFIG\` names), the default. A repeatable setting is a flag given several times, a list separated by
commas in the environment, and an array in TOML. The start reports all errors at once and exits with 2.

A variable \`VESTAL_…\` that is close to the name of a setting (\`VESTAL_PORTT\`), and an unknown key of the file, are errors: the
intended setting would silently keep its default. Any other unknown \`VESTAL_…\` variable is a warning, since Kubernetes sets some for
a Service named vestal (\`VESTAL_SERVICE_HOST\`; \`enableServiceLinks: false\` omits them, and \`VESTAL_PORT\` with them).
\`VESTAL_TEST_…\` belongs to the tests.

| flag | environment | vestal.toml | default | meaning |
|---|---|---|---|---|
${rows.join('\n')}

\`NODE_ENV=production\`, or a host that is not a loopback address, means production mode: it requires a secret or a key file, and
has no demonstration sign-in.

\`SIGHUP\` or \`POST /admin/reload\` makes a running server [reload](../guides/reload.md) these, all or none:
${[...RELOADABLE].map((name) => `\`${keyOf(name)}\``).join(', ')}.
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

| field | required | meaning |
|---|---|---|
${fields.join('\n')}
`
}

function escapeCell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('<', '&lt;')
}
