import type { FamilySnapshot } from '../../telemetry/metrics/family.ts'
import { countsOf, type GaugeRules, mergeSnapshots } from '../../telemetry/metrics/merge.ts'

/** Gauges of which a sum says nothing. */
const RULES: GaugeRules = new Map([
  ['vestal_build_info', 'greatest'],
  ['vestal_ready', 'least'],
  ['vestal_model_ready', 'least'],
  ['vestal_remote_keys', 'least'],
  ['vestal_shared_limits_reachable', 'least'],
  ['vestal_remote_key_age_seconds', 'greatest'],
  ['process_start_time_seconds', 'least'],
])

/** What several processes count, as one. */
export interface GatheredMetrics<Process> {
  /** What a process has counted up to now. */
  update(process: Process, families: readonly FamilySnapshot[]): void
  /** A process has ended: what it counted goes on counting, as far as it was told. */
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
      past = mergeSnapshots([past, countsOf(latest.get(process) ?? [])], RULES)
      latest.delete(process)
    },
    read: (more) => mergeSnapshots([...latest.values(), past, more], RULES),
  }
}
