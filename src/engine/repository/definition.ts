import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type PipelineDefinition, readPipelineFile } from '../pipelines/definition.ts'
import { EMPTY_MODEL_FILE, type ModelFile, readModelFile } from './model-file.ts'
import { interpretConfig, type ModelConfig } from './pbtxt/interpret.ts'
import { readConfigJson, readConfigText } from './pbtxt/typed-config.ts'

/** What the files beside a model's versions say of it. */
export interface ModelDefinition {
  /** Of `model.toml`; the settings and labels that it does not name are those of the configuration. */
  readonly file: ModelFile
  /** Of `config.pbtxt`, or of the request that loaded the model. */
  readonly config?: ModelConfig
  /** The models that it chains, where it is a pipeline. */
  readonly pipeline?: PipelineDefinition
  /** Why none of its versions can serve. */
  readonly reason?: string
}

/** Largest file that describes a model. */
export const DEFINITION_BYTES_MAX = 1024 * 1024

/** Reads `model.toml`, `pipeline.toml` and `config.pbtxt` of a folder; a JSON configuration stands in for the second. */
export function readDefinition(folder: string, name: string, configJson?: string): ModelDefinition {
  try {
    const toml = readSmall(folder, 'model.toml')
    const file = toml === undefined ? EMPTY_MODEL_FILE : readModelFile(toml)
    const pbtxt = configJson === undefined ? readSmall(folder, 'config.pbtxt') : undefined
    const chain = readSmall(folder, 'pipeline.toml')
    const own = chain === undefined ? undefined : readPipelineFile(chain)
    if (configJson === undefined && pbtxt === undefined) return { file, ...(own !== undefined && { pipeline: own }) }
    const config = interpretConfig(
      configJson === undefined ? readConfigText(pbtxt ?? '') : readConfigJson(parseJson(configJson)),
      name,
    )
    const pipeline = own ?? config.pipeline
    return { file: merge(file, config, folder), config, ...(pipeline !== undefined && { pipeline }) }
  } catch (error) {
    return { file: EMPTY_MODEL_FILE, reason: error instanceof Error ? error.message : String(error) }
  }
}

function readSmall(folder: string, name: string): string | undefined {
  const path = join(folder, name)
  if (!existsSync(path)) return undefined
  try {
    if (statSync(path).size <= DEFINITION_BYTES_MAX) return readFileSync(path, 'utf8')
  } catch {
    throw new Error(`${name} cannot be read`)
  }
  throw new Error(`${name} is larger than ${DEFINITION_BYTES_MAX} bytes`)
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
