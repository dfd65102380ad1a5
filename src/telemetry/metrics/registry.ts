import { invariant } from '../../core/invariant.ts'
import { Counter } from './counter.ts'
import { Family, type FamilySnapshot, type GaugeMerge, type LabelValue, type MetricType } from './family.ts'
import { Histogram } from './histogram.ts'

export interface MetricOptions {
  readonly help: string
  readonly labels?: readonly string[]
  /** Combinations of label values that are kept apart; default 1000. */
  readonly seriesMax?: number
}

/** A series whose value is read when it is asked for: its label values in order, and the value. */
export type Reading = readonly [labels: readonly LabelValue[], value: number]

export interface CollectedOptions extends Omit<MetricOptions, 'seriesMax'> {
  readonly type: Exclude<MetricType, 'histogram'>
  /** How the values of several processes become one, for a gauge; default their sum. */
  readonly merge?: GaugeMerge
  readonly read: () => Iterable<Reading>
}

const NAME = /^[a-z][a-z0-9_]*$/

/** The metrics of a process: made once at the start, updated by events, read by a scrape. */
export class MetricRegistry {
  readonly #families = new Map<string, () => FamilySnapshot>()

  counter(name: string, options: MetricOptions): Family<Counter> {
    const family = new Family({ ...options, labels: options.labels ?? [], create: () => new Counter() })
    this.#register(name, () => ({ name, type: 'counter', help: options.help, samples: family.samples() }))
    return family
  }

  histogram(name: string, { bounds, ...options }: MetricOptions & { readonly bounds: readonly number[] }): Family<Histogram> {
    const family = new Family({ ...options, labels: options.labels ?? [], create: () => new Histogram(bounds) })
    this.#register(name, () => ({ name, type: 'histogram', help: options.help, samples: family.samples() }))
    return family
  }

  /** A metric that is counted elsewhere: it costs nothing until it is scraped. */
  collected(name: string, { type, help, merge, labels = [], read }: CollectedOptions): void {
    const samples = () =>
      [...read()].map(([values, value]) => ({
        labels: Object.fromEntries(labels.map((label, index) => [label, values[index] ?? ''])),
        value,
      }))
    this.#register(name, () => ({ name, type, help, ...(merge !== undefined && { merge }), samples: samples() }))
  }

  /** Adds a metric that gives its own snapshot, such as a histogram that a worker counts. */
  snapshotted(name: string, snapshot: () => Omit<FamilySnapshot, 'name'>): void {
    this.#register(name, () => ({ name, ...snapshot() }))
  }

  snapshot(): readonly FamilySnapshot[] {
    return [...this.#families.values()].map((read) => read())
  }

  #register(name: string, read: () => FamilySnapshot): void {
    invariant(NAME.test(name), `${name} is a name for a metric`)
    invariant(!this.#families.has(name), `${name} is registered once`)
    this.#families.set(name, read)
  }
}
