import { DATATYPES, type Datatype, elementBytes } from '../../tensor/datatypes.ts'
import type { Tensor, TensorData } from '../../tensor/tensor.ts'
import { broken, type ReadBytes } from './layout.ts'

const NAMES = Object.keys(DATATYPES) as readonly Datatype[]
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
    // The cast: frames come from sockets, whose memory nobody shares.
    return this.#bytes.buffer.slice(begin, begin + length) as ArrayBuffer
  }
}

function arrayOf(datatype: Datatype, buffer: ArrayBufferLike, begin = 0, length = buffer.byteLength): TensorData {
  const facts = DATATYPES[datatype]
  if (facts.kind === 'boolean' || facts.kind === 'text') return new Uint8Array(buffer, begin, length)
  return new facts.array(buffer, begin, length / facts.array.BYTES_PER_ELEMENT)
}
