import { afterAll, expect, test } from 'bun:test'
import { jsonLine } from '../../../src/telemetry/log/json-line.ts'
import { createLogger } from '../../../src/telemetry/log/logger.ts'
import { startDialectModels } from '../../support/dialect-models.ts'
import { createServer } from '../../support/server.ts'
import { tokenWith } from '../../support/tokens.ts'
import { until } from '../../support/until.ts'

const { engine, stop } = await startDialectModels()
afterAll(stop)

interface Line {
  readonly route: string
  readonly status: number
  readonly model?: string
  readonly subject?: string
  readonly code?: string
}

/** A server with the lines of its log, and what sends requests to it. */
function serve(more: Parameters<typeof createServer>[1] = {}) {
  const lines: string[] = []
  const logger = createLogger({ level: 'debug', format: jsonLine, write: (line) => lines.push(line) })
  const app = createServer(engine, { ...more, operations: { logger, ...more.operations } })
  const headers = {
    authorization: `Bearer ${tokenWith(['model:embedding:predict', 'model:plain:predict', 'metrics:read'], { sub: 'ada' })}`,
  }
  const post = (path: string, body: unknown) =>
    app.handle(new Request(`http://localhost${path}`, { method: 'POST', headers, body: JSON.stringify(body) }))
  const metrics = async () => (await app.handle(new Request('http://localhost/metrics', { headers }))).text()
  const written = () =>
    lines
      .map((line) => JSON.parse(line) as Line)
      .map(({ route, status, model, subject, code }) => ({ route, status, model, subject, code }))
  return { lines, post, metrics, written }
}

test('the log has the model that a body names, once the caller may ask it, and nothing of the text', async () => {
  const { post, written, lines } = serve()
  await post('/v1/embeddings', { model: 'embedding', input: 'a very private text' })
  await post('/v1/embeddings', { model: 'secret', input: 'a very private text' })
  await post('/v1/models/plain:predict', { instances: [[1, 2]] })
  await post('/models/embedding', { inputs: 'a very private text' })
  const expected = [
    { route: '/v1/embeddings', status: 200, model: 'embedding', subject: 'ada', code: undefined },
    { route: '/v1/embeddings', status: 403, model: undefined, subject: 'ada', code: 'PERMISSION_MISSING' },
    { route: '/v1/models/:name', status: 200, model: 'plain', subject: 'ada', code: undefined },
    { route: '/models/:name/', status: 200, model: 'embedding', subject: 'ada', code: undefined },
  ]
  await until(() => lines.length === expected.length)
  expect(written()).toEqual(expected)
  expect(lines.join()).not.toContain('private')
})

test('metrics count predictions of dialects by model, and requests by route', async () => {
  const { post, metrics } = serve()
  for (const [path, body] of [
    ['/v1/embeddings', { model: 'embedding', input: 'a' }],
    ['/models/embedding/embed', { inputs: 'a' }],
    ['/models/embedding', { inputs: 'a' }],
    ['/v1/models/plain:predict', { instances: [[1, 2]] }],
  ] as const)
    expect([path, (await post(path, body)).status]).toEqual([path, 200])
  const text = await metrics()
  expect(text).toMatch(/^vestal_prediction_duration_seconds_count\{model="embedding"\} 3$/m)
  expect(text).toMatch(/^vestal_prediction_duration_seconds_count\{model="plain"\} 1$/m)
  expect(text).toMatch(/route="\/v1\/embeddings",status="200"/)
})

test('limits of a role count each request, and each text as a row', async () => {
  const { post } = serve({ operations: { rateLimits: [{ role: 'default', rowsPerMinute: 3 }] } })
  expect((await post('/v1/embeddings', { model: 'embedding', input: ['a', 'b', 'c'] })).status).toBe(200)
  const limited = await post('/v1/embeddings', { model: 'embedding', input: ['a', 'b', 'c'] })
  expect([limited.status, limited.headers.get('retry-after')]).toEqual([429, expect.any(String)])
  expect(await limited.json()).toMatchObject({ error: { type: 'rate_limit_error', code: 'rate_limit_exceeded' } })
})
