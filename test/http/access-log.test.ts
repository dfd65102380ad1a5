import { afterAll, describe, expect, test } from 'bun:test'
import { createAccessLog } from '../../src/http/access-log.ts'
import type { RequestRecord } from '../../src/http/request-record.ts'
import { NO_ROUTE } from '../../src/http/route-table.ts'
import { type AppOptions, VestalError } from '../../src/index.ts'
import { jsonLine } from '../../src/telemetry/log/json-line.ts'
import { createLogger } from '../../src/telemetry/log/logger.ts'
import { DOORS } from '../support/doors.ts'
import { noteSecret } from '../support/secrets.ts'
import { bundledEngine, createServer } from '../support/server.ts'
import { bearer, makeToken, nowSeconds, SECRET, tokenWith } from '../support/tokens.ts'

const engine = await bundledEngine()
afterAll(() => engine.stop())

/** What is known of the client: nothing where there is no connection. */
const ADDRESSES = ['unknown', '127.0.0.1']

interface Line {
  readonly [field: string]: string | number
}

for (const [index, open] of DOORS.entries()) {
  const where = index === 0 ? 'in memory' : 'over a socket'
  const setUp = (operations: AppOptions['operations'] = {}, options: Partial<AppOptions> = {}) => {
    const lines: string[] = []
    const logger = createLogger({ level: 'debug', format: jsonLine, write: (line) => lines.push(line) })
    const door = open(createServer(engine, { ...options, operations: { logger, ...operations } }))
    const parsed = () => lines.map((line) => JSON.parse(line) as Line)
    return { door, lines, parsed, [Symbol.asyncDispose]: () => door.close() }
  }

  describe(`the log of requests, ${where}`, () => {
    test('has a line for each, with who asked for what and what became of it', async () => {
      await using server = setUp()
      const headers = {
        authorization: `Bearer ${tokenWith(['model:iris:predict'], { sub: 'anna', jti: 'token-7' })}`,
        traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
        'x-request-id': 'mine',
      }
      await server.door.fetch('/models/iris/predict/', { method: 'POST', headers, body: '{"input":[[5.1,3.5,1.4,0.2]]}' })
      expect(server.parsed()).toEqual([
        {
          time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
          level: 'info',
          message: 'request',
          requestId: 'mine',
          traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
          method: 'POST',
          route: '/models/:name/predict/',
          status: 200,
          durationMs: expect.any(Number),
          address: ADDRESSES[index] ?? '',
          subject: 'anna',
          tokenId: 'token-7',
          model: 'iris',
        },
      ])
    })

    test('names the issuer of a token with its subject, also where the token has expired', async () => {
      const keys = noteSecret('what another issuer signs with, of some sixty bytes or more....')
      const issuers = [{ name: 'https://there.example', keys, audiences: ['vestal'] }]
      await using server = setUp({}, { authentication: { secret: SECRET, issuers } })
      const claims = { iss: 'https://there.example', aud: 'vestal', sub: 'anna' }
      for (const exp of [nowSeconds() + 60, nowSeconds() - 60]) {
        const token = makeToken({ secret: keys, payload: { ...claims, exp } })
        await server.door.fetch('/private/info/', { headers: { authorization: `Bearer ${token}` } })
      }
      await server.door.fetch('/private/info/', { headers: { authorization: `Bearer ${tokenWith([], { sub: 'anna' })}` } })
      expect(server.parsed().map(({ issuer = '', subject = '', code = '' }) => [issuer, subject, code])).toEqual([
        ['https://there.example', 'anna', 'PERMISSION_MISSING'],
        ['https://there.example', 'anna', 'TOKEN_EXPIRED'],
        ['', 'anna', 'PERMISSION_MISSING'],
      ])
    })

    test('has the address that a trusted proxy tells, and from anyone else that of the connection', async () => {
      await using open = setUp()
      await using proxied = setUp({ front: { trustedProxies: ['127.0.0.0/8'] } })
      const headers = { 'x-forwarded-for': '198.51.100.9, 192.0.2.7' }
      for (const server of [open, proxied]) await server.door.fetch('/public/info/', { headers })
      const [direct = ''] = open.parsed().map(({ address }) => address)
      const [told = ''] = proxied.parsed().map(({ address }) => address)
      expect([direct, told]).toEqual([ADDRESSES[index] ?? '', index === 0 ? 'unknown' : '192.0.2.7'])
    })

    test('says why a request was rejected, which the caller is not told', async () => {
      await using server = setUp()
      const expired = makeToken({ payload: { sub: 'me', exp: nowSeconds() - 60 } })
      await server.door.fetch('/private/info/', { headers: { authorization: `Bearer ${expired}` } })
      await server.door.fetch('/private/info/', { headers: bearer('something:else') })
      await server.door.fetch('/nowhere/at/all?secret=hunter2hunter2')
      const seen = server.parsed().map(({ route = '', status = '', code = '', reason = '' }) => [route, status, code, reason])
      expect(seen).toEqual([
        ['/private/info/', 401, 'TOKEN_EXPIRED', expect.stringContaining('exp')],
        ['/private/info/', 403, 'PERMISSION_MISSING', 'needs my-permission-name'],
        ['other', 404, 'NOT_FOUND', 'Not Found'],
      ])
    })

    test('has the same id as the response', async () => {
      await using server = setUp()
      const response = await server.door.fetch('/public/info/')
      expect(server.parsed()[0]?.requestId).toBe(response.headers.get('x-request-id') ?? 'none')
    })

    test('leaves a traceparent out that is none', async () => {
      await using server = setUp()
      for (const traceparent of ['x', '00-00000000000000000000000000000000-00f067aa0ba902b7-01', '00-4bf9-00-01', '']) {
        await server.door.fetch('/public/info/', { headers: { traceparent } })
      }
      expect(server.parsed().map(({ traceId }) => traceId)).toEqual([undefined, undefined, undefined, undefined] as never)
    })

    test('can be kept to failures, or be off', async () => {
      await using failures = setUp({ accessLog: 'failures' })
      await using off = setUp({ accessLog: 'off' })
      for (const { door } of [failures, off]) {
        await door.fetch('/public/info/')
        await door.fetch('/private/info/')
      }
      expect(failures.parsed().map(({ status }) => status)).toEqual([401])
      expect(off.lines).toEqual([])
    })

    test('reports our own bug in full, with the id of the request, and the client nothing', async () => {
      await using server = setUp(
        {},
        {
          signIn: {
            isLoopbackHost: () => true,
            issue: () => {
              throw new TypeError('a planted bug')
            },
          },
        },
      )
      const body = JSON.stringify({ id: crypto.randomUUID() })
      const response = await server.door.fetch('/auth/', { method: 'POST', body })
      expect([response.status, await response.text()]).toEqual([500, expect.not.stringContaining('planted')])
      const [bug, request] = server.parsed()
      expect([bug?.level, bug?.message, bug?.error]).toEqual([
        'error',
        'a request met a bug',
        expect.stringContaining('TypeError: a planted bug'),
      ])
      expect([request?.level, request?.status, request?.code]).toEqual(['error', 500, 'INTERNAL'])
      expect(bug?.requestId).toBe(request?.requestId as string)
    })
  })

  describe(`no secret is logged, ${where}`, () => {
    test('wherever in a request it stands', async () => {
      const issue = (subject: string) => {
        throw new VestalError('INTERNAL', { reason: `cannot sign for ${subject}`, cause: new Error(`secret=${SECRET}`) })
      }
      await using server = setUp({}, { signIn: { isLoopbackHost: () => true, issue } })
      const good = tokenWith(['*'], { sub: 'me' })
      const secrets: string[] = [SECRET, good]
      for (const token of [
        good,
        `${good}x`,
        makeToken({ secret: 'x'.repeat(64) }),
        makeToken({ payload: { exp: 1 } }),
        good.slice(0, -5),
      ]) {
        secrets.push(token, token.split('.')[2] ?? '', token.split('.')[1] ?? '')
        const places: readonly (readonly [string, RequestInit])[] = [
          ['/private/info/', { headers: { authorization: `Bearer ${token}` } }],
          ['/private/info/', { headers: { authorization: `Basic ${token}` } }],
          ['/private/info/', { headers: { authorization: token } }],
          ['/private/info/', { headers: { authorization: `Bearer ${token} ${token}` } }],
          ['/private/info/', { headers: { cookie: `access_token=${token}` } }],
          ['/private/info/', { headers: { cookie: `access_token=${token}; access_token=${token}` } }],
          ['/private/info/', { headers: { 'x-request-id': token } }],
          ['/private/info/', { headers: { 'x-request-id': token.slice(0, 60), traceparent: token } }],
          [`/private/info/?access_token=${token}`, {}],
          [`/${token}`, {}],
          [`/models/${token}/`, { headers: { authorization: `Bearer ${good}` } }],
          [`/v2/models/${token}/infer`, { method: 'POST', headers: { authorization: `Bearer ${good}` }, body: '{}' }],
          [
            `/v2/models/iris/versions/${token}/infer`,
            { method: 'POST', headers: { authorization: `Bearer ${good}` }, body: '{}' },
          ],
          ['/models/iris/predict/', { method: 'POST', headers: { authorization: `Bearer ${good}` }, body: `{"${token}":1}` }],
          ['/models/iris/predict/', { method: 'POST', headers: { authorization: `Bearer ${good}` }, body: token }],
          [
            '/models/iris/predict/',
            { method: 'POST', headers: { authorization: `Bearer ${good}` }, body: `{"input":"${token}"}` },
          ],
          ['/auth/', { method: 'POST', body: JSON.stringify({ id: token, password: SECRET }) }],
          ['/auth/', { method: 'POST', body: JSON.stringify({ id: crypto.randomUUID(), password: SECRET }) }],
        ]
        for (const [path, init] of places) await (await server.door.fetch(path, init)).arrayBuffer()
      }
      expect(server.lines.length).toBeGreaterThan(80)
      const log = server.lines.join('\n')
      for (const secret of secrets.filter((text) => text.length > 8))
        expect([secret, log.includes(secret)]).toEqual([secret, false])
      expect(log).not.toMatch(/eyJ/)
    })
  })
}

test('a WebSocket has an address in its line, though its connection is no request any more', async () => {
  const lines: string[] = []
  const logger = createLogger({ level: 'debug', format: jsonLine, write: (line) => lines.push(line) })
  const app = createServer(engine, { operations: { logger } })
  app.listen({ port: 0, hostname: '127.0.0.1' })
  const socket = new WebSocket(`ws://127.0.0.1:${app.server?.port}/models/iris/live`, {
    headers: bearer('model:iris:predict'),
  } as never)
  const opened = Promise.withResolvers<void>()
  socket.onopen = () => opened.resolve()
  socket.onerror = () => opened.reject(new Error('it was not opened'))
  await opened.promise
  socket.close()
  await app.stop(true)
  expect(lines.map((line) => JSON.parse(line) as Line)).toEqual([
    expect.objectContaining({ route: '/models/:name/live', status: 101, address: '127.0.0.1' }),
  ])
})

test('a log without addresses looks up none', () => {
  for (const isShown of [true, false]) {
    const lines: string[] = []
    const write = (line: string) => void lines.push(line)
    const logger = createLogger({ level: 'info', format: jsonLine, write, ...(!isShown && { unshown: new Set(['address']) }) })
    let lookups = 0
    const addressOf = (_: Request, record: RequestRecord) => {
      lookups += 1
      record.address ??= '::1'
      return record.address
    }
    const log = createAccessLog(logger, () => 'all', addressOf)
    // The cast: what the log does not read of a record is left out.
    const record = { request: new Request('http://localhost/'), route: NO_ROUTE, status: 200, durationMs: 1 } as RequestRecord
    log.begun?.(record)
    log.answered?.(record)
    expect([lookups > 0, lines.join('').includes('::1'), lines.length]).toEqual([isShown, isShown, 1])
  }
})
