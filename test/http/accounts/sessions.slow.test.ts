import { describe, expect, test } from 'bun:test'
import { changeAccount, deleteAccount } from '../../../src/accounts/administration.ts'
import { changeRole, deleteRole } from '../../../src/accounts/roles.ts'
import { changePassword, sessionsOf } from '../../../src/accounts/sessions.ts'
import { decodeJwt } from '../../../src/index.ts'
import { type AccountsServer, PASSWORD, startAccounts } from '../../support/accounts.ts'
import { stores } from '../../support/stores.ts'
import { makeToken, nowSeconds } from '../../support/tokens.ts'

const BY = { actor: 'test' }
const SAME = { 'sec-fetch-site': 'same-origin' }
const pairOf = (cookie = '') => cookie.split(';')[0] ?? ''

for (const kind of stores()) {
  test(`a session is listed until it was unused for too long, to the millisecond, ${kind.name}`, async () => {
    await using place = await startAccounts(kind, { lifetimes: { idleSeconds: 60 } })
    const { server } = place
    const { id } = await server.account('ada')
    await server.signIn('ada')
    const listed = async (afterMs: number) => {
      server.clock.ms += afterMs
      return (await sessionsOf(server.context, id)).length
    }
    expect([await listed(0), await listed(59_999), await listed(1)]).toEqual([1, 1, 0])
  })

  test(`of two changes of one password at once the second is rejected, ${kind.name}`, async () => {
    await using place = await startAccounts(kind)
    const { server } = place
    const { id } = await server.account('ada')
    const { token } = await server.signIn('ada')
    const { sid } = decodeJwt(token).payload
    const bearer = { accountId: id, sessionId: String(sid), origin: { address: 'unknown', userAgent: '' } }
    const change = (password: string) => changePassword(server.context, bearer, { old: PASSWORD, password })
    const settled = await Promise.allSettled([change('the first of two'), change('the second of two')])
    expect(settled.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    expect(settled.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'SIGN_IN_REFUSED' } })
  })

  describe(`a session, ${kind.name}`, () => {
    test('is shown to its account, and ended by it; another’s is not there', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      await server.account('ada')
      await server.account('bea')
      const [one, two, other] = [await server.signIn('ada'), await server.signIn('ada'), await server.signIn('bea')]
      const { body } = await server.ask('GET', '/auth/sessions/', { token: one.token })
      expect(body.sessions).toHaveLength(2)
      const [second] = body.sessions.filter((session: { is_this: boolean }) => !session.is_this)
      for (const id of [second.id, 'x', '%00', '0b6f4a52-6c6b-4f27-9a9e-0d3a5c9f9f10'])
        expect([id, (await server.ask('DELETE', `/auth/sessions/${id}/`, { token: other.token })).status]).toEqual([id, 404])
      expect((await server.ask('DELETE', `/auth/sessions/${second.id}/`, { token: one.token })).body).toEqual({
        ended: second.id,
      })
      expect([
        await server.statusWith(one.token),
        await server.statusWith(two.token),
        await server.statusWith(other.token),
      ]).toEqual([200, 401, 200])
      expect((await server.ask('GET', '/auth/sessions/', { token: one.token })).body.sessions).toHaveLength(1)
    })

    test('is one of a hundred at most; the one that was unused for longest gives way', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      await server.account('ada')
      const first = await server.signIn('ada')
      for (let count = 0; count < 100; count += 1) {
        server.clock.ms += 1
        await server.signIn('ada')
      }
      const last = await server.signIn('ada')
      expect([await server.statusWith(first.token), await server.statusWith(last.token)]).toEqual([401, 200])
      expect((await server.ask('GET', '/auth/sessions/', { token: last.token })).body.sessions).toHaveLength(100)
    })

    test('asks for the old password to set another, ends the others, and continues', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      await server.account('ada')
      const [one, two] = [await server.signIn('ada'), await server.signIn('ada')]
      const change = (body: object) => server.ask('POST', '/auth/password/', { token: one.token, body })
      const refused: readonly (readonly [body: object, status: number])[] = [
        [{ new_password: 'another sentence' }, 401],
        [{ old_password: 'wrong', new_password: 'another sentence' }, 401],
        [{ old_password: PASSWORD, new_password: 'short' }, 400],
        [{ old_password: PASSWORD, new_password: 'password' }, 400],
        [{ old_password: PASSWORD }, 400],
      ]
      for (const [body, status] of refused) expect([body, (await change(body)).status]).toEqual([body, status])
      const { status, body } = await change({ old_password: PASSWORD, new_password: 'another sentence' })
      expect(status).toBe(200)
      const statuses = [
        await server.statusWith(one.token),
        await server.statusWith(two.token),
        await server.statusWith(body.token),
      ]
      expect(statuses).toEqual([401, 401, 200])
      expect([(await server.refresh(one.refreshToken)).status, (await server.refresh(two.refreshToken)).status]).toEqual([
        200, 401,
      ])
      expect((await server.ask('POST', '/auth/', { body: { name: 'ada', password: PASSWORD } })).status).toBe(401)
      // It is a password like any other, and not one that signs in once.
      for (let round = 0; round < 3; round += 1)
        expect(await server.statusWith((await server.signIn('ada', 'another sentence')).token)).toBe(200)
    })

    test('loses its tokens at the next request after every change that makes them wrong', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      const { context } = server
      const changes: readonly (readonly [name: string, mayRefresh: boolean, change: (id: string) => Promise<unknown>])[] = [
        ['roles', true, (id) => changeAccount(context, { id, roles: ['operator'] }, BY)],
        ['permissions', true, (id) => changeAccount(context, { id, permissions: ['a:b'] }, BY)],
        ['password', false, (id) => changeAccount(context, { id, password: 'another sentence' }, BY)],
        ['disabled', false, (id) => changeAccount(context, { id, isDisabled: true }, BY)],
        ['deleted', false, (id) => deleteAccount(context, { id }, BY)],
        ['a role that was changed', true, () => changeRole(context, { name: 'analyst', permissions: ['model:*:read'] }, BY)],
        ['a role that was deleted', true, () => deleteRole(context, { name: 'analyst' }, BY)],
      ]
      for (const [index, [name, mayRefresh, change]] of changes.entries()) {
        const { id } = await server.account(`user-${index}`)
        const { token, refreshToken } = await server.signIn(`user-${index}`)
        const asked = async () => (await server.ask('GET', '/models/', { token })).status
        expect([name, await asked(), await asked()]).toEqual([name, 200, 200])
        await change(id)
        expect([name, await asked()]).toEqual([name, 401])
        expect([name, (await server.refresh(refreshToken)).status]).toEqual([name, mayRefresh ? 200 : 401])
      }
    })

    test('says who it is for', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      const { id } = await server.account('ada', { permissions: ['a:b'] })
      const { token } = await server.signIn('ada')
      expect((await server.ask('GET', '/auth/me/', { token })).body).toEqual({
        id,
        name: 'ada',
        permissions: ['a:b'],
        roles: { analyst: ['model:*:predict', 'model:*:read', 'my-permission-name'] },
        last_sign_in_at: new Date(server.clock.ms).toISOString(),
        has_password: true,
      })
    })

    test('is not reached with a token that is of no session, or another issuer’s', async () => {
      await using place = await startAccounts(kind, { issuer: 'https://here.example' })
      const { server } = place
      const { id } = await server.account('ada')
      const { token } = await server.signIn('ada')
      expect((await server.ask('GET', '/auth/me/', { token })).status).toBe(200)
      const own = makeToken({ payload: { iss: 'https://here.example', sub: id, exp: nowSeconds() + 60, data: {} } })
      expect((await server.ask('POST', '/auth/logout/', { token: own })).status).toBe(404)
      const unknown = makeToken({ payload: { iss: 'https://here.example', sub: 'tester', exp: nowSeconds() + 60, data: {} } })
      for (const path of ['/auth/me/', '/auth/sessions/'])
        expect((await server.ask('GET', path, { token: unknown })).status).toBe(path === '/auth/me/' ? 404 : 200)
    })
  })

  describe(`cookies of a session, ${kind.name}`, () => {
    const signInWith = (server: AccountsServer, headers: Record<string, string>) =>
      server.ask('POST', '/auth/', { body: { name: 'ada', password: PASSWORD, session: 'cookie' }, headers })

    for (const isSecure of [false, true]) {
      test(`are ${isSecure ? 'for HTTPS and this host alone' : 'plain on a loopback address'}, and never readable by a script`, async () => {
        await using place = await startAccounts(kind, { isSecure })
        const { server } = place
        await server.account('ada')
        const { status, body, cookies } = await signInWith(server, SAME)
        expect([status, Object.keys(body)]).toEqual([200, ['id', 'token']])
        const prefix = isSecure ? '__Host-' : ''
        const attributes = `Path=/; HttpOnly${isSecure ? '; Secure' : ''}`
        expect(cookies).toEqual([
          `${prefix}access_token=${body.token}; Max-Age=300; SameSite=Lax; ${attributes}`,
          expect.stringMatching(
            new RegExp(`^${prefix}refresh_token=[\\w-]{43}; Max-Age=2592000; SameSite=Strict; ${attributes}$`),
          ),
        ])
        const [access, refresh] = cookies.map(pairOf)
        expect((await server.ask('GET', '/private/info/', { headers: { cookie: access ?? '' } })).status).toBe(200)
        const next = await server.ask('POST', '/auth/refresh/', { headers: { cookie: `${access}; ${refresh}`, ...SAME } })
        expect([next.status, next.cookies.length, next.body.refresh_token]).toEqual([200, 2, undefined])
        expect(next.cookies.map(pairOf)[1]).not.toBe(refresh)
        const out = await server.ask('POST', '/auth/logout/', { headers: { cookie: pairOf(next.cookies[0]), ...SAME } })
        expect(out.cookies.map((cookie) => [pairOf(cookie), cookie.includes('Max-Age=0')])).toEqual([
          [`${prefix}access_token=`, true],
          [`${prefix}refresh_token=`, true],
        ])
        expect((await server.ask('GET', '/private/info/', { headers: { cookie: pairOf(next.cookies[0]) } })).status).toBe(401)
      })
    }

    test('are believed for a change only where the request is from here', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      await server.account('ada')
      const { cookies } = await signInWith(server, SAME)
      const cookie = cookies.map(pairOf).join('; ')
      const bad: Record<string, string>[] = [
        {},
        { 'sec-fetch-site': 'cross-site' },
        { 'sec-fetch-site': 'same-site' },
        { origin: 'https://evil.example', host: 'localhost' },
        { origin: 'null', host: 'localhost' },
        { 'sec-fetch-site': 'cross-site', origin: 'http://localhost', host: 'localhost' },
      ]
      for (const headers of bad) {
        for (const path of ['/auth/refresh/', '/auth/logout/', '/auth/logout/all/', '/auth/password/'])
          expect([path, headers, (await server.ask('POST', path, { headers: { cookie, ...headers } })).status]).toEqual([
            path,
            headers,
            403,
          ])
        expect([headers, (await signInWith(server, headers)).status]).toEqual([headers, 403])
      }
      expect(
        (await server.ask('POST', '/auth/refresh/', { headers: { cookie, origin: 'http://localhost', host: 'localhost' } }))
          .status,
      ).toBe(200)
    })

    test('are rejected where one comes twice with two values, and taken away where it is of no use', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      const twice = await server.ask('POST', '/auth/refresh/', {
        headers: { cookie: 'refresh_token=a; refresh_token=b', ...SAME },
      })
      expect(twice.status).toBe(400)
      const { status, cookies } = await server.ask('POST', '/auth/refresh/', {
        headers: { cookie: `refresh_token=${'A'.repeat(43)}`, ...SAME },
      })
      expect([status, cookies]).toEqual([401, ['refresh_token=; Max-Age=0; SameSite=Strict; Path=/; HttpOnly']])
      expect((await server.ask('POST', '/auth/refresh/', { headers: SAME })).status).toBe(400)
    })
  })

  describe(`too many attempts, ${kind.name}`, () => {
    test('are answered alike for a name that is there and one that is not, until the right password comes in time', async () => {
      await using place = await startAccounts(kind, { throttle: { accountMax: 3 } })
      const { server } = place
      const { id } = await server.account('ada')
      for (const name of ['ada', 'nobody']) {
        const statuses: number[] = []
        for (let attempt = 0; attempt < 5; attempt += 1)
          statuses.push((await server.ask('POST', '/auth/', { body: { name, password: 'wrong' } })).status)
        expect([name, statuses]).toEqual([name, [401, 401, 401, 429, 429]])
        const locked = await server.ask('POST', '/auth/', { body: { name, password: PASSWORD } })
        expect({ ...locked.body, retry: Number(locked.headers.get('retry-after')) > 0 }).toEqual({
          status_code: 429,
          detail: 'Too many attempts; try again later',
          error: null,
          retry: true,
        })
      }
      expect((await server.ask('POST', '/auth/', { body: { id, password: PASSWORD } })).status).toBe(429)
    })

    test('from one address, over many names, are rejected; other addresses are not', async () => {
      await using place = await startAccounts(kind, { throttle: { addressMax: 3 }, trustedProxies: ['unknown'] })
      const { server } = place
      const statuses: number[] = []
      for (let attempt = 0; attempt < 4; attempt += 1)
        statuses.push((await server.ask('POST', '/auth/', { body: { name: `name-${attempt}`, password: 'wrong' } })).status)
      expect(statuses).toEqual([401, 401, 401, 429])
    })
  })
}
