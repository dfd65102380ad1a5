/** What a version does beside tensors in and out: read of its folder before it is loaded, and of its graph afterwards. */
import type { GraphFacts } from '../../tasks/folder/facts.ts'
import { type FolderTask, readFolder } from '../../tasks/folder/read-folder.ts'
import type { TaskDescription } from '../../tasks/task.ts'
import type { NamedTensors } from '../../tensor/tensor.ts'
import { samplesOf, shapesOfTask } from '../batching/task-samples.ts'
import { type PaddingRule, paddingOfTexts } from '../padding.ts'
import type { FoundModel, FoundVersion } from './scan.ts'

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

  /** How texts of different lengths share a run. */
  padding(): PaddingRule | undefined {
    return paddingOfTexts(this.description?.text)
  }

  /** Sizes of pictures and sound to try the model with, by input, where nothing is recorded. */
  shapes(): ReadonlyMap<string, readonly number[]> | undefined {
    return shapesOfTask(this.description)
  }

  /** A request to warm the model up with, where it has a task. */
  warmUpInputs(): NamedTensors | undefined {
    return this.samples()[0]
  }

  /** Requests to try the model with, which are as those that it will get. */
  samples(): readonly NamedTensors[] {
    return this.description === undefined || this.#graph === undefined ? [] : samplesOf(this.description, this.#graph)
  }
}
