import { describe, expect, test } from 'bun:test'
import { crc32 } from 'node:zlib'
import { changeAccount } from '../../../src/accounts/administration.ts'
import { apiKeyId, makeApiKey } from '../../../src/accounts/api-key-text.ts'
import { changeApiKey, createApiKey, revokeApiKey } from '../../../src/accounts/api-keys.ts'
import { decodeJwt } from '../../../src/index.ts'
import { AccountsServer, PASSWORD, startAccounts } from '../../support/accounts.ts'
import { DOORS } from '../../support/doors.ts'
import { stores } from '../../support/stores.ts'
import { makeToken, nowSeconds, tokenWith } from '../../support/tokens.ts'

const BY = { actor: 'test' }
const basic = (id: string, secret: string) => ({
  authorization: `Basic ${btoa(`${encodeURIComponent(id)}:${encodeURIComponent(secret)}`)}`,
})

/** Sends a form. */
function form(
  server: AccountsServer,
  path: string,
  fields: Record<string, string> | string,
  headers: Record<string, string> = {},
) {
  const body = typeof fields === 'string' ? fields : new URLSearchParams(fields).toString()
  return server.ask('POST', path, { body, headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers } })
}

const makeKey = (
  server: AccountsServer,
  permissions: readonly string[] = ['my-permission-name'],
  expiresAt: number | null = null,
) => createApiKey(server.context, { name: 'robot', permissions, expiresAt }, BY)

const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

/** A key with the id of another and a right checksum, whose secret somebody made up. */
/** Two clients, and the tokens of an account that signed in through the first. */
async function signInThroughOne(server: AccountsServer) {
  await server.account('ada')
  const [one, two] = [await makeKey(server), await makeKey(server)]
  const grant = { grant_type: 'password', username: 'ada', password: PASSWORD }
  const { refresh_token, access_token } = (await form(server, '/oauth/token', grant, basic(one.id, one.text))).body
  return { one, two, refresh_token, access_token }
}

function forgedKey(text: string): string {
  const body = `vst_${apiKeyId(text)}_${'A'.repeat(43)}`
  let rest = crc32(body)
  let checksum = ''
  for (let digit = 0; digit < 6; digit += 1) {
    checksum = `${DIGITS[rest % 62]}${checksum}`
    rest = Math.floor(rest / 62)
  }
  return `${body}_${checksum}`
}

for (const kind of stores()) {
  describe(`the token endpoint, ${kind.name}`, () => {
    test('leaves a line in the audit log of each token that a client gets, by the token’s id', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      const { id, text } = await makeKey(server)
      const grant = { grant_type: 'client_credentials', client_id: id, client_secret: text }
      const { body } = await form(server, '/oauth/token', grant)
      expect(server.events.filter(({ event }) => event === 'client-token')).toMatchObject([
        { event: 'client-token', actor: `key:${id}`, tokenId: decodeJwt(body.access_token).payload.jti, origin: {} },
      ])
    })

    test('gives tokens for a password and for a refresh token, and nothing may keep them', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      await server.account('ada')
      const first = await form(server, '/oauth/token', { grant_type: 'password', username: 'ada', password: PASSWORD })
      expect([first.status, first.headers.get('cache-control'), first.headers.get('pragma')]).toEqual([
        200,
        'no-store',
        'no-cache',
      ])
      expect(first.body).toEqual({
        access_token: expect.any(String),
        token_type: 'Bearer',
        expires_in: 300,
        scope: 'model:*:predict model:*:read my-permission-name',
        refresh_token: expect.stringMatching(/^[\w-]{43}$/),
      })
      expect(await server.statusWith(first.body.access_token)).toBe(200)
      const second = await form(server, '/oauth/token', { grant_type: 'refresh_token', refresh_token: first.body.refresh_token })
      expect(second.status).toBe(200)
      expect(second.body.refresh_token).not.toBe(first.body.refresh_token)
      expect(await server.statusWith(second.body.access_token)).toBe(200)
    })

    test('gives tokens that end with what they are of: an API key, or a session', async () => {
      await using place = await startAccounts(kind, { lifetimes: { sessionSeconds: 1000 } })
      const { server } = place
      const lifetimeOf = ({ body }: { body: { access_token: string; expires_in: number } }) => {
        const { iat, exp } = decodeJwt(body.access_token).payload
        return [Number(exp) - Number(iat), body.expires_in]
      }
      const client = async (expiresAt: number | null) => {
        const by = { actor: 'test' }
        const { id, text } = await createApiKey(server.context, { name: 'job', permissions: ['a:b'], expiresAt }, by)
        return () => form(server, '/oauth/token', { grant_type: 'client_credentials', client_id: id, client_secret: text })
      }
      const lasting = await client(null)
      expect(lifetimeOf(await lasting())).toEqual([300, 300])
      const ending = await client((Math.floor(server.clock.ms / 1000) + 400) * 1000)
      expect(lifetimeOf(await ending())).toEqual([300, 300])
      server.clock.ms += 300_000
      const last = await ending()
      expect(lifetimeOf(last)).toEqual([100, 100])
      expect(await server.statusWith(last.body.access_token)).toBe(403)
      server.clock.ms += 200_000
      expect(await server.statusWith(last.body.access_token)).toBe(401)

      await server.account('ada')
      const grant = { grant_type: 'password', username: 'ada', password: PASSWORD }
      const first = await form(server, '/oauth/token', grant)
      expect(lifetimeOf(first)).toEqual([300, 300])
      server.clock.ms += 900_000
      const refreshed = await form(server, '/oauth/token', {
        grant_type: 'refresh_token',
        refresh_token: first.body.refresh_token,
      })
      const [lifetime, told] = lifetimeOf(refreshed)
      expect(told).toBe(lifetime)
      // The session ends in the midst of a second.
      expect([100, 101]).toContain(lifetime ?? 0)
    })

    test('notes a rejected client, with the id of the answer and never the secret', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      const { id } = await makeKey(server)
      const { text: wrong } = makeApiKey()
      const grant = { grant_type: 'client_credentials' }
      const refused = await form(server, '/oauth/token', { ...grant, client_id: id, client_secret: wrong })
      await form(server, '/oauth/introspect', { token: 'x' }, basic(wrong, wrong))
      expect(server.events.slice(-2)).toEqual([
        {
          event: 'client-refused',
          subject: `key:${id}`,
          reason: 'there is no such key',
          origin: expect.objectContaining({ requestId: refused.headers.get('x-request-id') }),
        },
        expect.objectContaining({ event: 'client-refused', reason: 'there is no such key' }),
      ])
      expect(JSON.stringify(server.events)).not.toContain(wrong)
    })

    test('notes a valid token that lacks a permission, and no other', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      const { id } = await server.account('ada')
      const { token } = await server.signIn('ada')
      const before = server.events.length
      expect(await server.statusWith(token)).toBe(200)
      expect((await server.ask('GET', '/admin/users/', { token: 'x' })).status).toBe(401)
      expect(server.events.slice(before).map(({ event }) => event)).toEqual(['token-refused'])
      const refused = await server.ask('GET', `/admin/users/${id}/`, { token, headers: { 'x-request-id': 'mine-1' } })
      expect([refused.status, server.events.at(-1)]).toEqual([
        403,
        {
          event: 'permission-refused',
          actor: id,
          tokenId: decodeJwt(token).payload.jti as string,
          reason: 'needs users:read',
          route: 'GET /admin/users/:id/',
          origin: expect.objectContaining({ requestId: 'mine-1' }),
        },
      ])
      expect(JSON.stringify(server.events)).not.toContain(token)
    })

    test('throttles wrong secrets and unknown refresh tokens of one address, and of no other', async () => {
      const throttle = { addressMax: 3 }
      const socket = DOORS[1]
      await using place = await startAccounts(kind, {
        throttle,
        trustedProxies: ['127.0.0.0/8', '::1'],
        ...(socket && { open: socket }),
      })
      const { server } = place
      const { id, text } = await makeKey(server)
      await server.account('ada')
      const { refreshToken } = await server.signIn('ada')
      const client = (secret: string, address: string) =>
        form(
          server,
          '/oauth/token',
          { grant_type: 'client_credentials', client_id: id, client_secret: secret },
          { 'x-forwarded-for': address },
        )
      const refresh = (token: string, address: string) =>
        server.ask('POST', '/auth/refresh/', { body: { refresh_token: token }, headers: { 'x-forwarded-for': address } })
      for (let asked = 0; asked < 5; asked += 1) expect((await client(text, '192.0.2.1')).status).toBe(200)
      const statuses: number[] = []
      for (let asked = 0; asked < 2; asked += 1) statuses.push((await client(makeApiKey().text, '192.0.2.1')).status)
      for (let asked = 0; asked < 2; asked += 1) statuses.push((await refresh('A'.repeat(43), '192.0.2.1')).status)
      expect(statuses).toEqual([401, 401, 401, 429])
      for (const late of [await client(text, '192.0.2.1'), await refresh(refreshToken, '192.0.2.1')])
        expect([late.status, Number(late.headers.get('retry-after')) > 0]).toEqual([429, true])
      expect((await client(text, '192.0.2.2')).status).toBe(200)
      expect((await refresh(refreshToken, '192.0.2.2')).status).toBe(200)
    })

    test('is named in the metadata of the issuer, with all that is there', async () => {
      await using place = await startAccounts(kind, { issuer: 'https://here.example/' })
      const { body } = await place.server.ask('GET', '/.well-known/oauth-authorization-server')
      expect(body).toMatchObject({
        issuer: 'https://here.example/',
        token_endpoint: 'https://here.example/oauth/token',
        introspection_endpoint: 'https://here.example/oauth/introspect',
        revocation_endpoint: 'https://here.example/oauth/revoke',
        grant_types_supported: ['password', 'refresh_token', 'client_credentials'],
      })
    })

    test('answers what is wrong in the words of RFC 6749', async () => {
      await using place = await startAccounts(kind, { throttle: { accountMax: 5 } })
      const { server } = place
      await server.account('ada')
      const grant = { grant_type: 'password', username: 'ada', password: PASSWORD }
      const cases: readonly (readonly [fields: Record<string, string> | string, status: number, error: string])[] = [
        ['', 400, 'invalid_request'],
        [{ grant_type: 'implicit' }, 400, 'unsupported_grant_type'],
        [{ grant_type: 'password', username: 'ada' }, 400, 'invalid_request'],
        [{ ...grant, password: 'wrong' }, 400, 'invalid_grant'],
        [{ ...grant, username: 'nobody' }, 400, 'invalid_grant'],
        [{ ...grant, scope: 'everything' }, 400, 'invalid_scope'],
        [`${new URLSearchParams(grant)}&grant_type=password`, 400, 'invalid_request'],
        [{ grant_type: 'refresh_token', refresh_token: 'x' }, 400, 'invalid_grant'],
        [{ grant_type: 'client_credentials' }, 401, 'invalid_client'],
        [{ ...grant, client_id: 'x', client_secret: 'y' }, 401, 'invalid_client'],
      ]
      for (const [fields, status, error] of cases) {
        const answer = await form(server, '/oauth/token', fields)
        expect([fields, answer.status, answer.body]).toEqual([fields, status, { error, error_description: expect.any(String) }])
        expect(answer.headers.get('cache-control')).toBe('no-store')
      }
      const json = await server.ask('POST', '/oauth/token', { body: grant, headers: { 'content-type': 'application/json' } })
      expect([json.status, json.body.error]).toEqual([400, 'invalid_request'])
      for (let attempt = 0; attempt < 5; attempt += 1) await form(server, '/oauth/token', { ...grant, password: 'wrong' })
      const throttled = await form(server, '/oauth/token', grant)
      expect([throttled.status, throttled.body.error, throttled.headers.get('retry-after')]).toEqual([
        429,
        'temporarily_unavailable',
        expect.stringMatching(/^\d+$/),
      ])
    })

    test('gives a client a token for its key, narrowed by a scope, until the key is changed', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      const { id, text } = await makeKey(server, ['my-permission-name', 'model:*:predict'])
      const ways: readonly (readonly [fields: Record<string, string>, headers: Record<string, string>])[] = [
        [{}, basic(id, text)],
        [{ client_id: id, client_secret: text }, {}],
      ]
      for (const [fields, headers] of ways) {
        const { status, body } = await form(server, '/oauth/token', { grant_type: 'client_credentials', ...fields }, headers)
        expect([status, body.scope, body.refresh_token]).toEqual([200, 'my-permission-name model:*:predict', undefined])
        expect(decodeJwt(body.access_token).payload).toMatchObject({ sub: `key:${id}`, client_id: id })
        expect(await server.statusWith(body.access_token)).toBe(200)
        expect((await server.ask('GET', '/auth/me/', { token: body.access_token })).status).toBe(404)
      }
      const ask = (scope: string) => form(server, '/oauth/token', { grant_type: 'client_credentials', scope }, basic(id, text))
      const narrow = (await ask('model:iris:predict')).body
      expect([narrow.scope, await server.statusWith(narrow.access_token)]).toEqual(['model:iris:predict', 403])
      expect((await ask('users:write')).body.error).toBe('invalid_scope')
      const wide = (await ask('my-permission-name')).body
      await changeApiKey(server.context, { id, permissions: ['my-permission-name'] }, BY)
      expect([await server.statusWith(wide.access_token), await server.statusWith(narrow.access_token)]).toEqual([401, 401])
      await server.sync.poll()
      const again = (await ask('my-permission-name')).body
      expect(await server.statusWith(again.access_token)).toBe(200)
      await revokeApiKey(server.context, { id }, BY)
      expect(await server.statusWith(again.access_token)).toBe(401)
    })

    test('rejects a client with another’s secret, a wrong one, none, or two ways at once', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      const [one, two] = [await makeKey(server), await makeKey(server)]
      const ask = async (headers: Record<string, string>, fields: Record<string, string> = {}) => {
        const { status, body } = await form(server, '/oauth/token', { grant_type: 'client_credentials', ...fields }, headers)
        return [status, body.error]
      }
      for (const headers of [
        basic(one.id, two.text),
        basic('', one.text),
        basic(one.id, ''),
        basic(one.id, `${one.text}x`),
        { authorization: 'Basic !' },
      ])
        expect([headers, await ask(headers)]).toEqual([headers, [401, 'invalid_client']])
      expect(await ask(basic(one.id, one.text), { client_secret: one.text })).toEqual([400, 'invalid_request'])
    })

    test('serves public clients, which have a name and no secret, and keeps their sessions to them', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      await server.account('ada')
      const key = await makeKey(server)
      const grant = { grant_type: 'password', username: 'ada', password: PASSWORD }
      const ways: readonly (readonly [fields: Record<string, string>, headers: Record<string, string>])[] = [
        [{ client_id: 'web' }, {}],
        [{ client_id: 'web', client_secret: '' }, {}],
        [{}, basic('web', '')],
        [{ client_id: 'web' }, basic('web', '')],
      ]
      for (const [fields, headers] of ways) {
        const first = await form(server, '/oauth/token', { ...grant, ...fields }, headers)
        expect([fields, first.status]).toEqual([fields, 200])
        expect(decodeJwt(first.body.access_token).payload.client_id).toBe('web')
        expect(await server.statusWith(first.body.access_token)).toBe(200)
        const refresh = { grant_type: 'refresh_token', refresh_token: first.body.refresh_token }
        for (const other of [{}, { client_id: 'other' }, { client_id: 'vestal' }, { client_id: key.id, client_secret: key.text }])
          expect([other, (await form(server, '/oauth/token', { ...refresh, ...other })).body.error]).toEqual([
            other,
            'invalid_grant',
          ])
        const second = await form(server, '/oauth/token', { ...refresh, ...fields }, headers)
        expect([second.status, decodeJwt(second.body.access_token).payload.client_id]).toEqual([200, 'web'])
        const revoke = (asked: Record<string, string>) =>
          form(server, '/oauth/revoke', { token: second.body.access_token, ...asked })
        expect([(await revoke({ client_id: 'other' })).status, await server.statusWith(second.body.access_token)]).toEqual([
          400, 200,
        ])
        expect([(await revoke({ client_id: 'web' })).status, await server.statusWith(second.body.access_token)]).toEqual([
          200, 401,
        ])
      }
    })

    test('takes no API key’s id for a public client, gives one nothing of its own, and takes no other text for one', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      await server.account('ada')
      const key = await makeKey(server)
      const grant = { grant_type: 'password', username: 'ada', password: PASSWORD }
      const cases: readonly (readonly [
        fields: Record<string, string>,
        headers: Record<string, string>,
        status: number,
        error: string,
      ])[] = [
        [{ ...grant, client_id: key.id }, {}, 401, 'invalid_client'],
        [grant, basic(key.id, ''), 401, 'invalid_client'],
        [{ grant_type: 'client_credentials', client_id: 'web' }, {}, 401, 'invalid_client'],
        [{ grant_type: 'client_credentials', client_id: 'vestal' }, {}, 401, 'invalid_client'],
        [{ ...grant, client_id: 'other' }, basic('web', ''), 400, 'invalid_request'],
        [{ ...grant, client_id: 'two words' }, {}, 400, 'invalid_request'],
        [{ ...grant, client_id: 'ü' }, {}, 400, 'invalid_request'],
        [{ ...grant, client_id: 'x'.repeat(65) }, {}, 400, 'invalid_request'],
      ]
      for (const [fields, headers, status, error] of cases) {
        const answer = await form(server, '/oauth/token', fields, headers)
        expect([fields, answer.status, answer.body.error]).toEqual([fields, status, error])
      }
      await revokeApiKey(server.context, { id: key.id }, BY)
      expect((await form(server, '/oauth/token', { ...grant, client_id: key.id })).status).toBe(401)
      expect((await form(server, '/oauth/token', { ...grant, client_id: 'mobileclient' })).status).toBe(200)
    })

    test('says in each access token which client asked for it, and for whom none did', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      await server.account('ada')
      const { token, refreshToken } = await server.signIn('ada')
      const refreshed = (await server.refresh(refreshToken)).body.token
      const { body } = await form(server, '/oauth/token', { grant_type: 'password', username: 'ada', password: PASSWORD })
      for (const each of [token, refreshed, body.access_token]) expect(decodeJwt(each).payload.client_id).toBe('vestal')
      const named = { grant_type: 'refresh_token', refresh_token: body.refresh_token, client_id: 'vestal' }
      expect((await form(server, '/oauth/token', named)).status).toBe(200)
    })

    test('keeps a session to the client that it was made for', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      const { one, two, refresh_token, access_token } = await signInThroughOne(server)
      expect(decodeJwt(access_token).payload.client_id).toBe(one.id)
      const refresh = { grant_type: 'refresh_token', refresh_token }
      for (const headers of [{}, basic(two.id, two.text)])
        expect((await form(server, '/oauth/token', refresh, headers)).body.error).toBe('invalid_grant')
      expect((await server.refresh(refresh_token)).status).toBe(401)
      expect((await form(server, '/oauth/token', refresh, basic(one.id, one.text))).status).toBe(200)
    })
  })

  describe(`introspection, ${kind.name}`, () => {
    test('reports those who may what a token is, and of the rest nothing', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      const { id } = await server.account('ada')
      const key = await makeKey(server, ['tokens:introspect'])
      const { token, refreshToken } = await server.signIn('ada')
      const ask = (text: string) => form(server, '/oauth/introspect', { token: text }, basic(key.id, key.text))
      const { body, headers } = await ask(token)
      const { exp, iat, jti } = decodeJwt(token).payload
      expect(headers.get('cache-control')).toBe('no-store')
      expect(body).toEqual({
        active: true,
        token_type: 'Bearer',
        scope: 'model:*:predict model:*:read my-permission-name',
        client_id: 'vestal',
        username: 'ada',
        sub: id,
        exp,
        iat,
        jti,
      })
      expect((await ask(refreshToken)).body).toMatchObject({
        active: true,
        token_type: 'refresh_token',
        client_id: 'vestal',
        sub: id,
        username: 'ada',
      })
      const next = (await server.refresh(refreshToken)).body
      const expired = makeToken({ payload: { sub: id, exp: nowSeconds() - 60 } })
      const other = makeToken({ payload: { sub: id, exp: nowSeconds() + 60, aud: 'other' } })
      for (const text of [refreshToken, expired, other, 'x', 'a.b.c', `${token}x`, '\n', 'A'.repeat(43), 'é'])
        expect([text, (await ask(text)).body]).toEqual([text, { active: false }])
      await server.ask('POST', '/auth/logout/', { token: next.token })
      for (const text of [token, next.token, next.refresh_token]) expect((await ask(text)).body).toEqual({ active: false })
    })

    test('reports a refresh token when it ends, to the second, and nothing once it has', async () => {
      await using place = await startAccounts(kind, { lifetimes: { sessionSeconds: 100, idleSeconds: 60 } })
      const { server } = place
      server.clock.ms = Math.floor(server.clock.ms / 1000) * 1000 + 700
      const began = Math.floor(server.clock.ms / 1000)
      const { id } = await server.account('ada')
      const key = await makeKey(server, ['tokens:introspect'])
      const first = await server.signIn('ada')
      const ask = async (token: string) => (await form(server, '/oauth/introspect', { token }, basic(key.id, key.text))).body
      expect(await ask(first.refreshToken)).toMatchObject({ active: true, exp: began + 60, iat: began })
      server.clock.ms += 50_000
      const second: string = (await server.refresh(first.refreshToken)).body.refresh_token
      // No use keeps a session beyond its end.
      expect(await ask(second)).toMatchObject({ active: true, exp: began + 100, iat: began + 50 })
      server.clock.ms += 49_999
      expect((await ask(second)).active).toBe(true)
      server.clock.ms += 1
      expect(await ask(second)).toEqual({ active: false })
      const third = await server.signIn('ada')
      server.clock.ms += 59_999
      expect((await ask(third.refreshToken)).active).toBe(true)
      server.clock.ms += 1
      expect(await ask(third.refreshToken)).toEqual({ active: false })
      const fourth = await server.signIn('ada')
      await changeAccount(server.context, { id, isDisabled: true }, BY)
      expect(await ask(fourth.refreshToken)).toEqual({ active: false })
    })

    test('is for those who are granted it alone, who are asked first', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      const weak = await makeKey(server)
      const strong = await makeKey(server, ['tokens:introspect'])
      const status = async (headers: Record<string, string>, body = 'token=x') =>
        (await form(server, '/oauth/introspect', body, headers)).status
      expect(await status({})).toBe(401)
      expect(await status(basic(weak.id, weak.text))).toBe(403)
      expect(await status({ authorization: `Bearer ${tokenWith(['other'])}` }, 'x'.repeat(100_000))).toBe(403)
      expect(await status({ authorization: `Bearer ${tokenWith(['tokens:introspect'])}` })).toBe(200)
      expect(await status({ 'x-api-key': strong.text })).toBe(200)
      expect(await status({ 'x-api-key': strong.text }, 'other=x')).toBe(400)
    })
  })

  describe(`a client that introspects, ${kind.name}`, () => {
    test('may say who it is in the form, once, and what it may not is answered as elsewhere', async () => {
      for (const open of DOORS) {
        await using place = await startAccounts(kind, { open, throttle: { addressMax: 3 } })
        const { server } = place
        const strong = await makeKey(server, ['tokens:introspect'])
        const weak = await makeKey(server)
        const token = tokenWith(['my-permission-name'])
        const ask = async (fields: Record<string, string>, headers: Record<string, string> = {}) => {
          const { status, body } = await form(server, '/oauth/introspect', { token, ...fields }, headers)
          return [status, body.active ?? body.error]
        }
        const own = { client_id: strong.id, client_secret: strong.text }
        expect(await ask(own)).toEqual([200, true])
        expect(await ask(own, { authorization: `Basic ${btoa(':')}` })).toEqual([200, true])
        expect(await ask({ client_id: weak.id, client_secret: weak.text })).toEqual([403, 'insufficient_scope'])
        expect(await ask({ client_id: weak.id, client_secret: strong.text })).toEqual([401, 'invalid_client'])
        expect(await ask({ client_secret: strong.text })).toEqual([401, 'invalid_client'])
        expect(await ask({ client_id: strong.id })).toEqual([401, 'invalid_token'])
        expect(await ask({})).toEqual([401, 'invalid_token'])
        for (const headers of [
          basic(strong.id, strong.text),
          { authorization: `Bearer ${tokenWith(['tokens:introspect'])}` },
          { 'x-api-key': strong.text },
        ])
          expect(await ask(own, headers)).toEqual([400, 'invalid_request'])
        expect(await ask({ client_id: strong.id, client_secret: makeApiKey().text })).toEqual([401, 'invalid_client'])
        expect((await ask(own))[0]).toBe(429)
        expect(JSON.stringify(server.events)).not.toContain(strong.text)
      }
    })
  })

  describe(`revocation by a client, ${kind.name}`, () => {
    test('ends a token alone, or a session by its refresh token; what is unknown is no fault', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      await server.account('ada')
      const [one, two] = [await server.signIn('ada'), await server.signIn('ada')]
      const revoke = async (token: string, headers: Record<string, string> = {}) => {
        const { status, body } = await form(server, '/oauth/revoke', { token }, headers)
        return [status, body]
      }
      for (const token of ['x', 'a.b.c', 'A'.repeat(43), `${one.token}x`, '\0'])
        expect([token, await revoke(token)]).toEqual([token, [200, {}]])
      expect([await server.statusWith(one.token), await server.statusWith(two.token)]).toEqual([200, 200])
      const revoked = () => server.events.filter(({ event }) => event === 'token-revoked')
      expect(revoked()).toEqual([])
      expect(await revoke(one.token)).toEqual([200, {}])
      expect(revoked()).toMatchObject([{ tokenId: decodeJwt(one.token).payload.jti }])
      expect([await server.statusWith(one.token), (await server.refresh(one.refreshToken)).status]).toEqual([401, 200])
      expect(await revoke(two.refreshToken)).toEqual([200, {}])
      expect(revoked().slice(1)).toMatchObject([{ actor: two.id, sessionId: decodeJwt(two.token).payload.sid }])
      expect([await server.statusWith(two.token), (await server.refresh(two.refreshToken)).status]).toEqual([401, 401])
      expect((await form(server, '/oauth/revoke', {})).body.error).toBe('invalid_request')
    })

    test('and introspection take any text for a token, whatever characters it has', async () => {
      for (const open of DOORS) {
        await using place = await startAccounts(kind, { open })
        const { server } = place
        await server.account('ada')
        const key = await makeKey(server, ['tokens:introspect'])
        const { token } = await server.signIn('ada')
        const texts = [
          '🙂',
          '\0',
          '\u0001',
          '\u007f',
          '\r\nX: y',
          'é',
          'ÿ',
          '\ud7ff',
          ' ',
          `${token} `,
          ` ${token}`,
          `Bearer ${token}`,
          'Basic x',
        ]
        for (const text of [
          ...texts,
          `${token}🙂`,
          '.'.repeat(200),
          'a.b.c.d.e',
          'x'.repeat(30_000),
          `${token}${'A'.repeat(20_000)}`,
        ]) {
          const asked = await form(server, '/oauth/introspect', { token: text }, basic(key.id, key.text))
          expect([text.slice(-20), asked.status, asked.body]).toEqual([text.slice(-20), 200, { active: false }])
          const ended = await form(server, '/oauth/revoke', { token: text })
          expect([text.slice(-20), ended.status, ended.body]).toEqual([text.slice(-20), 200, {}])
        }
        expect(await server.statusWith(token)).toBe(200)
        expect((await form(server, '/oauth/introspect', { token }, basic(key.id, key.text))).body.active).toBe(true)
      }
    })

    test('does not end what was made for another client', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      const { one, two, refresh_token, access_token } = await signInThroughOne(server)
      for (const headers of [{}, basic(two.id, two.text)])
        for (const token of [access_token, refresh_token]) {
          const { status, body } = await form(server, '/oauth/revoke', { token }, headers)
          expect([status, body]).toEqual([
            400,
            { error: 'invalid_grant', error_description: 'The token was issued to another client' },
          ])
        }
      expect(await server.statusWith(access_token)).toBe(200)
      await form(server, '/oauth/revoke', { token: refresh_token }, basic(one.id, one.text))
      expect(await server.statusWith(access_token)).toBe(401)
    })
  })

  describe(`an API key, ${kind.name}`, () => {
    test('is accepted in two headers, one at a time, and asks the database nothing', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      const { text } = await makeKey(server)
      const before = server.store.statistics
      const status = async (headers: Record<string, string>) => (await server.ask('GET', '/private/info/', { headers })).status
      for (const headers of [{ 'x-api-key': text }, { authorization: `Bearer ${text}` }, { authorization: `bearer ${text}` }])
        expect([headers, await status(headers)]).toEqual([headers as never, 200])
      expect(server.store.statistics).toEqual(before)
      expect(await status({ 'x-api-key': text, authorization: `Bearer ${text}` })).toBe(400)
      expect(await status({ 'x-api-key': text, authorization: `Bearer ${tokenWith(['my-permission-name'])}` })).toBe(400)
      for (const wrong of [
        '',
        'x',
        text.slice(0, -1),
        `${text}x`,
        makeApiKey().text,
        `${text}, ${text}`,
        text.replace('vst_', 'VST_'),
      ])
        expect([wrong, await status({ 'x-api-key': wrong })]).toEqual([wrong, 401])
      const { status: refused, headers, body } = await server.ask('GET', '/private/info/', { headers: { 'x-api-key': 'x' } })
      expect([refused, headers.get('www-authenticate'), body.detail]).toEqual([
        401,
        'Bearer realm="vestal", error="invalid_token"',
        'Unauthorized',
      ])
      const bad = await server.ask('GET', '/private/info/', {
        headers: { 'x-api-key': 'x', cookie: `access_token=${tokenWith(['*'])}` },
      })
      expect(bad.status).toBe(401)
    })

    test('does what it is granted, until it is over or revoked, on every process', async () => {
      await using place = await startAccounts(kind)
      const { server, database } = place
      await using other = await AccountsServer.start(database)
      const key = await makeKey(server, ['my-permission-name'], server.clock.ms + 1000)
      const none = await makeKey(server, [])
      await other.sync.poll()
      const status = async (where: AccountsServer, text: string) =>
        (await where.ask('GET', '/private/info/', { headers: { 'x-api-key': text } })).status
      expect([await status(server, key.text), await status(other, key.text), await status(server, none.text)]).toEqual([
        200, 200, 403,
      ])
      server.clock.ms += 1000
      expect(await status(server, key.text)).toBe(401)
      const told = async (text: string) => {
        const { headers, body } = await server.ask('GET', '/private/info/', { headers: { 'x-api-key': text } })
        return [headers.get('www-authenticate'), body.detail]
      }
      const described = (text: string) => [`Bearer realm="vestal", error="invalid_token", error_description="${text}"`, text]
      const plain = ['Bearer realm="vestal", error="invalid_token"', 'Unauthorized']
      expect(await told(key.text)).toEqual(described('The API key expired'))
      // The id of a key without its secret learns nothing.
      const forged = forgedKey(key.text)
      expect([apiKeyId(forged) === key.id, await told(forged), await told(makeApiKey().text)]).toEqual([true, plain, plain])
      server.clock.ms += 1
      const second = await makeKey(server)
      await revokeApiKey(server.context, { id: second.id }, BY)
      server.clock.ms += 1
      await Promise.all([server.sync.poll(), other.sync.poll()])
      expect([await status(server, second.text), await status(other, second.text)]).toEqual([401, 401])
      expect(await told(second.text)).toEqual(described('The API key was revoked'))
      expect(await told(forgedKey(second.text))).toEqual(plain)
      await server.apiKeys.flush()
      const [used] = await server.store
        .read((records) => records.apiKeys({ limit: 10 }))
        .then((keys) => keys.filter(({ id }) => id === key.id))
      expect(used?.lastUsedAt).toBe(server.clock.ms - 1002)
      // What was written is not written again.
      const { transactions } = server.store.statistics
      await server.apiKeys.flush()
      expect(server.store.statistics.transactions).toBe(transactions)
      expect(JSON.stringify(used)).not.toContain(key.text)
    })

    test('is known however many there are, and so is that it is not there', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      const made = Array.from({ length: 1001 }, makeApiKey)
      const key = { name: 'robot', permissions: ['my-permission-name'], version: 1, createdAt: server.clock.ms }
      await server.store.transaction(async (records) => {
        for (const { id, hash } of made)
          await records.insertApiKey({ ...key, id, hash, expiresAt: null, lastUsedAt: null, revokedAt: null })
      })
      await server.apiKeys.load()
      const refused: number[] = []
      for (const [index, { text }] of made.entries())
        if ((await server.ask('GET', '/private/info/', { headers: { 'x-api-key': text } })).status !== 200) refused.push(index)
      expect(refused).toEqual([])
      expect((await server.ask('GET', '/private/info/', { headers: { 'x-api-key': makeApiKey().text } })).status).toBe(401)
    })

    if (kind.name === 'SQLite')
      test('is one of ten thousand at most', async () => {
        await using place = await startAccounts(kind)
        const { server } = place
        const key = { hash: '', name: 'robot', permissions: [], version: 1, createdAt: 0, expiresAt: null }
        await server.store.transaction(async (records) => {
          for (let index = 1; index < 10_000; index += 1)
            await records.insertApiKey({ ...key, id: String(index).padStart(12, '0'), lastUsedAt: null, revokedAt: null })
        })
        const ask = () => server.ask('POST', '/admin/api-keys/', { token: tokenWith(['*']), body: { name: 'one more' } })
        expect((await ask()).status).toBe(200)
        const { status, body } = await ask()
        expect([status, body.detail]).toEqual([400, { name: 'there are 10000 keys already, the most there may be' }])
      })

    test('has a checksum, so that a mistyped one is known', () => {
      const { text, id } = makeApiKey()
      expect(text).toMatch(/^vst_[0-9A-Za-z]{12}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}$/)
      expect(apiKeyId(text)).toBe(id)
      for (let index = 4; index < text.length; index += 1) {
        const other = `${text.slice(0, index)}${text[index] === 'a' ? 'b' : 'a'}${text.slice(index + 1)}`
        if (text[index] !== '_') expect(apiKeyId(other)).toBeUndefined()
      }
    })
  })

  describe(`a store that cannot be reached, ${kind.name}`, () => {
    for (const whenStale of ['closed', 'administration', 'open'] as const) {
      test(`is a 503 for what the setting says: ${whenStale}`, async () => {
        await using place = await startAccounts(kind, { whenStale })
        const { server } = place
        const { id } = await server.account('ada', { permissions: ['metrics:read', '*'] })
        await server.account('chief', { roles: ['admin'] })
        const { token } = await server.signIn('ada')
        const status = async (path: string) => (await server.ask('GET', path, { token })).status
        expect([await status('/private/info/'), await status('/models/')]).toEqual([200, 200])
        server.clock.ms += 2001
        const isClosed = whenStale === 'closed'
        expect([await status('/private/info/'), await status('/models/')]).toEqual(isClosed ? [503, 503] : [200, 200])
        const introspection = await form(server, '/oauth/introspect', { token }, { authorization: `Bearer ${token}` })
        expect(introspection.status).toBe(whenStale === 'open' ? 200 : 503)
        if (whenStale !== 'open') expect(introspection.headers.get('retry-after')).toBe('1')
        await server.sync.poll()
        expect(await status('/private/info/')).toBe(200)
        await changeAccount(server.context, { id, isDisabled: true }, BY)
        server.clock.ms += 2001
        expect(await status('/private/info/')).toBe(401)
      })
    }
  })
}
