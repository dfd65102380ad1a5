/** Reads the folder of a version: what the model in it does beside tensors in and out, or why that cannot be computed rightly. */
import { join } from 'node:path'
import type { TaskDescription, TaskName } from '../task.ts'
import { audioInputOf } from './audio-input.ts'
import { type GraphFacts, Sources } from './facts.ts'
import { FolderFiles, type JsonValue } from './folder-files.ts'
import { imageInputOf } from './image-input.ts'
import { METADATA, ultralyticsOf } from './metadata.ts'
import { type Modules, readModules } from './modules.ts'
import { boxOutputOf, maskOutputOf } from './picture-outputs.ts'
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
  /**
   * What a model with this graph does.
   * @throws Error with the reason why it cannot be computed rightly
   */
  describe(graph: GraphFacts): Described
}

/** What a model does; without a task it takes tensors and nothing else. */
export interface Described {
  readonly task?: TaskDescription
  /** Why there is no task although something describes the model, for the log. */
  readonly note?: string
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
  ['ForImageClassification', 'image-classify'],
  ['ForImageClassificationWithTeacher', 'image-classify'],
  ['ForObjectDetection', 'detect'],
  ['ForSemanticSegmentation', 'segment'],
  ['ForAudioClassification', 'audio-classify'],
  ['Model', 'embedding'],
]
/** Models that give an answer step by step, or in two parts. */
const GENERATES =
  /(?:For(?:CausalLM|ConditionalGeneration|SpeechSeq2Seq|Vision2Seq|ImageTextToText|Seq2SeqLM)|LMHeadModel|EncoderDecoderModel|DoubleHeadsModel)$/

/** Models of sound, which have the heads of texts. */
const SOUND = /^(?:wav2vec2|hubert|wavlm|unispeech|sew|data2vec-audio|whisper|audio-spectrogram)/

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
  if (tables.task === 'tensors') return { files: [], describe: () => ({}) }
  const files = new FolderFiles(folder)
  const modules = readModules(files)
  const base = modules?.transformer ?? ''
  const config = files.json(join(base, 'config.json'))
  const processor = files.json('preprocessor_config.json')
  const chosen = chosenBy(tables, { modules, config, isOfTexts: processor === undefined })
  if (chosen === undefined) {
    const name = config?.get('architectures')?.items(16)[0]?.text()
    const note =
      name === undefined ? undefined : `its architecture ${name.slice(0, 64)} has no task here: it is served as tensors`
    // What the model's own file says counts where no other does.
    const describe = (graph: GraphFacts) => describeUltralytics({ config, processor, tables, labels }, { graph, note })
    return { files: files.read, describe }
  }
  if (!TEXT_TASKS.has(chosen.task)) {
    const describe = (graph: GraphFacts) => ({ task: describeOther({ chosen, config, processor, tables, labels }, graph) })
    return { files: files.read, describe }
  }
  const text = readTextFiles(files, tables, { base, config, isOfSentences: modules !== undefined })
  return {
    tokenizer: text.tokenizer,
    files: files.read,
    describe: (graph) => ({ task: describeText({ chosen, text, modules, config, tables, labels }, graph) }),
  }
}

interface Evidence {
  readonly modules: Modules | undefined
  readonly config: JsonValue | undefined
  /** False where the folder says how pictures or sound are prepared. */
  readonly isOfTexts: boolean
}

function chosenBy(tables: TaskTables, { modules, config, isOfTexts }: Evidence): Chosen | undefined {
  if (tables.task !== undefined) return { task: tables.task, place: 'model.toml task' }
  if (modules !== undefined) return { task: modules.isSparse ? 'fill' : 'embedding', place: 'modules.json' }
  const architecture = config?.get('architectures')?.items(16)[0]
  const name = architecture?.text()
  if (name === undefined || architecture === undefined) return undefined
  const shown = `${architecture.place}: ${name.slice(0, 64)}`
  if (GENERATES.test(name)) throw new Error(`${shown} generates its answer step by step, which is not computed here; ${TENSORS}`)
  const isSound = SOUND.test(config?.get('model_type')?.text() ?? '')
  const task = HEADS.find(([end]) => name.endsWith(end))?.[1]
  if (task === 'classify' && isSound) return { task: 'audio-classify', place: architecture.place }
  if (task !== 'embedding') return task === undefined ? undefined : { task, place: architecture.place }
  if (!isOfTexts || isSound || config?.get('vision_config') !== undefined) return undefined
  if (config?.get('is_encoder_decoder')?.flag() === true && !name.endsWith('EncoderModel'))
    throw new Error(`${shown} is an encoder with a decoder, which are not computed here; ${TENSORS}`)
  return { task, place: architecture.place }
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

interface OtherModel {
  readonly config: JsonValue | undefined
  /** preprocessor_config.json. */
  readonly processor: JsonValue | undefined
  readonly tables: TaskTables
  readonly labels: ReadonlyMap<string, readonly string[]>
}

/**
 * A model whose own file may say what it is for. A folder that says nothing still serves its tensors.
 */
function describeUltralytics(
  model: OtherModel,
  { graph, note }: { readonly graph: GraphFacts; readonly note: string | undefined },
): Described {
  const nothing = note === undefined ? {} : { note }
  try {
    const yolo = ultralyticsOf(graph.metadata)
    const tasks: Readonly<Record<string, TaskName>> = { detect: 'detect', classify: 'image-classify' }
    const task = yolo === undefined || !Object.hasOwn(tasks, yolo.task) ? undefined : tasks[yolo.task]
    if (yolo !== undefined && task === undefined)
      return { note: `the task ${yolo.task.slice(0, 64)} of its metadata is not computed here: it is served as tensors` }
    return task === undefined ? nothing : { task: describeOther({ ...model, chosen: { task, place: METADATA } }, graph) }
  } catch (error) {
    return { note: `it is served as tensors: ${error instanceof Error ? error.message : String(error)}` }
  }
}

/** A model of pictures or sound. */
function describeOther({ chosen, ...model }: OtherModel & { readonly chosen: Chosen }, graph: GraphFacts): TaskDescription {
  const { config, processor, tables, labels } = model
  const sources = new Sources()
  // The cast: tasks of texts and tensors went other ways.
  const task = sources.from(chosen.place, 'task', chosen.task as 'image-classify' | 'detect' | 'segment' | 'audio-classify')
  const yolo = ultralyticsOf(graph.metadata)
  const scoreFiles = { config, tables, labels, graph, sources, yolo }
  if (task === 'audio-classify') {
    const audio = audioInputOf({ processor, tables }, { graph, sources })
    return { task, audio, scores: scoreOutputOf(scoreFiles, scoresIn(scoreFiles, 2)), sources: sources.places() }
  }
  const image = imageInputOf({ processor, tables, yolo }, { graph, sources })
  if (task === 'detect') return { task, image, boxes: boxOutputOf({ ...scoreFiles, yolo }), sources: sources.places() }
  if (task === 'segment') return { task, image, masks: maskOutputOf({ ...scoreFiles, yolo }), sources: sources.places() }
  return { task, image, scores: scoreOutputOf(scoreFiles, scoresIn(scoreFiles, 2)), sources: sources.places() }
}
