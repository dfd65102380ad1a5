import { type Datatype, isDatatype } from '../../../tensor/datatypes.ts'
import { MODEL_SETTING_BOUNDS, type ModelSettings } from '../../model-settings.ts'
import type { PipelineDefinition } from '../../pipelines/definition.ts'
import { ensembleOf } from '../../pipelines/ensemble.ts'
import { isInnerPath } from '../inner-path.ts'
import { POLICY_VERSIONS_MAX, type VersionPolicy } from '../version-policy.ts'
import type { WarmupTensors } from '../warmup-table.ts'
import { settingsOf } from './settings.ts'
import { type ConfigTable, type ConfigValue, isTable, type TypedConfig, tablesOf } from './typed-config.ts'
import { warmupsOf } from './warmups.ts'

/** An input or output as a configuration declares it; the batch dimension is not among its own where the model is in batches. */
export interface DeclaredTensor {
  readonly name: string
  readonly datatype?: Datatype
  readonly dims?: readonly number[]
  /** The dims that the model itself has, where they are others. */
  readonly reshape?: readonly number[]
  readonly isOptional: boolean
  /** File with the names of its classes, inside the model's folder. */
  readonly labelFile?: string
}

/** A configuration as far as it counts here. */
export interface ModelConfig {
  /** Rows of one request; 0 where the shapes are whole; absent where it does not say. */
  readonly batchSizeMax?: number
  readonly inputs: readonly DeclaredTensor[]
  readonly outputs: readonly DeclaredTensor[]
  readonly settings: ModelSettings
  readonly versions: VersionPolicy
  readonly warmups: readonly WarmupTensors[]
  /** The models that it chains, where it is an ensemble. */
  readonly pipeline?: PipelineDefinition
  /** Name of the model's file in the version's folder. */
  readonly fileName?: string
  /** All of it, as clients read it. */
  readonly table: ConfigTable
  /** What was read and has no effect. */
  readonly warnings: readonly string[]
}

/**
 * Takes from a configuration what counts here.
 * @throws Error naming the line, the field and the rule
 */
export function interpretConfig(config: TypedConfig, modelName: string): ModelConfig {
  const { table, fault } = config
  rejectOthers(config, modelName)
  const batchSizeMax = batchSizeOf(config)
  const fileName = table.default_model_filename
  if (fileName !== undefined && (!isInnerPath(String(fileName)) || String(fileName).includes('/'))) {
    throw fault('default_model_filename', 'must be the name of a file in the folder of the version')
  }
  const warnings = [...config.warnings]
  const pipeline = ensembleOf(config)
  const settings = settingsOf(config, batchSizeMax, warnings)
  return {
    ...(batchSizeMax !== undefined && { batchSizeMax }),
    inputs: tensorsOf(config, 'input'),
    outputs: tensorsOf(config, 'output'),
    settings,
    versions: policyOf(config),
    warmups: warmupsOf(config),
    ...(pipeline !== undefined && { pipeline }),
    ...(fileName !== undefined && { fileName: String(fileName) }),
    table,
    warnings,
  }
}

function batchSizeOf({ table, fault }: TypedConfig): number | undefined {
  const [, max] = MODEL_SETTING_BOUNDS.batchRowsMax
  const size = table.max_batch_size
  if (size === undefined || (typeof size === 'number' && size >= 0 && size <= max)) return size
  throw fault('max_batch_size', `must be from 0 to ${max}`)
}

/** What would make answers wrong if it were passed over. */
function rejectOthers({ table, fault }: TypedConfig, modelName: string): void {
  const { name, platform, backend, sequence_batching: sequences, model_transaction_policy: transactions } = table
  if (name !== undefined && name !== '' && name !== modelName) throw fault('name', `must be the name of the folder, ${modelName}`)
  if (platform !== undefined && !['', 'onnxruntime_onnx', 'ensemble'].includes(String(platform))) {
    throw fault('platform', 'must be onnxruntime_onnx or ensemble')
  }
  if (backend !== undefined && !['', 'onnxruntime'].includes(String(backend))) throw fault('backend', 'must be onnxruntime')
  if (sequences !== undefined) throw fault('sequence_batching', 'models with a state between requests are not supported')
  if (isTable(transactions) && transactions.decoupled === true) {
    throw fault('model_transaction_policy.decoupled', 'an ONNX model gives one answer for each request')
  }
}

function tensorsOf({ table, fault }: TypedConfig, kind: 'input' | 'output'): readonly DeclaredTensor[] {
  const names = new Set<string>()
  return tablesOf(table[kind]).map((tensor, index) => {
    const path = `${kind}[${index}]`
    const { name, data_type: type, dims, reshape, label_filename: labelFile, allow_ragged_batch: ragged } = tensor
    if (typeof name !== 'string' || name === '') throw fault(path, 'must have a name')
    if (names.has(name)) throw fault(`${path}.name`, 'is there twice')
    names.add(name)
    if (ragged === true) throw fault(`${path}.allow_ragged_batch`, 'requests of different shapes are not joined')
    if (labelFile !== undefined && !isInnerPath(String(labelFile))) {
      throw fault(`${path}.label_filename`, 'must be a path inside the folder of the model')
    }
    return {
      name,
      ...datatypeOf(type, () => fault(`${path}.data_type`, `${String(type)} cannot be served`)),
      ...dimensionsOf(dims, () => fault(`${path}.dims`, 'must be -1 or from 0 up')),
      ...reshapeOf(reshape, dims, (rule) => fault(`${path}.reshape`, rule)),
      isOptional: tensor.optional === true,
      ...(labelFile !== undefined && { labelFile: String(labelFile) }),
    }
  })
}

function datatypeOf(type: ConfigValue | undefined, fault: () => Error): Pick<DeclaredTensor, 'datatype'> {
  if (type === undefined) return {}
  const datatype = type === 'TYPE_STRING' ? 'BYTES' : String(type).slice('TYPE_'.length)
  if (!isDatatype(datatype)) throw fault()
  return { datatype }
}

function dimensionsOf(dims: ConfigValue | undefined, fault: () => Error): Pick<DeclaredTensor, 'dims'> {
  if (!Array.isArray(dims)) return {}
  if (!dims.every((dimension) => typeof dimension === 'number' && dimension >= -1)) throw fault()
  return { dims: dims as readonly number[] }
}

/** Other dims of as many elements: both fixed, or both with one that may be of any size. */
function reshapeOf(
  reshape: ConfigValue | undefined,
  dims: ConfigValue | undefined,
  fault: (rule: string) => Error,
): Pick<DeclaredTensor, 'reshape'> {
  if (!isTable(reshape)) return {}
  const { dims: own = [] } = dimensionsOf(dims, () => fault('needs dims'))
  const { dims: shape = [] } = dimensionsOf(reshape.shape, () => fault('must have sizes of -1 or from 0 up'))
  const open = (sizes: readonly number[]) => sizes.filter((size) => size === -1).length
  const product = (sizes: readonly number[]) => sizes.reduce((count, size) => count * size, 1)
  if (open(own) > 1 || open(shape) !== open(own)) throw fault('must have as many sizes of -1 as dims, at most one')
  if (open(own) === 0 && product(own) !== product(shape)) throw fault('must have as many elements as dims')
  return { reshape: shape }
}

function policyOf({ table, fault }: TypedConfig): VersionPolicy {
  const policy = table.version_policy
  if (!isTable(policy)) return { kind: 'latest', count: 1 }
  if (Object.keys(policy).length > 1) throw fault('version_policy', 'must have one of latest, all and specific')
  if (isTable(policy.specific)) {
    const { versions } = policy.specific
    const isList = Array.isArray(versions) && versions.length > 0 && versions.length <= POLICY_VERSIONS_MAX
    if (!isList || versions.some((version) => Number(version) < 1)) {
      throw fault('version_policy.specific', `must have 1 to ${POLICY_VERSIONS_MAX} versions from 1 up`)
    }
    return { kind: 'specific', versions: versions.map(String) }
  }
  if (policy.all !== undefined) return { kind: 'all' }
  const count = isTable(policy.latest) ? (policy.latest.num_versions ?? 1) : 1
  if (Number(count) < 1 || Number(count) > POLICY_VERSIONS_MAX) {
    throw fault('version_policy.latest.num_versions', `must be from 1 to ${POLICY_VERSIONS_MAX}`)
  }
  return { kind: 'latest', count: Number(count) }
}
