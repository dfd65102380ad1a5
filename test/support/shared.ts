import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const FOLDER = join(import.meta.dir, '../../../shared')

/** True where the folder of references is there; tests that need it skip where it is not, and say so. */
export function hasShared(path: string): boolean {
  const isThere = existsSync(join(FOLDER, path))
  if (!isThere) console.warn(`skipped: ${path} of the references is not here`)
  return isThere
}

/** A JSON file of the references. */
export function readShared(path: string): unknown {
  return JSON.parse(readSharedText(path))
}

/** A file of the references. */
export function readSharedText(path: string): string {
  return readFileSync(join(FOLDER, path), 'utf8')
}
