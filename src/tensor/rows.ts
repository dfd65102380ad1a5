import type { VestalError } from '../core/errors.ts'
import { invariant } from '../core/invariant.ts'
import { inputInvalid, show, tensorFromJson } from './decode.ts'
import { isObject, type JsonObject } from './exact-json.ts'
import { isList, NumberList, numberListText } from './number-list.ts'
import { type ElementWriter, elementWriter } from './numbers.ts'
import { describeShape, elementCount, isAnyShape, matchesShape, RANK_MAX } from './shape.ts'
import type { NamedTensors, Tensor, TensorSpec } from './tensor.ts'

/** `rows`: one element a row. `columns`: an object with one list an input or output. */
export type RowForm = 'rows' | 'columns'

/**
 * Reads the `input` of the Flama form: a list of rows for a model with one input, a list of objects with a row of each input, or an
 * object of lists by input name. The first dimension counts rows; what is in a row has the shape of the rest, and a row of one value may
 * be just that value. For floats, null is a missing value (NaN), and the texts NaN, Infinity and -Infinity are those floats.
 * @throws VestalError INPUT_INVALID, naming the input, what was expected and what came
 */
export function decodeRows(input: unknown, specs: readonly TensorSpec[]): NamedTensors {
  const columns = columnsOf(input, specs)
  const tensors = new Map<string, Tensor>()
  for (const spec of specs) tensors.set(spec.name, decodeColumn(columns[spec.name], spec))
  const counts = new Set([...tensors.values()].filter(({ shape }) => shape.length > 0).map(({ shape }) => shape[0]))
  const mayDiffer = specs.some(({ shape }) => shape[0] !== -1)
  if (counts.size > 1 && !mayDiffer) throw inputInvalid(`the inputs have different numbers of rows: ${[...counts].join(', ')}`)
  return tensors
}

function columnsOf(input: unknown, specs: readonly TensorSpec[]): Readonly<Record<string, unknown>> {
  const names = specs.map(({ name }) => `'${name}'`).join(', ')
  if (specs.length === 0 && isList(input)) throw inputInvalid('"input" must be {}: the model has no inputs, got a list')
  if (isList(input)) {
    const [only] = specs
    if (Array.isArray(input) && input.length > 0 && input.every(isObject)) return columnsOfObjects(input, specs, names)
    if (specs.length === 1 && only !== undefined) return { [only.name]: input }
    throw inputInvalid(`"input" must be an object with the rows of ${names}, or a list of objects with a row of each, got a list`)
  }
  if (typeof input !== 'object' || input === null) {
    const expected = specs.length === 1 ? 'a list of rows' : `an object with the rows of ${names}`
    throw inputInvalid(`"input" must be ${expected}, got ${show(input)}`)
  }
  const other = Object.keys(input).find((name) => !specs.some((spec) => spec.name === name))
  if (other !== undefined) throw inputInvalid(`"input": the model has no input '${other.slice(0, 100)}'; it has ${names}`)
  const missing = specs.find(({ name }) => !Object.hasOwn(input, name))
  if (missing !== undefined) throw inputInvalid(`"input": the input '${missing.name}' is missing`)
  return input as Readonly<Record<string, unknown>>
}

/** Rows that name their inputs, as columns. */
function columnsOfObjects(
  rows: readonly JsonObject[],
  specs: readonly TensorSpec[],
  names: string,
): Readonly<Record<string, unknown>> {
  for (const [index, row] of rows.entries()) {
    const other = Object.keys(row).find((name) => !specs.some((spec) => spec.name === name))
    if (other !== undefined)
      throw inputInvalid(`row ${index} of "input": the model has no input '${other.slice(0, 100)}'; it has ${names}`)
    const missing = specs.find(({ name }) => !Object.hasOwn(row, name))
    if (missing !== undefined) throw inputInvalid(`row ${index} of "input": the input '${missing.name}' is missing`)
  }
  return Object.fromEntries(specs.map((spec) => [spec.name, columnOfRows(rows, spec)]))
}

/** A scalar has no rows: each row names the same, or there is one row. */
function columnOfRows(rows: readonly JsonObject[], { name, shape }: TensorSpec): unknown {
  const column = rows.map((row) => row[name])
  if (shape.length > 0) return column
  const other = column.findIndex((value) => value !== column[0])
  if (other === -1) return column.slice(0, 1)
  throw inputInvalid(
    `row ${other} of "input": the input '${name}' is one value for all rows, and differs from row 0; send the rows in requests of their own`,
  )
}

function decodeColumn(column: unknown, { name, datatype, shape: expected }: TensorSpec): Tensor {
  const target = { name, datatype, hasWords: true }
  const isScalar = !isList(column) && (expected.length === 0 || isAnyShape(expected))
  if (isScalar) return tensorFromJson({ ...target, shape: [] }, [column])
  // One row of one value, without the list around it.
  if (isPlain(column) && isOneValue(expected)) return decodeColumn([column], { name, datatype, shape: expected })
  if (!isList(column)) throw inputInvalid(`input '${name}' must be a list of rows, got ${show(column)}`)
  if (column.length === 0) {
    if (expected[0] !== 0) throw inputInvalid(`input '${name}' must have at least one row`)
    return tensorFromJson({ ...target, shape: expected.map((size) => Math.max(0, size)) }, [])
  }
  const shape = shapeOf(column, expected, name)
  if (Array.isArray(column)) checkNesting(column, shape, name)
  // Rows of one value each that came without lists around them.
  return tensorFromJson(
    { ...target, shape: shape.length === 1 && isOneValue(expected) ? [shape[0] ?? 1, ...expected.slice(1)] : shape },
    column,
  )
}

/** True for a shape whose rows have one value each, however many lists are around it; one of any rank has nothing to add to its rows. */
function isOneValue([rows, ...inner]: readonly number[]): boolean {
  return rows !== undefined && rows !== 0 && inner.every((size) => size === 1)
}

function isPlain(value: unknown): boolean {
  return value !== undefined && !isList(value) && !isObject(value)
}

/** The shape that the first row of each level has; the fixed dimensions must be the model's. */
function shapeOf(column: readonly unknown[] | NumberList, expected: readonly number[], name: string): readonly number[] {
  const shape = column instanceof NumberList ? column.shape : shapeOfLists(column)
  // A scalar input takes one row that is the scalar.
  if (expected.length === 0 && shape.length === 1 && shape[0] === 1) return []
  const isPlainRows = shape.length === 1 && isOneValue(expected)
  if (!matchesShape(isPlainRows ? expected.slice(0, 1) : expected, shape)) throw wrongShape(name, shape, expected)
  return shape
}

function shapeOfLists(column: readonly unknown[]): readonly number[] {
  const shape: number[] = []
  let level: unknown = column
  while (Array.isArray(level) && shape.length <= RANK_MAX) {
    shape.push(level.length)
    level = level[0]
  }
  return shape
}

function wrongShape(name: string, shape: readonly number[], expected: readonly number[]): VestalError {
  return inputInvalid(
    `input '${name}' has the shape ${describeShape(shape)}, but the model takes ${describeShape(expected)}${listsHint(shape, expected)}`,
  )
}

/** What to do where lists are missing. */
function listsHint(shape: readonly number[], expected: readonly number[]): string {
  const missing = expected.length - shape.length
  if (missing < 1) return ''
  if (missing === 1 && shape.length > 0 && matchesShape(expected.slice(1), shape)) return '; for one row, put a list around it'
  return missing === 1 ? '; put a list around each row' : `; put ${missing} lists around each row`
}

/** Every list of a level must be as long as the first: rows of different lengths are a mistake. */
function checkNesting(list: readonly unknown[], shape: readonly number[], name: string): void {
  const inner = shape[1]
  if (inner === undefined) {
    const row = list.findIndex((element) => Array.isArray(element))
    if (row !== -1) throw inputInvalid(`input '${name}': element ${row} must be a single value, got a list`)
    return
  }
  for (const [row, element] of list.entries()) {
    if (!Array.isArray(element) || element.length !== inner) {
      const got = Array.isArray(element) ? element.length : show(element)
      throw inputInvalid(`input '${name}': row ${row} must be a list of ${inner}, got ${got}`)
    }
    checkNesting(element, shape.slice(1), name)
  }
}

export interface RowsOptions {
  readonly form: RowForm
  /** Class names of an output, by output name. */
  readonly labels: ReadonlyMap<string, readonly string[]>
}

/**
 * Writes outputs as JSON in the form of the question. `rows`: a list with one element a row, which is the value where the model has
 * one output and an object by output name where it has several. `columns`: an object of lists. Labels stand for class numbers, and
 * name the numbers of a row that has one for each class. NaN and infinities are texts.
 */
export function encodeRows(outputs: NamedTensors, specs: readonly TensorSpec[], options: RowsOptions): string {
  const { form } = options
  const [single] = specs
  if (single !== undefined && specs.length === 1 && !options.labels.has(single.name)) {
    const tensor = outputs.get(single.name)
    const list = tensor && numberListText(tensor, 'texts')
    if (list !== undefined) return form === 'rows' ? list : `{${JSON.stringify(single.name)}:${list}}`
  }
  const columns = specs.map(({ name }) => {
    const tensor = outputs.get(name)
    invariant(tensor !== undefined, 'the engine gives every output of the model')
    return { name: JSON.stringify(name), rows: encodeColumn(name, tensor, options) }
  })
  const isAligned = new Set(columns.map(({ rows }) => rows.length)).size === 1
  const [only] = columns
  // Outputs of different lengths have no common rows, and are answered by column.
  if (form === 'columns' || !isAligned || only === undefined) {
    return `{${columns.map(({ name, rows }) => `${name}:[${rows.join(',')}]`).join(',')}}`
  }
  if (columns.length === 1) return `[${only.rows.join(',')}]`
  const rows = only.rows.map((_, index) => `{${columns.map(({ name, rows: column }) => `${name}:${column[index]}`).join(',')}}`)
  return `[${rows.join(',')}]`
}

function encodeColumn(name: string, tensor: Tensor, options: RowsOptions): readonly string[] {
  const labels = options.labels.get(name)
  const { datatype, shape, data } = tensor
  const plain = elementWriter(tensor, 'texts')
  if (labels === undefined) return rowsOf(shape, plain)
  const isClass = datatype.includes('INT')
  if (isClass) return rowsOf(shape, (index) => labelOf(labels, data[index]) ?? plain(index))
  const width = shape.at(-1)
  if (shape.length !== 2 || width !== labels.length) return rowsOf(shape, plain)
  const members = labels.map((label) => JSON.stringify(label))
  return Array.from({ length: shape[0] ?? 0 }, (_, row) => {
    return `{${members.map((member, index) => `${member}:${plain(row * width + index)}`).join(',')}}`
  })
}

function labelOf(labels: readonly string[], element: unknown): string | undefined {
  const label = labels[Number(element)]
  return label === undefined ? undefined : JSON.stringify(label)
}

/** The JSON of each row of a tensor; a scalar is one row. */
function rowsOf(shape: readonly number[], write: ElementWriter): readonly string[] {
  const [rows = 1, ...inner] = shape
  const size = elementCount(inner)
  return Array.from({ length: rows }, (_, row) => nested(inner, row * size, write))
}

function nested(shape: readonly number[], start: number, write: ElementWriter): string {
  const [length, ...inner] = shape
  if (length === undefined) return write(start)
  const size = elementCount(inner)
  return `[${Array.from({ length }, (_, index) => nested(inner, start + index * size, write)).join(',')}]`
}
