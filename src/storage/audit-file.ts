import { appendFileSync, closeSync, mkdirSync, openSync, renameSync, rmSync, statSync } from 'node:fs'
import { dirname } from 'node:path'

export interface AuditFileOptions {
  readonly path: string
  /** Bytes at which the file is put aside and another begun; default 16 MiB. */
  readonly bytesMax?: number
  /** Files put aside that are kept; default 5. */
  readonly filesMax?: number
}

/** Rotating files takes no time: a process that holds the lock for so long was killed. */
const LOCK_MS_MAX = 10_000

/**
 * Prepares a file of lines that only its owner may read. A line is with the operating system when this returns: a process that is
 * killed loses none.
 */
export function createAuditFile({ path, bytesMax = 16 * 1024 * 1024, filesMax = 5 }: AuditFileOptions): (line: string) => void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  closeSync(openSync(path, 'a', 0o600))
  const isFull = (line: string) => (statSync(path, { throwIfNoEntry: false })?.size ?? 0) + line.length > bytesMax
  return (line) => {
    // Asked of the file each time: another process may write it, or have put it aside.
    if (isFull(line)) {
      // Where another is at it, the line goes where the file is now.
      whileLocked(`${path}.lock`, () => {
        if (isFull(line)) putAside(path, filesMax)
      })
    }
    appendFileSync(path, `${line}\n`, { mode: 0o600 })
  }
}

/** Does work unless another process does the same: two that renamed at once would write over each other's files. */
function whileLocked(lock: string, work: () => void): void {
  if (!isLocked(lock)) return
  try {
    work()
  } finally {
    rmSync(lock, { force: true })
  }
}

function isLocked(lock: string): boolean {
  try {
    closeSync(openSync(lock, 'wx', 0o600))
    return true
  } catch {
    // Another process holds it, or nothing can be written here, which the write of the line will report.
    const madeMs = statSync(lock, { throwIfNoEntry: false })?.mtimeMs
    if (madeMs !== undefined && Date.now() - madeMs > LOCK_MS_MAX) rmSync(lock, { force: true })
    return false
  }
}

function putAside(path: string, filesMax: number): void {
  for (let number = filesMax - 1; number >= 0; number -= 1) {
    const from = number === 0 ? path : `${path}.${number}`
    if (statSync(from, { throwIfNoEntry: false }) !== undefined) renameSync(from, `${path}.${number + 1}`)
  }
}
