/** Says in our own words why ONNX Runtime did not load a model: its text names its source files, and is for the log. Pure. */
import type { ValueKind } from '../onnx/values.ts'
import { quoted } from './run-reason.ts'

/** Names of element types by their number in onnx.proto, for those that cannot go in or out. */
const ELEMENT_TYPES: Readonly<Record<string, string>> = {
  '14': 'COMPLEX64',
  '15': 'COMPLEX128',
  '16': 'BF16',
  '17': 'FLOAT8E4M3FN',
  '18': 'FLOAT8E4M3FNUZ',
  '19': 'FLOAT8E5M2',
  '20': 'FLOAT8E5M2FNUZ',
  '23': 'FLOAT4E2M1',
}

/** What ONNX Runtime says of operators on texts that ask for a locale which is not there. */
const NO_LOCALE = /Failed to construct locale/

/** Where the rule that a graph breaks is not known here. */
const UNKNOWN_REASON = `ONNX Runtime rejects it; the server's log says more, and so may onnx.checker.check_model of the Python package onnx`

/** The oldest versions of operators that are computed. */
const OPSET_MIN = 7

interface Rule {
  readonly pattern: RegExp
  /** Gets what the parentheses of the pattern hold. */
  readonly say: (...found: readonly string[]) => string
}

/** A node as ONNX Runtime writes it, with its name and operator. */
const NODE = String.raw`In Node, \("(.*?)", ([\w.]+), `

/** What is said of bytes that are no ONNX model. */
const UNREADABLE = /[Pp]rotobuf parsing failed|ModelProto does not have a graph|No graph was found/

const RULES: readonly Rule[] = [
  {
    pattern: /Unsupported data type: (\d+)/,
    say: (number = '') =>
      `an input or output has the type ${ELEMENT_TYPES[number] ?? `number ${number} of onnx.proto`}, which cannot be served; cast it to FP32 or FP16 inside the model`,
  },
  {
    pattern: /Opset (\d+) is .*till opset (\d+)/s,
    say: (opset, supported) =>
      `its operators are of opset ${opset}, and this ONNX Runtime knows those up to ${supported}; export it with an older opset`,
  },
  {
    pattern: /IR version: (\d+), max supported IR version: (\d+)/,
    say: (ir, irMax) =>
      `it is written in IR version ${ir}, and this ONNX Runtime reads those up to ${irMax}; export it with an older one`,
  },
  {
    pattern: /MLDataType for: tensor\((\w+)\) is not/,
    say: (type = '') =>
      `an input or output has the type ${type.toUpperCase()}, which cannot be served; make numbers of it inside the model`,
  },
  {
    pattern: /(?:Fatal error: |No Op registered for )([^\s(]+).* (?:is not a registered function|with domain_version)/,
    say: (operator = '') =>
      `it has the operator ${/^[\w.:]+$/.test(operator) ? operator : quoted(operator)}, which this ONNX Runtime does not know; export it without, or with an older opset`,
  },
  {
    pattern: /Op registered for (\w+) is deprecated in domain_version of (\d+)/,
    say: (operator, opset) =>
      `it has the operator ${operator}, which opset ${opset} has no more; export it with an opset that fits its operators`,
  },
  {
    pattern: /Could not find an implementation for (\w+)\((\d+)\)/,
    say: (operator, version) =>
      Number(version) < OPSET_MIN
        ? `it has the operator ${operator} as opset ${version} defines it; export it with opset ${OPSET_MIN} or newer`
        : `it has the operator ${operator} with types that this ONNX Runtime cannot compute; cast them inside the model`,
  },
  {
    pattern: NO_LOCALE,
    say: () =>
      'an operator on texts asks for a locale that this machine does not have; install it (Debian, Ubuntu: the package locales-all)',
  },
  {
    pattern: new RegExp(`${NODE}.*has (input|output) size (\\d+) not in range \\[min=(\\d+), max=(\\d+)\\]`, 's'),
    say: (name, operator, kind, count, least, most) =>
      `${node(name, operator)} has ${count} ${kind}s; it takes ${least === most ? least : `${least} to ${most}`}`,
  },
  {
    pattern: new RegExp(`${NODE}.*Unrecognized attribute: (\\w+)`, 's'),
    say: (name, operator, attribute = '') =>
      `${node(name, operator)} has the attribute ${quoted(attribute)}, which is none of its`,
  },
  {
    pattern: new RegExp(`${NODE}.*Required attribute '(\\w+)' is missing`, 's'),
    say: (name, operator, attribute = '') => `${node(name, operator)} lacks the attribute ${quoted(attribute)}`,
  },
  {
    pattern: /No opset import for domain '(.*?)'/,
    say: (domain = '') => `it has operators of ${quoted(domain)} and does not say of which version (opset_import)`,
  },
  {
    pattern: /Node \((.*?)\) Op \((\w+)\) \[(Shape|Type)InferenceError\]/,
    say: (name, operator, kind) =>
      `${node(name, operator)} cannot compute ${kind === 'Shape' ? 'the shapes' : 'the types or shapes'} of its inputs; export the model again`,
  },
  {
    pattern:
      /Type parameter \(\w+\) of Optype \((\w+)\) bound to different types \(tensor\((\w+)\) and tensor\((\w+)\) in node \((.*?)\)/,
    say: (operator, one, other, name) => `${node(name, operator)} has inputs of ${one} and ${other}; cast them to one type`,
  },
  {
    pattern: /Type \(tensor\((\w+)\)\) of output arg \((.*?)\) of node \(.*?\) does not match expected type \(tensor\((\w+)\)\)/,
    say: (declared, output = '', actual) => `the value ${quoted(output)} is declared as ${declared} and computed as ${actual}`,
  },
  { pattern: /graph is not acyclic/, say: () => 'its nodes form a cycle' },
  { pattern: /two nodes with same node name \((.*?)\)\./, say: (name = '') => `two of its nodes have the name ${quoted(name)}` },
  {
    pattern: /Duplicate definition of name \((.*?)\)\./,
    say: (name = '') => `two of its nodes, inputs or constants give the value ${quoted(name)}`,
  },
  {
    pattern: /Node input '(.*?)' is not a graph input/,
    say: (name = '') => `a node takes the value ${quoted(name)}, which nothing gives`,
  },
  { pattern: /Graph output \((.*?)\) does not exist/, say: (name = '') => `nothing gives its output ${quoted(name)}` },
  {
    pattern: /'(.*?)': raw_data size \((\d+) bytes\) does not match expected size from shape and data type \((\d+) bytes\)/,
    say: (name = '', actual, expected) => `its constant ${quoted(name)} has ${actual} bytes, and its shape needs ${expected}`,
  },
  {
    pattern: /Initializer '(.*?)' declares a size of (\d+) bytes/,
    say: (name = '', size) => `its constant ${quoted(name)} claims ${size} bytes`,
  },
  {
    pattern: /Tensor '(.*?)' does not have valid data type/,
    say: (name = '') => `its constant ${quoted(name)} has no valid type`,
  },
  { pattern: /Out of bounds dimensions/, say: () => 'a constant has a dimension of a negative size, or one that is too large' },
  { pattern: /Missing opset in the model/, say: () => 'it names no opset: it is no whole ONNX model' },
  { pattern: /[Ii]nvalid regex pattern/, say: () => 'it has a regular expression that is not valid' },
  {
    pattern: /[Ff]ailed to allocate memory|bad_alloc|bad allocation|[Oo]ut of memory/,
    say: () => 'there is not enough memory for its weights',
  },
  {
    pattern: UNREADABLE,
    say: () => 'it is not an ONNX model, or a damaged one; export it, or copy it, again',
  },
  {
    pattern: /External data|external data|ExtData|External initializer|Missing 'location'|ParseString/,
    say: () => 'its weights are in a file of their own, which cannot be read as the model describes it; export it again',
  },
  { pattern: /Permission denied|system error number 13/, say: () => 'its file may not be read by this user' },
  {
    pattern: /Exception during initialization/,
    say: () => `an operator rejects its attributes or constants; the server's log says more`,
  },
]

/** Why a model file cannot be loaded, of ONNX Runtime's text: with what mends it where that is known. What is not known here is not passed on. */
export function loadReason(text: string): string {
  for (const { pattern, say } of RULES) {
    const [whole, ...found] = pattern.exec(text) ?? []
    if (whole !== undefined) return say(...found)
  }
  return UNKNOWN_REASON
}

/** True where a model was not loaded for a locale that this machine lacks. */
export function lacksLocale(text: string): boolean {
  return NO_LOCALE.test(text)
}

/** True where ONNX Runtime could not read the bytes of a model, whatever is in it. */
export function isUnreadable(text: string): boolean {
  return UNREADABLE.test(text)
}

function node(name: string | undefined, operator: string | undefined): string {
  return name === undefined || name === '' ? `a node ${operator}` : `the node ${quoted(name)} (${operator})`
}

/** Why a worker ended by itself, from the text that Bun prints: only the error, without source lines and without folders of this machine. */
export function endReason(text: string): string {
  const [, error = text.split('\n', 1)[0] ?? ''] = /^error: (.+)$/m.exec(text) ?? []
  return error
    .replaceAll(/(?<![\w.])\/\S*\//g, '')
    .trim()
    .slice(0, 300)
}

/** What mends an output that is no tensor, by what it is. */
const OUTPUT_FIXES: Readonly<Partial<Record<ValueKind, string>>> = {
  'sequence of maps':
    "for a classifier of scikit-learn convert it with options={'zipmap': False}; otherwise leave the output out",
  'sequence of tensors':
    'put ConcatFromSequence or SequenceAt behind it, or leave the output out: onnx.utils.extract_model takes the names of those to keep',
  map: 'leave the output out, or make a tensor of it',
  optional: 'put OptionalGetElement behind it, or leave the output out',
}
const INPUT_FIXES: Readonly<Partial<Record<ValueKind, string>>> = {
  'sequence of tensors': 'take the tensors as an input each, or as one with SplitToSequence behind it',
  map: 'take its values as a tensor, as a DictVectorizer of scikit-learn gives them',
  optional: 'take the tensor itself',
}

/** Why a model with an input or output that is no tensor cannot be served, and what mends it. */
export function notATensor(kind: 'input' | 'output', name: string, value: ValueKind = 'unknown'): string {
  const what = value === 'unknown' ? 'no tensor' : `${/^[aeiou]/.test(value) ? 'an' : 'a'} ${value}`
  const fix = (kind === 'output' ? OUTPUT_FIXES : INPUT_FIXES)[value] ?? 'make it a tensor'
  return `the ${kind} '${name}' is ${what}, which ONNX Runtime for JavaScript cannot hand over; ${fix}`
}
