import { addStatistics, type ModelCounts } from '../../engine/added-statistics.ts'
import { keyOf } from '../../engine/repository/selection.ts'

/** What the models of several processes have done, as one. */
export interface GatheredStatistics<Process> {
  /** What those of a process have done up to now. */
  update(process: Process, statistics: readonly ModelCounts[]): void
  /** A process has ended: what it counted goes on counting, as far as it was told. */
  ended(process: Process): void
  /** Of each version that a process has. */
  read(): readonly ModelCounts[]
}

/** Prepares gathering. */
export function gatherStatistics<Process>(): GatheredStatistics<Process> {
  const latest = new Map<Process, readonly ModelCounts[]>()
  let past: readonly ModelCounts[] = []
  return {
    update: (process, statistics) => void latest.set(process, statistics),
    ended(process) {
      past = addStatistics([past, latest.get(process) ?? []])
      latest.delete(process)
    },
    read() {
      const now = addStatistics([...latest.values()])
      const has = new Set(now.map(({ model, version }) => keyOf(model, version)))
      return addStatistics([now, past.filter(({ model, version }) => has.has(keyOf(model, version)))])
    },
  }
}
