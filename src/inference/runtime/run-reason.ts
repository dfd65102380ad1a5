/** Says in our own words why ONNX Runtime could not compute: its text names its source files, and is for the log. Pure. */

/** A rule of ONNX Runtime's, and how it is said; the node comes before what begins with a verb. */
interface Rule {
  readonly pattern: RegExp
  readonly say: (found: readonly string[]) => string
}

const SHAPE = String.raw`(\{[\d, -]*\})`
const INTEGER = String.raw`(-?\d+)`

function rule(pattern: string, say: Rule['say']): Rule {
  return { pattern: new RegExp(pattern), say }
}

/** What can go wrong with inputs that fit the model's description: sizes that it leaves open, and values. */
const RULES: readonly Rule[] = [
  rule(
    `cannot be reshaped to the requested shape. Input shape:${SHAPE}, requested shape:${SHAPE}`,
    ([from, to]) => `cannot reshape ${shown(from)} to ${shown(to)}; both must have as many elements`,
  ),
  rule('MatMul dimension mismatch', () => 'multiplies matrices whose inner sizes differ'),
  rule(
    `GEMM: Dimension mismatch, W: ${SHAPE} K: ${INTEGER} N:${INTEGER}`,
    ([weights, inner]) => `multiplies rows of ${inner} with a matrix of ${shown(weights)}`,
  ),
  rule(
    `Attempting to broadcast an axis by a dimension other than 1. ${INTEGER} by ${INTEGER}`,
    ([one, other]) => `combines tensors of sizes ${one} and ${other}; sizes must be equal, or one of them 1`,
  ),
  rule(
    String.raw`indices element out of data bounds, idx=${INTEGER} must be within the inclusive range \[${INTEGER},${INTEGER}\]`,
    ([index, least, most]) => `looks up index ${index}; it must be from ${least} to ${most}`,
  ),
  rule(
    `invalid (?:index found, index|indice found, indice) = ${INTEGER}`,
    ([index]) => `looks up index ${index}, which is out of range`,
  ),
  rule('Out of range value in index tensor', () => 'looks up an index that is out of range'),
  rule(
    `Non concat axis dimensions must match: Axis ${INTEGER} has mismatched dimensions of ${INTEGER} and ${INTEGER}`,
    ([axis, one, other]) => `joins tensors whose dimension ${axis} differs: ${one} and ${other}`,
  ),
  rule('invalid expand shape', () => 'cannot expand its input to the shape that it is given'),
  rule(
    `Dimension of input ${INTEGER} must be 1 instead of ${INTEGER}. shape=${SHAPE}`,
    ([axis, size, shape]) => `takes size 1 in dimension ${axis}, and ${shown(shape)} has ${size}`,
  ),
  rule(
    String.raw`Cannot split using values in 'split' attribute. Axis=${INTEGER} Input shape=${SHAPE} .*Sum of sizes in 'split' \(must equal size of selected axis\) was ${INTEGER}`,
    ([axis, shape, sum]) => `splits dimension ${axis} into parts of ${sum} in all, and its input is ${shown(shape)}`,
  ),
  rule(
    String.raw`Input channels C is not equal to kernel channels \* group. C: ${INTEGER} kernel channels: ${INTEGER} group: ${INTEGER}`,
    ([channels, kernel, group]) => `takes ${Number(kernel) * Number(group)} channels, and its input has ${channels}`,
  ),
  rule(
    String.raw`k argument \[${INTEGER}\] should not be greater than specified axis dim value \[${INTEGER}\]`,
    ([k, size]) => `asks for the top ${k} of ${size}`,
  ),
  rule('value of k must not be negative', () => 'asks for the top of a negative number'),
  rule(`axis ${INTEGER} is not in valid range \\[${INTEGER},${INTEGER}\\]`, ([axis, least, most]) => {
    return `names dimension ${axis}; it must be from ${least} to ${most}`
  }),
  rule(
    "has an axis outside of the tensor dimension count|'axes' has an axis",
    () => 'names a dimension that its input does not have',
  ),
  rule("'axes' has a duplicate axis", () => 'names a dimension twice'),
  rule("'step' value cannot be 0|delta in Range operator can not be zero", () => 'has a step of 0'),
  rule('Integer division by zero', () => 'divides an integer by zero'),
  rule(
    `Failed to allocate memory for requested buffer of size ${INTEGER}`,
    ([bytes]) => `needs ${bytes} bytes of memory at once, which there are not`,
  ),
  rule('would require more than \\d+ bytes', () => 'would make a tensor that is too large'),
  rule('bad_alloc|bad allocation|[Oo]ut of memory', () => 'needs more memory than there is'),
  rule('Size\\(\\) must be >= 0|Calculated output dimension is negative', () => {
    return 'would make a tensor of a negative size: its input is too small'
  }),
  rule('\\bsto(?:d|f|i|l|ll)\\b', () => 'makes numbers of texts, and was given a text that is none'),
  rule('could not be broadcast together|be NumPy-broadcastable', () => 'combines tensors whose sizes do not fit together'),
  rule(
    `must have shape ${SHAPE}. Actual:${SHAPE}`,
    ([expected, actual]) => `takes an input of ${shown(expected)}, and was given ${shown(actual)}`,
  ),
  rule('cannot be an empty|is empty|zero-sized|[Ee]mpty tensor', () => 'does not take a tensor without elements'),
]

/** A node that was running; those inside others come after them. */
const NODE = /while running ([\w.:]+) node\. Name:'(.*?)' Status Message:/gs
const NAME_MAX = 100

/** Why a run failed, of ONNX Runtime's text. What is not known here is not passed on. */
export function runReason(text: string): string {
  const [, operator, name = ''] = [...text.matchAll(NODE)].at(-1) ?? []
  const own = text.slice(text.lastIndexOf('Status Message:') + 1)
  for (const { pattern, say } of RULES) {
    const found = pattern.exec(own)
    if (found !== null) return `${subject(operator, name)} ${say(found.slice(1))}`
  }
  return operator === undefined
    ? `ONNX Runtime rejects its inputs; the server's log says more`
    : `${subject(operator, name)} rejects what it is given; the server's log says more`
}

function subject(operator: string | undefined, name: string): string {
  if (operator === undefined) return 'the model'
  return name === '' ? `a node ${operator}` : `the node ${quoted(name)} (${operator})`
}

/** A name of the model's own file, cut short. */
export function quoted(name: string): string {
  return JSON.stringify(name.length > NAME_MAX ? `${name.slice(0, NAME_MAX)}…` : name)
}

/** `{2,3}` as we write shapes. */
function shown(shape: string | undefined): string {
  return `[${(shape ?? '').replaceAll(/[{} ]/g, '')}]`
}
