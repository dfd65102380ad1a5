import { readFileSync } from 'node:fs'

/** What the elements of lists become. */
export type FloatArray = Float32Array<ArrayBuffer> | Float64Array<ArrayBuffer>

/** A long list of numbers in a JSON text, flat or nested, all of whose lists of a level are as long as each other. */
export interface FoundList {
  /** Where it begins and ends in the text. */
  readonly begin: number
  readonly end: number
  readonly shape: readonly number[]
  /** In row-major order. */
  readonly data: FloatArray
}

interface Exports {
  readonly memory: WebAssembly.Memory
  readonly input: () => number
  readonly input_bytes: () => number
  readonly output: () => number
  readonly output_bytes: () => number
  readonly state: () => number
  readonly begin: (isDouble: number) => void
  readonly read: (from: number, length: number) => number
  readonly written_shape: () => number
  readonly written_max: () => number
  readonly begin_write: (kind: number, rank: number, isQuoted: number) => void
  readonly write: (count: number) => number
}

/** Dimensions of a tensor that is written, at most. */
export const WRITTEN_RANK_MAX = 16
/** Arrays whose elements are written, by the module's number of them. */
const WRITTEN = [
  ...[Float32Array, Float64Array, Int8Array, Uint8Array, Int16Array, Uint16Array, Int32Array, Uint32Array],
  ...[BigInt64Array, BigUint64Array],
] as const
export type WrittenArray = InstanceType<(typeof WRITTEN)[number]>

/** What `read` of the module answers; it needs the next window otherwise. */
const LIST = 1
const UNUSUAL = 2
/** The module's state: five numbers and the dimensions. */
const STATE_LENGTH = 5 + 16

let loaded: { readonly numbers: NumberLists | undefined } | undefined

/**
 * The module that comes with this package, compiled at first use and kept: one instance a thread. Undefined in a program that was bundled without
 * the file: numbers are then read and written one by one.
 */
export function bundledNumbers(): NumberLists | undefined {
  loaded ??= { numbers: load(new URL('./numbers.wasm', import.meta.url)) }
  return loaded.numbers
}

function load(file: URL): NumberLists | undefined {
  try {
    return new NumberLists(new WebAssembly.Module(readFileSync(file)))
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

/** One instance of the module. It works synchronously, on the thread that calls it, in memory of a fixed size. */
class NumberLists {
  readonly #exports: Exports
  readonly #input: Uint8Array
  readonly #state: Uint32Array

  constructor(module: WebAssembly.Module) {
    // The cast: the module is built from crate/numbers.
    this.#exports = new WebAssembly.Instance(module, {}).exports as unknown as Exports
    const { memory, input, input_bytes, state } = this.#exports
    this.#input = new Uint8Array(memory.buffer, input(), input_bytes())
    this.#state = new Uint32Array(memory.buffer, state(), STATE_LENGTH)
  }

  /**
   * The long lists of numbers in a JSON text, in their order. FP32 gives the float nearest to the double that `JSON.parse` gives. The rest of the
   * text is not checked. Undefined where a list has something else beside numbers, lists of different lengths, a number that is no JSON, or one
   * beyond the largest float.
   */
  find(text: Uint8Array, kind: 'FP32' | 'FP64'): readonly FoundList[] | undefined {
    const { memory, output, begin, read } = this.#exports
    const lists: FoundList[] = []
    let list = new Elements(kind, -1)
    let [next, length, from] = [0, 0, 0]
    begin(kind === 'FP64' ? 1 : 0)
    for (;;) {
      const piece = text.subarray(next, next + this.#input.length - length)
      this.#input.set(piece, length)
      next += piece.length
      length += piece.length
      const answer = read(from, length)
      const [consumed = 0, count = 0, listBegin = 0, listEnd = 0, rank = 0] = this.#state
      if (answer === UNUSUAL) return undefined
      // What came before was of a list that turned out to be short.
      if (listBegin !== list.begin) list = new Elements(kind, listBegin)
      const isWhole = answer === LIST
      const position = next - length + consumed
      list.add(new list.Array(memory.buffer, output(), count), { position, left: isWhole ? 0 : text.length - position })
      if (isWhole) {
        lists.push({ begin: listBegin, end: listEnd, shape: [...this.#state.subarray(5, 5 + rank)], data: list.end() })
        from = consumed
        continue
      }
      if (next === text.length) return lists
      // A number that fills a window.
      if (consumed === 0) return undefined
      this.#input.copyWithin(0, consumed, length)
      length -= consumed
      from = 0
    }
  }

  /**
   * Writes elements in row-major order as lists of JSON in lists, each number as JavaScript has it: of an FP32 the shortest decimal that reads back
   * as it. NaN and infinities are texts, or words without quotes.
   * @param shape at least one dimension, at most 16, and none of 0
   */
  write(data: WrittenArray, shape: readonly number[], notFinite: 'texts' | 'bare'): string {
    const { memory, output, written_shape, written_max, begin_write, write } = this.#exports
    new Uint32Array(memory.buffer, written_shape(), WRITTEN_RANK_MAX).set(shape)
    const kind = WRITTEN.findIndex((array) => data instanceof array)
    begin_write(kind, shape.length, notFinite === 'texts' ? 1 : 0)
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    const most = written_max()
    const written = Buffer.from(memory.buffer, output(), this.#exports.output_bytes())
    let text = ''
    for (let from = 0; from < data.length; from += most) {
      const count = Math.min(most, data.length - from)
      this.#input.set(bytes.subarray(from * data.BYTES_PER_ELEMENT, (from + count) * data.BYTES_PER_ELEMENT))
      text += written.toString('latin1', 0, write(count))
    }
    return text
  }
}

/** The elements of a list that is being read. */
class Elements {
  /** Where the list begins in the text. */
  readonly begin: number
  readonly Array: Float32ArrayConstructor | Float64ArrayConstructor
  #data: FloatArray
  #length = 0

  constructor(kind: 'FP32' | 'FP64', begin: number) {
    this.begin = begin
    this.Array = kind === 'FP32' ? Float32Array : Float64Array
    this.#data = new this.Array(0)
  }

  /**
   * @param position how much of the text was read
   * @param left how much of the text may be more of the list: its numbers are as long as those before, and at least two bytes
   */
  add(elements: FloatArray, { position, left }: { readonly position: number; readonly left: number }): void {
    if (elements.length === 0) return
    const length = this.#length + elements.length
    if (length > this.#data.length) {
      const more = Math.min(left / 2, ((left * length) / (position - this.begin)) * 1.02)
      this.#resize(length + Math.ceil(more))
    }
    this.#data.set(elements, this.#length)
    this.#length = length
  }

  end(): FloatArray {
    if (this.#data.length !== this.#length) this.#resize(this.#length)
    return this.#data
  }

  #resize(length: number): void {
    this.#data = new this.Array(this.#data.buffer.transfer(length * this.Array.BYTES_PER_ELEMENT))
  }
}
