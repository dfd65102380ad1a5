import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A file system of two megabytes of a test's own, which can be filled, emptied and write-protected. */
export interface SmallDisk extends Disposable {
  readonly folder: string
  /** Leaves no byte. */
  fill(): void
  /** Takes that back. */
  empty(): void
  protect(isProtected: boolean): void
}

const FILLER = 'filler'

/** Mounts one; undefined, with a message, where this machine does not let us. */
export function mountSmallDisk(): SmallDisk | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'vestal-disk-'))
  const run = (...command: readonly string[]) => Bun.spawnSync([...command], { stderr: 'ignore' }).exitCode === 0
  if (Bun.which('mount') === null || !run('mount', '-t', 'tmpfs', '-o', 'size=2m,mode=700', 'tmpfs', folder)) {
    rmSync(folder, { recursive: true })
    console.warn('skipped: file systems cannot be mounted here')
    return undefined
  }
  return {
    folder,
    fill() {
      const file = openSync(join(folder, FILLER), 'a')
      const block = Buffer.alloc(4096)
      try {
        while (writeSync(file, block) > 0);
      } catch {
        // It is full, as it should be.
      } finally {
        closeSync(file)
      }
    },
    empty() {
      const file = openSync(join(folder, FILLER), 'a')
      ftruncateSync(file)
      closeSync(file)
    },
    protect(isProtected) {
      if (!run('mount', '-o', `remount,${isProtected ? 'ro' : 'rw'}`, folder)) throw new Error('it could not be mounted again')
    },
    [Symbol.dispose]() {
      run('umount', '-l', folder)
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
