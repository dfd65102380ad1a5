import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { type AccountsServer, PASSWORD, startAccounts } from '../support/accounts.ts'
import { DOORS } from '../support/doors.ts'
import { sendRaw } from '../support/raw-socket.ts'
import { stores } from '../support/stores.ts'

const [, overSocket] = DOORS
if (overSocket === undefined) throw new Error('there are two doors')

/** Rows of spec/jwt.md about what is remembered, revoked and refreshed, and about HTTP, with accounts and their tokens, on each store. */
for (const kind of stores()) {
  describe(`tokens of accounts, ${kind.name}`, () => {
    let place: Awaited<ReturnType<typeof startAccounts>>
    let server: AccountsServer
    const addresses = { throttle: { accountMax: 10_000 } }
    beforeAll(async () => {
      place = await startAccounts(kind, { open: overSocket, ...addresses })
      server = place.server
    })
    afterAll(() => place[Symbol.asyncDispose]())
    const status = async (path: string, headers: Record<string, string>, init: RequestInit = {}) => {
      const response = await server.door.fetch(path, { ...init, headers })
      await response.arrayBuffer()
      return response.status
    }
    const withHeader = (authorization: string) => status('/private/info/', { authorization })
    const raw = (...lines: readonly string[]) =>
      sendRaw(Number(new URL(server.door.base).port), {
        pieces: [['GET /private/info/ HTTP/1.1', 'Host: localhost', ...lines, '', ''].join('\r\n')],
      })
    const form = (path: string, fields: Record<string, string>, headers: Record<string, string> = {}) =>
      server.ask('POST', path, {
        body: new URLSearchParams(fields).toString(),
        headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
      })
    let count = 0
    /** A new account, signed in. */
    const person = async (more: Parameters<AccountsServer['account']>[1] = {}) => {
      count += 1
      const name = `person-${count}`
      await server.account(name, more)
      return { name, ...(await server.signIn(name)) }
    }
    const chief = async () => (await person({ roles: ['admin'] })).token

    test('R1: a remembered token with another signature is rejected, and stays remembered itself', async () => {
      const { token } = await person()
      expect(await server.statusWith(token)).toBe(200)
      for (const last of ['A', 'Q', 'g', 'w'].filter((letter) => !token.endsWith(letter)))
        expect(await server.statusWith(token.slice(0, -1) + last)).toBe(401)
      expect(await server.statusWith(token)).toBe(200)
    })

    test('R2: tokens alike in length, beginning and end are never taken for each other', async () => {
      const people = [await person(), await person()]
      const tokens: { readonly id: string; readonly token: string }[] = []
      for (let round = 0; round < 5; round += 1) for (const { name } of people) tokens.push(await server.signIn(name))
      for (const round of [0, 1])
        for (const { id, token } of round === 0 ? tokens : tokens.toReversed())
          expect((await server.ask('GET', '/auth/me/', { token })).body.id).toBe(id)
    })

    test('R3: a remembered token is rejected at the first request after it is revoked, in whatever way, or over', async () => {
      const admin = await chief()
      const patch = (id: string, body: object) =>
        server.ask('PATCH', `/admin/users/${id}/`, { token: admin, body, headers: { 'if-match': '*' } })
      type Person = Awaited<ReturnType<typeof person>>
      const ends: Readonly<Record<string, (of: Person) => Promise<unknown>>> = {
        'by its id': ({ token }) => form('/oauth/revoke', { token }),
        'by its session': ({ token }) => server.ask('POST', '/auth/logout/', { token }),
        'with all of the account': ({ token }) => server.ask('POST', '/auth/logout/all/', { token }),
        'by its refresh token': ({ refreshToken }) => form('/oauth/revoke', { token: refreshToken }),
        'by other roles': ({ id }) => patch(id, { roles: ['operator'] }),
        'by other permissions': ({ id }) => patch(id, { permissions: ['x'] }),
        'by another password': ({ id }) => patch(id, { password: 'another sentence' }),
        'by being disabled': ({ id }) => patch(id, { disabled: true }),
        'by being deleted': ({ id }) =>
          server.ask('DELETE', `/admin/users/${id}/`, { token: admin, headers: { 'if-match': '*' } }),
      }
      for (const [how, end] of Object.entries(ends)) {
        const someone = await person()
        expect([how, await server.statusWith(someone.token)]).toEqual([how, 200])
        await end(someone)
        expect([how, await server.statusWith(someone.token)]).toEqual([how, 401])
      }
      const role = { name: `role-${count}`, permissions: ['my-permission-name'] }
      await server.ask('POST', '/admin/roles/', { token: admin, body: role })
      const holder = await person({ roles: [role.name] })
      expect(await server.statusWith(holder.token)).toBe(200)
      const changed = { token: admin, body: { permissions: ['my-permission-name', 'x'] }, headers: { 'if-match': '*' } }
      expect((await server.ask('PATCH', `/admin/roles/${role.name}/`, changed)).status).toBe(200)
      expect(await server.statusWith(holder.token)).toBe(401)
      const late = await person()
      expect(await server.statusWith(late.token)).toBe(200)
      server.clock.ms += 1000 * (300 + 60)
      expect(await server.statusWith(late.token)).toBe(401)
    })

    test('R5: a flood of wrong tokens pushes out no right one, and asks the store nothing', async () => {
      const { token } = await person()
      expect(await server.statusWith(token)).toBe(200)
      const before = server.store.statistics
      for (let number = 0; number < 200; number += 1)
        expect(await server.statusWith(`${token.slice(0, -8)}${String(number).padStart(8, 'A')}`)).toBe(401)
      expect(await server.statusWith(token)).toBe(200)
      expect(server.store.statistics).toEqual(before)
    })

    test('R6: a token remembered for one route is judged anew at another', async () => {
      const { token } = await person()
      expect(await server.statusWith(token)).toBe(200)
      for (const path of ['/admin/users/', '/admin/roles/', '/admin/api-keys/', '/metrics'])
        expect((await server.ask('GET', path, { token })).status).toBe(403)
      expect(await server.statusWith(token)).toBe(200)
    })

    test('R7: the parent in time gives the same successor; the grandparent, or the parent out of time, ends the session', async () => {
      const first = await person()
      const second = (await server.refresh(first.refreshToken)).body
      expect((await server.refresh(first.refreshToken)).body.refresh_token).toBe(second.refresh_token)
      const third = (await server.refresh(second.refresh_token)).body
      expect((await server.refresh(first.refreshToken)).status).toBe(401)
      for (const token of [first.token, second.token, third.token]) expect(await server.statusWith(token)).toBe(401)
      expect((await server.refresh(third.refresh_token)).status).toBe(401)

      const other = await person()
      const next = (await server.refresh(other.refreshToken)).body
      server.clock.ms += 10_000
      expect((await server.refresh(other.refreshToken)).status).toBe(401)
      expect(await server.statusWith(next.token)).toBe(401)

      const many = await person()
      const answers = await Promise.all(Array.from({ length: 50 }, () => server.refresh(many.refreshToken)))
      expect(new Set(answers.map(({ status, body }) => `${status} ${body.refresh_token}`)).size).toBe(1)
      expect(answers[0]?.status).toBe(200)

      const out = await person()
      expect((await server.ask('GET', '/auth/me/', { token: out.refreshToken })).status).toBe(401)
      await server.ask('POST', '/auth/logout/', { token: out.token })
      expect((await server.refresh(out.refreshToken)).status).toBe(401)
      const changed = await person()
      const body = { old_password: PASSWORD, new_password: 'another sentence' }
      const elsewhere = await server.signIn(changed.name)
      expect((await server.ask('POST', '/auth/password/', { token: changed.token, body })).status).toBe(200)
      expect((await server.refresh(elsewhere.refreshToken)).status).toBe(401)
      const off = await person()
      const disable = { token: await chief(), body: { disabled: true }, headers: { 'if-match': '*' } }
      expect((await server.ask('PATCH', `/admin/users/${off.id}/`, disable)).status).toBe(200)
      expect((await server.refresh(off.refreshToken)).status).toBe(401)
    })

    test('R8: signing out everywhere ends what was made in that second before, and nothing made after', async () => {
      const before = await person()
      await server.ask('POST', '/auth/logout/all/', { token: before.token })
      const after = await server.signIn(before.name)
      expect([await server.statusWith(before.token), await server.statusWith(after.token)]).toEqual([401, 200])
    })

    test('R9: revoking what is unknown, another’s or no token is no fault, and reveals nothing', async () => {
      const { token } = await person()
      const reader = await person({ permissions: ['tokens:introspect'] })
      const about = (text: string) => form('/oauth/introspect', { token: text }, { authorization: `Bearer ${reader.token}` })
      const foreign = `${token.split('.').slice(0, 2).join('.')}.${'A'.repeat(43)}`
      for (const text of ['x', 'a.b.c', foreign, 'vst_x', `rt_${'a'.repeat(43)}`]) {
        expect(await form('/oauth/revoke', { token: text })).toMatchObject({ status: 200, body: {} })
        expect(await about(text)).toMatchObject({ status: 200, body: { active: false } })
        expect(Object.keys((await about(text)).body)).toEqual(['active'])
      }
      expect((await about(token)).body.active).toBe(true)
      await form('/oauth/revoke', { token })
      expect((await about(token)).body).toEqual({ active: false })
    })

    test('R10: what is revoked is not known for a while: 503, and no door is open', async () => {
      await using closed = await startAccounts(kind, { whenStale: 'closed' })
      await closed.server.account('ada')
      const { token } = await closed.server.signIn('ada')
      expect(await closed.server.statusWith(token)).toBe(200)
      closed.server.clock.ms += 2001
      expect(await closed.server.statusWith(token)).toBe(503)
      await closed.server.sync.poll()
      expect(await closed.server.statusWith(token)).toBe(200)
    })

    test('X1: a scheme of any case is the scheme', async () => {
      const { token } = await person()
      for (const scheme of ['Bearer', 'bearer', 'BEARER', 'bEaReR']) expect(await withHeader(`${scheme} ${token}`)).toBe(200)
    })

    test('X2: spaces may stand before the token, and nothing else may stand anywhere', async () => {
      const { token } = await person()
      expect(await withHeader(`Bearer  ${token}`)).toBe(200)
      for (const header of [
        'Bearer',
        `Bearer\t${token}`,
        `Bearer ${token} x`,
        `Bearer ${token},`,
        `Bearer "${token}"`,
        `BearerX ${token}`,
      ])
        expect([header, await withHeader(header)]).toEqual([header, 400])
    })

    test('X3: two Authorization headers are rejected, the same or not', async () => {
      const { token } = await person()
      const line = `Authorization: Bearer ${token}`
      expect([await raw(line), await raw(line, line), await raw(line, 'Authorization: Basic YTpi')]).toEqual([200, 400, 400])
    })

    test('X4: another scheme is rejected, beside a token or alone', async () => {
      const { token } = await person()
      for (const header of ['Basic YTpi', `Basic YTpi, Bearer ${token}`, `Bearer ${token}, Basic YTpi`, `DPoP ${token}`])
        expect(await withHeader(header)).toBe(400)
    })

    test('X5: the header goes before the cookie, and neither stands in for the other where it is wrong', async () => {
      const { token } = await person()
      const wrong = `${token.slice(0, -8)}AAAAAAAA`
      const both = (header: string, cookie: string) =>
        status('/private/info/', { authorization: `Bearer ${header}`, cookie: `access_token=${cookie}` })
      expect([await both(token, wrong), await both(wrong, token)]).toEqual([200, 401])
      expect(await status('/private/info/', { cookie: `access_token=${wrong}` })).toBe(401)
      expect(await status('/private/info/', { cookie: `access_token=${token}` })).toBe(200)
    })

    test('X6: a token in the address or in a body is no one’s', async () => {
      const { token } = await person()
      for (const name of ['access_token', 'token', 'jwt']) expect(await status(`/private/info/?${name}=${token}`, {})).toBe(401)
      expect((await form('/auth/logout/', { access_token: token })).status).toBe(401)
    })

    test('X7: two cookies of one name must be one token, and a cookie is a text and no JSON', async () => {
      const [one, two] = [await person(), await person()]
      const cookie = (text: string) => status('/private/info/', { cookie: text })
      expect(await cookie(`access_token=${one.token}; access_token=${one.token}`)).toBe(200)
      expect(await cookie(`access_token=${one.token}; access_token=${two.token}`)).toBe(400)
      expect(await cookie(`access_token="${one.token}"`)).toBe(401)
      expect(await cookie(`access_token={"token":"${one.token}"}`)).toBe(401)
    })

    test('X8: a token that is too long is rejected unread, and headers that are too long by Bun', async () => {
      expect(await withHeader(`Bearer ${'a'.repeat(12_000)}`)).toBe(401)
      expect(await raw(`Authorization: Bearer ${'a'.repeat(20_000)}`)).toBe(431)
    })

    test('X9: HEAD is asked for a token like GET, and OPTIONS reveals nothing', async () => {
      const { token } = await person()
      expect(await status('/private/info/', {}, { method: 'HEAD' })).toBe(401)
      expect(await status('/private/info/', { authorization: `Bearer ${token}` }, { method: 'HEAD' })).toBe(200)
      const preflight = { origin: 'https://evil.example', 'access-control-request-method': 'POST' }
      const answer = await server.door.fetch('/admin/users/', { method: 'OPTIONS', headers: preflight })
      expect([answer.headers.get('access-control-allow-origin'), answer.status < 500]).toEqual([null, true])
      expect(await answer.text()).not.toContain('person')
    })

    test('X10: no spelling of a path goes around its permissions', async () => {
      const { token } = await person()
      const paths = [
        '//admin/users/',
        '/admin//users/',
        '/%61dmin/users/',
        '/admin%2fusers/',
        '/ADMIN/USERS/',
        '/admin/users',
        '/admin/users/.',
      ]
      for (const path of paths) {
        expect([path, [401, 404].includes(await status(path, {}))]).toEqual([path, true])
        expect([path, [403, 404].includes(await status(path, { authorization: `Bearer ${token}` }))]).toEqual([path, true])
      }
    })

    test('X11: nothing of a request is reflected where it could end a header', async () => {
      const { token } = await person()
      for (const name of ['%22', '%0d%0aset-cookie:a=b', '%5c', '%00']) {
        const answer = await server.ask('GET', `/admin/users/${name}/`, { token })
        expect([answer.status, answer.cookies]).toEqual([403, []])
        expect(answer.headers.get('www-authenticate')).toBe(
          'Bearer realm="vestal", error="insufficient_scope", scope="users:read"',
        )
      }
    })

    test('X13: an answer that carries a token, or rejects one, is kept by no one', async () => {
      const { name, token, refreshToken } = await person()
      const answers = [
        await server.ask('POST', '/auth/', { body: { name, password: PASSWORD } }),
        await server.refresh(refreshToken),
        await form('/oauth/token', { grant_type: 'password', username: name, password: PASSWORD }),
        await server.ask('GET', '/auth/me/', { token }),
        await server.ask('GET', '/auth/me/', { token: 'x' }),
      ]
      for (const { headers } of answers) expect(headers.get('cache-control')).toBe('no-store')
    })

    test('X14: names that are there and names that are not are answered alike, and odd bodies are rejected', async () => {
      const { name } = await person()
      const answerOf = async (body: unknown) => {
        const { status: code, body: text, headers } = await server.ask('POST', '/auth/', { body })
        const kept = [...headers].filter(([header]) => header !== 'x-request-id' && header !== 'date')
        return { code, text, kept }
      }
      const unknown = await answerOf({ name: 'nobody-at-all', password: 'wrong' })
      expect(unknown.code).toBe(401)
      expect(await answerOf({ name, password: 'wrong' })).toEqual(unknown)
      expect(await answerOf({ name: `${name}\u0000`, password: PASSWORD })).toEqual(unknown)
      expect((await answerOf({ name, password: `${PASSWORD}\u0000` })).code).toBe(401)
      expect((await answerOf({ name, password: [PASSWORD] })).code).toBe(400)
      expect((await answerOf({ name, password: 'x'.repeat(1_000_000) })).code).toBe(413)
    })
  })
}
