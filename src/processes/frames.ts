/** How processes of one server speak to each other: frames of a length (uint32) and that many bytes, all numbers little-endian. Pure. */
import { DATATYPES, type Datatype, elementBytes } from '../tensor/datatypes.ts'
import type { Tensor, TensorData } from '../tensor/tensor.ts'

/** Bytes of a frame that the other side may send: more is a fault of that side. */
export const FRAME_BYTES_MAX = 2 ** 31 - 1
export const LENGTH_BYTES = 4
const DIMENSIONS_MAX = 255

/** Puts bytes into a file that both sides have open, and gives their place there; undefined where they belong in the frame. */
export type StoreBytes = (bytes: Uint8Array) => number | undefined
/** Gives the bytes at a place of that file: memory whose offset is a multiple of 8, which nothing else changes while it is used. */
export type ReadBytes = (offset: number, length: number) => Uint8Array

/** Ends with the error of a frame that does not add up. */
export function broken(what: string): never {
  throw new Error(`the protocol was broken: ${what}`)
}

const NAMES = Object.keys(DATATYPES) as readonly Datatype[]
const CODES = new Map(NAMES.map((name, code) => [name, code]))
const INITIAL_BYTES = 16 * 1024
/** A buffer that was larger once does not keep its memory. */
const KEPT_BYTES = 64 * INITIAL_BYTES

/** Frames that are written into one buffer, one behind the other, until they are taken. */
export class FrameBuffer {
  #bytes = Buffer.allocUnsafeSlow(INITIAL_BYTES)
  #begin = 0
  #end = 0

  /** Adds a frame of a kind. @throws Error where it is too long, and what `write` throws: the frame is not among the others then */
  add(kind: number, write: (buffer: FrameBuffer) => void): void {
    this.#begin = this.#end
    try {
      this.#reserve(LENGTH_BYTES)
      this.byte(kind)
      write(this)
      const length = this.#end - this.#begin - LENGTH_BYTES
      if (length > FRAME_BYTES_MAX) throw new Error(`the tensors of a run exceed ${FRAME_BYTES_MAX} bytes`)
      this.#bytes.writeUInt32LE(length, this.#begin)
    } catch (error) {
      this.#end = this.#begin
      throw error
    }
    this.#begin = this.#end
  }

  /** All frames since the last call; the bytes are valid until the next frame is added. */
  take(): Uint8Array {
    const taken = this.#bytes.subarray(0, this.#end)
    if (this.#bytes.length > KEPT_BYTES) this.#bytes = Buffer.allocUnsafeSlow(INITIAL_BYTES)
    this.#begin = 0
    this.#end = 0
    return taken
  }

  byte(value: number): void {
    const at = this.#reserve(1)
    this.#bytes[at] = value
  }

  count(value: number): void {
    const at = this.#reserve(4)
    this.#bytes.writeUInt32LE(value, at)
  }

  number(value: number): void {
    const at = this.#reserve(8)
    this.#bytes.writeDoubleLE(value, at)
  }

  text(text: string): void {
    const length = Buffer.byteLength(text)
    this.count(length)
    const at = this.#reserve(length)
    this.#bytes.write(text, at, length, 'utf8')
  }

  /** A list of texts, or none. */
  texts(texts: readonly string[] | undefined): void {
    this.byte(texts === undefined ? 0 : 1)
    if (texts === undefined) return
    this.count(texts.length)
    for (const text of texts) this.text(text)
  }

  /** Bytes with their number. */
  bytes(bytes: Uint8Array): void {
    this.count(bytes.length)
    const at = this.#reserve(bytes.length)
    this.#bytes.set(bytes, at)
  }

  tensors(tensors: readonly Tensor[], store: StoreBytes): void {
    this.count(tensors.length)
    for (const tensor of tensors) this.tensor(tensor, store)
  }

  tensor({ datatype, shape, data }: Tensor, store: StoreBytes): void {
    if (shape.length > DIMENSIONS_MAX)
      throw new Error(`a tensor has ${shape.length} dimensions; at most ${DIMENSIONS_MAX} can be sent`)
    this.byte(CODES.get(datatype) ?? 0)
    this.byte(shape.length)
    for (const size of shape) this.number(size)
    if (!ArrayBuffer.isView(data)) {
      this.count(data.length)
      for (const text of data) this.text(text)
      return
    }
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    const offset = store(bytes)
    this.number(offset ?? -1)
    if (offset !== undefined) return
    const at = this.#reserve(bytes.length)
    this.#bytes.set(bytes, at)
  }

  #reserve(count: number): number {
    const begin = this.#end
    const end = begin + count
    if (end > this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(end, this.#bytes.length * 2))
      larger.set(this.#bytes.subarray(0, begin))
      this.#bytes = larger
    }
    this.#end = end
    return begin
  }
}

/** Elements of typed arrays begin at multiples of their size; 8 is the largest. */
const ALIGNMENT = 8

/** Reads one frame, without its length; what does not add up is thrown as an error, never read beyond the frame. */
export class FrameCursor {
  readonly #bytes: Buffer
  #at = 0

  constructor(frame: Uint8Array) {
    // What a socket gives is one already.
    this.#bytes = frame instanceof Buffer ? frame : Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength)
  }

  /** Checks that all of the frame was read. */
  finish(): void {
    if (this.#at !== this.#bytes.length) broken('a frame is longer than what it holds')
  }

  byte(): number {
    const at = this.#take(1)
    return this.#bytes[at] ?? 0
  }

  count(): number {
    const at = this.#take(4)
    return this.#bytes.readUInt32LE(at)
  }

  number(): number {
    const at = this.#take(8)
    return this.#bytes.readDoubleLE(at)
  }

  text(): string {
    const length = this.count()
    const at = this.#take(length)
    return this.#bytes.toString('utf8', at, at + length)
  }

  texts(): readonly string[] | undefined {
    if (this.byte() === 0) return undefined
    return this.list(() => this.text())
  }

  /** Bytes with their number: a copy. */
  bytes(): Uint8Array {
    return new Uint8Array(this.#inline(this.count()))
  }

  /** Every item takes a byte at least, so a count that the frame cannot hold is known before memory is taken for it. */
  list<T>(read: () => T): readonly T[] {
    const count = this.count()
    if (count > this.#bytes.length - this.#at) return broken('a frame ends early')
    const items: T[] = []
    for (let index = 0; index < count; index += 1) items.push(read())
    return items
  }

  tensors(readBytes: ReadBytes): readonly Tensor[] {
    return this.list(() => this.tensor(readBytes))
  }

  tensor(readBytes: ReadBytes): Tensor {
    const datatype = NAMES[this.byte()] ?? broken('a tensor of an unknown datatype')
    const rank = this.byte()
    const shape: number[] = []
    for (let index = 0; index < rank; index += 1) shape.push(this.#dimension())
    const elements = shape.reduce((count, dimension) => count * dimension, 1)
    const size = elementBytes(datatype)
    if (size === undefined) {
      const texts = this.list(() => this.text())
      if (texts.length !== elements) broken('a tensor has not the elements of its shape')
      return { datatype, shape, data: texts }
    }
    const length = elements * size
    const offset = this.number()
    if (offset < 0) return { datatype, shape, data: arrayOf(datatype, this.#inline(length)) }
    const { buffer, byteOffset, byteLength } = readBytes(offset, length)
    if (byteOffset % ALIGNMENT !== 0) broken('a tensor that is not aligned')
    return { datatype, shape, data: arrayOf(datatype, buffer, byteOffset, byteLength) }
  }

  #take(count: number): number {
    const begin = this.#at
    if (count < 0 || count > this.#bytes.length - begin) return broken('a frame ends early')
    this.#at = begin + count
    return begin
  }

  #dimension(): number {
    const size = this.number()
    return Number.isSafeInteger(size) && size >= 0 ? size : broken('a tensor with a dimension that is no size')
  }

  /** A copy: in the frame it may begin anywhere. */
  #inline(length: number): ArrayBuffer {
    const begin = this.#bytes.byteOffset + this.#take(length)
    // The cast: frames come from sockets, whose memory is not shared.
    return this.#bytes.buffer.slice(begin, begin + length) as ArrayBuffer
  }
}

function arrayOf(datatype: Datatype, buffer: ArrayBufferLike, begin = 0, length = buffer.byteLength): TensorData {
  const facts = DATATYPES[datatype]
  if (facts.kind === 'boolean' || facts.kind === 'text') return new Uint8Array(buffer, begin, length)
  return new facts.array(buffer, begin, length / facts.array.BYTES_PER_ELEMENT)
}

/** Puts the pieces that a socket gives together to frames, each without its length. */
export class FrameAssembler {
  readonly #bytesMax: number
  #pieces: Uint8Array[] = []
  #length = 0

  /** Frames of more bytes than that are rejected. */
  constructor(bytesMax = FRAME_BYTES_MAX) {
    this.#bytesMax = bytesMax
  }

  /**
   * Takes the next piece and hands over each frame that is whole: a view, valid until `use` returns.
   * @throws Error where a length is over the limit
   */
  push(piece: Uint8Array, use: (frame: Uint8Array) => void): void {
    const whole = this.#length === 0 ? piece : this.#joined(piece)
    if (whole === undefined) return
    let begin = 0
    while (whole.length - begin >= LENGTH_BYTES) {
      const end = begin + LENGTH_BYTES + lengthOf(whole, begin, this.#bytesMax)
      if (whole.length < end) break
      use(whole.subarray(begin + LENGTH_BYTES, end))
      begin = end
    }
    this.#pieces = begin === whole.length ? [] : [whole.subarray(begin)]
    this.#length = whole.length - begin
  }

  /** All pieces in one, once they hold the next frame; undefined before. */
  #joined(piece: Uint8Array): Uint8Array | undefined {
    this.#pieces.push(piece)
    this.#length += piece.length
    const [first] = this.#pieces
    if (first !== undefined && first.length >= LENGTH_BYTES && this.#length < LENGTH_BYTES + lengthOf(first, 0, this.#bytesMax))
      return undefined
    return Buffer.concat(this.#pieces, this.#length)
  }
}

function lengthOf(bytes: Uint8Array, at: number, bytesMax: number): number {
  // By hand: a view of the bytes of each frame costs more than reading them.
  const length =
    (bytes[at] ?? 0) + (bytes[at + 1] ?? 0) * 2 ** 8 + (bytes[at + 2] ?? 0) * 2 ** 16 + (bytes[at + 3] ?? 0) * 2 ** 24
  return length > bytesMax ? broken('a frame is too long') : length
}
