import { readdirSync, statSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
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

/** What describes a model and not a version of it, and folders of versions. */
const NOT_OF_A_VERSION = /^(?:(?:model|pipeline)\.toml|config\.pbtxt|[1-9]\d{0,8}|\..*)$/

/**
 * Returns a function that says whether files of a version have changed since now: its model's, and those of its folder and of the folders
 * in that, which may hold its weights and what describes it. A missing file has not changed: reading it reports that.
 * @param own The folder of the version; absent for a single file
 */
export function watchFiles(path: string, own?: string): () => boolean {
  const folder = own ?? dirname(path)
  const inside = own === undefined ? [] : namesIn(folder).filter((name) => !NOT_OF_A_VERSION.test(name))
  const deeper = inside.flatMap((name) => namesIn(join(folder, name)).map((file) => join(name, file)))
  const files = [...new Set([relative(folder, path), ...inside, ...deeper])].slice(0, FILES_MAX)
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
    // What version control and downloads keep for themselves is no file of the model.
    else if (depth < DEPTH_MAX && !entry.startsWith('.')) walk(folder, own, depth + 1, lines)
  }
}
