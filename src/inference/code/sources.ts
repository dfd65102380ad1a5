/** Which files of a folder may be run as code: only this user or root may own them, and no one else may write them. */
import { lstatSync, realpathSync, type Stats, statSync } from 'node:fs'
import { dirname, join, sep } from 'node:path'
import { insideOf } from './bundle.ts'

/** Mode bit: others may write. */
const OTHERS_WRITE = 0o002
const FILES_MAX = 10_000

/**
 * Checks a `model.ts` before anything reads it.
 * @throws Error naming the file and the rule
 */
export function checkEntry(folder: string, entry: string): void {
  if (lstatSync(entry).isSymbolicLink() && !isInside(realpathSync(folder), realpathSync(entry)))
    throw new Error('model.ts is a link that leads out of its folder; code is not run from elsewhere')
  checkOwner(dirname(realpathSync(folder)), 'the models folder')
  checkSources([entry], folder)
}

/**
 * Checks all files that a bundle is made of.
 * @throws Error naming the file and the rule
 */
export function checkSources(sources: readonly string[], folder: string): void {
  const own = realpathSync(folder)
  if (sources.length > FILES_MAX) throw new Error(`model.ts imports ${sources.length} files; at most ${FILES_MAX} are allowed`)
  const checked = new Set<string>()
  for (const source of sources) {
    const path = realpathSync(source)
    const root = rootOf(path, own)
    if (root === undefined)
      throw new Error(
        `model.ts imports ${insideOf(folder, source)}, which leads out of its folder; code is not run from elsewhere`,
      )
    for (let each = path; !checked.has(each); each = dirname(each)) {
      checked.add(each)
      checkOwner(each, each === own ? 'the folder of the model' : insideOf(own, each))
      if (each === root) break
    }
  }
}

/** The folder in which all that leads to a file is checked: the model's, or the packages' beside or above it. */
function rootOf(path: string, own: string): string | undefined {
  if (isInside(own, path)) return own
  const end = path.indexOf(`${sep}node_modules${sep}`)
  const packages = end === -1 ? undefined : path.slice(0, end)
  return packages !== undefined && isInside(packages, own) ? join(packages, 'node_modules') : undefined
}

function checkOwner(path: string, shown: string): void {
  const { uid, mode }: Stats = statSync(path)
  const ours = process.getuid?.()
  if (ours === undefined) return
  if (uid !== 0 && uid !== ours)
    throw new Error(`${shown} belongs to another user: code is run only from files of the server's user or of root`)
  if ((mode & OTHERS_WRITE) !== 0) throw new Error(`${shown} may be written by everybody: code is not run from it (chmod o-w)`)
}

function isInside(folder: string, path: string): boolean {
  return path === folder || path.startsWith(`${folder}${sep}`)
}

/**
 * The path of a file that a definition names.
 * @throws Error where it is not there, or leads out of the folder
 */
export function fileInside(folder: string, path: string, name: string): string {
  const whole = join(folder, path)
  const stat = statSync(whole, { throwIfNoEntry: false })
  if (stat?.isFile() !== true)
    throw new Error(`model.ts: "files.${name}" is ${JSON.stringify(path)}, and there is no such file in the folder`)
  if (!isInside(realpathSync(folder), realpathSync(whole))) throw new Error(`model.ts: "files.${name}" leads out of the folder`)
  return whole
}
