/** Upper bounds for durations in seconds, from half a millisecond to half a minute. */
export const SECONDS_BOUNDS: readonly number[] = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
]

/** How often values fell under each bound, and their sum, at one moment. */
export interface DistributionSnapshot {
  readonly bounds: readonly number[]
  /** Values up to each bound and over the one before it; the last, for those over every bound, has no bound. */
  readonly counts: readonly number[]
  readonly sum: number
}

/** Counts values by the bounds that they fall under. */
export class Distribution {
  readonly #bounds: readonly number[]
  readonly #counts: Float64Array
  #sum = 0

  /** @param bounds upper bounds, ascending; the last bucket, without a bound, is added here */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds
    this.#counts = new Float64Array(bounds.length + 1)
  }

  observe(value: number): void {
    const bounds = this.#bounds
    let index = 0
    while (index < bounds.length && value > (bounds[index] ?? 0)) index += 1
    this.#counts[index] = (this.#counts[index] ?? 0) + 1
    this.#sum += value
  }

  snapshot(): DistributionSnapshot {
    return { bounds: this.#bounds, counts: [...this.#counts], sum: this.#sum }
  }
}
