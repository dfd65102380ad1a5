/** Operators of classic models and of texts: trees, linear models, encoders, words. */
import { keep } from './elementwise-operators.ts'
import { type Call, type Operator, shapedValue } from './operator-call.ts'
import { ANY, dimsOf, type Extent, FIXED, known, ONE, product, type RowValue, rowsAt, size } from './row-values.ts'

/** Takes a table with one line a row; gives a label for each and, behind it, so many scores. */
function perLine(outputs: readonly ('label' | 'scores')[]): Operator {
  return (call) => {
    if (call.isFixed) return FIXED
    const rows = lineOf(call, 0)
    return call.node.outputs.map((_, index) =>
      outputs[index] === 'label' ? rowsAt(0, [rows]) : rowsAt(0, [rows, scoresOf(call)]),
    )
  }
}

function scoresOf(call: Call): Extent {
  const classes = call.attribute('classlabels_int64s') ?? call.attribute('classlabels_ints')
  const count = (classes?.integers.length ?? 0) || (call.attribute('classlabels_strings')?.texts.length ?? 0)
  // Of lists that are longer than what is read, the length is not known.
  if (count > 0 && count < 64) return size(count)
  const targets = call.attribute('n_targets') ?? call.attribute('targets')
  if (targets?.integer !== undefined) return size(targets.integer)
  return call.operator.endsWith('Regressor') ? size(call.integer('n_targets', 1)) : ANY
}

/** The first dimension of a table. @throws Verdict where the rows are not its lines */
function lineOf(call: Call, index: number): Extent {
  const { axis, dims } = call.shaped(index)
  if (dims.length < 2) throw call.dependent('takes all rows for one line')
  if (axis !== 0) throw call.dependent('computes over the axis of the rows')
  return dims[0] ?? ANY
}

/** Computes each line of a table by itself, and gives one of the same shape. */
const sameLines: Operator = (call) => {
  if (call.isFixed) return keep(call)
  lineOf(call, 0)
  return shapedValue(call.shaped(0))
}

const elementwise: Operator = (call) => keep(call)

const featureVectorizer: Operator = (call) => {
  if (call.isFixed) return FIXED
  for (const [index] of call.inputs.entries()) lineOf(call, index)
  return rowsAt(0, [lineOf(call, 0), ANY])
}

const oneHotEncoder: Operator = (call) => {
  if (call.isFixed) return FIXED
  const { axis, dims } = call.shaped(0)
  const categories = call.attribute('cats_int64s')?.integers.length || call.attribute('cats_strings')?.texts.length || 0
  return shapedValue({ axis, dims: [...dims, categories > 0 && categories < 64 ? size(categories) : ANY] })
}

/** Picks columns by number; a list of constants is picked from by rows, and its answer is one line. */
const arrayFeatureExtractor: Operator = (call) => {
  if (call.isFixed) return FIXED
  const [data, places] = [call.inputs[0], call.shaped(1)]
  if (data?.kind === 'fixed') {
    const dims = dimsOf(data)
    const isOneLine = dims !== undefined && dims.length <= 2 && dims.slice(0, -1).every((extent) => known(extent) === 1)
    const count = product(places.dims)
    const before = places.dims.slice(0, places.axis).every((extent) => known(extent) === 1)
    if (!isOneLine || count === undefined || !before) throw call.undecided('picks from a constant of several lines')
    return rowsAt(1, [ONE, count])
  }
  if (places.axis !== undefined) throw call.dependent('combines each row with every other')
  const { axis, dims } = call.shaped(0)
  if (dims.length < 2 || axis === dims.length - 1) throw call.dependent('takes some of the rows by their place')
  return shapedValue({ axis, dims: [...dims.slice(0, -1), product(places.dims) ?? ANY] })
}

const stringNormalizer: Operator = (call) => {
  if (call.isFixed) return FIXED
  const { axis, dims } = call.shaped(0)
  const words = call.attribute('stopwords')
  if (words !== undefined && words.texts.length > 0) throw call.dependent('leaves rows out')
  // With two dimensions it takes only one line.
  if (dims.length !== 1 && axis !== 1) throw call.dependent('takes only one row')
  return shapedValue({ axis, dims })
}

/** Fills the lists of words up to the longest of the run. */
const tokenizer: Operator = (call) => {
  if (call.isFixed) return FIXED
  const { axis = 0, dims } = call.shaped(0)
  const padding = call.attribute('pad_value')?.text ?? ''
  return { ...rowsAt(axis, [...dims, ANY]), padding }
}

/** Counts words of each line. What fills a line up counts as nothing unless it is a word that is counted. */
const tfIdf: Operator = (call) => {
  if (call.isFixed) return FIXED
  const input = call.inputs[0]
  const rows = lineOf(call, 0)
  if (call.shaped(0).dims.length !== 2) throw call.undecided('has the rows in another form')
  const padding = input?.kind === 'rows' ? input.padding : undefined
  const pool = call.attribute('pool_strings')?.texts ?? []
  if (padding !== undefined && (pool.length === 0 || pool.includes(padding)))
    throw call.dependent('counts what fills the rows up')
  return rowsAt(0, [rows, ANY])
}

const paddedList: Operator = (call) => {
  if (call.isFixed) return FIXED
  throw call.dependent('fills its lists up to the longest of the run')
}

/** The columns of a table side by side, for what the operators of lists make of them. */
const sequence: Operator = (call): RowValue => {
  if (call.isFixed) return FIXED
  throw call.undecided('makes lists of tensors')
}

const named = (names: string, operator: Operator) => names.split(' ').map((name) => [name, operator] as const)
const ml = (names: string, operator: Operator) =>
  named(names, operator).map(([name, own]) => [`ai.onnx.ml.${name}`, own] as const)

export const LEARNING_OPERATORS: ReadonlyMap<string, Operator> = new Map([
  ...ml('TreeEnsembleClassifier LinearClassifier SVMClassifier', perLine(['label', 'scores'])),
  ...ml('TreeEnsembleRegressor LinearRegressor SVMRegressor TreeEnsemble', perLine(['scores'])),
  ...ml('Normalizer Scaler Imputer', sameLines),
  ...ml('Binarizer CategoryMapper LabelEncoder', elementwise),
  ...ml('OneHotEncoder', oneHotEncoder),
  ...ml('FeatureVectorizer', featureVectorizer),
  ...ml('ArrayFeatureExtractor', arrayFeatureExtractor),
  ...named('StringNormalizer', stringNormalizer),
  ...named('com.microsoft.Tokenizer', tokenizer),
  ...named('TfIdfVectorizer', tfIdf),
  ...named('StringSplit', paddedList),
  ...named('SequenceConstruct SequenceAt SequenceInsert SequenceEmpty SplitToSequence ConcatFromSequence', sequence),
])

/** Operators that may be given rows that are filled up: they pass them on, or do not count what fills them. */
export const TAKES_PADDING: ReadonlySet<string> = new Set([
  'TfIdfVectorizer',
  'Identity',
  'Flatten',
  'Reshape',
  'Squeeze',
  'Unsqueeze',
])
