import { VestalError } from '../core/errors.ts'
import type { NamedTensors } from '../tensor/tensor.ts'
import type { ScoreOutput } from './task.ts'

/** How raw scores become those that are answered. */
export type Activation = ScoreOutput['activation']

/** A label and its score. */
export interface LabelScore {
  readonly label: string
  readonly score: number
}

/**
 * The scores of one row as the model gives them, one for each label.
 * @throws VestalError INFERENCE_FAILED where the output is not there, is no floating-point numbers, or has another number of them
 */
export function scoresIn(results: NamedTensors, { output, labels }: ScoreOutput): Float64Array {
  const tensor = results.get(output)
  if (tensor?.datatype.startsWith('FP') && tensor.data.length === labels.length)
    // The cast: these datatypes are arrays of numbers.
    return Float64Array.from(tensor.data as Float32Array)
  const got = tensor === undefined ? 'missing' : `${tensor.datatype} [${tensor.shape}]`
  throw new VestalError('INFERENCE_FAILED', {
    detail: `The output "${output}" of the model is ${got}; its task needs ${labels.length} floating-point numbers, one for each label`,
  })
}

/** Scores after their activation. */
export function activated(scores: Float64Array, activation: Activation): Float64Array {
  if (activation === 'sigmoid') return scores.map((score) => 1 / (1 + Math.exp(-score)))
  return activation === 'softmax' ? softmax(scores) : scores
}

/** The greatest is subtracted first: large scores would become infinite. */
export function softmax(scores: Float64Array): Float64Array {
  const most = scores.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
  const powers = scores.map((score) => Math.exp(score - most))
  const sum = powers.reduce((a, b) => a + b, 0)
  return powers.map((power) => power / sum)
}

/** Labels with their scores, best first. */
export function bestFirst(labels: readonly string[], scores: ArrayLike<number>): readonly LabelScore[] {
  return labels.map((label, index) => ({ label, score: scores[index] ?? 0 })).sort((a, b) => b.score - a.score)
}
