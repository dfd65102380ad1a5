/** Operators that give elements another place or another shape. */

import { keep } from './elementwise-operators.ts'
import { type Call, type Operator, type Shaped, shapedValue } from './operator-call.ts'
import { RESHAPE_OPERATORS } from './reshape-operators.ts'
import { ANY, dimsOf, type Extent, FIXED, isSameSize, known, listOf, product, size, times } from './row-values.ts'

const shape: Operator = (call) => {
  const dims = dimsOf(call.inputs[0])
  if (dims === undefined) return call.isFixed ? FIXED : call.notFollowed()
  const end = call.integer('end', dims.length)
  return listOf(dims.slice(call.integer('start', 0), end))
}

const elementCount: Operator = (call) => {
  const dims = dimsOf(call.inputs[0])
  const total = dims && product(dims)
  if (total === undefined) return call.isFixed ? FIXED : call.notFollowed()
  return listOf([total], true)
}

const transpose: Operator = (call) => {
  if (call.isOpen) return FIXED
  const { axis: rows, dims } = call.shaped(0)
  const order = call.integers('perm') ?? [...dims.keys()].reverse()
  if (order.length !== dims.length) throw call.undecided('has an order that does not fit its input')
  return shapedValue({ axis: rows === undefined ? undefined : order.indexOf(rows), dims: order.map((from) => dims[from] ?? ANY) })
}

const concat: Operator = (call) => {
  const parts = call.inputs.map((_, index) => index)
  if (call.isFixed && call.inputs.some((input) => dimsOf(input) === undefined)) return FIXED
  const values = parts.map((index) => call.shaped(index))
  const [first] = values
  if (first === undefined) return FIXED
  const axis = call.axisOf(call.integer('axis', 1), first.dims.length)
  const rows = values.find((value) => value.axis !== undefined)
  if (rows?.axis === axis) throw call.dependent('puts something beside the rows on their axis')
  if (rows?.axis !== undefined) for (const value of values) mustFit(call, value, [rows.axis, rows.dims[rows.axis]])
  const sizes = values.map(({ dims }) => known(dims[axis]))
  const sum = sizes.includes(undefined) ? ANY : size(sizes.reduce<number>((total, each = 0) => total + each, 0))
  const form = rows ?? first
  return shapedValue({ axis: rows?.axis, dims: form.dims.map((extent, index) => (index === axis ? sum : extent)) })
}

/** @throws Verdict unless the value has the same rows on the same axis */
function mustFit(call: Call, { axis, dims }: Shaped, [rows, extent]: readonly [number, Extent | undefined]): void {
  if (axis === undefined) throw call.dependent('puts rows together with a constant of one size')
  if (axis !== rows) throw call.dependent('combines each row with every other')
  if (extent?.size === undefined || dims[rows]?.size !== extent.size) throw call.undecided('meets rows in another form')
}

const split: Operator = (call) => {
  if (call.isOpen) return FIXED
  const { axis: rows, dims } = call.shaped(0)
  const axis = call.axisOf(call.integer('axis', 0), dims.length)
  if (axis === rows) throw call.dependent('cuts the rows at a fixed number')
  const written = call.integers('split') ?? (call.has(1) ? call.elements(1)?.map((extent) => known(extent) ?? -1) : undefined)
  const whole = known(dims[axis])
  const even = whole !== undefined && whole % call.node.outputs.length === 0 ? whole / call.node.outputs.length : undefined
  return call.node.outputs.map((_, index) => {
    const own = written === undefined ? (call.has(1) ? undefined : even) : written[index]
    const extent = own === undefined || own < 0 ? ANY : size(own)
    return shapedValue({ axis: rows, dims: dims.map((each, place) => (place === axis ? extent : each)) })
  })
}

/** So large that it is the end of any dimension. */
const TO_THE_END = 2 ** 31 - 1

const slice: Operator = (call) => {
  if (call.isOpen) return FIXED
  const { axis: rows, dims } = call.shaped(0)
  const isOld = call.opset < 10
  const list = (name: string, index: number) => (isOld ? call.integers(name)?.map(size) : call.elements(index))
  const [starts, ends] = [list('starts', 1), list('ends', 2)]
  const axes = isOld ? call.integers('axes') : call.has(3) ? call.knownElements(3) : undefined
  const steps = isOld ? undefined : call.has(4) ? call.knownElements(4) : undefined
  const count = axes?.length ?? starts?.length ?? ends?.length
  if (count === undefined) {
    if (rows === undefined) return FIXED
    throw call.undecided('has places that are not known')
  }
  const cut = new Map<number, Extent>()
  for (let index = 0; index < count; index += 1) {
    const axis = call.axisOf(axes?.[index] ?? index, dims.length)
    const [start, end, step = 1] = [starts?.[index], ends?.[index], steps?.[index]]
    const extent = dims[axis] ?? ANY
    const isWhole = known(start) === 0 && step === 1 && isEnd(end, extent)
    if (isWhole) continue
    if (axis === rows && (start === undefined || end === undefined)) throw call.undecided('has places that are not known')
    if (axis === rows) throw call.dependent('takes some of the rows by their place')
    notPerRow(call, [start, end])
    cut.set(axis, sliced(extent, [start, end, size(step)]))
  }
  return shapedValue({ axis: rows, dims: dims.map((extent, index) => cut.get(index) ?? extent) })
}

/** @throws Verdict where a size of an axis beside the rows grows with their number */
function notPerRow(call: Call, extents: readonly (Extent | undefined)[]): void {
  if (extents.some((extent) => extent?.isPerRow === true))
    throw call.dependent('takes a size of its output from the number of rows')
}

function isEnd(end: Extent | undefined, extent: Extent): boolean {
  if (end === undefined) return false
  return (known(end) ?? 0) >= TO_THE_END || (end.isPerRow && end.size !== undefined && isSameSize(end, extent))
}

function sliced(extent: Extent, places: readonly (Extent | undefined)[]): Extent {
  const whole = known(extent)
  const [start, end, step] = places.map(known)
  if (whole === undefined || start === undefined || end === undefined || step === undefined || step < 1) return ANY
  const clamp = (place: number) => Math.min(whole, Math.max(0, place < 0 ? place + whole : place))
  return size(Math.max(0, Math.ceil((clamp(end) - clamp(start)) / step)))
}

const expand: Operator = (call) => {
  const target = call.elements(1)
  if (call.isOpen || (call.isFixed && target === undefined)) return FIXED
  const own = call.shaped(0)
  if (target === undefined) throw call.undecided('has a target shape that is not known')
  const place = target.findIndex(({ isPerRow }) => isPerRow)
  if (target.some(({ isPerRow }, index) => isPerRow && index !== place))
    throw call.dependent('combines each row with every other')
  return shapedValue(call.joined([own, { axis: place === -1 ? undefined : place, dims: target }]))
}

const tile: Operator = (call) => {
  const repeats = call.elements(1)
  if (call.isOpen || (call.isFixed && repeats === undefined)) return FIXED
  const { axis: rows, dims } = call.shaped(0)
  if (repeats === undefined || repeats.length !== dims.length)
    throw call.undecided('repeats its input in a way that is not known')
  if (rows !== undefined && known(repeats[rows]) !== 1) throw call.dependent('repeats the rows')
  const places = [...repeats.keys()].filter((index) => repeats[index]?.isPerRow === true)
  if (places.length > 1 || (rows !== undefined && places.length > 0)) throw call.dependent('combines each row with every other')
  return shapedValue({ axis: rows ?? places[0], dims: dims.map((extent, index) => times(extent, repeats[index] ?? ANY) ?? ANY) })
}

const constantOfShape: Operator = (call) => {
  const target = call.elements(0)
  if (target === undefined) return call.isFixed ? FIXED : call.notFollowed()
  const places = [...target.keys()].filter((index) => target[index]?.isPerRow === true)
  if (places.length > 1) throw call.undecided('has the number of rows twice in its shape')
  return shapedValue({ axis: places[0], dims: target })
}

const range: Operator = (call) => {
  if (call.isFixed) return { kind: 'fixed', dims: [ANY] }
  throw call.undecided('numbers the rows')
}

const pad: Operator = (call) => {
  if (call.isOpen) return FIXED
  const { axis: rows, dims } = call.shaped(0)
  call.mustBeFixed([2], 'takes its constant from the rows')
  const pads = call.opset < 11 ? call.integers('pads')?.map(size) : call.elements(1)
  const axes = call.has(3) ? call.knownElements(3).map((axis) => call.axisOf(axis, dims.length)) : [...dims.keys()]
  notPerRow(call, pads ?? [])
  if (rows !== undefined && axes.includes(rows)) {
    const place = axes.indexOf(rows)
    const own = pads === undefined ? [] : [known(pads[place]), known(pads[place + axes.length])]
    if (own.length === 0 || own.includes(undefined)) throw call.undecided('has pads that are not known')
    if (own.some((each) => each !== 0)) throw call.dependent('puts something beside the rows on their axis')
  }
  return shapedValue({ axis: rows, dims: dims.map((extent, index) => (index === rows || !axes.includes(index) ? extent : ANY)) })
}

const resize: Operator = (call) => {
  if (call.isOpen) return FIXED
  const { axis: rows, dims } = call.shaped(0)
  const isUpsample = call.operator === 'Upsample' || call.opset < 11
  const axes = call.integers('axes')?.map((axis) => call.axisOf(axis, dims.length)) ?? [...dims.keys()]
  const open = dims.map((extent, index) => (axes.includes(index) && index !== rows ? ANY : extent))
  if (!isUpsample) call.mustBeFixed([1], 'takes its region from the rows')
  const scales = call.attribute('scales')?.numbers.map(size) ?? call.elements(isUpsample ? 1 : 2)
  const sizes = isUpsample ? undefined : call.elements(3)
  const isOfRows = (place: number) => axes[place] === rows
  notPerRow(call, scales ?? [])
  notPerRow(call, sizes?.filter((_, place) => !isOfRows(place)) ?? [])
  if (rows !== undefined && axes.includes(rows)) {
    const place = axes.indexOf(rows)
    const [scale, target] = [scales?.[place], sizes?.[place]]
    // One scale for all axes, that of the smallest or largest.
    if ((call.attribute('keep_aspect_ratio_policy')?.text ?? 'stretch') !== 'stretch')
      throw call.undecided('has one scale for all axes')
    const isKept = known(scale) === 1 || (target?.isPerRow === true && isSameSize(target, dims[rows] ?? ANY))
    if (!isKept && scale === undefined && target === undefined) throw call.undecided('has sizes that are not known')
    if (!isKept) throw call.dependent('changes the axis of the rows')
  }
  return shapedValue({ axis: rows, dims: open })
}

const trilu: Operator = (call) => {
  if (call.isOpen) return FIXED
  const own = call.shaped(0)
  if (call.inputs[1]?.kind === 'rows' || call.inputs[1]?.kind === 'sizes')
    throw call.dependent('takes its diagonal from the rows')
  if (own.axis !== undefined && own.axis >= own.dims.length - 2) throw call.dependent('gives each row another part by its place')
  return shapedValue(own)
}

const eyeLike: Operator = (call) => {
  const own = call.shaped(0)
  if (own.axis === undefined) return keep(call)
  throw call.dependent('gives each row another part by its place')
}

const compress: Operator = (call) => {
  if (call.isFixed) return FIXED
  const { axis: rows, dims } = call.shaped(0)
  const written = call.attribute('axis')?.integer
  const axis = written === undefined ? undefined : call.axisOf(written, dims.length)
  if (call.inputs[1]?.kind !== 'fixed' || axis === undefined || axis === rows) throw call.dependent('keeps some of the rows')
  return shapedValue({ axis: rows, dims: dims.map((extent, index) => (index === axis ? ANY : extent)) })
}

/** Moves what is within one image, of which there is one a row. */
const withinImages: Operator = (call) => {
  if (call.isOpen) return FIXED
  const own = call.shaped(0)
  if (own.axis !== undefined && own.axis !== 0) throw call.undecided('has the rows on another axis than the first')
  return shapedValue({ ...own, dims: own.dims.map((extent, index) => (index === own.axis ? extent : ANY)) })
}

const reverseSequence: Operator = (call) => {
  const own = call.shaped(0)
  const [batch, time] = [call.integer('batch_axis', 1), call.integer('time_axis', 0)]
  if (own.axis === time) throw call.dependent('turns the rows round')
  const lengths: Shaped = call.shaped(1)
  if (own.axis === undefined && lengths.axis === undefined) return keep(call)
  if (own.axis !== batch || lengths.axis !== 0) throw call.undecided('has its lengths in another form')
  return shapedValue(own)
}

export const SHAPE_OPERATORS: ReadonlyMap<string, Operator> = new Map<string, Operator>([
  ...RESHAPE_OPERATORS,
  ['Shape', shape],
  ['Size', elementCount],
  ['Transpose', transpose],
  ['Concat', concat],
  ['Split', split],
  ['Slice', slice],
  ['Expand', expand],
  ['Tile', tile],
  ['ConstantOfShape', constantOfShape],
  ['Range', range],
  ['Pad', pad],
  ['Resize', resize],
  ['Upsample', resize],
  ['Trilu', trilu],
  ['EyeLike', eyeLike],
  ['Compress', compress],
  ['DepthToSpace', withinImages],
  ['SpaceToDepth', withinImages],
  ['ReverseSequence', reverseSequence],
])

/** Inputs of operators that may be computed from the number of rows, by operator. */
export const SIZES_AT: ReadonlyMap<string, readonly number[]> = new Map([
  ['Shape', [0]],
  ['Size', [0]],
  ['Reshape', [1]],
  ['Slice', [1, 2]],
  ['Expand', [1]],
  ['Tile', [1]],
  ['ConstantOfShape', [0]],
  ['Pad', [1]],
  ['Resize', [2, 3]],
])
