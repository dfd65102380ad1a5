/** What `model.toml` says of a model; every key is optional. */
export interface ModelFile {
  readonly description: string
  readonly permissions: { readonly predict?: string; readonly read?: string }
  /** Class names of an output, by output name. */
  readonly labels: ReadonlyMap<string, readonly string[]>
  /** Inputs to try, in the Flama form. */
  readonly examples: readonly unknown[]
}

type Table = Readonly<Record<string, unknown>>

/** What a model without `model.toml` has. */
export const EMPTY_MODEL_FILE: ModelFile = { description: '', permissions: {}, labels: new Map(), examples: [] }

/**
 * Reads the text of a `model.toml`.
 * @throws Error naming the key and the rule
 */
export function readModelFile(text: string): ModelFile {
  const file = parse(text)
  refuseOthers(file, ['description', 'permissions', 'outputs', 'examples'], '')
  const { description = '', permissions = {}, outputs = {}, examples = [] } = file
  if (typeof description !== 'string') throw new Error('model.toml: "description" must be a text')
  return { description, permissions: readPermissions(permissions), labels: readLabels(outputs), examples: readExamples(examples) }
}

function parse(text: string): Table {
  try {
    return Bun.TOML.parse(text) as Table
  } catch (error) {
    throw new Error(`model.toml is not valid TOML: ${error instanceof Error ? error.message.split('\n')[0] : ''}`)
  }
}

function readPermissions(value: unknown): ModelFile['permissions'] {
  const table = asTable(value, 'permissions')
  refuseOthers(table, ['predict', 'read'], 'permissions.')
  for (const [action, permission] of Object.entries(table)) {
    if (typeof permission !== 'string' || !/^[^\s"\\*]+$/.test(permission)) {
      throw new Error(`model.toml: "permissions.${action}" must be a text without spaces, quotes and *`)
    }
  }
  return table
}

function readLabels(value: unknown): ModelFile['labels'] {
  const labels = new Map<string, readonly string[]>()
  for (const [output, table] of Object.entries(asTable(value, 'outputs'))) {
    const path = `outputs.${output}`
    const { labels: names, ...others } = asTable(table, path)
    refuseOthers(others, [], `${path}.`)
    const isList = Array.isArray(names) && names.length > 0 && names.every((name) => typeof name === 'string')
    if (!isList) throw new Error(`model.toml: "${path}.labels" must be a list of texts`)
    if (new Set(names).size !== names.length) throw new Error(`model.toml: "${path}.labels" has a label twice`)
    labels.set(output, names)
  }
  return labels
}

function readExamples(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new Error('model.toml: "examples" must be a list of tables')
  return value.map((example, index) => {
    const { input, ...others } = asTable(example, `examples[${index}]`)
    refuseOthers(others, [], `examples[${index}].`)
    if (input === undefined) throw new Error(`model.toml: "examples[${index}].input" is missing`)
    return input
  })
}

function asTable(value: unknown, path: string): Table {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error(`model.toml: "${path}" must be a table`)
  return value as Table
}

function refuseOthers(table: Table, known: readonly string[], prefix: string): void {
  const other = Object.keys(table).find((key) => !known.includes(key))
  if (other !== undefined) throw new Error(`model.toml: "${prefix}${other}" is not a key that is known`)
}
