import { contentOf, fieldsOf, hasField, textIn } from './fields.ts'
import {
  GRAPH_INPUT,
  GRAPH_OUTPUT,
  MODEL_GRAPH,
  TYPE_ELEMENT,
  TYPE_MAP,
  TYPE_OPTIONAL,
  TYPE_SEQUENCE,
  TYPE_TENSOR,
  VALUE_NAME,
  VALUE_TYPE,
} from './numbers.ts'

const TENSOR_SHAPE = 2

/** What an input or output of a model is, as its file says. */
export type ValueKind =
  | 'tensor'
  | 'tensor of any rank'
  | 'sequence of maps'
  | 'sequence of tensors'
  | 'map'
  | 'optional'
  | 'unknown'

/** Kinds by name. */
export interface ModelValues {
  readonly input: ReadonlyMap<string, ValueKind>
  readonly output: ReadonlyMap<string, ValueKind>
}

/** The kinds of a model's inputs and outputs, which ONNX Runtime for JavaScript does not distinguish. */
export function valuesOf(model: Uint8Array): ModelValues {
  const graph = fieldsOf(contentOf(fieldsOf(model), MODEL_GRAPH))
  const kinds = (kind: number) =>
    new Map(
      graph
        .filter(({ number }) => number === kind)
        .map(({ content }) => {
          const fields = fieldsOf(content)
          return [textIn(fields, VALUE_NAME), kindOf(contentOf(fields, VALUE_TYPE))] as const
        }),
    )
  return { input: kinds(GRAPH_INPUT), output: kinds(GRAPH_OUTPUT) }
}

function kindOf(type: Uint8Array): ValueKind {
  const fields = fieldsOf(type)
  if (hasField(fields, TYPE_TENSOR)) {
    // A shape without dimensions is a scalar's; where there is none, nothing is known of it.
    return hasField(fieldsOf(contentOf(fields, TYPE_TENSOR)), TENSOR_SHAPE) ? 'tensor' : 'tensor of any rank'
  }
  if (hasField(fields, TYPE_SEQUENCE)) {
    const element = fieldsOf(contentOf(fieldsOf(contentOf(fields, TYPE_SEQUENCE)), TYPE_ELEMENT))
    return hasField(element, TYPE_MAP) ? 'sequence of maps' : 'sequence of tensors'
  }
  if (hasField(fields, TYPE_MAP)) return 'map'
  return hasField(fields, TYPE_OPTIONAL) ? 'optional' : 'unknown'
}
