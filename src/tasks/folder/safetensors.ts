/** Reads the layers of sentence-transformers that lie outside of an ONNX file: the description of a Dense module and the head of its weights. */
import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs'
import { join } from 'node:path'
import type { DenseLayer } from '../task.ts'
import { type FolderFiles, JsonValue } from './folder-files.ts'

/** Numbers of a vector before or behind a layer. */
const SIZE_MAX = 65_536
const HEADER_BYTES_MAX = 1024 * 1024
/** Largest file of weights: each process that embeds texts reads it whole. */
const FILE_BYTES_MAX = 256 * 1024 * 1024
const TENSORS_MAX = 64

/**
 * The Dense module in a folder.
 * @throws Error where its description or its weights cannot be used
 */
export function denseLayer(files: FolderFiles, folder: string): DenseLayer {
  const name = join(folder, 'config.json')
  const config = files.json(name)
  if (config === undefined) throw new Error(`its ${name} is missing, which describes a Dense layer`)
  const sizeOf = (key: string) => {
    const size = config.get(key)
    if (size === undefined) throw config.fault(`has no ${key}`)
    return size.whole(1, SIZE_MAX)
  }
  const [inputs, outputs] = [sizeOf('in_features'), sizeOf('out_features')]
  const activation = activationOf(config)
  const weights = join(folder, 'model.safetensors')
  const path = files.path(weights, FILE_BYTES_MAX)
  if (path === undefined)
    throw new Error(
      `its ${weights} is missing: the Dense layer lies outside of the ONNX file, and without its weights every vector would be wrong; save the model again with safetensors, or export it with its Dense layer`,
    )
  checkWeights(path, weights, { inputs, outputs, hasBias: config.get('bias')?.flag() ?? true })
  const sha256 = new Bun.CryptoHasher('sha256').update(readFileSync(path)).digest('hex')
  return { inputs, outputs, path, sha256, activation }
}

function activationOf(config: JsonValue): DenseLayer['activation'] {
  const value = config.get('activation_function')
  const name = value?.text().split('.').at(-1) ?? 'Tanh'
  if (name === 'Tanh') return 'tanh'
  if (name === 'Identity') return 'identity'
  throw config.fault(`has the activation_function ${JSON.stringify(name.slice(0, 64))}; only Tanh and Identity are computed here`)
}

/** @throws Error where the file does not hold the weights of such a layer as FP32 */
function checkWeights(
  path: string,
  name: string,
  { inputs, outputs, hasBias }: { readonly inputs: number; readonly outputs: number; readonly hasBias: boolean },
): void {
  const { header, bytes } = readHeader(path, name)
  const check = (tensor: string, shape: readonly number[]) => {
    const found = header.get(tensor)
    if (found === undefined) throw new Error(`${name} has no tensor ${tensor}`)
    const datatype = found.get('dtype')?.text()
    if (datatype !== 'F32') throw new Error(`${name} has ${tensor} as ${String(datatype).slice(0, 16)}, and must have it as F32`)
    const own = found
      .get('shape')
      ?.items(8)
      .map((size) => size.whole(0, SIZE_MAX))
    if (own?.join() !== shape.join())
      throw new Error(`${name} has ${tensor} [${own?.join()}], and config.json says [${shape.join()}]`)
    const [begin = 0, end = 0] =
      found
        .get('data_offsets')
        ?.items(2)
        .map((offset) => offset.whole(0, FILE_BYTES_MAX)) ?? []
    const needed = shape.reduce((product, size) => product * size, 4)
    if (end - begin !== needed || end > bytes) throw new Error(`${name} is cut off, or has ${tensor} in the wrong place`)
  }
  check('linear.weight', [outputs, inputs])
  if (hasBias) check('linear.bias', [outputs])
  else if (header.get('linear.bias') !== undefined)
    throw new Error(`${name} has linear.bias, and config.json says that there is none`)
}

/** The description of its tensors, and the bytes behind it. */
function readHeader(path: string, name: string): { readonly header: JsonValue; readonly bytes: number } {
  const descriptor = openSync(path, 'r')
  try {
    const { size } = fstatSync(descriptor)
    const read = (offset: number, length: number) => {
      const bytes = Buffer.alloc(length)
      if (readSync(descriptor, bytes, 0, length, offset) !== length) throw new Error(`${name} is cut off`)
      return bytes
    }
    const length = Number(read(0, 8).readBigUInt64LE())
    if (length > HEADER_BYTES_MAX || length + 8 > size) throw new Error(`${name} is not a file of safetensors`)
    let value: unknown
    try {
      value = JSON.parse(read(8, length).toString('utf8'))
    } catch {
      throw new Error(`${name} is not a file of safetensors`)
    }
    const header = new JsonValue(value, name, '')
    header.entries(TENSORS_MAX)
    return { header, bytes: size - 8 - length }
  } finally {
    closeSync(descriptor)
  }
}
