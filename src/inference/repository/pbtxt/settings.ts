import { ISOLATIONS, type Isolation, MODEL_SETTING_BOUNDS, type ModelSettings } from '../../model-settings.ts'
import { type ConfigTable, type ConfigValue, isTable, type TypedConfig, tablesOf } from './typed-config.ts'

/**
 * How a model is computed, as its configuration has it; what has no effect is added to the warnings.
 * @throws Error naming the line, the field and the rule
 */
export function settingsOf(config: TypedConfig, batchSizeMax: number | undefined, warnings: string[]): ModelSettings {
  const cache = config.table.response_cache
  return {
    ...instancesOf(config, warnings),
    ...batchingOf(config, batchSizeMax, warnings),
    ...parametersOf(config, warnings),
    ...optimizationOf(config),
    ...(isTable(cache) && { isCached: cache.enable === true }),
  }
}

function instancesOf({ table, fault }: TypedConfig, warnings: string[]): ModelSettings {
  const groups = tablesOf(table.instance_group)
  if (groups.length === 0) return {}
  let instances = 0
  for (const [index, { kind, count = 1 }] of groups.entries()) {
    if (Number(count) < 1) throw fault(`instance_group[${index}].count`, 'must be from 1 up')
    instances += Number(count)
    const path = `instance_group[${index}].kind`
    if (kind === 'KIND_GPU') warnings.push(fault(path, 'has no effect: models are computed on the CPU').message)
  }
  const [, max] = MODEL_SETTING_BOUNDS.instances
  if (instances > max) throw fault('instance_group', `must have at most ${max} instances in all`)
  return { instances }
}

function batchingOf(config: TypedConfig, batchSizeMax: number | undefined, warnings: string[]): ModelSettings {
  const { table, fault } = config
  const batching = table.dynamic_batching
  const rows = batchSizeMax === undefined || batchSizeMax === 0 ? {} : { rowsMax: batchSizeMax }
  if (!isTable(batching)) return batchSizeMax === undefined ? {} : { ...rows, batchRowsMax: 1 }
  if (batchSizeMax === undefined || batchSizeMax === 0) {
    throw fault('dynamic_batching', 'needs a max_batch_size of 1 or more')
  }
  const delayUs = bounded(config, batching, 'dynamic_batching.max_queue_delay_microseconds', [
    0,
    MODEL_SETTING_BOUNDS.batchDelayMs[1] * 1000,
  ])
  const priorityLevels = bounded(config, batching, 'dynamic_batching.priority_levels', MODEL_SETTING_BOUNDS.priorityLevels)
  const priorityDefault = bounded(config, batching, 'dynamic_batching.default_priority_level', [0, 1024])
  if ((priorityLevels ?? 0) > 0 && ((priorityDefault ?? 0) < 1 || (priorityDefault ?? 0) > (priorityLevels ?? 0))) {
    throw fault('dynamic_batching.default_priority_level', `must be from 1 to ${priorityLevels}, the priority_levels`)
  }
  return {
    ...rows,
    batchRowsMax: batchSizeMax,
    ...(delayUs !== undefined && { batchDelayMs: delayUs / 1000 }),
    ...(priorityLevels !== undefined && { priorityLevels }),
    ...(priorityDefault !== undefined && priorityDefault > 0 && { priorityDefault }),
    ...queueOf(config, batching.default_queue_policy, warnings),
  }
}

function queueOf(config: TypedConfig, policy: ConfigValue | undefined, warnings: string[]): ModelSettings {
  if (!isTable(policy)) return {}
  const path = 'dynamic_batching.default_queue_policy'
  if (policy.timeout_action === 'DELAY') {
    throw config.fault(`${path}.timeout_action`, 'DELAY is not supported: a request past its timeout is rejected')
  }
  if (policy.allow_timeout_override === false) {
    warnings.push(config.fault(`${path}.allow_timeout_override`, 'has no effect: a request may name a shorter time').message)
  }
  const timeoutUs = bounded(config, policy, `${path}.default_timeout_microseconds`, [0, MODEL_SETTING_BOUNDS.timeoutMs[1] * 1000])
  const queueMax = bounded(config, policy, `${path}.max_queue_size`, [0, MODEL_SETTING_BOUNDS.queueMax[1]])
  return {
    // 0 is no limit there; here the server's own stands.
    ...(timeoutUs !== undefined && timeoutUs > 0 && { timeoutMs: Math.max(1, Math.ceil(timeoutUs / 1000)) }),
    ...(queueMax !== undefined && queueMax > 0 && { queueMax }),
  }
}

/** The parameters that Triton's backend for ONNX Runtime reads, and `isolation`, which is ours. */
function parametersOf({ table, fault }: TypedConfig, warnings: string[]): ModelSettings {
  const settings: { threads?: number; arena?: boolean; isolation?: Isolation } = {}
  for (const [name, entry] of Object.entries(isTable(table.parameters) ? table.parameters : {})) {
    const path = `parameters[${JSON.stringify(name)}]`
    const value = isTable(entry) ? entry.string_value : undefined
    if (typeof value !== 'string') throw fault(path, 'must have a string_value')
    const number = Number(value)
    if (name === 'intra_op_thread_count') {
      const [min, max] = MODEL_SETTING_BOUNDS.threads
      if (!Number.isInteger(number) || number < 0 || number > max) throw fault(path, `must be from ${min} to ${max}, or 0`)
      if (number > 0) settings.threads = number
    } else if (name === 'enable_mem_arena') settings.arena = value !== '0'
    else if (name === 'isolation') settings.isolation = isolationOf(value, (rule) => fault(path, rule))
    else warnings.push(fault(path, 'has no effect').message)
  }
  return settings
}

function isolationOf(value: string, fault: (rule: string) => Error): Isolation {
  const isolation = ISOLATIONS.find((each) => each === value)
  if (isolation === undefined) throw fault(`must be one of ${ISOLATIONS.join(', ')}`)
  return isolation
}

const GRAPH_LEVELS: Readonly<Record<string, ModelSettings['optimization'] & string>> = {
  '-1': 'basic',
  '0': 'all',
  '1': 'extended',
  '2': 'disabled',
}

function optimizationOf({ table, fault }: TypedConfig): ModelSettings {
  const graph = isTable(table.optimization) ? table.optimization.graph : undefined
  if (!isTable(graph)) return {}
  const optimization = GRAPH_LEVELS[String(graph.level ?? 0)]
  if (optimization === undefined) throw fault('optimization.graph.level', 'must be -1, 0, 1 or 2')
  return { optimization }
}

function bounded(
  { fault }: TypedConfig,
  table: ConfigTable,
  path: string,
  [min, max]: readonly [number, number],
): number | undefined {
  const value = table[path.split('.').at(-1) ?? path]
  if (value === undefined) return undefined
  if (typeof value === 'number' && value >= min && value <= max) return value
  throw fault(path, `must be from ${min} to ${max}`)
}
