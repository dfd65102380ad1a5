/** One value of a label; numbers are for statuses. */
export type LabelValue = string | number

/** One line of the exposition: what follows the family's name, the labels with their values, and the value. */
export interface Sample {
  readonly suffix?: '_bucket' | '_sum' | '_count'
  readonly labels: Readonly<Record<string, LabelValue>>
  readonly value: number
}

export type MetricType = 'counter' | 'gauge' | 'histogram'

/** How the values that several processes have for one gauge become one: their sum by default. */
export type GaugeMerge = 'sum' | 'min' | 'max'

/** A metric with all its series at one moment: plain data, which can be sent to another process and added up there. */
export interface FamilySnapshot {
  readonly name: string
  readonly type: MetricType
  readonly help: string
  readonly merge?: GaugeMerge
  readonly samples: readonly Sample[]
}

/** What a family keeps for one combination of label values. */
export interface Series {
  samples(labels: Readonly<Record<string, LabelValue>>): readonly Sample[]
}

export interface FamilyOptions<S extends Series> {
  readonly labels: readonly string[]
  /** Combinations of label values that are kept apart; default 1000. */
  readonly seriesMax?: number
  readonly create: () => S
}

/** The value of every label of the series that takes what came after the limit. */
const OVERFLOW = 'other'
const SERIES_MAX = 1000

type Branch<S> = Map<LabelValue, Branch<S> | S>

/**
 * The series of a metric by their label values. Their number is bounded: what comes after the limit is counted in one series whose
 * labels say `other`, so that no sum is wrong and no caller can fill the memory.
 */
export class Family<S extends Series> {
  readonly #options: Required<FamilyOptions<S>>
  readonly #root: Branch<S> = new Map()
  readonly #all: (readonly [labels: Readonly<Record<string, LabelValue>>, series: S])[] = []
  #overflow: S | undefined

  constructor(options: FamilyOptions<S>) {
    this.#options = { seriesMax: SERIES_MAX, ...options }
    if (options.labels.length === 0) this.#add([])
  }

  /** The series of these values, given in the order of the labels. A caller on a hot path may keep it. */
  of(...values: readonly LabelValue[]): S {
    if (values.length === 0) return this.#all[0]?.[1] ?? this.#add(values)
    // The casts: a branch is as deep as there are labels, so the last step meets a series and the others meet branches.
    let branch: Branch<S> | undefined = this.#root
    const last = values.length - 1
    for (let index = 0; index < last && branch !== undefined; index += 1) {
      branch = branch.get(values[index] ?? '') as Branch<S> | undefined
    }
    return (branch?.get(values[last] ?? '') as S | undefined) ?? this.#add(values)
  }

  samples(): readonly Sample[] {
    return this.#all.flatMap(([labels, series]) => series.samples(labels))
  }

  #add(values: readonly LabelValue[]): S {
    const { labels, seriesMax, create } = this.#options
    if (values.length !== labels.length) throw new TypeError(`this metric has the labels ${labels.join(', ')}`)
    if (this.#all.length >= seriesMax) return this.#overflowing()
    const series = create()
    this.#all.push([Object.fromEntries(labels.map((label, index) => [label, values[index] ?? ''])), series])
    let branch = this.#root
    for (const [index, value] of values.entries()) {
      if (index === values.length - 1) branch.set(value, series)
      else {
        const next = (branch.get(value) as Branch<S> | undefined) ?? new Map()
        branch.set(value, next)
        branch = next
      }
    }
    return series
  }

  #overflowing(): S {
    if (this.#overflow !== undefined) return this.#overflow
    const series = this.#options.create()
    this.#overflow = series
    this.#all.push([Object.fromEntries(this.#options.labels.map((label) => [label, OVERFLOW])), series])
    return series
  }
}
