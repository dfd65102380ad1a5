import type { FamilySnapshot, GaugeMerge, Sample } from './family.ts'

/** The metrics of several processes as one's: counts are added, bucket by bucket, and gauges as each says. */
export function mergeSnapshots(snapshots: readonly (readonly FamilySnapshot[])[]): readonly FamilySnapshot[] {
  const families = new Map<string, { readonly family: FamilySnapshot; readonly samples: Map<string, Sample> }>()
  for (const family of snapshots.flat()) {
    const known = families.get(family.name) ?? { family, samples: new Map<string, Sample>() }
    families.set(family.name, known)
    for (const sample of family.samples) {
      const key = JSON.stringify([sample.suffix, sample.labels])
      const before = known.samples.get(key)
      const value = before === undefined ? sample.value : joined(before.value, sample.value, family.merge)
      known.samples.set(key, { ...sample, value })
    }
  }
  return [...families.values()].map(({ family, samples }) => ({ ...family, samples: [...samples.values()] }))
}

function joined(left: number, right: number, merge: GaugeMerge = 'sum'): number {
  if (merge === 'min') return Math.min(left, right)
  return merge === 'max' ? Math.max(left, right) : left + right
}

/** What still counts of a process that has ended: a counter never goes back, or its reader would take that for a restart of all. */
export function countsOf(snapshot: readonly FamilySnapshot[]): readonly FamilySnapshot[] {
  return snapshot.filter(({ type }) => type !== 'gauge')
}

/** The metrics of several processes, some of which may have ended, as one's. */
export class MetricAggregate<Process> {
  readonly #latest = new Map<Process, readonly FamilySnapshot[]>()
  #ended: readonly FamilySnapshot[] = []

  /** Takes the current metrics of a process. */
  update(process: Process, families: readonly FamilySnapshot[]): void {
    this.#latest.set(process, families)
  }

  /** A process has ended: its last known counts stay in the sums. */
  ended(process: Process): void {
    this.#ended = mergeSnapshots([this.#ended, countsOf(this.#latest.get(process) ?? [])])
    this.#latest.delete(process)
  }

  /** The metrics of all processes, merged with more. */
  snapshot(more: readonly FamilySnapshot[]): readonly FamilySnapshot[] {
    return mergeSnapshots([...this.#latest.values(), this.#ended, more])
  }
}
