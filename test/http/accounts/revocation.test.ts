import { describe, expect, test } from 'bun:test'
import { createApiKey } from '../../../src/accounts/api-keys.ts'
import { decodeJwt } from '../../../src/index.ts'
import { AccountsServer, startAccounts } from '../../support/accounts.ts'
import { noteSecret } from '../../support/secrets.ts'
import { STORES, stores } from '../../support/stores.ts'
import { makeToken, SECRET } from '../../support/tokens.ts'

const DAY_MS = 86_400_000
const FOREIGN_SECRET = noteSecret('what another issuer signs with, of some sixty bytes or more....')
const GRANTS = { data: { permissions: ['my-permission-name'] } }

/** A token that this server accepts and did not make: who else has its secret signed it. */
const madeElsewhere = (claims: object) => makeToken({ secret: SECRET, payload: { ...GRANTS, ...claims } })

const revoke = (server: AccountsServer, token: string) =>
  server.ask('POST', '/oauth/revoke', {
    body: new URLSearchParams({ token }).toString(),
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  })

for (const kind of stores()) {
  describe(`what is revoked, ${kind.name}`, () => {
    test('stays so until the token ends by itself, years ahead, on every process and after a restart', async () => {
      await using place = await startAccounts(kind)
      const { server, database } = place
      const seconds = Math.floor(server.clock.ms / 1000)
      const token = madeElsewhere({ sub: 'job', jti: 'long', iat: seconds, exp: seconds + 3 * 365 * 86_400 })
      expect([await server.statusWith(token), (await revoke(server, token)).status]).toEqual([200, 200])
      expect(await server.statusWith(token)).toBe(401)
      server.clock.ms += 3 * 364 * DAY_MS
      await server.sync.poll()
      expect(await server.statusWith(token)).toBe(401)
      await using restarted = await AccountsServer.start(database)
      restarted.clock.ms = server.clock.ms
      await restarted.sync.poll()
      expect(await restarted.statusWith(token)).toBe(401)
      // Forgotten only when the token has ended, with a margin for clocks.
      server.clock.ms += 5 * DAY_MS
      await server.sync.poll()
      expect([server.context.revocations.size, await server.statusWith(token)]).toEqual([0, 401])
      expect(await server.store.read((records) => records.revocationsSince(0))).toEqual([])
    })

    for (const authentication of [{ requiredClaims: [] }, { interop: 'flama' }] as const) {
      test(`stays so for ever where the token has no end, with ${JSON.stringify(authentication)}`, async () => {
        await using place = await startAccounts(kind, { authentication })
        const { server } = place
        const token = madeElsewhere({ sub: 'job', jti: 'endless', ...('interop' in authentication && { exp: null }) })
        expect([await server.statusWith(token), (await revoke(server, token)).status]).toEqual([200, 200])
        server.clock.ms += 50 * 365 * DAY_MS
        await server.sync.poll()
        expect(await server.statusWith(token)).toBe(401)
      })
    }

    test('stays so for the longest-lived of two tokens with one id', async () => {
      await using place = await startAccounts(kind)
      const { server, database } = place
      const seconds = Math.floor(server.clock.ms / 1000)
      const [long, short] = [1000, 1].map((days) => madeElsewhere({ jti: 'twice', exp: seconds + days * 86_400 }))
      await revoke(server, long ?? '')
      // The other is revoked by the same id, so the store is asked directly.
      expect(await server.statusWith(short ?? '')).toBe(401)
      const revocation = {
        kind: 'token',
        value: 'twice',
        epoch: 0,
        createdAt: server.clock.ms,
        until: server.clock.ms + DAY_MS,
      } as const
      await server.store.transaction((records) => records.putRevocation(revocation))
      server.context.revocations.add(revocation)
      server.clock.ms += 900 * DAY_MS
      await server.sync.poll()
      expect(await server.statusWith(long ?? '')).toBe(401)
      await using restarted = await AccountsServer.start(database)
      restarted.clock.ms = server.clock.ms
      expect(await restarted.statusWith(long ?? '')).toBe(401)
    })

    test('of an account stays so for tokens that live for years, and does not touch those made later', async () => {
      await using place = await startAccounts(kind)
      const { server, database } = place
      const { id } = await server.account('ada')
      const seconds = Math.floor(server.clock.ms / 1000)
      const exp = seconds + 1000 * 86_400
      const old = madeElsewhere({ sub: id, iat: seconds, exp })
      const undated = madeElsewhere({ sub: id, exp })
      const { token } = await server.signIn('ada')
      await server.ask('POST', '/auth/logout/all/', { token })
      expect([await server.statusWith(old), await server.statusWith(undated)]).toEqual([401, 401])
      server.clock.ms += 900 * DAY_MS
      await server.sync.poll()
      expect([await server.statusWith(old), await server.statusWith(undated)]).toEqual([401, 401])
      await using restarted = await AccountsServer.start(database)
      restarted.clock.ms = server.clock.ms
      const later = madeElsewhere({ sub: id, iat: Math.floor(server.clock.ms / 1000), exp })
      const statuses = [old, undated, later].map((text) => restarted.statusWith(text))
      expect(await Promise.all(statuses)).toEqual([401, 401, 200])
    })

    test('of an account is forgotten where no accepted token can be as old', async () => {
      const seconds = 10 * 86_400
      await using place = await startAccounts(kind, {
        lifetimes: { tokenSecondsMax: seconds },
        authentication: { lifetimeSecondsMax: seconds },
      })
      const { server } = place
      await server.account('ada')
      await server.ask('POST', '/auth/logout/all/', { token: (await server.signIn('ada')).token })
      server.clock.ms += seconds * 1000
      await server.sync.poll()
      expect(server.context.revocations.size).toBe(1)
      server.clock.ms += DAY_MS
      await server.sync.poll()
      expect(server.context.revocations.size).toBe(0)
    })
  })

  describe(`a revocation that cannot be, ${kind.name}`, () => {
    test('is rejected with the reason, and what is no token is not', async () => {
      const trusted = [{ name: 'https://there.example', keys: FOREIGN_SECRET, audiences: ['vestal'] }]
      await using place = await startAccounts(kind, { trusted })
      const { server } = place
      const exp = Math.floor(server.clock.ms / 1000) + 600
      const { text: key, id } = await createApiKey(server.context, { name: 'job', permissions: [] }, { actor: 'test' })
      const foreign = { iss: 'https://there.example', aud: 'vestal', sub: 'anna', jti: '1', exp, ...GRANTS }
      const cases: readonly (readonly [token: string, reason: string])[] = [
        [makeToken({ secret: FOREIGN_SECRET, payload: foreign }), 'Another issuer made the token; revoke it there'],
        [madeElsewhere({ sub: 'job', exp }), "The token has no 'jti', so it cannot be identified"],
        [madeElsewhere({ sub: 'job', jti: '1', nbf: exp - 60, exp }), 'The token is not valid yet; revoke it once it is'],
        [madeElsewhere({ sub: 'job', jti: '1', iat: exp - 60, exp }), 'The token is not valid yet; revoke it once it is'],
        [key, 'An API key is revoked with DELETE /admin/api-keys/{id}/'],
      ]
      for (const [token, reason] of cases) {
        const { status, body } = await revoke(server, token)
        expect([status, body]).toEqual([400, { error: 'unsupported_token_type', error_description: reason }])
      }
      expect(server.apiKeys.find(key).key.id).toBe(id)
      const ended = [
        madeElsewhere({ sub: 'job', exp: exp - 1200 }),
        makeToken({ secret: FOREIGN_SECRET, payload: { ...foreign, nbf: exp - 60 } }).replace(/.{4}$/, 'AAAA'),
        madeElsewhere({ sub: 'job', nbf: exp - 60, exp }).replace(/.{4}$/, 'AAAA'),
        `${key}x`,
      ]
      for (const token of ended) expect((await revoke(server, token)).status).toBe(200)
    })

    test('of a token without a subject is possible by its id alone', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      const exp = Math.floor(server.clock.ms / 1000) + 600
      const [one, other] = ['1', '2'].map((jti) => madeElsewhere({ jti, exp }))
      expect((await revoke(server, one ?? '')).status).toBe(200)
      expect([await server.statusWith(one ?? ''), await server.statusWith(other ?? '')]).toEqual([401, 200])
      expect(server.events.find(({ event }) => event === 'token-revoked')).toMatchObject({
        event: 'token-revoked',
        actor: '(no subject)',
        tokenId: '1',
      })
      expect(decodeJwt(one ?? '').payload.sub).toBeUndefined()
    })
  })
}

test('what other processes revoked counts as unknown when the clock was set back, until the database answers again', async () => {
  const [kind] = STORES
  if (kind === undefined) throw new Error('there is a store')
  await using place = await startAccounts(kind)
  const { server } = place
  expect(server.sync.isFresh).toBe(true)
  server.clock.ms -= 60_000
  expect(server.sync.isFresh).toBe(false)
  await server.sync.poll()
  expect(server.sync.isFresh).toBe(true)
})
