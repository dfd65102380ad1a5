import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { jsonLine } from '../../src/telemetry/log/json-line.ts'
import { createLogger } from '../../src/telemetry/log/logger.ts'
import type { Span } from '../../src/telemetry/tracing/span.ts'
import { Tracer } from '../../src/telemetry/tracing/tracer.ts'
import { DOORS } from '../support/doors.ts'
import { startKeyServer, testKey } from '../support/key-server.ts'
import { startMarked } from '../support/marked-engine.ts'
import { CRASH } from '../support/marks.ts'
import { bundledEngine, createServer } from '../support/server.ts'
import { identityModel } from '../support/tiny-models.ts'
import { bearer, makeToken, nowSeconds, SECRET, tokenWith } from '../support/tokens.ts'
import { until } from '../support/until.ts'

const engine = await bundledEngine()
const marks = mkdtempSync(join(tmpdir(), 'vestal-tracing-'))
await Bun.write(join(marks, 'one/1/model.onnx'), identityModel('FP32'))
afterAll(async () => {
  await engine.stop()
  rmSync(marks, { recursive: true })
})

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const PARENT = '00f067aa0ba902b7'
const predict = (headers: Record<string, string> = {}) => ({
  method: 'POST',
  headers: { ...bearer('model:*:predict'), ...headers },
  body: '{"input":[[5.1,3.5,1.4,0.2]]}',
})

for (const [index, open] of DOORS.entries()) {
  const setUp = ({ ratio = 1, served = engine } = {}) => {
    const spans: Span[] = []
    const lines: string[] = []
    const tracer = new Tracer({ ratio, record: (span) => spans.push(span) })
    const logger = createLogger({ level: 'info', format: jsonLine, write: (line) => lines.push(line) })
    const door = open(createServer(served, { operations: { tracer, logger } }))
    const spanOf = (name: string) => spans.find((span) => span.name === name)
    return { door, spans, lines, spanOf, [Symbol.asyncDispose]: () => door.close() }
  }

  describe(`a request that is traced, ${index === 0 ? 'in memory' : 'over a socket'}`, () => {
    test('has the address of its client also where there is no log', async () => {
      const spans: Span[] = []
      const tracer = new Tracer({ ratio: 1, record: (span) => spans.push(span) })
      const door = open(createServer(engine, { operations: { tracer } }))
      await (await door.fetch('/public/info/')).arrayBuffer()
      await door.close()
      expect(spans.map(({ attributes }) => attributes['client.address'])).toEqual([index === 0 ? 'unknown' : '127.0.0.1'])
    })

    test('is part of its caller’s trace, with the check of its token, its wait and its run inside', async () => {
      await using server = setUp()
      const headers = { traceparent: `00-${TRACE}-${PARENT}-01`, tracestate: 'congo=t61rcWkgMzE', 'x-request-id': 'mine' }
      expect((await server.door.fetch('/models/iris/predict/', predict(headers))).status).toBe(200)
      expect(server.spans.map(({ name }) => name)).toEqual(['verify', 'queue', 'infer', 'POST /models/:name/predict/'])
      const [verify, queue, infer, request] = server.spans
      expect(request).toMatchObject({
        kind: 'server',
        traceId: TRACE,
        parentId: PARENT,
        traceState: 'congo=t61rcWkgMzE',
        hasFailed: false,
        attributes: {
          'http.request.method': 'POST',
          'http.route': '/models/:name/predict/',
          'http.response.status_code': 200,
          'client.address': index === 0 ? 'unknown' : '127.0.0.1',
          'vestal.request.id': 'mine',
          'vestal.model.name': 'iris',
        },
      })
      for (const span of [verify, queue, infer]) {
        expect(span).toMatchObject({ kind: 'internal', traceId: TRACE, parentId: request?.spanId, hasFailed: false })
        expect(span?.startMs).toBeGreaterThanOrEqual(request?.startMs ?? Number.POSITIVE_INFINITY)
        expect(span?.endMs).toBeLessThanOrEqual(request?.endMs ?? 0)
      }
      expect(new Set(server.spans.map(({ spanId }) => spanId)).size).toBe(4)
      expect(verify?.attributes).toEqual({ 'vestal.verification': 'accepted' })
      expect(queue?.attributes).toMatchObject({ 'vestal.model.name': 'iris', 'vestal.model.version': '1' })
      expect(infer?.attributes).toMatchObject({
        'vestal.model.name': 'iris',
        'vestal.batch.requests': 1,
        'vestal.compute.duration_ms': expect.any(Number),
      })
      // What waits is what runs next, and the check comes before both.
      expect([queue?.endMs === infer?.startMs, (verify?.endMs ?? 1) <= (queue?.startMs ?? 0)]).toEqual([true, true])
      expect(Math.abs((request?.endMs ?? 0) - Date.now())).toBeLessThan(60_000)
      expect(JSON.parse(server.lines[0] ?? '{}').traceId).toBe(TRACE)
    })

    test('has a trace of its own where none came, or none that is well-formed, and the log says which', async () => {
      await using server = setUp()
      for (const traceparent of [undefined, 'x', `00-${'0'.repeat(32)}-${PARENT}-01`, `ff-${TRACE}-${PARENT}-01`]) {
        const headers = { tracestate: 'a=1', ...(traceparent !== undefined && { traceparent }) }
        await server.door.fetch('/public/info/', { headers })
      }
      const ids = server.spans.map(({ traceId }) => traceId)
      expect(new Set(ids).size).toBe(4)
      for (const span of server.spans) {
        expect([span.traceId, span.spanId]).toEqual([
          expect.stringMatching(/^(?!0{32})[0-9a-f]{32}$/),
          expect.stringMatching(/^(?!0{16})[0-9a-f]{16}$/),
        ])
        expect([span.parentId, span.traceState]).toEqual([undefined, undefined])
      }
      expect(server.lines.map((line) => JSON.parse(line).traceId)).toEqual(ids)
    })

    test('is recorded where its caller records it, whatever the ratio, and not where its caller does not', async () => {
      await using none = setUp({ ratio: 0 })
      await using all = setUp({ ratio: 1 })
      const ask = (server: typeof none, flags?: string) =>
        server.door.fetch(
          '/models/iris/predict/',
          predict(flags === undefined ? {} : { traceparent: `00-${TRACE}-${PARENT}-${flags}` }),
        )
      for (const server of [none, all]) for (const flags of [undefined, '01', '00']) await ask(server, flags)
      expect([none.spans.length, all.spans.length]).toEqual([4, 8])
      expect(none.spans.every(({ traceId }) => traceId === TRACE)).toBe(true)
      // One that is not recorded has its trace in the log all the same.
      expect(none.lines.map((line) => JSON.parse(line).traceId)).toEqual([expect.stringMatching(/^[0-9a-f]{32}$/), TRACE, TRACE])
    })

    test('says how it was rejected, and nothing that came with it', async () => {
      await using server = setUp()
      const expired = makeToken({ payload: { sub: 'somebody', jti: 'token-7', exp: nowSeconds() - 60 } })
      const ask = (path: string, init: RequestInit) => server.door.fetch(path, init)
      await ask('/private/info/?q=secret-query', { headers: { authorization: `Bearer ${expired}`, cookie: 'a=secret-cookie' } })
      await ask('/models/no-such-model/predict/', predict())
      await ask('/secret-path', { method: 'PROPFIND', body: 'secret-body' })
      const good = tokenWith(['model:*:predict'], { sub: 'somebody' })
      await ask('/models/iris/predict/', { ...predict(), headers: { authorization: `Bearer ${good}` }, body: '["secret-body"]' })
      expect(
        server.spans.filter(({ kind }) => kind === 'server').map(({ name, attributes }) => [name, attributes['vestal.refusal']]),
      ).toEqual([
        ['GET /private/info/', 'TOKEN_EXPIRED'],
        ['POST /models/:name/predict/', 'MODEL_UNKNOWN'],
        ['_OTHER', 'NOT_FOUND'],
        ['POST /models/:name/predict/', 'BODY_INVALID'],
      ])
      expect(server.spanOf('verify')?.attributes).toEqual({ 'vestal.verification': 'TOKEN_EXPIRED' })
      expect(server.spanOf('_OTHER')?.attributes).toMatchObject({ 'http.request.method': '_OTHER', 'http.route': undefined })
      const text = JSON.stringify(server.spans)
      for (const secret of [SECRET, expired, good, 'eyJ', 'secret-', 'no-such-model', 'PROPFIND', 'somebody', 'token-7'])
        expect([secret, text.includes(secret)]).toEqual([secret, false])
    })

    test('whose worker dies has a run that failed', async () => {
      const marked = await startMarked({ modelsDirectory: marks })
      await using server = setUp({ served: marked.engine })
      const inputs = [{ name: 'x', datatype: 'FP32', shape: [1], data: [CRASH] }]
      const body = JSON.stringify({ inputs })
      const answer = await server.door.fetch('/v2/models/one/infer', { ...predict(), body })
      expect(answer.status).toBe(503)
      await until(() => server.spanOf('infer') !== undefined)
      expect(server.spanOf('infer')).toMatchObject({ hasFailed: true, attributes: { 'error.type': 'WORKER_LOST' } })
      expect(server.spanOf('queue')).toMatchObject({ hasFailed: false })
      const request = server.spanOf('POST /v2/models/:name/infer')
      expect(request).toMatchObject({
        hasFailed: true,
        attributes: { 'error.type': 'WORKER_LOST', 'http.response.status_code': 503 },
      })
      await marked.engine.stop()
    })

    test('has so many spans at most, however long its stream is', async () => {
      await using server = setUp()
      const rows = Array.from({ length: 300 }, () => '[5.1,3.5,1.4,0.2]').join('\n')
      const response = await server.door.fetch('/models/iris/stream/', {
        method: 'POST',
        headers: { ...bearer('model:*:predict'), 'content-type': 'application/x-ndjson' },
        body: rows,
      })
      expect((await response.text()).trim().split('\n').length).toBe(300)
      expect(server.spans.length).toBeGreaterThan(4)
      expect(server.spans.length).toBeLessThanOrEqual(129)
    })
  })
}

test('a ratio takes about that part of the traces, by their id', () => {
  const spans: Span[] = []
  const tracer = new Tracer({ ratio: 0.25, record: (span) => spans.push(span) })
  const traces = Array.from({ length: 4000 }, () => tracer.begin(new Headers()))
  const chosen = traces.filter(({ isSampled }) => isSampled).length
  // Twelve standard deviations to either side.
  expect(chosen).toBeGreaterThan(670)
  expect(chosen).toBeLessThan(1330)
  const smaller = new Tracer({ ratio: 0.1, record: () => undefined })
  expect([tracer.outgoing(), smaller.outgoing()]).toEqual([{}, {}])
})

test('keys that are fetched for a request are asked for in its trace, and those fetched by the clock in none', async () => {
  const asked: (string | null)[] = []
  const [first, second] = [testKey('first'), testKey('second')]
  await using keys = startKeyServer()
  keys.answer((request) => {
    asked.push(request.headers.get('traceparent'))
    return Response.json({ keys: [asked.length === 1 ? first.jwk : second.jwk] })
  })
  const tracer = new Tracer({ ratio: 1, record: () => undefined })
  const due: (() => void)[] = []
  const clock = { ms: Date.now() }
  const issuer = {
    name: 'https://issuer.example',
    audiences: ['here'],
    jwksUrl: keys.url,
    jwks: { requestHeaders: () => tracer.outgoing(), cooldownSeconds: 30 },
  }
  const app = createServer(engine, {
    authentication: {
      issuers: [issuer],
      now: () => clock.ms,
      schedule: (work) => {
        due.push(work)
        return () => undefined
      },
    },
    operations: { tracer },
  })
  const statusOf = async (token: string) => {
    const headers = { authorization: `Bearer ${token}`, traceparent: `00-${TRACE}-${PARENT}-01`, tracestate: 'a=1' }
    return (await app.handle(new Request('http://localhost/private/info/', { headers }))).status
  }
  const claims = { iss: issuer.name, aud: 'here', sub: 'me', exp: nowSeconds() + 3000, permissions: ['my-permission-name'] }
  await statusOf(first.sign(claims))
  // The first set is fetched at the start, for nobody; the second for the request that brings a key it does not have.
  clock.ms += 60_000
  await statusOf(second.sign(claims))
  await until(() => asked.length === 2)
  expect(asked).toEqual([null, expect.stringMatching(new RegExp(`^00-${TRACE}-(?!${PARENT})[0-9a-f]{16}-01$`))])
  clock.ms += 600_000
  for (const work of due.splice(0)) work()
  await until(() => asked.length >= 3)
  expect(asked[2]).toBeNull()
})
