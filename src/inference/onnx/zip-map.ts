import { contentOf, type Field, fieldsOf, integerField, messageField, textIn } from './fields.ts'
import { withGraph } from './graph.ts'
import { integersIn } from './integers.ts'
import {
  GRAPH_NODE,
  GRAPH_OUTPUT,
  NODE_ATTRIBUTE,
  NODE_DOMAIN,
  NODE_INPUT,
  NODE_OPERATOR,
  NODE_OUTPUT,
  VALUE_NAME,
  VALUE_TYPE,
} from './numbers.ts'

const ATTRIBUTE_INTEGERS = 8
const ATTRIBUTE_TEXTS = 9
const FLOAT = 1

/** A model with tensors where it had maps, and the names of their columns by output. */
export interface ModelOfTensors {
  readonly model: Uint8Array
  readonly labels: ReadonlyMap<string, readonly string[]>
}

/**
 * The model without the `ZipMap` operators that converters of scikit-learn put behind a classifier. They make a sequence of maps of a
 * tensor with one column a class, which ONNX Runtime for JavaScript cannot hand over; the tensor itself takes their place, under the
 * same name, and the classes are returned beside it. Undefined where there is none.
 */
export function withoutZipMaps(model: Uint8Array): ModelOfTensors | undefined {
  const classes = new Map<string, readonly string[]>()
  const whole = withGraph(model, (parts) => {
    const nodes = parts.map((part) => (part.number === GRAPH_NODE ? replaced(part, classes) : part.whole))
    return parts.map((part, index) => (part.number === GRAPH_OUTPUT ? retyped(part, classes) : (nodes[index] ?? part.whole)))
  })
  if (whole === undefined) return undefined
  // Two classes of one name could not be distinguished.
  const named = [...classes].filter(([, labels]) => labels.length > 0 && new Set(labels).size === labels.length)
  return { model: whole, labels: new Map(named) }
}

/** An Identity in the place of a ZipMap, whose classes are kept by its output's name; any other node as it is. */
function replaced({ whole, content }: Field, classes: Map<string, readonly string[]>): Uint8Array {
  const fields = fieldsOf(content)
  if (textIn(fields, NODE_OPERATOR) !== 'ZipMap' || textIn(fields, NODE_DOMAIN) !== 'ai.onnx.ml') return whole
  const attributes = fields.filter(({ number }) => number === NODE_ATTRIBUTE).map((attribute) => labelsOf(attribute.content))
  classes.set(textIn(fields, NODE_OUTPUT), attributes.find((labels) => labels.length > 0) ?? [])
  const kept = fields.filter(({ number }) => number === NODE_INPUT || number === NODE_OUTPUT).map((field) => field.whole)
  return messageField(GRAPH_NODE, [...kept, messageField(NODE_OPERATOR, [Buffer.from('Identity')])])
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

/** An output of the graph as the tensor that it is now. */
function retyped({ whole, content }: Field, classes: ReadonlyMap<string, readonly string[]>): Uint8Array {
  const fields = fieldsOf(content)
  const count = classes.get(textIn(fields, VALUE_NAME))?.length
  if (count === undefined) return whole
  const rows = messageField(1, [messageField(2, [Buffer.from('rows')])])
  const columns = messageField(1, [count > 0 ? integerField(1, count) : messageField(2, [Buffer.from('classes')])])
  const tensor = messageField(1, [integerField(1, FLOAT), messageField(2, [rows, columns])])
  const name = messageField(VALUE_NAME, [contentOf(fields, VALUE_NAME)])
  return messageField(GRAPH_OUTPUT, [name, messageField(VALUE_TYPE, [tensor])])
}
