import { CommandError } from '../core/command-error.ts'
import type { Datatype } from '../tensor/datatypes.ts'
import { DATATYPES, elementBytes } from '../tensor/datatypes.ts'

/** The header of a .npy file (NEP 1): what its elements are, and how they lie. */
export interface NpyHeader {
  readonly datatype: Datatype
  readonly shape: readonly number[]
  /** Where the elements begin. */
  readonly offset: number
  /** True where the first dimension runs fastest, as pandas has its tables. */
  readonly isFortran: boolean
}

const MAGIC = '\x93NUMPY'
/** Bytes that hold any header that is sensible. */
export const NPY_HEADER_BYTES_MAX = 64 * 1024

const TYPES: Readonly<Record<string, Datatype>> = {
  b1: 'BOOL',
  u1: 'UINT8',
  u2: 'UINT16',
  u4: 'UINT32',
  u8: 'UINT64',
  i1: 'INT8',
  i2: 'INT16',
  i4: 'INT32',
  i8: 'INT64',
  f2: 'FP16',
  f4: 'FP32',
  f8: 'FP64',
}

/** Reads the first bytes of a .npy file. @throws CommandError naming what is wrong */
export function readNpyHeader(bytes: Uint8Array, name: string): NpyHeader {
  const fault = (message: string) => new CommandError(`${name}: ${message}`)
  if (Buffer.from(bytes.subarray(0, 6)).toString('latin1') !== MAGIC) throw fault('is no .npy file')
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const begin = bytes[6] === 1 ? 10 : 12
  const length = bytes[6] === 1 ? view.getUint16(8, true) : view.getUint32(8, true)
  if (begin + length > bytes.length) throw fault('its header is cut off, or too long')
  const text = Buffer.from(bytes.subarray(begin, begin + length)).toString('latin1')
  const type = /'descr'\s*:\s*'([<>|=]?)(\w+)'/.exec(text)
  const order = /'fortran_order'\s*:\s*(True|False)/.exec(text)
  const shape = /'shape'\s*:\s*\(([\d,\s]*)\)/.exec(text)
  const datatype = TYPES[type?.[2] ?? '']
  const [descr = 'unknown', byteOrder] = type ?? []
  if (datatype !== undefined && byteOrder === '>')
    throw fault(`its elements (${descr}) are big-endian; save it with array.astype('<${type?.[2]}')`)
  if (datatype === undefined)
    throw fault(`its elements (${descr}) cannot be read: a .npy holds numbers here; write texts as CSV or NDJSON`)
  const sizes = (shape?.[1] ?? '')
    .split(',')
    .filter((size) => size.trim() !== '')
    .map(Number)
  if (shape === null || sizes.length === 0) throw fault('has no rows: its shape is ()')
  if (order === null) throw fault('does not say the order of its elements')
  return { datatype, shape: sizes, offset: begin + length, isFortran: order[1] === 'True' && sizes.length > 1 }
}

/** The header of a .npy file, padded so that the number of rows can be written into it later. */
export function npyHeader(datatype: Datatype, shape: readonly number[]): Buffer {
  const [type] = Object.entries(TYPES).find(([, each]) => each === datatype) ?? []
  if (type === undefined) throw new CommandError(`${datatype} cannot be written as .npy`)
  const descr = `${/1$/.test(type) ? '|' : '<'}${type}`
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${shape.join(', ')}${shape.length === 1 ? ',' : ''}), }`
  const head = Buffer.from(`${MAGIC}\x01\x00\x00\x00`, 'latin1')
  // 192 bytes in all, of which the elements must begin at a multiple of 64.
  const body = Buffer.from(`${text.padEnd(192 - head.length - 1)}\n`, 'latin1')
  head.writeUInt16LE(body.length, 8)
  return Buffer.concat([head, body])
}

/** Elements of which the first dimension runs fastest, in the order in which the last does. */
export function inRowOrder(elements: Uint8Array, { datatype, shape }: Pick<NpyHeader, 'datatype' | 'shape'>): Uint8Array {
  const size = elementBytes(datatype) ?? 1
  const written = new Uint8Array(elements.length)
  // By how much each dimension moves in the elements, in bytes.
  const steps: number[] = []
  let step = size
  for (const length of shape) {
    steps.push(step)
    step *= length
  }
  const index = shape.map(() => 0)
  let from = 0
  for (let to = 0; to < written.length; to += size) {
    for (let byte = 0; byte < size; byte += 1) written[to + byte] = elements[from + byte] ?? 0
    for (let dimension = shape.length - 1; dimension >= 0; dimension -= 1) {
      const next = (index[dimension] ?? 0) + 1
      from += steps[dimension] ?? 0
      index[dimension] = next
      if (next < (shape[dimension] ?? 0)) break
      index[dimension] = 0
      from -= next * (steps[dimension] ?? 0)
    }
  }
  return written
}

/** JSON of each row of some rows of a .npy file. */
export function npyRows(bytes: Uint8Array, { datatype, shape }: Pick<NpyHeader, 'datatype' | 'shape'>): readonly string[] {
  const facts = DATATYPES[datatype]
  const own = new Uint8Array(bytes)
  const values: ArrayLike<number | bigint> =
    facts.kind === 'text' || facts.kind === 'boolean'
      ? own
      : new facts.array(own.buffer, 0, own.byteLength / (elementBytes(datatype) ?? 1))
  const write = (index: number) => (facts.kind === 'boolean' ? String(values[index] !== 0) : numberText(values[index] ?? 0))
  const inner = shape.slice(1)
  const size = inner.reduce((product, each) => product * each, 1)
  return Array.from({ length: size === 0 ? 0 : values.length / size }, (_, row) => nested(inner, row * size, write))
}

/** JSON has no NaN and no infinity; the model's decoder says so, naming the row. */
function numberText(value: number | bigint): string {
  if (Object.is(value, -0)) return '-0'
  if (typeof value === 'bigint' || Number.isSafeInteger(value)) return String(value)
  // The shortest text of a large integer is another integer.
  if (Number.isInteger(value)) return String(BigInt(value))
  return Number.isFinite(value) ? String(value) : `"${value}"`
}

function nested(shape: readonly number[], start: number, write: (index: number) => string): string {
  const [length, ...inner] = shape
  if (length === undefined) return write(start)
  const size = inner.reduce((product, each) => product * each, 1)
  return `[${Array.from({ length }, (_, index) => nested(inner, start + index * size, write)).join(',')}]`
}
