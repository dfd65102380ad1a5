import { VestalError } from '../core/errors.ts'
import type { Tensor } from './tensor.ts'
import { TRITON_TEXTS } from './triton-texts.ts'

/** Elements of an output that may be sorted for one request. */
const CLASSIFIED_MAX = 1_000_000

export interface ClassificationOptions {
  /** How many of the largest elements to give. */
  readonly count: number
  /** True when the first dimension counts rows, each of which has classes of its own. */
  readonly hasRows: boolean
  /** Names of the classes, where the model has any. */
  readonly labels?: readonly string[]
}

/**
 * The largest elements of an output as texts `value:index` or `value:index:label`, the largest first (the classification extension of
 * the protocol); for each row where the output has rows.
 * @throws VestalError INPUT_INVALID for datatypes that have no order here, and for too many elements
 */
export function classify(name: string, tensor: Tensor, { count, hasRows, labels }: ClassificationOptions): Tensor {
  const { datatype, shape, data } = tensor
  if (datatype === 'BYTES' || datatype === 'BOOL' || datatype === 'FP16') {
    throw invalid(`${TRITON_TEXTS.classUnsupported(datatype)} (output '${name}')`)
  }
  if (data.length > CLASSIFIED_MAX) {
    throw invalid(
      `${TRITON_TEXTS.classTooLarge()}: output '${name}' has ${data.length} elements, and at most ${CLASSIFIED_MAX} are sorted`,
    )
  }
  const rows = hasRows ? (shape[0] ?? 1) : 1
  const width = rows === 0 ? 0 : data.length / rows
  const given = Math.min(count, width)
  // The cast: what is left is a number or a bigint, and both compare.
  const values = data as ArrayLike<number>
  const texts: string[] = []
  for (let row = 0; row < rows; row += 1) {
    for (const index of largest(values, { start: row * width, width, count: given })) {
      const value = valueText(values[row * width + index] ?? Number.NaN, datatype)
      const label = labels?.[index]
      texts.push(label === undefined ? `${value}:${index}` : `${value}:${index}:${label}`)
    }
  }
  return { datatype: 'BYTES', shape: hasRows ? [rows, given] : [given], data: texts }
}

interface Range {
  readonly start: number
  readonly width: number
  readonly count: number
}

/** Indices of the largest elements of a range, from its start; equal ones in their order, NaN last. */
function largest(values: ArrayLike<number>, { start, width, count }: Range): readonly number[] {
  const rank = (index: number) => {
    const value = values[start + index] ?? Number.NaN
    return Number.isNaN(value) ? Number.NEGATIVE_INFINITY : value
  }
  const indices = Uint32Array.from({ length: width }, (_, index) => index)
  // Subtraction would round 64-bit integers, and infinities have no difference.
  const sorted = indices.sort((a, b) => (rank(a) > rank(b) ? -1 : rank(a) < rank(b) ? 1 : a - b))
  return [...sorted.subarray(0, count)]
}

/** A value as C++ writes it (`std::to_string`): six decimals for floats. */
function valueText(value: number, datatype: string): string {
  if (datatype !== 'FP32' && datatype !== 'FP64') return String(value)
  if (Number.isNaN(value)) return 'nan'
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf'
  // From here on JavaScript would write an exponent; such a float is an integer.
  return Math.abs(value) < 1e21 ? value.toFixed(6) : `${BigInt(value)}.000000`
}

function invalid(detail: string): VestalError {
  return new VestalError('INPUT_INVALID', { detail })
}
