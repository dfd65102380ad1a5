import { type FSWatcher, statSync, watch } from 'node:fs'
import { dirname } from 'node:path'

export interface WatchFileOptions {
  /** Milliseconds between two checks of the file, where the system reports no change; default 1000. */
  readonly pollMs?: number
}

const POLL_MS = 1000
/** Others write into the folder too, a database among them: many events are one look. */
const GATHER_MS = 20

/**
 * Calls back at each change of a file, and at each poll, with whether it changed. The folder is watched and not the file, because a file that is
 * replaced is another one; the poll is for file systems that report no changes. It keeps no process alive.
 * @returns how to stop
 */
export function watchFile(
  path: string,
  onLook: (isChanged: boolean) => void,
  { pollMs = POLL_MS }: WatchFileOptions,
): () => void {
  let seen = identityOf(path)
  const look = () => {
    const now = identityOf(path)
    const isChanged = now !== seen
    seen = now
    onLook(isChanged)
  }
  let gathering: ReturnType<typeof setTimeout> | undefined
  const lookSoon = () => {
    gathering ??= setTimeout(() => {
      gathering = undefined
      look()
    }, GATHER_MS)
    gathering.unref()
  }
  const watcher = watchFolder(dirname(path), lookSoon)
  const timer = setInterval(look, pollMs)
  timer.unref()
  return () => {
    clearInterval(timer)
    clearTimeout(gathering)
    watcher?.close()
  }
}

/** What is different after every change: a file that is replaced is another, and one that is written has another time. */
function identityOf(path: string): string {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false })
  return stat === undefined ? 'none' : `${stat.dev}:${stat.ino}:${stat.size}:${stat.mtimeNs}:${stat.ctimeNs}`
}

function watchFolder(folder: string, look: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(folder, { persistent: false }, look)
    // A folder that is gone or cannot be watched any more: the poll continues.
    watcher.on('error', () => watcher.close())
    return watcher
  } catch {
    // No more watches, or a file system without them: the poll is enough.
    return undefined
  }
}
