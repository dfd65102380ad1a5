/** Operators that give the same elements another shape. */
import { type Call, type Operator, shapedValue } from './operator-call.ts'
import { ANY, type Extent, FIXED, isSameSize, known, ONE, product, type RowValue, rowsAt, size } from './row-values.ts'

const reshape: Operator = (call) => {
  if (call.isOpen) return FIXED
  const { axis, dims } = call.shaped(0)
  const target = call.opset < 5 ? call.integers('shape')?.map(size) : call.elements(1)
  if (target === undefined) {
    if (call.isFixed) return FIXED
    throw call.undecided('has a target shape that is not known')
  }
  const copies = call.integer('allowzero', 0) === 0
  const asked = target.map((extent, index) => (copies && known(extent) === 0 ? (dims[index] ?? ANY) : extent))
  if (axis === undefined && asked.some(({ isPerRow }) => isPerRow)) throw call.undecided('cuts a constant by the number of rows')
  if (axis === undefined) return { kind: 'fixed', dims: withOpen(asked, product(dims)) }
  return reshaped(call, { axis, dims }, asked)
}

/** The target with its -1 as what is left, where that can be said. */
function withOpen(asked: readonly Extent[], total: Extent | undefined): readonly Extent[] {
  const own = product(asked.filter((extent) => known(extent) !== -1))
  const [all, others] = [total && known(total), own && known(own)]
  const left = all === undefined || others === undefined || others === 0 ? ANY : size(all / others)
  return asked.map((extent) => (known(extent) === -1 ? left : extent))
}

/** Rows stay together where the dimensions before theirs stay, and the next holds whole rows in their order. */
function reshaped(
  call: Call,
  { axis, dims }: { readonly axis: number; readonly dims: readonly Extent[] },
  asked: readonly Extent[],
): RowValue {
  const before = dims.slice(0, axis).filter((extent) => known(extent) !== 1)
  // Dimensions of one element may come and go before the rows.
  let place = 0
  for (const extent of before) {
    while (known(asked[place]) === 1) place += 1
    const there = asked[place]
    if (there === undefined || known(there) === -1 || !isSameSize(extent, there))
      throw call.undecided('moves what stands before the rows')
    place += 1
  }
  while (known(asked[place]) === 1) place += 1
  const target = asked[place]
  const rest = asked.slice(place + 1)
  if (target === undefined) throw call.undecided('has a target shape without the rows')
  if (rest.some(({ isPerRow }) => isPerRow)) throw call.undecided('puts the rows behind other dimensions')
  const total = product(dims.slice(axis).map((extent, index) => (index === 0 ? { isPerRow: false, size: extent.size } : extent)))
  const each = total && known(total)
  const behind = product(rest.filter((extent) => known(extent) !== -1))
  const known_ = behind && known(behind)
  if (target.isPerRow) {
    const left =
      each === undefined || known_ === undefined || target.size === undefined ? ANY : size(each / (known_ * target.size))
    return rowsAt(place, filled(asked, place, { target, left }))
  }
  if (known(target) !== -1) {
    if (known(target) === undefined) throw call.undecided('has a target shape that is not known')
    throw call.dependent('cuts the rows at a fixed number')
  }
  const blocks = blocksOf(call, { dims: dims.slice(axis), rest, each, behind: known_ })
  return rowsAt(place, filled(asked, place, { target: { isPerRow: true, size: blocks }, left: ANY }))
}

function filled(
  asked: readonly Extent[],
  place: number,
  { target, left }: { readonly target: Extent; readonly left: Extent },
): readonly Extent[] {
  return asked.map((extent, index) => (index === place ? target : known(extent) === -1 ? left : extent))
}

interface Blocks {
  readonly dims: readonly Extent[]
  readonly rest: readonly Extent[]
  readonly each: number | undefined
  readonly behind: number | undefined
}

/** How many places a row has in a dimension of -1; undefined where that is not known. */
function blocksOf(call: Call, { dims, rest, each, behind }: Blocks): number | undefined {
  if (each !== undefined && behind !== undefined) {
    if (behind === 0 || each % behind !== 0) throw call.dependent('cuts rows in the middle')
    return each / behind
  }
  // The dimensions behind may be the same without their sizes being known.
  const [first, ...others] = dims
  let same = 0
  while (same < Math.min(others.length, rest.length) && isSameSize(others.at(-1 - same) ?? ANY, rest.at(-1 - same) ?? ANY))
    same += 1
  if (same === others.length && same === rest.length) return first?.size
  // What a row has at least must be whole blocks: rows of a size that does not fit would be cut within, beside others.
  const left = rest.slice(0, rest.length - same).map(known)
  const own = [first?.size, ...others.slice(0, others.length - same).map(known)]
  const block = left.includes(undefined) ? 0 : left.reduce<number>((total, each = 1) => total * each, 1)
  if (block < 1 || own.reduce<number>((total, each = 1) => total * each, 1) % block !== 0)
    throw call.undecided('may cut rows in the middle')
  return undefined
}

const flatten: Operator = (call) => {
  if (call.isOpen) return FIXED
  const { axis: rows, dims } = call.shaped(0)
  const written = call.integer('axis', 1)
  const axis = written < 0 ? written + dims.length : written
  const [before, behind] = [product(dims.slice(0, axis)), product(dims.slice(axis))]
  if (before === undefined || behind === undefined) return call.notFollowed()
  if (rows === undefined) return shapedValue({ axis: undefined, dims: [before, behind] })
  const leading = dims.slice(rows < axis ? 0 : axis, rows)
  if (leading.some((extent) => known(extent) !== 1)) throw call.undecided('moves what stands before the rows')
  return rowsAt(rows < axis ? 0 : 1, [before, behind])
}

/** The axes of an attribute, or of the second input in newer models; undefined where none are written. */
function axesOf(call: Call, rank: number): ReadonlySet<number> | undefined {
  const written = call.opset < 13 ? call.integers('axes') : call.has(1) ? call.knownElements(1) : undefined
  return written && new Set(written.map((axis) => call.axisOf(axis, rank)))
}

const squeeze: Operator = (call) => {
  if (call.isOpen) return FIXED
  const { axis: rows, dims } = call.shaped(0)
  const axes = axesOf(call, dims.length)
  if (axes === undefined && rows !== undefined) throw call.dependent('has no axes: of one row it takes away that axis')
  if (axes === undefined && dims.some((extent) => known(extent) === undefined)) return FIXED
  if (rows !== undefined && axes?.has(rows)) throw call.dependent('takes away the axis of the rows')
  const gone = (index: number) => axes?.has(index) ?? known(dims[index]) === 1
  const before = rows === undefined ? 0 : dims.slice(0, rows).filter((_, index) => gone(index)).length
  return shapedValue({ axis: rows === undefined ? undefined : rows - before, dims: dims.filter((_, index) => !gone(index)) })
}

const unsqueeze: Operator = (call) => {
  if (call.isOpen) return FIXED
  const { axis: rows, dims } = call.shaped(0)
  const written = call.opset < 13 ? (call.integers('axes') ?? []) : call.knownElements(1)
  const rank = dims.length + written.length
  const axes = new Set(written.map((axis) => call.axisOf(axis, rank)))
  const kept = Array.from({ length: rank }, (_, index) => index).filter((index) => !axes.has(index))
  const spread: Extent[] = Array.from({ length: rank }, () => ONE)
  for (const [index, place] of kept.entries()) spread[place] = dims[index] ?? ANY
  return shapedValue({ axis: rows === undefined ? undefined : kept[rows], dims: spread })
}

export const RESHAPE_OPERATORS: readonly (readonly [string, Operator])[] = [
  ['Reshape', reshape],
  ['Flatten', flatten],
  ['Squeeze', squeeze],
  ['Unsqueeze', unsqueeze],
]
