import { contentOf, type Field, fieldsOf, integerField, messageField, textIn } from './fields.ts'
import { withGraph } from './graph.ts'
import { GRAPH_NODE, NODE_ATTRIBUTE, NODE_OPERATOR } from './numbers.ts'

const ATTRIBUTE_NAME = 1
const ATTRIBUTE_TEXT = 4
const ATTRIBUTE_TYPE = 20
const TEXT = 3
/** Has the letters of all languages, and exists on every system. */
const PLAIN = 'C.UTF-8'
/** What ONNX Runtime takes where a model says nothing, and what converters write. */
const USUAL = /^(?:en_US.*)?$/

/**
 * The model with another locale for its `StringNormalizer` operators, which converters of scikit-learn's text vectorizers write. They ask for
 * American English where nothing is said, which many machines do not have; upper and lower case are the same in the plain one.
 * Undefined where there is none.
 */
export function withPlainLocale(model: Uint8Array): Uint8Array | undefined {
  return withGraph(model, (parts) => parts.map((part) => (part.number === GRAPH_NODE ? relocated(part) : part.whole)))
}

function relocated({ whole, content }: Field): Uint8Array {
  const fields = fieldsOf(content)
  if (textIn(fields, NODE_OPERATOR) !== 'StringNormalizer') return whole
  const isLocale = ({ number, content: attribute }: Field) =>
    number === NODE_ATTRIBUTE && textIn(fieldsOf(attribute), ATTRIBUTE_NAME) === 'locale'
  const said = fields.find(isLocale)
  if (said !== undefined && !USUAL.test(Buffer.from(contentOf(fieldsOf(said.content), ATTRIBUTE_TEXT)).toString())) return whole
  const locale = messageField(NODE_ATTRIBUTE, [
    messageField(ATTRIBUTE_NAME, [Buffer.from('locale')]),
    messageField(ATTRIBUTE_TEXT, [Buffer.from(PLAIN)]),
    integerField(ATTRIBUTE_TYPE, TEXT),
  ])
  const others = fields.filter((field) => !isLocale(field)).map((field) => field.whole)
  return messageField(GRAPH_NODE, [...others, locale])
}
