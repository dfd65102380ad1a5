import { afterAll, describe, expect, test } from 'bun:test'
import { connect } from 'node:tls'
import type { AppOptions } from '../../src/index.ts'
import { makeCertificate } from '../support/certificates.ts'
import { answerOf, DOORS, failure } from '../support/doors.ts'
import { exchangeRaw } from '../support/raw-socket.ts'
import { bundledEngine, createServer } from '../support/server.ts'
import { bearer, tokenWith } from '../support/tokens.ts'

const engine = await bundledEngine()
afterAll(() => engine.stop())

for (const [index, open] of DOORS.entries()) {
  const where = index === 0 ? 'in memory' : 'over a socket'
  const setUp = (operations: NonNullable<AppOptions['operations']>) => {
    const door = open(createServer(engine, { operations }))
    return { door, [Symbol.asyncDispose]: () => door.close() }
  }
  const withRole = (role: string, sub = 'me') => ({
    authorization: `Bearer ${tokenWith(['*'], { sub, data: { permissions: ['*'], roles: { [role]: [] } } })}`,
  })
  const body = (rows: number) => JSON.stringify({ input: Array(rows).fill([5.1, 3.5, 1.4, 0.2]) })

  describe(`every response, ${where}`, () => {
    test('says that its type is not to be guessed, and has no banner', async () => {
      await using server = setUp({})
      for (const path of [
        '/public/info/',
        '/private/info/',
        '/nowhere',
        '/docs',
        '/docs/openapi.json',
        '/v2/health/ready',
        '/v2',
        '/models/',
      ]) {
        const { headers } = await server.door.fetch(path)
        expect([path, headers.get('x-content-type-options')]).toEqual([path, 'nosniff'])
        expect([path, headers.get('cross-origin-resource-policy')]).toEqual([path, 'same-origin'])
        for (const banner of ['server', 'x-powered-by', 'via']) expect([path, headers.get(banner)]).toEqual([path, null])
      }
    })

    test('has headers of its own, though many begin with the same', async () => {
      await using server = setUp({ front: { corsOrigins: ['https://app.example.org'] } })
      const ask = (headers: Record<string, string>) => server.door.fetch('/v2/health/live', { headers })
      const first = await ask({ origin: 'https://app.example.org', 'x-request-id': 'first' })
      expect(first.status).toBe(200)
      expect(first.headers.get('access-control-allow-origin')).toBe('https://app.example.org')
      const second = await ask({})
      expect(second.headers.get('access-control-allow-origin')).toBeNull()
      expect([first.headers.get('x-request-id'), second.headers.get('x-request-id')]).not.toContain(null)
      expect(second.headers.get('x-request-id')).not.toBe('first')
      expect([first.headers.get('vary'), second.headers.get('vary')]).toEqual(['Origin', 'Origin'])
    })
  })

  describe(`a URL, ${where}`, () => {
    test('that is too long is rejected before the token is looked at', async () => {
      await using server = setUp({ front: { urlBytesMax: 300 } })
      const long = `/private/info/?x=${'a'.repeat(300)}`
      expect(await answerOf(server.door.fetch(long))).toEqual(failure(414, 'The URL is longer than this server accepts'))
      expect((await server.door.fetch('/private/info/?x=a')).status).toBe(401)
    })

    test('whose path has a broken percent-encoding is no path, in a parameter too, and a query may have one', async () => {
      await using server = setUp({})
      const headers = bearer('*')
      for (const path of [
        '/models/%s/',
        '/models/%',
        '/models/iris%zz/',
        '/models/%ff/',
        '/v2/models/%E0%A4%A/versions/1',
        '/%c0',
      ])
        expect([path, (await server.door.fetch(path, { headers })).status]).toEqual([path, 404])
      for (const path of ['/models/iris/?%', '/models/%69ris/', '/models/iris/?x=%zz'])
        expect([path, (await server.door.fetch(path, { headers })).status]).toEqual([path, 200])
    })
  })

  describe(`a host, ${where}`, () => {
    test('that is not in the list is rejected, in any case and with any port', async () => {
      const name = index === 0 ? 'localhost' : '127.0.0.1'
      await using server = setUp({ front: { allowedHosts: [name.toUpperCase()] } })
      await using other = setUp({ front: { allowedHosts: ['models.example.org'] } })
      expect((await server.door.fetch('/public/info/')).status).toBe(200)
      expect(await answerOf(other.door.fetch('/public/info/'))).toEqual(
        failure(421, 'This server does not answer to that host name'),
      )
      expect((await other.door.fetch('/v2/models/iris/infer', { method: 'POST' })).status).toBe(421)
    })
  })

  if (index === 1) {
    test('a health check without a host is answered whatever names the server answers to, and counted by its address', async () => {
      await using server = setUp({ front: { allowedHosts: ['models.example.org'], addressRequestsPerMinute: 2 } })
      const port = Number(new URL(server.door.base).port)
      const statusOf = async (path: string) =>
        Number(/^HTTP\/1\.1 (\d{3})/.exec(await exchangeRaw(port, [`GET ${path} HTTP/1.0\r\n\r\n`]))?.[1])
      expect([await statusOf('/v2/health/ready'), await statusOf('/public/info/')]).toEqual([200, 400])
      expect([await statusOf('/v2/health/live'), await statusOf('/v2/health/live')]).toEqual([200, 429])
      expect((await server.door.fetch('/v2/health/live')).status).toBe(421)
    })
  }

  describe(`a page of another origin, ${where}`, () => {
    const preflight = (origin: string) => ({
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' },
    })
    const corsOf = ({ headers }: Response) =>
      [...headers].filter(([name]) => name.startsWith('access-control-')).map(([name, value]) => `${name}: ${value}`)

    test('gets nothing by default', async () => {
      await using server = setUp({})
      const response = await server.door.fetch('/models/iris/predict/', preflight('https://app.example.org'))
      expect([response.status, corsOf(response)]).toEqual([405, []])
      expect(corsOf(await server.door.fetch('/public/info/', { headers: { origin: 'https://app.example.org' } }))).toEqual([])
    })

    test('may ask where it is in the list, for the methods that the path has, and with no cookie', async () => {
      await using server = setUp({ front: { corsOrigins: ['https://app.example.org'] } })
      const response = await server.door.fetch('/models/iris/predict/', preflight('https://app.example.org'))
      expect([response.status, response.headers.get('vary')]).toEqual([204, 'Origin'])
      expect(corsOf(response)).toEqual([
        expect.stringContaining('access-control-allow-headers: authorization, content-type'),
        'access-control-allow-methods: POST',
        'access-control-allow-origin: https://app.example.org',
        expect.stringContaining('access-control-expose-headers: x-request-id'),
        'access-control-max-age: 600',
      ])
      expect(response.headers.get('access-control-allow-headers')?.split(', ')).toContain('if-match')
      const asked = await server.door.fetch('/private/info/', { headers: { origin: 'https://app.example.org' } })
      expect(asked.headers.get('access-control-expose-headers')?.split(', ')).toContain('etag')
      expect([asked.status, asked.headers.get('access-control-allow-origin')]).toEqual([401, 'https://app.example.org'])
      expect(asked.headers.get('access-control-allow-credentials')).toBeNull()
    })

    test('gets nothing where another is in the list, however like it is', async () => {
      await using server = setUp({ front: { corsOrigins: ['https://app.example.org'] } })
      for (const origin of [
        'null',
        '*',
        'http://app.example.org',
        'https://app.example.org.evil.example',
        'https://APP.example.org',
        'https://app.example.org:8443',
      ]) {
        const response = await server.door.fetch('/models/iris/predict/', preflight(origin))
        expect([origin, response.status, corsOf(response)]).toEqual([origin, 405, []])
        const asked = await server.door.fetch('/public/info/', { headers: { origin } })
        expect([origin, corsOf(asked), asked.headers.get('vary')]).toEqual([origin, [], 'Origin'])
      }
    })
  })

  describe(`the limit of an address, ${where}`, () => {
    test('is reported in the headers of the draft, and rejects what is over it until its time', async () => {
      const clock = { ms: 1000 }
      await using server = setUp({ front: { addressRequestsPerMinute: 2, now: () => clock.ms } })
      const first = await server.door.fetch('/public/info/')
      expect([first.headers.get('ratelimit-policy'), first.headers.get('ratelimit')]).toEqual([
        '"address";q=2;w=60',
        '"address";r=1;t=30',
      ])
      await server.door.fetch('/nowhere')
      const refused = await server.door.fetch('/private/info/')
      expect([refused.headers.get('retry-after'), refused.headers.get('ratelimit')]).toEqual(['30', '"address";r=0;t=60'])
      expect(await answerOf(refused)).toEqual(failure(429, 'Too many requests; try again later'))
      clock.ms += 30_000
      expect((await server.door.fetch('/public/info/')).status).toBe(200)
    })

    test('is not escaped by a header that anyone can write', async () => {
      await using server = setUp({ front: { addressRequestsPerMinute: 1 } })
      const statuses: number[] = []
      for (const address of ['192.0.2.1', '192.0.2.2', '192.0.2.3']) {
        statuses.push((await server.door.fetch('/public/info/', { headers: { 'x-forwarded-for': address } })).status)
      }
      expect(statuses).toEqual([200, 429, 429])
    })

    if (index === 1) {
      test('is that of the client where a trusted proxy names it', async () => {
        await using server = setUp({ front: { addressRequestsPerMinute: 1, trustedProxies: ['127.0.0.1'] } })
        const statusFor = async (forwarded: string) =>
          (await server.door.fetch('/public/info/', { headers: { 'x-forwarded-for': forwarded } })).status
        expect(await statusFor('192.0.2.1')).toBe(200)
        expect(await statusFor('192.0.2.1')).toBe(429)
        expect(await statusFor('192.0.2.2')).toBe(200)
        expect(await statusFor('192.0.2.99, 192.0.2.2')).toBe(429)
      })
    }
  })

  describe(`the limits of a role, ${where}`, () => {
    const clock = { ms: 1000 }
    const front = { now: () => clock.ms }
    const rateLimits = [
      { role: 'default', requestsPerMinute: 2 },
      { role: 'analyst', requestsPerMinute: 4, rowsPerMinute: 10 },
      { role: 'single', concurrent: 1 },
      { role: 'free' },
    ]
    const statuses = async (server: ReturnType<typeof setUp>, headers: Record<string, string>, count: number) => {
      const seen: number[] = []
      for (let each = 0; each < count; each += 1) seen.push((await server.door.fetch('/models/', { headers })).status)
      return seen
    }

    test('count each subject for itself, and those without a role by the default', async () => {
      await using server = setUp({ front, rateLimits })
      expect(await statuses(server, bearer('model:iris:read'), 3)).toEqual([200, 200, 429])
      expect(await statuses(server, withRole('unknown', 'other'), 3)).toEqual([200, 200, 429])
      expect(await statuses(server, withRole('analyst', 'anna'), 5)).toEqual([200, 200, 200, 200, 429])
      expect(await statuses(server, withRole('free', 'fred'), 20)).toEqual(Array(20).fill(200))
    })

    test('give a token with several roles the widest', async () => {
      await using server = setUp({ front, rateLimits })
      const roles = { analyst: [], free: [] }
      const token = tokenWith(['*'], { sub: 'both', data: { permissions: ['*'], roles } })
      expect(await statuses(server, { authorization: `Bearer ${token}` }, 10)).toEqual(Array(10).fill(200))
    })

    test('name the role and what is left, and come after the token: a stranger is a 401', async () => {
      await using server = setUp({ front, rateLimits })
      const response = await server.door.fetch('/models/', { headers: withRole('analyst', 'ann') })
      expect([response.headers.get('ratelimit-policy'), response.headers.get('ratelimit')]).toEqual([
        '"analyst";q=4;w=60',
        '"analyst";r=3;t=15',
      ])
      for (let each = 0; each < 10; each += 1) expect((await server.door.fetch('/models/')).status).toBe(401)
    })

    test('count rows of predictions in both forms', async () => {
      await using server = setUp({ front, rateLimits })
      const predict = (rows: number) =>
        server.door.fetch('/models/iris/predict/', { method: 'POST', headers: withRole('analyst', 'rita'), body: body(rows) })
      expect([(await predict(6)).status, (await predict(6)).status, (await predict(4)).status]).toEqual([200, 429, 200])
      const inputs = [{ name: 'X', datatype: 'FP32', shape: [8, 4], data: Array(32).fill(1) }]
      const infer = { method: 'POST', headers: withRole('analyst', 'rolf'), body: JSON.stringify({ inputs }) }
      expect((await server.door.fetch('/v2/models/iris/infer', infer)).status).toBe(200)
      const refused = await server.door.fetch('/v2/models/iris/infer', infer)
      expect([refused.status, await refused.json(), refused.headers.get('retry-after')]).toEqual([
        429,
        { error: 'Too many requests; try again later' },
        '36',
      ])
    })

    test('let one request of a subject run at once, and the next when it is answered', async () => {
      await using server = setUp({ front, rateLimits })
      const init = { method: 'POST', headers: withRole('single', 'sam'), body: body(5000) }
      const both = await Promise.all([1, 2].map(async () => (await server.door.fetch('/models/iris/predict/', init)).status))
      expect(both.sort()).toEqual([200, 429])
      expect((await server.door.fetch('/models/iris/predict/', init)).status).toBe(200)
    })
  })
}

test('a health check without a host is answered under TLS as well, and nothing else is', async () => {
  const { cert, key } = makeCertificate()
  const app = createServer(engine, { isTls: true, operations: {} })
  app.listen({ port: 0, hostname: '127.0.0.1', tls: { cert, key } })
  const statusOf = (path: string) => {
    const { promise, resolve } = Promise.withResolvers<number>()
    let answer = ''
    const socket = connect({ port: app.server?.port ?? 0, host: '127.0.0.1', rejectUnauthorized: false }, () => {
      socket.write(`GET ${path} HTTP/1.0\r\n\r\n`)
    })
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1')
    })
    socket.on('error', () => undefined)
    socket.on('close', () => resolve(Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0)))
    return promise
  }
  expect([await statusOf('/v2/health/ready'), await statusOf('/v2/health/live?x'), await statusOf('/public/info/')]).toEqual([
    200, 200, 400,
  ])
  await app.stop(true)
})
