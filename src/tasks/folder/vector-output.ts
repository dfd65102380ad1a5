import type { TensorSpec } from '../../tensor/tensor.ts'
import type { Pooling, VectorOutput } from '../task.ts'
import { byDefault, type GraphFacts, listed, type Sources, said } from './facts.ts'
import type { JsonValue } from './folder-files.ts'
import type { Modules } from './modules.ts'
import { SIMILARITIES, type TaskTables } from './task-tables.ts'

/** Outputs by the names that exporters give them, the best first. */
const [VECTORS, TOKENS] = [
  ['sentence_embedding', 'sentence_embeddings', 'text_embeds'],
  ['token_embeddings', 'last_hidden_state'],
]
const FLOATS: ReadonlySet<string> = new Set(['FP32', 'FP16', 'FP64'])

interface VectorFiles {
  readonly config: JsonValue | undefined
  readonly modules: Modules | undefined
  /** config_sentence_transformers.json. */
  readonly sentences: JsonValue | undefined
}

/**
 * How an output of a model with this graph becomes one vector for each text.
 * @throws Error where none does
 */
export function vectorOutputOf(
  { config, modules, sentences }: VectorFiles,
  { embedding = {} }: TaskTables,
  { graph, sources }: { readonly graph: GraphFacts; readonly sources: Sources },
): VectorOutput {
  const output = outputOf(graph.outputs, embedding.output, sources)
  const form = sources.from('the graph', 'form', output.shape.length === 2 ? 'vector' : 'tokens')
  const { pooling, includesPrompt } =
    form === 'vector' ? { pooling: [], includesPrompt: true } : poolingOf(modules, embedding, sources)
  const own = output.shape.at(-1) ?? -1
  const hidden = modules?.pooling?.size ?? config?.get('hidden_size')?.whole(1, 1_000_000)
  if (form === 'tokens' && own > 0 && modules?.pooling?.size !== undefined && own !== modules.pooling.size)
    throw new Error(
      `the output ${listed([output])} has vectors of ${own} numbers, and ${modules.pooling.place} says ${modules.pooling.size}`,
    )
  const size = own > 0 ? own : hidden
  const dense = denseBehind(modules, { form, size: size ?? 0 })
  if (dense.length > 0 && modules !== undefined) sources.from(modules.place, 'dense', dense)
  const dimensions = dense.at(-1)?.outputs ?? (size === undefined ? undefined : size * Math.max(1, pooling.length))
  if (dimensions === undefined)
    throw new Error(
      `the output ${listed([output])} does not say how many numbers a vector has, and neither does config.json (hidden_size)`,
    )
  const first = dense[0]
  const pooled = (size ?? 0) * Math.max(1, pooling.length)
  if (first !== undefined && first.inputs !== pooled)
    throw new Error(`its Dense layer takes ${first.inputs} numbers, and the pooled vectors have ${pooled}`)
  const similar = sentences?.get('similarity_fn_name')
  return {
    output: output.name,
    form,
    pooling,
    includesPrompt,
    dense,
    isNormalized:
      sources.first(
        'isNormalized',
        said('embedding.normalize', embedding.normalize),
        modules && { value: modules.isNormalized, place: modules.place },
        byDefault(false),
      ) ?? false,
    dimensions: sources.from(
      own > 0 && dense.length === 0 ? 'the graph' : (modules?.place ?? config?.file ?? 'the graph'),
      'dimensions',
      dimensions,
    ),
    similarity:
      sources.first<VectorOutput['similarity']>(
        'similarity',
        said('embedding.similarity', embedding.similarity),
        similar && { value: similarityIn(similar), place: similar.place },
        byDefault('cosine' as const),
      ) ?? 'cosine',
  }
}

function outputOf(outputs: readonly TensorSpec[], named: string | undefined, sources: Sources): TensorSpec {
  const fits = (spec: TensorSpec) => FLOATS.has(spec.datatype) && (spec.shape.length === 2 || spec.shape.length === 3)
  if (named !== undefined) {
    const found = outputs.find(({ name }) => name === named)
    if (found === undefined) throw new Error(`model.toml: "embedding.output" names "${named}"; the model has ${listed(outputs)}`)
    if (!fits(found)) throw new Error(`the output ${listed([found])} is no vector for each text or token`)
    return sources.from('model.toml embedding.output', 'output', found)
  }
  const usual = [
    ...VECTORS.map((name) => outputs.find((spec) => spec.name === name && spec.shape.length === 2 && fits(spec))),
    ...TOKENS.map((name) => outputs.find((spec) => spec.name === name && spec.shape.length === 3 && fits(spec))),
  ].find((spec) => spec !== undefined)
  const [only, ...others] = outputs.filter(fits)
  const found = usual ?? (others.length === 0 ? only : undefined)
  if (found === undefined)
    throw new Error(
      `none of its outputs ${listed(outputs)} is known as the vectors of texts; [embedding] output in model.toml names the right one`,
    )
  return sources.from('the graph', 'output', found)
}

function poolingOf(
  modules: Modules | undefined,
  { pooling, include_prompt: includePrompt }: NonNullable<TaskTables['embedding']>,
  sources: Sources,
): Pick<VectorOutput, 'pooling' | 'includesPrompt'> {
  const own = pooling === undefined || typeof pooling === 'object' ? pooling : [pooling]
  const module = modules?.pooling
  return {
    pooling:
      sources.first<readonly Pooling[]>(
        'pooling',
        said('embedding.pooling', own),
        module && { value: module.pooling, place: module.place },
        byDefault(['mean'] as const),
      ) ?? [],
    includesPrompt:
      sources.first(
        'includesPrompt',
        said('embedding.include_prompt', includePrompt),
        module && { value: module.includesPrompt, place: module.place },
        byDefault(true),
      ) ?? true,
  }
}

/** The Dense layers that the graph does not hold: one that gives the vector of a text whole has had them. */
function denseBehind(
  modules: Modules | undefined,
  { form, size }: { readonly form: VectorOutput['form']; readonly size: number },
): VectorOutput['dense'] {
  const dense = modules?.dense ?? []
  const [first, last] = [dense[0], dense.at(-1)]
  if (first === undefined || last === undefined || form === 'tokens') return dense
  if (size === last.outputs && size !== first.inputs) return []
  if (size === first.inputs && size !== last.outputs) return dense
  throw new Error(
    `it cannot be told whether its ONNX file has computed the Dense layers of modules.json: its vectors have ${size} numbers, the layers take ${first.inputs} and give ${last.outputs}; export it with last_hidden_state as its output`,
  )
}

function similarityIn(value: JsonValue): VectorOutput['similarity'] {
  const name = value.text()
  const found = SIMILARITIES.find((each) => each === name || `${each}_similarity` === name)
  if (found === undefined) throw value.fault(`must be one of ${SIMILARITIES.join(', ')}`)
  return found
}
