import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import type { Engine, LoadOptions } from '../engine.ts'
import type { DoneChange } from './server.ts'

/** A load or an unload by request that is to be done again where the engine process is another one. */
export interface JournalEntry {
  readonly what: 'load' | 'unload'
  readonly name: string
  readonly version?: string
  readonly config?: string
  /** Where the files are that the request brought. */
  readonly folder?: string
}

export interface JournalOptions {
  /** What was done before. */
  readonly entries: readonly JournalEntry[]
  /** Where files of load requests are kept. */
  readonly folder: string | undefined
  /** Called with all entries that count now. */
  readonly changed: (entries: readonly JournalEntry[]) => void
}

/** What requests have loaded and unloaded, without what later ones have undone. */
export class Journal {
  readonly #options: JournalOptions
  #entries: readonly JournalEntry[]

  constructor(options: JournalOptions) {
    this.#options = options
    this.#entries = options.entries
  }

  /** Takes note of a change; what it replaces is forgotten. */
  record({ what, name, version, config, files }: DoneChange): void {
    const isReplaced = (entry: JournalEntry) => entry.name === name && (version === undefined || entry.version === version)
    const folder = files === undefined || files.size === 0 ? undefined : this.#keep(files)
    const entry = {
      what,
      name,
      ...(version !== undefined && { version }),
      ...(config !== undefined && { config }),
      ...(folder !== undefined && { folder }),
    }
    for (const old of this.#entries.filter(isReplaced)) if (old.folder !== undefined) rmSync(old.folder, REMOVE)
    this.#entries = [...this.#entries.filter((old) => !isReplaced(old)), entry]
    this.#options.changed(this.#entries)
  }

  #keep(files: ReadonlyMap<string, Uint8Array>): string | undefined {
    if (this.#options.folder === undefined) return undefined
    const folder = mkdtempSync(join(this.#options.folder, 'brought-'))
    // The paths were checked by the load.
    for (const [path, content] of files) {
      mkdirSync(dirname(join(folder, path)), { recursive: true, mode: 0o700 })
      writeFileSync(join(folder, path), content, { mode: 0o600 })
    }
    return folder
  }
}

const REMOVE = { recursive: true, force: true } as const

/** What the start loads, so that what requests have changed is as they left it. */
export function startAfter(
  entries: readonly JournalEntry[],
  loadAtStart: ReadonlySet<string> | undefined,
): { readonly loadAtStart?: ReadonlySet<string>; readonly notAtStart: ReadonlySet<string> } {
  const whole = entries.filter(({ version }) => version === undefined)
  const plain = whole.filter(({ what, config }) => what === 'load' && config === undefined).map(({ name }) => name)
  const others = new Set(whole.map(({ name }) => name).filter((name) => !plain.includes(name)))
  return { ...(loadAtStart && { loadAtStart: new Set([...loadAtStart, ...plain]) }), notAtStart: others }
}

/**
 * Repeats loads and unloads of requests that the start does not repeat; one that is no longer possible is logged and skipped. Asked for at once:
 * changes of one model keep their order, also with those that are asked for after this was called.
 */
export async function restore(engine: Engine, entries: readonly JournalEntry[], warn: (message: string) => void): Promise<void> {
  // Of others, the start has loaded them, or left them out; one that is not loaded has nothing to be unloaded.
  const left = entries.filter(({ version, config }) => version !== undefined || config !== undefined)
  await Promise.all(left.map((entry) => redo(engine, entry, warn)))
}

async function redo(
  engine: Engine,
  { what, name, version, config, folder }: JournalEntry,
  warn: (message: string) => void,
): Promise<void> {
  const own = { ...(version !== undefined && { version }) }
  try {
    if (what === 'unload') await engine.unload(name, own)
    else await engine.load(name, { ...own, ...(config !== undefined && { config }), ...filesIn(folder) })
  } catch (error) {
    warn(`${name}: cannot be ${what}ed as it was before: ${error instanceof Error ? error.message : String(error)}`)
  }
}

function filesIn(folder: string | undefined): Pick<LoadOptions, 'files'> {
  if (folder === undefined) return {}
  const paths = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  return {
    files: new Map(
      paths.map(({ parentPath, name }) => {
        const path = join(parentPath, name)
        return [relative(folder, path), new Uint8Array(readFileSync(path))]
      }),
    ),
  }
}
