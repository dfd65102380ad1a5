import { ISOLATIONS, MODEL_SETTING_BOUNDS, type ModelSettings } from '../model-settings.ts'
import { type ModelPermissions, readPermissions } from './permissions.ts'
import { readToml, type TomlTable, withoutAbsent } from './toml-table.ts'
import { POLICY_VERSIONS_MAX, type VersionPolicy } from './version-policy.ts'
import { readWarmups, type Warmup } from './warmup-table.ts'

/** What `model.toml` says of a model; every key is optional. */
export interface ModelFile {
  readonly description: string
  /** Those of its own; what `permissionsIn` gives counts, also where the rest of the file is wrong. */
  readonly permissions: Partial<ModelPermissions>
  /** Class names of an output, by output name. */
  readonly labels: ReadonlyMap<string, readonly string[]>
  /** Inputs to try, in the Flama form. */
  readonly examples: readonly unknown[]
  readonly settings: ModelSettings
  /** Which versions are loaded; absent where it does not say. */
  readonly versions?: VersionPolicy
  /** SHA-256 in hexadecimal by path inside the model's folder. */
  readonly checksums: ReadonlyMap<string, string>
  /** Runs that a version must pass before it serves. */
  readonly warmups: readonly Warmup[]
}

/** Files whose checksum may be named. */
const CHECKSUMS_MAX = 256
const { batchRowsMax, batchDelayMs, rowsMax, ...SERVING } = MODEL_SETTING_BOUNDS

/** What a model without `model.toml` has. */
export const EMPTY_MODEL_FILE: ModelFile = {
  description: '',
  permissions: {},
  labels: new Map(),
  examples: [],
  settings: {},
  checksums: new Map(),
  warmups: [],
}

/**
 * Reads the text of a `model.toml`.
 * @throws Error naming the key and the rule
 */
export function readModelFile(text: string): ModelFile {
  const file = readToml(text, 'model.toml')
  const description = file.any('description') ?? ''
  if (typeof description !== 'string') throw file.fault('description', 'must be a text')
  const versions = readVersions(file.table('versions'))
  const read: ModelFile = {
    description,
    permissions: readPermissions(file.table('permissions')),
    labels: readLabels(file.table('outputs')),
    examples: readExamples(file.tables('examples')),
    settings: { ...readServing(file.table('serving')), ...readBatching(file.table('batching')) },
    ...(versions !== undefined && { versions }),
    checksums: readChecksums(file.table('sha256')),
    warmups: readWarmups(file.tables('warmup')),
  }
  file.end()
  return read
}

function readLabels(outputs: TomlTable | undefined): ModelFile['labels'] {
  const labels = new Map<string, readonly string[]>()
  for (const output of outputs?.keys ?? []) {
    const table = outputs?.table(output)
    if (table === undefined) continue
    const names = table.any('labels')
    table.end()
    const isList = Array.isArray(names) && names.length > 0 && names.every((name) => typeof name === 'string')
    if (!isList) throw table.fault('labels', 'must be a list of texts')
    if (new Set(names).size !== names.length) throw table.fault('labels', 'has a label twice')
    labels.set(output, names)
  }
  return labels
}

function readExamples(tables: readonly TomlTable[]): readonly unknown[] {
  return tables.map((table) => {
    const input = table.any('input')
    table.end()
    if (input === undefined) throw table.fault('input', 'is missing')
    return input
  })
}

function readServing(table: TomlTable | undefined): ModelSettings {
  if (table === undefined) return {}
  const settings = withoutAbsent<ModelSettings>({
    instances: table.integer('instances', SERVING.instances),
    isolation: table.oneOf('isolation', ISOLATIONS),
    threads: table.integer('threads', SERVING.threads),
    arena: table.boolean('arena'),
    optimization: table.oneOf('optimization', ['disabled', 'basic', 'extended', 'all']),
    rowsMax: table.integer('rows_max', rowsMax),
    queueMax: table.integer('queue_max', SERVING.queueMax),
    priorityLevels: table.integer('priority_levels', SERVING.priorityLevels),
    priorityDefault: table.integer('priority_default', SERVING.priorityDefault),
    timeoutMs: table.integer('timeout_ms', SERVING.timeoutMs),
    isCached: table.boolean('cache'),
    syntheticInputs: table.boolean('synthetic_inputs'),
  })
  table.end()
  if ((settings.priorityDefault ?? 1) > Math.max(1, settings.priorityLevels ?? 0)) {
    throw table.fault('priority_default', 'must be one of the priority_levels')
  }
  return settings
}

function readBatching(table: TomlTable | undefined): ModelSettings {
  if (table === undefined) return {}
  const settings = withoutAbsent<ModelSettings>({
    batchRowsMax: table.integer('rows_max', batchRowsMax),
    batchDelayMs: table.number('delay_ms', batchDelayMs),
    allowDependentRows: table.boolean('allow_dependent_rows'),
  })
  table.end()
  return settings
}

function readVersions(table: TomlTable | undefined): VersionPolicy | undefined {
  if (table === undefined) return undefined
  const [latest, only, all] = [table.integer('latest', [1, POLICY_VERSIONS_MAX]), table.any('only'), table.boolean('all')]
  table.end()
  if ([latest, only, all].filter((value) => value !== undefined).length !== 1 || all === false) {
    throw table.fault('latest', '(or "only", or "all = true") must be there, one of them')
  }
  if (latest !== undefined) return { kind: 'latest', count: latest }
  if (only === undefined) return { kind: 'all' }
  const isList = Array.isArray(only) && only.length > 0 && only.length <= POLICY_VERSIONS_MAX
  if (!isList || !only.every((version) => Number.isInteger(version) && version > 0)) {
    throw table.fault('only', `must be a list of 1 to ${POLICY_VERSIONS_MAX} whole numbers`)
  }
  return { kind: 'specific', versions: only.map(String) }
}

function readChecksums(table: TomlTable | undefined): ModelFile['checksums'] {
  const checksums = new Map<string, string>()
  for (const path of table?.keys ?? []) {
    const digest = table?.any(path)
    if (typeof digest !== 'string' || !/^[0-9a-fA-F]{64}$/.test(digest)) {
      throw table?.fault(path, 'must be a SHA-256 of 64 hexadecimal digits')
    }
    checksums.set(path, digest.toLowerCase())
  }
  if (checksums.size > CHECKSUMS_MAX) throw new Error(`model.toml: "sha256" must have at most ${CHECKSUMS_MAX} files`)
  return checksums
}
