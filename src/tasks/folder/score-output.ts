import type { TensorSpec } from '../../tensor/tensor.ts'
import type { ScoreOutput } from '../task.ts'
import { byDefault, type Candidate, type GraphFacts, listed, type Sources, said } from './facts.ts'
import type { JsonValue } from './folder-files.ts'
import { METADATA, type Ultralytics } from './metadata.ts'
import { LABELS_MAX, type TaskTables } from './task-tables.ts'

const LABEL_LENGTH_MAX = 1000
const FLOATS: ReadonlySet<string> = new Set(['FP32', 'FP16', 'FP64'])

/** The class names in a config.json, by their numbers. @throws Error where one is missing or there are too many */
export function labelsIn(config: JsonValue | undefined): Candidate<readonly string[]> | undefined {
  const value = config?.get('id2label')
  if (value === undefined) return undefined
  const labels: string[] = []
  const entries = value.entries(LABELS_MAX)
  for (const [key, label] of entries) {
    if (!/^(?:0|[1-9]\d{0,8})$/.test(key))
      throw value.fault(`has the key ${JSON.stringify(key.slice(0, 64))}, which is no number of a class`)
    labels[Number(key)] = label.text(LABEL_LENGTH_MAX)
    // Numbers that are far apart would make an array of nothing.
    if (labels.length > LABELS_MAX * 2) throw value.fault('has numbers of classes that are too large')
  }
  // Some leave numbers out, of classes that were never trained.
  return { value: Array.from(labels, (label, index) => label ?? `LABEL_${index}`), place: value.place }
}

/** Whether labels are those of entailment. */
export function isEntailment(labels: readonly string[]): boolean {
  return labels.some((label) => /^entail/i.test(label))
}

export interface ScoreFiles {
  readonly config: JsonValue | undefined
  readonly tables: TaskTables
  /** `[outputs.NAME] labels` of model.toml. */
  readonly labels: ReadonlyMap<string, readonly string[]>
  readonly graph: GraphFacts
  readonly sources: Sources
  /** Of a model of ultralytics, which has computed the shares of its classes itself. */
  readonly yolo?: Ultralytics | undefined
}

/** The output of scores: the one that is named, `logits`, or the only one of that many dimensions. @throws Error where there is none */
export function scoresIn({ graph, tables, sources }: Pick<ScoreFiles, 'graph' | 'tables' | 'sources'>, rank: 2 | 3): TensorSpec {
  const named = tables.scores?.output
  const fits = ({ datatype, shape }: TensorSpec) => FLOATS.has(datatype) && shape.length === rank
  const what = rank === 2 ? 'scores for each row ([rows, classes])' : 'scores for each token ([rows, tokens, classes])'
  const own = named === undefined ? undefined : graph.outputs.find(({ name }) => name === named)
  if (named !== undefined && (own === undefined || !fits(own)))
    throw new Error(
      `model.toml: "scores.output" names "${named}", which gives no ${what}; the model has ${listed(graph.outputs)}`,
    )
  const fitting = graph.outputs.filter(fits)
  const usual = fitting.find(({ name }) => name === 'logits') ?? (fitting.length === 1 ? fitting[0] : undefined)
  const found = own ?? usual
  if (found === undefined)
    throw new Error(
      `none of its outputs ${listed(graph.outputs)} gives ${what}${fitting.length > 1 ? ' alone; [scores] output in model.toml names the right one' : ''}`,
    )
  return sources.from(own === undefined ? 'the graph' : 'model.toml scores.output', 'output', found)
}

/**
 * How an output becomes scores for labels.
 * @throws Error where labels and output do not fit
 */
export function scoreOutputOf(files: ScoreFiles, spec: TensorSpec): ScoreOutput {
  const { config, tables, sources } = files
  const labels = labelsOf(files, spec, said('scores.labels', tables.scores?.labels))
  const activation =
    sources.first<ScoreOutput['activation']>(
      'activation',
      said('scores.activation', tables.scores?.activation),
      files.yolo && { value: 'none' as const, place: METADATA },
      crossEncoderActivation(config),
      activationOf(config, labels.length),
      spec.name === 'logits' ? byDefault(labels.length === 1 ? ('sigmoid' as const) : ('softmax' as const)) : undefined,
    ) ?? missingActivation(spec)
  return { output: spec.name, labels, activation }
}

/** The names of the classes of an output, in its order; where nothing names them, LABEL_0 and so on. */
export function labelsOf(
  { config, labels: byOutput, sources, yolo }: ScoreFiles,
  spec: TensorSpec,
  own: Candidate<readonly string[]>,
): readonly string[] {
  const count = spec.shape.length === 4 ? (spec.shape[1] ?? -1) : (spec.shape.at(-1) ?? -1)
  if (count > LABELS_MAX) throw new Error(`the output ${listed([spec])} has more than ${LABELS_MAX} classes`)
  const number = config?.get('num_labels')?.whole(1, LABELS_MAX) ?? (count > 0 ? count : undefined)
  const numbered = number === undefined ? undefined : Array.from({ length: number }, (_, index) => `LABEL_${index}`)
  const labels = sources.first(
    'labels',
    own,
    said(`outputs.${spec.name}.labels`, byOutput.get(spec.name)),
    yolo && { value: yolo.labels, place: METADATA },
    labelsIn(config),
    byDefault(numbered),
  )
  if (labels === undefined || labels.length === 0)
    throw new Error(`nothing says how many classes its output ${listed([spec])} has; [scores] labels in model.toml names them`)
  if (count > 0 && labels.length !== count)
    throw new Error(`the output ${listed([spec])} has ${count} classes, and there are ${labels.length} labels`)
  return labels
}

function activationOf(config: JsonValue | undefined, labels: number): Candidate<ScoreOutput['activation']> | undefined {
  const type = config?.get('problem_type')
  // Another program's config.json says nothing of heads.
  if (config?.get('architectures') === undefined && config?.get('model_type') === undefined) return undefined
  if (type !== undefined) {
    const name = type.text()
    if (name === 'regression') return { value: 'none', place: type.place }
    if (name === 'multi_label_classification') return { value: 'sigmoid', place: type.place }
    if (name !== 'single_label_classification')
      throw type.fault('must be regression, single_label_classification or multi_label_classification')
  }
  return {
    value: labels === 1 ? 'sigmoid' : 'softmax',
    place: `${config.file}, which has ${labels === 1 ? 'one label' : `${labels} labels`}`,
  }
}

/** What a cross-encoder of sentence-transformers has named. */
function crossEncoderActivation(config: JsonValue | undefined): Candidate<ScoreOutput['activation']> | undefined {
  const value = config?.get('sentence_transformers')?.get('activation_fn') ?? config?.get('sbert_ce_default_activation_function')
  if (value === undefined) return undefined
  const name = value.text().split('.').at(-1)
  if (name === 'Identity') return { value: 'none', place: value.place }
  if (name === 'Sigmoid') return { value: 'sigmoid', place: value.place }
  throw value.fault(
    'names an activation that is not computed here; [scores] activation in model.toml can be softmax, sigmoid or none',
  )
}

function missingActivation(spec: TensorSpec): never {
  throw new Error(
    `nothing says what becomes of the output ${listed([spec])}: [scores] activation in model.toml must be "softmax" or "sigmoid" where it gives logits, and "none" where the model has computed that itself`,
  )
}
