/**
 * What the server and an instance process say to each other: frames on a local socket, a length (uint32) and that many bytes, all
 * numbers little-endian. The first byte is the kind: control messages are JSON; runs and results are tensors in binary form. Pure.
 */
import { DATATYPES, type Datatype, elementBytes } from '../../tensor/datatypes.ts'
import type { Tensor, TensorData } from '../../tensor/tensor.ts'
import type { RunTiming } from '../statistics.ts'

/** Bytes of a frame that the other side may send: more is a fault of that side. */
export const FRAME_BYTES_MAX = 2 ** 31 - 1
export const LENGTH_BYTES = 4

const KINDS = ['control', 'run', 'result'] as const
export type FrameKind = (typeof KINDS)[number]

const NAMES = Object.keys(DATATYPES) as readonly Datatype[]
const CODES = new Map(NAMES.map((name, code) => [name, code]))
const DIMENSIONS_MAX = 255
const INITIAL_BYTES = 16 * 1024
/** Elements of typed arrays begin at multiples of their size; 8 is the largest. */
const ALIGNMENT = 8

/** A run, as it goes to an instance. */
export interface RunFrame {
  /** In the order of the model's inputs. */
  readonly inputs: readonly Tensor[]
  /** Names of the outputs to compute; all when absent. */
  readonly outputs?: readonly string[] | undefined
  /** The pair of exchange files that this run may use. */
  readonly lane: number
}

/** What an instance computed. */
export interface ResultFrame {
  /** In the order of the names asked for, or of the model's outputs. */
  readonly outputs: readonly Tensor[]
  readonly timing: RunTiming
}

/** Puts bytes into a file that both sides have open, and gives their place there; undefined where they belong in the frame. */
export type StoreBytes = (bytes: Uint8Array) => number | undefined
/** Gives the bytes at a place of that file: memory whose offset is a multiple of 8, which nothing else changes while it is used. */
export type ReadBytes = (offset: number, length: number) => Uint8Array

/** Writes frames into one buffer that it keeps: what it gives is valid until the next frame. */
export class FrameWriter {
  #bytes = Buffer.allocUnsafeSlow(INITIAL_BYTES)
  #end = 0

  control(message: unknown): Uint8Array {
    this.#begin('control')
    this.#text(JSON.stringify(message))
    return this.#finish()
  }

  run({ inputs, outputs, lane }: RunFrame, store: StoreBytes): Uint8Array {
    this.#begin('run')
    this.#byte(lane)
    this.#strings(outputs)
    this.#tensors(inputs, store)
    return this.#finish()
  }

  result({ outputs, timing }: ResultFrame, store: StoreBytes): Uint8Array {
    this.#begin('result')
    this.#number(timing.inputNs)
    this.#number(timing.inferNs)
    this.#number(timing.outputNs)
    this.#tensors(outputs, store)
    return this.#finish()
  }

  #begin(kind: FrameKind): void {
    // A frame that was large once does not keep its memory.
    if (this.#bytes.length > 64 * INITIAL_BYTES) this.#bytes = Buffer.allocUnsafeSlow(INITIAL_BYTES)
    this.#end = LENGTH_BYTES
    this.#byte(KINDS.indexOf(kind))
  }

  #finish(): Uint8Array {
    if (this.#end - LENGTH_BYTES > FRAME_BYTES_MAX) throw new Error(`the tensors of a run exceed ${FRAME_BYTES_MAX} bytes`)
    this.#bytes.writeUInt32LE(this.#end - LENGTH_BYTES, 0)
    return this.#bytes.subarray(0, this.#end)
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

  #byte(value: number): void {
    const at = this.#reserve(1)
    this.#bytes[at] = value
  }

  #count(value: number): void {
    const at = this.#reserve(4)
    this.#bytes.writeUInt32LE(value, at)
  }

  #number(value: number): void {
    const at = this.#reserve(8)
    this.#bytes.writeDoubleLE(value, at)
  }

  #text(text: string): void {
    const length = Buffer.byteLength(text)
    this.#count(length)
    const at = this.#reserve(length)
    this.#bytes.write(text, at, length, 'utf8')
  }

  #strings(texts: readonly string[] | undefined): void {
    this.#byte(texts === undefined ? 0 : 1)
    if (texts === undefined) return
    this.#count(texts.length)
    for (const text of texts) this.#text(text)
  }

  #tensors(tensors: readonly Tensor[], store: StoreBytes): void {
    this.#count(tensors.length)
    for (const tensor of tensors) this.#tensor(tensor, store)
  }

  #tensor({ datatype, shape, data }: Tensor, store: StoreBytes): void {
    if (shape.length > DIMENSIONS_MAX)
      throw new Error(`a tensor has ${shape.length} dimensions; at most ${DIMENSIONS_MAX} can be sent`)
    this.#byte(CODES.get(datatype) ?? 0)
    this.#byte(shape.length)
    for (const size of shape) this.#number(size)
    if (!ArrayBuffer.isView(data)) {
      this.#count(data.length)
      for (const text of data) this.#text(text)
      return
    }
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    const offset = store(bytes)
    this.#number(offset ?? -1)
    if (offset !== undefined) return
    const at = this.#reserve(bytes.length)
    this.#bytes.set(bytes, at)
  }
}

/** Reads one frame, without its length; what does not add up is thrown as an error, never read beyond the frame. */
export class FrameReader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #at = 0
  readonly kind: FrameKind

  constructor(frame: Uint8Array) {
    this.#bytes = frame
    this.#view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength)
    this.kind = KINDS[this.#byte()] ?? fault('a frame of an unknown kind')
  }

  control(): unknown {
    const message: unknown = JSON.parse(this.#text())
    this.#finish()
    return message
  }

  run(readBytes: (lane: number) => ReadBytes): RunFrame {
    const lane = this.#byte()
    const outputs = this.#strings()
    const inputs = this.#tensors(readBytes(lane))
    this.#finish()
    return { inputs, outputs, lane }
  }

  result(readBytes: ReadBytes): ResultFrame {
    const timing = { inputNs: this.#number(), inferNs: this.#number(), outputNs: this.#number() }
    const outputs = this.#tensors(readBytes)
    this.#finish()
    return { outputs, timing }
  }

  #finish(): void {
    if (this.#at !== this.#bytes.length) fault('a frame is longer than what it holds')
  }

  #take(count: number): number {
    const begin = this.#at
    if (count < 0 || count > this.#bytes.length - begin) return fault('a frame ends early')
    this.#at = begin + count
    return begin
  }

  #byte(): number {
    const at = this.#take(1)
    return this.#view.getUint8(at)
  }

  #count(): number {
    const at = this.#take(4)
    return this.#view.getUint32(at, true)
  }

  #number(): number {
    const at = this.#take(8)
    return this.#view.getFloat64(at, true)
  }

  #text(): string {
    const length = this.#count()
    const at = this.#take(length)
    return Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset + at, length).toString('utf8')
  }

  #strings(): readonly string[] | undefined {
    if (this.#byte() === 0) return undefined
    return this.#list(() => this.#text())
  }

  #tensors(readBytes: ReadBytes): readonly Tensor[] {
    return this.#list(() => this.#tensor(readBytes))
  }

  /** Every item takes a byte at least, so a count that the frame cannot hold is known before memory is taken for it. */
  #list<T>(read: () => T): readonly T[] {
    const count = this.#count()
    if (count > this.#bytes.length - this.#at) return fault('a frame ends early')
    const items: T[] = []
    for (let index = 0; index < count; index += 1) items.push(read())
    return items
  }

  #tensor(readBytes: ReadBytes): Tensor {
    const datatype = NAMES[this.#byte()] ?? fault('a tensor of an unknown datatype')
    const rank = this.#byte()
    const shape: number[] = []
    for (let index = 0; index < rank; index += 1) shape.push(this.#dimension())
    const elements = shape.reduce((count, dimension) => count * dimension, 1)
    const size = elementBytes(datatype)
    if (size === undefined) {
      const texts = this.#list(() => this.#text())
      if (texts.length !== elements) fault('a tensor has not the elements of its shape')
      return { datatype, shape, data: texts }
    }
    const length = elements * size
    const offset = this.#number()
    return { datatype, shape, data: viewOf(datatype, offset < 0 ? this.#inline(length) : readBytes(offset, length)) }
  }

  #dimension(): number {
    const size = this.#number()
    return Number.isSafeInteger(size) && size >= 0 ? size : fault('a tensor with a dimension that is no size')
  }

  /** A copy: in the frame it may begin anywhere. */
  #inline(length: number): Uint8Array {
    const at = this.#take(length)
    return new Uint8Array(this.#bytes.subarray(at, at + length))
  }
}

function viewOf(datatype: Datatype, bytes: Uint8Array): TensorData {
  const facts = DATATYPES[datatype]
  if (facts.kind === 'boolean' || facts.kind === 'text') return bytes
  const { buffer, byteOffset, byteLength } = bytes
  if (byteOffset % ALIGNMENT !== 0) fault('a tensor that is not aligned')
  return new facts.array(buffer, byteOffset, byteLength / facts.array.BYTES_PER_ELEMENT)
}

/** Puts the pieces that a socket gives together to frames, each without its length. */
export class FrameAssembler {
  #pieces: Uint8Array[] = []
  #length = 0

  /**
   * Takes the next piece and hands over each frame that is whole: a view, valid until `use` returns.
   * @throws Error where a length is over `FRAME_BYTES_MAX`
   */
  push(piece: Uint8Array, use: (frame: Uint8Array) => void): void {
    let rest = this.#length === 0 ? piece : this.#joined(piece)
    while (rest !== undefined && rest.length >= LENGTH_BYTES) {
      const end = LENGTH_BYTES + lengthOf(rest)
      if (rest.length < end) break
      use(rest.subarray(LENGTH_BYTES, end))
      rest = rest.subarray(end)
    }
    if (rest === undefined) return
    this.#pieces = rest.length === 0 ? [] : [rest]
    this.#length = rest.length
  }

  /** All pieces in one, once they hold the next frame; undefined before. */
  #joined(piece: Uint8Array): Uint8Array | undefined {
    this.#pieces.push(piece)
    this.#length += piece.length
    const [first] = this.#pieces
    if (first !== undefined && first.length >= LENGTH_BYTES && this.#length < LENGTH_BYTES + lengthOf(first)) return undefined
    return Buffer.concat(this.#pieces, this.#length)
  }
}

function lengthOf(bytes: Uint8Array): number {
  const length = new DataView(bytes.buffer, bytes.byteOffset, LENGTH_BYTES).getUint32(0, true)
  return length > FRAME_BYTES_MAX ? fault('a frame is too long') : length
}

function fault(what: string): never {
  throw new Error(`the instance process protocol was broken: ${what}`)
}
