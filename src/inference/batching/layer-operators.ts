/** Operators that multiply, convolve, look up and recur. */
import { type Call, type Operator, type Shaped, shapedValue } from './operator-call.ts'
import { ANY, dimsOf, type Extent, FIXED, known, ONE, type RowValue, rowsAt } from './row-values.ts'

function isOpenFixed(call: Call): boolean {
  return call.isFixed && call.inputs.some((input) => input !== undefined && dimsOf(input) === undefined)
}

/** The inputs at these places multiplied as matrices; the others are constants. */
function matMul(left: number, right: number): Operator {
  return (call) => {
    const constants = call.inputs.map((_, index) => index).filter((index) => index !== left && index !== right)
    call.mustBeFixed(constants, 'takes its constants from the rows')
    if (isOpenFixed(call)) return FIXED
    if (call.integer('transBatchA', 0) !== 0 || call.integer('transBatchB', 0) !== 0)
      throw call.undecided('moves the dimensions of its batches')
    return multiplied(
      call,
      transposed(call, call.shaped(left), 'transA'),
      transposed(call, weightsOf(call, left, right), 'transB'),
    )
  }
}

/** The right side; what is known of a constant's rank is enough for rows on the left that have two dimensions or fewer. */
function weightsOf(call: Call, left: number, right: number): Shaped {
  if (dimsOf(call.inputs[right]) !== undefined || call.inputs[right]?.kind !== 'fixed') return call.shaped(right)
  throw call.undecided(`has a constant (input ${Math.max(left, right)}) whose dimensions are not known`)
}

function transposed(call: Call, { axis, dims }: Shaped, name: string): Shaped {
  if (call.integer(name, 0) === 0 || dims.length < 2) return { axis, dims }
  const last = dims.length - 1
  const order = [...dims.keys()].map((index) => (index === last ? last - 1 : index === last - 1 ? last : index))
  return { axis: axis === undefined ? undefined : order.indexOf(axis), dims: order.map((from) => dims[from] ?? ANY) }
}

function multiplied(call: Call, a: Shaped, b: Shaped): RowValue {
  if (a.dims.length === 0 || b.dims.length === 0) throw call.undecided('has an input without dimensions')
  if (a.axis === a.dims.length - 1 || (b.axis !== undefined && b.axis === Math.max(0, b.dims.length - 2)))
    throw call.dependent('adds up over the axis of the rows')
  const isRowOfLeft = a.dims.length > 1 && a.axis === a.dims.length - 2
  const isColumnOfRight = b.dims.length > 1 && b.axis === b.dims.length - 1
  if ((isRowOfLeft && b.axis !== undefined) || (isColumnOfRight && a.axis !== undefined))
    throw call.dependent('combines each row with every other')
  // Dimensions before the last two are spread as those of any operator are.
  const stack = ({ axis, dims }: Shaped): Shaped => ({
    axis: axis !== undefined && axis < dims.length - 2 ? axis : undefined,
    dims: dims.slice(0, -2),
  })
  const stacks = call.joined([stack(a), stack(b)])
  const rank = stacks.dims.length
  const own = [...(a.dims.length > 1 ? [a.dims.at(-2) ?? ANY] : []), ...(b.dims.length > 1 ? [b.dims.at(-1) ?? ANY] : [])]
  const axis = stacks.axis ?? (isRowOfLeft ? rank : isColumnOfRight ? rank + own.length - 1 : undefined)
  return shapedValue({ axis, dims: [...stacks.dims, ...own] })
}

/** A product of two matrices, and a third that is spread over it. */
const gemm: Operator = (call) => {
  if (isOpenFixed(call)) return FIXED
  const value = multiplied(call, transposed(call, call.shaped(0), 'transA'), transposed(call, call.shaped(1), 'transB'))
  if (!call.has(2)) return value
  const shaped = { axis: value.kind === 'rows' ? value.axis : undefined, dims: dimsOf(value) ?? [] }
  return shapedValue(call.joined([shaped, call.shaped(2)]))
}

/** Weights that are packed, so that their shape says nothing: one column a place of `N`. */
const packedMatMul: Operator = (call) => {
  call.mustBeFixed([1, 2, 3, 4, 5], 'takes its weights from the rows')
  if (isOpenFixed(call)) return FIXED
  const { axis, dims } = call.shaped(0)
  if (axis === dims.length - 1) throw call.dependent('adds up over the axis of the rows')
  return shapedValue({ axis, dims: [...dims.slice(0, -1), ANY] })
}

/** Computes within one image, of which there is one a row; the other inputs are weights. */
function images(weight?: number): Operator {
  return (call) => {
    const constants = call.inputs.map((_, index) => index).slice(1)
    call.mustBeFixed(constants, 'takes its weights from the rows')
    if (call.isFixed && dimsOf(call.inputs[0]) === undefined) return FIXED
    const { axis, dims } = call.shaped(0)
    if (axis !== undefined && axis !== 0) throw call.dependent('computes over the axis of the rows')
    const channels = weight === undefined ? dims[1] : channelsOf(call, weight)
    return shapedValue({
      axis,
      dims: dims.map((extent, index) => (index === 0 ? extent : index === 1 ? (channels ?? ANY) : ANY)),
    })
  }
}

function channelsOf(call: Call, weight: number): Extent | undefined {
  const dims = dimsOf(call.inputs[weight])
  return call.operator.includes('Transpose') ? undefined : dims?.[0]
}

const globalPool: Operator = (call) => {
  if (call.isFixed && dimsOf(call.inputs[0]) === undefined) return FIXED
  const { axis, dims } = call.shaped(0)
  if (axis !== undefined && axis > 1) throw call.dependent('computes over the axis of the rows')
  if (call.integer('channels_last', 0) !== 0) return images()(call)
  return shapedValue({ axis, dims: dims.map((extent, index) => (index < 2 ? extent : ONE)) })
}

/** Its second output numbers the places of the whole tensor. */
const maxPool: Operator = (call) => {
  const value = images()(call)
  if (call.node.outputs.length < 2 || value === FIXED || call.isFixed) return value
  return [value as RowValue, call.dependent('numbers the places of all rows').value]
}

const batchNormalization: Operator = (call) => {
  call.mustBeFixed([1, 2, 3, 4], 'takes its constants from the rows')
  const isTraining =
    call.integer('training_mode', 0) !== 0 ||
    (call.opset < 14 && call.node.outputs.slice(1).some((name) => name !== '')) ||
    (call.opset < 7 && call.integer('is_test', 0) === 0)
  if (isTraining && !call.isFixed) throw call.dependent('takes its mean from all rows')
  if (call.isFixed && dimsOf(call.inputs[0]) === undefined) return FIXED
  const own = call.shaped(0)
  if (own.axis !== undefined && (own.axis === 1 || call.integer('spatial', 1) === 0))
    throw call.undecided('has a constant for each row')
  return shapedValue(own)
}

/** Computes within one channel of one image. */
const instanceNormalization: Operator = (call) => {
  call.mustBeFixed([1, 2], 'takes its constants from the rows')
  if (call.isFixed && dimsOf(call.inputs[0]) === undefined) return FIXED
  const own = call.shaped(0)
  if (own.axis !== undefined && own.axis !== 0) throw call.dependent('computes over the axis of the rows')
  return shapedValue(own)
}

/** Looks up places of a table along one axis. */
const gather: Operator = (call) => {
  if (isOpenFixed(call)) return FIXED
  const [data, places] = [call.shaped(0), call.shaped(1)]
  const axis = call.axisOf(call.integer('axis', 0), data.dims.length)
  const dims = [...data.dims.slice(0, axis), ...places.dims, ...data.dims.slice(axis + 1)]
  if (data.axis === axis) throw call.dependent('takes some of the rows by their place')
  if (data.axis !== undefined && places.axis !== undefined) throw call.dependent('combines each row with every other')
  const grown = places.dims.length - 1
  if (data.axis !== undefined) return shapedValue({ axis: data.axis < axis ? data.axis : data.axis + grown, dims })
  return shapedValue({ axis: places.axis === undefined ? undefined : places.axis + axis, dims })
}

/** Looks up an element for each of the second input, which has as many dimensions as the first. */
const gatherElements: Operator = (call) => {
  if (isOpenFixed(call)) return FIXED
  const [data, places] = [call.shaped(0), call.shaped(1)]
  const axis = call.axisOf(call.integer('axis', 0), data.dims.length)
  if (data.axis === undefined && (places.axis === undefined || places.axis === axis)) return shapedValue(places)
  if (data.axis === undefined) throw call.dependent('takes a part of a constant by the place of the row')
  if (data.axis === axis) throw call.dependent('takes some of the rows by their place')
  if (places.axis !== data.axis) throw call.dependent('takes some of the rows by their place')
  if (data.dims[data.axis]?.size === undefined || data.dims[data.axis]?.size !== places.dims[places.axis]?.size)
    throw call.undecided('meets rows in another form')
  return shapedValue(places)
}

const gatherNd: Operator = (call) => {
  if (isOpenFixed(call)) return FIXED
  const [data, places] = [call.shaped(0), call.shaped(1)]
  const batch = call.integer('batch_dims', 0)
  const depth = known(places.dims.at(-1))
  if (depth === undefined) throw call.undecided('has places whose dimensions are not known')
  if (places.axis !== undefined && places.axis === places.dims.length - 1) throw call.undecided('has places in another form')
  const dims = [...places.dims.slice(0, -1), ...data.dims.slice(batch + depth)]
  if (data.axis === undefined) {
    if (places.axis !== undefined && places.axis < batch)
      throw call.dependent('takes a part of a constant by the place of the row')
    return shapedValue({ axis: places.axis, dims })
  }
  if (data.axis < batch && data.axis === places.axis) return shapedValue({ axis: places.axis, dims })
  if (data.axis < batch + depth) throw call.dependent('takes some of the rows by their place')
  if (places.axis !== undefined) throw call.dependent('combines each row with every other')
  return shapedValue({ axis: data.axis - batch - depth + places.dims.length - 1, dims })
}

const scatterElements: Operator = (call) => {
  if (isOpenFixed(call)) return FIXED
  const all = [call.shaped(0), call.shaped(1), call.shaped(2)]
  const [data] = all as [Shaped]
  if (all.every(({ axis }) => axis === undefined)) return shapedValue(data)
  const axis = call.axisOf(call.integer('axis', 0), data.dims.length)
  if (all.some((value) => value.axis === axis)) throw call.dependent('writes to some of the rows by their place')
  if (all.some((value) => value.axis !== data.axis || value.dims[data.axis ?? 0]?.size !== 1 || data.axis === undefined))
    throw call.dependent('writes to some of the rows by their place')
  return shapedValue(data)
}

const scatterNd: Operator = (call) => {
  if (call.isFixed) return isOpenFixed(call) ? FIXED : shapedValue(call.shaped(0))
  throw call.undecided('writes to places that it is given')
}

/** X is [sequence, rows, features], or [rows, sequence, features] where `layout` says so. */
const recurrent: Operator = (call) => {
  if (call.isFixed) return FIXED
  const isRowsFirst = call.integer('layout', 0) === 1
  const x = call.shaped(0)
  const own = isRowsFirst ? 0 : 1
  // Weights, recurrence weights, biases; the last is the peepholes of an LSTM.
  call.mustBeFixed(call.operator === 'LSTM' ? [1, 2, 3, 7] : [1, 2, 3], 'takes its weights from the rows')
  if (x.axis !== undefined && x.axis !== own) throw call.dependent('goes from row to row')
  for (const [index, axis] of [
    [4, 0],
    [5, own],
    [6, own],
  ] as const) {
    if (!call.has(index)) continue
    const state = call.shaped(index)
    if (state.axis !== axis || state.dims[axis]?.size !== x.dims[own]?.size)
      throw call.dependent('begins with a state that is no row of its own')
  }
  if (x.axis === undefined) throw call.dependent('begins with a state that is no row of its own')
  const rows = x.dims[own] ?? ANY
  if (rows.size === undefined) throw call.undecided('meets rows in another form')
  const hidden = call.attribute('hidden_size') === undefined ? ANY : { isPerRow: false, size: call.integer('hidden_size', 1) }
  const directions = { isPerRow: false, size: call.attribute('direction')?.text === 'bidirectional' ? 2 : 1 }
  const state = isRowsFirst ? rowsAt(0, [rows, directions, hidden]) : rowsAt(1, [directions, rows, hidden])
  const all = isRowsFirst
    ? rowsAt(0, [rows, x.dims[1] ?? ANY, directions, hidden])
    : rowsAt(2, [x.dims[0] ?? ANY, directions, rows, hidden])
  return [all, state, state]
}

/** Attention over the sequence of each row. */
function attention(fixed: readonly number[], outputs: readonly number[]): Operator {
  return (call) => {
    call.mustBeFixed(fixed, 'takes its constants from the rows')
    if (call.isFixed) return FIXED
    for (const input of call.inputs) {
      if (input?.kind !== 'rows') continue
      if (input.axis !== 0 || input.dims[0]?.size !== 1) throw call.undecided('has the rows in another form')
    }
    // A constant in the place of a query, a key or a value would have one size for all rows.
    if (call.inputs[0]?.kind !== 'rows') throw call.undecided('has the rows in another form')
    return call.node.outputs.map((_, index) => {
      const rank = outputs[index] ?? 3
      const axis = rank === 5 ? 1 : 0
      const dims = Array.from({ length: rank }, (_, place): Extent => (place === axis ? { isPerRow: true, size: 1 } : ANY))
      return rowsAt(axis, dims)
    })
  }
}

/** The text of an equation names the axes: that of the rows is the same letter wherever it stands. */
const einsum: Operator = (call) => {
  if (call.isFixed) return FIXED
  const equation = (call.attribute('equation')?.text ?? '').replaceAll(' ', '')
  const [left = '', right] = equation.split('->')
  const terms = left.split(',')
  if (equation.includes('.') || right === undefined || terms.length !== call.inputs.length)
    throw call.undecided('has an equation that is not followed')
  const values = terms.map((_, index) => call.shaped(index))
  const letters = new Set(values.flatMap(({ axis }, index) => (axis === undefined ? [] : [terms[index]?.[axis] ?? '?'])))
  const [letter = '?'] = letters
  if (letters.size > 1) throw call.dependent('combines each row with every other')
  const sizes = new Map<string, Extent>()
  for (const [index, { axis, dims }] of values.entries()) {
    for (const [place, extent] of dims.entries()) {
      const name = terms[index]?.[place] ?? '?'
      if (name === letter && place !== axis) throw call.dependent('meets a constant with a row of its own for each')
      if (known(extent) !== 1 || !sizes.has(name)) sizes.set(name, extent)
    }
  }
  const axis = right.indexOf(letter)
  if (axis === -1) throw call.dependent('adds up over the axis of the rows')
  return shapedValue({ axis, dims: [...right].map((name) => sizes.get(name) ?? ANY) })
}

const cdist: Operator = (call) => {
  if (call.isFixed) return FIXED
  const [a, b] = [call.shaped(0), call.shaped(1)]
  if (a.axis !== undefined && b.axis !== undefined) throw call.dependent('combines each row with every other')
  if (a.axis === 1 || b.axis === 1) throw call.dependent('adds up over the axis of the rows')
  return shapedValue({ axis: a.axis === 0 ? 0 : 1, dims: [a.dims[0] ?? ANY, b.dims[0] ?? ANY] })
}

/** Ids of words and of sentences are looked up and added. */
const embedLayerNorm: Operator = (call) => {
  call.mustBeFixed([2, 3, 4, 5, 6], 'takes its tables from the rows')
  const { axis, dims } = call.shaped(0)
  if (axis !== 0 || dims[0]?.size !== 1) throw call.undecided('has the rows in another form')
  for (const index of [1, 7, 8]) {
    if (call.inputs[index]?.kind === 'rows' && call.shaped(index).axis !== 0) throw call.undecided('has the rows in another form')
  }
  const [rows = ANY, words = ANY] = dims
  return [rowsAt(0, [rows, words, ANY]), rowsAt(0, [rows]), rowsAt(0, [rows, words, ANY])]
}

const named = (names: string, operator: Operator) => names.split(' ').map((name) => [name, operator] as const)

export const LAYER_OPERATORS: ReadonlyMap<string, Operator> = new Map([
  ...named(
    'MatMul MatMulInteger com.microsoft.FusedMatMul com.microsoft.MatMulInteger16 com.microsoft.MatMulIntegerToFloat',
    matMul(0, 1),
  ),
  ...named('QLinearMatMul com.microsoft.QLinearMatMul com.microsoft.QGemm', matMul(0, 3)),
  ...named('Gemm com.microsoft.FusedGemm', gemm),
  ...named('com.microsoft.MatMulNBits com.microsoft.MatMulBnb4', packedMatMul),
  ...named('Conv ConvTranspose ConvInteger com.microsoft.FusedConv', images(1)),
  ...named('QLinearConv com.microsoft.QLinearConv', images(3)),
  ...named('AveragePool LpPool LRN com.microsoft.QLinearAveragePool', images()),
  ...named('MaxPool', maxPool),
  ...named('GlobalAveragePool GlobalMaxPool GlobalLpPool com.microsoft.QLinearGlobalAveragePool', globalPool),
  ...named('BatchNormalization', batchNormalization),
  ...named('InstanceNormalization GroupNormalization', instanceNormalization),
  ...named('Gather', gather),
  ...named('GatherElements', gatherElements),
  ...named('GatherND', gatherNd),
  ...named('Scatter ScatterElements', scatterElements),
  ...named('ScatterND', scatterNd),
  ...named('LSTM GRU RNN', recurrent),
  ...named('Einsum', einsum),
  ...named('com.microsoft.CDist', cdist),
  ...named('com.microsoft.Attention', attention([1, 2], [3, 5])),
  ...named('com.microsoft.QAttention', attention([1, 2, 3, 4, 6, 7], [3, 5])),
  ...named('com.microsoft.MultiHeadAttention', attention([3], [3, 4, 4])),
  ...named('com.microsoft.EmbedLayerNormalization', embedLayerNorm),
])
