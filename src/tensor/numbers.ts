import type { Datatype } from './datatypes.ts'
import { rawJson } from './raw-json.ts'
import type { Tensor } from './tensor.ts'

/** Writes one element of a tensor as JSON. */
export type ElementWriter = (index: number) => string

/** How floats are written that JSON has no form for: as the texts NaN, Infinity and -Infinity, or as these words without quotes, as Triton does. */
export type NotFiniteForm = 'texts' | 'bare'

/**
 * Prepares the JSON of a tensor's elements: floats in the shortest form that reads back as the same float, integers in full,
 * BYTES as texts.
 */
export function elementWriter({ datatype, data }: Tensor, notFinite: NotFiniteForm): ElementWriter {
  switch (datatype) {
    case 'BYTES':
      return (index) => JSON.stringify(data[index])
    case 'BOOL':
      return (index) => (data[index] === 1 ? 'true' : 'false')
    case 'FP16':
    case 'FP32':
    case 'FP64':
      return floatWriter(datatype, data as Float64Array, notFinite)
    default:
      return (index) => String(data[index])
  }
}

function floatWriter(datatype: Datatype, data: Float64Array, notFinite: NotFiniteForm): ElementWriter {
  const write = datatype === 'FP64' ? String : datatype === 'FP32' ? shortestFloat32 : shortestFloat16
  const quote = notFinite === 'texts' ? '"' : ''
  return (index) => {
    const value = data[index] ?? Number.NaN
    if (value === 0) return Object.is(value, 0) ? '0' : '-0'
    return Number.isFinite(value) ? write(value) : `${quote}${value}${quote}`
  }
}

/**
 * The elements of a tensor, which `JSON.stringify` writes each as `elementWriter` does: one list for it costs the collector less than a
 * text for each of them. Undefined where one is a float that JSON has no form for (NaN or infinite).
 */
export function elementsOf({ datatype, data }: Tensor): readonly unknown[] | undefined {
  switch (datatype) {
    case 'BYTES':
      return data as readonly string[]
    case 'BOOL':
      return Array.from(data as Uint8Array, (element) => element === 1)
    case 'FP16':
    case 'FP32':
    case 'FP64':
      return floatsOf(datatype, data as Float64Array)
    case 'INT64':
    case 'UINT64':
      return integersOf(data as BigInt64Array)
    default:
      return Array.from(data as Int32Array)
  }
}

function floatsOf(datatype: Datatype, data: Float64Array): readonly unknown[] | undefined {
  const numbers: unknown[] = []
  for (let index = 0; index < data.length; index += 1) {
    const value = data[index] ?? Number.NaN
    if (!Number.isFinite(value)) return undefined
    if (value === 0) numbers.push(Object.is(value, 0) ? 0 : NEGATIVE_ZERO)
    else numbers.push(datatype === 'FP32' ? decimalOfFloat32(value) : datatype === 'FP16' ? decimalOfFloat16(value) : value)
  }
  return numbers
}

function integersOf(data: BigInt64Array): readonly unknown[] {
  const integers: unknown[] = []
  for (const element of data) {
    const value = Number(element)
    integers.push(Number.isSafeInteger(value) ? value : rawJson(String(element)))
  }
  return integers
}

/** `JSON.stringify` would drop the sign of the number. */
const NEGATIVE_ZERO = rawJson('-0')

/** What gives six significant digits of values from a thousandth to a thousand, by the power of ten below them, from -3 up. */
const SCALES = [1e8, 1e7, 1e6, 1e5, 1e4, 1e3]

/** The least value that each of `SMALL_SCALES` is for. */
const SMALL_FROM = [1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-11, 1e-12, 1e-13]
/** The same for smaller values. With three digits more it is a power of ten of at most 22, which a double holds exactly. */
const SMALL_SCALES = [1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18]

/** The shortest decimal that is nearest to this FP32: `0.1` and not `0.10000000149011612`. Nine digits always do. */
export function shortestFloat32(value: number): string {
  return String(decimalOfFloat32(value))
}

/** The number whose text that is. */
function decimalOfFloat32(value: number): number {
  const size = Math.abs(value)
  // Where probabilities are, scaled integers are many times as fast as trying precisions; a double divided by a power of ten is the
  // double nearest to the decimal, so its text is the decimal.
  if (size >= 1e-13 && size < 1e3) {
    let scale = size < 1e-3 ? smallScaleOf(size) : scaleOf(size)
    for (let digits = 6; digits < 9; digits += 1) {
      const candidate = Math.round(value * scale) / scale
      if (Math.fround(candidate) === value) return candidate
      scale *= 10
    }
    return Math.round(value * scale) / scale
  }
  // Below this the floats are so far apart that fewer digits distinguish them.
  return shortest(value, { round: Math.fround, digitsMin: size < 1e-37 ? 1 : 6, digitsMax: 9 })
}

function scaleOf(size: number): number {
  return SCALES[size < 1 ? (size < 0.1 ? (size < 0.01 ? 0 : 1) : 2) : size < 10 ? 3 : size < 100 ? 4 : 5] ?? 1
}

function smallScaleOf(size: number): number {
  let index = 0
  while (size < (SMALL_FROM[index] ?? 0)) index += 1
  return SMALL_SCALES[index] ?? 1
}

/** The shortest decimal that is nearest to this FP16. Five digits always do. */
export function shortestFloat16(value: number): string {
  return String(decimalOfFloat16(value))
}

function decimalOfFloat16(value: number): number {
  return shortest(value, { round: Math.f16round, digitsMin: 3, digitsMax: 5 })
}

interface Precision {
  readonly round: (value: number) => number
  readonly digitsMin: number
  readonly digitsMax: number
}

function shortest(value: number, { round, digitsMin, digitsMax }: Precision): number {
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return value
  for (let digits = digitsMin; digits < digitsMax; digits += 1) {
    const candidate = Number(value.toPrecision(digits))
    if (round(candidate) === value) return candidate
  }
  return Number(value.toPrecision(digitsMax))
}
