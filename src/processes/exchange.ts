import { closeSync, constants, ftruncateSync, openSync, readFileSync } from 'node:fs'
import { createSealedMemory, freeMemory } from '../platform/c-library.ts'
import { openNameless, readAll, writeAll } from './nameless-file.ts'

/** A tensor smaller than this goes through the socket: a file would cost two calls of the system more. */
const STORED_BYTES_MIN = 32 * 1024
/** The same where the file is mapped, which costs no call. */
const MAPPED_BYTES_MIN = 4 * 1024
/** What one run may put into its exchange file; the rest goes through the socket. */
export const EXCHANGE_BYTES = 256 * 1024 * 1024
/** A file that held more than this gives its memory back after the run; what is beyond it is not mapped. */
const KEPT_BYTES = 16 * 1024 * 1024
/** Mappings grow in powers of two from this on: the collector counts them as memory in use. */
const FIRST_MAPPING_BYTES = 64 * 1024
/** Where tensors begin: a cache line. */
const ALIGNMENT = 64

/**
 * A file without a name in memory, through which large tensors go from one process to the other. On the server's side the first bytes at a
 * place are put there by `write`, which fails where memory runs out, so that the tensor goes through the socket. Only memory that
 * is there is written through a mapping, and only where the file is sealed: a page without memory, or behind the end of a file that a
 * worker cut off, would end the process.
 */
export class ExchangeFile {
  readonly descriptor: number
  readonly #bytesMin: number
  readonly #isSealed: boolean
  #mayMap: boolean
  #mapped: Uint8Array | undefined
  #end = 0
  /** The most that it held since it was emptied. */
  #high = 0
  /** So many bytes from its beginning have memory. */
  #present = 0

  /** @param isSealed its length cannot change, so it may be mapped */
  constructor(descriptor: number, { isSealed = false } = {}) {
    this.descriptor = descriptor
    this.#isSealed = isSealed
    this.#mayMap = isSealed
    this.#bytesMin = isSealed ? MAPPED_BYTES_MIN : STORED_BYTES_MIN
  }

  /** Begins a run: what was in it is gone. */
  begin(): void {
    this.#end = 0
  }

  /** Where the bytes are in the file; undefined where they are few, or do not fit. */
  readonly store = (bytes: Uint8Array): number | undefined => {
    const begin = this.#end
    const end = begin + bytes.length
    if (bytes.length < this.#bytesMin || end > EXCHANGE_BYTES) return undefined
    const mapped = end <= this.#present ? this.#mappedTo(end) : undefined
    if (mapped !== undefined) mapped.set(bytes, begin)
    else if (!this.#write(bytes, begin)) return undefined
    this.#end = Math.ceil(end / ALIGNMENT) * ALIGNMENT
    this.#present = Math.max(this.#present, end)
    this.#high = Math.max(this.#high, this.#end)
    return begin
  }

  /** False where there is no memory for it. */
  #write(bytes: Uint8Array, begin: number): boolean {
    try {
      writeAll(this.descriptor, bytes, begin)
      return true
    } catch (error) {
      // The memory file system is full, or there is none: the socket has no such limit.
      if ((error as NodeJS.ErrnoException).code !== 'EBADF') this.#high = Math.max(this.#high, begin + bytes.length)
      return false
    }
  }

  /** Its memory up to there; undefined where it is not to be mapped. */
  #mappedTo(end: number): Uint8Array | undefined {
    if (!this.#mayMap || end > KEPT_BYTES) return undefined
    if (this.#mapped !== undefined && this.#mapped.length >= end) return this.#mapped
    try {
      const size = Math.max(FIRST_MAPPING_BYTES, 2 ** Math.ceil(Math.log2(end)))
      this.#mapped = mapFile(this.descriptor, size)
    } catch {
      // No /proc, or no room among the addresses: `write` does the same.
      this.#mayMap = false
    }
    return this.#mapped
  }

  /** A copy of bytes that the other side has put there. */
  readonly readBytes = (offset: number, length: number): Uint8Array => {
    const isInside = Number.isSafeInteger(offset) && offset + length <= EXCHANGE_BYTES
    const bytes = isInside ? readAll(this.descriptor, offset, length) : undefined
    if (bytes === undefined) throw new Error('a tensor is outside of its exchange file')
    this.#high = Math.max(this.#high, offset + length)
    return bytes
  }

  /** Frees the memory that it holds: all of it, or what exceeds 16 MiB. No run may be using it. */
  release(keep: 'little' | 'nothing'): void {
    if (this.#high <= (keep === 'little' ? KEPT_BYTES : 0)) return
    this.#mapped = undefined
    this.#present = 0
    if (this.#isSealed) freeMemory(this.descriptor, EXCHANGE_BYTES)
    else {
      ftruncateSync(this.descriptor, 0)
      ftruncateSync(this.descriptor, EXCHANGE_BYTES)
    }
    this.#high = 0
  }

  close(): void {
    this.#mapped = undefined
    closeSync(this.descriptor)
  }
}

/** Maps the beginning of a file that this process has open, as memory that it shares with others. */
export function mapFile(descriptor: number, size = EXCHANGE_BYTES): Uint8Array {
  const path = `${process.platform === 'linux' ? '/proc/self/fd' : '/dev/fd'}/${descriptor}`
  // The cast: Bun's types lack the size.
  return Bun.mmap(path, { shared: true, size } as Bun.MMapOptions)
}

/**
 * Makes an exchange file. Where the system has no sealed memory it is a file that only `write` touches; where it has no place for one, such as
 * on a read-only root without /dev/shm, it is one that takes nothing: every tensor then goes through the socket.
 */
export function createExchangeFile(): ExchangeFile {
  const sealed = openSealed()
  if (sealed !== undefined) return new ExchangeFile(sealed, { isSealed: true })
  let descriptor: number
  try {
    descriptor = openNameless(EXCHANGE_BYTES)
  } catch {
    descriptor = openSync(process.execPath, constants.O_RDONLY)
  }
  return new ExchangeFile(descriptor)
}

function openSealed(): number | undefined {
  if (process.platform !== 'linux' || isMemoryCounted()) return undefined
  try {
    return createSealedMemory(EXCHANGE_BYTES)
  } catch {
    // An older kernel, another C library, or a rule against such files.
    return undefined
  }
}

/** True where the system promises no more memory than it has (`vm.overcommit_memory` = 2): a mapped page may then lack memory at any time. */
function isMemoryCounted(): boolean {
  try {
    return readFileSync('/proc/sys/vm/overcommit_memory', 'utf8').trim() === '2'
  } catch {
    // Nothing says so: only `write` is safe.
    return true
  }
}
