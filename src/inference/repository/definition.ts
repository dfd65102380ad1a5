import { join } from 'node:path'
import { elementBytes } from '../../tensor/datatypes.ts'
import { type PipelineDefinition, readPipelineFile } from '../pipelines/definition.ts'
import { EMPTY_MODEL_FILE, type ModelFile, readModelFile } from './model-file.ts'
import { interpretConfig, type ModelConfig } from './pbtxt/interpret.ts'
import { readConfigJson, readConfigText } from './pbtxt/typed-config.ts'
import { defaultPermissions, type ModelPermissions, permissionsIn } from './permissions.ts'
import { errorCode, standingAt, withFile } from './source.ts'
import type { WarmupTensors } from './warmup-table.ts'

/** A `model.ts` in the folder of a model. */
export interface FoundCode {
  readonly entry: string
  /** The ONNX file that counts where its definition names none, as a path inside the folder. */
  readonly file?: string
}

/** What the files beside a model's versions say of it. */
export interface ModelDefinition {
  /** What its `model.toml` says, read before anything else; absent where that file cannot be read at all. */
  readonly permissions?: ModelPermissions
  /** Of `model.toml`; the settings and labels that it does not name are those of the configuration. */
  readonly file: ModelFile
  /** Of `config.pbtxt`, or of the request that loaded the model. */
  readonly config?: ModelConfig
  /** The models that it chains, where it is a pipeline. */
  readonly pipeline?: PipelineDefinition
  /** Its `model.ts`, where it has one. */
  readonly code?: FoundCode
  /** Why none of its versions can serve. */
  readonly reason?: string
}

/** Largest file that describes a model. */
const DEFINITION_BYTES_MAX = 1024 * 1024

/** Processes of a version that a request to load may ask for: each takes memory that no limit of requests counts. */
const BROUGHT_INSTANCES_MAX = 8
/** Bytes of the inputs of a warm-up that a request describes: they are made on the thread that answers HTTP. */
const BROUGHT_WARMUP_BYTES_MAX = 16 * 1024 * 1024

/** Reads `model.toml`, `pipeline.toml` and `config.pbtxt` of a folder; a JSON configuration replaces the second. */
export function readDefinition(folder: string, name: string, configJson?: string): ModelDefinition {
  let permissions: { readonly permissions?: ModelPermissions } = {}
  try {
    const toml = readSmall(folder, 'model.toml')
    permissions = { permissions: toml === undefined ? defaultPermissions(name) : permissionsIn(toml, name) }
    const file = toml === undefined ? EMPTY_MODEL_FILE : readModelFile(toml)
    const pbtxt = configJson === undefined ? readSmall(folder, 'config.pbtxt') : undefined
    const chain = readSmall(folder, 'pipeline.toml')
    const own = chain === undefined ? undefined : readPipelineFile(chain)
    if (configJson === undefined && pbtxt === undefined)
      return { ...permissions, file, ...(own !== undefined && { pipeline: own }) }
    const config =
      configJson === undefined ? interpretConfig(readConfigText(pbtxt ?? ''), name) : readConfiguration(configJson, name)
    const pipeline = own ?? config.pipeline
    return { ...permissions, file: merge(file, config, folder), config, ...(pipeline !== undefined && { pipeline }) }
  } catch (error) {
    return { ...permissions, file: EMPTY_MODEL_FILE, reason: error instanceof Error ? error.message : String(error) }
  }
}

/**
 * The permissions in the `model.toml` of a folder.
 * @throws Error where the file is there and cannot be read
 */
export function readFolderPermissions(folder: string, name: string): ModelPermissions {
  const toml = readSmall(folder, 'model.toml')
  return toml === undefined ? defaultPermissions(name) : permissionsIn(toml, name)
}

/** The text of a file; undefined only where there is none, which a link to nowhere or a folder that gives no answer is not. */
function readSmall(folder: string, name: string): string | undefined {
  const path = join(folder, name)
  try {
    const text = withFile(path, (size, readAt) => (size <= DEFINITION_BYTES_MAX ? readAt(0, size).toString('utf8') : undefined))
    if (text !== undefined) return text
  } catch (error) {
    if (standingAt(path) === 'nothing') return undefined
    throw new Error(`${name} cannot be read (${error instanceof Error && !('code' in error) ? error.message : errorCode(error)})`)
  }
  throw new Error(`${name} is larger than ${DEFINITION_BYTES_MAX} bytes`)
}

/** Reads the configuration of a load request. @throws Error naming the field and the rule */
export function readConfiguration(json: string, name: string): ModelConfig {
  const config = interpretConfig(readConfigJson(parseJson(json)), name)
  const { instances = 1 } = config.settings
  if (instances > BROUGHT_INSTANCES_MAX)
    throw new Error(`the configuration: instance_group: a request must ask for at most ${BROUGHT_INSTANCES_MAX} instances in all`)
  for (const warmup of config.warmups) {
    if (warmupBytes(warmup) <= BROUGHT_WARMUP_BYTES_MAX) continue
    const rule = `the inputs of a warm-up that a request describes must be at most ${BROUGHT_WARMUP_BYTES_MAX} bytes`
    throw new Error(`the configuration: model_warmup "${warmup.name}": ${rule}`)
  }
  return config
}

/** Bytes of the inputs that a warm-up makes; a text counts as the reference to it. */
function warmupBytes({ rows, inputs }: WarmupTensors): number {
  const bytesOf = ({ datatype, dims }: WarmupTensors['inputs'][number]) =>
    dims.reduce((product, size) => product * size, Math.max(1, rows)) * (elementBytes(datatype) ?? 8)
  return inputs.reduce((sum, input) => sum + bytesOf(input), 0)
}

function parseJson(text: string): unknown {
  if (text.length > DEFINITION_BYTES_MAX) throw new Error(`the configuration is larger than ${DEFINITION_BYTES_MAX} characters`)
  try {
    return JSON.parse(text)
  } catch {
    throw new Error('the configuration is not valid JSON')
  }
}

function merge(file: ModelFile, config: ModelConfig, folder: string): ModelFile {
  const labels = new Map<string, readonly string[]>()
  for (const { name, labelFile } of config.outputs) {
    if (labelFile === undefined || file.labels.has(name)) continue
    const text = readSmall(folder, labelFile)
    if (text === undefined) throw new Error(`the label file ${labelFile} of the output '${name}' is missing`)
    labels.set(name, text.replace(/\r?\n$/, '').split(/\r?\n/))
  }
  return {
    ...file,
    labels: new Map([...labels, ...file.labels]),
    settings: { ...config.settings, ...file.settings },
    versions: file.versions ?? config.versions,
    warmups: [...config.warmups, ...file.warmups],
  }
}
