import { describe, expect, spyOn, test } from 'bun:test'
import { join } from 'node:path'
import { changeAccount } from '../../../src/accounts/administration.ts'
import { createPasswords } from '../../../src/accounts/passwords.ts'
import { ADDRESS_DAYS, ADDRESSES_MAX, signInWithPassword } from '../../../src/accounts/sign-in.ts'
import { decodeJwt } from '../../../src/index.ts'
import { AccountsServer, CHEAP, PASSWORD, startAccounts } from '../../support/accounts.ts'
import { Workplace } from '../../support/command-line.ts'
import { DOORS, overUnixSocket } from '../../support/doors.ts'
import { stores } from '../../support/stores.ts'
import { until } from '../../support/until.ts'

const ID = '497f6eca-6276-4993-bfeb-53cbbbba6f08'
const demonstration = { issue: () => 'demonstration', isLoopbackHost: () => true }

for (const kind of stores()) {
  test(`signing in makes a weaker hash of a password as strong as today’s, once, ${kind.name}`, async () => {
    await using place = await startAccounts(kind)
    const { server, database } = place
    const passwords = createPasswords({ memoryKiB: 128, passes: 1 })
    await using later = await AccountsServer.start(database, { passwords })
    const { id } = await server.account('ada')
    const hash = async () => (await later.store.read((records) => records.accountById(id)))?.passwordHash ?? ''
    const weak = await hash()
    const wrong = await later.ask('POST', '/auth/', { body: { name: 'ada', password: 'four words and a third' } })
    expect([wrong.status, await hash()]).toEqual([401, weak])
    await later.signIn('ada')
    const strong = await hash()
    expect([weak, strong]).toEqual([expect.stringContaining('m=64,'), expect.stringContaining('m=128,')])
    const counted = passwords.count
    await later.signIn('ada')
    expect([await hash(), passwords.count - counted]).toEqual([strong, 1])
    await server.signIn('ada')
    expect(await hash()).toBe(strong)
    // One for once is used up, and no hash is made for it.
    const { id: other } = await server.account('bea', { isPasswordOnce: true })
    await later.signIn('bea')
    expect(await later.store.read((records) => records.accountById(other))).toMatchObject({
      passwordHash: null,
      isPasswordOnce: false,
    })
    expect(passwords.count - counted).toBe(2)
  })

  for (const [index, open] of DOORS.entries()) {
    describe(`signing in, ${kind.name}, ${index === 0 ? 'in memory' : 'over a socket'}`, () => {
      test('by name and by id gives the token of the account, with its permissions and roles', async () => {
        await using place = await startAccounts(kind, { open })
        const { server } = place
        const { id } = await server.account('Ada@Example.com', { permissions: ['extra:read'] })
        for (const login of [{ name: 'ada@example.com' }, { name: ' ADA@EXAMPLE.COM ' }, { id }, { id: id.toUpperCase() }]) {
          const { status, body, headers, cookies } = await server.ask('POST', '/auth/', {
            body: { ...login, password: PASSWORD },
          })
          expect([status, Object.keys(body)]).toEqual([200, ['id', 'token']])
          expect([body.id, headers.get('cache-control'), cookies]).toEqual([id, 'no-store', []])
          const { payload } = decodeJwt(body.token)
          expect(payload.sub).toBe(id)
          expect(payload.data as unknown).toEqual({
            permissions: ['extra:read'],
            roles: { analyst: ['model:*:predict', 'model:*:read', 'my-permission-name'] },
          })
          expect(await server.statusWith(body.token)).toBe(200)
        }
      })

      test('answers an unknown name, a wrong password, a disabled account and one without a password alike', async () => {
        await using place = await startAccounts(kind, { open })
        const { server } = place
        await server.account('ada')
        await server.account('off', { isDisabled: true })
        await server.account('bare', { password: null })
        const bodies = [
          { name: 'nobody', password: PASSWORD },
          { name: 'ada', password: 'another' },
          { name: 'ada', password: `${PASSWORD} ` },
          { name: 'ada', password: '' },
          { name: 'off', password: PASSWORD },
          { name: 'bare', password: '' },
          { id: ID, password: PASSWORD },
        ]
        for (const body of bodies) {
          const { status, body: answer, headers } = await server.ask('POST', '/auth/', { body })
          expect({ status, answer }).toEqual({
            status: 401,
            answer: { status_code: 401, detail: 'The name or the password is wrong', error: null },
          })
          expect(headers.get('www-authenticate')).toBe('Bearer realm="vestal"')
        }
        expect(server.events.filter(({ event }) => event === 'sign-in-refused')).toHaveLength(bodies.length)
      })

      test('rejects a body that is wrong, and says what is wrong', async () => {
        await using place = await startAccounts(kind, { open })
        const { server } = place
        await server.account('ada')
        const cases: readonly (readonly [body: unknown, detail: unknown])[] = [
          [{}, { name: expect.any(String) }],
          [{ name: 'ada', id: ID, password: PASSWORD }, { name: expect.any(String) }],
          [{ name: 'ada' }, { password: 'is missing' }],
          [{ name: 'ada', password: [PASSWORD] }, { password: 'must be a string' }],
          [{ name: 1, password: PASSWORD }, { name: 'must be a string' }],
          [{ name: 'ada', password: PASSWORD, session: 'x' }, { session: expect.any(String) }],
          [{ name: 'ada', password: PASSWORD, admin: true }, { admin: 'is not a field of this body' }],
          ['[]', { body: expect.any(String) }],
          ['{', 'The body is not valid JSON'],
          ['', 'The body is empty; it must be JSON'],
        ]
        for (const [body, detail] of cases) {
          const answer = await server.ask('POST', '/auth/', { body })
          expect([answer.status, answer.body.detail]).toEqual([400, detail])
        }
        const large = await server.ask('POST', '/auth/', { body: { name: 'ada', password: 'x'.repeat(1_000_000) } })
        expect(large.status).toBe(413)
        const nul = await server.ask('POST', '/auth/', { body: { name: 'a\u0000da', password: `${PASSWORD}\u0000` } })
        expect(nul.status).toBe(401)
      })

      test('costs one argon2 and one transaction', async () => {
        const passwords = createPasswords(CHEAP)
        await using place = await startAccounts(kind, { open, passwords })
        const { server } = place
        await server.account('ada')
        for (const [name, password, transactions] of [
          ['ada', PASSWORD, 1],
          ['ada', 'wrong', 0],
          ['nobody', PASSWORD, 0],
        ] as const) {
          const before = { count: passwords.count, transactions: server.store.statistics.transactions }
          await server.ask('POST', '/auth/', { body: { name, password, session: 'token' } })
          expect(passwords.count - before.count).toBe(1)
          expect(server.store.statistics.transactions - before.transactions).toBe(transactions)
        }
      })
    })
  }

  describe(`an account, ${kind.name}`, () => {
    test('ends the demonstration sign-in when it is the first', async () => {
      await using place = await startAccounts(kind, { demonstration })
      const { server } = place
      expect((await server.ask('POST', '/auth/', { body: { id: ID } })).body).toEqual({ id: ID, token: 'demonstration' })
      await server.account('ada')
      expect((await server.ask('POST', '/auth/', { body: { id: ID } })).status).toBe(400)
      expect((await server.ask('POST', '/auth/', { body: { id: ID, password: 'x' } })).status).toBe(401)
    })

    test('has its hash made anew at a sign-in where the parameters rose, and only then', async () => {
      await using place = await startAccounts(kind, { passwords: createPasswords({ memoryKiB: 128, passes: 1 }) })
      const { server } = place
      const { id } = await server.account('ada', { password: null })
      const hashNow = async () => (await server.store.read((records) => records.accountById(id)))?.passwordHash
      await server.store.transaction(async (records) =>
        records.updateAccount(id, {
          passwordHash: await Bun.password.hash(PASSWORD, { algorithm: 'argon2id', memoryCost: 64, timeCost: 1 }),
        }),
      )
      await server.signIn('ada')
      const risen = await hashNow()
      expect(risen).toContain('m=128,t=1')
      await server.signIn('ada')
      expect(await hashNow()).toBe(risen)
    })

    test('behind a proxy on a unix socket comes from where the proxy says', async () => {
      using folder = new Workplace()
      const open = overUnixSocket(join(folder.folder, 'vestal.sock'))
      await using place = await startAccounts(kind, { throttle: { addressMax: 3 }, trustedProxies: ['unix'], open })
      const { server } = place
      await server.account('ada')
      const from = async (address: string, password: string) =>
        (await server.ask('POST', '/auth/', { body: { name: 'ada', password }, headers: { 'x-forwarded-for': address } })).status
      for (let round = 0; round < 3; round += 1) expect(await from('198.51.100.1', 'wrong')).toBe(401)
      // Who has used up what one address has is one client of the proxy, and not all of them.
      expect([await from('198.51.100.1', PASSWORD), await from('192.0.2.1', PASSWORD)]).toEqual([429, 200])
      expect(server.events.map(({ origin }) => origin?.address)).toContain('192.0.2.1')
    })

    test('is locked out at one of its own addresses, and at no other', async () => {
      const socket = DOORS[1]
      await using place = await startAccounts(kind, {
        throttle: { accountMax: 3 },
        trustedProxies: ['127.0.0.0/8', '::1'],
        ...(socket && { open: socket }),
      })
      const { server } = place
      await server.account('ada')
      await server.account('bea')
      const from = async (address: string, password: string, name = 'ada') =>
        (await server.ask('POST', '/auth/', { body: { name, password }, headers: { 'x-forwarded-for': address } })).status
      for (const address of ['192.0.2.1', '192.0.2.2']) expect(await from(address, PASSWORD)).toBe(200)
      expect(await from('192.0.2.1', PASSWORD, 'bea')).toBe(200)
      const statuses: number[] = []
      for (let round = 0; round < 5; round += 1) statuses.push(await from('192.0.2.1', 'wrong'))
      expect(statuses).toEqual([401, 401, 401, 429, 429])
      expect(await from('192.0.2.1', PASSWORD)).toBe(429)
      for (const [address, name] of [
        ['192.0.2.2', 'ada'],
        ['203.0.113.1', 'ada'],
        ['192.0.2.1', 'bea'],
      ] as const)
        expect([address, name, await from(address, PASSWORD, name)]).toEqual([address, name, 200])
    })

    test('has as many passwords checked at once as there may be, however many were checked before', async () => {
      const passwords = createPasswords({ ...CHEAP, atOnceMax: 1, waitingMax: 1 })
      await using place = await startAccounts(kind, { passwords })
      const { server } = place
      await server.account('ada')
      const ask = () => server.ask('POST', '/auth/', { body: { name: 'ada', password: PASSWORD } })
      for (let round = 0; round < 4; round += 1) expect((await ask()).status).toBe(200)
      const { promise: open, resolve: release } = Promise.withResolvers<void>()
      const verify = Bun.password.verify.bind(Bun.password)
      let checked = 0
      let refused = 0
      using _ = spyOn(Bun.password, 'verify').mockImplementation(async (...given: Parameters<typeof verify>) => {
        checked += 1
        await open
        return verify(...given)
      })
      const answers = Promise.all(
        Array.from({ length: 4 }, async () => {
          const { status } = await ask()
          if (status === 503) refused += 1
          return status
        }),
      )
      // One is checked, one waits, and both of the others are told to come back.
      await until(() => checked + refused >= 3)
      expect([checked, refused]).toEqual([1, 2])
      release()
      expect((await answers).sort()).toEqual([200, 200, 503, 503])
    })

    test('is not locked out by others who try its name, from where it signed in before', async () => {
      const socket = DOORS[1]
      await using place = await startAccounts(kind, {
        throttle: { accountMax: 3, windowSeconds: 90 },
        trustedProxies: ['127.0.0.0/8', '::1'],
        ...(socket && { open: socket }),
      })
      const { server } = place
      const { id } = await server.account('ada')
      const from = async (address: string, name: string, password: string) => {
        const headers = { 'x-forwarded-for': address }
        const { status, body, headers: answered } = await server.ask('POST', '/auth/', { body: { name, password }, headers })
        return { status, ...(status !== 200 && { body, retry: answered.get('retry-after') }) }
      }
      expect(await from('192.0.2.1', 'ada', PASSWORD)).toEqual({ status: 200 })
      for (const [index, name] of ['ada', 'ada', 'ada', 'eve', 'eve', 'eve'].entries())
        expect((await from(`198.51.100.${index}`, name, 'wrong')).status).toBe(401)
      const locked = {
        status: 429,
        body: { status_code: 429, detail: 'Too many attempts; try again later', error: null },
        retry: '30',
      }
      // Right or wrong, there or not: from where nobody was, all are answered alike.
      expect(await from('198.51.100.9', 'ada', PASSWORD)).toEqual(locked)
      expect(await from('198.51.100.9', 'ada', 'wrong')).toEqual(locked)
      expect(await from('198.51.100.9', 'eve', 'wrong')).toEqual(locked)
      for (let round = 0; round < 5; round += 1) expect(await from('192.0.2.1', 'ada', PASSWORD)).toEqual({ status: 200 })
      for (let round = 0; round < 3; round += 1) expect((await from('192.0.2.1', 'ada', 'wrong')).status).toBe(401)
      expect(await from('192.0.2.1', 'ada', PASSWORD)).toEqual(locked)
      server.clock.ms += 30_000
      expect(await from('203.0.113.1', 'ada', PASSWORD)).toEqual({ status: 200 })
      // Another password forgets where the old one was right.
      await changeAccount(server.context, { id, password: 'another sentence' }, { actor: 'test' })
      for (const address of ['198.51.100.1', '198.51.100.2', '198.51.100.3', '192.0.2.1']) await from(address, 'ada', 'wrong')
      expect((await from('192.0.2.1', 'ada', 'another sentence')).status).toBe(429)
    })

    test('remembers twenty addresses, for ninety days', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      const { id } = await server.account('ada')
      const isKnown = (address: string) =>
        server.store.read((records) => records.isKnownAddress(id, address, server.clock.ms - ADDRESS_DAYS * 86_400_000))
      const signIn = (address: string) =>
        signInWithPassword(server.context, {
          login: 'ada',
          password: PASSWORD,
          isLasting: false,
          origin: { address, userAgent: '' },
        })
      for (let number = 0; number <= ADDRESSES_MAX; number += 1) {
        server.clock.ms += 1000
        await signIn(`192.0.2.${number}`)
      }
      await signIn('unknown')
      expect([await isKnown('192.0.2.0'), await isKnown('192.0.2.1'), await isKnown('unknown')]).toEqual([false, true, false])
      server.clock.ms += 90 * 86_400_000
      expect(await isKnown(`192.0.2.${ADDRESSES_MAX}`)).toBe(true)
      server.clock.ms += 1000
      expect(await isKnown(`192.0.2.${ADDRESSES_MAX}`)).toBe(false)
    })

    test('with a password for once signs in once, sets another, and cannot go back', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      await server.account('ada', { isPasswordOnce: true })
      const attempts = await Promise.all(
        Array.from({ length: 5 }, () => server.ask('POST', '/auth/', { body: { name: 'ada', password: PASSWORD } })),
      )
      expect(attempts.map(({ status }) => status).toSorted()).toEqual([200, 401, 401, 401, 401])
      const token = attempts.find(({ status }) => status === 200)?.body.token
      expect((await server.ask('GET', '/auth/me/', { token })).body.has_password).toBe(false)
      const changed = await server.ask('POST', '/auth/password/', { token, body: { new_password: 'a second sentence' } })
      expect(changed.status).toBe(200)
      expect((await server.ask('POST', '/auth/', { body: { name: 'ada', password: PASSWORD } })).status).toBe(401)
      await server.signIn('ada', 'a second sentence')
    })
  })
}
