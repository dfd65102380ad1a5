/** Requests that are made up for a model with a task: of the tokens, the values and the sizes that it will get. */
import type { GraphFacts } from '../../tasks/folder/facts.ts'
import { sizeBehind } from '../../tasks/folder/image-input.ts'
import type { AudioInput, ImageInput, TaskDescription, TextInput } from '../../tasks/task.ts'
import { elementCount } from '../../tensor/shape.ts'
import type { NamedTensors, Tensor, TensorSpec } from '../../tensor/tensor.ts'

/** Pictures or sounds that are made up, and elements of each. */
const [SAMPLES, ELEMENTS_MAX] = [3, 2 ** 22]

/** Requests for a model with this description and graph; none where their size is not known. */
export function samplesOf({ text, image, audio }: TaskDescription, graph: GraphFacts): readonly NamedTensors[] {
  if (text !== undefined) return textSamples(text, graph)
  const shapes = shapesOfTask({ ...(image && { image }), ...(audio && { audio }) })
  const [name, shape = []] = [...(shapes ?? [])][0] ?? []
  const spec = graph.inputs.find((input) => input.name === name)
  const own = [1, ...shape.slice(1)]
  if (spec === undefined || elementCount(own) > ELEMENTS_MAX) return []
  return Array.from({ length: SAMPLES }, (_, index) => {
    const value = image === undefined ? soundValue(audio, index) : pictureValue(image, index, own)
    return new Map([[spec.name, tensorOf(spec, own, value)]])
  })
}

/** Sizes of the pictures or the sound that a model takes, by input; of sound, a second. */
export function shapesOfTask({
  image,
  audio,
}: Pick<TaskDescription, 'image' | 'audio'> = {}): ReadonlyMap<string, readonly number[]> | undefined {
  if (audio !== undefined) return new Map([[audio.input, [-1, audio.rate]]])
  const size = image && sizeBehind(image)
  if (image === undefined || size === undefined) return undefined
  const planes = image.channels === 'grey' ? 1 : 3
  const { height, width } = size
  return new Map([[image.input, image.layout === 'NCHW' ? [-1, planes, height, width] : [-1, height, width, planes]]])
}

function textSamples(text: TextInput, { inputs, tokenizer }: GraphFacts): readonly NamedTensors[] {
  const texts = (tokenizer?.samples ?? []).map((ids) => ids.slice(0, text.tokensMax))
  const [, second, third] = texts
  // Two of one length too.
  const even = second === undefined || third === undefined || third.length < second.length ? [] : [third.slice(0, second.length)]
  return [...texts, ...even].map((ids) => textTensors(ids, text.inputs, inputs))
}

/** The tensors of one text. */
function textTensors(ids: readonly number[], names: TextInput['inputs'], specs: readonly TensorSpec[]): NamedTensors {
  const values = (name: string): readonly number[] => {
    if (name === names.ids) return ids
    if (name === names.mask) return ids.map(() => 1)
    return name === names.positions ? ids.map((_, index) => index) : ids.map(() => 0)
  }
  return new Map(
    specs.map(({ name, datatype }) => {
      const data = datatype === 'INT64' ? BigInt64Array.from(values(name), BigInt) : Int32Array.from(values(name))
      return [name, { datatype, shape: [1, ids.length], data }]
    }),
  )
}

/** Bytes of all sizes, without a pattern that two pictures share, as the model takes them. */
function pictureValue(
  { layout, datatype, scale, mean, std }: ImageInput,
  sample: number,
  shape: readonly number[],
): (at: number) => number {
  const [, a = 1, b = 1, c = 1] = shape
  const channelOf = layout === 'NCHW' ? (at: number) => Math.floor(at / (b * c)) % a : (at: number) => at % c
  const byteOf = (at: number) => Math.imul(at + 1, 2_654_435_761 + sample * 97) >>> 24
  if (datatype === 'UINT8') return byteOf
  return (at) => {
    const channel = channelOf(at)
    return (byteOf(at) * scale - (mean[channel] ?? 0)) / (std[channel] ?? 1)
  }
}

/** A tone. */
function soundValue(audio: AudioInput | undefined, sample: number): (at: number) => number {
  const step = ((sample + 1) * 220 * 2 * Math.PI) / (audio?.rate ?? 1)
  return (at) => Math.sin(at * step) / 2
}

function tensorOf({ datatype }: TensorSpec, shape: readonly number[], value: (at: number) => number): Tensor {
  const count = elementCount(shape)
  const data =
    datatype === 'UINT8' ? new Uint8Array(count) : datatype === 'FP16' ? new Float16Array(count) : new Float32Array(count)
  for (let at = 0; at < count; at += 1) data[at] = value(at)
  return { datatype, shape, data }
}
