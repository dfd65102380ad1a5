import { VestalError } from '../../core/errors.ts'
import type { TaskCall } from '../call.ts'
import { type LabelScore, softmax } from '../scores.ts'
import { scoreRows, scoresOf } from './classify.ts'
import type { TruncationOptions } from './texts.ts'

export interface ZeroShotOptions extends TruncationOptions {
  /** Labels that the text may have. */
  readonly labels: readonly string[]
  /** A sentence about the text, with `{}` where the label stands; default that of Hugging Face. */
  readonly template?: string | undefined
  /** Whether each label is judged by itself; otherwise their scores are 1 in sum. Default false. */
  readonly isMultiLabel?: boolean | undefined
}

const TEMPLATE = 'This example is {}.'
/** There is a hypothesis for each label: a long template would be as many times its length. */
const TEMPLATE_CHARACTERS_MAX = 8192

/**
 * Says which of any labels a text has, by a model of entailment: whether the text entails the template with each label in it.
 * @throws VestalError TASK_MISMATCH, INPUT_INVALID, INPUT_TOO_LONG, INPUTS_TOO_MANY, and as the engine
 */
export async function zeroShot(
  call: TaskCall,
  text: string,
  { labels, template = TEMPLATE, isMultiLabel = false, ...truncation }: ZeroShotOptions,
): Promise<readonly LabelScore[]> {
  const output = scoresOf(call.task, 'zero-shot')
  const entailment = output.labels.findIndex((label) => /^entail/i.test(label))
  if (entailment < 0) throw new VestalError('TASK_MISMATCH', { detail: 'The model has no label that begins with "entail"' })
  if (labels.length === 0)
    throw new VestalError('INPUT_INVALID', { detail: { candidate_labels: 'must name one label at least' } })
  if (!template.includes('{}'))
    throw new VestalError('INPUT_INVALID', { detail: { hypothesis_template: 'must have {} where the label stands' } })
  if (template.length > TEMPLATE_CHARACTERS_MAX)
    throw new VestalError('INPUT_INVALID', {
      detail: { hypothesis_template: `has ${template.length} characters; the most is ${TEMPLATE_CHARACTERS_MAX}` },
    })
  const pairs = labels.map((label) => [text, template.replace('{}', () => label)] as const)
  // Only the text is cut: without its label a hypothesis says nothing.
  const { scores } = await scoreRows(call, pairs, { ...truncation, cutsFirst: true })
  const entailed = scores.map((row) => row[entailment] ?? 0)
  // The label that contradicts is the first, or the last where that is the one of entailment.
  const contradiction = entailment === 0 ? output.labels.length - 1 : 0
  const shares =
    isMultiLabel || labels.length === 1
      ? scores.map((row) => softmax(Float64Array.of(row[contradiction] ?? 0, row[entailment] ?? 0))[1] ?? 0)
      : softmax(Float64Array.from(entailed))
  return labels.map((label, index) => ({ label, score: shares[index] ?? 0 })).sort((a, b) => b.score - a.score)
}
