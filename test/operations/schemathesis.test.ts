import { afterAll, describe, expect, test } from 'bun:test'
import { MetricRegistry } from '../../src/telemetry/metrics/registry.ts'
import { bundledEngine, createServer } from '../support/server.ts'
import { bearer } from '../support/tokens.ts'
import { hasTool } from '../support/tools.ts'

const schemathesis = process.env.VESTAL_TEST_SCHEMATHESIS
/** 5xx that the document has: not supported here, not ready or full, too late. */
const DOCUMENTED = new Set(['501', '503', '504'])

if (hasTool('schemathesis (VESTAL_TEST_SCHEMATHESIS)', schemathesis)) {
  const engine = await bundledEngine()
  const bugs: unknown[] = []
  const registry = new MetricRegistry()
  const app = createServer(engine, { report: (error) => bugs.push(error), operations: { registry } })
  app.listen({ port: 0, hostname: '127.0.0.1' })
  afterAll(async () => {
    await engine.stop()
    await app.stop(true)
  })

  describe('requests drawn from the OpenAPI document', () => {
    for (const [name, headers] of [
      ['without a token', []],
      ['with a token that may do everything', ['-H', `Authorization: ${bearer('*').authorization}`]],
    ] as const) {
      test(`${name} are answered as it says, and with no bug`, async () => {
        const address = `http://127.0.0.1:${app.server?.port}/docs/openapi.json`
        const options = [
          '--checks',
          'status_code_conformance',
          '-n',
          '20',
          '--phases',
          'fuzzing',
          '--seed',
          '7',
          '--request-timeout',
          '10',
        ]
        const child = Bun.spawn([schemathesis, 'run', address, ...options, ...headers], {
          stdout: 'pipe',
          stderr: 'pipe',
          env: { ...process.env, SCHEMATHESIS_HOOKS: 'ndjson_bodies', PYTHONPATH: import.meta.dir, PYTHONDONTWRITEBYTECODE: '1' },
        })
        const output = await new Response(child.stdout).text()
        const found = output.slice(Math.max(0, output.indexOf('= FAILURES =')), 6000)
        expect([await child.exited, Number(/(\d+) generated/.exec(output)?.[1] ?? 0) > 350, found]).toEqual([
          0,
          true,
          expect.any(String),
        ])
        const durations = registry.snapshot().find(({ name: family }) => family === 'vestal_http_request_duration_seconds')
        const statuses = new Set(durations?.samples.map(({ labels }) => String(labels.status)))
        expect([...statuses].filter((status) => status.startsWith('5') && !DOCUMENTED.has(status))).toEqual([])
        expect(bugs).toEqual([])
      }, 240_000)
    }
  })
}
