/** Operators that compute each element by itself, or along one axis. */
import { type Call, type Operator, shapedValue } from './operator-call.ts'
import { ANY, FIXED, known, ONE, type RowValue, rowsAt, size } from './row-values.ts'

/** The same for each element of the first input, whose other inputs are constants. */
const elementwise: Operator = (call) => {
  call.mustBeFixed(others(call), 'takes its constants from the rows')
  return keep(call)
}

/** The first input with its shape. */
export function keep(call: Call): RowValue {
  const [input] = call.inputs
  if (input === undefined) return FIXED
  if (input.kind === 'fixed') return { kind: 'fixed', ...(input.dims && { dims: input.dims }) }
  return shapedValue(call.shaped(0))
}

function others({ inputs }: Call): readonly number[] {
  return inputs.map((_, index) => index).slice(1)
}

/** All inputs spread to one shape, element by element. */
const spread: Operator = (call) => call.broadcast(call.inputs.map((_, index) => index))

/** Computes along `axis` and what is behind it. */
function alongFrom(axis: number): Operator {
  return (call) => along(call, (own, rows) => rows >= own, call.integer('axis', axis))
}

/** Computes along one axis. */
function alongOne(axis: number): Operator {
  return (call) => along(call, (own, rows) => rows === own, call.integer('axis', axis))
}

function along(call: Call, meets: (axis: number, rows: number) => boolean, axis: number): RowValue {
  call.mustBeFixed(others(call), 'takes its constants from the rows')
  if (call.inputs[0]?.kind === 'fixed') return keep(call)
  const { axis: rows, dims } = call.shaped(0)
  if (rows !== undefined && meets(call.axisOf(axis, dims.length), rows))
    throw call.dependent('computes over the axis of the rows')
  return shapedValue({ axis: rows, dims })
}

/** Before opset 13 these took all dimensions from `axis` on for one. */
const softmax: Operator = (call) => (call.opset < 13 ? alongFrom(1)(call) : alongOne(-1)(call))

const reduce: Operator = (call) => {
  const [input] = call.inputs
  const isOpen = input?.kind === 'fixed' && input.dims === undefined
  if (call.isFixed && (isOpen || (call.has(1) && call.elements(1) === undefined))) return FIXED
  const written = call.integers('axes') ?? (call.has(1) ? call.knownElements(1) : [])
  const { axis: rows, dims } = call.shaped(0)
  if (written.length === 0 && call.integer('noop_with_empty_axes', 0) === 1) return shapedValue({ axis: rows, dims })
  const axes = new Set(written.length === 0 ? dims.keys() : written.map((axis) => call.axisOf(axis, dims.length)))
  if (rows !== undefined && axes.has(rows)) throw call.dependent('computes over the axis of the rows')
  return without(call, axes)
}

/** The first input without these axes, or with one element along them where they are kept. */
function without(call: Call, axes: ReadonlySet<number>): RowValue {
  const { axis: rows, dims } = call.shaped(0)
  if (call.integer('keepdims', 1) !== 0) {
    return shapedValue({ axis: rows, dims: dims.map((extent, index) => (axes.has(index) ? ONE : extent)) })
  }
  const before = rows === undefined ? 0 : [...axes].filter((axis) => axis < rows).length
  return shapedValue({ axis: rows === undefined ? undefined : rows - before, dims: dims.filter((_, index) => !axes.has(index)) })
}

/** The place of the largest or smallest element along one axis, the first unless it is written. */
const argument: Operator = (call) => {
  if (call.isFixed && call.inputs[0]?.kind === 'fixed' && call.inputs[0].dims === undefined) return FIXED
  const { axis: rows, dims } = call.shaped(0)
  const axis = call.axisOf(call.integer('axis', 0), dims.length)
  if (axis === rows) throw call.dependent('computes over the axis of the rows')
  return without(call, new Set([axis]))
}

const topK: Operator = (call) => {
  if (call.isFixed) return FIXED
  const { axis: rows, dims } = call.shaped(0)
  const axis = call.axisOf(call.integer('axis', -1), dims.length)
  if (axis === rows) throw call.dependent('sorts along the axis of the rows')
  if (call.inputs[1]?.kind === 'sizes' || call.inputs[1]?.kind === 'rows')
    throw call.dependent('takes how many it keeps from the rows')
  const [count] = call.elements(1) ?? [call.attribute('k') ? size(call.integer('k', 1)) : ANY]
  return shapedValue({ axis: rows, dims: dims.map((extent, index) => (index === axis ? (count ?? ANY) : extent)) })
}

const cumulative: Operator = (call) => {
  if (call.isFixed) return keep(call)
  const { axis: rows, dims } = call.shaped(0)
  const [axis = 0] = call.knownElements(1)
  if (call.axisOf(axis, dims.length) === rows) throw call.dependent('adds up along the axis of the rows')
  return shapedValue({ axis: rows, dims })
}

/** Scale and zero point are of the whole tensor, or of each place along `axis`. */
const quantize: Operator = (call) => {
  call.mustBeFixed([1, 2], 'takes its scale from the rows')
  if (call.isFixed) return keep(call)
  const { axis: rows, dims } = call.shaped(0)
  const scale = call.inputs[1]?.kind === 'fixed' ? call.inputs[1].dims : undefined
  if (scale === undefined) throw call.undecided('has a scale whose size is not known')
  const isOne = scale.length === 0 || (scale.length === 1 && known(scale[0]) === 1)
  const axis = call.axisOf(call.integer('axis', 1), Math.max(2, dims.length))
  if (!isOne && (scale.length > 1 || axis === rows)) throw call.undecided('has a scale for each row')
  return shapedValue({ axis: rows, dims })
}

const dropout: Operator = (call) => {
  const training = call.inputs[2]
  const isOff = training === undefined || known(call.elements(2)?.[0]) === 0
  if (!isOff && call.opset >= 12) throw call.dependent('draws random numbers')
  if (call.opset < 7 && call.integer('is_test', 0) === 0) throw call.dependent('draws random numbers')
  return keep(call)
}

/** A row has as many columns as it has values of `depth`. */
const oneHot: Operator = (call) => {
  call.mustBeFixed([1, 2], 'takes its columns from the rows')
  if (call.isFixed) return FIXED
  const { axis: rows, dims } = call.shaped(0)
  const written = call.integer('axis', -1)
  const axis = written < 0 ? written + dims.length + 1 : written
  const [depth = ANY] = call.elements(1) ?? []
  return shapedValue({
    axis: rows === undefined || rows < axis ? rows : rows + 1,
    dims: [...dims.slice(0, axis), depth, ...dims.slice(axis)],
  })
}

const random: Operator = (call) => {
  throw call.dependent('draws random numbers')
}

/** Takes something of all rows at once, wherever these are. */
function ofAll(what: string): Operator {
  return (call) => {
    if (call.isFixed) return FIXED
    throw call.dependent(what)
  }
}

const named = (names: string, operator: Operator) => names.split(' ').map((name) => [name, operator] as const)

export const ELEMENTWISE_OPERATORS: ReadonlyMap<string, Operator> = new Map([
  ...named(
    'Abs Acos Acosh Asin Asinh Atan Atanh Cast Ceil Celu Cos Cosh Elu Erf Exp Floor Gelu HardSigmoid HardSwish Identity IsInf ' +
      'IsNaN LeakyRelu Log Mish Neg Not Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Swish Tan Tanh ' +
      'ThresholdedRelu BitwiseNot RegexFullMatch com.microsoft.Gelu com.microsoft.QuickGelu',
    elementwise,
  ),
  ...named(
    'Add And BitShift BitwiseAnd BitwiseOr BitwiseXor Div Equal Greater GreaterOrEqual Less LessOrEqual Max Mean Min Mod Mul Or Pow PRelu ' +
      'Sub Sum Where Xor StringConcat Clip com.microsoft.FastGelu com.microsoft.BiasGelu com.microsoft.QLinearAdd ' +
      'com.microsoft.QLinearMul',
    spread,
  ),
  ...named('CastLike', keep),
  ...named('Softmax LogSoftmax Hardmax', softmax),
  ...named('LpNormalization', alongOne(-1)),
  ...named(
    'LayerNormalization RMSNormalization SimplifiedLayerNormalization com.microsoft.SimplifiedLayerNormalization',
    layerNorm(),
  ),
  ...named('com.microsoft.SkipLayerNormalization com.microsoft.SkipSimplifiedLayerNormalization', skipLayerNorm()),
  ...named(
    'ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare',
    reduce,
  ),
  ...named('ArgMax ArgMin', argument),
  ...named('TopK', topK),
  ...named('CumSum CumProd', cumulative),
  ...named('QuantizeLinear DequantizeLinear com.microsoft.QuantizeLinear com.microsoft.DequantizeLinear', quantize),
  ...named('com.microsoft.QLinearSigmoid com.microsoft.QLinearLeakyRelu', elementwise),
  ...named('com.microsoft.QLinearSoftmax', qLinearSoftmax()),
  ...named('Dropout', dropout),
  ...named('OneHot', oneHot),
  ...named('RandomNormal RandomUniform RandomNormalLike RandomUniformLike Bernoulli Multinomial', random),
  ...named(
    'DynamicQuantizeLinear com.microsoft.DynamicQuantizeMatMul com.microsoft.DynamicQuantizeLSTM',
    ofAll('takes its scale from all rows'),
  ),
  ...named('NonZero Unique', ofAll('gives what depends on the values of all rows')),
  ...named('MeanVarianceNormalization', meanVariance()),
])

/** Operators whose outputs depend on every row, whichever axis these are on. */
export const WHOLE_TENSOR: ReadonlySet<string> = new Set([
  ...'DynamicQuantizeLinear com.microsoft.DynamicQuantizeMatMul com.microsoft.DynamicQuantizeLSTM NonZero Unique'.split(' '),
  ...'RandomNormal RandomUniform RandomNormalLike RandomUniformLike Bernoulli Multinomial'.split(' '),
])

/** The outputs behind the first are the mean and its like, with the same rows. */
function layerNorm(): Operator {
  return (call) => {
    const value = along(call, (own, rows) => rows >= own, call.integer('axis', -1))
    if (value.kind !== 'rows') return value
    const open = rowsAt(
      value.axis,
      value.dims.map((extent, index) => (index === value.axis ? extent : ANY)),
    )
    return [value, ...call.node.outputs.slice(1).map(() => open)]
  }
}

function skipLayerNorm(): Operator {
  return (call) => {
    call.mustBeFixed([2, 3, 4], 'takes its constants from the rows')
    const joined = call.broadcast([0, 1])
    if (joined.kind === 'rows' && joined.axis === joined.dims.length - 1)
      throw call.dependent('computes over the axis of the rows')
    return joined
  }
}

function qLinearSoftmax(): Operator {
  return (call) => (call.integer('opset', 13) < 13 ? alongFrom(-1)(call) : alongOne(-1)(call))
}

function meanVariance(): Operator {
  return (call) => {
    if (call.isFixed) return keep(call)
    const { axis: rows, dims } = call.shaped(0)
    const axes = (call.integers('axes') ?? [0, 2, 3]).map((axis) => call.axisOf(axis, dims.length))
    if (rows !== undefined && axes.includes(rows)) throw call.dependent('takes its mean from all rows')
    return rows === undefined ? shapedValue({ axis: rows, dims }) : rowsAt(rows, dims)
  }
}
