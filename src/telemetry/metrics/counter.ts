import type { LabelValue, Sample, Series } from './family.ts'

/** A number that only grows. */
export class Counter implements Series {
  #value = 0

  add(amount = 1): void {
    this.#value += amount
  }

  samples(labels: Readonly<Record<string, LabelValue>>): readonly Sample[] {
    return [{ labels, value: this.#value }]
  }
}
