import { describe, expect, test } from 'bun:test'
import { statSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Account, Session } from '../../../src/accounts/records.ts'
import type { OpenStore } from '../../../src/storage/open-store.ts'
import { STORES, stores } from '../../support/stores.ts'

const NOW = 1_800_000_000_000
const ACCOUNT: Account = {
  id: '497f6eca-6276-4993-bfeb-53cbbbba6f08',
  name: 'ada@example.com',
  passwordHash: null,
  isPasswordOnce: false,
  permissions: ['model:iris:predict'],
  roles: [],
  epoch: 0,
  version: 1,
  disabledAt: null,
  createdAt: NOW,
  lastSignInAt: null,
}
const SESSION: Session = {
  id: '0b6f4a52-6c6b-4f27-9a9e-0d3a5c9f9f10',
  accountId: ACCOUNT.id,
  generation: 1,
  sealedToken: null,
  createdAt: NOW,
  refreshedAt: NOW,
  expiresAt: NOW + 1000,
  clientId: null,
  address: '192.0.2.7',
  userAgent: 'test',
}
const role = (name: string, permissions: readonly string[] = []) => ({
  name,
  description: '',
  permissions,
  version: 1,
  createdAt: NOW,
})
const named = (name: string, more: Partial<Account> = {}): Account => ({ ...ACCOUNT, id: crypto.randomUUID(), name, ...more })

async function migrated(store: OpenStore): Promise<OpenStore> {
  await store.migrate()
  return store
}

const STEPS = ['0000_accounts', '0001_known_addresses']

for (const kind of stores()) {
  describe(`the store, ${kind.name}`, () => {
    test('is migrated once, however many start at once', async () => {
      await using database = await kind.create()
      const stores = [database.open(), database.open(), database.open()]
      expect(await stores[0]?.migrations()).toEqual(STEPS.map((name) => ({ name, isApplied: false })))
      const applied = await Promise.all(stores.map((store) => store.migrate()))
      expect(applied.flat()).toEqual(STEPS)
      expect(await stores[1]?.migrations()).toEqual(STEPS.map((name) => ({ name, isApplied: true })))
      expect(await stores[2]?.faults()).toEqual([])
    })

    test('gives an account as it was put, by id and by name', async () => {
      await using database = await kind.create()
      const store = await migrated(database.open())
      const account = { ...ACCOUNT, roles: ['analyst', 'operator'], isPasswordOnce: true, disabledAt: NOW, lastSignInAt: NOW }
      await store.transaction(async (records) => {
        for (const name of account.roles) await records.insertRole(role(name))
        expect(await records.insertAccount(account)).toBe(true)
      })
      for (const found of await store.read(async (records) => [
        await records.accountById(account.id),
        await records.accountByName(account.name),
        await records.lockAccount(account.id),
      ]))
        expect(found).toEqual(account)
      expect(await store.read((records) => records.accountByName('ADA@example.com'))).toBeUndefined()
      expect(await store.read((records) => records.hasAccounts())).toBe(true)
    })

    test('keeps names unique, at insertion and at change', async () => {
      await using database = await kind.create()
      const store = await migrated(database.open())
      await store.transaction(async (records) => {
        expect(await records.insertAccount(named('one', { id: 'a' }))).toBe(true)
        expect(await records.insertAccount(named('two', { id: 'b' }))).toBe(true)
        expect(await records.insertAccount(named('one', { id: 'c' }))).toBe(false)
        expect(await records.updateAccount('b', { name: 'one' })).toBe(false)
        expect(await records.updateAccount('b', { name: 'two' })).toBe(true)
      })
    })

    test('undoes all of a transaction that throws, and continues', async () => {
      await using database = await kind.create()
      const store = await migrated(database.open())
      const broken = store.transaction(async (records) => {
        await records.insertAccount(ACCOUNT)
        throw new Error('in the middle')
      })
      expect(broken).rejects.toThrow('in the middle')
      await broken.catch(() => undefined)
      expect(await store.read((records) => records.hasAccounts())).toBe(false)
      await store.transaction((records) => records.insertAccount(ACCOUNT))
      expect(await store.read((records) => records.hasAccounts())).toBe(true)
    })

    test('shows no one what is not committed', async () => {
      await using database = await kind.create()
      const store = await migrated(database.open())
      const { promise, resolve } = Promise.withResolvers<boolean>()
      await store.transaction(async (records) => {
        await records.insertAccount(ACCOUNT)
        resolve(Promise.resolve(true))
      })
      const other = database.open()
      expect(await promise).toBe(true)
      expect(await other.read((records) => records.hasAccounts())).toBe(true)
    })

    test('lets one transaction at a time change an account', async () => {
      await using database = await kind.create()
      const store = await migrated(database.open())
      const other = database.open()
      await store.transaction((records) => records.insertAccount(ACCOUNT))
      const raise = (where: OpenStore) =>
        where.transaction(async (records) => {
          const account = await records.lockAccount(ACCOUNT.id)
          await records.updateAccount(ACCOUNT.id, { epoch: (account?.epoch ?? 0) + 1 })
        })
      await Promise.all(Array.from({ length: 40 }, (_, index) => raise(index % 2 === 0 ? store : other)))
      expect((await store.read((records) => records.accountById(ACCOUNT.id)))?.epoch).toBe(40)
    })

    test('lists accounts by name, filtered, a page at a time', async () => {
      await using database = await kind.create()
      const store = await migrated(database.open())
      await store.transaction(async (records) => {
        await records.insertRole(role('analyst'))
        for (const name of ['bea', 'ada', 'abel', 'a_b', 'cid'])
          await records.insertAccount(
            named(name, { roles: name === 'cid' ? [] : ['analyst'], disabledAt: name === 'bea' ? NOW : null }),
          )
      })
      const names = async (...asked: Parameters<Parameters<Parameters<OpenStore['read']>[0]>[0]['accounts']>) =>
        (await store.read((records) => records.accounts(...asked))).map(({ name }) => name)
      expect((await names({}, { limit: 10 })).toSorted()).toEqual(['a_b', 'abel', 'ada', 'bea', 'cid'])
      const first = await names({}, { limit: 2 })
      const second = await names({}, { limit: 10, after: first[1] ?? '' })
      expect([...first, ...second].toSorted()).toEqual(['a_b', 'abel', 'ada', 'bea', 'cid'])
      expect((await names({ name: 'a' }, { limit: 10 })).toSorted()).toEqual(['a_b', 'abel', 'ada'])
      expect(await names({ name: '%' }, { limit: 10 })).toHaveLength(5)
      expect((await names({ role: 'analyst', isDisabled: false }, { limit: 10 })).toSorted()).toEqual(['a_b', 'abel', 'ada'])
      expect(await names({ isDisabled: true }, { limit: 10 })).toEqual(['bea'])
      expect(await names({ role: "x' OR '1'='1" }, { limit: 10 })).toEqual([])
    })

    test('deletes with an account what belongs to it', async () => {
      await using database = await kind.create()
      const store = await migrated(database.open())
      await store.transaction(async (records) => {
        await records.insertRole(role('analyst'))
        await records.insertAccount({ ...ACCOUNT, roles: ['analyst'] })
        await records.insertSession(SESSION)
        await records.insertRefreshToken('hash', { sessionId: SESSION.id, generation: 1 })
        expect(await records.lockSession(SESSION.id)).toEqual(SESSION)
        expect(await records.refreshToken('hash')).toEqual({ hash: 'hash', sessionId: SESSION.id, generation: 1 } as never)
        await records.deleteAccount(ACCOUNT.id)
        expect(await records.lockSession(SESSION.id)).toBeUndefined()
        expect(await records.refreshToken('hash')).toBeUndefined()
        expect(await records.holdersOf('analyst')).toEqual([])
      })
    })

    test('takes no session of an account that is not there', async () => {
      await using database = await kind.create()
      const store = await migrated(database.open())
      expect(store.transaction((records) => records.insertSession(SESSION))).rejects.toThrow()
    })

    test('renews a revocation, and forgets it in time', async () => {
      await using database = await kind.create()
      const store = await migrated(database.open())
      const revocation = { kind: 'subject', value: 'ada', epoch: 1, createdAt: NOW, until: NOW + 10 } as const
      await store.transaction((records) => records.putRevocation(revocation))
      await store.transaction((records) => records.putRevocation({ ...revocation, epoch: 2, createdAt: NOW + 5 }))
      expect(await store.read((records) => records.revocationsSince(NOW + 1))).toEqual([
        { ...revocation, epoch: 2, createdAt: NOW + 5 },
      ])
      expect(await store.read((records) => records.revocationsSince(NOW + 6))).toEqual([])
      await store.transaction((records) => records.pruneRevocations(NOW + 11))
      expect(await store.read((records) => records.revocationsSince(0))).toEqual([])
    })
  })
}

describe('the file of SQLite', () => {
  test('and its folder are no one else’s to read, and it writes ahead', async () => {
    const [sqlite] = STORES
    if (sqlite === undefined) throw new Error('SQLite is always there')
    await using database = await sqlite.create()
    const store = await migrated(database.open())
    await store.transaction((records) => records.insertAccount(ACCOUNT))
    for (const suffix of ['', '-wal', '-shm'])
      expect([suffix, statSync(`${database.address}${suffix}`).mode & 0o777]).toEqual([suffix, 0o600])
    expect(statSync(dirname(database.address)).mode & 0o077).toBe(0)
  })
})
