/** Reads the folder of a version: what the model in it does beside tensors in and out, or why that cannot be computed rightly. */
import { join } from 'node:path'
import type { TaskDescription, TaskName } from '../task.ts'
import { type GraphFacts, Sources } from './facts.ts'
import { FolderFiles, type JsonValue } from './folder-files.ts'
import { type Modules, readModules } from './modules.ts'
import { isEntailment, labelsIn, scoreOutputOf, scoresIn } from './score-output.ts'
import type { TaskTables } from './task-tables.ts'
import { readTextFiles, type TextFiles, textInputOf } from './text-input.ts'
import { vectorOutputOf } from './vector-output.ts'

/** What a folder says before its model is loaded. */
export interface FolderTask {
  /** Absolute path of the tokenizer that a worker process must load with the model. */
  readonly tokenizer?: string
  /** Paths in the folder of the files that decide what is answered, as far as they were read. */
  readonly files: readonly string[]
  /** Why there is no task although the folder describes a model, for the log. */
  readonly note?: string
  /**
   * What a model with this graph does; undefined where that is tensors and nothing else.
   * @throws Error with the reason why it cannot be computed rightly
   */
  describe(graph: GraphFacts): TaskDescription | undefined
}

export interface FolderOptions {
  /** What model.toml says. */
  readonly tables?: TaskTables
  /** `[outputs.NAME] labels` of model.toml. */
  readonly labels?: ReadonlyMap<string, readonly string[]>
}

const TENSORS = 'task = "tensors" in model.toml serves its tensors'
const TEXT_TASKS: ReadonlySet<TaskName> = new Set(['embedding', 'classify', 'rerank', 'tokens', 'zero-shot', 'fill'])
/** The ends of names of architectures, with the tasks that they are for. */
const HEADS: readonly (readonly [end: string, task: TaskName])[] = [
  ['ForSequenceClassification', 'classify'],
  ['ForTokenClassification', 'tokens'],
  ['ForMaskedLM', 'fill'],
  ['Model', 'embedding'],
]
/** Models that give an answer step by step, or in two parts. */
const GENERATES =
  /(?:For(?:CausalLM|ConditionalGeneration|SpeechSeq2Seq|Vision2Seq|ImageTextToText|Seq2SeqLM)|LMHeadModel|EncoderDecoderModel|DoubleHeadsModel)$/

/** What is known of the task, and from where. */
interface Chosen {
  readonly task: TaskName
  readonly place: string
}

/**
 * Reads the files that describe the model of a folder.
 * @throws Error with the reason why it cannot be computed rightly
 */
export function readFolder(folder: string, { tables = {}, labels = new Map() }: FolderOptions = {}): FolderTask {
  const nothing: FolderTask = { files: [], describe: () => undefined }
  if (tables.task === 'tensors') return nothing
  const files = new FolderFiles(folder)
  const modules = readModules(files)
  const config = files.json(join(modules?.transformer ?? '', 'config.json'))
  const chosen = chosenBy(tables, modules, config)
  if (chosen === undefined) {
    const name = config?.get('architectures')?.items(16)[0]?.text()
    const note =
      name === undefined ? undefined : `its architecture ${name.slice(0, 64)} has no task here: it is served as tensors`
    return { ...nothing, ...(note !== undefined && { note }) }
  }
  if (!TEXT_TASKS.has(chosen.task)) throw new Error(`the task "${chosen.task}" is not computed here`)
  const base = modules?.transformer ?? ''
  const text = readTextFiles(files, tables, { base, config, isOfSentences: modules !== undefined })
  return {
    tokenizer: text.tokenizer,
    files: files.read,
    describe: (graph) => describeText({ chosen, text, modules, config, tables, labels }, graph),
  }
}

function chosenBy(tables: TaskTables, modules: Modules | undefined, config: JsonValue | undefined): Chosen | undefined {
  if (tables.task !== undefined) return { task: tables.task, place: 'model.toml task' }
  if (modules !== undefined) return { task: modules.isSparse ? 'fill' : 'embedding', place: 'modules.json' }
  const architecture = config?.get('architectures')?.items(16)[0]
  const name = architecture?.text()
  if (name === undefined || architecture === undefined) return undefined
  if (GENERATES.test(name))
    throw new Error(
      `${architecture.place}: ${name.slice(0, 64)} generates its answer step by step, which is not computed here; ${TENSORS}`,
    )
  const task = HEADS.find(([end]) => name.endsWith(end))?.[1]
  if (task === 'embedding' && config?.get('is_encoder_decoder')?.flag() === true && !name.endsWith('EncoderModel'))
    throw new Error(
      `${architecture.place}: ${name.slice(0, 64)} is an encoder with a decoder, which are not computed here; ${TENSORS}`,
    )
  return task === undefined ? undefined : { task, place: architecture.place }
}

interface TextModel {
  readonly chosen: Chosen
  readonly text: TextFiles
  readonly modules: Modules | undefined
  readonly config: JsonValue | undefined
  readonly tables: TaskTables
  readonly labels: ReadonlyMap<string, readonly string[]>
}

function describeText({ chosen, text: files, modules, config, tables, labels }: TextModel, graph: GraphFacts): TaskDescription {
  const sources = new Sources()
  const text = textInputOf(files, tables, { graph, sources })
  const scoreFiles = { config, tables, labels, graph, sources }
  const described = (task: TaskDescription['task'], rest: Partial<TaskDescription>): TaskDescription => {
    sources.from(chosen.place, 'task', task)
    return { task, text, ...rest, sources: sources.places() }
  }
  switch (chosen.task) {
    case 'embedding':
      return described('embedding', {
        vector: vectorOutputOf({ config, modules, sentences: files.sentences }, tables, { graph, sources }),
      })
    case 'tokens':
      return described('tokens', { scores: scoreOutputOf(scoreFiles, scoresIn(scoreFiles, 3)) })
    case 'fill': {
      const spec = scoresIn(scoreFiles, 3)
      return described('fill', { scores: { output: spec.name, labels: [], activation: 'softmax' } })
    }
    default: {
      const scores = scoreOutputOf(scoreFiles, scoresIn(scoreFiles, 2))
      const task = tables.task === undefined ? taskOfLabels(scores.labels, config) : chosen.task
      if (task === 'rerank' && scores.labels.length !== 1)
        throw new Error(`a model that reranks must give one score for a pair, and this one gives ${scores.labels.length}`)
      if (task === 'zero-shot' && !isEntailment(scores.labels))
        throw new Error(
          'a model for zero-shot must have a label that begins with "entail"; [scores] labels in model.toml names them in their order',
        )
      // The cast: what is left of the tasks of text are these three.
      return described(task as 'classify' | 'rerank' | 'zero-shot', { scores })
    }
  }
}

function taskOfLabels(labels: readonly string[], config: JsonValue | undefined): 'classify' | 'rerank' | 'zero-shot' {
  if (labels.length === 1) return 'rerank'
  return isEntailment(labelsIn(config)?.value ?? []) && isEntailment(labels) ? 'zero-shot' : 'classify'
}
