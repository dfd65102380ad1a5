import { DATATYPES, type Datatype } from '../../tensor/datatypes.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import { DIMENSIONS_MAX, FRAME_BYTES_MAX, LENGTH_BYTES, type StoreBytes } from './layout.ts'

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

  /** True where nothing was written since the last was taken. */
  get isEmpty(): boolean {
    return this.#end === 0
  }

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
