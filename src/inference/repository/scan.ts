import { type Dirent, readdirSync, statSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { VestalError } from '../../core/errors.ts'
import { chooseFile, usualFile } from './choose-file.ts'
import { CODE_FILE, codeIn } from './code-model.ts'
import { type ModelDefinition, readDefinition, readFolderPermissions } from './definition.ts'
import { fingerprintOf } from './fingerprint.ts'
import { inPlaceOf, notVersions, strays, withoutModel } from './layout.ts'
import { EMPTY_MODEL_FILE } from './model-file.ts'
import { defaultPermissions, type ModelPermissions } from './permissions.ts'
import { errorCode, listing, standingAt, standingOf } from './source.ts'
import { chosenVersions, describePolicy } from './version-policy.ts'

/** Models in one server; more are skipped with a warning. */
export const MODELS_MAX = 256
/** Names that are used in paths and permissions: letters, digits, `.`, `_`, `-`; they begin with a letter or a digit. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/
const VERSION = /^[1-9]\d{0,8}$/

/** A version's file, or why there is none. */
export interface FoundVersion {
  readonly version: string
  readonly path: string
  /** The folder of its files: its own, or the model's; absent for a single file. */
  readonly folder?: string
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
  /** Permissions to predict that a request had which brought the pipeline: its steps may ask for no others. */
  readonly granted?: ReadonlySet<string>
  /** What in its folder has no effect, and what to do. */
  readonly warnings?: readonly string[]
  /** A request brought its configuration, and perhaps its files. */
  readonly isBrought?: true
  /** Sizes of dimensions beside the rows to try it with, by input, where nothing is recorded. */
  readonly shapes?: ReadonlyMap<string, readonly number[]> | undefined
}

export interface RepositoryOptions {
  /** Holds `<name>/<version>/model.onnx` or `<name>/model.onnx`, and `<name>/model.toml`. */
  readonly modelsDirectory?: string
  /** Single files by model name; each is version 1, and counts as a folder of that name. */
  readonly files?: ReadonlyMap<string, string>
  /** What is known of each of those files, as a folder's description would say it; nothing when absent. */
  readonly beside?: Pick<FoundModel, 'folder' | 'file' | 'config' | 'shapes'> & {
    /** The folder that a version with such a file would have. */
    readonly versionFolder?: string
  }
  /** Called with each folder or file that was skipped, and why. */
  readonly warn: (message: string) => void
}

/**
 * Finds the models of a directory and of single files, by name. What is broken is in the list with its reason.
 * @throws Error when a single file's name cannot be a model's
 */
export function findModels({ modelsDirectory, files = new Map(), beside, warn }: RepositoryOptions): readonly FoundModel[] {
  const found = new Map<string, FoundModel>()
  if (modelsDirectory !== undefined) {
    for (const model of modelsIn(modelsDirectory, files, warn)) found.set(model.name, model)
  }
  for (const [name, path] of files) {
    if (!NAME.test(name))
      throw new Error(`"${name}" cannot be the name of a model: letters, digits, ".", "_" and "-", at most 100`)
    if (found.has(name)) warn(`the model ${name} is the single file that was named, not the folder of that name`)
    found.set(name, singleFile(name, path, { modelsDirectory, beside }))
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
 * The permissions that the folder of a model names now: those of the default where it names none. `absent` where there is no such
 * folder, `away` where the folder of all models is not there, `unreadable` where it may be there and gives no answer.
 */
export function permissionsInFolder(
  name: string,
  { modelsDirectory }: Pick<RepositoryOptions, 'modelsDirectory'>,
): ModelPermissions | 'absent' | 'away' | 'unreadable' {
  if (modelsDirectory === undefined || !isModelName(name)) return 'absent'
  const models = listing(modelsDirectory)
  if ('fault' in models) return models.fault === 'ENOENT' ? 'away' : 'unreadable'
  const entry = models.entries.find((each) => each.name === name)
  const standing = entry === undefined ? 'nothing' : standingOf(modelsDirectory, entry)
  if (standing !== 'folder') return standing === 'unreadable' ? 'unreadable' : 'absent'
  try {
    return readFolderPermissions(join(modelsDirectory, name), name)
  } catch {
    // Loading it says why.
    return 'unreadable'
  }
}

/**
 * The model of that name as its folder, or its single file, is now; undefined where there is none. A JSON configuration stands in
 * for its config.pbtxt.
 * @throws VestalError MODEL_LOAD_FAILED where the folder of all models cannot be read
 */
export function findModel(
  name: string,
  { modelsDirectory, files = new Map(), beside }: RepositoryOptions,
  configJson?: string,
): FoundModel | undefined {
  if (!isModelName(name)) return undefined
  const path = files.get(name)
  if (path !== undefined) return singleFile(name, path, { modelsDirectory, beside })
  if (modelsDirectory === undefined) return undefined
  const models = listing(modelsDirectory)
  if ('fault' in models) {
    if (models.fault === 'ENOENT') return undefined
    throw new VestalError('MODEL_LOAD_FAILED', {
      detail: `failed to load '${name}', the models folder cannot be read (${models.fault})`,
    })
  }
  // The name as the folder has it: where letters of either case are one to the file system, permissions are of one of them.
  const entry = models.entries.find((each) => each.name === name)
  return entry !== undefined && isFolder(modelsDirectory, entry)
    ? modelIn(join(modelsDirectory, name), name, configJson)
    : undefined
}

/** Where a model of that name is a file beside the folders of models, what to do. */
export function fileNamed(name: string, { modelsDirectory }: Pick<RepositoryOptions, 'modelsDirectory'>): string | undefined {
  const models = modelsDirectory === undefined ? { entries: [] } : listing(modelsDirectory)
  const isThere = 'entries' in models && models.entries.some((entry) => entry.name === `${name}.onnx` && !entry.isDirectory())
  return isThere ? `${name}.onnx is a file beside the models' folders, move it to ${name}/model.onnx` : undefined
}

/** A folder of that name is not served, and says who may ask for the name. */
function singleFile(
  name: string,
  path: string,
  {
    modelsDirectory,
    beside: { versionFolder, ...beside } = { file: EMPTY_MODEL_FILE },
  }: { readonly [K in 'modelsDirectory' | 'beside']: RepositoryOptions[K] | undefined },
): FoundModel {
  const own = permissionsInFolder(name, { ...(modelsDirectory !== undefined && { modelsDirectory }) })
  const permissions = own === 'absent' || own === 'away' ? defaultPermissions(name) : own
  return {
    name,
    ...beside,
    versions: [{ ...withFile('1', path), ...(versionFolder !== undefined && { folder: versionFolder }) }],
    ...(permissions !== 'unreadable' && { permissions }),
  }
}

function modelsIn(directory: string, files: ReadonlyMap<string, string>, warn: (message: string) => void): readonly FoundModel[] {
  const models = listing(directory)
  if ('fault' in models) {
    if (models.fault === 'ENOENT') warn(`there is no models directory "${directory}": no model is served from it`)
    else warn(`the models directory "${directory}" cannot be read (${models.fault}): no model is served from it`)
    return []
  }
  for (const stray of straysAmong(models.entries, directory, files)) warn(stray)
  const folders = models.entries.filter((entry) => isFolder(directory, entry))
  return folders.flatMap(({ name }) => {
    if (NAME.test(name)) return [modelIn(join(directory, name), name)]
    if (!name.startsWith('.') && !name.startsWith('_')) warn(`the folder "${name}" is left out: it cannot be the name of a model`)
    return []
  })
}

/** What stands beside the folders of models and is to be one, but for single files that are named. */
function straysAmong(
  entries: readonly Dirent[],
  directory: string,
  files: ReadonlyMap<string, string> = new Map(),
): readonly string[] {
  const named = new Set([...files.values()].map((path) => resolve(path)))
  return strays(
    directory,
    entries.filter(({ name }) => !named.has(resolve(directory, name))),
  )
}

/** The model whose versions are in that folder. */
export function modelIn(folder: string, name: string, configJson?: string): FoundModel {
  const files = listing(folder)
  if ('fault' in files)
    return { name, folder, file: EMPTY_MODEL_FILE, versions: [], reason: `its folder cannot be read (${files.fault})` }
  const numbers = files.entries
    .filter((entry) => VERSION.test(entry.name) && isFolder(folder, entry))
    .map((entry) => entry.name)
    .sort((a, b) => Number(b) - Number(a))
  const definition = readDefinition(folder, name, configJson)
  if (files.entries.some((entry) => entry.name === CODE_FILE))
    return { name, folder, ...codeIn({ folder, definition, numbers, isConfigured: configJson !== undefined }) }
  const { file, pipeline } = definition
  const fileName = definition.config?.fileName ?? file.tasks?.huggingface?.file
  // A pipeline has no files of its own: each of its versions is the same chain, and one without folders has one version.
  // A folder named by a number is rather a version of a model whose folder was taken for that of all models.
  const own = pipeline === undefined && !VERSION.test(name) ? ownVersion(folder, { fileName, numbers }) : undefined
  const named = pipeline !== undefined && numbers.length === 0 ? ['1'] : [...numbers, ...(own === undefined ? [] : ['1'])]
  const policy = file.versions ?? { kind: 'all' }
  const chosen = chosenVersions(policy, named)
  const versions = named.map((version): FoundVersion => {
    const inFolder = () => (version === '1' && own !== undefined ? own : versionIn(join(folder, version), version, fileName))
    const found = pipeline === undefined ? inFolder() : { version, path: folder }
    return chosen.has(version) ? found : { ...found, leftOut: `left out by the version policy: ${describePolicy(policy)}` }
  })
  const reason = definition.reason ?? (versions.length === 0 ? withoutModel(folder, name, files.entries) : undefined)
  const beside = pipeline === undefined && numbers.includes('1') ? usualFile(folder) : undefined
  const warnings = [
    ...(versions.length === 0 ? [] : notVersions(files.entries, folder)),
    ...(beside === undefined ? [] : [`${beside} beside its versions is not served: the folder 1 is version 1`]),
  ]
  return {
    name,
    folder,
    ...definition,
    versions,
    ...(warnings.length > 0 && { warnings }),
    ...(reason !== undefined && { reason }),
  }
}

/**
 * The model's folder as version 1: where it holds a model itself. Beside the folders of other versions only a file of the usual name
 * is one, since others may lie there for any reason.
 */
function ownVersion(
  folder: string,
  { fileName, numbers }: { readonly fileName: string | undefined; readonly numbers: readonly string[] },
): FoundVersion | undefined {
  if (numbers.includes('1')) return undefined
  const isAlone = numbers.length === 0
  if (fileName !== undefined) {
    const isThere = standingAt(join(folder, fileName)) !== 'nothing' || (isAlone && chooseFile(folder).kind !== 'nothing')
    return isThere ? versionIn(folder, '1', fileName) : undefined
  }
  if (!isAlone) {
    const usual = usualFile(folder)
    return usual === undefined ? undefined : versionIn(folder, '1', usual)
  }
  return chooseFile(folder).kind === 'nothing' ? undefined : versionIn(folder, '1', undefined)
}

/** A version in a folder: where its file is not there, what is says what to do. */
function versionIn(folder: string, version: string, fileName: string | undefined): FoundVersion {
  const chosen = fileName === undefined ? chooseFile(folder) : ({ kind: 'file', file: fileName } as const)
  const file = chosen.kind === 'file' ? chosen.file : 'model.onnx'
  const path = join(folder, file)
  if (chosen.kind === 'fault') return { version, path, folder, reason: chosen.reason }
  const found = { ...withFile(version, path, file), folder }
  if (found.reason === undefined || standingAt(path) === 'other') return found
  return { ...found, reason: `${found.reason}${inPlaceOf(file, folder)}` }
}

function withFile(version: string, path: string, name = basename(path)): FoundVersion {
  const file = `its ${name}`
  try {
    const stat = statSync(path, { throwIfNoEntry: false })
    if (stat === undefined) return { version, path, reason: `${file} is missing` }
    if (!stat.isFile()) return { version, path, reason: `${file} is not a file` }
    return stat.size === 0 ? { version, path, reason: `${file} is empty; copy it again` } : { version, path }
  } catch (error) {
    return { version, path, reason: `${file} cannot be read (${errorCode(error)})` }
  }
}

/** A link to a folder counts as one, and so does one that gives no answer: what is there and cannot be read is not gone. */
function isFolder(parent: string, entry: Dirent): boolean {
  const standing = standingOf(parent, entry)
  return standing === 'folder' || standing === 'unreadable'
}

/** What the models' folder looks like: each model's files (see `fingerprintOf`), or why it cannot be read. */
export type Look =
  | { readonly kind: 'away'; readonly reason: string }
  | {
      readonly kind: 'there'
      /** Which folder it is: another that takes its place has another. */
      readonly folder: string
      readonly models: ReadonlyMap<string, string | undefined>
      /** What stands beside the models' folders and is to be one, with what to do. */
      readonly strays: readonly string[]
    }

/** Looks at the files of all models. */
export function lookAt({ modelsDirectory, files }: Pick<RepositoryOptions, 'modelsDirectory' | 'files'>): Look {
  if (modelsDirectory === undefined) return { kind: 'there', folder: '', models: new Map(), strays: [] }
  try {
    const { dev, ino } = statSync(modelsDirectory)
    const entries = readdirSync(modelsDirectory, { withFileTypes: true })
    const folders = entries.filter((entry) => NAME.test(entry.name) && isFolder(modelsDirectory, entry)).slice(0, MODELS_MAX)
    const models = new Map(folders.map(({ name }) => [name, fingerprintOf(join(modelsDirectory, name))]))
    return { kind: 'there', folder: `${dev}:${ino}`, models, strays: straysAmong(entries, modelsDirectory, files) }
  } catch (error) {
    return { kind: 'away', reason: errorCode(error) }
  }
}
