import { afterAll, describe, expect, test } from 'bun:test'
import { noAccounts } from '../support/accounts.ts'
import { DOORS, failure } from '../support/doors.ts'
import { bundledEngine, createServer } from '../support/server.ts'
import { bearer } from '../support/tokens.ts'

/** Everything that a stranger may ask. A route that is neither here nor asks for permissions is a bug. */
const OPEN = [
  'GET /',
  'GET /public/info/',
  'GET /.well-known/jwks.json',
  'GET /.well-known/oauth-authorization-server',
  'POST /auth/',
  'POST /auth/refresh/',
  'POST /oauth/token',
  'POST /oauth/revoke',
  'GET /docs',
  'GET /docs/openapi.json',
  'GET /docs/assets/start.js',
  'GET /docs/assets/start.css',
  'GET /docs/assets/swagger-ui.css',
  'GET /docs/assets/swagger-ui-bundle.js',
  'GET /docs/assets/favicon-32x32.png',
  'GET /v2/health/live',
  'GET /v2/health/ready',
]

/** For any valid token: a list holds only what the token may read, and an account's own is its own. */
const ANY_TOKEN = [
  'POST /auth/logout/',
  'POST /auth/logout/all/',
  'GET /auth/me/',
  'POST /auth/password/',
  'GET /auth/sessions/',
  'DELETE /auth/sessions/:id/',
  'GET /models/',
  'GET /v2',
  'GET /v2/models',
  'GET /v2/models/stats',
  'POST /v2/repository/index',
  'GET /v1/models',
  // They name the model in their body, and what it requires is checked then.
  'POST /v1/embeddings',
  'POST /v1/rerank',
  'POST /v2/embed',
  'POST /v2/rerank',
]

/** What Triton has and this server does not; the refusal is the same for every token. */
function isRefusedToAll(path: string): boolean {
  return /^\/v2\/(?:systemsharedmemory|cudasharedmemory|logging|trace|repository\/:repository)|\/trace\/setting$/.test(path)
}

const engine = await bundledEngine()
const { accounts, close } = await noAccounts()
afterAll(async () => {
  await engine.stop()
  await close()
})

/** A path of the route's form that would find something. */
function pathOf(path: string): string {
  return path.replace(':name', 'iris').replace(':version', '1').replace(':region', 'r').replace(':repository', 'main')
}

function isOpenInference(path: string): boolean {
  return path === '/v2' || path.startsWith('/v2/')
}

const OPENAI_UNAUTHORIZED = { message: 'Unauthorized', type: 'invalid_request_error', param: null, code: 'invalid_api_key' }
/** How the clients of other servers are told. */
const DIALECTS: readonly (readonly [request: RegExp, body: unknown])[] = [
  [/^POST \/v1\/models\/:name$|^POST \/models\/:name\/$/, { error: 'Unauthorized' }],
  [/\/v1\/(?:embeddings|models)/, { error: OPENAI_UNAUTHORIZED }],
  [/\/v1\/rerank$/, { detail: 'Unauthorized' }],
  [/\/v2\/(?:embed|rerank)$/, { message: 'Unauthorized' }],
  [
    /:name\/(?:embed(?:_all|_sparse)?|rerank|similarity|tokenize|decode|info|health)$/,
    { error: 'Unauthorized', error_type: 'Validation' },
  ],
]

function unauthorizedAt(method: string, path: string) {
  const dialect = DIALECTS.find(([request]) => request.test(`${method} ${path}`))
  if (dialect !== undefined) return { status: 401, body: dialect[1] }
  if (isOpenInference(path)) return { status: 401, body: { error: 'Unauthorized' } }
  if (path.startsWith('/oauth/')) return { status: 401, body: { error: 'invalid_token', error_description: 'Unauthorized' } }
  return failure(401, 'Unauthorized')
}

for (const open of DOORS) {
  const app = createServer(engine, {
    accounts,
    reloading: { subscribe: () => undefined, reload: async () => ({ changed: [], needsRestart: [] }) },
  })
  const door = open(app)
  const routes = app.routes.map(({ method, path }) => ({ method, path, name: `${method} ${path}` }))
  afterAll(door.close)

  describe(`every route, ${door.name}`, () => {
    test('is there, the open ones among them', () => {
      const names = routes.map(({ name }) => name)
      for (const name of OPEN) expect(names).toContain(name)
      expect(routes.length).toBeGreaterThan(OPEN.length + 10)
    })

    for (const { method, path, name } of routes.filter((route) => !OPEN.includes(route.name))) {
      const unauthorized = unauthorizedAt(method, path)
      const bodies = method === 'POST' ? [undefined, '{}', '{', 'x'.repeat(100_000)] : [undefined]

      for (const asked of new Set([pathOf(path), path.replaceAll(/:\w+/g, 'no-such-thing'), `${pathOf(path)}?a=1`])) {
        test(`${name} rejects a caller without a token at ${asked}`, async () => {
          for (const body of bodies) {
            const response = await door.fetch(asked, { method, ...(body !== undefined && { body }) })
            expect({ status: response.status, body: await response.json() }).toEqual(unauthorized)
            expect(response.headers.get('www-authenticate')).toBe('Bearer realm="vestal"')
            expect(response.headers.get('content-type')).toBe('application/json')
          }
        })
      }

      test(`${name} rejects a token that is not right`, async () => {
        const response = await door.fetch(pathOf(path), { method, headers: { authorization: 'Bearer a.b.c' } })
        expect(response.status).toBe(401)
      })

      if (!ANY_TOKEN.includes(name) && !isRefusedToAll(path)) {
        test(`${name} rejects a token without its permission`, async () => {
          const others = bearer('model:digits:predict', 'model:digits:read', 'model:iris', 'iris:*', 'predict', 'read', 'model')
          expect((await door.fetch(pathOf(path), { method, headers: others })).status).toBe(403)
        })
      }

      if (method === 'GET') {
        test(`HEAD ${path} rejects a caller without a token`, async () => {
          expect((await door.fetch(pathOf(path), { method: 'HEAD' })).status).toBe(401)
        })
      }
    }

    for (const name of OPEN) {
      test(`${name} is open`, async () => {
        const [method = '', path = ''] = name.split(' ')
        const response = await door.fetch(path, { method, ...(method === 'POST' && { body: '{}' }) })
        expect([200, 400]).toContain(response.status)
        await response.arrayBuffer()
      })
    }
  })
}
