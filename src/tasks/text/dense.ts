import { VestalError } from '../../core/errors.ts'
import type { DenseLayer } from '../task.ts'

/** A layer that is read: a vector to another. */
export type Dense = (vector: Float32Array) => Float32Array

/** Largest safetensors file that is read, and its header. */
const FILE_BYTES_MAX = 256 * 1024 * 1024
const HEADER_BYTES_MAX = 1024 * 1024
/** Layers that are kept. */
const KEPT_MAX = 64

/** By the checksum and the path of the file: a model that is loaded with another file has another layer. */
const kept = new Map<string, Promise<Dense>>()

/** The layers behind a pooling, each read once. @throws VestalError MODEL_UNAVAILABLE */
export function denseLayers(layers: readonly DenseLayer[]): Promise<readonly Dense[]> {
  return Promise.all(layers.map(layerOf))
}

function layerOf(layer: DenseLayer): Promise<Dense> {
  const key = `${layer.sha256} ${layer.path} ${layer.activation}`
  const known = kept.get(key)
  if (known !== undefined) return known
  const read = readLayer(layer)
  kept.set(key, read)
  read.catch(() => kept.delete(key))
  for (const oldest of kept.keys()) {
    if (kept.size <= KEPT_MAX) break
    kept.delete(oldest)
  }
  return read
}

async function readLayer({ path, sha256, inputs, outputs, activation }: DenseLayer): Promise<Dense> {
  const tensors = await readTensors(path, sha256)
  const weights = floatsIn(tensors, 'linear.weight', [outputs, inputs])
  const bias = tensors.has('linear.bias') ? floatsIn(tensors, 'linear.bias', [outputs]) : new Float32Array(outputs)
  return (vector) => {
    if (vector.length !== inputs) throw unavailable(`takes ${inputs} numbers and gets ${vector.length}`)
    return Float32Array.from({ length: outputs }, (_, row) => {
      let sum = bias[row] ?? 0
      const from = row * inputs
      for (let column = 0; column < inputs; column += 1) sum += (weights[from + column] ?? 0) * (vector[column] ?? 0)
      return activation === 'tanh' ? Math.tanh(sum) : sum
    })
  }
}

interface Stored {
  readonly datatype: string
  readonly shape: readonly number[]
  readonly bytes: Uint8Array
}

/** The tensors of a safetensors file: the length of a header of JSON, the header, and the numbers. */
async function readTensors(path: string, sha256: string): Promise<ReadonlyMap<string, Stored>> {
  const file = Bun.file(path)
  if (file.size > FILE_BYTES_MAX) throw unavailable(`is larger than ${FILE_BYTES_MAX} bytes`)
  const bytes = await file.bytes().catch(() => {
    throw unavailable('cannot be read')
  })
  if (new Bun.CryptoHasher('sha256').update(bytes).digest('hex') !== sha256)
    throw unavailable('has changed since the model was loaded; load the model again')
  if (bytes.length < 8) throw unavailable('is no safetensors file')
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true))
  if (length > HEADER_BYTES_MAX || 8 + length > bytes.length) throw unavailable('is no safetensors file')
  let header: Readonly<Record<string, unknown>>
  try {
    // The cast: each member is checked below.
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(8, 8 + length))) as Record<
      string,
      unknown
    >
  } catch {
    throw unavailable('has a header that is not JSON')
  }
  const data = bytes.subarray(8 + length)
  const tensors = new Map<string, Stored>()
  for (const [name, value] of Object.entries(header)) {
    if (name === '__metadata__') continue
    const { dtype, shape, data_offsets: offsets } = (value ?? {}) as Readonly<Record<string, unknown>>
    const isShape = Array.isArray(shape) && shape.every((size) => Number.isSafeInteger(size) && size >= 0)
    const [begin, end] = Array.isArray(offsets) ? (offsets as readonly unknown[]) : []
    const isPlace = Number.isSafeInteger(begin) && Number.isSafeInteger(end)
    // The casts: both are integers.
    const [from, to] = [begin as number, end as number]
    if (typeof dtype !== 'string' || !isShape || !isPlace || from < 0 || from > to || to > data.length)
      throw unavailable('has a header that does not fit it')
    tensors.set(name, { datatype: dtype, shape, bytes: data.slice(from, to) })
  }
  return tensors
}

function floatsIn(tensors: ReadonlyMap<string, Stored>, name: string, shape: readonly number[]): Float32Array {
  const stored = tensors.get(name)
  if (stored === undefined) throw unavailable(`has no tensor ${name}`)
  const { datatype, bytes } = stored
  if (stored.shape.join() !== shape.join())
    throw unavailable(`has ${name} of shape [${stored.shape}]; its configuration says [${shape}]`)
  const count = shape.reduce((product, size) => product * size, 1)
  if (datatype !== 'F32' || bytes.length !== count * Float32Array.BYTES_PER_ELEMENT)
    throw unavailable(`has ${name} as ${datatype}, or not all of it; F32 can be read`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  return Float32Array.from({ length: count }, (_, index) => view.getFloat32(index * Float32Array.BYTES_PER_ELEMENT, true))
}

function unavailable(why: string): VestalError {
  return new VestalError('MODEL_UNAVAILABLE', { detail: `The file of a dense layer of the model ${why}` })
}
