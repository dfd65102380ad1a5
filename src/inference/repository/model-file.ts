import { type Static, Type } from '@sinclair/typebox'
import { words } from '../../schema/build.ts'
import { readToml, table, tableByName, tomlFault, whole, withoutAbsent } from '../../schema/toml-file.ts'
import { TASK_TABLES, type TaskTables } from '../../tasks/folder/task-tables.ts'
import type { CarriedState } from '../carried-state.ts'
import { CODE_DEFAULTS, type CodeSettings } from '../code/code-settings.ts'
import { ISOLATIONS, MODEL_SETTING_BOUNDS, type ModelSettings } from '../model-settings.ts'
import { type ModelPermissions, Permissions, readPermissions } from './permissions.ts'
import { POLICY_VERSIONS_MAX, type VersionPolicy } from './version-policy.ts'
import { readWarmups, type Warmup, Warmups } from './warmup-table.ts'

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
  /** What its `model.ts` is given. */
  readonly code?: CodeSettings
  /** Which versions are loaded; absent where it does not say. */
  readonly versions?: VersionPolicy
  /** SHA-256 in hexadecimal by path inside the model's folder. */
  readonly checksums: ReadonlyMap<string, string>
  /** Runs that a version must pass before it serves. */
  readonly warmups: readonly Warmup[]
  /** What it says of what the model does beside tensors. */
  readonly tasks?: TaskTables
  /** What is carried from one message of a socket to the next. */
  readonly carried?: CarriedState
}

/** Files whose checksum may be named. */
const CHECKSUMS_MAX = 256
const { batchRowsMax, batchTokensMax, batchPaddingMax, batchDelayMs, rowsMax, ...SERVING } = MODEL_SETTING_BOUNDS
const [delayMin, delayMax] = batchDelayMs

const Serving = table({
  instances: Type.Optional(whole(SERVING.instances)),
  isolation: Type.Optional(words(ISOLATIONS)),
  threads: Type.Optional(whole(SERVING.threads)),
  arena: Type.Optional(Type.Boolean()),
  optimization: Type.Optional(words(['disabled', 'basic', 'extended', 'all'])),
  rows_max: Type.Optional(whole(rowsMax)),
  queue_max: Type.Optional(whole(SERVING.queueMax)),
  priority_levels: Type.Optional(whole(SERVING.priorityLevels)),
  priority_default: Type.Optional(whole(SERVING.priorityDefault)),
  timeout_ms: Type.Optional(whole(SERVING.timeoutMs)),
  cache: Type.Optional(Type.Boolean()),
  synthetic_inputs: Type.Optional(Type.Boolean()),
})
const Batching = table({
  rows_max: Type.Optional(whole(batchRowsMax)),
  tokens_max: Type.Optional(whole(batchTokensMax)),
  padding_max: Type.Optional(whole(batchPaddingMax)),
  delay_ms: Type.Optional(Type.Number({ minimum: delayMin, maximum: delayMax })),
  allow_dependent_rows: Type.Optional(Type.Boolean()),
})
const Versions = table({
  latest: Type.Optional(whole([1, POLICY_VERSIONS_MAX])),
  only: Type.Optional(
    Type.Array(Type.Integer({ minimum: 1 }), {
      minItems: 1,
      maxItems: POLICY_VERSIONS_MAX,
      rule: `must be a list of 1 to ${POLICY_VERSIONS_MAX} whole numbers`,
    }),
  ),
  all: Type.Optional(Type.Boolean()),
})
const LIST = 'must be a list of strings'
const MIB = 1024 * 1024
/** Variables of the server's own may hold its secrets. */
const OTHERS_VARIABLE = '^(?!VESTAL_)[A-Za-z_][A-Za-z0-9_]{0,99}$'
const Variables = Type.Array(Type.String({ pattern: OTHERS_VARIABLE }), {
  maxItems: 64,
  rule: "must be a list of at most 64 names of variables, none of Vestal's own (VESTAL_…)",
})
const Code = table({
  env: Type.Optional(Variables),
  network: Type.Optional(Type.Boolean()),
  own_authority: Type.Optional(Type.Array(Type.String(), { maxItems: 32, rule: 'must be a list of at most 32 names of models' })),
  memory_mb: Type.Optional(whole([64, 1024 * 1024])),
  hang_ms: Type.Optional(whole([100, 600_000])),
})
const Outputs = tableByName(table({ labels: Type.Array(Type.String(), { minItems: 1, rule: LIST, missing: LIST }) }))
const Digest = Type.String({ pattern: '^[0-9a-fA-F]{64}$', rule: 'must be a SHA-256 of 64 hexadecimal digits' })
const FILES = `must be a table of at most ${CHECKSUMS_MAX} files`
/** Outputs of a state, and inputs with a context. */
const CARRIED_MAX = 64
const CONTEXT_MAX = 1_000_000
const STATE = 'must be a table of outputs and the inputs that they are in the next message'
const ModelToml = table({
  description: Type.Optional(Type.String()),
  ...TASK_TABLES,
  state: Type.Optional(tableByName(Type.String(), { maxProperties: CARRIED_MAX, rule: STATE })),
  context: Type.Optional(tableByName(whole([1, CONTEXT_MAX]), { maxProperties: CARRIED_MAX })),
  permissions: Type.Optional(Permissions),
  outputs: Type.Optional(Outputs),
  examples: Type.Optional(Type.Array(table({ input: Type.Unknown() }), { rule: 'must be a list of tables' })),
  serving: Type.Optional(Serving),
  batching: Type.Optional(Batching),
  code: Type.Optional(Code),
  versions: Type.Optional(Versions),
  sha256: Type.Optional(tableByName(Digest, { maxProperties: CHECKSUMS_MAX, rule: FILES })),
  warmup: Type.Optional(Warmups),
})
const fault = (path: string, rule: string) => tomlFault('model.toml', path, rule)

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
  const file = readToml(ModelToml, text, 'model.toml')
  const carried = carriedIn(file)
  const { description = '', examples = [], sha256: digests = {} } = file
  return {
    description,
    permissions: readPermissions(file.permissions),
    labels: readLabels(file.outputs),
    examples: examples.map(({ input }) => input),
    // Nobody shares a run with a model that carries something of its caller.
    settings: { ...readServing(file.serving), ...readBatching(file.batching), ...(carried.carried && { batchRowsMax: 1 }) },
    ...(file.code !== undefined && { code: readCode(file.code) }),
    ...(file.versions !== undefined && { versions: readVersions(file.versions) }),
    checksums: new Map(Object.entries(digests).map(([path, digest]) => [path, digest.toLowerCase()])),
    warmups: readWarmups(file.warmup),
    ...tasksIn(file),
    ...carried,
  }
}

function carriedIn({ state, context }: Static<typeof ModelToml>): Pick<ModelFile, 'carried'> {
  if (state === undefined && context === undefined) return {}
  const outputs = Object.entries(state ?? {}).map(([output, input]) => ({ output, input }))
  const contexts = Object.entries(context ?? {}).map(([input, values]) => ({ input, values }))
  return { carried: { outputs, contexts } }
}

/** The tables of what a model does, as they stand. */
function tasksIn(file: Static<typeof ModelToml>): Pick<ModelFile, 'tasks'> {
  const said = Object.entries(file).filter(([key, value]) => Object.hasOwn(TASK_TABLES, key) && value !== undefined)
  return said.length === 0 ? {} : { tasks: Object.fromEntries(said) }
}

function readCode({
  env,
  network,
  own_authority: ownAuthority,
  memory_mb: memoryMb,
  hang_ms: hangMs,
}: Static<typeof Code>): CodeSettings {
  const own = withoutAbsent<CodeSettings>({
    ...{ environment: env, mayUseNetwork: network, ownAuthority, hangMs },
    memoryBytesMax: memoryMb === undefined ? undefined : memoryMb * MIB,
  })
  return { ...CODE_DEFAULTS, ...own }
}

function readLabels(outputs: Static<typeof Outputs> = {}): ModelFile['labels'] {
  const labels = new Map(Object.entries(outputs).map(([output, { labels: names }]) => [output, names]))
  for (const [output, names] of labels)
    if (new Set(names).size !== names.length) throw fault(`outputs.${output}.labels`, 'has a label twice')
  return labels
}

function readServing(serving: Static<typeof Serving> = {}): ModelSettings {
  const { priority_levels: priorityLevels, priority_default: priorityDefault } = serving
  if ((priorityDefault ?? 1) > Math.max(1, priorityLevels ?? 0))
    throw fault('serving.priority_default', 'must be one of the priority_levels')
  const { instances, isolation, threads, arena, optimization } = serving
  return withoutAbsent<ModelSettings>({
    ...{ instances, isolation, threads, arena, optimization, priorityLevels, priorityDefault },
    rowsMax: serving.rows_max,
    queueMax: serving.queue_max,
    timeoutMs: serving.timeout_ms,
    isCached: serving.cache,
    syntheticInputs: serving.synthetic_inputs,
  })
}

function readBatching(batching: Static<typeof Batching> = {}): ModelSettings {
  return withoutAbsent<ModelSettings>({
    batchRowsMax: batching.rows_max,
    batchTokensMax: batching.tokens_max,
    batchPaddingMax: batching.padding_max,
    batchDelayMs: batching.delay_ms,
    allowDependentRows: batching.allow_dependent_rows,
  })
}

function readVersions({ latest, only, all }: Static<typeof Versions>): VersionPolicy {
  if ([latest, only, all].filter((value) => value !== undefined).length !== 1 || all === false)
    throw fault('versions.latest', '(or "only", or "all = true") must be there, one of them')
  if (latest !== undefined) return { kind: 'latest', count: latest }
  return only === undefined ? { kind: 'all' } : { kind: 'specific', versions: only.map(String) }
}
