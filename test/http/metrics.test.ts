import { afterAll, describe, expect, test } from 'bun:test'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MetricRegistry } from '../../src/telemetry/metrics/registry.ts'
import { answerOf, DOORS, failure } from '../support/doors.ts'
import { bundledEngine, createServer, MODELS } from '../support/server.ts'
import { bearer, makeToken, nowSeconds, tokenWith } from '../support/tokens.ts'

const engine = await bundledEngine()
afterAll(() => engine.stop())

for (const [index, open] of DOORS.entries()) {
  const where = index === 0 ? 'in memory' : 'over a socket'
  const setUp = (more: object = {}) => {
    const registry = new MetricRegistry()
    const door = open(createServer(engine, { operations: { registry, ...more } }))
    const read = async () => (await door.fetch('/metrics', { headers: bearer('metrics:read') })).text()
    /** The values of a metric whose labels hold all of these. */
    const sumOf = async (name: string, labels: Readonly<Record<string, string>> = {}) => {
      const lines = (await read()).split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
      const fitting = lines.filter((line) => Object.entries(labels).every(([key, value]) => line.includes(`${key}="${value}"`)))
      return fitting.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0)
    }
    return { door, read, sumOf, [Symbol.asyncDispose]: () => door.close() }
  }
  const predict = { method: 'POST', headers: bearer('model:iris:predict'), body: '{"input":[[5.1,3.5,1.4,0.2]]}' }

  describe(`GET /metrics, ${where}`, () => {
    test('asks for its permission', async () => {
      await using server = setUp()
      expect(await answerOf(server.door.fetch('/metrics'))).toEqual(failure(401, 'Unauthorized'))
      expect(await answerOf(server.door.fetch('/metrics', { headers: bearer('model:*:read') }))).toEqual(
        failure(403, 'Insufficient permissions'),
      )
      const response = await server.door.fetch('/metrics', { headers: bearer('metrics:read') })
      expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8'])
    })

    test('has no family twice, and a type and a help for each', async () => {
      await using server = setUp()
      const text = await server.read()
      const types = [...text.matchAll(/^# TYPE (\S+) (counter|gauge|histogram)$/gm)].map(([, name]) => name)
      const helps = [...text.matchAll(/^# HELP (\S+) \S.*$/gm)].map(([, name]) => name)
      expect(types.length).toBeGreaterThan(20)
      expect(new Set(types).size).toBe(types.length)
      expect(helps).toEqual(types)
    })

    test('counts requests by method, route and status, and refusals by reason', async () => {
      await using server = setUp()
      await server.door.fetch('/public/info/')
      await server.door.fetch('/private/info/')
      await server.door.fetch('/private/info/', { headers: bearer('other') })
      await server.door.fetch('/docs', { method: 'DELETE' })
      const name = 'vestal_http_request_duration_seconds_count'
      expect(await server.sumOf(name, { method: 'GET', route: '/public/info/', status: '200' })).toBe(1)
      expect(await server.sumOf(name, { method: 'GET', route: '/private/info/', status: '401' })).toBe(1)
      expect(await server.sumOf(name, { method: 'GET', route: '/private/info/', status: '403' })).toBe(1)
      expect(await server.sumOf(name, { method: 'DELETE', route: '/docs', status: '405' })).toBe(1)
      for (const reason of ['TOKEN_MISSING', 'PERMISSION_MISSING', 'METHOD_NOT_ALLOWED']) {
        expect([reason, await server.sumOf('vestal_http_rejections_total', { reason })]).toEqual([reason, 1])
      }
    })

    test('counts verified tokens by outcome and signature backend, once a request, and what the cache did', async () => {
      await using server = setUp()
      const token = { headers: { authorization: `Bearer ${tokenWith(['my-permission-name'], { jti: crypto.randomUUID() })}` } }
      for (let index = 0; index < 3; index += 1) await server.door.fetch('/private/info/', token)
      const expired = makeToken({ payload: { exp: nowSeconds() - 60 } })
      await server.door.fetch('/private/info/', { headers: { authorization: `Bearer ${expired}` } })
      await server.door.fetch('/private/info/', { headers: { authorization: 'Bearer a.b.c' } })
      const outcomes = 'vestal_token_verifications_total'
      // The reading itself is the fourth that is accepted.
      expect(await server.sumOf(outcomes, { outcome: 'accepted', backend: 'native' })).toBe(4)
      expect(await server.sumOf(outcomes, { outcome: 'TOKEN_EXPIRED' })).toBe(1)
      expect(await server.sumOf(outcomes, { outcome: 'TOKEN_MALFORMED' })).toBe(1)
      expect(await server.sumOf('vestal_token_cache_hits_total')).toBeGreaterThanOrEqual(2)
      expect(await server.sumOf('vestal_token_cache_entries')).toBeGreaterThanOrEqual(1)
    })

    test('counts a token that was accepted once, also where its caller has met a limit', async () => {
      await using server = setUp({ rateLimits: [{ role: 'default', requestsPerMinute: 1 }] })
      const caller = { headers: { authorization: `Bearer ${tokenWith(['my-permission-name'], { sub: 'ada' })}` } }
      const statuses = [1, 2, 3].map(async () => (await server.door.fetch('/private/info/', caller)).status)
      expect((await Promise.all(statuses)).toSorted()).toEqual([200, 429, 429])
      const outcomes = 'vestal_token_verifications_total'
      const all = (await server.read()).split('\n').filter((line) => line.startsWith(`${outcomes}{`))
      // The reading is one of them.
      expect(all.map((line) => [/outcome="(\w+)"/.exec(line)?.[1], line.slice(line.lastIndexOf(' ') + 1)])).toEqual([
        ['accepted', '4'],
      ])
    })

    test('counts predictions by model and version, under our names and Triton’s', async () => {
      await using server = setUp()
      const labels = { model: 'iris', version: '1' }
      const rows = await server.sumOf('nv_inference_count', labels)
      const runs = await server.sumOf('nv_inference_exec_count', labels)
      for (let index = 0; index < 2; index += 1)
        expect((await server.door.fetch('/models/iris/predict/', predict)).status).toBe(200)
      await server.door.fetch('/models/iris/predict/', { ...predict, body: '{"input":[[1,2,3,4],[1,2,3,4],[1,2,3,4]]}' })
      expect(await server.sumOf('nv_inference_count', labels)).toBe(rows + 5)
      expect(await server.sumOf('nv_inference_exec_count', labels)).toBe(runs + 3)
      expect(await server.sumOf('vestal_inference_batch_rows_count', labels)).toBe(runs + 3)
      expect(await server.sumOf('vestal_inference_batch_rows_sum', labels)).toBe(rows + 5)
      expect(await server.sumOf('vestal_prediction_duration_seconds_count', { model: 'iris' })).toBe(3)
      expect(await server.sumOf('vestal_inference_compute_seconds_count', labels)).toBe(runs + 3)
      expect(await server.sumOf('vestal_inference_compute_seconds_bucket', { ...labels, le: '+Inf' })).toBe(runs + 3)
      expect(await server.sumOf('vestal_inference_compute_seconds_sum', labels)).toBeGreaterThan(0)
      expect(await server.sumOf('vestal_inference_queue_seconds_count', labels)).toBe(
        await server.sumOf('nv_inference_request_success', labels),
      )
      // It has no cache, so it has no series of one.
      expect(await server.read()).not.toMatch(/^vestal_response_cache_\w+\{/m)
      expect(await server.sumOf('vestal_workers_alive', labels)).toBe(1)
      expect(await server.sumOf('vestal_model_ready', labels)).toBe(1)
    })

    test('counts what the cache of a model does', async () => {
      const folder = mkdtempSync(join(tmpdir(), 'vestal-cache-'))
      cpSync(join(MODELS, 'iris'), join(folder, 'iris'), { recursive: true })
      writeFileSync(
        join(folder, 'iris/model.toml'),
        `${readFileSync(join(folder, 'iris/model.toml'), 'utf8')}\n[serving]\ncache = true\n`,
      )
      const cached = await bundledEngine(folder)
      const registry = new MetricRegistry()
      const door = open(createServer(cached, { operations: { registry } }))
      try {
        for (let index = 0; index < 3; index += 1) await door.fetch('/models/iris/predict/', predict)
        const text = await (await door.fetch('/metrics', { headers: bearer('metrics:read') })).text()
        const valueIn = (name: string) =>
          Number(new RegExp(`^vestal_response_cache_${name}\\{model="iris",version="1"\\} (\\d+)$`, 'm').exec(text)?.[1])
        expect(['hits_total', 'misses_total', 'evictions_total', 'entries'].map(valueIn)).toEqual([2, 1, 0, 1])
        expect(valueIn('bytes')).toBeGreaterThan(512)
      } finally {
        await door.close()
        await cached.stop()
        rmSync(folder, { recursive: true, force: true })
      }
    })

    test('does not grow when unknown paths, methods, models and subjects flood in', async () => {
      await using server = setUp()
      const seriesNow = async () =>
        (await server.read()).split('\n').filter((line) => line !== '' && !line.startsWith('#')).length
      const flood = async (from: number) => {
        for (let index = from; index < from + 200; index += 1) {
          const member = { authorization: `Bearer ${tokenWith(['*'], { sub: `subject-${index}`, jti: `token-${index}` })}` }
          await server.door.fetch(`/nowhere/${index}`)
          await server.door.fetch('/public/info/', { method: 'BREW' })
          await server.door.fetch(`/models/model-${index}/`, { headers: member })
          await server.door.fetch(`/models/model-${index}/predict/`, { ...predict, headers: member })
          await server.door.fetch(`/v2/models/iris/versions/${index}/infer`, { ...predict, headers: member })
          await server.door.fetch('/private/info/', { headers: { authorization: `Bearer x.y.${index}` } })
        }
      }
      await flood(0)
      await server.read()
      const before = await seriesNow()
      await flood(200)
      expect(await seriesNow()).toBe(before)
      expect((await server.read()).match(/subject-\d|token-\d|model-\d|nowhere|BREW/)).toBeNull()
    })
  })

  describe(`X-Request-Id, ${where}`, () => {
    test('is made where none came, and is another each time, for failures too', async () => {
      await using server = setUp()
      const ids = new Set<string | null>()
      for (const path of ['/public/info/', '/private/info/', '/nowhere', '/docs', '/v2/health/live', '/docs/openapi.json']) {
        ids.add((await server.door.fetch(path)).headers.get('x-request-id'))
      }
      expect(ids.size).toBe(6)
      for (const id of ids) expect(id).toMatch(/^[\w-]{12}-[0-9a-z]+$/)
    })

    test('is shown where it is well-formed, and replaced where it is not', async () => {
      await using server = setUp()
      const idFor = async (id: string) =>
        (await server.door.fetch('/public/info/', { headers: { 'x-request-id': id } })).headers.get('x-request-id')
      for (const id of ['a', '4bf92f3577b34da6', 'trace/1:2=3+4.5_6-7', 'x'.repeat(128)]) expect(await idFor(id)).toBe(id)
      for (const id of ['x'.repeat(129), 'a b', 'a"b', '<a>', 'a,b', 'ä']) expect(await idFor(id)).not.toBe(id)
    })
  })
}
