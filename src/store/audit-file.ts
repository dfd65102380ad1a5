import { appendFileSync, closeSync, mkdirSync, openSync, renameSync, statSync } from 'node:fs'
import { dirname } from 'node:path'

export interface AuditFileOptions {
  readonly path: string
  /** Bytes at which the file is put aside and another begun; default 16 MiB. */
  readonly bytesMax?: number
  /** Files put aside that are kept; default 5. */
  readonly filesMax?: number
}

/**
 * Prepares a file of lines that nobody but its owner may read. A line is with the operating system when this returns: a process that is
 * killed loses none.
 */
export function createAuditFile({ path, bytesMax = 16 * 1024 * 1024, filesMax = 5 }: AuditFileOptions): (line: string) => void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  closeSync(openSync(path, 'a', 0o600))
  return (line) => {
    // Asked of the file each time: another process may write it, or have put it aside.
    if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) + line.length > bytesMax) putAside(path, filesMax)
    appendFileSync(path, `${line}\n`, { mode: 0o600 })
  }
}

function putAside(path: string, filesMax: number): void {
  for (let number = filesMax - 1; number >= 0; number -= 1) {
    const from = number === 0 ? path : `${path}.${number}`
    if (statSync(from, { throwIfNoEntry: false }) !== undefined) renameSync(from, `${path}.${number + 1}`)
  }
}
