import { VestalError } from '../core/errors.ts'
import type { Datatype } from './datatypes.ts'
import type { Tensor } from './tensor.ts'

/** Writes one element of a tensor as JSON. */
export type ElementWriter = (index: number) => string

/**
 * Prepares the JSON of a tensor's elements: floats in the shortest form that reads back as the same float, integers in full,
 * BYTES as texts.
 * @throws VestalError INFERENCE_FAILED at a float that JSON cannot hold (NaN or infinite)
 */
export function elementWriter(name: string, { datatype, data }: Tensor): ElementWriter {
  switch (datatype) {
    case 'BYTES':
      return (index) => JSON.stringify(data[index])
    case 'BOOL':
      return (index) => (data[index] === 1 ? 'true' : 'false')
    case 'FP16':
    case 'FP32':
    case 'FP64':
      return floatWriter(name, datatype, data as Float64Array)
    default:
      return (index) => String(data[index])
  }
}

function floatWriter(name: string, datatype: Datatype, data: Float64Array): ElementWriter {
  const write = datatype === 'FP64' ? String : datatype === 'FP32' ? shortestFloat32 : shortestFloat16
  return (index) => {
    const value = data[index] ?? Number.NaN
    if (Number.isFinite(value)) return write(value)
    throw new VestalError('INFERENCE_FAILED', {
      detail: `output '${name}': element ${index} is ${value}, which JSON cannot hold`,
    })
  }
}

/** Powers of ten that keep a value under a thousand an exact integer; dividing by one gives the double nearest to the decimal. */
const SCALES = [1e6, 1e7, 1e8, 1e9]

/** A short decimal that is nearest to this FP32: `0.1` and not `0.10000000149011612`. Nine digits always do. */
export function shortestFloat32(value: number): string {
  const size = Math.abs(value)
  // Three times as fast as trying precisions, and where probabilities are.
  if (size >= 1e-3 && size < 1e3) {
    for (const scale of SCALES) {
      const candidate = Math.round(value * scale) / scale
      if (Math.fround(candidate) === value) return String(candidate)
    }
  }
  return shortest(value, { round: Math.fround, digitsMin: 6, digitsMax: 9 })
}

/** The shortest decimal that is nearest to this FP16. Five digits always do. */
export function shortestFloat16(value: number): string {
  return shortest(value, { round: Math.f16round, digitsMin: 3, digitsMax: 5 })
}

interface Precision {
  readonly round: (value: number) => number
  readonly digitsMin: number
  readonly digitsMax: number
}

function shortest(value: number, { round, digitsMin, digitsMax }: Precision): string {
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return String(value)
  for (let digits = digitsMin; digits < digitsMax; digits += 1) {
    const candidate = Number(value.toPrecision(digits))
    if (round(candidate) === value) return String(candidate)
  }
  return String(Number(value.toPrecision(digitsMax)))
}
