import { closeSync, constants, ftruncateSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Runs of one instance that may use exchange files at once: the one that it computes, and the one that it was given ahead. */
export const LANES = 2
/** A tensor smaller than this goes through the socket: a file would cost two calls of the system more. */
const STORED_BYTES_MIN = 32 * 1024
/** What one run may put into its exchange file; the rest goes through the socket. */
export const EXCHANGE_BYTES = 256 * 1024 * 1024
/** A file that held more than this gives its memory back after the run. */
const KEPT_BYTES = 16 * 1024 * 1024
/** Where tensors begin: a cache line. */
const ALIGNMENT = 64
const SHARED_MEMORY = '/dev/shm'

/**
 * A file without a name in memory, through which large tensors go from one process to the other. Only `read` and `write` touch it on
 * the server's side: where memory runs out, they fail and the tensor goes through the socket, while a mapped page would end the process.
 */
export class ExchangeFile {
  readonly descriptor: number
  #end = 0
  /** The most that it held since it was emptied. */
  #high = 0

  constructor(descriptor: number) {
    this.descriptor = descriptor
  }

  /** Begins a run: what was in it is gone. */
  begin(): void {
    this.#end = 0
  }

  /** Where the bytes are in the file; undefined where they are few, or do not fit. */
  readonly store = (bytes: Uint8Array): number | undefined => {
    const begin = this.#end
    if (bytes.length < STORED_BYTES_MIN || begin + bytes.length > EXCHANGE_BYTES) return undefined
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(this.descriptor, bytes, at, bytes.length - at, begin + at)
    } catch (error) {
      // The memory file system is full, or there is none: the socket has no such limit.
      if ((error as NodeJS.ErrnoException).code !== 'EBADF') this.#high = Math.max(this.#high, begin + bytes.length)
      return undefined
    }
    this.#end = Math.ceil((begin + bytes.length) / ALIGNMENT) * ALIGNMENT
    this.#high = Math.max(this.#high, this.#end)
    return begin
  }

  /** A copy of bytes that the other side has put there. */
  readonly readBytes = (offset: number, length: number): Uint8Array => {
    if (!Number.isSafeInteger(offset) || offset + length > EXCHANGE_BYTES)
      throw new Error('a tensor is outside of its exchange file')
    // Not cleared first: each byte of it is written below, or none of it is given.
    const bytes = new Uint8Array(Buffer.allocUnsafeSlow(length).buffer)
    for (let at = 0; at < length; ) {
      const count = readSync(this.descriptor, bytes, at, length - at, offset + at)
      if (count === 0) throw new Error('a tensor is outside of its exchange file')
      at += count
    }
    this.#high = Math.max(this.#high, offset + length)
    return bytes
  }

  /** Frees the memory that it holds: all of it, or what exceeds 16 MiB. No run may be using it. */
  release(keep: 'little' | 'nothing'): void {
    if (this.#high <= (keep === 'little' ? KEPT_BYTES : 0)) return
    ftruncateSync(this.descriptor, 0)
    ftruncateSync(this.descriptor, EXCHANGE_BYTES)
    this.#high = 0
  }

  close(): void {
    closeSync(this.descriptor)
  }
}

/**
 * Makes an exchange file. Where the system has no place for one, such as on a read-only root without /dev/shm, it is one that takes nothing:
 * every tensor then goes through the socket.
 */
export function createExchangeFile(): ExchangeFile {
  let descriptor: number
  try {
    descriptor = openNameless()
  } catch {
    descriptor = openSync(process.execPath, constants.O_RDONLY)
  }
  return new ExchangeFile(descriptor)
}

/** O_TMPFILE of Linux, without O_DIRECTORY, which differs between processors and belongs to it. */
const TMPFILE = 0o20000000

/**
 * Opens a file in memory that has no name; it is gone with the last process that has it open, whatever ends that.
 * @throws Error where no folder takes one
 */
export function openNameless(): number {
  const descriptor = openWithoutName() ?? openAndRemove()
  try {
    ftruncateSync(descriptor, EXCHANGE_BYTES)
    return descriptor
  } catch (error) {
    closeSync(descriptor)
    throw error
  }
}

function openWithoutName(): number | undefined {
  if (process.platform !== 'linux') return undefined
  for (const folder of [SHARED_MEMORY, tmpdir()]) {
    try {
      return openSync(folder, constants.O_RDWR | constants.O_DIRECTORY | TMPFILE, 0o600)
    } catch {
      // Not there, or a file system without such files.
    }
  }
  return undefined
}

function openAndRemove(): number {
  const folder = mkdtempSync(join(tmpdir(), 'vestal-exchange-'))
  try {
    return openSync(join(folder, 'file'), constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
