import { closeSync, fchownSync, fsyncSync, openSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

/**
 * Replaces a file's text at once: a reader sees the old text or the new one, and so does the next start after the power fails.
 * Only one writer at a time, which is what `withFileLock` is for. The mode is 600, and the owner stays who it was.
 */
export function writeWhole(path: string, text: string): void {
  const temporary = `${path}.tmp`
  const before = statSync(path, { throwIfNoEntry: false })
  // What a writer left behind that was killed.
  rmSync(temporary, { force: true })
  const file = openSync(temporary, 'wx', 0o600)
  try {
    if (before !== undefined && (before.uid !== process.getuid?.() || before.gid !== process.getgid?.()))
      fchownSync(file, before.uid, before.gid)
    writeFileSync(file, text)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  renameSync(temporary, path)
  syncFolder(dirname(path))
}

/** The new name is safe only once the folder is. Windows has no way to ask for it. */
function syncFolder(folder: string): void {
  if (process.platform === 'win32') return
  const handle = openSync(folder, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}
