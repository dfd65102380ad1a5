/** Integers that exports compute from shapes, such as the targets of Reshape: followed as numbers and as multiples of the rows. */
import type { Call } from './operator-call.ts'
import { ANY, type Extent, elementsOf, isSameSize, known, listOf, product, type RowValue, size, times } from './row-values.ts'

/** Integers of one list that are followed. */
const LIST_MAX = 64

/** What an operator makes of short lists of integers; undefined where that is not followed. */
export function foldSizes(call: Call): RowValue | undefined {
  const fold = FOLDS[call.operator]
  if (fold === undefined || call.node.domain !== '') return undefined
  const value = fold(call)
  return value !== undefined && (elementsOf(value)?.length ?? 0) <= LIST_MAX ? value : undefined
}

type Fold = (call: Call) => RowValue | undefined

const FOLDS: Readonly<Record<string, Fold>> = {
  Identity: (call) => same(call),
  Cast: cast,
  Squeeze: (call) => reshaped(call, true),
  Unsqueeze: (call) => reshaped(call, false),
  Reshape: (call) => {
    const length = elementsOf(call.inputs[1])?.length
    return length === 0 || length === 1 ? reshaped(call, length === 0) : undefined
  },
  Concat: concat,
  Gather: gather,
  Slice: slice,
  ReduceProd: (call) => {
    const total = product(elementsOf(call.inputs[0]) ?? [undefined as never])
    return elementsOf(call.inputs[0]) && total && listOf([total], call.integer('keepdims', 1) === 0)
  },
  Add: (call) => pairwise(call, (a, b) => numeric(a, b, (x, y) => x + y)),
  Sub: (call) => pairwise(call, (a, b) => numeric(a, b, (x, y) => x - y)),
  Mul: (call) => pairwise(call, times),
  Div: (call) => pairwise(call, divide),
  Mod: (call) => pairwise(call, (a, b) => (known(b) === 1 ? size(0) : numeric(a, b, (x, y) => ((x % y) + y) % y))),
  Min: (call) => pairwise(call, (a, b) => numeric(a, b, Math.min)),
  Max: (call) => pairwise(call, (a, b) => numeric(a, b, Math.max)),
  Equal: (call) => pairwise(call, equal),
  Not: (call) => mapped(call, (element) => (known(element) === undefined ? undefined : size(known(element) === 0 ? 1 : 0))),
  Where: where,
}

function same({ inputs: [input] }: Call): RowValue | undefined {
  const elements = elementsOf(input)
  if (elements === undefined || input === undefined) return undefined
  const isScalar = (input.kind === 'sizes' || input.kind === 'fixed') && input.isScalar === true
  return listOf(elements, isScalar)
}

/** Only between a number and a list of one; other shapes are not followed. */
function reshaped({ inputs: [input] }: Call, isScalar: boolean): RowValue | undefined {
  const elements = elementsOf(input)
  if (elements === undefined || input === undefined) return undefined
  const wasScalar = (input.kind === 'sizes' || input.kind === 'fixed') && input.isScalar === true
  if (isScalar) return elements.length === 1 ? listOf(elements, true) : undefined
  return wasScalar || elements.length > 0 ? listOf(elements) : undefined
}

const WHOLE = [6, 7, 12, 13]
const [BOOL, FLOAT, DOUBLE] = [9, 1, 11]

function cast(call: Call): RowValue | undefined {
  const to = call.integer('to', 0)
  if (WHOLE.includes(to))
    return mapped(call, (element) => ({ ...element, ...(element.size !== undefined && { size: Math.trunc(element.size) }) }))
  if (to === FLOAT || to === DOUBLE) return same(call)
  return to === BOOL
    ? mapped(call, (element) => (known(element) === undefined ? undefined : size(element.size === 0 ? 0 : 1)))
    : undefined
}

/** A list of integers, of which some may not be known. */
function listIn(input: RowValue | undefined): readonly Extent[] | undefined {
  const elements = elementsOf(input)
  if (elements !== undefined || input?.kind !== 'fixed' || input.dims === undefined || input.dims.length > 1) return elements
  const length = product(input.dims)
  const count = length && known(length)
  return count === undefined || count > LIST_MAX ? undefined : Array.from({ length: count }, () => ANY)
}

function concat({ inputs }: Call): RowValue | undefined {
  const lists = inputs.map(listIn)
  return lists.some((list) => list === undefined) ? undefined : listOf(lists.flatMap((list) => list ?? []))
}

function gather(call: Call): RowValue | undefined {
  const [data, places] = [listIn(call.inputs[0]), call.inputs[1]]
  const indexes = elementsOf(places)?.map(known)
  if (data === undefined || indexes === undefined || indexes.includes(undefined)) return undefined
  const picked = indexes.map((index = 0) => data[index < 0 ? index + data.length : index])
  const isScalar = places?.kind === 'fixed' && places.isScalar === true
  return picked.includes(undefined) ? undefined : listOf(picked as readonly Extent[], isScalar)
}

function slice(call: Call): RowValue | undefined {
  const data = listIn(call.inputs[0])
  const numbers = (name: string, index: number) =>
    call.opset < 10 ? call.integers(name) : elementsOf(call.inputs[index])?.map((element) => known(element) ?? Number.NaN)
  const [[start] = [], [end] = [], [step = 1] = [1]] = [numbers('starts', 1), numbers('ends', 2), numbers('steps', 4)]
  if (data === undefined || start === undefined || end === undefined || Number.isNaN(start + end) || step !== 1) return undefined
  return listOf(data.slice(start, end))
}

function mapped({ inputs: [input] }: Call, map: (element: Extent) => Extent | undefined): RowValue | undefined {
  const elements = elementsOf(input)?.map(map)
  if (elements === undefined || elements.includes(undefined)) return undefined
  return listOf(elements as readonly Extent[], input?.kind === 'fixed' && input.isScalar === true)
}

function pairwise(call: Call, combine: (a: Extent, b: Extent) => Extent | undefined): RowValue | undefined {
  if (call.inputs.length !== 2) return undefined
  return combined(call, ([a, b]) => combine(a as Extent, b as Extent))
}

function where(call: Call): RowValue | undefined {
  return combined(call, ([condition, yes, no]) => {
    const is = known(condition)
    return is === undefined ? undefined : is === 0 ? no : yes
  })
}

/** Lists of one length, and single numbers beside them, element by element. */
function combined({ inputs }: Call, combine: (elements: readonly Extent[]) => Extent | undefined): RowValue | undefined {
  const lists = inputs.map(elementsOf)
  if (lists.some((list) => list === undefined || list.length === 0)) return undefined
  const length = Math.max(...lists.map((list) => list?.length ?? 0))
  if (lists.some((list) => list?.length !== 1 && list?.length !== length)) return undefined
  // The casts: none of the lists is undefined or empty.
  const at = (index: number) => lists.map((list) => (list?.length === 1 ? list[0] : list?.[index]) as Extent)
  const elements = Array.from({ length }, (_, index) => combine(at(index)))
  if (elements.includes(undefined)) return undefined
  const isScalar = inputs.every((input) => (input?.kind === 'fixed' || input?.kind === 'sizes') && input.isScalar === true)
  return listOf(elements as readonly Extent[], isScalar)
}

function numeric(a: Extent, b: Extent, combine: (a: number, b: number) => number): Extent | undefined {
  const [x, y] = [known(a), known(b)]
  if (x !== undefined && y !== undefined) return size(combine(x, y))
  return a.isPerRow || b.isPerRow ? undefined : ANY
}

function divide(a: Extent, b: Extent): Extent | undefined {
  const by = known(b)
  if (by === undefined || by === 0) return a.isPerRow || b.isPerRow ? undefined : ANY
  if (a.size === undefined) return by === 1 ? a : a.isPerRow ? undefined : ANY
  // Of integers it would be cut off, of floats not.
  if (a.size % by !== 0) return a.isPerRow ? undefined : ANY
  return { isPerRow: a.isPerRow, size: a.size / by }
}

function equal(a: Extent, b: Extent): Extent | undefined {
  if (isSameSize(a, b)) return size(1)
  const [x, y] = [known(a), known(b)]
  if (x !== undefined && y !== undefined) return size(0)
  // A size is never negative, as the mark for "as it is" in a target shape is; a size times a negative number may be.
  const isSizeBesideMark = (extent: Extent, mark: number | undefined) =>
    (mark ?? 0) < 0 && (extent.size ?? (extent.isPerRow ? -1 : 0)) >= 0
  return isSizeBesideMark(a, y) || isSizeBesideMark(b, x) ? size(0) : undefined
}
