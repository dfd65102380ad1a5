import { breathe } from '../breath.ts'
import type { TaskCall } from '../call.ts'
import { type Activation, activated, bestFirst, type LabelScore, scoresIn } from '../scores.ts'
import type { ScoreOutput, TaskDescription, TaskName } from '../task.ts'
import { computeRows } from './rows.ts'
import { encodeTexts, mismatch, type Text, type TruncationOptions } from './texts.ts'

export interface ClassifyOptions extends TruncationOptions {
  /** Default as the model's folder says. */
  readonly activation?: Activation | undefined
}

/** Bytes of a label with its score, as an object and as text. */
const SCORE_BYTES = 128

/** The labels of each input, best first, and how many tokens it has. */
export interface Classifications {
  readonly scores: readonly (readonly LabelScore[])[]
  readonly tokens: readonly number[]
}

/**
 * Gives the score of each label for texts and pairs of texts.
 * @throws VestalError TASK_MISMATCH, INPUT_INVALID, INPUT_TOO_LONG, INPUTS_TOO_MANY, and as the engine
 */
export async function classify(
  call: TaskCall,
  inputs: readonly (Text | readonly [string, string])[],
  options: ClassifyOptions = {},
): Promise<Classifications> {
  const output = scoresOf(call.task, 'classify', 'rerank', 'zero-shot')
  const { activation, ...encoding } = options
  const { scores, tokens } = await scoreRows(call, inputs, encoding)
  call.hold?.(scores.length * output.labels.length * SCORE_BYTES)
  const best: (readonly LabelScore[])[] = []
  for (const row of scores) {
    best.push(bestFirst(output.labels, activated(row, activation ?? output.activation)))
    await breathe()
  }
  return { scores: best, tokens }
}

export interface RerankOptions extends TruncationOptions {
  /** Whether scores are what the model gives, without its activation; default false. */
  readonly rawScores?: boolean | undefined
}

/**
 * Gives how well each text answers a query, in the order of the texts.
 * @throws VestalError TASK_MISMATCH, INPUT_TOO_LONG, INPUTS_TOO_MANY, and as the engine
 */
export async function rerank(
  call: TaskCall,
  query: string,
  texts: readonly string[],
  { rawScores = false, ...options }: RerankOptions = {},
): Promise<{ readonly scores: readonly number[]; readonly tokens: readonly number[] }> {
  const output = scoresOf(call.task, 'rerank')
  const pairs = texts.map((text) => [query, text] as const)
  const { scores, tokens } = await scoreRows(call, pairs, options)
  return { scores: scores.map((row) => activated(row, rawScores ? 'none' : output.activation)[0] ?? 0), tokens }
}

/** The scores that a task reads. @throws VestalError TASK_MISMATCH */
export function scoresOf({ task, scores }: TaskDescription, ...tasks: readonly TaskName[]): ScoreOutput {
  if (!tasks.includes(task) || scores === undefined) throw mismatch(task, tasks)
  return scores
}

/** The scores of each input as the model gives them, one for each label. @throws VestalError as the engine */
export async function scoreRows(
  call: TaskCall,
  inputs: readonly (Text | readonly [string, string])[],
  options: TruncationOptions & { readonly cutsFirst?: boolean },
): Promise<{ readonly scores: readonly Float64Array[]; readonly tokens: readonly number[] }> {
  const { scores: output } = call.task
  if (output === undefined) throw mismatch(call.task.task, ['classify'])
  const rows = await encodeTexts(call, inputs, options)
  const scores = await computeRows(call, rows, {
    outputs: [output.output],
    read: (results) => scoresIn(results, output),
  })
  return { scores, tokens: rows.map(({ ids }) => ids.length) }
}
