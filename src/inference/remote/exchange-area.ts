import { closeSync, ftruncateSync } from 'node:fs'
import { broken, type ReadBytes } from '../../processes/frames.ts'
import { readAll, writeAll } from '../../processes/nameless-file.ts'

/** A tensor smaller than this goes through the socket: a file would cost two calls of the system more. */
export const STORED_BYTES_MIN = 64 * 1024
/** What the requests of one direction may have in their area at once; the rest goes through the socket. */
export const AREA_BYTES = 256 * 1024 * 1024
/** An area that held more than this gives its memory back as soon as nothing is in it. */
const KEPT_BYTES = 16 * 1024 * 1024
/** Where tensors begin: a cache line. */
const ALIGNMENT = 64

/** A piece of the area that holds one tensor until the other side has read it. */
interface Block {
  readonly begin: number
  readonly end: number
}

/** The tensors of one message in the area. */
export type Blocks = readonly Block[]

const NONE: Blocks = []

/**
 * A file without a name in memory that one process writes tensors into and another reads them from. Only `read` and `write` touch it:
 * where memory runs out they fail and the tensor goes through the socket, while a mapped page would end the process.
 */
export class ExchangeArea {
  readonly #descriptor: number | undefined
  /** What is in use, by its place. */
  readonly #blocks: Block[] = []
  #own: Block[] = []
  /** The most that it held since it was emptied. */
  #high = 0

  /** `descriptor` is the writer's; without one, every tensor goes through the socket. */
  constructor(descriptor: number | undefined) {
    this.#descriptor = descriptor
  }

  /** Where the bytes are in the file; undefined where they are few, or do not fit. */
  readonly store = (bytes: Uint8Array): number | undefined => {
    if (bytes.length < STORED_BYTES_MIN || this.#descriptor === undefined) return undefined
    const begin = this.#placeFor(bytes.length)
    if (begin === undefined) return undefined
    const end = begin + bytes.length
    this.#high = Math.max(this.#high, end)
    try {
      writeAll(this.#descriptor, bytes, begin)
    } catch {
      // The memory file system is full: the socket has no such limit. What was written of it is given back.
      ftruncateSync(this.#descriptor, this.#blocks.at(-1)?.end ?? 0)
      return undefined
    }
    const block = { begin, end }
    this.#blocks.push(block)
    this.#blocks.sort((one, other) => one.begin - other.begin)
    this.#own.push(block)
    return begin
  }

  /** What was stored since the last call: it is one message's. */
  taken(): Blocks {
    if (this.#own.length === 0) return NONE
    const own = this.#own
    this.#own = []
    return own
  }

  /** The other side has read what is there. */
  free(blocks: Blocks): void {
    for (const block of blocks) {
      const at = this.#blocks.indexOf(block)
      if (at !== -1) this.#blocks.splice(at, 1)
    }
    if (blocks.length > 0 && this.#high > KEPT_BYTES) this.#release()
  }

  /** Gives its memory back where nothing is in it. */
  rest(): void {
    if (this.#high > 0) this.#release()
  }

  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor)
  }

  /** The first gap that is large enough: what is low stays in use, so that little memory does. */
  #placeFor(length: number): number | undefined {
    let begin = 0
    for (const block of this.#blocks) {
      if (block.begin - begin >= length) return begin
      begin = Math.ceil(block.end / ALIGNMENT) * ALIGNMENT
    }
    return begin + length <= AREA_BYTES ? begin : undefined
  }

  #release(): void {
    if (this.#blocks.length > 0 || this.#descriptor === undefined) return
    ftruncateSync(this.#descriptor, 0)
    this.#high = 0
  }
}

/** Reads copies of what the other side has put into its area. */
export class AreaReader {
  readonly #descriptor: number | undefined
  /** How often it was read from. */
  reads = 0

  constructor(descriptor: number | undefined) {
    this.#descriptor = descriptor
  }

  readonly read: ReadBytes = (offset, length) => {
    const descriptor = this.#descriptor
    if (descriptor === undefined || !Number.isSafeInteger(offset) || offset + length > AREA_BYTES)
      return broken('a tensor is outside of its area')
    this.reads += 1
    return readAll(descriptor, offset, length) ?? broken('a tensor is outside of its area')
  }

  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor)
  }
}
