import { keyOf } from './repository/selection.ts'
import type { BatchStatistics, Duration, ModelStatistics } from './statistics.ts'

const SUMS = ['success', 'fail', 'queue', 'computeInput', 'computeInfer', 'computeOutput', 'cacheHit', 'cacheMiss'] as const

/** What one version of a model has done, without what it does now. */
export type ModelCounts = Pick<
  ModelStatistics,
  (typeof SUMS)[number] | 'model' | 'version' | 'lastInferenceMs' | 'inferenceCount' | 'executionCount' | 'batches'
>

/** What has been counted of each version, of all that is known of it. */
export function countsOf(statistics: readonly ModelStatistics[]): readonly ModelCounts[] {
  return statistics.map((version) => ({
    model: version.model,
    version: version.version,
    lastInferenceMs: version.lastInferenceMs,
    inferenceCount: version.inferenceCount,
    executionCount: version.executionCount,
    batches: version.batches,
    ...sums((name) => version[name]),
  }))
}

/** What several processes have counted, as one: counts are added, and the last inference is the newest. Versions are in the order of the first. */
export function addStatistics(lists: readonly (readonly ModelCounts[])[]): readonly ModelCounts[] {
  const versions = new Map<string, ModelCounts>()
  for (const next of lists.flat()) {
    const key = keyOf(next.model, next.version)
    const known = versions.get(key)
    versions.set(key, known === undefined ? next : added(known, next))
  }
  return [...versions.values()]
}

function added(one: ModelCounts, other: ModelCounts): ModelCounts {
  return {
    ...one,
    lastInferenceMs: Math.max(one.lastInferenceMs, other.lastInferenceMs),
    inferenceCount: one.inferenceCount + other.inferenceCount,
    executionCount: one.executionCount + other.executionCount,
    batches: addBatches(one.batches, other.batches),
    ...sums((name) => addDurations(one[name], other[name])),
  }
}

function sums(read: (name: (typeof SUMS)[number]) => Duration) {
  // The cast: every name is a key.
  return Object.fromEntries(SUMS.map((name) => [name, read(name)])) as Pick<ModelCounts, (typeof SUMS)[number]>
}

function addDurations(one: Duration, other: Duration): Duration {
  return { count: one.count + other.count, ns: one.ns + other.ns }
}

function addBatches(ones: readonly BatchStatistics[], others: readonly BatchStatistics[]): readonly BatchStatistics[] {
  const byRows = new Map(ones.map((batch) => [batch.rows, batch]))
  for (const batch of others) {
    const known = byRows.get(batch.rows)
    byRows.set(batch.rows, known === undefined ? batch : addBatch(known, batch))
  }
  return [...byRows.values()].sort((a, b) => a.rows - b.rows)
}

function addBatch(one: BatchStatistics, other: BatchStatistics): BatchStatistics {
  return {
    rows: one.rows,
    computeInput: addDurations(one.computeInput, other.computeInput),
    computeInfer: addDurations(one.computeInfer, other.computeInfer),
    computeOutput: addDurations(one.computeOutput, other.computeOutput),
  }
}
