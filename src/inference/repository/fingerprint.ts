import { readdirSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { standingAt } from './source.ts'

/** Files of one model that are looked at; what is beyond them is not noticed when it changes. */
const FILES_MAX = 4096
const DEPTH_MAX = 3

/** A text that changes when a file of the folder is added, taken away or written; undefined where the folder cannot be read. */
export function fingerprintOf(folder: string): string | undefined {
  const lines: string[] = []
  try {
    walk(folder, '', 0, lines)
  } catch {
    // A file was removed while it was read, or the disk does not answer: the next check decides.
    return undefined
  }
  return lines.sort().join('\n')
}

/**
 * Returns a function that says whether files of a version have changed since now: its model's, and where that is in a folder of the version's own
 * all others there, which may hold its weights. A missing file has not changed: reading it reports that.
 */
export function watchFiles(path: string, isAlone: boolean): () => boolean {
  const folder = dirname(path)
  const files = isAlone ? [basename(path)] : [...new Set([basename(path), ...namesIn(folder)])]
  const before = files.map((file) => stampOf(join(folder, file)))
  return () =>
    files.some((file, index) => {
      const now = stampOf(join(folder, file))
      return now !== undefined && now !== before[index]
    })
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder).slice(0, FILES_MAX)
  } catch {
    // The load says what is wrong.
    return []
  }
}

function stampOf(path: string): string | undefined {
  try {
    const stat = statSync(path, { throwIfNoEntry: false })
    return stat?.isFile() === true ? `${stat.size} ${stat.mtimeMs} ${stat.ino}` : undefined
  } catch {
    // The disk gives no answer, which is no change.
    return undefined
  }
}

function walk(folder: string, path: string, depth: number, lines: string[]): void {
  for (const entry of readdirSync(join(folder, path))) {
    if (lines.length >= FILES_MAX) return
    const own = join(path, entry)
    const stat = statSync(join(folder, own), { throwIfNoEntry: false })
    if (stat === undefined) {
      // A link to nowhere changes nothing of the others; a file that went away this moment does.
      if (standingAt(join(folder, own)) === 'nothing') throw new Error(`${own} is gone`)
      lines.push(`${own} leads nowhere`)
      continue
    }
    if (!stat.isDirectory()) lines.push(`${own} ${stat.size} ${stat.mtimeMs} ${stat.ino}`)
    else if (depth < DEPTH_MAX) walk(folder, own, depth + 1, lines)
  }
}
