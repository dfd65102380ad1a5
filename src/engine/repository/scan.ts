import { type Dirent, existsSync, readdirSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { type ModelDefinition, readDefinition } from './definition.ts'
import { LEFT_OUT } from './describe.ts'
import { fingerprintOf } from './fingerprint.ts'
import { EMPTY_MODEL_FILE } from './model-file.ts'
import { chosenVersions, describePolicy } from './version-policy.ts'

/** Models in one server; what is over it is left out with a warning. */
export const MODELS_MAX = 256
/** Names that stand in paths and permissions: letters, digits, `.`, `_`, `-`; they begin with a letter or a digit. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/
const VERSION = /^[1-9]\d{0,8}$/

/** A version's file, or why there is none. */
export interface FoundVersion {
  readonly version: string
  readonly path: string
  /** Why it cannot be loaded. */
  readonly reason?: string
  /** Why it is loaded only when it is asked for by its number. */
  readonly leftOut?: string
}

export interface FoundModel extends ModelDefinition {
  readonly name: string
  /** Where its files are; absent for a single file. */
  readonly folder?: string
  /** Newest first. */
  readonly versions: readonly FoundVersion[]
}

export interface RepositoryOptions {
  /** Holds `<name>/<version>/model.onnx` and `<name>/model.toml`. */
  readonly modelsDirectory?: string
  /** Single files by model name; each is version 1, and stands in for a folder of that name. */
  readonly files?: ReadonlyMap<string, string>
  /** Hears of what was left out. */
  readonly warn: (message: string) => void
}

/**
 * Finds the models of a directory and of single files, by name. What is broken is in the list with its reason.
 * @throws Error when a single file's name cannot be a model's
 */
export function findModels({ modelsDirectory, files = new Map(), warn }: RepositoryOptions): readonly FoundModel[] {
  const found = new Map<string, FoundModel>()
  if (modelsDirectory !== undefined) {
    for (const model of modelsIn(modelsDirectory, warn)) found.set(model.name, model)
  }
  for (const [name, path] of files) {
    if (!NAME.test(name))
      throw new Error(`"${name}" cannot be the name of a model: letters, digits, ".", "_" and "-", at most 100`)
    if (found.has(name)) warn(`the model ${name} is the single file that was named, not the folder of that name`)
    found.set(name, singleFile(name, path))
  }
  const models = [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
  if (models.length > MODELS_MAX) warn(`there are ${models.length} models; the first ${MODELS_MAX} by name are served`)
  return models.slice(0, MODELS_MAX)
}

/** True for a text that can be the name of a model. */
export function isModelName(name: string): boolean {
  return NAME.test(name)
}

/**
 * The model of that name as its folder, or its single file, is now; undefined where there is none. A JSON configuration stands in
 * for its config.pbtxt.
 */
export function findModel(
  name: string,
  { modelsDirectory, files = new Map() }: RepositoryOptions,
  configJson?: string,
): FoundModel | undefined {
  if (!isModelName(name)) return undefined
  const path = files.get(name)
  if (path !== undefined) return singleFile(name, path)
  if (modelsDirectory === undefined) return undefined
  const folder = join(modelsDirectory, name)
  return statSync(folder, { throwIfNoEntry: false })?.isDirectory() === true ? modelIn(folder, name, configJson) : undefined
}

function singleFile(name: string, path: string): FoundModel {
  return { name, file: EMPTY_MODEL_FILE, versions: [withFile('1', path)] }
}

function modelsIn(directory: string, warn: (message: string) => void): readonly FoundModel[] {
  if (!existsSync(directory)) {
    warn(`there is no models directory "${directory}": no model is served from it`)
    return []
  }
  const folders = entriesOf(directory).filter((entry) => isFolder(directory, entry))
  return folders.flatMap(({ name }) => {
    if (NAME.test(name)) return [modelIn(join(directory, name), name)]
    if (!name.startsWith('.') && !name.startsWith('_')) warn(`the folder "${name}" is left out: it cannot be the name of a model`)
    return []
  })
}

/** The model whose versions stand in that folder. */
export function modelIn(folder: string, name: string, configJson?: string): FoundModel {
  const numbers = entriesOf(folder)
    .filter((entry) => VERSION.test(entry.name) && isFolder(folder, entry))
    .map((entry) => entry.name)
    .sort((a, b) => Number(b) - Number(a))
  const definition = readDefinition(folder, name, configJson)
  const { file, config, pipeline } = definition
  // A pipeline has no file of its own, and one version.
  if (pipeline !== undefined) return { name, folder, ...definition, versions: [{ version: numbers[0] ?? '1', path: folder }] }
  const policy = file.versions ?? { kind: 'all' }
  const chosen = chosenVersions(policy, numbers)
  const versions = numbers.map((version): FoundVersion => {
    const found = withFile(version, join(folder, version, config?.fileName ?? 'model.onnx'))
    return chosen.has(version) ? found : { ...found, leftOut: `${LEFT_OUT}: ${describePolicy(policy)}` }
  })
  const reason =
    definition.reason ?? (versions.length === 0 ? 'it has no version: a folder named by a number, with model.onnx' : undefined)
  return { name, folder, ...definition, versions, ...(reason !== undefined && { reason }) }
}

function withFile(version: string, path: string): FoundVersion {
  const stat = statSync(path, { throwIfNoEntry: false })
  const file = `its ${basename(path)}`
  if (stat === undefined) return { version, path, reason: `${file} is missing` }
  if (!stat.isFile()) return { version, path, reason: `${file} is not a file` }
  return stat.size === 0 ? { version, path, reason: `${file} is empty` } : { version, path }
}

function entriesOf(directory: string): readonly Dirent[] {
  return readdirSync(directory, { withFileTypes: true })
}

/** A link to a folder counts as one. */
function isFolder(parent: string, entry: Dirent): boolean {
  return (
    entry.isDirectory() ||
    (entry.isSymbolicLink() && statSync(join(parent, entry.name), { throwIfNoEntry: false })?.isDirectory() === true)
  )
}

/** What the files of each model of the folder look like; see `fingerprintOf`. */
export function fingerprints({
  modelsDirectory,
}: Pick<RepositoryOptions, 'modelsDirectory'>): ReadonlyMap<string, string | undefined> {
  if (modelsDirectory === undefined || !existsSync(modelsDirectory)) return new Map()
  const folders = entriesOf(modelsDirectory).filter((entry) => NAME.test(entry.name) && isFolder(modelsDirectory, entry))
  return new Map(folders.slice(0, MODELS_MAX).map(({ name }) => [name, fingerprintOf(join(modelsDirectory, name))]))
}
