/** Says what is in the models' folder or in a model's that is not laid out as it should be, and how to lay it out. */
import type { Dirent } from 'node:fs'
import { extname, join } from 'node:path'
import { readMlflow } from './choose-file.ts'
import { listing, standingOf } from './source.ts'

/** A version's folder. */
const VERSION = /^[1-9]\d{0,8}$/
/** Names of folders that look like versions, with their number where they have one. */
const LIKE_A_VERSION =
  /^(?:(?:v|ver|version)[-_. ]?0*(\d{1,9})(?:\.\d+)*|0+(\d{0,9})|(\d{1,9})(?:\.\d+)+|latest|current|production)$/i
/** Entries of a folder that are looked at, and files that are listed in a message. */
const [ENTRIES_MAX, LISTED_MAX] = [1000, 3]

/** Model files of others, by their endings: what they are, and what makes ONNX of them. */
const OTHERS: Readonly<Record<string, string>> = {
  '.pt': 'PyTorch; torch.onnx.export',
  '.pth': 'PyTorch; torch.onnx.export',
  '.ckpt': 'PyTorch; torch.onnx.export',
  '.bin': 'weights of PyTorch; optimum-cli export onnx',
  '.safetensors': 'weights; optimum-cli export onnx, or torch.onnx.export',
  '.pkl': 'a Python pickle; skl2onnx, or torch.onnx.export',
  '.pickle': 'a Python pickle; skl2onnx, or torch.onnx.export',
  '.joblib': 'scikit-learn; skl2onnx',
  '.h5': 'Keras; tf2onnx',
  '.keras': 'Keras; tf2onnx',
  '.pb': 'TensorFlow; tf2onnx',
  '.tflite': 'TensorFlow Lite; tf2onnx',
  '.gguf': 'llama.cpp',
  '.cbm': 'CatBoost; save_model(…, format="onnx")',
  '.mlmodel': 'Core ML',
  '.xml': 'OpenVINO, perhaps',
}

interface Contents {
  readonly folder: string
  readonly files: readonly string[]
  readonly folders: readonly string[]
}

function contentsOf(folder: string, entries?: readonly Dirent[]): Contents {
  const listed = entries === undefined ? listing(folder) : { entries }
  const own = 'fault' in listed ? [] : listed.entries.slice(0, ENTRIES_MAX)
  const folders = own.filter((entry) => standingOf(folder, entry) === 'folder').map(({ name }) => name)
  const files = own.map(({ name }) => name).filter((name) => !folders.includes(name))
  return { folder, files: files.sort(), folders: folders.sort() }
}

/** Files of ONNX models, that of the usual name first. */
function modelsIn({ files }: Contents): readonly string[] {
  const models = files.filter((name) => ['.onnx', '.ort'].includes(extname(name)))
  return models.includes('model.onnx') ? ['model.onnx', ...models.filter((name) => name !== 'model.onnx')] : models
}

/** How a model's folder without a model is laid out, and what to do; only the rule where nothing in it is known. */
export function withoutModel(folder: string, name: string, entries: readonly Dirent[]): string {
  const rule = 'it holds no model: neither model.onnx nor a version, which is a folder named by a number'
  const hint = hintOf(contentsOf(folder, entries), name)
  return hint === undefined ? rule : `${rule}; ${hint}`
}

function hintOf(contents: Contents, name: string): string | undefined {
  const { folder, files, folders } = contents
  if (files.includes('MLmodel')) return mlflowHint(folder)
  const [own] = modelsIn(contents)
  if (own !== undefined && VERSION.test(name))
    return `it looks like a version itself; name the folder above the model's with --models`
  if (own !== undefined) return naming(own)
  const like = folders.find((each) => LIKE_A_VERSION.test(each))
  if (like !== undefined) return versionHint(like)
  return innerHint(contents) ?? nestedHint(contents) ?? othersHint(files)
}

function naming(file: string): string {
  return `in model.toml, [huggingface] file = ${JSON.stringify(file)} would name its model`
}

/** A model in a folder inside, which no rule finds. */
function innerHint({ folder, folders }: Contents): string | undefined {
  for (const name of folders) {
    const inner = contentsOf(join(folder, name))
    if (inner.files.includes('MLmodel')) return `${name} is the folder of a model as MLflow lays it out: move what is in it up`
    const [model] = modelsIn(inner)
    if (model !== undefined) return naming(`${name}/${model}`)
  }
  return undefined
}

function nestedHint({ folder, folders }: Contents): string | undefined {
  const nested = folders.find((name) => contentsOf(join(folder, name)).folders.some((version) => VERSION.test(version)))
  return nested === undefined
    ? undefined
    : `it holds the folder of a model, ${nested}; move that up, or name this folder with --models`
}

/** A file of weights beside a model goes where it goes. */
function withData(files: readonly string[], model: string, prefix: string): string {
  const data = files.filter((name) => name.startsWith(`${model}.`) || name.startsWith(`${model}_`) || name.endsWith('.onnx.data'))
  return data.length === 0
    ? ''
    : `, with ${data
        .slice(0, LISTED_MAX)
        .map((name) => prefix + name)
        .join(', ')} beside it under the same name`
}

/** Why a folder of MLflow's is no model here. */
function mlflowHint(folder: string): string {
  const { flavors } = readMlflow(folder)
  const of = flavors.length === 0 ? '' : ` of ${flavors.slice(0, LISTED_MAX).join(', ')}`
  return `it is a model${of} as MLflow lays it out, without ONNX; save it with mlflow.onnx.log_model`
}

function versionHint(name: string): string {
  const [, one, two, three] = LIKE_A_VERSION.exec(name) ?? []
  const number = Number(one ?? two ?? three ?? 1)
  return `its folder ${name} is none: rename it to ${Math.max(1, number)}`
}

function othersHint(files: readonly string[]): string | undefined {
  const other = files.find((name) => extname(name).toLowerCase() in OTHERS)
  return other === undefined ? undefined : `it has ${other} (${OTHERS[extname(other).toLowerCase()]}): make an ONNX model of it`
}

/** Folders beside the versions that look like versions. */
export function notVersions(entries: readonly Dirent[], folder: string): readonly string[] {
  return contentsOf(folder, entries)
    .folders.filter((name) => !VERSION.test(name) && LIKE_A_VERSION.test(name))
    .map((name) => `the folder ${name} is left out: a version is a number from 1 up, without more`)
}

/** What is in the folder of a version in place of its model file, and what to do; nothing where none of it is known. */
export function inPlaceOf(file: string, folder: string): string {
  const contents = contentsOf(folder)
  if (contents.folders.includes(file) && modelsIn(contentsOf(join(folder, file))).length > 0)
    return '; it is a folder with a model: move what is in it up'
  const [model] = modelsIn(contents)
  if (model !== undefined) return `; ${naming(model)}`
  const hint = contents.files.includes('MLmodel') ? mlflowHint(folder) : (innerHint(contents) ?? othersHint(contents.files))
  return hint === undefined ? '' : `; ${hint}`
}

/** Files of the models' folder itself that are to be models, and a folder that is one model: each with what to do. */
export function strays(directory: string, entries: readonly Dirent[]): readonly string[] {
  const contents = contentsOf(directory, entries)
  if (contents.files.includes('MLmodel'))
    return ['the models folder is a model itself, laid out as by MLflow: name the folder above it with --models']
  const isExported = contents.folders.includes('onnx') && modelsIn(contentsOf(join(directory, 'onnx'))).length > 0
  if (isExported && contents.files.includes('config.json'))
    return ['the models folder is a model itself, laid out as on Hugging Face: name the folder above it with --models']
  const version = contents.folders.find((name) => VERSION.test(name) && modelsIn(contentsOf(join(directory, name))).length > 0)
  if (version !== undefined)
    return [
      `the models folder is a model itself, with the version ${version}: name the folder above it with --models, or the file with --model NAME=FILE`,
    ]
  return modelsIn(contents).map((file) => {
    const name = file.slice(0, -extname(file).length)
    return `${file} in the models folder is not served: a model is a folder; move it to ${name}/model.onnx${withData(contents.files, file, '')}, or name it with --model ${name}=FILE`
  })
}

/** The model files in a folder and in the folders in it, as paths from there. */
export function modelFilesIn(folder: string): readonly string[] {
  const contents = contentsOf(folder)
  const inner = contents.folders.flatMap((name) => {
    const own = contentsOf(join(folder, name))
    const deeper = own.folders.flatMap((each) =>
      modelsIn(contentsOf(join(folder, name, each))).map((file) => `${name}/${each}/${file}`),
    )
    return [...modelsIn(own).map((file) => `${name}/${file}`), ...deeper]
  })
  return [...modelsIn(contents), ...inner]
}
