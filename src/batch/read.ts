import { accessSync, constants, statSync } from 'node:fs'
import { extname } from 'node:path'
import { SettingsError } from '../config/load.ts'
import { CommandError } from '../core/command-error.ts'
import { reasonOfFile } from '../core/file-reason.ts'
import { elementBytes } from '../tensor/datatypes.ts'
import type { TensorSpec } from '../tensor/tensor.ts'
import { csvLayout, recordsOf } from './csv.ts'
import { exactJson, isJsonObject } from './exact.ts'
import { linesOf, textOf } from './lines.ts'
import { inRowOrder, NPY_HEADER_BYTES_MAX, type NpyHeader, npyRows, readNpyHeader } from './npy.ts'

export type RowFormat = 'csv' | 'ndjson' | 'json' | 'npy'
/** Lines of text beside these: each is a row. */
export type InputFormat = RowFormat | 'txt'

const FORMATS: readonly RowFormat[] = ['csv', 'ndjson', 'json', 'npy']
const INPUT_FORMATS: readonly InputFormat[] = ['txt', ...FORMATS]

/** One row: the JSON of each input's part of it. */
interface Row {
  readonly parts: readonly string[]
  /** Line, or number of the row, from 1. */
  readonly number: number
  readonly readBytes: number
}

/** Rows of one request. */
export interface RowBatch {
  /** The input as the Flama form has it: rows for a model with one input, columns for several. */
  readonly json: string
  readonly rows: number
  /** Bytes of the input that were read by then. */
  readonly readBytes: number
  readonly first: number
  readonly last: number
  /** The file that is the row. */
  readonly file?: string
  /** The same, one row each: to find the rejected row. */
  readonly single: () => readonly RowBatch[]
}

export interface RowSource {
  readonly batches: AsyncIterable<RowBatch>
  /** Bytes of the input, where they are known. */
  readonly bytes: number | undefined
  /** The place of a batch in the input. */
  describe(batch: RowBatch): string
}

export interface InputOptions {
  readonly format: InputFormat
  /** None for a model with a task, whose rows are what it takes. */
  readonly specs: readonly TensorSpec[]
  readonly rowsMax: number
}

/** Of what cannot be read piece by piece. */
const WHOLE_BYTES_MAX = 1024 * 1024 * 1024

/** The format of an input: named, or what the ending of the file says; NDJSON for the standard input. @throws SettingsError */
export function inputFormatOf(path: string, named: string | undefined): InputFormat {
  return formatIn(INPUT_FORMATS, { flag: '--input', path, named })
}

/** The format of an output, likewise. @throws SettingsError */
export function outputFormatOf(path: string, named: string | undefined): RowFormat {
  return formatIn(FORMATS, { flag: '--output', path, named })
}

function formatIn<Format extends InputFormat>(
  formats: readonly Format[],
  { flag, path, named }: { readonly flag: string; readonly path: string; readonly named: string | undefined },
): Format {
  const ending = path === '-' ? 'ndjson' : extname(path).slice(1).toLowerCase()
  const word = named ?? (ending === 'jsonl' ? 'ndjson' : ending)
  const format = formats.find((each) => each === word)
  if (format !== undefined) return format
  if (named !== undefined) throw new SettingsError([`${flag}-format: must be one of ${formats.join(', ')}`])
  throw new SettingsError([
    `${flag}: the ending of ${JSON.stringify(path.slice(0, 120))} names none of the formats ${formats.join(', ')}; ${flag}-format says which it has`,
  ])
}

/** @throws CommandError where the file is not there, is a folder or may not be read */
function rejectUnreadable(path: string): void {
  try {
    accessSync(path, constants.R_OK)
    if (statSync(path).isDirectory()) throw new CommandError(`${path}: cannot be read: it is a folder`)
  } catch (error) {
    throw error instanceof CommandError ? error : new CommandError(`${path}: cannot be read: ${reasonOfFile(error)}`)
  }
}

/** Opens rows for a model with these inputs. @throws CommandError where they cannot be read */
export async function openInput(path: string, { format, specs, rowsMax }: InputOptions): Promise<RowSource> {
  const name = path === '-' ? 'the standard input' : path
  const file = path === '-' ? undefined : Bun.file(path)
  if (file !== undefined) rejectUnreadable(path)
  if (specs.length === 0 && (format === 'csv' || format === 'npy'))
    throw new SettingsError([`--input: ${format} holds numbers, and the model has a task; give .txt, .ndjson or .json`])
  if (format === 'txt' && specs.length > 1)
    throw new SettingsError([
      `--input: a line of text is one input, and the model has ${specs.length}; give .csv, .ndjson or .json`,
    ])
  if (format === 'npy' && file === undefined) throw new SettingsError(['--input: a .npy must be a file'])
  const counted = { bytes: 0 }
  const chunks = countedChunks(file?.stream() ?? Bun.stdin.stream(), counted)
  const rows =
    format === 'npy' && file !== undefined
      ? npyFile(file, { specs, name, rowsMax })
      : rowsOf(format, chunks, { specs, name, counted })
  const word = format === 'json' || format === 'npy' ? 'row' : 'line'
  return {
    batches: batchesOf(rows, specs, rowsMax),
    bytes: file?.size,
    describe: ({ first, last }) => `${name} ${word}${first === last ? ` ${first}` : `s ${first} to ${last}`}`,
  }
}

async function* countedChunks(stream: ReadableStream<Uint8Array>, counted: { bytes: number }): AsyncGenerator<Uint8Array> {
  for await (const chunk of stream) {
    counted.bytes += chunk.length
    yield chunk
  }
}

interface RowsOptions {
  readonly specs: readonly TensorSpec[]
  readonly name: string
  readonly counted: { readonly bytes: number }
}

async function* rowsOf(
  format: InputFormat,
  chunks: AsyncIterable<Uint8Array>,
  { specs, name, counted }: RowsOptions,
): AsyncGenerator<Row> {
  const texts = textOf(chunks, name)
  if (format === 'csv') {
    let layout: ReturnType<typeof csvLayout> | undefined
    for await (const record of recordsOf(texts, name)) {
      if (layout === undefined) layout = csvLayout(record, specs, name)
      else yield { parts: layout.rowOf(record), number: record.line, readBytes: counted.bytes }
    }
    if (layout === undefined) throw new CommandError(`${name}: is empty; CSV begins with a line of names`)
  } else if (format === 'txt') {
    for await (const { text, number } of linesOf(texts, name)) {
      yield { parts: [JSON.stringify(text.replace(/\r$/, ''))], number, readBytes: counted.bytes }
    }
  } else if (format === 'ndjson') {
    for await (const { text, number } of linesOf(texts, name)) {
      const row = exactJson(text, () => `${name} line ${number}`)
      yield { parts: partsOf(row, specs, `${name} line ${number}`), number, readBytes: counted.bytes }
    }
  } else {
    let whole = ''
    for await (const text of texts) {
      whole += text
      if (whole.length > WHOLE_BYTES_MAX) throw new CommandError(`${name}: is larger than ${WHOLE_BYTES_MAX} bytes; use NDJSON`)
    }
    if (whole.trim() === '') throw new CommandError(`${name}: is empty`)
    const rows = documentRows(
      exactJson(whole, () => name),
      specs,
      name,
    )
    for (const [index, parts] of rows.entries()) yield { parts, number: index + 1, readBytes: counted.bytes }
  }
}

/** Of one row, the JSON of each input's part: the row itself for one input, members by name for several. */
function partsOf(row: unknown, specs: readonly TensorSpec[], where: string): readonly string[] {
  if (specs.length === 0 || (specs.length === 1 && !isJsonObject(row))) return [JSON.stringify(row)]
  if (!isJsonObject(row))
    throw new CommandError(`${where}: must be an object with ${specs.map(({ name }) => JSON.stringify(name)).join(', ')}`)
  const other = Object.keys(row).find((key) => !specs.some(({ name }) => name === key))
  if (other !== undefined) throw new CommandError(`${where}: the model has no input ${JSON.stringify(other.slice(0, 60))}`)
  return specs.map(({ name }) => {
    if (!Object.hasOwn(row, name)) throw new CommandError(`${where}: ${JSON.stringify(name)} is missing`)
    return JSON.stringify(row[name])
  })
}

/** The rows of a document: a list, an object of lists by input, or either of them as "input". */
function documentRows(document: unknown, specs: readonly TensorSpec[], name: string): readonly (readonly string[])[] {
  const input = isJsonObject(document) && Object.keys(document).length === 1 && 'input' in document ? document.input : document
  if (Array.isArray(input)) return input.map((row, index) => partsOf(row, specs, `${name} row ${index + 1}`))
  if (isJsonObject(input) && 'inputs' in input && !specs.some((spec) => spec.name === 'inputs')) {
    throw new CommandError(`${name}: is a request of the Open Inference Protocol; give only its rows, as {"input": …}`)
  }
  if (!isJsonObject(input)) throw new CommandError(`${name}: must be a list of rows, or an object with a list for each input`)
  if (specs.length === 0) throw new CommandError(`${name}: must be a list of inputs`)
  const count = rowsOfColumns(input, specs, name)
  const columns = specs.map((spec) => columnOf(input[spec.name], { spec, count, name }))
  return Array.from({ length: count }, (_, row) => columns.map((column) => JSON.stringify(column[row])))
}

/** How many rows the lists have. A single value is one row; a scalar belongs to each row. */
function rowsOfColumns(input: Readonly<Record<string, unknown>>, specs: readonly TensorSpec[], name: string): number {
  const counts = new Set<number>()
  for (const spec of specs) {
    const column = input[spec.name]
    if (Array.isArray(column)) counts.add(column.length)
    else if (spec.shape.length > 0) counts.add(1)
  }
  if (counts.size > 1) throw new CommandError(`${name}: the inputs have different numbers of rows: ${[...counts].join(', ')}`)
  const [count = 1] = counts
  return count
}

function columnOf(
  column: unknown,
  { spec, count, name }: { readonly spec: TensorSpec; readonly count: number; readonly name: string },
): readonly unknown[] {
  if (Array.isArray(column)) return column
  if (column === undefined || isJsonObject(column))
    throw new CommandError(`${name}: ${JSON.stringify(spec.name)} must be a list of rows`)
  return Array(count).fill(column)
}

async function* npyFile(
  file: Bun.BunFile,
  { specs, name, rowsMax }: { readonly specs: readonly TensorSpec[]; readonly name: string; readonly rowsMax: number },
): AsyncGenerator<Row> {
  if (specs.length !== 1) throw new CommandError(`${name}: a .npy file holds one input, and the model has ${specs.length}`)
  const header = readNpyHeader(new Uint8Array(await file.slice(0, NPY_HEADER_BYTES_MAX).arrayBuffer()), name)
  const rowBytes = header.shape.slice(1).reduce((product, size) => product * size, 1) * (elementBytes(header.datatype) ?? 1)
  const count = header.shape[0] ?? 0
  if (header.offset + count * rowBytes > file.size) throw new CommandError(`${name}: is shorter than its header says`)
  const elements = header.isFortran ? await wholeInRowOrder(file, header, name) : undefined
  for (let row = 0; row < count; row += rowsMax) {
    const [begin, length] = [row * rowBytes, Math.min(count - row, rowsMax) * rowBytes]
    const end = header.offset + begin + length
    const bytes = elements?.subarray(begin, begin + length) ?? (await bytesOf(file, header.offset + begin, length))
    for (const [index, json] of npyRows(bytes, header).entries()) yield { parts: [json], number: row + index + 1, readBytes: end }
  }
}

async function bytesOf(file: Bun.BunFile, begin: number, length: number): Promise<Uint8Array> {
  return new Uint8Array(await file.slice(begin, begin + length).arrayBuffer())
}

/** A row of such a file lies all over it, so it is read whole. */
async function wholeInRowOrder(file: Bun.BunFile, header: NpyHeader, name: string): Promise<Uint8Array> {
  if (file.size > WHOLE_BYTES_MAX) {
    throw new CommandError(
      `${name}: is in Fortran order and larger than ${WHOLE_BYTES_MAX} bytes; save it with numpy.ascontiguousarray`,
    )
  }
  const length = header.shape.reduce((product, size) => product * size, elementBytes(header.datatype) ?? 1)
  return inRowOrder(await bytesOf(file, header.offset, length), header)
}

async function* batchesOf(rows: AsyncIterable<Row>, specs: readonly TensorSpec[], rowsMax: number): AsyncGenerator<RowBatch> {
  let held: Row[] = []
  for await (const row of rows) {
    held.push(row)
    if (held.length < rowsMax) continue
    yield batchOf(held, specs)
    held = []
  }
  if (held.length > 0) yield batchOf(held, specs)
}

function batchOf(rows: readonly Row[], specs: readonly TensorSpec[]): RowBatch {
  const column = (index: number) => `[${rows.map(({ parts }) => parts[index]).join(',')}]`
  const json =
    specs.length <= 1 ? column(0) : `{${specs.map(({ name }, index) => `${JSON.stringify(name)}:${column(index)}`).join(',')}}`
  return {
    json,
    rows: rows.length,
    readBytes: rows.at(-1)?.readBytes ?? 0,
    first: rows[0]?.number ?? 0,
    last: rows.at(-1)?.number ?? 0,
    single: () => rows.map((row) => batchOf([row], specs)),
  }
}
