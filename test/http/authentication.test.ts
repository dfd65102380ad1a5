import { afterAll, describe, expect, test } from 'bun:test'
import { generateKeyPairSync } from 'node:crypto'
import { type AnyElysia, Elysia, status, t } from 'elysia'
import { type Authenticator, createAuthenticator } from '../../src/auth/authenticator.ts'
import { guard } from '../../src/http/authentication.ts'
import { type AuthenticationOptions, authentication, type VerifiedJwt } from '../../src/index.ts'
import { answerOf, DOORS, failure } from '../support/doors.ts'
import { echoOf } from '../support/echo.ts'
import { ManualSchedule, startKeyServer, testKey } from '../support/key-server.ts'
import { bearer, makeToken, nowSeconds, SECRET, tokenWith } from '../support/tokens.ts'
import { until } from '../support/until.ts'

const UNAUTHORIZED = failure(401, 'Unauthorized')
const FORBIDDEN = failure(403, 'Insufficient permissions')
const OTHER_SECRET = 'another secret that is long enough to be one, and not ours'
const MALFORMED = failure(400, 'The Authorization header must be one scheme, a space and one token')

/** Tokens that are verified at once, and those that may have to wait: each has hooks of its own. */
const KINDS: Readonly<Record<string, Partial<AuthenticationOptions>>> = {
  'at once': {},
  'that may wait': {
    decryptionKey: generateKeyPairSync('rsa', { modulusLength: 2048 })
      .privateKey.export({ type: 'pkcs8', format: 'pem' })
      .toString(),
  },
}

/** An app of somebody's own, with the plugin used before its routes or after them. */
function createOwnApp(order: 'before' | 'after', kind: Partial<AuthenticationOptions>): AnyElysia {
  const plugin = authentication({ secret: SECRET, realm: 'test', ...kind })
  // The casts stand in for what an app that is written in one chain gets from its types.
  const app = new Elysia({ handler: { standardHostname: false }, serve: { reusePort: false } }) as unknown as Elysia
  if (order === 'before') app.use(plugin)
  const p1 = { permissions: ['p1'] } as object
  app
    .get('/open', () => 'open')
    .get('/p1', (context) => ({ subject: (context as unknown as { token: VerifiedJwt }).token.payload.sub }), p1)
    .get('/both', () => 'both', { permissions: ['p1', 'p2'] } as object)
    .get('/any', () => 'any', { permissions: [] } as object)
    .get('/static', 'static', p1)
    .get('/name/:name', ({ params }) => params.name, { permissions: ({ name }: { name: string }) => [`see:${name}`] } as object)
    .get('/query', ({ query }) => query, { ...p1, query: t.Object({ n: t.Number() }) })
    .post('/schema', ({ body }) => body, { ...p1, body: t.Object({ a: t.Number() }) })
    .post('/inferred', ({ body }) => body as object, p1)
    .post('/unparsed', async ({ request }) => (await request.text()).length, { ...p1, parse: 'none' })
    .post('/raw', async ({ request }) => (await request.text()).length, p1)
    .post('/unread', async ({ request }) => (await request.text()).length, { ...p1, parse: 'none', body: t.Optional(t.Any()) })
    .post('/unread-list', async ({ request }) => (await request.text()).length, {
      ...p1,
      parse: ['none'],
      body: t.Optional(t.Any()),
    })
    .group('/group', (group) => group.get('/p1', () => 'group', p1))
    .use(new Elysia({ prefix: '/plugin' }).get('/p1', () => 'plugin', p1))
    .ws('/socket', { ...p1, message: (socket, message) => void socket.send(message) })
  if (order === 'after') app.use(plugin)
  return app
}

/** An app whose own prefix stands before each of its paths. */
function createPrefixedApp(order: 'before' | 'after'): AnyElysia {
  const plugin = authentication({ secret: SECRET })
  const options = { prefix: '/api', handler: { standardHostname: false }, serve: { reusePort: false } } as const
  // The casts: as in `createOwnApp`.
  const app = new Elysia(options) as unknown as Elysia
  if (order === 'before') app.use(plugin)
  const p1 = { permissions: ['p1'] } as object
  app
    .get('/p1', () => 'p1', p1)
    .get('/name/:name', ({ params }) => params.name, p1)
    .post('/p1', () => 'post', p1)
    .group('/group', (group) => group.get('/p1', () => 'group', p1))
    .use(new Elysia({ prefix: '/plugin' }).get('/p1', () => 'plugin', p1))
  if (order === 'after') app.use(plugin)
  return app
}

for (const order of ['before', 'after'] as const) {
  for (const open of DOORS) {
    const door = open(createPrefixedApp(order))
    afterAll(door.close)

    test(`an app with a prefix has its routes guarded, with authentication used ${order} them, ${door.name}`, async () => {
      const routes = [
        ['GET', '/api/p1', 'p1'],
        ['GET', '/api/name/x', 'x'],
        ['POST', '/api/p1', 'post'],
        ['GET', '/api/group/p1', 'group'],
        ['GET', '/api/plugin/p1', 'plugin'],
      ] as const
      for (const [method, path, body] of routes) {
        const ask = (headers: Record<string, string>) => answerOf(door.fetch(path, { method, headers }))
        expect([path, await ask({})]).toEqual([path, UNAUTHORIZED])
        expect([path, await ask(bearer('other'))]).toEqual([path, FORBIDDEN])
        expect([path, await ask(bearer('p1'))]).toEqual([path, { status: 200, body }])
        expect((await door.fetch(`/api${path}`, { method, headers: bearer('p1') })).status).toBe(404)
      }
    })
  }
}

const OWN_APPS = Object.entries(KINDS).flatMap(([name, kind]) =>
  (['before', 'after'] as const).map((order) => ({ what: `authentication ${name} used ${order} the routes`, order, kind })),
)
for (const { what, order, kind } of OWN_APPS) {
  for (const open of DOORS) {
    const door = open(createOwnApp(order, kind))
    afterAll(door.close)
    const get = (path: string, headers: Record<string, string> = {}) => answerOf(door.fetch(path, { headers }))
    const post = (path: string, body: string, headers: Record<string, string> = {}) =>
      answerOf(door.fetch(path, { method: 'POST', body, headers: { 'content-type': 'application/json', ...headers } }))

    describe(`${what}, ${door.name}`, () => {
      test('leaves a route without permissions open', async () => {
        expect(await get('/open')).toEqual({ status: 200, body: 'open' })
      })

      for (const path of [
        '/p1',
        '/p1/',
        '/both',
        '/any',
        '/static',
        '/name/x',
        '/query',
        '/query?n=1',
        '/group/p1',
        '/plugin/p1',
      ]) {
        test(`rejects a caller without a token at ${path}`, async () => {
          expect(await get(path)).toEqual(UNAUTHORIZED)
        })

        test(`rejects a caller without a token's HEAD at ${path}`, async () => {
          expect((await door.fetch(path, { method: 'HEAD' })).status).toBe(401)
        })
      }

      for (const path of ['/p1', '/both', '/static', '/name/x', '/query?n=1', '/group/p1', '/plugin/p1']) {
        test(`rejects a token without the permission at ${path}`, async () => {
          expect(await get(path, bearer('other'))).toEqual(FORBIDDEN)
        })
      }

      test('lets in a token with the permission', async () => {
        expect(await get('/p1', bearer('p1'))).toEqual({ status: 200, body: { subject: 'tester' } })
        expect(await get('/static', bearer('p1'))).toEqual({ status: 200, body: 'static' })
        expect(await get('/group/p1', bearer('p1'))).toEqual({ status: 200, body: 'group' })
        expect(await get('/plugin/p1', bearer('p1'))).toEqual({ status: 200, body: 'plugin' })
      })

      test('asks for all the permissions of a route', async () => {
        expect(await get('/both', bearer('p1'))).toEqual(FORBIDDEN)
        expect(await get('/both', bearer('p1', 'p2'))).toEqual({ status: 200, body: 'both' })
      })

      test('counts the permissions of roles', async () => {
        const payload = { exp: nowSeconds() + 60, data: { permissions: ['p1'], roles: { r: ['p2'] } } }
        expect(await get('/both', { authorization: `Bearer ${makeToken({ payload })}` })).toEqual({ status: 200, body: 'both' })
      })

      test('asks for any valid token where the list is empty', async () => {
        expect(await get('/any', bearer())).toEqual({ status: 200, body: 'any' })
      })

      test('gives a requirement that is a function the parameters of the path', async () => {
        expect(await get('/name/iris', bearer('see:iris'))).toEqual({ status: 200, body: 'iris' })
        expect(await get('/name/digits', bearer('see:iris'))).toEqual(FORBIDDEN)
      })

      test('rejects a caller without a token before the body or the query is judged', async () => {
        for (const body of ['{"a":1}', '{"a":"x"}', '{', '']) {
          expect(await post('/schema', body)).toEqual(UNAUTHORIZED)
          expect(await post('/inferred', body)).toEqual(UNAUTHORIZED)
          for (const path of ['/unparsed', '/raw', '/unread', '/unread-list'])
            expect(await post(path, body)).toEqual(UNAUTHORIZED)
        }
        expect(await get('/query?n=x')).toEqual(UNAUTHORIZED)
      })

      test('lets the body through to those who may', async () => {
        expect(await post('/schema', '{"a":1}', bearer('p1'))).toEqual({ status: 200, body: { a: 1 } })
        expect(await post('/inferred', '{"a":1}', bearer('p1'))).toEqual({ status: 200, body: { a: 1 } })
        for (const path of ['/unparsed', '/raw', '/unread', '/unread-list'])
          expect(await post(path, '{"a":1}', bearer('p1'))).toEqual({ status: 200, body: 7 })
      })

      test('takes the token from the cookie where the header is absent', async () => {
        expect((await get('/p1', { cookie: `access_token=${tokenWith(['p1'])}` })).status).toBe(200)
        expect(await get('/p1', { cookie: `access_token=${tokenWith([])}` })).toEqual(FORBIDDEN)
        expect(await get('/p1', { cookie: `other=${tokenWith(['p1'])}` })).toEqual(UNAUTHORIZED)
      })

      test('never falls back from a bad header to a good cookie', async () => {
        const cookie = `access_token=${tokenWith(['p1'])}`
        expect(await get('/p1', { cookie, authorization: 'Bearer x.y.z' })).toEqual(UNAUTHORIZED)
        expect(await get('/p1', { cookie, authorization: 'Foo token' })).toEqual(MALFORMED)
      })

      test('rejects a malformed header with 400', async () => {
        const token = tokenWith(['p1'])
        for (const authorization of [
          'x',
          token,
          'Bearer',
          `Basic ${token}`,
          `Bearer ${token} ${token}`,
          `Bearer ${token}, Bearer ${token}`,
        ]) {
          expect(await get('/p1', { authorization })).toEqual(MALFORMED)
        }
      })

      test('rejects every token that is not right, in the same words', async () => {
        const good = { exp: nowSeconds() + 60, data: { permissions: ['p1'] } }
        const [head, body] = makeToken({ payload: good }).split('.')
        const bad = [
          'x',
          'x.y.z',
          '..',
          'a'.repeat(9000),
          makeToken({ payload: { ...good, exp: nowSeconds() - 60 }, secret: OTHER_SECRET }),
          makeToken({ payload: { ...good, nbf: nowSeconds() + 60 }, secret: OTHER_SECRET }),
          makeToken({ payload: { data: good.data }, signature: '' }),
          makeToken({ payload: { ...good, aud: 'another' }, header: { alg: 'none' }, signature: '' }),
          makeToken({ payload: { ...good, exp: nowSeconds() - 60 }, header: { alg: 'HS256', typ: 'rt+jwt' } }),
          makeToken({ payload: { ...good, exp: nowSeconds() - 60 }, header: { alg: 'HS256', kid: 'x', crit: ['exp'] } }),
          makeToken({ payload: good, secret: 'another secret that is long enough to be one' }),
          makeToken({ payload: good, header: { alg: 'none' }, signature: '' }),
          makeToken({ payload: good, header: { alg: 'HS512' }, hash: 'sha512' }),
          makeToken({ payload: good, header: { alg: 'HS256', typ: 'rt+jwt' } }),
          makeToken({ payload: good, header: { alg: 'HS256', crit: ['exp'] } }),
          makeToken({ payload: 'not json' }),
          `${head}.${body}.`,
          `${head}.${body}`,
        ]
        for (const token of bad) {
          const response = await door.fetch('/p1', { headers: { authorization: `Bearer ${token}` } })
          expect(response.headers.get('www-authenticate')).toBe('Bearer realm="test", error="invalid_token"')
          expect(await answerOf(response)).toEqual(UNAUTHORIZED)
        }
      })

      test('says when a token expired whose signature is right, in the body', async () => {
        for (const exp of [1_764_000_000, 1_764_000_000.75, 0]) {
          const token = makeToken({ payload: { sub: 'me', exp, data: { permissions: ['p1'] } } })
          const detail = `The access token expired at ${exp === 0 ? '1970-01-01T00:00:00Z' : '2025-11-24T16:00:00Z'}`
          const response = await door.fetch('/p1', { headers: { authorization: `Bearer ${token}` } })
          expect(response.headers.get('www-authenticate')).toEndWith('error_description="The access token expired"')
          expect(await answerOf(response)).toEqual(failure(401, detail))
        }
      })

      test('says why a token is rejected whose signature is right, in the header and in the body', async () => {
        const good = { sub: 'me', exp: nowSeconds() + 60, data: { permissions: ['p1'] } }
        const cases: readonly (readonly [claims: object, description: string])[] = [
          [{ exp: nowSeconds() - 60 }, 'The access token expired'],
          [{ nbf: nowSeconds() + 60, exp: nowSeconds() + 90 }, 'The access token is not valid yet'],
          [{ iat: nowSeconds() + 60, exp: nowSeconds() + 90 }, 'The access token was issued in the future; check the clocks'],
          [{ aud: 'another' }, 'The access token is for a different audience'],
          [{ exp: undefined }, 'The access token lacks a claim that this server requires'],
          [{ exp: String(good.exp) }, 'The access token has a claim that this server does not accept'],
        ]
        for (const [claims, description] of cases) {
          const token = makeToken({ payload: { ...good, ...claims } })
          const response = await door.fetch('/p1', { headers: { authorization: `Bearer ${token}` } })
          expect(response.headers.get('www-authenticate')).toBe(
            `Bearer realm="test", error="invalid_token", error_description="${description}"`,
          )
          const detail = description.endsWith('expired') ? expect.stringContaining(`${description} at `) : description
          expect(await answerOf(response)).toEqual(failure(401, detail))
          // The same claims under a signature that is not right say nothing.
          const forged = makeToken({ payload: { ...good, ...claims }, secret: OTHER_SECRET })
          const plain = await door.fetch('/p1', { headers: { authorization: `Bearer ${forged}` } })
          expect(plain.headers.get('www-authenticate')).toBe('Bearer realm="test", error="invalid_token"')
          expect(await answerOf(plain)).toEqual(UNAUTHORIZED)
        }
      })

      test('says in WWW-Authenticate what RFC 6750 asks for, and no more', async () => {
        const challengeOf = async (headers: Record<string, string>) =>
          (await door.fetch('/p1', { headers })).headers.get('www-authenticate')
        expect(await challengeOf({})).toBe('Bearer realm="test"')
        expect(await challengeOf({ authorization: 'Bearer x.y.z' })).toBe('Bearer realm="test", error="invalid_token"')
        expect(await challengeOf({ authorization: 'Foo' })).toBe('Bearer realm="test", error="invalid_request"')
        expect(await challengeOf(bearer('other'))).toBe('Bearer realm="test", error="insufficient_scope", scope="p1"')
      })
    })

    if (door.name === 'over a socket') {
      describe(`a WebSocket, with ${what}`, () => {
        const echo = (headers: Record<string, string>) => echoOf(door.base, headers)

        test('is rejected before the upgrade to those who may not', async () => {
          expect(await echo({})).toBe('refused')
          expect(await echo({ authorization: 'Bearer x.y.z' })).toBe('refused')
          expect(await echo(bearer('other'))).toBe('refused')
          const upgrade = {
            connection: 'Upgrade',
            upgrade: 'websocket',
            'sec-websocket-version': '13',
            'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
          }
          expect((await door.fetch('/socket', { headers: upgrade })).status).toBe(401)
        })

        test('is opened to those who may', async () => {
          expect(await echo(bearer('p1'))).toBe('hello')
        })

        test("is refused to another site's page that has the user's cookie", async () => {
          const cookie = `access_token=${tokenWith(['p1'])}`
          expect(await echo({ cookie, origin: 'https://evil.example' })).toBe('refused')
          expect(await echo({ cookie, origin: door.base })).toBe('hello')
        })
      })
    }
  }
}

describe('the body of a request without a token', () => {
  for (const [what, kind] of Object.entries(KINDS)) {
    for (const parse of [undefined, 'json', ['json']]) {
      test(`is not read, with tokens ${what} and the parser ${JSON.stringify(parse)}`, async () => {
        const app = new Elysia()
          .use(authentication({ secret: SECRET, ...kind }))
          .post('/schema', ({ body }) => body, { permissions: [], parse, body: t.Object({ a: t.Number() }) } as object)
        const ask = async (headers: Record<string, string>) => {
          const sent = { 'content-type': 'application/json', ...headers }
          const request = new Request('http://localhost/schema', { method: 'POST', body: '{"a":1}', headers: sent })
          const { status } = await app.handle(request)
          return [status, request.bodyUsed]
        }
        expect(await ask({})).toEqual([401, false])
        expect(await ask({ authorization: `Bearer ${makeToken({ payload: { exp: 1 } })}` })).toEqual([401, false])
        expect(await ask(bearer('p1'))).toEqual([200, true])
      })
    }
  }
})

describe('an error that has nothing to do with the token', () => {
  for (const [what, kind] of Object.entries(KINDS)) {
    test(`is answered as it is, with tokens ${what}, though the token is revoked meanwhile`, async () => {
      let isRevoked = false
      const app = new Elysia().use(authentication({ secret: SECRET, ...kind, isRevoked: () => isRevoked })).get(
        '/fails',
        () => {
          isRevoked = true
          throw new Error('a fault of the handler')
        },
        { permissions: [] } as object,
      )
      const ask = async () => (await app.handle(new Request('http://localhost/fails', { headers: bearer() }))).status
      expect([await ask(), await ask()]).toEqual([500, 401])
    })
  }
})

describe('a guard that could be skipped', () => {
  const auth = () => authentication({ secret: SECRET })
  const answer = () => 'answered by another hook'
  const p1 = (more: object = {}) => ({ permissions: ['p1'], ...more }) as object
  const cache = { cache: () => ({ beforeHandle: answer }), find: () => ({ resolve: () => status(200, answer()) }) }
  // A route's options, its groups, other macros and the app itself may all answer; none does so without a token.
  const answering: Readonly<Record<string, () => AnyElysia>> = {
    'a beforeHandle of the route': () => new Elysia().use(auth()).get('/x', () => 'x', p1({ beforeHandle: answer })),
    'a resolve of the route': () => new Elysia().use(auth()).get('/x', () => 'x', p1({ resolve: () => status(200, answer()) })),
    'a transform of the route': () =>
      new Elysia().use(auth()).get('/x', () => 'x', {
        ...p1(),
        transform: () => {
          throw status(200, answer())
        },
      }),
    'a beforeHandle of a guard': () =>
      new Elysia().use(auth()).guard({ beforeHandle: answer }, (app) => app.get('/x', () => 'x', p1())),
    'a beforeHandle of the app': () =>
      new Elysia()
        .use(auth())
        .onBeforeHandle(answer)
        .get('/x', () => 'x', p1()),
    'a beforeHandle of a plugin before this one': () =>
      new Elysia()
        .use(new Elysia().onBeforeHandle({ as: 'global' }, answer))
        .use(auth())
        .get('/x', () => 'x', p1()),
    'a beforeHandle of a route before the plugin': () =>
      new Elysia().get('/x', () => 'x', p1({ beforeHandle: answer })).use(auth()),
    'another macro': () =>
      new Elysia()
        .use(auth())
        .macro(cache)
        .get('/x', () => 'x', { cache: true, ...p1() } as object),
    'another macro that resolves': () =>
      new Elysia()
        .use(auth())
        .macro(cache)
        .get('/x', () => 'x', { find: true, ...p1() } as object),
    'a beforeHandle, compiled for each request': () =>
      new Elysia({ aot: false }).use(auth()).get('/x', () => 'x', p1({ beforeHandle: answer })),
    ...Object.fromEntries(
      ['beforeHandle', 'resolve', 'transform', 'error'].map((name) => [
        `a ${name} beside options that another route has used`,
        () => {
          const shared = p1()
          const own = { [name]: () => (name === 'transform' ? undefined : answer()) }
          return new Elysia()
            .use(auth())
            .group('', (group) => group.get('/y', () => 'y', shared).get('/x', () => answer(), { ...shared, ...own } as object))
        },
      ]),
    ),
  }

  for (const [what, build] of Object.entries(answering)) {
    test(`comes before ${what}`, async () => {
      const app = build()
      const ask = async (headers: Record<string, string>) =>
        (await app.handle(new Request('http://localhost/x', { headers }))).status
      expect([await ask({}), await ask(bearer('p2')), await ask(bearer('p1'))]).toEqual([401, 403, 200])
    })
  }

  test('checks the functions of a macro and of its route', async () => {
    const app = new Elysia()
      .use(auth())
      .macro({ admin: () => ({ permissions: () => ['p1'] as const }) })
      .get('/x', () => 'x', { admin: true, permissions: () => ['p2'] } as object)
    const ask = async (...permissions: string[]) =>
      (await app.handle(new Request('http://localhost/x', { headers: bearer(...permissions) }))).status
    expect([await ask('p1'), await ask('p2'), await ask('p1', 'p2')]).toEqual([403, 403, 200])
  })

  test('rejects with the same text where the route came before the plugin', async () => {
    const app = new Elysia().get('/x', () => 'x', p1()).use(auth())
    const ask = (headers: Record<string, string>) => answerOf(app.handle(new Request('http://localhost/x', { headers })))
    const forged = makeToken({ payload: { sub: 'me' }, secret: OTHER_SECRET })
    for (const headers of [{}, { authorization: `Bearer ${forged}` }]) expect(await ask(headers)).toEqual(UNAUTHORIZED)
    expect(await ask(bearer('p2'))).toEqual(FORBIDDEN)
  })

  for (const value of [undefined, null, true, false, 'p1', [''], [1], ['p1', ''], ['p1', 1], {}]) {
    test(`is rejected at the start: permissions ${JSON.stringify(value)}`, () => {
      const app = new Elysia().use(auth())
      expect(() => app.get('/x', () => 'x', { permissions: value } as object)).toThrow('"permissions" is a list of permissions')
    })
  }

  test('by another macro that gives no hooks is rejected at the start', () => {
    const silent = new Elysia().macro({ audit: (isOn: boolean) => (isOn ? { beforeHandle() {} } : (undefined as never)) })
    const app = new Elysia().use(auth()).use(silent) as unknown as Elysia
    expect(() => app.get('/x', () => 'x', { audit: false, permissions: ['p1'] } as object)).toThrow('nothing checks them')
  })

  test('works beside hooks that are bound, or return promises no one awaits', async () => {
    const later = Promise.resolve()
    const app = new Elysia()
      .use(auth())
      .onBeforeHandle(function (this: unknown) {}.bind({}))
      .resolve(({ request }) => (request.url === '' ? later : later) as never)
      .get('/x', () => 'secret', { permissions: ['p1'] })
    expect(await answerOf(app.handle(new Request('http://localhost/x')))).toEqual(UNAUTHORIZED)
    expect(await answerOf(app.handle(new Request('http://localhost/x', { headers: bearer('p1') })))).toEqual({
      status: 200,
      body: 'secret',
    })
  })

  test('holds in a plugin that has its own guard, whatever the parent does', async () => {
    const inner = new Elysia().use(auth()).get('/x', () => 'secret', { permissions: ['p1'] })
    const outer = new Elysia().use(inner)
    expect(await answerOf(outer.handle(new Request('http://localhost/x')))).toEqual(UNAUTHORIZED)
  })

  test('holds for both of two plugins with different secrets', async () => {
    const other = 'another secret that is long enough to be one'
    const app = new Elysia()
      .use(new Elysia().use(authentication({ secret: other })).get('/other', () => 'other', { permissions: ['p1'] }))
      .use(auth())
      .get('/own', () => 'own', { permissions: ['p1'] })
    const with_ = (secret: string) => {
      const payload = { exp: nowSeconds() + 60, data: { permissions: ['p1'] } }
      return { headers: { authorization: `Bearer ${makeToken({ payload, secret })}` } }
    }
    const status = async (path: string, secret: string) =>
      (await app.handle(new Request(`http://localhost${path}`, with_(secret)))).status
    expect([await status('/other', other), await status('/own', SECRET)]).toEqual([200, 200])
    expect([await status('/other', SECRET), await status('/own', other)]).toEqual([401, 401])
  })

  test('holds for routes that have answered before the plugin was used', async () => {
    const app = new Elysia()
      .get('/fixed', () => 'secret', { permissions: ['p1'] } as object)
      .get('/name/:name', () => 'secret', { permissions: ['p1'] } as object)
    const ask = (path: string, headers: Record<string, string> = {}) =>
      answerOf(app.handle(new Request(`http://localhost${path}`, { headers })))
    for (const path of ['/fixed', '/name/x']) expect(await ask(path)).toEqual({ status: 200, body: 'secret' })
    app.use(auth())
    for (const path of ['/fixed', '/name/x']) {
      expect([path, await ask(path)]).toEqual([path, UNAUTHORIZED])
      expect([path, await ask(path, bearer('p1'))]).toEqual([path, { status: 200, body: 'secret' }])
    }
  })

  test('is asked once for a route whose options are those of another, whatever they add', async () => {
    for (const more of [{}, { transform: undefined }, { transform: () => undefined }, { transform: [() => undefined] }]) {
      let asked = 0
      const needed = () => {
        asked += 1
        return ['p1']
      }
      const options = { permissions: needed }
      const app = new Elysia().use(auth()).get('/x', () => 'x', options)
      app.get('/y', () => 'y', { ...options, ...more })
      for (const path of ['/x', '/y']) {
        const ask = (headers: Record<string, string>) => answerOf(app.handle(new Request(`http://localhost${path}`, { headers })))
        expect([path, await ask({}), await ask(bearer('p2'))]).toEqual([path, UNAUTHORIZED, FORBIDDEN])
        asked = 0
        expect([await ask(bearer('p1')), asked]).toEqual([{ status: 200, body: path.slice(1) }, 1])
      }
    }
  })

  test('is not moved by a short Host header', async () => {
    const app = new Elysia({ handler: { standardHostname: false } })
      .use(auth())
      .get('/v1/open', () => 'open')
      .get('/open', () => 'secret', { permissions: ['p1'] })
    expect(await answerOf(app.handle(new Request('http://a/v1/open')))).toEqual({ status: 200, body: 'open' })
  })
})

test('an app that stops fetches no keys any more', async () => {
  await using server = startKeyServer(testKey('a'))
  const timer = new ManualSchedule()
  const issuers = [{ name: 'one', audiences: ['me'], jwksUrl: server.url }]
  const app = new Elysia({ serve: { reusePort: false } }).use(authentication({ issuers, schedule: timer.schedule })).listen(0)
  await until(() => timer.delays.length === 1, 'the keys are fetched')
  await app.stop()
  expect(timer.delays).toEqual([])
})

describe('routes that were made not to wait', () => {
  const ask = (app: AnyElysia, path: string, token: string, init: RequestInit = {}) =>
    app.handle(
      new Request(`http://localhost${path}`, { ...init, headers: { authorization: `Bearer ${token}`, ...init.headers } }),
    )
  const appWith = (authenticator: Authenticator, ran: string[]) =>
    new Elysia()
      .use(guard(authenticator))
      .get('/get', () => ran.push('get'), { permissions: [] })
      .post('/post', ({ body }) => ran.push(body.a), { permissions: [], body: t.Object({ a: t.String() }) })

  test('reject with 503 a token whose issuer came later, until its keys are there', async () => {
    await using server = startKeyServer(testKey('own'))
    const [key, own, answer] = [testKey('a'), testKey('own'), Promise.withResolvers<void>()]
    server.answer(async () => {
      await answer.promise
      return Response.json({ keys: [key.jwk] })
    })
    const authenticator = createAuthenticator({ keys: own.jwk })
    const ran: string[] = []
    const app = appWith(authenticator, ran)
    const issuers = [{ name: 'later', audiences: ['me'], jwksUrl: server.url, jwks: { timeoutMs: 200, cooldownSeconds: 1 } }]
    ;(await authenticator.prepareRules({ issuers })).apply()
    const claims = { iss: 'later', aud: 'me', exp: nowSeconds() + 60, iat: nowSeconds() }
    const token = key.sign(claims)
    const early = await ask(app, '/get', token)
    expect([early.status, early.headers.has('retry-after'), ran]).toEqual([503, true, []])
    answer.resolve()
    await until(async () => (await ask(app, '/get', token)).status === 200, 'the keys are there')
    expect((await ask(app, '/get', testKey('b').sign(claims))).status).toBe(401)
    authenticator.close()
  })

  test('fail closed where an authenticator gives a promise all the same', async () => {
    const ran: string[] = []
    const broken = { mayWait: false, authenticate: async () => ({ allows: () => true }), authorize: () => undefined }
    const app = appWith(broken as unknown as Authenticator, ran)
    const headers = { 'content-type': 'application/json' }
    const inits = [{}, { method: 'POST', body: '{"a":"post"}', headers }, { method: 'POST', body: '{', headers }]
    for (const init of inits) {
      const answer = ask(app, init.method === undefined ? '/get' : '/post', 'x', init)
      // Without an error hook of the application, Elysia passes what a hook throws on.
      expect(await answer.then(({ status }) => status, String)).toBeOneOf([500, expect.stringContaining('is given no promise')])
    }
    expect(ran).toEqual([])
  })
})

test('keys are one’s own, in one of two options, or those of issuers', () => {
  const issuer = { name: 'one', audiences: ['me'], keys: SECRET }
  for (const options of [
    { secret: SECRET },
    { keys: SECRET },
    { keys: `${SECRET}2`, issuers: [issuer] },
    { issuers: ['own', issuer] },
  ])
    expect(() => authentication(options)).not.toThrow()
  for (const options of [{}, { issuers: [] }, { issuers: ['own'] }])
    expect(() => authentication(options)).toThrow('needs a "secret" or "keys"')
  expect(() => authentication({ secret: SECRET, keys: SECRET })).toThrow('not both')
})

test('options that cannot work are rejected at the start', () => {
  expect(() => authentication({})).toThrow('needs a "secret" or "keys"')
  expect(() => authentication({ secret: SECRET, keys: SECRET })).toThrow('not both')
  expect(() => authentication({ secret: 'short' })).toThrow('at least 32')
  expect(() => authentication({ secret: SECRET, realm: 'a"b' })).toThrow('"realm"')
  expect(() => authentication({ secret: SECRET, algorithm: 'RS256' })).toThrow('cannot be used with RS256')
})
