import { describe, expect, test } from 'bun:test'
import { createPasswords } from '../../../src/accounts/passwords.ts'
import { GENERATIONS_MAX } from '../../../src/accounts/refresh.ts'
import { hashOf } from '../../../src/accounts/refresh-tokens.ts'
import { decodeJwt } from '../../../src/index.ts'
import { AccountsServer, CHEAP, PASSWORD, startAccounts } from '../../support/accounts.ts'
import { stores } from '../../support/stores.ts'
import { makeToken, nowSeconds, tokenWith } from '../../support/tokens.ts'

const REFUSED = { status_code: 401, detail: 'The refresh token is not accepted; sign in again', error: null }

for (const kind of stores()) {
  describe(`a refresh, ${kind.name}`, () => {
    test('gives the next tokens, each refresh token once', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      await server.account('ada')
      let { id, refreshToken } = await server.signIn('ada')
      const seen = new Set([refreshToken])
      for (let generation = 0; generation < 5; generation += 1) {
        const { status, body, headers } = await server.refresh(refreshToken)
        expect([status, body.id, body.expires_in, headers.get('cache-control')]).toEqual([200, id, 300, 'no-store'])
        expect(await server.statusWith(body.token)).toBe(200)
        expect(seen.has(body.refresh_token)).toBe(false)
        seen.add(body.refresh_token)
        refreshToken = body.refresh_token
      }
    })

    test('costs no argon2 and one transaction, and a protected request asks the database nothing', async () => {
      const passwords = createPasswords(CHEAP)
      await using place = await startAccounts(kind, { passwords })
      const { server } = place
      await server.account('ada')
      const { refreshToken } = await server.signIn('ada')
      const before = { count: passwords.count, ...server.store.statistics }
      const { body } = await server.refresh(refreshToken)
      expect({ count: passwords.count, ...server.store.statistics }).toEqual({ ...before, transactions: before.transactions + 1 })
      const after = server.store.statistics
      for (let request = 0; request < 20; request += 1) expect(await server.statusWith(body.token)).toBe(200)
      expect(server.store.statistics).toEqual(after)
    })

    test('with the parent in time gives the same successor; out of time it ends the session and its tokens', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      await server.account('ada')
      const first = await server.signIn('ada')
      const second = (await server.refresh(first.refreshToken)).body
      server.clock.ms += 9999
      const again = await server.refresh(first.refreshToken)
      expect([again.status, again.body.refresh_token]).toEqual([200, second.refresh_token])
      for (const token of [first.token, second.token, again.body.token]) expect(await server.statusWith(token)).toBe(200)
      server.clock.ms += 1
      expect(await server.refresh(first.refreshToken)).toMatchObject({ status: 401, body: REFUSED })
      for (const token of [first.token, second.token, again.body.token]) expect(await server.statusWith(token)).toBe(401)
      expect((await server.refresh(second.refresh_token)).status).toBe(401)
      expect(server.events.map(({ event }) => event)).toContain('refresh-reused')
    })

    test('with the grandparent ends the session even in time', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      await server.account('ada')
      const other = await server.signIn('ada')
      const first = await server.signIn('ada')
      const second = (await server.refresh(first.refreshToken)).body
      const third = (await server.refresh(second.refresh_token)).body
      expect((await server.refresh(first.refreshToken)).status).toBe(401)
      expect((await server.refresh(third.refresh_token)).status).toBe(401)
      for (const token of [first.token, second.token, third.token]) expect(await server.statusWith(token)).toBe(401)
      expect(await server.statusWith(other.token)).toBe(200)
      expect((await server.refresh(other.refreshToken)).status).toBe(200)
    })

    test('by fifty at once, on two processes, gives one new generation to all fifty', async () => {
      await using place = await startAccounts(kind)
      const { server, database } = place
      await using other = await AccountsServer.start(database)
      await server.account('ada')
      const { refreshToken, token } = await server.signIn('ada')
      const answers = await Promise.all(
        Array.from({ length: 50 }, (_, index) => (index % 2 === 0 ? server : other).refresh(refreshToken)),
      )
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
      expect(new Set(answers.map(({ body }) => body.refresh_token)).size).toBe(1)
      const { sid } = decodeJwt(token).payload
      const session = await server.store.transaction((records) => records.lockSession(sid as string))
      expect(session?.generation).toBe(2)
      for (const { body } of answers) expect(await server.statusWith(body.token)).toBe(200)
    })

    test('is rejected after a logout, a password change, a disabled account, a deleted one', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      const endings: Record<string, (token: string, id: string) => Promise<unknown>> = {
        logout: (token) => server.ask('POST', '/auth/logout/', { token }),
        everywhere: (token) => server.ask('POST', '/auth/logout/all/', { token }),
      }
      for (const [name, end] of Object.entries(endings)) {
        await server.account(name)
        const { token, refreshToken, id } = await server.signIn(name)
        await end(token, id)
        expect([name, (await server.refresh(refreshToken)).status]).toEqual([name, 401])
        expect([name, await server.statusWith(token)]).toEqual([name, 401])
      }
    })

    test('is rejected when the session is over, and when it was not used for too long', async () => {
      await using place = await startAccounts(kind, { lifetimes: { sessionSeconds: 1000, idleSeconds: 400 } })
      const { server } = place
      await server.account('ada')
      const idle = await server.signIn('ada')
      let used = await server.signIn('ada')
      for (let step = 0; step < 3; step += 1) {
        server.clock.ms += 300_000
        used = { ...used, refreshToken: (await server.refresh(used.refreshToken)).body.refresh_token }
        expect(used.refreshToken).toBeDefined()
      }
      expect((await server.refresh(idle.refreshToken)).status).toBe(401)
      server.clock.ms += 100_000
      expect((await server.refresh(used.refreshToken)).status).toBe(401)
    })

    test('takes nothing that is no refresh token, and a refresh token is no access token', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      await server.account('ada')
      const { token, refreshToken } = await server.signIn('ada')
      const wrong = [
        token,
        '',
        'x',
        `${refreshToken}A`,
        refreshToken.slice(0, -1),
        'A'.repeat(43),
        `${refreshToken}\u0000`,
        'x'.repeat(5000),
      ]
      for (const text of wrong) expect([text.length, (await server.refresh(text)).status]).toEqual([text.length, 401])
      expect((await server.ask('POST', '/auth/refresh/', { body: { refresh_token: [refreshToken] } })).status).toBe(400)
      expect((await server.ask('POST', '/auth/refresh/', { body: {} })).status).toBe(400)
      expect(await server.statusWith(refreshToken)).toBe(401)
      expect((await server.refresh(refreshToken)).status).toBe(200)
    })

    test('is not there for a session that was not asked to last', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      await server.account('ada')
      const { body, cookies } = await server.ask('POST', '/auth/', { body: { name: 'ada', password: PASSWORD } })
      expect([Object.keys(body), cookies]).toEqual([['id', 'token'], []])
    })

    test('of a session that was refreshed too often ends it', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      await server.account('ada')
      const { token, refreshToken } = await server.signIn('ada')
      const sessionId = decodeJwt(token).payload.sid as string
      const last = `${'A'.repeat(42)}B`
      await server.store.transaction(async (records) => {
        expect(GENERATIONS_MAX).toBe(10_000)
        await records.updateSession(sessionId, { generation: GENERATIONS_MAX, sealedToken: null, refreshedAt: server.clock.ms })
        await records.insertRefreshToken(hashOf(last), { sessionId, generation: GENERATIONS_MAX })
      })
      expect((await server.refresh(last)).status).toBe(401)
      expect((await server.refresh(refreshToken)).status).toBe(401)
    })

    test('keeps no token in the store that could be used', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      await server.account('ada')
      const { refreshToken, id } = await server.signIn('ada')
      const next = (await server.refresh(refreshToken)).body.refresh_token
      const [session] = await server.store.read((records) => records.sessionsOf(id))
      const account = await server.store.read((records) => records.accountById(id))
      for (const secret of [refreshToken, next, PASSWORD]) expect(JSON.stringify([session, account])).not.toContain(secret)
      expect(JSON.stringify(server.events)).not.toContain(next)
      expect(JSON.stringify(server.events)).not.toContain(PASSWORD)
    })
  })

  describe(`a revocation, ${kind.name}`, () => {
    test('ends a token that is cached at its next request, and no other', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      await server.account('ada')
      const [one, two] = [await server.signIn('ada'), await server.signIn('ada')]
      for (const { token } of [one, two])
        for (let request = 0; request < 3; request += 1) expect(await server.statusWith(token)).toBe(200)
      expect((await server.ask('POST', '/auth/logout/', { token: one.token })).body).toEqual({ signed_out: true })
      expect([await server.statusWith(one.token), await server.statusWith(two.token)]).toEqual([401, 200])
    })

    test('of all tokens leaves those that are made afterwards, in the same second', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      const { id } = await server.account('ada')
      server.clock.ms = Math.ceil(server.clock.ms / 1000) * 1000
      const before = await server.signIn('ada')
      const command = makeToken({ payload: { sub: id, exp: nowSeconds() + 3600, data: { permissions: ['my-permission-name'] } } })
      expect([await server.statusWith(before.token), await server.statusWith(command)]).toEqual([200, 200])
      await server.ask('POST', '/auth/logout/all/', { token: before.token })
      const after = await server.signIn('ada')
      expect(decodeJwt(after.token).payload.iat).toBe(decodeJwt(before.token).payload.iat)
      const status = [
        await server.statusWith(before.token),
        await server.statusWith(command),
        await server.statusWith(after.token),
      ]
      expect(status).toEqual([401, 401, 200])
      expect(await server.statusWith(tokenWith(['my-permission-name']))).toBe(200)
    })

    test('is known to another process at its next question, and after a restart', async () => {
      await using place = await startAccounts(kind)
      const { server, database } = place
      await using other = await AccountsServer.start(database)
      await server.account('ada')
      const [one, two] = [await server.signIn('ada'), await server.signIn('ada')]
      expect(await other.statusWith(one.token)).toBe(200)
      await server.ask('POST', '/auth/logout/', { token: one.token })
      await other.sync.poll()
      expect([await other.statusWith(one.token), await other.statusWith(two.token)]).toEqual([401, 200])
      await using restarted = await AccountsServer.start(database)
      expect([await restarted.statusWith(one.token), await restarted.statusWith(two.token)]).toEqual([401, 200])
    })
  })
}
