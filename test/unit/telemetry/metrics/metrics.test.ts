import { describe, expect, test } from 'bun:test'
import { exposition } from '../../../../src/telemetry/metrics/exposition.ts'
import { MetricRegistry } from '../../../../src/telemetry/metrics/registry.ts'

const textOf = (registry: MetricRegistry) => exposition(registry.snapshot())

describe('the exposition', () => {
  test('of a counter has its help, its type and one line a series', () => {
    const registry = new MetricRegistry()
    const counter = registry.counter('hits_total', { help: 'Hits.', labels: ['route', 'status'] })
    counter.of('/a', 200).add()
    counter.of('/a', 200).add(2)
    counter.of('/a', 404).add()
    expect(textOf(registry)).toBe(
      '# HELP hits_total Hits.\n# TYPE hits_total counter\nhits_total{route="/a",status="200"} 3\nhits_total{route="/a",status="404"} 1\n',
    )
  })

  test('of a metric without labels has its zero from the start', () => {
    const registry = new MetricRegistry()
    registry.counter('hits_total', { help: 'Hits.' })
    expect(textOf(registry)).toContain('\nhits_total 0\n')
  })

  test('of a histogram adds its buckets up, a bound included, and has a sum and a count', () => {
    const registry = new MetricRegistry()
    const histogram = registry.histogram('t_seconds', { help: 'Time.', bounds: [0.1, 1] })
    for (const value of [0.1, 0.5, 1, 7]) histogram.of().observe(value)
    expect(textOf(registry).split('\n').slice(2)).toEqual([
      't_seconds_bucket{le="0.1"} 1',
      't_seconds_bucket{le="1"} 3',
      't_seconds_bucket{le="+Inf"} 4',
      't_seconds_sum 8.6',
      't_seconds_count 4',
      '',
    ])
  })

  test('escapes what would end a value, a line or a text', () => {
    const registry = new MetricRegistry()
    registry
      .counter('a_total', { help: 'One\\two\nthree', labels: ['x'] })
      .of('"quoted"\\\n')
      .add()
    expect(textOf(registry)).toBe(
      '# HELP a_total One\\\\two\\nthree\n# TYPE a_total counter\na_total{x="\\"quoted\\"\\\\\\n"} 1\n',
    )
  })

  test('reads collected metrics when it is asked, and only then', () => {
    const registry = new MetricRegistry()
    let asked = 0
    const next = () => {
      asked += 1
      return asked
    }
    registry.collected('g', { type: 'gauge', help: 'Asked.', read: () => [[[], next()]] })
    expect(asked).toBe(0)
    expect(textOf(registry)).toContain('\ng 1\n')
    expect(textOf(registry)).toContain('\ng 2\n')
  })

  test('writes what has no number as Prometheus reads it', () => {
    const registry = new MetricRegistry()
    const values = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN]
    registry.collected('g', {
      type: 'gauge',
      help: '.',
      labels: ['i'],
      read: () => values.map((value, index) => [[index], value]),
    })
    expect(
      textOf(registry)
        .match(/ (\S+)$/gm)
        ?.slice(-3),
    ).toEqual([' +Inf', ' -Inf', ' NaN'])
  })
})

describe('a family', () => {
  test('keeps its series bounded: what comes after the limit shares one, and no count is lost', () => {
    const registry = new MetricRegistry()
    const counter = registry.counter('a_total', { help: '.', labels: ['x', 'y'], seriesMax: 3 })
    for (let index = 0; index < 10_000; index += 1) counter.of(`x${index}`, index % 2).add()
    const lines = textOf(registry)
      .split('\n')
      .filter((line) => line.startsWith('a_total'))
    expect(lines).toEqual([
      'a_total{x="x0",y="0"} 1',
      'a_total{x="x1",y="1"} 1',
      'a_total{x="x2",y="0"} 1',
      'a_total{x="other",y="other"} 9997',
    ])
  })

  test('rejects values that do not fit its labels', () => {
    const counter = new MetricRegistry().counter('a_total', { help: '.', labels: ['x'] })
    expect(() => counter.of()).toThrow(TypeError)
    expect(() => counter.of('a', 'b')).toThrow(TypeError)
  })

  test('gives the same series for the same values', () => {
    const counter = new MetricRegistry().counter('a_total', { help: '.', labels: ['x'] })
    expect(counter.of('a')).toBe(counter.of('a'))
    expect(counter.of('a')).not.toBe(counter.of('b'))
  })
})

test('a registry rejects a name twice, and a name that Prometheus would not read', () => {
  const registry = new MetricRegistry()
  registry.counter('a_total', { help: '.' })
  expect(() => registry.counter('a_total', { help: '.' })).toThrow('registered once')
  expect(() => registry.counter('A-b', { help: '.' })).toThrow('is a name')
})
