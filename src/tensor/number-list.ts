import { bundledNumbers, type FloatArray, type FoundList, WRITTEN_RANK_MAX, type WrittenArray } from '../wasm/numbers.ts'
import type { Tensor } from './tensor.ts'

/** What the elements of long lists of numbers are read as: doubles, or floats where nothing else is made of them. */
export type ListKind = 'FP32' | 'FP64'

/**
 * A long list of numbers in a JSON text, flat or nested: its elements, in place of a JavaScript number for each and an array for each list. It
 * has as many dimensions as its lists are deep, and all lists of a level are as long as each other.
 */
export class NumberList {
  readonly shape: readonly number[]
  readonly data: FloatArray

  constructor({ shape, data }: Pick<FoundList, 'shape' | 'data'>) {
    this.shape = shape
    this.data = data
  }

  /** Elements of the outermost list. */
  get length(): number {
    return this.shape[0] ?? 0
  }
}

/** True for a list of JSON in one of its two forms. */
export function isList(value: unknown): value is readonly unknown[] | NumberList {
  return Array.isArray(value) || value instanceof NumberList
}

/** A text in which a mark replaces each long list of numbers. */
export interface MarkedText {
  readonly bytes: Uint8Array
  /** Puts the lists where their marks are: a reviver of `JSON.parse`. */
  readonly revive: (name: string, value: unknown) => unknown
}

/** Texts from this size on are looked through for long lists of numbers. */
const TEXT_BYTES_MIN = 16 * 1024
/** A text with more lists than this is read faster in the other way. */
const LISTS_MAX = 1024
/** No client can know it. */
const MARK = `${crypto.randomUUID()}:`

/**
 * Takes the long lists of numbers out of a JSON text. Undefined where they are not most of the text, or something about them is unusual: it is
 * then to be read as a whole, which also says what is wrong with it.
 */
export function takeNumberLists(text: Uint8Array, kind: ListKind): MarkedText | undefined {
  if (text.length < TEXT_BYTES_MIN) return undefined
  const lists = bundledNumbers()?.find(text, kind)
  if (lists === undefined || lists.length > LISTS_MAX) return undefined
  const inLists = lists.reduce((sum, { begin, end }) => sum + end - begin, 0)
  if (inLists < text.length / 2) return undefined
  const pieces: Uint8Array[] = []
  let position = 0
  for (const [index, { begin, end }] of lists.entries()) {
    // A list too: what may stand here, and what not, stays the same.
    pieces.push(text.subarray(position, begin), Buffer.from(`["${MARK}${index}"]`))
    position = end
  }
  pieces.push(text.subarray(position))
  const byMark = new Map(lists.map((list, index) => [`${MARK}${index}`, new NumberList(list)]))
  return { bytes: Buffer.concat(pieces), revive: (_name, value) => listOf(value, byMark) ?? value }
}

function listOf(value: unknown, byMark: ReadonlyMap<unknown, NumberList>): NumberList | undefined {
  return Array.isArray(value) && value.length === 1 ? byMark.get(value[0]) : undefined
}

/** Tensors with fewer elements are written element by element. */
const WRITTEN_MIN = 4096

/**
 * The JSON of a large tensor of numbers: lists in lists by its shape, each element as `elementWriter` writes it, without a JavaScript number for
 * each. Undefined for all other tensors.
 */
export function numberListText({ datatype, shape, data }: Tensor, notFinite: 'texts' | 'bare'): string | undefined {
  if (data.length < WRITTEN_MIN || shape.length === 0 || shape.length > WRITTEN_RANK_MAX) return undefined
  if (datatype === 'BYTES' || datatype === 'BOOL' || datatype === 'FP16') return undefined
  // The cast: these are all other datatypes.
  return bundledNumbers()?.write(data as WrittenArray, shape, notFinite)
}
