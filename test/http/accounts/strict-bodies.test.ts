import { describe, expect, test } from 'bun:test'
import { createRole } from '../../../src/accounts/roles.ts'
import { type AccountsServer, PASSWORD, startAccounts } from '../../support/accounts.ts'
import { DOORS } from '../../support/doors.ts'
import { bundledEngine, createServer } from '../../support/server.ts'
import { STORES } from '../../support/stores.ts'
import { bearer } from '../../support/tokens.ts'

const BY = { actor: 'test' }
const ID = '497f6eca-6276-4993-bfeb-53cbbbba6f08'

/** A body in which two readers could see two different requests, made of one that is right. */
function bent(body: Readonly<Record<string, unknown>>): readonly string[] {
  const text = JSON.stringify(body)
  const [name = 'name', value] = Object.entries(body)[0] ?? []
  const escaped = `\\u${name.charCodeAt(0).toString(16).padStart(4, '0')}${name.slice(1)}`
  const member = JSON.stringify(value ?? 'x')
  const more = (members: string) => text.replace(/\}$/, `${text === '{}' ? '' : ','}${members}}`)
  return [
    more(text === '{}' ? `"${name}":${member},"${name}":${member}` : `"${name}":${member}`),
    more(text === '{}' ? `"${name}":${member},"${escaped}":${member}` : `"${escaped}":${member}`),
    ...['__proto__', 'constructor', 'prototype', '__pro\\u0074o__', '\\u0063onstructor'].flatMap((forbidden) => [
      more(`"${forbidden}":{"permissions":["*"]}`),
      more(`"${forbidden}":null`),
    ]),
    more('"\\ud800":1'),
    `\ufeff${text}`,
  ]
}

const NEW = 'four other words and a half'

/** Each route that reads JSON about accounts, with a body that it takes. */
const ROUTES: readonly (readonly [method: string, path: string, body: Readonly<Record<string, unknown>>])[] = [
  ['POST', '/auth/', { name: 'ada', password: PASSWORD }],
  ['POST', '/auth/refresh/', { refresh_token: 'x'.repeat(43) }],
  ['POST', '/auth/password/', { old_password: PASSWORD, new_password: NEW }],
  ['POST', '/admin/users/', { name: 'eve', permissions: [] }],
  ['PATCH', '/admin/users/ada/', { permissions: ['model:iris:read'] }],
  ['POST', '/admin/roles/', { name: 'tester', permissions: [] }],
  ['PATCH', '/admin/roles/reader/', { permissions: ['model:iris:read'] }],
  ['POST', '/admin/api-keys/', { name: 'robot', permissions: [] }],
  ['PATCH', '/admin/api-keys/none/', { permissions: [] }],
]

/** What could have changed. */
function stateOf({ store }: AccountsServer): Promise<string> {
  return store.read(async (records) => {
    const page = { limit: 100 }
    const [accounts, roles, keys] = [await records.accounts({}, page), await records.roles(page), await records.apiKeys(page)]
    return JSON.stringify([accounts.map(({ lastSignInAt: _, ...account }) => account), roles, keys])
  })
}

const [sqlite] = STORES
for (const open of DOORS) {
  describe(`a body about accounts, ${open === DOORS[0] ? 'in memory' : 'over a socket'}`, () => {
    for (const [method, path, body] of ROUTES) {
      test(`of ${method} ${path} that two readers could take for two is a 400, and changes nothing`, async () => {
        if (sqlite === undefined) throw new Error('SQLite is always there')
        await using place = await startAccounts(sqlite, { open })
        const { server } = place
        await server.account('ada', { roles: ['admin'] })
        await createRole(server.context, { name: 'reader', permissions: [] }, BY)
        const { token } = await server.signIn('ada')
        const before = await stateOf(server)
        for (const text of bent(body)) {
          const answer = await server.ask(method, path, { token, body: text, headers: { 'if-match': '*' } })
          expect([text, answer.status, answer.body.detail]).toEqual([text, 400, expect.stringMatching(/^The body is not /)])
        }
        expect(await stateOf(server)).toBe(before)
        const right = await server.ask(method, path, { token, body, headers: { 'if-match': '*' } })
        expect(right.status).not.toBe(400)
      })
    }

    test('that is a form with a parameter twice, or with bytes that are no UTF-8, is a 400', async () => {
      if (sqlite === undefined) throw new Error('SQLite is always there')
      await using place = await startAccounts(sqlite, { open })
      const { server } = place
      await server.account('ada', { roles: ['admin'] })
      const { token } = await server.signIn('ada')
      const grant = new URLSearchParams({ grant_type: 'password', username: 'ada', password: PASSWORD }).toString()
      const forms: readonly (readonly [path: string, form: string])[] = [
        ...[
          'grant_type=password',
          'username=ada',
          'password=',
          'p%61ssword=x',
          'unknown=1&unknown=2',
          'x=%ff',
          'x=%',
          'x=%ED%A0%80',
        ].map((more) => ['/oauth/token', `${grant}&${more}`] as const),
        ['/oauth/introspect', `token=${token}&token=x`],
        ['/oauth/introspect', `token=${token}&%74oken=${token}`],
        ['/oauth/revoke', `token=${token}&token=${token}`],
      ]
      const ask = (path: string, body: string) =>
        server.ask('POST', path, {
          body,
          headers: { 'content-type': 'application/x-www-form-urlencoded', authorization: `Bearer ${token}` },
        })
      for (const [path, form] of forms) {
        const { status, body } = await ask(path, form)
        expect([path, form, status, body.error]).toEqual([path, form, 400, 'invalid_request'])
      }
      expect((await ask('/oauth/token', grant)).status).toBe(200)
      expect(await server.statusWith(token)).toBe(200)
    })
  })
}

describe('a body of the model repository', () => {
  const ROUTES_V2: readonly (readonly [path: string, body: Readonly<Record<string, unknown>>])[] = [
    ['index', { ready: true }],
    ['models/iris/load', { parameters: {} }],
    ['models/iris/unload', { parameters: { unload_dependents: false } }],
    ['models/iris/versions/1/load', {}],
  ]
  test('that two readers could take for two is a 400, also inside "parameters" and "config"', async () => {
    const engine = await bundledEngine()
    const app = createServer(engine)
    const ask = async (path: string, body: string) => {
      const init = { method: 'POST', headers: bearer('*'), body }
      const response = await app.handle(new Request(`http://localhost/v2/repository/${path}`, init))
      return { status: response.status, error: ((await response.json()) as { readonly error?: string }).error }
    }
    for (const [path, body] of ROUTES_V2) {
      for (const text of bent(body))
        expect([path, text, await ask(path, text)]).toEqual([
          path,
          text,
          { status: 400, error: expect.stringMatching(/^The body is not /) },
        ])
    }
    const inside = [
      '{"parameters":{"unload_dependents":false,"unload_dependents":true}}',
      '{"parameters":{"__proto__":{"unload_dependents":true}}}',
      '{"parameters":{"constructor":1}}',
    ]
    for (const text of inside) expect([text, (await ask('models/iris/unload', text)).status]).toEqual([text, 400])
    for (const config of ['{"max_batch_size":1,"max_batch_size":8}', '{"__proto__":{}}', '{"parameters":{"prototype":{}}}']) {
      const { status, error } = await ask('models/iris/load', JSON.stringify({ parameters: { config } }))
      expect([config, status, error]).toEqual([
        config,
        400,
        expect.stringContaining("parameter 'config' is not accepted: a member is"),
      ])
    }
    expect((await ask('index', '{"ready":true}')).status).toBe(200)
    await engine.stop()
  })
})

test('the sign-in of development mode rejects a body that two readers could take for two', async () => {
  const engine = await bundledEngine()
  const app = createServer(engine)
  const statusOf = async (body: string) =>
    (await app.handle(new Request('http://localhost/auth/', { method: 'POST', body }))).status
  for (const text of bent({ id: ID, password: 'string' })) expect([text, await statusOf(text)]).toEqual([text, 400])
  expect(await statusOf(JSON.stringify({ id: ID, password: 'string' }))).toBe(200)
  await engine.stop()
})
