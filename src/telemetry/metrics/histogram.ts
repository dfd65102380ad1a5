import { Distribution, type DistributionSnapshot } from '../../core/distribution.ts'
import type { LabelValue, Sample, Series } from './family.ts'

/** Upper bounds for counts of rows or requests, in powers of two. */
export const COUNT_BOUNDS: readonly number[] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]

/** How often values fell under each of some bounds, and their sum. */
export class Histogram implements Series {
  readonly #values: Distribution

  /** @param bounds upper bounds, ascending; the last bucket, without a bound, is added here */
  constructor(bounds: readonly number[]) {
    this.#values = new Distribution(bounds)
  }

  observe(value: number): void {
    this.#values.observe(value)
  }

  samples(labels: Readonly<Record<string, LabelValue>>): readonly Sample[] {
    return histogramSamples(this.#values.snapshot(), labels)
  }
}

/** The lines of a histogram whose values are counted elsewhere. */
export function histogramSamples(
  { bounds, counts, sum }: DistributionSnapshot,
  labels: Readonly<Record<string, LabelValue>>,
): readonly Sample[] {
  let count = 0
  const buckets = counts.map((value, index): Sample => {
    count += value
    const bound = bounds[index]
    return { suffix: '_bucket', labels: { ...labels, le: bound === undefined ? '+Inf' : String(bound) }, value: count }
  })
  return [...buckets, { suffix: '_sum', labels, value: sum }, { suffix: '_count', labels, value: count }]
}
