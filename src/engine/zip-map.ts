/** Field numbers of onnx.proto. */
const MODEL_GRAPH = 7
const GRAPH_NODE = 1
const GRAPH_INITIALIZER = 5
const GRAPH_OUTPUT = 12
const NODE_INPUT = 1
const NODE_OUTPUT = 2
const NODE_OPERATOR = 4
const NODE_ATTRIBUTE = 5
const NODE_DOMAIN = 7
const ATTRIBUTE_INTEGERS = 8
const ATTRIBUTE_TEXTS = 9
const TENSOR_EXTERNAL_DATA = 13
const VALUE_NAME = 1
const VALUE_TYPE = 2
const FLOAT = 1

/** One field of a protobuf message: its number, and its bytes with and without what stands before them. */
interface Field {
  readonly number: number
  readonly whole: Uint8Array
  /** Of a field with a length; empty for numbers. */
  readonly content: Uint8Array
}

/** A model with tensors where it had maps, and the names of their columns by output. */
export interface ModelOfTensors {
  readonly model: Uint8Array
  readonly labels: ReadonlyMap<string, readonly string[]>
}

/**
 * The model without the `ZipMap` operators that converters of scikit-learn put behind a classifier. They make a sequence of maps of a
 * tensor with one column a class, which ONNX Runtime for JavaScript cannot hand over; the tensor itself takes their place, under the
 * same name, and the classes are told beside it. Undefined where there is none, or where weights stand in other files: those are found only from the model's own path.
 */
export function withoutZipMaps(model: Uint8Array): ModelOfTensors | undefined {
  const fields = fieldsOf(model)
  const graph = fields.find(({ number }) => number === MODEL_GRAPH)
  if (graph === undefined) return undefined
  const parts = fieldsOf(graph.content)
  const isElsewhere = parts.some(({ number, content }) => number === GRAPH_INITIALIZER && has(content, TENSOR_EXTERNAL_DATA))
  const classes = new Map<string, readonly string[]>()
  const nodes = parts.map((part) => (part.number === GRAPH_NODE ? replaced(part, classes) : part.whole))
  if (isElsewhere || classes.size === 0) return undefined
  const written = parts.map((part, index) =>
    part.number === GRAPH_OUTPUT ? retyped(part, classes) : (nodes[index] ?? part.whole),
  )
  const whole = joined(fields.map((field) => (field === graph ? message(MODEL_GRAPH, written) : field.whole)))
  // Two classes of one name could not be told apart.
  const named = [...classes].filter(([, labels]) => labels.length > 0 && new Set(labels).size === labels.length)
  return { model: whole, labels: new Map(named) }
}

/** An Identity in the place of a ZipMap, whose classes are kept by its output's name; any other node as it is. */
function replaced({ whole, content }: Field, classes: Map<string, readonly string[]>): Uint8Array {
  const fields = fieldsOf(content)
  const text = (number: number) => Buffer.from(fields.find((field) => field.number === number)?.content ?? []).toString('utf8')
  if (text(NODE_OPERATOR) !== 'ZipMap' || text(NODE_DOMAIN) !== 'ai.onnx.ml') return whole
  const attributes = fields.filter(({ number }) => number === NODE_ATTRIBUTE).map((attribute) => labelsOf(attribute.content))
  classes.set(text(NODE_OUTPUT), attributes.find((labels) => labels.length > 0) ?? [])
  const kept = fields.filter(({ number }) => number === NODE_INPUT || number === NODE_OUTPUT).map((field) => field.whole)
  return message(GRAPH_NODE, [...kept, message(NODE_OPERATOR, [Buffer.from('Identity')])])
}

/** Class labels in an attribute: integers one by one or in one packed field, or texts. */
function labelsOf(attribute: Uint8Array): readonly string[] {
  return fieldsOf(attribute).flatMap(({ number, content, whole }) => {
    if (number === ATTRIBUTE_TEXTS) return [Buffer.from(content).toString('utf8')]
    if (number !== ATTRIBUTE_INTEGERS) return []
    // The number of the field takes one byte.
    const isPacked = (whole[0] ?? 0) % 8 === 2
    return integersIn(isPacked ? content : whole.subarray(1)).map(String)
  })
}

/** Signed integers of 64 bits, one after the other. */
function integersIn(bytes: Uint8Array): readonly bigint[] {
  const integers: bigint[] = []
  let [value, shift] = [0n, 0n]
  for (const byte of bytes) {
    value |= BigInt(byte % 128) << shift
    shift += 7n
    if (byte >= 128) continue
    integers.push(BigInt.asIntN(64, value))
    value = 0n
    shift = 0n
  }
  return integers
}

/** An output of the graph as the tensor that it is now. */
function retyped({ whole, content }: Field, classes: ReadonlyMap<string, readonly string[]>): Uint8Array {
  const name = fieldsOf(content).find(({ number }) => number === VALUE_NAME)
  const count = name === undefined ? undefined : classes.get(Buffer.from(name.content).toString('utf8'))?.length
  if (name === undefined || count === undefined) return whole
  const rows = message(1, [message(2, [Buffer.from('rows')])])
  const columns = message(1, [count > 0 ? number(1, count) : message(2, [Buffer.from('classes')])])
  const tensor = message(1, [number(1, FLOAT), message(2, [rows, columns])])
  return message(GRAPH_OUTPUT, [name.whole, message(VALUE_TYPE, [tensor])])
}

function has(bytes: Uint8Array, wanted: number): boolean {
  return fieldsOf(bytes).some((field) => field.number === wanted)
}

/** @throws Error where the bytes are no message */
function fieldsOf(bytes: Uint8Array): readonly Field[] {
  const fields: Field[] = []
  let at = 0
  const varint = () => {
    let value = 0
    for (let shift = 1; ; shift *= 128) {
      const byte = bytes[at++]
      if (byte === undefined || shift > 2 ** 63) throw new Error('the model is cut off')
      value += (byte % 128) * shift
      if (byte < 128) return value
    }
  }
  while (at < bytes.length) {
    const begin = at
    const tag = varint()
    const kind = tag % 8
    let start = at
    if (kind === 0) varint()
    else if (kind === 1) at += 8
    else if (kind === 5) at += 4
    else if (kind === 2) {
      const length = varint()
      start = at
      at += length
    } else throw new Error('the model has a field of an unknown kind')
    if (at > bytes.length) throw new Error('the model is cut off')
    fields.push({
      number: Math.floor(tag / 8),
      whole: bytes.subarray(begin, at),
      content: kind === 2 ? bytes.subarray(start, at) : bytes.subarray(0, 0),
    })
  }
  return fields
}

function number(field: number, value: number): Uint8Array {
  return joined([varintOf(field * 8), varintOf(value)])
}

function message(field: number, parts: readonly Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  return joined([varintOf(field * 8 + 2), varintOf(length), ...parts])
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(parts)
}

function varintOf(value: number): Uint8Array {
  const bytes: number[] = []
  let rest = value
  while (rest > 127) {
    bytes.push((rest % 128) + 128)
    rest = Math.floor(rest / 128)
  }
  return Uint8Array.from([...bytes, rest])
}
