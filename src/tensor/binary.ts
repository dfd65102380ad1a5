import { isUtf8 } from 'node:buffer'
import type { VestalError } from '../core/errors.ts'
import { DATATYPES, elementBytes } from './datatypes.ts'
import { inputInvalid, type TensorTarget } from './decode.ts'
import { ELEMENTS_MAX, elementCount, exactCount, tooManyElements } from './shape.ts'
import type { Tensor } from './tensor.ts'
import { INT64_MAX, TRITON_TEXTS } from './triton-texts.ts'

/** A tensor whose shape may be beyond what one can have. */
type Misfit = Pick<TensorTarget, 'name' | 'datatype'> & { readonly shape: readonly (number | bigint)[] }

/** Bytes of the length that stands before each element of BYTES. */
const LENGTH_BYTES = 4

/**
 * The binary tensor data of a request: the blobs behind its JSON, one after the other. The memory is the request's own, and what is
 * taken is a view of it where it lies on a multiple of the element's size.
 */
export class Blobs {
  readonly #bytes: Uint8Array | undefined
  readonly #length: number
  readonly #model: string
  #position = 0

  /** @param bytes undefined where there is nothing behind the JSON */
  constructor(bytes: Uint8Array | undefined, model: string) {
    this.#bytes = bytes
    this.#length = bytes?.length ?? 0
    this.#model = model
  }

  /**
   * Takes the next blob as a tensor.
   * @throws VestalError INPUT_INVALID when there are not that many bytes, or they are not what the shape needs
   */
  take(target: TensorTarget, size: number): Tensor {
    const { name, datatype, shape } = target
    const count = elementCount(shape)
    const each = elementBytes(datatype)
    if (each === undefined ? count > ELEMENTS_MAX : size !== count * each) throw this.misfit(target, size)
    const start = this.#position
    const lacking = start + size - this.#length
    if (lacking > 0) throw inputInvalid(TRITON_TEXTS.bytesMissing(lacking, { input: name, model: this.#model }))
    this.#position += size
    // A buffer of its own for each request, even an empty one: a tensor's buffer is transferred to a worker.
    const blob = this.#bytes?.subarray(start, start + size) ?? new Uint8Array(0)
    if (each === undefined) return { datatype, shape, data: textsOf(blob, { name, count, model: this.#model }) }
    return viewOf(align(blob, each, start === 0), target)
  }

  /** The error of a blob whose length is not what its shape needs. */
  misfit({ name: input, datatype, shape }: Misfit, size: number): VestalError {
    const each = elementBytes(datatype)
    const of = { input, model: this.#model, expected: exactCount(shape) * BigInt(each ?? 1) }
    if (of.expected > INT64_MAX) return inputInvalid(TRITON_TEXTS.tensorOverflow(input))
    return inputInvalid(each === undefined ? tooManyElements(input, datatype, shape) : TRITON_TEXTS.bytesMismatch(size, of))
  }

  /**
   * Says that no more is taken.
   * @throws VestalError INPUT_INVALID when bytes are left
   */
  end(): void {
    if (this.#position < this.#length) throw inputInvalid(TRITON_TEXTS.bytesLeft(this.#model))
  }
}

/**
 * A typed array must begin at a multiple of its element's size. The first blob can be moved a few bytes down, over the end of the
 * JSON that was read already: no new memory. Another one would overwrite its neighbour, and is copied.
 */
function align(blob: Uint8Array, size: number, isFirst: boolean): Uint8Array {
  const excess = blob.byteOffset % size
  if (excess === 0) return blob
  if (!isFirst) return new Uint8Array(blob)
  const moved = new Uint8Array(blob.buffer, blob.byteOffset - excess, blob.length)
  moved.set(blob)
  return moved
}

function viewOf({ buffer, byteOffset, length }: Uint8Array, { name, datatype, shape }: TensorTarget): Tensor {
  const facts = DATATYPES[datatype]
  if (facts.kind === 'text' || facts.kind === 'boolean') {
    const data = new Uint8Array(buffer, byteOffset, length)
    const wrong = data.findIndex((byte) => byte > 1)
    if (wrong !== -1) throw inputInvalid(`input '${name}': element ${wrong} of BOOL must be a byte of 0 or 1, got ${data[wrong]}`)
    return { datatype, shape, data }
  }
  return { datatype, shape, data: new facts.array(buffer, byteOffset, length / facts.array.BYTES_PER_ELEMENT) }
}

interface TextsOptions {
  readonly name: string
  readonly model: string
  /** Elements that the shape needs. */
  readonly count: number
}

/** BYTES as texts: each element has its length in front, as a little-endian integer of 32 bits, and is UTF-8. */
function textsOf(blob: Uint8Array, { name, model, count }: TextsOptions): readonly string[] {
  const of = { input: name, model, expected: BigInt(count) }
  const view = new DataView(blob.buffer, blob.byteOffset, blob.byteLength)
  const texts: string[] = []
  let position = 0
  while (position < blob.length) {
    const begin = position + LENGTH_BYTES
    if (begin > blob.length) throw inputInvalid(TRITON_TEXTS.stringLengthIncomplete(blob.length - position, of))
    if (texts.length === count) throw inputInvalid(TRITON_TEXTS.stringsTooMany(count + 1, of))
    const length = view.getUint32(position, true)
    const left = blob.length - begin
    if (length > left) throw inputInvalid(TRITON_TEXTS.stringIncomplete(length, { input: name, left }))
    texts.push(textOf(blob.subarray(begin, begin + length), { name, index: texts.length }))
    position = begin + length
  }
  if (texts.length !== count) throw inputInvalid(TRITON_TEXTS.stringsTooFew(texts.length, of))
  return texts
}

/** One element of BYTES as the text that it must be for ONNX Runtime. */
export function textOf(bytes: Uint8Array, { name, index }: { readonly name: string; readonly index: number }): string {
  if (!isUtf8(bytes)) throw inputInvalid(`input '${name}': element ${index} of BYTES must be UTF-8`)
  // onnxruntime-node hands texts over as C does, where this character ends one: the rest would be lost.
  if (bytes.includes(0)) throw inputInvalid(`input '${name}': element ${index} must be a string without the character U+0000`)
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
}

/** A tensor as binary tensor data: little-endian and row-major, a view of the tensor's own memory unless it holds texts. */
export function bytesOfTensor({ datatype, data }: Tensor): Uint8Array {
  if (datatype === 'BYTES') return bytesOfTexts(data as readonly string[])
  // The cast: all but BYTES is in a typed array.
  const { buffer, byteOffset, byteLength } = data as Uint8Array
  return new Uint8Array(buffer, byteOffset, byteLength)
}

function bytesOfTexts(texts: readonly string[]): Uint8Array {
  const lengths = texts.map((text) => Buffer.byteLength(text))
  const bytes = Buffer.alloc(lengths.reduce((sum, length) => sum + LENGTH_BYTES + length, 0))
  let position = 0
  for (const [index, text] of texts.entries()) {
    position = bytes.writeUInt32LE(lengths[index] ?? 0, position)
    position += bytes.write(text, position, 'utf8')
  }
  return bytes
}
