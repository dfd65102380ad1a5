import { closeSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'
import { SettingsError } from '../config/load.ts'
import { CommandError } from '../core/command-error.ts'
import { DATATYPES } from '../tensor/datatypes.ts'
import { isRawJson } from '../tensor/raw-json.ts'
import type { TensorSpec } from '../tensor/tensor.ts'
import { csvCell } from './csv.ts'
import { exactJson, isJsonObject } from './exact.ts'
import { npyHeader } from './npy.ts'
import type { RowFormat } from './read.ts'

/** Takes answers, in their order. */
export interface RowSink {
  /** Writes the answer to so many rows: a JSON list of rows, or an object of lists by output. @throws CommandError where it has others */
  write(answer: string, rows: number): void
  end(): Promise<void>
  /** Takes back what was written, where it can. */
  abandon(): Promise<void>
}

export interface OutputOptions {
  readonly format: RowFormat
  readonly specs: readonly TensorSpec[]
  /** Class names of an output, by output name: their order is not that of an object, where some are numbers. */
  readonly labels: ReadonlyMap<string, readonly string[]>
  /** The one output that is written. */
  readonly name?: string
}

/** Turns rows into the bytes of a format. */
interface Encoder {
  rows(rows: readonly unknown[]): string | Uint8Array
  /** What stands behind the last row. */
  readonly tail: string
  /** What replaces the first bytes of the file at the end. */
  head?(): Uint8Array
}

/** Opens a file beside its place, which it takes at the end, or the standard output. @throws SettingsError, CommandError */
export async function openOutput(path: string, options: OutputOptions): Promise<RowSink> {
  if (options.format === 'npy' && path === '-') throw new SettingsError(['--output: a .npy must be a file'])
  const encoder = encoderOf(options)
  const temporary = `${path}.${process.pid}.part`
  const descriptor = path === '-' ? 1 : open(temporary)
  const put = (content: string | Uint8Array, position?: number) => writeAll(descriptor, Buffer.from(content as string), position)
  return {
    write: (answer, rows) => put(encoder.rows(rowsOf(answer, rows, options))),
    async end() {
      put(encoder.tail)
      if (path === '-') return
      const head = encoder.head?.()
      if (head !== undefined) put(head, 0)
      closeSync(descriptor)
      renameSync(temporary, path)
    },
    async abandon() {
      if (path === '-') return
      closeSync(descriptor)
      rmSync(temporary, { force: true })
    },
  }
}

function open(path: string): number {
  try {
    return openSync(path, 'w', 0o644)
  } catch {
    throw new CommandError(`${path.replace(/\.\d+\.part$/, '')}: cannot be written`)
  }
}

function writeAll(descriptor: number, bytes: Buffer, position?: number): void {
  let written = 0
  while (written < bytes.length) {
    try {
      written += writeSync(descriptor, bytes, written, bytes.length - written, position === undefined ? null : position + written)
    } catch (error) {
      // A pipe that is full takes more in a moment.
      if ((error as { code?: string }).code !== 'EAGAIN')
        throw new CommandError(`the output cannot be written: ${(error as Error).message}`)
      Bun.sleepSync(1)
    }
  }
}

/** The rows of an answer, of one output where it is named. */
function rowsOf(answer: string, count: number, { name, specs }: OutputOptions): readonly unknown[] {
  const value = exactJson(answer, () => 'the answer')
  const given = Array.isArray(value) ? value : isJsonObject(value) ? joined(value) : undefined
  if (given === undefined) throw new CommandError('the answer has no rows')
  if (given.length !== count && count > 1) {
    throw new CommandError(`the model answers ${count} rows with ${given.length}; compute them one by one with --rows 1`)
  }
  // One row may be answered with a list of any length, which is then its row.
  const rows = given.length === count ? given : [isJsonObject(value) && specs.length > 1 ? value : given]
  if (name === undefined || specs.length === 1) return rows
  return rows.map((row) => (isJsonObject(row) ? row[name] : row))
}

/** Columns as rows; columns of different lengths are one row as they are. */
function joined(columns: Readonly<Record<string, unknown>>): readonly unknown[] {
  const entries = Object.entries(columns).map(([name, column]) => [name, Array.isArray(column) ? column : [column]] as const)
  if (new Set(entries.map(([, column]) => column.length)).size !== 1) return [columns]
  const [only] = entries
  if (entries.length === 1) return only?.[1] ?? []
  return Array.from({ length: only?.[1].length ?? 0 }, (_, row) =>
    Object.fromEntries(entries.map(([name, column]) => [name, column[row]])),
  )
}

function encoderOf(options: OutputOptions): Encoder {
  switch (options.format) {
    case 'ndjson':
      return { rows: (rows) => rows.map((row) => `${JSON.stringify(row)}\n`).join(''), tail: '' }
    case 'json':
      return jsonEncoder()
    case 'csv':
      return csvEncoder(options)
    default:
      return npyEncoder(options)
  }
}

function jsonEncoder(): Encoder {
  let isFirst = true
  return {
    rows(rows) {
      const text = rows.map((row) => JSON.stringify(row)).join(',\n')
      const lead = isFirst ? '[' : ',\n'
      isFirst = false
      return lead + text
    },
    get tail() {
      return isFirst ? '[]\n' : ']\n'
    },
  }
}

function csvEncoder({ name, specs }: OutputOptions): Encoder {
  const only = name ?? (specs.length === 1 ? specs[0]?.name : undefined)
  let header: readonly string[] | undefined
  return {
    tail: '',
    rows(rows) {
      const records = rows.map((row) => cellsOf(row, only ?? ''))
      const lines = records.map((cells) => [...cells.values()].map(csvCell).join(','))
      const [first] = records
      if (first === undefined) return ''
      const begins = header === undefined ? `${[...first.keys()].map(csvCell).join(',')}\n` : ''
      header ??= [...first.keys()]
      const other = records.find((cells) => cells.size !== header?.length)
      if (other !== undefined)
        throw new CommandError('rows have different numbers of values, which CSV cannot hold; write NDJSON')
      return `${begins}${lines.join('\n')}\n`
    },
  }
}

/** The values of a row by their names: `label`, `probabilities[0]`, `probabilities.setosa`. */
function cellsOf(value: unknown, name: string): Map<string, string> {
  const cells = new Map<string, string>()
  const visit = (each: unknown, path: string) => {
    if (Array.isArray(each)) for (const [index, item] of each.entries()) visit(item, `${path}[${index}]`)
    else if (isJsonObject(each)) for (const [key, item] of Object.entries(each)) visit(item, path === '' ? key : `${path}.${key}`)
    else cells.set(path, typeof each === 'string' ? each : JSON.stringify(each))
  }
  visit(value, name)
  return cells
}

function npyEncoder({ name, specs, labels }: OutputOptions): Encoder {
  const spec = specs.length === 1 ? specs[0] : specs.find((each) => each.name === name)
  if (spec === undefined)
    throw new SettingsError([`--output-name: a .npy file holds one of the outputs ${specs.map((each) => each.name).join(', ')}`])
  const facts = DATATYPES[spec.datatype]
  if (facts.kind === 'text') throw new CommandError(`the output '${spec.name}' is text, which .npy cannot hold; write NDJSON`)
  let count = 0
  let inner: readonly number[] = spec.shape.slice(1).map((size) => Math.max(0, size))
  const header = () => npyHeader(spec.datatype, [count, ...inner])
  return {
    tail: '',
    head: header,
    rows(rows) {
      const lead = count === 0 ? header() : Buffer.alloc(0)
      const lists = rows.map((row) => inOrder(row, labels.get(spec.name)))
      if (count === 0 && rows.length > 0) inner = sizesOf(lists[0])
      const flat = lists.flatMap((row) => numbersOf(row, { inner, spec }))
      count += rows.length
      if (facts.kind === 'boolean') return Buffer.concat([lead, Uint8Array.from(flat, Number)])
      const values = new facts.array(flat.length)
      for (const [index, value] of flat.entries())
        values[index] = facts.kind === 'big-integer' ? BigInt(String(value)) : Number(value)
      return Buffer.concat([lead, new Uint8Array(values.buffer)])
    },
  }
}

/** A row whose numbers are named by labels has them in the order of the labels. */
function inOrder(row: unknown, labels: readonly string[] | undefined): unknown {
  return isJsonObject(row) ? (labels?.map((label) => row[label]) ?? Object.values(row)) : row
}

function sizesOf(row: unknown): readonly number[] {
  return Array.isArray(row) ? [row.length, ...sizesOf(row[0])] : []
}

function numbersOf(
  row: unknown,
  { inner, spec: { name, datatype } }: { readonly inner: readonly number[]; readonly spec: TensorSpec },
): readonly unknown[] {
  const hasWords = DATATYPES[datatype].kind === 'float'
  const values: readonly unknown[] = Array.isArray(row) ? row.flat(Number.POSITIVE_INFINITY) : [row]
  if (values.length !== inner.reduce((product, size) => product * size, 1)) {
    throw new CommandError(`rows of '${name}' have different sizes, which .npy cannot hold; write NDJSON`)
  }
  return values.map((value) => {
    if (typeof value === 'number' || typeof value === 'boolean') return value
    if (isRawJson(value)) return JSON.stringify(value)
    if (hasWords && typeof value === 'string' && /^(?:NaN|-?Infinity)$/.test(value)) return Number(value)
    throw new CommandError(
      `the output '${name}' has labels in place of numbers, which .npy cannot hold; name another with --output-name, or write NDJSON`,
    )
  })
}
