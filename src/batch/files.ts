import { readdirSync, statSync } from 'node:fs'
import { extname, join } from 'node:path'
import { CommandError } from '../core/command-error.ts'
import { reasonOfFile } from '../core/file-reason.ts'
import type { RowBatch, RowSource } from './read.ts'

/** Files of one command, and bytes of one: a server takes no more of a picture or a sound than this, whatever its settings. */
const FILES_MAX = 1_000_000
const FILE_BYTES_MAX = 256 * 1024 * 1024

export interface FilesOptions {
  /** Endings of the files that are read of a folder, in lower case, with their dots. */
  readonly endings: readonly string[]
}

interface Found {
  readonly path: string
  readonly bytes: number
}

/**
 * Opens pictures or sounds, each a row: files in the order in which they are named, and those of a folder in the order of their names.
 * @throws CommandError where one cannot be read, or a folder has none
 */
export function openFiles(paths: readonly string[], { endings }: FilesOptions): RowSource {
  const files = paths.flatMap((path) => filesAt(path, endings))
  if (files.length > FILES_MAX) throw new CommandError(`${files.length} files are more than ${FILES_MAX}; name fewer at once`)
  return {
    batches: batchesOf(files),
    bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
    describe: ({ file = '' }) => file,
  }
}

function filesAt(path: string, endings: readonly string[]): readonly Found[] {
  try {
    const facts = statSync(path)
    if (!facts.isDirectory()) return [{ path, bytes: facts.size }]
    const names = readdirSync(path).filter((name) => endings.includes(extname(name).toLowerCase()))
    if (names.length === 0) throw new CommandError(`${path}: the folder has no file that ends with ${endings.join(', ')}`)
    return names.sort().map((name) => ({ path: join(path, name), bytes: statSync(join(path, name)).size }))
  } catch (error) {
    throw unreadable(path, error)
  }
}

function unreadable(path: string, error: unknown): CommandError {
  return error instanceof CommandError ? error : new CommandError(`${path}: cannot be read: ${reasonOfFile(error)}`)
}

async function* batchesOf(files: readonly Found[]): AsyncGenerator<RowBatch> {
  let readBytes = 0
  for (const [index, { path, bytes }] of files.entries()) {
    if (bytes > FILE_BYTES_MAX) throw new CommandError(`${path}: has ${bytes} bytes; at most ${FILE_BYTES_MAX} are read`)
    readBytes += bytes
    const content = await bytesOf(path)
    const batch: RowBatch = {
      json: `["${content.toBase64()}"]`,
      rows: 1,
      readBytes,
      first: index + 1,
      last: index + 1,
      file: path,
      single: () => [batch],
    }
    yield batch
  }
}

async function bytesOf(path: string): Promise<Uint8Array> {
  try {
    return await Bun.file(path).bytes()
  } catch (error) {
    throw unreadable(path, error)
  }
}
