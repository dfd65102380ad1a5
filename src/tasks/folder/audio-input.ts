import type { AudioInput } from '../task.ts'
import { byDefault, type GraphFacts, listed, type Sources, said } from './facts.ts'
import type { JsonValue } from './folder-files.ts'
import type { TaskTables } from './task-tables.ts'

/** Seconds of sound that one request may have where nothing says otherwise. */
const SECONDS_DEFAULT = 30

/**
 * How sound becomes the tensor of a model with this graph.
 * @throws Error where the graph takes something else
 */
export function audioInputOf(
  { processor, tables }: { readonly processor: JsonValue | undefined; readonly tables: TaskTables },
  { graph, sources }: { readonly graph: GraphFacts; readonly sources: Sources },
): AudioInput {
  const audio = tables.audio ?? {}
  const { inputs } = graph
  const found =
    audio.input === undefined
      ? (inputs.find(({ name }) => name === 'input_values') ?? (inputs.length === 1 ? inputs[0] : undefined))
      : inputs.find(({ name }) => name === audio.input)
  if (found === undefined)
    throw new Error(`which of its inputs ${listed(inputs)} is the sound must be said: [audio] input in model.toml`)
  if (found.shape.length !== 2 || (found.datatype !== 'FP32' && found.datatype !== 'FP16'))
    throw new Error(
      `the input ${listed([found])} takes no samples of sound (FP32 or FP16 [rows, samples]): spectrograms are not computed here; task = "tensors" in model.toml serves its tensors`,
    )
  const other = inputs.find(({ name }) => name !== found.name)
  if (other !== undefined)
    throw new Error(
      `the model also needs the input ${listed([other])}, which sound does not give; task = "tensors" in model.toml serves its tensors`,
    )
  sources.from(audio.input === undefined ? 'the graph' : 'model.toml audio.input', 'audio.input', found)
  const [rate, normalize] = [processor?.get('sampling_rate'), processor?.get('do_normalize')]
  const hertz = sources.first(
    'audio.rate',
    said('audio.rate', audio.rate),
    rate && { value: rate.whole(1000, 192_000), place: rate.place },
  )
  if (hertz === undefined)
    throw new Error('nothing says how many samples a second its sound must have: [audio] rate in model.toml does')
  return {
    input: found.name,
    rate: hertz,
    secondsMax:
      sources.first('audio.secondsMax', said('audio.seconds_max', audio.seconds_max), byDefault(SECONDS_DEFAULT)) ??
      SECONDS_DEFAULT,
    isNormalized:
      sources.first(
        'audio.isNormalized',
        said('audio.normalize', audio.normalize),
        normalize && { value: normalize.flag(), place: normalize.place },
        // As its authors have it where the file says nothing.
        byDefault(/^Wav2Vec2/.test(processor?.get('feature_extractor_type')?.text() ?? '')),
      ) ?? false,
  }
}
