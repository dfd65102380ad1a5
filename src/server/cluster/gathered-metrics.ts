import type { FamilySnapshot } from '../../telemetry/metrics/family.ts'
import { countsOf, mergeSnapshots } from '../../telemetry/metrics/merge.ts'

/** What several processes count, as one. */
export interface GatheredMetrics<Process> {
  /** What a process has counted up to now. */
  update(process: Process, families: readonly FamilySnapshot[]): void
  /** A process has ended: its last known counts stay in the sums. */
  ended(process: Process): void
  /** Of all processes, and of more beside them. */
  read(more: readonly FamilySnapshot[]): readonly FamilySnapshot[]
}

/** Prepares gathering. */
export function gatherMetrics<Process>(): GatheredMetrics<Process> {
  const latest = new Map<Process, readonly FamilySnapshot[]>()
  let past: readonly FamilySnapshot[] = []
  return {
    update: (process, families) => void latest.set(process, families),
    ended(process) {
      past = mergeSnapshots([past, countsOf(latest.get(process) ?? [])])
      latest.delete(process)
    },
    read: (more) => mergeSnapshots([...latest.values(), past, more]),
  }
}
