import { VestalError } from '../../core/errors.ts'
import { bytesOfBase64 } from '../../tasks/bodies/picture-tasks.ts'
import type { PictureDecoder } from '../../tasks/image/decoder.ts'
import { checkPictures, preparePicture } from '../../tasks/image/pictures.ts'
import { checkCount } from '../../tasks/items.ts'
import type { ImageInput } from '../../tasks/task.ts'
import { isObject, type JsonObject } from '../../tensor/exact-json.ts'
import type { Tensor, TensorData } from '../../tensor/tensor.ts'

/** A request of tensors whose image input came as pictures (BYTES), and the request without that input. */
export interface PictureInputs {
  readonly pictures: readonly Uint8Array[]
  readonly json: JsonObject
  readonly binary: Uint8Array | undefined
}

const LENGTH_BYTES = 4
/** Longest shape that pictures may have: [N], or [N, 1] as some clients send texts. */
const RANK_MAX = 2

/**
 * Takes the image input out of a request where it is sent as BYTES, as OpenVINO Model Server has it: each element is a file, in base64
 * where the data is in the JSON. Undefined where it is sent as the tensor that it is.
 * @throws VestalError INPUT_INVALID
 */
export function takePictures(json: unknown, { input: name }: ImageInput, binary?: Uint8Array): PictureInputs | undefined {
  if (!isObject(json) || !Array.isArray(json.inputs)) return undefined
  const inputs: readonly unknown[] = json.inputs
  const index = inputs.findIndex((input) => isObject(input) && input.name === name && input.datatype === 'BYTES')
  const input = inputs[index]
  if (!isObject(input)) return undefined
  const count = countOf(input.shape, name)
  const rest = { ...json, inputs: inputs.filter((_, place) => place !== index) }
  const size = sizeOf(input)
  if (size === undefined) return { pictures: fromJson(input.data, { name, count }), json: rest, binary }
  const begin = inputs.slice(0, index).reduce<number>((sum, each) => sum + (sizeOf(each) ?? 0), 0)
  const all = binary ?? new Uint8Array(0)
  if (begin + size > all.length) throw invalid(name, `says binary_data_size ${size}; fewer bytes came`)
  const others = Buffer.concat([all.subarray(0, begin), all.subarray(begin + size)])
  const left = binary === undefined ? undefined : new Uint8Array(others)
  return { pictures: fromBinary(all.subarray(begin, begin + size), { name, count }), json: rest, binary: left }
}

/** The tensor of pictures: their rows, one behind the other. @throws VestalError INPUT_INVALID, and as the decoder */
export async function tensorOfPictures(
  pictures: readonly Uint8Array[],
  { input, decoder }: { readonly input: ImageInput; readonly decoder: PictureDecoder },
): Promise<Tensor> {
  checkPictures(pictures)
  const count = pictures.length
  const prepared = await Promise.all(pictures.map((picture, index) => preparePicture(picture, { decoder, input, index, count })))
  const [first] = prepared.map(({ tensor }) => tensor)
  if (first === undefined || count === 1) return first as Tensor
  const [, ...row] = first.shape
  const data = emptyLike(first.data, count)
  for (const [index, { tensor }] of prepared.entries()) {
    if (tensor.shape.join() !== first.shape.join())
      throw invalid(input.input, 'has pictures whose sizes differ once they are resized; send each in a request of its own')
    // The cast: all have the datatype of the one input.
    data.set(tensor.data as Float32Array, index * first.data.length)
  }
  return { datatype: first.datatype, shape: [count, ...row], data }
}

function emptyLike(data: TensorData, count: number): Float32Array | Float16Array | Uint8Array {
  const length = data.length * count
  if (data instanceof Float32Array) return new Float32Array(length)
  return data instanceof Float16Array ? new Float16Array(length) : new Uint8Array(length)
}

function countOf(shape: unknown, name: string): number {
  const sizes: readonly unknown[] = Array.isArray(shape) && shape.length <= RANK_MAX ? shape : []
  const [count, one = 1] = sizes
  if (typeof count === 'number' && Number.isInteger(count) && count > 0 && one === 1) {
    checkCount(count, 'picture')
    return count
  }
  throw invalid(name, 'of pictures (BYTES) must have the shape [N], one element for each picture')
}

function sizeOf(input: unknown): number | undefined {
  const size = isObject(input) && isObject(input.parameters) ? input.parameters.binary_data_size : undefined
  return typeof size === 'number' && Number.isSafeInteger(size) && size >= 0 ? size : undefined
}

interface Expected {
  readonly name: string
  readonly count: number
}

function fromJson(data: unknown, { name, count }: Expected): readonly Uint8Array[] {
  const texts: readonly unknown[] = Array.isArray(data) ? data.flat() : []
  if (texts.length !== count) throw invalid(name, `has ${texts.length} elements of BYTES; its shape needs ${count}`)
  return texts.map((text) => {
    if (typeof text !== 'string') throw invalid(name, 'of pictures (BYTES) must be texts in base64')
    try {
      return bytesOfBase64(text, name)
    } catch (error) {
      if (error instanceof VestalError) throw invalid(name, 'of pictures (BYTES) must be texts in base64')
      throw error
    }
  })
}

/** Each with its length in front, as a little-endian integer of 32 bits. */
function fromBinary(blob: Uint8Array, { name, count }: Expected): readonly Uint8Array[] {
  const view = new DataView(blob.buffer, blob.byteOffset, blob.byteLength)
  const pictures: Uint8Array[] = []
  for (let at = 0; at < blob.length; ) {
    const begin = at + LENGTH_BYTES
    const length = begin > blob.length ? Number.POSITIVE_INFINITY : view.getUint32(at, true)
    if (begin + length > blob.length) throw invalid(name, 'has a picture that is longer than the bytes that came')
    pictures.push(blob.subarray(begin, begin + length))
    at = begin + length
    if (pictures.length > count) break
  }
  if (pictures.length !== count) throw invalid(name, `has ${pictures.length} pictures; its shape needs ${count}`)
  return pictures
}

function invalid(name: string, what: string): VestalError {
  return new VestalError('INPUT_INVALID', { detail: `the input '${name}' ${what}` })
}
