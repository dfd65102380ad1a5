import { CommandError } from '../core/command-error.ts'
import type { Datatype } from '../tensor/datatypes.ts'
import { DATATYPES } from '../tensor/datatypes.ts'
import { isAnyShape } from '../tensor/shape.ts'
import type { TensorSpec } from '../tensor/tensor.ts'
import { LINE_LENGTH_MAX } from './lines.ts'

/** One record of CSV, which may go over several lines. */
export interface CsvRecord {
  readonly cells: readonly string[]
  /** The line that it begins in. */
  readonly line: number
}

/** The records of a CSV text (RFC 4180), commas between cells; lines that are empty are none. */
export async function* recordsOf(texts: AsyncIterable<string>, name: string): AsyncGenerator<CsvRecord> {
  let [cells, cell, line, begun, length]: [string[], string, number, number, number] = [[], '', 1, 1, 0]
  let state: 'start' | 'plain' | 'quoted' | 'closed' = 'start'
  const fault = (message: string) => new CommandError(`${name} line ${line}, column ${cells.length + 1}: ${message}`)
  const endRecord = (): CsvRecord | undefined => {
    const record = { cells: [...cells, cell], line: begun }
    const isEmpty = cells.length === 0 && cell === '' && state === 'start'
    ;[cells, cell, state, length] = [[], '', 'start', 0]
    return isEmpty ? undefined : record
  }
  for await (const text of texts) {
    for (const character of text) {
      length += 1
      if (length > LINE_LENGTH_MAX) throw fault(`the record is longer than ${LINE_LENGTH_MAX} characters`)
      if (state === 'quoted') {
        if (character === '"') state = 'closed'
        else cell += character
        if (character === '\n') line += 1
      } else if (character === '"' && state === 'closed') {
        cell += '"'
        state = 'quoted'
      } else if (character === '"' && state === 'start') state = 'quoted'
      else if (character === '"') throw fault('a quote stands inside a cell that is not quoted')
      else if (character === ',') {
        cells.push(cell)
        ;[cell, state] = ['', 'start']
        if (cells.length === 1 && cells[0] === '') state = 'start'
      } else if (character === '\n') {
        const record = endRecord()
        line += 1
        begun = line
        if (record !== undefined) yield record
      } else if (character !== '\r') {
        if (state === 'closed') throw fault('something stands behind the quotes')
        cell += character
        state = 'plain'
      }
    }
  }
  if (state === 'quoted') throw fault('the quotes are not closed')
  const last = endRecord()
  if (last !== undefined) yield last
}

/** Turns records into rows of the model's inputs. */
export interface CsvLayout {
  /** JSON of each input's part of a row, in the order of the inputs. @throws CommandError naming line and column */
  rowOf(record: CsvRecord): readonly string[]
}

/**
 * Finds which columns belong to which input, by the header: with one input all columns are its row; with several, each column has the
 * name of an input, or `name[0]`, `name[1]` and so on.
 * @throws CommandError where they do not fit
 */
export function csvLayout(header: CsvRecord, specs: readonly TensorSpec[], name: string): CsvLayout {
  rejectRow(header, specs, name)
  const columns = specs.map((spec) => columnsOf(spec, { header, isOnly: specs.length === 1, name }))
  const known = new Set(columns.flat())
  const other = header.cells.findIndex((_, index) => !known.has(index))
  if (other !== -1)
    throw new CommandError(`${name} line ${header.line}: the column ${JSON.stringify(header.cells[other])} is of no input`)
  return {
    rowOf(record) {
      if (record.cells.length !== header.cells.length) {
        throw new CommandError(
          `${name} line ${record.line}: has ${record.cells.length} cells, and the header has ${header.cells.length}`,
        )
      }
      return specs.map(({ datatype, shape }, index) => {
        const values = (columns[index] ?? []).map((column) => {
          const where = () => `${name} line ${record.line}, column ${column + 1} (${header.cells[column]})`
          return jsonOfCell(record.cells[column] ?? '', datatype, where)
        })
        const isSingle = isAnyShape(shape) ? values.length === 1 : shape.length < 2
        return isSingle ? (values[0] ?? 'null') : `[${values.join(',')}]`
      })
    },
  }
}

/**
 * A file without a header would lose its first row silently. Numbers from 0 on are names that writers give to columns
 * without any.
 */
function rejectRow({ cells, line }: CsvRecord, specs: readonly TensorSpec[], name: string): void {
  const isText = specs.some(({ datatype }) => datatype === 'BYTES')
  const isCounted = cells.every((cell, index) => cell.trim() === String(index))
  if (isText || isCounted || !cells.every((cell) => NUMBER.test(cell.trim()))) return
  throw new CommandError(
    `${name} line ${line}: has only numbers, and must be a header; put a line with the names of the columns before it`,
  )
}

interface ColumnsOptions {
  readonly header: CsvRecord
  readonly isOnly: boolean
  readonly name: string
}

function columnsOf({ name: input, shape }: TensorSpec, { header, isOnly, name }: ColumnsOptions): readonly number[] {
  const fault = (message: string) => new CommandError(`${name} line ${header.line}: ${message}`)
  if (shape.length > 2)
    throw fault(`the input '${input}' has ${shape.length} dimensions, which CSV cannot hold; use NDJSON or .npy`)
  const width = isAnyShape(shape) ? -1 : (shape[1] ?? 1)
  const { cells } = header
  const named = (text: string) => cells.indexOf(text)
  const columns = isOnly ? cells.map((_, index) => index) : named(input) === -1 ? numbered(cells, input) : [named(input)]
  if (columns.length === 0) throw fault(`no column is of the input '${input}'`)
  if (width !== -1 && columns.length !== width)
    throw fault(`the input '${input}' takes ${width} columns, and there are ${columns.length}${separatorHint(header)}`)
  return columns
}

/** What one column looks like that is several, with something else between them. */
function separatorHint({ cells }: CsvRecord): string {
  const isOther = cells.length === 1 && /[;\t|]/.test(cells[0] ?? '')
  return isOther ? '; cells must have commas between them' : ''
}

function numbered(cells: readonly string[], input: string): readonly number[] {
  const columns: number[] = []
  while (cells.includes(`${input}[${columns.length}]`)) columns.push(cells.indexOf(`${input}[${columns.length}]`))
  return columns
}

const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/
/** Floats that JSON does not have, as the texts that stand for them in rows. A cell of nothing is a missing value. */
const WORDS: Readonly<Record<string, string>> = {
  '': 'null',
  nan: '"NaN"',
  inf: '"Infinity"',
  infinity: '"Infinity"',
  '-inf': '"-Infinity"',
  '-infinity': '"-Infinity"',
}
const INTEGER = /^[+-]?\d+$/

function jsonOfCell(cell: string, datatype: Datatype, where: () => string): string {
  const facts = DATATYPES[datatype]
  if (facts.kind === 'text') return JSON.stringify(cell)
  const text = cell.trim()
  const shown = JSON.stringify(cell.slice(0, 60))
  if (facts.kind === 'boolean') {
    if (/^(?:true|1)$/i.test(text)) return 'true'
    if (/^(?:false|0)$/i.test(text)) return 'false'
    throw new CommandError(`${where()}: must be true or false, got ${shown}`)
  }
  if (facts.kind === 'float') {
    const value = NUMBER.test(text) ? Number(text) : Number.NaN
    if (Number.isFinite(value)) return Object.is(value, -0) ? '-0' : String(value)
    const word = WORDS[text.toLowerCase().replace(/^\+/, '')]
    if (word !== undefined) return word
    throw new CommandError(`${where()}: must be a number, got ${shown}`)
  }
  if (INTEGER.test(text)) return BigInt(text.replace(/^\+/, '')).toString()
  throw new CommandError(`${where()}: must be a whole number, got ${shown}`)
}

/** A cell as CSV writes it. */
export function csvCell(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
