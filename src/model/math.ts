/** Numbers in any list or typed array. */
export interface NumberList extends Iterable<number> {
  readonly length: number
  readonly [index: number]: number
}

/** A label with its score. */
export interface Scored {
  readonly label: string
  readonly score: number
}

/** What is often computed with the outputs of a model. */
export const math = {
  /** Scores that are positive and sum to 1. */
  softmax(values: NumberList): Float64Array {
    let largest = Number.NEGATIVE_INFINITY
    for (const value of values) largest = Math.max(largest, value)
    const made = Float64Array.from(values, (value) => Math.exp(value - largest))
    let sum = 0
    for (const value of made) sum += value
    return made.map((value) => value / sum)
  },
  /** Each value between 0 and 1, by itself. */
  sigmoid(values: NumberList): Float64Array {
    return Float64Array.from(values, (value) => 1 / (1 + Math.exp(-value)))
  },
  /** The place of the largest value; -1 of none. */
  argmax(values: NumberList): number {
    let best = -1
    for (let index = 0; index < values.length; index += 1)
      if (best === -1 || (values[index] ?? Number.NaN) > (values[best] ?? Number.NaN)) best = index
    return best
  },
  /**
   * The label of the largest score.
   * @throws RangeError where there are not as many labels as scores
   */
  best(scores: NumberList, labels: readonly string[]): Scored {
    if (scores.length !== labels.length || labels.length === 0)
      throw new RangeError(`there are ${scores.length} scores and ${labels.length} labels`)
    const index = math.argmax(scores)
    return { label: labels[index] ?? '', score: scores[index] ?? Number.NaN }
  },
} as const
