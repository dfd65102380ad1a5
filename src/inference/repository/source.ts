import { closeSync, type Dirent, fstatSync, lstatSync, openSync, readdirSync, readSync, statSync } from 'node:fs'
import { join } from 'node:path'

/** What stands under a name: a folder, something else, nothing, or something that gives no answer. */
export type Standing = 'folder' | 'other' | 'nothing' | 'unreadable'

/** The entries of a folder, or why it cannot be read; `ENOENT` where it is not there. */
export type Listing = { readonly entries: readonly Dirent[] } | { readonly fault: string }

/** Lists a folder. */
export function listing(directory: string): Listing {
  try {
    return { entries: readdirSync(directory, { withFileTypes: true }) }
  } catch (error) {
    return { fault: errorCode(error) }
  }
}

/** What an entry of a folder is. A link to a folder counts as one; a link to nowhere is there, and cannot be read. */
export function standingOf(parent: string, entry: Dirent): Standing {
  if (entry.isDirectory()) return 'folder'
  return entry.isSymbolicLink() ? standingAt(join(parent, entry.name)) : 'other'
}

/** What stands at a path. */
export function standingAt(path: string): Standing {
  try {
    return statSync(path).isDirectory() ? 'folder' : 'other'
  } catch (error) {
    return errorCode(error) === 'ENOENT' && !isLink(path) ? 'nothing' : 'unreadable'
  }
}

/** The first bytes of a file. @throws Error where it cannot be read, or is no file */
export function headOf(path: string, length: number): Buffer {
  return withFile(path, (_, readAt) => readAt(0, length))
}

/** Reads parts of a file. @throws Error where it cannot be read, or is no file */
export function withFile<T>(path: string, work: (size: number, readAt: (offset: number, length: number) => Buffer) => T): T {
  // A pipe would be waited for, and a device may have no end.
  const stat = statSync(path)
  if (stat.isDirectory()) throw Object.assign(new Error('it is a folder'), { code: 'EISDIR' })
  if (!stat.isFile()) throw new Error('it is a pipe, a socket or a device')
  const descriptor = openSync(path, 'r')
  try {
    return work(fstatSync(descriptor).size, (offset, length) => {
      const bytes = Buffer.alloc(length)
      return bytes.subarray(0, readSync(descriptor, bytes, 0, length, offset))
    })
  } finally {
    closeSync(descriptor)
  }
}

/** The name that the system has for what went wrong with a file, such as `EACCES`. */
export function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
}

/** True also where it is unknown. */
function isLink(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined
  } catch {
    // What gives no answer may be there.
    return true
  }
}
