import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Collector } from '../support/collector.ts'
import { Workplace } from '../support/command-line.ts'
import { until } from '../support/until.ts'

const SRC = join(import.meta.dir, '../../src')

test('vestal start sends its spans to the collector of OpenTelemetry’s own variables, the last of them when it ends', async () => {
  using collector = new Collector()
  using place = new Workplace()
  const { base, child, rest } = await place.start([], {
    OTEL_EXPORTER_OTLP_ENDPOINT: `${collector.url}/`,
    OTEL_EXPORTER_OTLP_HEADERS: 'api-key=one-two,x-other=3',
    OTEL_SERVICE_NAME: 'models',
  })
  const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
  expect((await fetch(`${base}/public/info/`, { headers: { traceparent } })).status).toBe(200)
  child.kill('SIGTERM')
  expect([await child.exited, await rest]).toEqual([0, expect.not.stringContaining('one-two')])
  expect(collector.spans).toEqual([
    expect.objectContaining({ name: 'GET /public/info/', traceId: traceparent.slice(3, 35), parentSpanId: '00f067aa0ba902b7' }),
  ])
  expect(collector.resources[0]).toMatchObject({ 'service.name': 'models', 'process.pid': child.pid })
  expect([collector.headers[0]?.get('api-key'), collector.headers[0]?.get('x-other')]).toEqual(['one-two', '3'])
})

test('a collector that hangs delays neither an answer nor the end for long', async () => {
  using collector = new Collector('hang')
  using place = new Workplace()
  const { base, child, rest } = await place.start(['--otlp-endpoint', collector.url, '--metrics-port', '0'])
  expect((await fetch(`${base}/public/info/`)).status).toBe(200)
  await until(() => collector.requests === 1)
  for (let index = 0; index < 20; index += 1) expect((await fetch(`${base}/public/info/`)).status).toBe(200)
  child.kill('SIGTERM')
  // The whole shutdown may take 7 s, and would end with 1 after them.
  expect(await child.exited).toBe(0)
  expect(await rest).toContain('stopping')
})

test('what is wrong with the settings of tracing is reported, and no header is shown', () => {
  using place = new Workplace()
  const { stderr, exitCode } = place.run(['start'], {
    VESTAL_OTLP_ENDPOINT: 'collector:4318',
    VESTAL_OTLP_HEADERS: 'no equals sign hunter2',
    VESTAL_TRACE_RATIO: '2',
  })
  expect(exitCode).toBe(2)
  expect(stderr).toContain('VESTAL_OTLP_ENDPOINT: must be an address such as http://collector:4318')
  expect(stderr).toContain('VESTAL_OTLP_HEADERS: must be name=value; its value is not shown')
  expect(stderr).toContain('VESTAL_TRACE_RATIO: must be a number from 0 to 1')
  expect(stderr).not.toContain('hunter2')
})

test('nothing of tracing is loaded where no collector is named', () => {
  for (const file of new Bun.Glob('**/*.ts').scanSync(SRC)) {
    if (file.startsWith('tracing/')) continue
    const text = readFileSync(join(SRC, file), 'utf8')
    const values = [...text.matchAll(/^import (?!type )[^\n]*from '[^']*\/tracing\/[^']*'/gm)].map(([line]) => line)
    expect([file, values]).toEqual([file, []])
  }
})
