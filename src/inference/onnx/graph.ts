import { type Field, fieldsOf, joined, messageField } from './fields.ts'
import { MODEL_GRAPH } from './numbers.ts'

/**
 * The model with other fields in its graph, as `rewrite` gives them for those that it has; a field that stays is its own `whole`. Undefined
 * where all stay, or there is no graph. @throws Error where the bytes are no model
 */
export function withGraph(
  model: Uint8Array,
  rewrite: (parts: readonly Field[]) => readonly Uint8Array[],
): Uint8Array | undefined {
  const fields = fieldsOf(model)
  const graph = fields.find(({ number }) => number === MODEL_GRAPH)
  if (graph === undefined) return undefined
  const parts = fieldsOf(graph.content)
  const written = rewrite(parts)
  if (written.length === parts.length && written.every((part, index) => part === parts[index]?.whole)) return undefined
  return joined(fields.map((field) => (field === graph ? messageField(MODEL_GRAPH, written) : field.whole)))
}
