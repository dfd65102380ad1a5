import { afterAll, describe, expect, test } from 'bun:test'
import { type AnyElysia, Elysia, t } from 'elysia'
import { authentication, type VerifiedJwt } from '../../src/index.ts'
import { answerOf, DOORS, failure } from '../support/doors.ts'
import { echoOf } from '../support/echo.ts'
import { type KeyServer, ManualSchedule, startKeyServer, testKey } from '../support/key-server.ts'
import { ownApp } from '../support/own-app.ts'
import { bundledEngine, createServer } from '../support/server.ts'
import { nowSeconds } from '../support/tokens.ts'

const UNAUTHORIZED = failure(401, 'Unauthorized')
const FORBIDDEN = failure(403, 'Insufficient permissions')
const UNAVAILABLE = failure(503, 'The keys of the token’s issuer are unavailable; try again later')
const [A, STRANGER] = [testKey('a'), testKey('a')]

/** An app whose tokens are an issuer's alone: each of its guards may have to wait for the keys. */
function createOwnApp(keyServer: KeyServer, order: 'before' | 'after'): AnyElysia {
  const issuer = { name: 'https://one.example', audiences: ['vestal'], jwksUrl: keyServer.url, permissionClaims: ['scope'] }
  const plugin = authentication({ issuers: [issuer], realm: 'test', warn: () => undefined })
  // The casts stand in for what an app that is written in one chain gets from its types.
  const app = new Elysia({ handler: { standardHostname: false }, serve: { reusePort: false } }) as unknown as Elysia
  if (order === 'before') app.use(plugin)
  const p1 = { permissions: ['p1'] } as object
  app
    .get('/p1', (context) => ({ subject: (context as unknown as { token: VerifiedJwt }).token.payload.sub }), p1)
    .get('/static', 'static', p1)
    .get('/name/:name', ({ params }) => params.name, { permissions: ({ name }: { name: string }) => [`see:${name}`] } as object)
    .get('/query', ({ query }) => query, { ...p1, query: t.Object({ n: t.Number() }) })
    .post('/schema', ({ body }) => body, { ...p1, body: t.Object({ a: t.Number() }) })
    .post('/inferred', ({ body }) => body as object, p1)
    .post('/unparsed', async ({ request }) => (await request.text()).length, { ...p1, parse: 'none' })
    .use(new Elysia({ prefix: '/plugin' }).get('/p1', () => 'plugin', p1))
    .ws('/socket', { ...p1, message: (socket, message) => void socket.send(message) })
  if (order === 'after') app.use(plugin)
  return app
}

const bearer = (scope: string, key = A) => {
  const claims = { iss: 'https://one.example', aud: 'vestal', sub: 'me', exp: nowSeconds() + 60, scope }
  return { authorization: `Bearer ${key.sign(claims)}` }
}

for (const order of ['before', 'after'] as const) {
  for (const open of DOORS) {
    const keyServer = startKeyServer(A)
    const door = open(createOwnApp(keyServer, order))
    afterAll(async () => {
      await door.close()
      await keyServer.die()
    })
    const get = (path: string, headers: Record<string, string> = {}) => answerOf(door.fetch(path, { headers }))
    const post = (path: string, body: string, headers: Record<string, string> = {}) =>
      answerOf(door.fetch(path, { method: 'POST', body, headers: { 'content-type': 'application/json', ...headers } }))

    describe(`authentication by an issuer at an address, used ${order} the routes, ${door.name}`, () => {
      test('lets in what the issuer signed, at every kind of route', async () => {
        expect(await get('/p1', bearer('p1'))).toEqual({ status: 200, body: { subject: 'me' } })
        expect(await get('/static', bearer('p1'))).toEqual({ status: 200, body: 'static' })
        expect(await get('/name/iris', bearer('see:iris'))).toEqual({ status: 200, body: 'iris' })
        expect(await get('/query?n=1', bearer('p1'))).toEqual({ status: 200, body: { n: 1 } })
        expect(await get('/plugin/p1', bearer('p1'))).toEqual({ status: 200, body: 'plugin' })
        expect(await post('/schema', '{"a":1}', bearer('p1'))).toEqual({ status: 200, body: { a: 1 } })
        expect(await post('/inferred', '{"a":1}', bearer('p1'))).toEqual({ status: 200, body: { a: 1 } })
        expect(await post('/unparsed', '{"a":1}', bearer('p1'))).toEqual({ status: 200, body: 7 })
      })

      for (const path of ['/p1', '/static', '/name/x', '/query', '/query?n=1', '/plugin/p1']) {
        test(`rejects callers without a token, forgers and those without the permission at ${path}`, async () => {
          expect(await get(path)).toEqual(UNAUTHORIZED)
          expect(await get(path, bearer('p1 see:x', STRANGER))).toEqual(UNAUTHORIZED)
          expect((await door.fetch(path, { method: 'HEAD' })).status).toBe(401)
          if (path !== '/query') expect(await get(path, bearer('other'))).toEqual(FORBIDDEN)
        })
      }

      test('rejects a caller without a token before the body is judged', async () => {
        for (const body of ['{"a":1}', '{"a":"x"}', '{', '']) {
          for (const path of ['/schema', '/inferred', '/unparsed']) {
            expect(await post(path, body)).toEqual(UNAUTHORIZED)
            expect(await post(path, body, bearer('p1', STRANGER))).toEqual(UNAUTHORIZED)
          }
        }
      })

      if (door.name === 'over a socket')
        test('guards the upgrade to a WebSocket', async () => {
          const echo = (headers: Record<string, string>) => echoOf(door.base, headers)
          expect(await echo(bearer('p1'))).toBe('hello')
          expect([await echo({}), await echo(bearer('p2')), await echo(bearer('p1', STRANGER))]).toEqual([
            'refused',
            'refused',
            'refused',
          ])
        })
    })
  }
}

for (const [index, open] of DOORS.entries()) {
  test(`an issuer whose keys cannot be had is a 503 with Retry-After and no challenge, at door ${index + 1}`, async () => {
    await using keyServer = startKeyServer()
    const door = open(createOwnApp(keyServer, 'before'))
    try {
      const response = await door.fetch('/p1', { headers: bearer('p1') })
      const { headers } = response
      expect(await answerOf(response)).toEqual(UNAVAILABLE)
      expect([headers.get('retry-after'), headers.get('www-authenticate')]).toEqual(['1', null])
      const body = await answerOf(door.fetch('/schema', { method: 'POST', body: '{', headers: bearer('p1') }))
      expect(body).toEqual(UNAVAILABLE)
      // Who names no token, or a stranger's, hears what they would hear anyway.
      expect(await answerOf(door.fetch('/p1'))).toEqual(UNAUTHORIZED)
    } finally {
      await door.close()
    }
  })
}

test('an app that is stopped fetches no keys any more', async () => {
  await using keyServer = startKeyServer(A)
  const waiting = new ManualSchedule()
  const issuer = { name: 'https://one.example', audiences: ['vestal'], jwksUrl: keyServer.url }
  const app = ownApp(authentication({ issuers: [issuer], schedule: waiting.schedule }), ['p1'])
  app.listen({ port: 0, hostname: '127.0.0.1' })
  await fetch(`http://127.0.0.1:${app.server?.port}/p1`, { headers: bearer('p1') })
  expect(waiting.delays).toEqual([300_000])
  await app.stop(true)
  expect(waiting.delays).toEqual([])
})

test('a server waits for the keys of the first token, serves it as any other, and counts it', async () => {
  await using keyServer = startKeyServer(A)
  const engine = await bundledEngine()
  const issuers = [{ name: 'https://one.example', audiences: ['vestal'], jwksUrl: keyServer.url, permissionClaims: ['scope'] }]
  const app = createServer(engine, { authentication: { issuers, warn: () => undefined }, operations: {} })
  try {
    const get = (path: string, headers: Record<string, string>) => app.handle(new Request(`http://localhost${path}`, { headers }))
    const first = await get('/v2/models', bearer('model:iris:read'))
    expect([first.status, await first.json()]).toEqual([200, { models: ['iris'] }])
    expect((await get('/v2/models', bearer('model:iris:read', STRANGER))).status).toBe(401)
    const metrics = await (await get('/metrics', bearer('metrics:read'))).text()
    expect(metrics).toMatch(/vestal_token_verifications_total\{[^}]*outcome="accepted"[^}]*\} 2/)
  } finally {
    await engine.stop()
  }
})
