import { closeSync, constants, ftruncateSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const SHARED_MEMORY = '/dev/shm'
/** O_TMPFILE of Linux, without O_DIRECTORY, which differs between processors and belongs to it. */
const TMPFILE = 0o20000000

/**
 * Opens a file in memory of that length that has no name; it is gone with the last process that has it open, whatever ends that.
 * @throws Error where no folder takes one
 */
export function openNameless(length: number): number {
  const descriptor = openWithoutName() ?? openAndRemove()
  try {
    ftruncateSync(descriptor, length)
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

/** Writes all of the bytes at a place of a file. @throws what the system says, with a part of them written */
export function writeAll(descriptor: number, bytes: Uint8Array, offset: number): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at, bytes.length - at, offset + at)
}

/** A copy of the bytes at a place of a file; undefined where the file ends before. */
export function readAll(descriptor: number, offset: number, length: number): Uint8Array | undefined {
  // Not cleared first: each byte of it is written below, or none of it is given.
  const bytes = new Uint8Array(Buffer.allocUnsafeSlow(length).buffer)
  for (let at = 0; at < length; ) {
    const count = readSync(descriptor, bytes, at, length - at, offset + at)
    if (count === 0) return undefined
    at += count
  }
  return bytes
}
