import { describe, expect, test } from 'bun:test'
import type { Span } from '../../../../src/telemetry/tracing/span.ts'
import { createSpanExporter, type SpanExporterOptions } from '../../../../src/telemetry/tracing/span-exporter.ts'
import { Collector } from '../../../support/collector.ts'
import { until } from '../../../support/until.ts'

const SPAN: Span = {
  name: 'GET /models/',
  kind: 'server',
  traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
  spanId: '00f067aa0ba902b7',
  parentId: undefined,
  traceState: undefined,
  startMs: 1_795_519_112_507.25,
  endMs: 1_795_519_112_509.5,
  attributes: { 'http.route': '/models/', 'http.response.status_code': 200, ratio: 0.5, absent: undefined },
  hasFailed: false,
}

function setUp(url: string, options: Partial<SpanExporterOptions> = {}) {
  const warnings: string[] = []
  const clock = { ms: 0 }
  const exporter = createSpanExporter({
    url: `${url}/v1/traces`,
    resource: { 'service.name': 'vestal' },
    version: '1.2.3',
    warn: (message) => warnings.push(message),
    gatherMs: 5,
    retryMs: 5,
    timeoutMs: 20_000,
    now: () => clock.ms,
    ...options,
  })
  return { exporter, warnings, clock }
}

describe('spans', () => {
  test('are sent together, as OTLP has them in JSON', async () => {
    using collector = new Collector()
    const { exporter, warnings } = setUp(collector.url, { headers: { 'api-key': 'k' } })
    exporter.add(SPAN)
    exporter.add({ ...SPAN, kind: 'internal', parentId: SPAN.spanId, traceState: 'a=1', hasFailed: true, endMs: 0 })
    await until(() => exporter.statistics.sent === 2)
    expect([collector.requests, collector.headers[0]?.get('api-key'), collector.headers[0]?.get('content-type')]).toEqual([
      1,
      'k',
      'application/json',
    ])
    expect(JSON.parse(collector.bodies[0] ?? '')).toEqual({
      resourceSpans: [
        {
          resource: { attributes: [{ key: 'service.name', value: { stringValue: 'vestal' } }] },
          scopeSpans: [
            {
              scope: { name: 'vestal', version: '1.2.3' },
              spans: [
                {
                  traceId: SPAN.traceId,
                  spanId: SPAN.spanId,
                  name: 'GET /models/',
                  kind: 2,
                  startTimeUnixNano: '1795519112507250000',
                  endTimeUnixNano: '1795519112509500000',
                  attributes: [
                    { key: 'http.route', value: { stringValue: '/models/' } },
                    { key: 'http.response.status_code', value: { intValue: '200' } },
                    { key: 'ratio', value: { doubleValue: 0.5 } },
                  ],
                  status: {},
                },
                expect.objectContaining({
                  parentSpanId: SPAN.spanId,
                  traceState: 'a=1',
                  kind: 1,
                  // It does not end before it begins.
                  endTimeUnixNano: '1795519112507250000',
                  status: { code: 2 },
                }),
              ],
            },
          ],
        },
      ],
    })
    expect([exporter.statistics, warnings]).toEqual([{ sent: 2, dropped: 0, waiting: 0 }, []])
  })

  test('are sent again after a 503, in the same batch, and not after a 400', async () => {
    using collector = new Collector(503, 429, 200, 400)
    const { exporter, warnings } = setUp(collector.url)
    exporter.add(SPAN)
    await until(() => exporter.statistics.sent === 1)
    expect([collector.requests, new Set(collector.bodies).size, warnings]).toEqual([3, 1, []])
    exporter.add(SPAN)
    await until(() => exporter.statistics.dropped === 1)
    expect([collector.requests, warnings]).toEqual([4, ['spans are lost (1 up to now): the collector answers 400']])
  })

  test('are given up after four times, told of once a minute, and those that come later are sent', async () => {
    using collector = new Collector(503, 503, 503, 503, 503, 503, 503, 503, 200)
    const { exporter, warnings, clock } = setUp(collector.url)
    for (const dropped of [1, 2]) {
      exporter.add(SPAN)
      await until(() => exporter.statistics.dropped === dropped)
    }
    expect(warnings).toEqual(['spans are lost (1 up to now): the collector answers 503'])
    exporter.add(SPAN)
    await until(() => exporter.statistics.sent === 1)
    clock.ms += 60_000
    collector.answers.splice(0, 9, 400)
    exporter.add(SPAN)
    await until(() => warnings.length === 2)
    expect(warnings[1]).toBe('spans are lost (3 up to now): the collector answers 400')
  })

  test('that are more than wait are dropped and counted, while the collector hangs; no one waits', async () => {
    using collector = new Collector('hang')
    const { exporter, warnings } = setUp(collector.url, { queueMax: 10, batchMax: 4 })
    for (let index = 0; index < 4; index += 1) exporter.add(SPAN)
    await until(() => collector.requests === 1)
    for (let index = 0; index < 1000; index += 1) exporter.add(SPAN)
    expect(exporter.statistics).toEqual({ sent: 0, dropped: 990, waiting: 10 })
    expect(warnings).toEqual(['spans are lost (1 up to now): more come than can be sent'])
    await exporter.stop(50)
    expect(exporter.statistics).toEqual({ sent: 0, dropped: 1004, waiting: 0 })
  })

  test('are sent again to a collector that does not answer in time', async () => {
    using collector = new Collector('hang', 200)
    const { exporter } = setUp(collector.url, { timeoutMs: 300 })
    exporter.add(SPAN)
    await until(() => exporter.statistics.sent === 1)
    expect(collector.spans.length).toBeGreaterThan(0)
  })

  test('are lost where no one listens, and the address is not told', async () => {
    // Nothing listens on the port of discard.
    const { exporter, warnings } = setUp('http://127.0.0.1:9')
    exporter.add(SPAN)
    await until(() => exporter.statistics.dropped === 1)
    expect(warnings).toEqual(['spans are lost (1 up to now): the collector cannot be reached, or does not answer in time'])
  })

  test('are not sent where a redirect leads', async () => {
    using target = new Collector()
    using redirecting = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      fetch: () => new Response(null, { status: 307, headers: { location: `${target.url}/v1/traces` } }),
    }) as Bun.Server<undefined> & Disposable
    const { exporter } = setUp(`http://127.0.0.1:${redirecting.port}`)
    exporter.add(SPAN)
    await until(() => exporter.statistics.dropped === 1)
    expect(target.requests).toBe(0)
  })

  test('that wait are sent at the end, at once and whatever their number', async () => {
    using collector = new Collector()
    const { exporter } = setUp(collector.url, { gatherMs: 3_600_000, batchMax: 100 })
    for (let index = 0; index < 99; index += 1) exporter.add(SPAN)
    expect(collector.requests).toBe(0)
    await exporter.stop(20_000)
    expect([collector.spans.length, exporter.statistics]).toEqual([99, { sent: 99, dropped: 0, waiting: 0 }])
  })

  test('are tried once at the end, where the collector is not there', async () => {
    using collector = new Collector(503)
    const { exporter } = setUp(collector.url, { gatherMs: 3_600_000, retryMs: 3_600_000 })
    exporter.add(SPAN)
    await exporter.stop(20_000)
    expect([collector.requests, exporter.statistics.dropped]).toEqual([1, 1])
  })
})
