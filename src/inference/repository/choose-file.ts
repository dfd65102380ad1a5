/** Says which ONNX file of a folder is the model. */
import { extname, join } from 'node:path'
import { headOf, listing, standingAt, standingOf } from './source.ts'

/** The file that is served, as a path in the folder; why none is; or nothing, where the folder holds no model. */
export type ChosenFile =
  | { readonly kind: 'file'; readonly file: string }
  | { readonly kind: 'fault'; readonly reason: string }
  | { readonly kind: 'nothing' }

/** Where exporters put the model, the first that is there. */
const USUAL = ['model.onnx', 'onnx/model.onnx'] as const
/** Entries of a folder that are looked at, and files that are named in a message. */
const [ENTRIES_MAX, LISTED_MAX] = [1000, 8]
/** Names of models whose weights were rounded. */
const QUANTIZED = /(?:^|[_.-])(?:quantized|q?u?int8|q?u?int4|q4|q4f16|q8|bnb4)(?=[_.-]|$)/i
const [ENCODER, DECODER] = [/(?:^|\/)encoder_model[^/]*\.onnx$/, /(?:^|\/)decoder(?:_with_past)?_model[^/]*\.onnx$/]
/** What is read of a file of MLflow's. */
const MLFLOW_BYTES_MAX = 64 * 1024

/** The model in a folder that names none: one that was quantised, which answers differently, only where it is asked for. */
export function chooseFile(folder: string): ChosenFile {
  const byMlflow = mlflowFile(folder)
  if (byMlflow !== undefined) return byMlflow
  const usual = usualFile(folder)
  if (usual !== undefined) return { kind: 'file', file: usual }
  const files = [...modelsIn(folder), ...modelsIn(join(folder, 'onnx')).map((file) => `onnx/${file}`)]
  const [only, ...others] = files
  if (only === undefined) return { kind: 'nothing' }
  if (files.some((file) => ENCODER.test(file)) || files.some((file) => DECODER.test(file)))
    return fault(
      `it has ${listed(files)}: a model of an encoder and a decoder, or one that generates, is not computed here (one of its files as a model of tensors: [huggingface] file in model.toml, with task = "tensors")`,
    )
  if (others.length > 0) return fault(`it has ${listed(files)}, and none of them is model.onnx; ${naming(only)}`)
  if (isQuantized(only)) return fault(`its only model, ${only}, is quantised, and answers differently; ${naming(only)}`)
  return { kind: 'file', file: only }
}

/** `model.onnx` or `onnx/model.onnx`; undefined where neither is there. */
export function usualFile(folder: string): string | undefined {
  return USUAL.find((file) => standingAt(join(folder, file)) !== 'nothing')
}

/** The ONNX files of a folder, that of the usual name first. */
function modelsIn(folder: string): readonly string[] {
  const own = listing(folder)
  if ('fault' in own) return []
  return own.entries
    .slice(0, ENTRIES_MAX)
    .filter((entry) => extname(entry.name) === '.onnx' && !entry.name.startsWith('.') && standingOf(folder, entry) !== 'folder')
    .map(({ name }) => name)
    .sort()
}

/** The flavour of ONNX in a folder that MLflow has made. */
function mlflowFile(folder: string): ChosenFile | undefined {
  if (standingAt(join(folder, 'MLmodel')) !== 'other') return undefined
  const { isOnnx, data } = readMlflow(folder)
  if (!isOnnx) return undefined
  const isInner = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}(?:\/[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}){0,3}$/.test(data)
  return isInner ? { kind: 'file', file: data } : fault('its MLmodel names a file that is not inside its folder')
}

/** What a file of MLflow's says: its flavours but for Python's, and the file of that of ONNX. */
export function readMlflow(folder: string): {
  readonly flavors: readonly string[]
  readonly isOnnx: boolean
  readonly data: string
} {
  const text = mlflowText(join(folder, 'MLmodel'))
  const flavors = [...text.matchAll(/^ {2}(\w+):\s*$/gm)]
    .map(([, flavor = '']) => flavor)
    .filter((flavor) => flavor !== 'python_function')
  const onnx = /^ {2}onnx:\s*\n((?: {4}.*\n?)*)/m.exec(text)?.[1]
  const [, , data = 'model.onnx'] = /^ {4}data: (['"]?)(\S+)\1\s*$/m.exec(onnx ?? '') ?? []
  return { flavors, isOnnx: onnx !== undefined, data: data.slice(0, 500) }
}

function mlflowText(path: string): string {
  try {
    return headOf(path, MLFLOW_BYTES_MAX).toString('utf8')
  } catch {
    // What cannot be read says nothing.
    return ''
  }
}

/** Whether a file's name says that its weights were rounded. */
function isQuantized(file: string): boolean {
  return QUANTIZED.test(file.slice(file.lastIndexOf('/') + 1, -'.onnx'.length))
}

function naming(file: string): string {
  return `in model.toml, [huggingface] file = ${JSON.stringify(file)} would name it`
}

function listed(files: readonly string[]): string {
  const shown = files.slice(0, LISTED_MAX).map((file) => file.slice(0, 100))
  return files.length > LISTED_MAX ? `${shown.join(', ')} and ${files.length - LISTED_MAX} more` : shown.join(', ')
}

function fault(reason: string): ChosenFile {
  return { kind: 'fault', reason }
}
