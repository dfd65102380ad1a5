import { contentOf, type Field, fieldsOf, messageField, textIn } from './fields.ts'
import { withGraph } from './graph.ts'
import {
  GRAPH_NODE,
  GRAPH_OUTPUT,
  NODE_DOMAIN,
  NODE_INPUT,
  NODE_OPERATOR,
  NODE_OUTPUT,
  TYPE_ELEMENT,
  TYPE_SEQUENCE,
  TYPE_TENSOR,
  VALUE_NAME,
  VALUE_TYPE,
} from './numbers.ts'
import { type ModelOfTensors, withoutZipMaps } from './zip-map.ts'

/**
 * The model with tensors of its own in the place of outputs that are a sequence of just these (`SequenceConstruct`), under the names
 * that they have inside: scikit-learn's classifiers of several classes at once give their probabilities so, and ONNX Runtime for
 * JavaScript cannot hand a sequence over. Undefined where there is none.
 */
function withoutSequences(model: Uint8Array): Uint8Array | undefined {
  return withGraph(model, (parts) => {
    const elements = new Map(parts.filter(({ number }) => number === GRAPH_NODE).flatMap(({ content }) => elementsOf(content)))
    const outputs = parts.filter(({ number }) => number === GRAPH_OUTPUT)
    const taken = new Set(outputs.map(({ content }) => textIn(fieldsOf(content), VALUE_NAME)))
    return parts.flatMap((part) => (part.number === GRAPH_OUTPUT ? spread(part, elements, taken) : [part.whole]))
  })
}

/** The names of the tensors that a node makes a sequence of, by the sequence's name. */
function elementsOf(node: Uint8Array): readonly (readonly [string, readonly string[]])[] {
  const fields = fieldsOf(node)
  if (textIn(fields, NODE_OPERATOR) !== 'SequenceConstruct' || textIn(fields, NODE_DOMAIN) !== '') return []
  const names = fields.filter(({ number }) => number === NODE_INPUT).map(({ content }) => Buffer.from(content).toString('utf8'))
  // The same tensor twice could not be distinguished.
  return new Set(names).size === names.length ? [[textIn(fields, NODE_OUTPUT), names]] : []
}

/** An output as it is, or the tensors in the place of a sequence, but for those that are outputs already. */
function spread(
  { whole, content }: Field,
  elements: ReadonlyMap<string, readonly string[]>,
  taken: Set<string>,
): readonly Uint8Array[] {
  const fields = fieldsOf(content)
  const names = elements.get(textIn(fields, VALUE_NAME))
  const type = contentOf(fieldsOf(contentOf(fieldsOf(contentOf(fields, VALUE_TYPE)), TYPE_SEQUENCE)), TYPE_ELEMENT)
  if (names === undefined || contentOf(fieldsOf(type), TYPE_TENSOR).length === 0) return [whole]
  const own = names.filter((name) => !taken.has(name))
  for (const name of own) taken.add(name)
  return own.map((name) =>
    messageField(GRAPH_OUTPUT, [messageField(VALUE_NAME, [Buffer.from(name)]), messageField(VALUE_TYPE, [type])]),
  )
}

/** The model with tensors in the place of maps and sequences that are made of just these; undefined where there is none. */
export function withTensors(model: Uint8Array): ModelOfTensors | undefined {
  const mapped = withoutZipMaps(model)
  const spread = withoutSequences(mapped?.model ?? model)
  return spread === undefined ? mapped : { model: spread, labels: mapped?.labels ?? new Map() }
}
