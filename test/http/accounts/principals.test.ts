import { describe, expect, test } from 'bun:test'
import { createApiKey } from '../../../src/accounts/api-keys.ts'
import { type AccountsServer, PASSWORD, startAccounts } from '../../support/accounts.ts'
import { noteSecret } from '../../support/secrets.ts'
import { STORES, stores } from '../../support/stores.ts'
import { makeToken, nowSeconds } from '../../support/tokens.ts'

const THERE = 'https://there.example'
const THEIR_SECRET = noteSecret('what another issuer signs with, of some sixty bytes or more....')
/** Somebody else whose tokens count, and who gives them whatever `sub` it likes. */
const TRUSTED = [{ name: THERE, keys: THEIR_SECRET, audiences: ['vestal'] }]
const BY = { actor: 'test' }

const theirs = (claims: object, permissions: readonly string[] = ['*']) =>
  makeToken({
    secret: THEIR_SECRET,
    payload: { iss: THERE, aud: 'vestal', exp: nowSeconds() + 600, data: { permissions }, ...claims },
  })

for (const kind of stores()) {
  for (const issuer of [undefined, 'https://here.example']) {
    const named = issuer === undefined ? 'without a name' : 'with a name'
    describe(`an account of a server ${named}, and a foreign token with its sub, ${kind.name}`, () => {
      const setUp = async () => {
        const place = await startAccounts(kind, { trusted: TRUSTED, ...(issuer !== undefined && { issuer }) })
        const { id } = await place.server.account('ada', { permissions: ['*'] })
        const session = await place.server.signIn('ada')
        const { sid } = JSON.parse(Buffer.from(session.token.split('.')[1] ?? '', 'base64url').toString())
        return { place, server: place.server, id, session, foreign: theirs({ sub: id, sid, jti: 'j' }) }
      }
      const isWell = (server: AccountsServer, token: string) =>
        server.ask('GET', '/auth/me/', { token }).then(({ status }) => status)

      test('cannot see, change, limit or end the account’s sessions', async () => {
        const { place, server, session, foreign } = await setUp()
        await using _ = place
        const routes: readonly (readonly [method: string, path: string, body?: object])[] = [
          ['GET', '/auth/me/'],
          ['GET', '/auth/sessions/'],
          ['DELETE', '/auth/sessions/0b6f4a52-6c6b-4f27-9a9e-0d3a5c9f9f10/'],
          ['POST', '/auth/logout/'],
          ['POST', '/auth/logout/all/'],
          ['POST', '/auth/password/', { old_password: PASSWORD, new_password: 'another sentence' }],
        ]
        for (const [method, path, body] of routes) {
          const { status } = await server.ask(method, path, { token: foreign, ...(body && { body }) })
          expect([path, status]).toEqual([path, 404])
        }
        expect(await isWell(server, session.token)).toBe(200)
        expect((await server.signIn('ada')).id).toBe(session.id)
      })

      test('lives on when the account is signed out everywhere, disabled or deleted', async () => {
        const { place, server, id, session, foreign } = await setUp()
        await using _ = place
        await server.account('bea', { permissions: ['*'] })
        expect((await server.ask('POST', '/auth/logout/all/', { token: session.token })).status).toBe(200)
        expect([await server.statusWith(session.token), await server.statusWith(foreign)]).toEqual([401, 200])
        const { token } = await server.signIn('bea')
        const { status } = await server.ask('DELETE', `/admin/users/${id}/`, { token, headers: { 'if-match': '"1"' } })
        expect([status, await server.statusWith(foreign)]).toEqual([200, 200])
      })

      test('is another actor in the audit log, anyone who its sub names', async () => {
        const { place, server, id } = await setUp()
        await using _ = place
        const { id: key } = await createApiKey(server.context, { name: 'job', permissions: ['a:b'] }, BY)
        const subjects = [id, `key:${key}`, 'command-line', 'server', 'test', 'signal', 'admin']
        server.events.length = 0
        for (const [index, sub] of subjects.entries()) {
          const body = { name: `made-${index}`, permissions: [] }
          expect((await server.ask('POST', '/admin/api-keys/', { token: theirs({ sub }), body })).status).toBe(200)
          const short = theirs({ sub }, [])
          expect((await server.ask('GET', '/admin/users/', { token: short })).status).toBe(403)
          const expired = theirs({ sub, exp: nowSeconds() - 60 })
          expect((await server.ask('GET', '/admin/users/', { token: expired })).status).toBe(401)
        }
        expect(server.events.map(({ event, actor }) => [event, actor])).toEqual(
          subjects.flatMap((sub) => [
            ['api-key-created', `${THERE} ${sub}`],
            ['permission-refused', `${THERE} ${sub}`],
            ['token-refused', `${THERE} ${sub}`],
          ]),
        )
      })

      test('is not named by the audit log as the account, and is found by its own name', async () => {
        const { place, server, id, session } = await setUp()
        await using _ = place
        await server.ask('POST', '/admin/api-keys/', { token: theirs({ sub: id }), body: { name: 'theirs', permissions: [] } })
        await server.ask('POST', '/admin/api-keys/', { token: session.token, body: { name: 'ours', permissions: [] } })
        expect(server.events.filter(({ event }) => event === 'api-key-created').map(({ actor }) => actor)).toEqual([
          `${THERE} ${id}`,
          id,
        ])
      })

      test('has no name of an account in an introspection, and cannot end the account’s tokens with a revocation', async () => {
        const { place, server, id, session, foreign } = await setUp()
        await using _ = place
        const jti = JSON.parse(Buffer.from(session.token.split('.')[1] ?? '', 'base64url').toString()).jti
        const form = { 'content-type': 'application/x-www-form-urlencoded' }
        const described = await server.ask('POST', '/oauth/introspect', {
          token: session.token,
          headers: form,
          body: new URLSearchParams({ token: foreign }).toString(),
        })
        expect(described.body).toMatchObject({ active: true, iss: THERE, sub: id })
        expect(described.body).not.toHaveProperty('username')
        await server.ask('POST', '/oauth/revoke', {
          headers: form,
          body: new URLSearchParams({ token: theirs({ sub: id, jti }) }).toString(),
        })
        expect(await server.statusWith(session.token)).toBe(200)
      })
    })
  }
}

describe('limits of requests', () => {
  const [kind] = STORES
  if (kind === undefined) throw new Error('there is a store')

  test('count each principal apart: an account, a foreign token with its sub, and tokens without one', async () => {
    await using place = await startAccounts(kind, {
      trusted: TRUSTED,
      operations: { rateLimits: [{ role: 'default', requestsPerMinute: 2 }] },
    })
    const { server } = place
    const { id } = await server.account('ada', { permissions: ['*'], roles: [] })
    const own = (claims: object) => makeToken({ payload: { exp: nowSeconds() + 600, data: { permissions: ['*'] }, ...claims } })
    const statusesOf = async (...tokens: readonly string[]) => {
      const statuses: number[] = []
      for (const token of tokens) statuses.push((await server.ask('GET', '/private/info/', { token })).status)
      return statuses
    }
    expect(await statusesOf(own({ sub: id }), own({ sub: id, jti: '2' }), own({ sub: id }))).toEqual([200, 200, 429])
    expect(await statusesOf(theirs({ sub: id }), theirs({ sub: id }), theirs({ sub: id }))).toEqual([200, 200, 429])
    // Tokens without a subject are one caller for each issuer, however many there are.
    expect(await statusesOf(own({ jti: '1' }), own({ jti: '2' }), own({ jti: '3' }))).toEqual([200, 200, 429])
    expect(await statusesOf(theirs({ jti: '1' }), theirs({ jti: '2' }), theirs({ jti: '3' }))).toEqual([200, 200, 429])
    const { text } = await createApiKey(server.context, { name: 'job', permissions: ['*'] }, BY)
    expect(await statusesOf(text, text, text)).toEqual([200, 200, 429])
    expect(await statusesOf(theirs({ sub: 'somebody' }))).toEqual([200])
  })
})
