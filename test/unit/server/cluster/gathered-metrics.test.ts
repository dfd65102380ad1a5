import { expect, test } from 'bun:test'
import { gatherMetrics } from '../../../../src/server/cluster/gathered-metrics.ts'
import { MetricRegistry } from '../../../../src/telemetry/metrics/registry.ts'

function process(requests: number, memory: number) {
  const registry = new MetricRegistry()
  registry.counter('requests_total', { help: 'Requests.' }).of().add(requests)
  registry.collected('memory_bytes', { type: 'gauge', help: 'Memory.', read: () => [[[], memory]] })
  return registry.snapshot()
}

test('a counter never goes back, whichever process ends', () => {
  const gathered = gatherMetrics<string>()
  const values = () => Object.fromEntries(gathered.read([]).map(({ name, samples }) => [name, samples[0]?.value]))
  gathered.update('a', process(5, 100))
  gathered.update('b', process(7, 100))
  expect(values()).toEqual({ requests_total: 12, memory_bytes: 200 })
  gathered.update('a', process(6, 120))
  gathered.ended('a')
  expect(values()).toEqual({ requests_total: 13, memory_bytes: 100 })
  gathered.update('a2', process(1, 50))
  expect(values()).toEqual({ requests_total: 14, memory_bytes: 150 })
  gathered.ended('b')
  gathered.ended('a2')
  expect(values()).toEqual({ requests_total: 14 })
})

test('a process that ends without a word takes nothing away', () => {
  const gathered = gatherMetrics<string>()
  gathered.ended('never heard of')
  expect(gathered.read(process(2, 1)).map(({ name }) => name)).toEqual(['requests_total', 'memory_bytes'])
})
