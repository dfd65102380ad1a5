import { partsOf } from './fields.ts'

const MODEL_METADATA = 14
/** Texts beside a graph, and bytes of one: what is more or larger is left out. */
const [ENTRIES_MAX, BYTES_MAX] = [64, 256 * 1024]

/**
 * The texts that a model's file holds beside its graph, by name.
 * @throws Error where the bytes are no model
 */
export function metadataOf(model: Uint8Array): ReadonlyMap<string, string> {
  const texts = new Map<string, string>()
  for (const { number, content } of partsOf(model)) {
    if (number !== MODEL_METADATA || content.length > BYTES_MAX || texts.size >= ENTRIES_MAX) continue
    const entry = new Map([...partsOf(content)].map((part) => [part.number, Buffer.from(part.content).toString('utf8')]))
    texts.set(entry.get(1) ?? '', entry.get(2) ?? '')
  }
  return texts
}
