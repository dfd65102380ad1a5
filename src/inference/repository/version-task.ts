/** What a version does beside tensors in and out: read of its folder before it is loaded, and of its graph afterwards. */
import type { GraphFacts } from '../../tasks/folder/facts.ts'
import { sizeBehind } from '../../tasks/folder/image-input.ts'
import { type FolderTask, readFolder } from '../../tasks/folder/read-folder.ts'
import type { TaskDescription, TextInput } from '../../tasks/task.ts'
import type { NamedTensors, TensorSpec } from '../../tensor/tensor.ts'
import type { PaddingRule } from '../padding.ts'
import type { FoundModel, FoundVersion } from './scan.ts'
import { zeros } from './synthetic.ts'

/** The task of a version that is being loaded. */
export class VersionTask {
  readonly #folder: FolderTask | undefined
  #graph: GraphFacts | undefined
  /** What it does; undefined where that is tensors and nothing else, and until the graph is known. */
  description: TaskDescription | undefined

  /** @throws Error with the reason why its folder cannot be served rightly */
  constructor({ file, pipeline }: FoundModel, { folder }: FoundVersion) {
    this.#folder =
      folder === undefined || pipeline !== undefined
        ? undefined
        : readFolder(folder, { labels: file.labels, ...(file.tasks && { tables: file.tasks }) })
  }

  /** Absolute path of the tokenizer that a worker loads with the model. */
  get tokenizer(): string | undefined {
    return this.#folder?.tokenizer
  }

  /** Paths in the version's folder of the files that decide what is answered. */
  get files(): readonly string[] {
    return this.#folder?.files ?? []
  }

  /** Why there is no task although something describes the model. */
  note: string | undefined

  /** Makes the description. @throws Error with the reason why the model cannot be served rightly */
  describe(graph: GraphFacts): void {
    this.#graph = graph
    const { task, note } = this.#folder?.describe(graph) ?? {}
    this.description = task
    this.note = note
  }

  /** How texts of different lengths share a run: a model without a mask takes its padding for text. */
  padding(): PaddingRule | undefined {
    const { text } = this.description ?? {}
    if (text?.inputs.mask === undefined) return undefined
    const { ids, mask, types, positions } = text.inputs
    const values = {
      [ids]: text.padId,
      [mask]: 0,
      ...(types !== undefined && { [types]: 0 }),
      ...(positions !== undefined && { [positions]: 0 }),
    }
    return { side: text.paddingSide, values }
  }

  /** Sizes of pictures and sound to try the model with, by input, where nothing is recorded. */
  shapes(): ReadonlyMap<string, readonly number[]> | undefined {
    return shapesOfTask(this.description)
  }

  /** A request to warm the model up with, where it has a task. */
  warmUpInputs(): NamedTensors | undefined {
    const [sample] = this.samples()
    const shapes = this.shapes()
    if (sample !== undefined || shapes === undefined) return sample
    return zeros((this.#graph?.inputs ?? []).map((spec) => ({ ...spec, shape: shapes.get(spec.name) ?? spec.shape })))
  }

  /** Requests to try the model with, which are as those that it will get. */
  samples(): readonly NamedTensors[] {
    const { text } = this.description ?? {}
    const { inputs = [], tokenizer } = this.#graph ?? {}
    if (text === undefined || tokenizer === undefined) return []
    const texts = tokenizer.samples.map((ids) => ids.slice(0, text.tokensMax))
    const [, second, third] = texts
    // Two of one length too.
    const even =
      second === undefined || third === undefined || third.length < second.length ? [] : [third.slice(0, second.length)]
    return [...texts, ...even].map((ids) => textTensors(ids, text.inputs, inputs))
  }
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
