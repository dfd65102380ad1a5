import { describe, expect, test } from 'bun:test'
import { makeApiKey } from '../../../src/accounts/api-key-text.ts'
import { ALIKE_LINES, REFUSAL_LINES } from '../../../src/accounts/bounded-audit.ts'
import { decodeJwt } from '../../../src/index.ts'
import { type AccountsServer, PASSWORD, startAccounts } from '../../support/accounts.ts'
import { DOORS } from '../../support/doors.ts'
import { STORES } from '../../support/stores.ts'
import { makeToken, SECRET } from '../../support/tokens.ts'

const linesOf = (server: AccountsServer, event: string) => server.events.filter((line) => line.event === event)

const [sqlite, postgres = sqlite] = STORES
if (sqlite === undefined || postgres === undefined) throw new Error('SQLite is always there')

for (const [index, open] of DOORS.entries()) {
  const kind = index === 0 ? sqlite : postgres
  describe(`what is rejected is in the audit log, ${index === 0 ? 'in memory' : 'over a socket'}`, () => {
    test('a token that is wrong, by the code of the check that rejected it; no token is no event', async () => {
      await using place = await startAccounts(kind, { open })
      const { server } = place
      await server.account('ada')
      const { token } = await server.signIn('ada')
      const before = server.events.length
      await server.ask('GET', '/private/info/')
      expect(server.events).toHaveLength(before)
      await server.ask('GET', '/private/info/', { token: 'x' })
      await server.ask('GET', '/private/info/', { token: `${token.slice(0, -4)}AAAA` })
      await server.ask('GET', '/private/info/', { headers: { authorization: 'Bearer a b' } })
      const signedOut = await server.ask('POST', '/auth/logout/', { token })
      expect(signedOut.status).toBe(200)
      const refused = await server.ask('GET', '/auth/me/', { token })
      expect(linesOf(server, 'token-refused')).toMatchObject([
        { reason: 'TOKEN_MALFORMED', route: 'GET /private/info/' },
        { reason: 'SIGNATURE_INVALID' },
        { reason: 'AUTHORIZATION_MALFORMED' },
        { reason: 'TOKEN_REVOKED', route: 'GET /auth/me/', origin: { requestId: refused.headers.get('x-request-id') } },
      ])
      expect(JSON.stringify(server.events)).not.toContain(token)
    })

    test('whose token it is, where it was signed here, and nothing of one that another party made up', async () => {
      await using place = await startAccounts(kind, { open })
      const { server } = place
      const exp = server.clock.ms / 1000 + 3600
      const payloads = [
        { sub: 'anna', jti: 'token-1', aud: 'another', exp },
        { sub: 'anna', jti: 'token-2', exp: exp - 7200 },
        { sub: 'anna', exp, nbf: exp - 60 },
        { jti: 'token-4', exp: 'soon' },
        { sub: 'an\u001b[2Jna', jti: 'x'.repeat(300), exp },
      ]
      for (const payload of payloads) {
        const signed = makeToken({ header: { alg: 'HS256', typ: 'at+jwt' }, payload, secret: SECRET })
        expect((await server.ask('GET', '/private/info/', { token: signed })).status).toBe(401)
      }
      expect(linesOf(server, 'token-refused').map(({ reason, actor, tokenId }) => [reason, actor, tokenId])).toEqual([
        ['AUDIENCE_REFUSED', 'anna', 'token-1'],
        ['TOKEN_EXPIRED', 'anna', 'token-2'],
        ['TOKEN_NOT_YET_VALID', 'anna', undefined],
        ['CLAIM_INVALID', '(no subject)', 'token-4'],
        ['CLAIM_INVALID', undefined, undefined],
      ])
      const before = server.events.length
      const good = { sub: 'mallory', jti: 'forged', exp }
      for (const parts of [
        { payload: good, secret: 'another secret that is as long as one of HS256 has to be' },
        { payload: { ...good, exp: exp - 7200 }, secret: 'another secret that is as long as one of HS256 has to be' },
        { payload: good, header: { alg: 'none' } },
        { payload: good, header: { alg: 'HS256', typ: 'other' } },
        { payload: good, signature: '' },
      ]) {
        expect((await server.ask('GET', '/private/info/', { token: makeToken(parts) })).status).toBe(401)
      }
      expect(server.events).toHaveLength(before + 5)
      expect(JSON.stringify(server.events)).not.toMatch(/mallory|forged/)
    })

    test('an account whose token was revoked, or has expired', async () => {
      await using place = await startAccounts(kind, { open })
      const { server } = place
      const { id } = await server.account('ada')
      const { token } = await server.signIn('ada')
      const other = await server.signIn('ada')
      expect((await server.ask('POST', '/auth/logout/', { token })).status).toBe(200)
      await server.ask('GET', '/auth/me/', { token })
      server.clock.ms += 3_600_000
      await server.ask('GET', '/auth/me/', { token: other.token })
      const jti = (text: string) => String(decodeJwt(text).payload.jti)
      expect(linesOf(server, 'token-refused').map(({ reason, actor, tokenId }) => [reason, actor, tokenId])).toEqual([
        ['TOKEN_REVOKED', id, jti(token)],
        ['TOKEN_EXPIRED', id, jti(other.token)],
      ])
    })

    test('an API key that is wrong, by its id where it has the form of one', async () => {
      await using place = await startAccounts(kind, { open })
      const { server } = place
      const { id, text } = makeApiKey()
      await server.ask('GET', '/private/info/', { headers: { 'x-api-key': text } })
      await server.ask('GET', '/private/info/', { token: text })
      await server.ask('GET', '/private/info/', { headers: { 'x-api-key': 'vst_x' } })
      const lines = linesOf(server, 'api-key-refused')
      expect(lines.map(({ subject }) => subject)).toEqual([`key:${id}`, `key:${id}`, undefined])
      expect(JSON.stringify(server.events)).not.toContain(text)
    })

    test('a cookie of another site, and a client that is no client', async () => {
      await using place = await startAccounts(kind, { open })
      const { server } = place
      await server.account('ada')
      const { token } = await server.signIn('ada')
      const headers = { cookie: `access_token=${token}`, 'sec-fetch-site': 'cross-site' }
      expect((await server.ask('POST', '/auth/logout/', { headers })).status).toBe(403)
      const form = { 'content-type': 'application/x-www-form-urlencoded', authorization: 'Basic !' }
      expect((await server.ask('POST', '/oauth/token', { body: 'grant_type=client_credentials', headers: form })).status).toBe(
        401,
      )
      expect(server.events.slice(-2)).toMatchObject([
        { event: 'cross-site-refused', route: 'POST /auth/logout/' },
        { event: 'client-refused', reason: 'the header is not Basic' },
      ])
    })
  })
}

describe('a flood of refusals', () => {
  test('is ten lines a minute of those that are alike, and their number', async () => {
    await using place = await startAccounts(sqlite)
    const { server } = place
    for (let asked = 0; asked < 100; asked += 1) await server.ask('GET', '/private/info/', { token: 'x' })
    for (let asked = 0; asked < 30; asked += 1) await server.ask('POST', '/auth/', { body: { name: 'ada', password: PASSWORD } })
    expect([linesOf(server, 'token-refused').length, linesOf(server, 'sign-in-refused').length]).toEqual([
      ALIKE_LINES,
      ALIKE_LINES,
    ])
    server.audit.flush()
    expect(server.events.slice(-2)).toMatchObject([
      { event: 'token-refused', reason: 'TOKEN_MALFORMED', count: 90, origin: { address: 'unknown' } },
      { event: 'sign-in-refused', name: 'ada', count: 20 },
    ])
    server.audit.flush()
    expect(server.events.filter(({ count }) => count !== undefined)).toHaveLength(2)
    server.clock.ms += 60_000
    await server.ask('GET', '/private/info/', { token: 'x' })
    expect(linesOf(server, 'token-refused').at(-1)?.count).toBeUndefined()
  })

  test('is counted by the minute, and what was not told is reported with the first refusal of the next', async () => {
    await using place = await startAccounts(sqlite)
    const { server } = place
    const ask = () => server.ask('GET', '/private/info/', { token: 'x' })
    for (let asked = 0; asked < ALIKE_LINES + 5; asked += 1) await ask()
    server.clock.ms += 59_999
    await ask()
    expect(linesOf(server, 'token-refused')).toHaveLength(ALIKE_LINES)
    server.clock.ms += 1
    await ask()
    const [before, next] = linesOf(server, 'token-refused').slice(ALIKE_LINES)
    expect([before?.count, next?.count, linesOf(server, 'token-refused').length]).toEqual([6, undefined, ALIKE_LINES + 2])
  })

  test('of many kinds is bounded in all, none of them is lost from the count, and what is no refusal is reported', async () => {
    await using place = await startAccounts(sqlite)
    const { server } = place
    const names = Array.from({ length: REFUSAL_LINES * 2 }, (_, number) => `name-${number}`)
    for (const name of names) server.context.audit({ event: 'sign-in-refused', name })
    await server.account('ada')
    await server.signIn('ada')
    expect(linesOf(server, 'sign-in-refused')).toHaveLength(REFUSAL_LINES)
    expect(server.events.at(-1)?.event).toBe('sign-in')
    server.audit.flush()
    const counted = server.events.reduce((sum, { count = 0 }) => sum + count, 0)
    expect(REFUSAL_LINES + counted).toBe(names.length)
    expect(server.events.length).toBeLessThan(REFUSAL_LINES * 2 + 10)
  })

  test('counts a header of the token endpoint that is no Basic as a wrong secret', async () => {
    await using place = await startAccounts(sqlite, { throttle: { addressMax: 3 } })
    const { server } = place
    const headers = { 'content-type': 'application/x-www-form-urlencoded', authorization: 'Basic !' }
    const statuses: number[] = []
    for (let asked = 0; asked < 5; asked += 1)
      statuses.push((await server.ask('POST', '/oauth/token', { body: 'grant_type=client_credentials', headers })).status)
    expect(statuses).toEqual([401, 401, 401, 429, 429])
  })
})
