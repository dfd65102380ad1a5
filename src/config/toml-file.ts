import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { reasonOfFile } from '../core/file-reason.ts'

/** A file of settings, as far as it could be read. */
export interface TomlFile {
  readonly name: string
  /** Absent where there is no file. */
  readonly path?: string
  readonly table: Readonly<Record<string, unknown>>
  /** `vestal.toml, line 3`, or only the name where the line cannot be found. */
  readonly placeOf: (key: string, within?: { readonly index: number; readonly field: string }) => string
}

/** Lines of a file that is not valid which are parsed to find the faulty one. */
const LINES_MAX = 2000

/** Reads the file that was asked for, which must be there, or `vestal.toml` of the folder where there is one. */
export function readToml(asked: string | undefined, directory: string, faults: string[]): TomlFile {
  const name = asked ?? 'vestal.toml'
  const path = asked ?? join(directory, name)
  const none = { name, table: {}, placeOf: () => name }
  if (asked === undefined && !existsSync(path)) return none
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    faults.push(`${name}: cannot be read: ${reasonOfFile(error)}`)
    return none
  }
  try {
    const table = Bun.TOML.parse(text) as Readonly<Record<string, unknown>>
    const placeOf: TomlFile['placeOf'] = (key, within) => {
      const line = lineOf(text, key, within)
      return line === undefined ? name : `${name}, line ${line}`
    }
    return { name, path, table, placeOf }
  } catch (error) {
    // What the parser says may hold the line's own text, and so a secret.
    const isTwice = error instanceof Error && /redefine/i.test(error.message)
    const line = faultyLineOf(text)
    const where =
      line === undefined
        ? ''
        : `; line ${line} ${isTwice ? 'has a key that is there already' : 'is the first that cannot be read (a string stands in quotes)'}`
    faults.push(`${name}: is not valid TOML${where}`)
    return none
  }
}

/** Where a key of the top level, or a field of the so-manyth table of its list, is written. */
function lineOf(text: string, key: string, within?: { readonly index: number; readonly field: string }): number | undefined {
  let table = ''
  let count = -1
  for (const [index, line] of text.split('\n').entries()) {
    const header = /^\s*\[\[?\s*"?([\w.-]+)"?\s*\]/.exec(line)?.[1]
    if (header !== undefined) {
      table = header
      if (header === key) count += 1
      if (header === key && (within === undefined || (count === within.index && within.field === ''))) return index + 1
      continue
    }
    const written = /^\s*["']?([\w-]+)["']?\s*[=.]/.exec(line)?.[1]
    if (
      within === undefined ? table === '' && written === key : table === key && count === within.index && written === within.field
    )
      return index + 1
  }
  return within === undefined || within.field === '' ? undefined : lineOf(text, key, { index: within.index, field: '' })
}

/** The line after the longest beginning of the file that is valid. */
function faultyLineOf(text: string): number | undefined {
  const lines = text.split('\n')
  if (lines.length > LINES_MAX) return undefined
  for (let count = lines.length - 1; count > 0; count -= 1) if (isToml(lines.slice(0, count).join('\n'))) return count + 1
  return 1
}

function isToml(text: string): boolean {
  try {
    Bun.TOML.parse(text)
    return true
  } catch {
    return false
  }
}
