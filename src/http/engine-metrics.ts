import type { Engine } from '../inference/engine.ts'
import type { BatchStatistics, ModelStatistics, RejectionReason } from '../inference/statistics.ts'
import type { Sample } from '../telemetry/metrics/family.ts'
import { COUNT_BOUNDS, histogramSamples } from '../telemetry/metrics/histogram.ts'
import type { MetricRegistry, Reading } from '../telemetry/metrics/registry.ts'

type Column = readonly [name: string, type: 'counter' | 'gauge', help: string, read: (row: ModelStatistics) => number]

const US = 1e-3

/** Triton's names, where ours mean the same: dashboards made for it keep working. */
const TRITON: readonly Column[] = [
  ['nv_inference_request_success', 'counter', 'Predictions that were computed.', ({ success }) => success.count],
  ['nv_inference_count', 'counter', 'Rows that were computed.', ({ inferenceCount }) => inferenceCount],
  ['nv_inference_exec_count', 'counter', 'Runs of the model.', ({ executionCount }) => executionCount],
  ['nv_inference_request_duration_us', 'counter', 'Time of all predictions.', ({ success }) => success.ns * US],
  ['nv_inference_queue_duration_us', 'counter', 'Time that predictions waited.', ({ queue }) => queue.ns * US],
  ['nv_inference_compute_input_duration_us', 'counter', 'Time to hand inputs over.', (row) => row.computeInput.ns * US],
  ['nv_inference_compute_infer_duration_us', 'counter', 'Time that models computed.', (row) => row.computeInfer.ns * US],
  ['nv_inference_compute_output_duration_us', 'counter', 'Time to take outputs.', (row) => row.computeOutput.ns * US],
  ['nv_inference_pending_request_count', 'gauge', 'Predictions that wait now.', ({ waiting }) => waiting],
  ['nv_cache_num_hits_per_model', 'counter', 'Predictions answered from the cache.', ({ cacheHit }) => cacheHit.count],
  ['nv_cache_num_misses_per_model', 'counter', 'Predictions not found in the cache.', ({ cacheMiss }) => cacheMiss.count],
  ['nv_cache_hit_duration_per_model', 'counter', 'Time of answers from the cache.', ({ cacheHit }) => cacheHit.ns * US],
  ['nv_cache_miss_duration_per_model', 'counter', 'Time of looking and keeping.', ({ cacheMiss }) => cacheMiss.ns * US],
]

const OURS: readonly Column[] = [
  ['vestal_inference_waiting', 'gauge', 'Predictions that wait now.', ({ waiting }) => waiting],
  ['vestal_inference_running', 'gauge', 'Predictions that are with a worker now.', ({ running }) => running],
  ['vestal_workers_alive', 'gauge', 'Workers that have the model loaded now.', ({ workersAlive }) => workersAlive],
  [
    'vestal_inference_last_timestamp_seconds',
    'gauge',
    'When the model last computed, in seconds since 1970; 0 when it did not.',
    ({ lastInferenceMs }) => lastInferenceMs / 1000,
  ],
]

/** What the cache of a model does; a model without one has no series. */
const CACHE = [
  ['vestal_response_cache_hits_total', 'counter', 'Predictions answered from the cache.', 'hits'],
  ['vestal_response_cache_misses_total', 'counter', 'Predictions not found in the cache.', 'misses'],
  ['vestal_response_cache_evictions_total', 'counter', 'Answers pushed out of the cache by others.', 'evictions'],
  ['vestal_response_cache_entries', 'gauge', 'Answers in the cache.', 'entries'],
  ['vestal_response_cache_bytes', 'gauge', 'Memory of the answers in the cache, with their questions.', 'bytes'],
] as const

const TIMES = [
  ['vestal_inference_queue_seconds', 'Time that a prediction waited before it was computed.', 'queueTimes'],
  ['vestal_inference_compute_seconds', 'Time of one run of the model.', 'computeTimes'],
] as const

/** What is counted by a reason of its own. */
const COUNTS = [
  [
    'vestal_inference_rejected_total',
    'Predictions that were rejected before they were computed.',
    'reason',
    ({ rejected }: ModelStatistics) => rejected,
  ],
  [
    'vestal_inference_tokens_total',
    'Lengths of inputs that may be padded, and of their padding to the longest of a run, in elements.',
    'kind',
    ({ tokens }: ModelStatistics): Readonly<Record<string, number>> => tokens ?? {},
  ],
  [
    'vestal_model_instance_ends_total',
    'Worker processes that ended by themselves, or were killed for a limit, by the signal, exit code or limit.',
    'cause',
    ({ ends }: ModelStatistics) => ends,
  ],
] as const

/** How Triton sorts failures. */
const TRITON_REASONS: Readonly<Record<RejectionReason, string>> = {
  'queue-full': 'REJECTED',
  'subject-limit': 'REJECTED',
  'subject-bytes': 'REJECTED',
  timeout: 'REJECTED',
  stopping: 'REJECTED',
  aborted: 'CANCELED',
  'worker-lost': 'OTHER',
}

/** Turns the engine's counts into series at each scrape: a prediction pays nothing for them. */
export function collectEngine(registry: MetricRegistry, engine: Engine): void {
  const labels = ['model', 'version']
  for (const [name, type, help, read] of [...TRITON, ...OURS]) {
    registry.collected(name, {
      type,
      help,
      labels,
      read: () => engine.statistics().map((row): Reading => [[row.model, row.version], read(row)]),
    })
  }
  for (const [name, type, help, key] of CACHE) {
    const read = ({ model, version, cache }: ModelStatistics): readonly Reading[] =>
      cache === undefined ? [] : [[[model, version], cache[key]]]
    registry.collected(name, { type, help, labels, read: () => engine.statistics().flatMap(read) })
  }
  for (const [name, help, key] of TIMES) {
    const samples = (row: ModelStatistics) => histogramSamples(row[key], { model: row.model, version: row.version })
    registry.snapshotted(name, () => ({ type: 'histogram', help, samples: engine.statistics().flatMap(samples) }))
  }
  registry.collected('nv_inference_request_failure', {
    type: 'counter',
    help: 'Predictions that came to nothing.',
    labels: [...labels, 'reason'],
    read: () => engine.statistics().flatMap(tritonFailures),
  })
  for (const [name, help, label, counts] of COUNTS) {
    const read = (row: ModelStatistics) =>
      Object.entries(counts(row)).map(([key, count]): Reading => [[row.model, row.version, key], count])
    registry.collected(name, {
      type: 'counter',
      help,
      labels: [...labels, label],
      read: () => engine.statistics().flatMap(read),
    })
  }
  registry.snapshotted('vestal_inference_batch_rows', () => ({
    type: 'histogram',
    help: 'Rows that were computed in one run.',
    samples: engine.statistics().flatMap(batchSamples),
  }))
}

function tritonFailures({ model, version, fail, rejected }: ModelStatistics): readonly Reading[] {
  const counts = new Map([
    ['BACKEND', fail.count],
    ['REJECTED', 0],
    ['CANCELED', 0],
    ['OTHER', 0],
  ])
  // The cast: the record's keys are its type's.
  for (const [reason, count] of Object.entries(rejected) as [RejectionReason, number][]) {
    const name = TRITON_REASONS[reason] ?? 'OTHER'
    counts.set(name, (counts.get(name) ?? 0) + count)
  }
  return [...counts].map(([reason, count]) => [[model, version, reason], count])
}

/** Runs of a size that the engine does not distinguish are only in the last bucket. */
function batchSamples({ model, version, batches, executionCount, inferenceCount }: ModelStatistics): readonly Sample[] {
  const labels = { model, version }
  const upTo = (bound: number) => batches.filter(({ rows }) => rows <= bound).reduce((sum, batch) => sum + runsOf(batch), 0)
  return [
    ...COUNT_BOUNDS.map((bound): Sample => ({ suffix: '_bucket', labels: { ...labels, le: String(bound) }, value: upTo(bound) })),
    { suffix: '_bucket', labels: { ...labels, le: '+Inf' }, value: executionCount },
    { suffix: '_sum', labels, value: inferenceCount },
    { suffix: '_count', labels, value: executionCount },
  ]
}

function runsOf({ computeInfer }: BatchStatistics): number {
  return computeInfer.count
}
