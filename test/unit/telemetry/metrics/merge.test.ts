import { expect, test } from 'bun:test'
import { countsOf, MetricAggregate, mergeSnapshots } from '../../../../src/telemetry/metrics/merge.ts'
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

function processMetrics(requests: number, memory: number) {
  const made = new MetricRegistry()
  made.counter('requests_total', { help: 'Requests.' }).of().add(requests)
  made.collected('memory_bytes', { type: 'gauge', help: 'Memory.', read: () => [[[], memory]] })
  return made.snapshot()
}

test('the counters of an aggregate never decrease, whichever process ends', () => {
  const aggregate = new MetricAggregate<string>()
  const values = () => Object.fromEntries(aggregate.snapshot([]).map(({ name, samples }) => [name, samples[0]?.value]))
  aggregate.update('a', processMetrics(5, 100))
  aggregate.update('b', processMetrics(7, 100))
  expect(values()).toEqual({ requests_total: 12, memory_bytes: 200 })
  aggregate.update('a', processMetrics(6, 120))
  aggregate.ended('a')
  expect(values()).toEqual({ requests_total: 13, memory_bytes: 100 })
  aggregate.update('a2', processMetrics(1, 50))
  expect(values()).toEqual({ requests_total: 14, memory_bytes: 150 })
  aggregate.ended('b')
  aggregate.ended('a2')
  expect(values()).toEqual({ requests_total: 14 })
})

test('a process that ends without reporting metrics does not change an aggregate', () => {
  const aggregate = new MetricAggregate<string>()
  aggregate.ended('unknown')
  expect(aggregate.snapshot(processMetrics(2, 1)).map(({ name }) => name)).toEqual(['requests_total', 'memory_bytes'])
})
