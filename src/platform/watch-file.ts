import { type FSWatcher, watch } from 'node:fs'
import { dirname } from 'node:path'
import { fileIdentity } from './small-file.ts'

export interface WatchFileOptions {
  /** Milliseconds between two checks of the file, where the system reports no change; default 1000. */
  readonly pollMs?: number
}

const POLL_MS = 1000
/** Others write into the folder too, a database among them: many events are one look. A file is read once it has stayed as it is for so long. */
const GATHER_MS = 20

/**
 * Calls back after each change of a file, and at each poll, with whether it changed. A file that is being written is looked at again until it stays the
 * same, since half of it may be valid and mean something else. The folder is watched and not the file, because a file that is
 * replaced is another one; the poll is for file systems that report no changes. It keeps no process alive.
 * @returns how to stop
 */
export function watchFile(
  path: string,
  onLook: (isChanged: boolean) => void,
  { pollMs = POLL_MS }: WatchFileOptions,
): () => void {
  let seen = fileIdentity(path)
  let reported = seen
  const look = () => {
    const now = fileIdentity(path)
    const isSettled = now === seen
    seen = now
    if (!isSettled) lookSoon()
    const isChanged = isSettled && now !== reported
    if (isChanged) reported = now
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
