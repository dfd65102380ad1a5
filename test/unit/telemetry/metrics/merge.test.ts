import { expect, test } from 'bun:test'
import { countsOf, mergeSnapshots } from '../../../../src/telemetry/metrics/merge.ts'
import { MetricRegistry } from '../../../../src/telemetry/metrics/registry.ts'

function registry(requests: Readonly<Record<string, number>>, memory: number, durations: readonly number[]): MetricRegistry {
  const made = new MetricRegistry()
  const counter = made.counter('requests_total', { help: 'Requests.', labels: ['status'] })
  for (const [status, count] of Object.entries(requests)) counter.of(status).add(count)
  made.collected('memory_bytes', { type: 'gauge', help: 'Memory.', read: () => [[[], memory]] })
  made.collected('age_seconds', { type: 'gauge', help: 'Age.', read: () => [[[], memory]] })
  const histogram = made.histogram('seconds', { help: 'Durations.', bounds: [1, 2] })
  for (const duration of durations) histogram.of().observe(duration)
  return made
}

test('counts of several processes are added, series by series and bucket by bucket, and gauges by their rules', () => {
  const one = registry({ '200': 3, '404': 1 }, 10, [0.5, 1.5]).snapshot()
  const two = registry({ '200': 4, '503': 2 }, 7, [5]).snapshot()
  const merged = mergeSnapshots([one, two], new Map([['age_seconds', 'greatest'] as const]))
  expect(merged.map(({ name, type, samples }) => [name, type, samples])).toEqual([
    [
      'requests_total',
      'counter',
      [
        { labels: { status: '200' }, value: 7 },
        { labels: { status: '404' }, value: 1 },
        { labels: { status: '503' }, value: 2 },
      ],
    ],
    ['memory_bytes', 'gauge', [{ labels: {}, value: 17 }]],
    ['age_seconds', 'gauge', [{ labels: {}, value: 10 }]],
    [
      'seconds',
      'histogram',
      [
        { suffix: '_bucket', labels: { le: '1' }, value: 1 },
        { suffix: '_bucket', labels: { le: '2' }, value: 2 },
        { suffix: '_bucket', labels: { le: '+Inf' }, value: 3 },
        { suffix: '_sum', labels: {}, value: 7 },
        { suffix: '_count', labels: {}, value: 3 },
      ],
    ],
  ])
})

test('the least of a gauge is told where the rule asks for it', () => {
  const snapshots = [registry({}, 10, []).snapshot(), registry({}, 7, []).snapshot()]
  const merged = mergeSnapshots(snapshots, new Map([['memory_bytes', 'least'] as const]))
  expect(merged.find(({ name }) => name === 'memory_bytes')?.samples).toEqual([{ labels: {}, value: 7 }])
})

test('one process alone is what it was', () => {
  const one = registry({ '200': 3 }, 10, [0.5]).snapshot()
  expect(mergeSnapshots([one], new Map())).toEqual(one)
})

test('of a process that has ended counts count, and gauges do not', () => {
  expect(countsOf(registry({ '200': 3 }, 10, []).snapshot()).map(({ name }) => name)).toEqual(['requests_total', 'seconds'])
})
