import { expect, test } from 'bun:test'
import { countsOf, mergeSnapshots } from '../../../../src/telemetry/metrics/merge.ts'
import { MetricRegistry } from '../../../../src/telemetry/metrics/registry.ts'

function registry(requests: Readonly<Record<string, number>>, memory: number, durations: readonly number[]): MetricRegistry {
  const made = new MetricRegistry()
  const counter = made.counter('requests_total', { help: 'Requests.', labels: ['status'] })
  for (const [status, count] of Object.entries(requests)) counter.of(status).add(count)
  made.collected('memory_bytes', { type: 'gauge', help: 'Memory.', read: () => [[[], memory]] })
  made.collected('ready', { type: 'gauge', merge: 'min', help: 'Ready.', read: () => [[[], memory]] })
  made.collected('age_seconds', { type: 'gauge', merge: 'max', help: 'Age.', read: () => [[[], memory]] })
  const histogram = made.histogram('seconds', { help: 'Durations.', bounds: [1, 2] })
  for (const duration of durations) histogram.of().observe(duration)
  return made
}

test('counts of several processes are added, series by series and bucket by bucket, and gauges as each says', () => {
  const one = registry({ '200': 3, '404': 1 }, 10, [0.5, 1.5]).snapshot()
  const two = registry({ '200': 4, '503': 2 }, 7, [5]).snapshot()
  const merged = mergeSnapshots([one, two])
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
    ['ready', 'gauge', [{ labels: {}, value: 7 }]],
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

test('a single process keeps its values', () => {
  const one = registry({ '200': 3 }, 10, [0.5]).snapshot()
  expect(mergeSnapshots([one])).toEqual(one)
})

test('of a process that has ended counts count, and gauges do not', () => {
  expect(countsOf(registry({ '200': 3 }, 10, []).snapshot()).map(({ name }) => name)).toEqual(['requests_total', 'seconds'])
})
