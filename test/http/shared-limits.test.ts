import { afterAll, describe, expect, test } from 'bun:test'
import { RedisClient } from 'bun'
import type { SharedCounts } from '../../src/core/shared-counts.ts'
import type { AppOptions } from '../../src/index.ts'
import { openSharedCounts } from '../../src/storage/shared-counts.ts'
import { MetricRegistry } from '../../src/telemetry/metrics/registry.ts'
import { answerOf, DOORS, failure } from '../support/doors.ts'
import { startRedis } from '../support/redis.ts'
import { bundledEngine, createServer } from '../support/server.ts'
import { bearer, tokenWith } from '../support/tokens.ts'
import { until } from '../support/until.ts'

const engine = await bundledEngine()
const redis = await startRedis()
afterAll(async () => {
  await engine.stop()
  await redis?.[Symbol.asyncDispose]()
})

const member = (sub: string, role: string) => ({
  authorization: `Bearer ${tokenWith(['*'], { sub, data: { permissions: ['*'], roles: { [role]: [] } } })}`,
})
const rateLimits = [
  { role: 'slow', requestsPerMinute: 3 },
  { role: 'rows', rowsPerMinute: 10 },
  { role: 'single', concurrent: 1 },
]
const predict = (headers: Record<string, string>, rows: number) => ({
  method: 'POST',
  headers,
  body: JSON.stringify({ input: Array(rows).fill([5.1, 3.5, 1.4, 0.2]) }),
})

/** Keys of the places that are held, by whomever. */
const places = (client: RedisClient): Promise<readonly string[]> => client.send('KEYS', ['vestal:place:*'])

/** Counts that answer when the test lets them. */
function heldCounts(): { counts: SharedCounts; release: () => void } {
  const { promise, resolve } = Promise.withResolvers<undefined>()
  const counts = { take: () => promise, enter: () => promise, isReachable: true, failures: 0, close: () => undefined }
  return { counts, release: () => resolve(undefined) }
}

for (const [index, open] of DOORS.entries()) {
  const where = index === 0 ? 'in memory' : 'over a socket'
  const setUp = (sharedCounts: SharedCounts, operations: AppOptions['operations'] = {}) => {
    const door = open(createServer(engine, { operations: { rateLimits, sharedCounts, ...operations } }))
    const ask = async (path: string, init?: RequestInit) => (await door.fetch(path, init)).status
    return { door, ask, [Symbol.asyncDispose]: () => door.close() }
  }

  describe(`limits whose counts must be waited for, ${where}`, () => {
    test('come after the token, hold its request, and are those of the process where nothing is said', async () => {
      const { counts, release } = heldCounts()
      await using server = setUp(counts)
      expect(await server.ask('/private/info/')).toBe(401)
      const asked = Array.from({ length: 4 }, () => server.ask('/models/', { headers: member('anna', 'slow') }))
      release()
      expect((await Promise.all(asked)).sort()).toEqual([200, 200, 200, 429])
      expect(await server.ask('/models/iris/predict/', predict(member('rita', 'rows'), 8))).toBe(200)
      expect(await server.ask('/models/iris/predict/', predict(member('rita', 'rows'), 8))).toBe(429)
    })

    test('are a share of them where several processes of one server count by themselves', async () => {
      const counts: SharedCounts = {
        take: async () => undefined,
        enter: async () => undefined,
        processes: 2,
        isReachable: false,
        failures: 1,
        close: () => undefined,
      }
      await using server = setUp(counts, { front: { addressRequestsPerMinute: 20 } })
      const statuses = async (count: number, init?: RequestInit) => {
        const found: number[] = []
        for (let time = 0; time < count; time += 1) found.push(await server.ask('/models/', init))
        return found
      }
      expect(await statuses(2, { headers: member('anna', 'slow') })).toEqual([200, 429])
      expect(await server.ask('/models/iris/predict/', predict(member('rita', 'rows'), 5))).toBe(200)
      expect(await server.ask('/models/iris/predict/', predict(member('rita', 'rows'), 1))).toBe(429)
      // A share of one place is one.
      expect(await statuses(1, { headers: member('sam', 'single') })).toEqual([200])
      expect(await statuses(6)).toEqual([401, 401, 401, 401, 401, 429])
    })

    test('refuse with what all other refusals say, and are counted by kind', async () => {
      const { counts, release } = heldCounts()
      release()
      const registry = new MetricRegistry()
      await using server = setUp(counts, { registry, front: { addressRequestsPerMinute: 5 } })
      for (let each = 0; each < 3; each += 1) await server.ask('/models/', { headers: member('anna', 'slow') })
      const refused = await server.door.fetch('/models/', { headers: member('anna', 'slow') })
      expect([refused.headers.get('retry-after'), refused.headers.get('ratelimit-policy')]).toEqual(['20', '"slow";q=3;w=60'])
      expect(await answerOf(refused)).toEqual(failure(429, 'Too many requests; try again later'))
      expect(await server.ask('/public/info/')).toBe(200)
      const stranger = await server.door.fetch('/public/info/')
      expect([stranger.status, stranger.headers.get('ratelimit-policy'), stranger.headers.get('x-request-id')]).toEqual([
        429,
        '"address";q=5;w=60',
        expect.any(String),
      ])
      const samples = registry.snapshot().find(({ name }) => name === 'vestal_rate_limit_refusals_total')?.samples ?? []
      expect(Object.fromEntries(samples.map(({ labels, value }) => [labels.limit, value]))).toEqual({
        address: 1,
        requests: 1,
        rows: 0,
        concurrent: 0,
      })
    })

    test('are asked of before a body with a schema is read, and once', async () => {
      const { counts, release } = heldCounts()
      release()
      await using server = setUp(counts)
      const load = { method: 'POST', headers: member('olga', 'slow'), body: '{"broken' }
      const statuses: number[] = []
      for (let each = 0; each < 4; each += 1) statuses.push(await server.ask('/v2/repository/index', load))
      expect(statuses).toEqual([400, 400, 400, 429])
    })
  })

  if (redis !== undefined) {
    describe(`limits of two processes with one Redis, ${where}`, () => {
      const pair = (options: AppOptions['operations'] = {}) => {
        const counts = [1, 2].map(() => openSharedCounts({ url: redis.url, log: () => undefined, timeoutMs: 10_000 }))
        const servers = counts.map((shared) => setUp(shared, options))
        return {
          ask: (each: number, path: string, init?: RequestInit) => servers[each % 2]?.ask(path, init),
          async [Symbol.asyncDispose]() {
            for (const server of servers) await server[Symbol.asyncDispose]()
            for (const shared of counts) shared.close()
          },
        }
      }

      test('are one limit: of requests, of rows, of an address', async () => {
        await using servers = pair()
        const sub = crypto.randomUUID()
        const statuses: unknown[] = []
        for (let each = 0; each < 5; each += 1)
          statuses.push(await servers.ask(each, '/models/', { headers: member(sub, 'slow') }))
        expect(statuses).toEqual([200, 200, 200, 429, 429])
        const rows = (each: number) => servers.ask(each, '/models/iris/predict/', predict(member(sub, 'rows'), 6))
        expect([await rows(0), await rows(1)]).toEqual([200, 429])
      })

      test('of an address are one, too', async () => {
        // In memory there is no address, and all are one; in either case it is this test's own limit.
        await using servers = pair({ front: { addressRequestsPerMinute: 2 + index } })
        const statuses: unknown[] = []
        for (let each = 0; each < 4 + index; each += 1) statuses.push(await servers.ask(each, '/public/info/'))
        expect(statuses).toEqual([...Array(2 + index).fill(200), 429, 429])
      })

      test('let one request of a subject run, wherever it is, and the next when that is answered', async () => {
        await using servers = pair()
        const client = new RedisClient(redis.url)
        const left = await places(client)
        const headers = member(crypto.randomUUID(), 'single')
        const gate = Promise.withResolvers<void>()
        const body = new ReadableStream({
          async pull(controller) {
            await gate.promise
            controller.enqueue(new TextEncoder().encode(predict(headers, 1).body))
            controller.close()
          },
        })
        const first = servers.ask(0, '/models/iris/predict/', { method: 'POST', headers, body, duplex: 'half' } as RequestInit)
        const next = () => servers.ask(1, '/models/iris/predict/', predict(headers, 1))
        // Its place is there once it is at hand; what others left behind may be there for a while.
        await until(async () => (await places(client)).some((key) => !left.includes(key)))
        client.close()
        expect(await next()).toBe(429)
        gate.resolve()
        expect(await first).toBe(200)
        await until(async () => (await next()) === 200)
      })
    })

    describe(`limits whose Redis fails, ${where}`, () => {
      test('are those of each process, and never a 5xx, until it is there again', async () => {
        await using own = await startRedis()
        if (own === undefined) throw new Error('it was there a moment ago')
        const counts = openSharedCounts({ url: own.url, log: () => undefined })
        await using server = setUp(counts, { front: { addressRequestsPerMinute: 100_000 } })
        const statuses = new Set<number>()
        const take = async (sub: string) => {
          const status = await server.ask('/models/', { headers: member(sub, 'slow') })
          statuses.add(status)
          return status
        }
        for (const [fail, mend] of [
          [() => own.signal('SIGSTOP'), async () => own.signal('SIGCONT')],
          [() => own.kill(), () => own.restart()],
        ] as const) {
          await fail()
          const sub = crypto.randomUUID()
          const during: number[] = []
          for (let each = 0; each < 5; each += 1) during.push(await take(sub))
          expect(during).toEqual([200, 200, 200, 429, 429])
          expect(counts.isReachable).toBe(false)
          await mend()
          await until(() => counts.isReachable)
          for (let each = 0; each < 5; each += 1) await take(crypto.randomUUID())
        }
        expect([...statuses].sort()).toEqual([200, 429])
        counts.close()
      })
    })
  }
}

test('a token that must be waited for is still rejected before anything is counted', async () => {
  const { counts, release } = heldCounts()
  release()
  const app = createServer(engine, {
    operations: { rateLimits: [{ role: 'default', requestsPerMinute: 1 }], sharedCounts: counts },
  })
  const statusOf = async (headers: Record<string, string>) =>
    (await app.handle(new Request('http://localhost/private/info/', { headers }))).status
  for (let each = 0; each < 3; each += 1) expect(await statusOf({ authorization: 'Bearer a.b.c' })).toBe(401)
  expect([await statusOf(bearer('my-permission-name')), await statusOf(bearer('my-permission-name'))]).toEqual([200, 429])
})
