import { describe, expect, test } from 'bun:test'
import { openStore } from '../../src/storage/open-store.ts'
import { type StartedServer, Workplace } from '../support/command-line.ts'
import { seeded } from '../support/seed.ts'
import { stores } from '../support/stores.ts'
import { SECRET } from '../support/tokens.ts'

/** What is asked before the server is killed, over all rounds; `.ci/run` asks for all of it. */
const OPERATIONS = process.env.VESTAL_TEST_REQUIRED === undefined ? 120 : 1000
const ROUNDS = 3
const AT_ONCE = 6
const PASSWORD = 'four words and a half'

/** What the server said, and so must still be true after it was killed. */
interface Promises {
  readonly accounts: Map<string, readonly string[]>
  /** The valid refresh token of each session. */
  readonly sessions: Map<string, string>
  readonly ended: Set<string>
  /** Accounts and sessions with a question at hand when the server died: either answer is right. */
  readonly open: Set<string>
}

interface Answer {
  readonly status: number
  // biome-ignore lint/suspicious/noExplicitAny: a test looks at what is in it.
  readonly body: any
}

class Client {
  readonly base: string
  readonly key: string

  constructor(base: string, key: string) {
    this.base = base
    this.key = key
  }

  async ask(method: string, path: string, body: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    const response = await fetch(`${this.base}${path}`, { method, body: JSON.stringify(body), headers })
    return { status: response.status, body: await response.json() }
  }

  admin(method: string, path: string, body: unknown): Promise<Answer> {
    return this.ask(method, path, body, { 'x-api-key': this.key, 'if-match': '*' })
  }
}

/** One operation; it notes what the server promised only once the answer is there. */
async function operate(client: Client, promises: Promises, { roll, number }: { roll: number; number: number }): Promise<void> {
  const { accounts, sessions, ended, open } = promises
  const pick = <T>(list: readonly T[]): T | undefined => list[number % Math.max(1, list.length)]
  const account = pick([...accounts.keys()].filter((name) => !open.has(name)))
  const session = pick([...sessions.keys()].filter((id) => !open.has(id)))
  if (account === undefined || roll < 0.15) return createUser(client, promises, `user-${number}`)
  if (roll < 0.4) return whileOpen(open, account, () => changeRoles(client, promises, account, number))
  if (session === undefined || roll < 0.65) return signIn(client, promises, account)
  if (roll < 0.9) {
    return whileOpen(open, session, async () => {
      const { status, body } = await client.ask('POST', '/auth/refresh/', { refresh_token: sessions.get(session) })
      expect(status).toBe(200)
      sessions.set(session, body.refresh_token)
    })
  }
  return whileOpen(open, session, async () => {
    const refreshToken = sessions.get(session) ?? ''
    const revoked = await fetch(`${client.base}/oauth/revoke`, {
      method: 'POST',
      body: new URLSearchParams({ token: refreshToken }),
    })
    expect(revoked.status).toBe(200)
    sessions.delete(session)
    ended.add(refreshToken)
  })
}

/** What fails while the server dies stays open: nobody knows whether it was done. */
async function whileOpen(open: Set<string>, key: string, work: () => Promise<void>): Promise<void> {
  open.add(key)
  await work()
  open.delete(key)
}

async function createUser(client: Client, { accounts }: Promises, name: string): Promise<void> {
  const roles = ['analyst', 'operator']
  const { status } = await client.admin('POST', '/admin/users/', { name, password: PASSWORD, roles, permissions: ['a:b'] })
  expect(status).toBe(200)
  accounts.set(name, roles)
}

async function changeRoles(client: Client, { accounts }: Promises, name: string, number: number): Promise<void> {
  const roles = number % 2 === 0 ? ['analyst', 'operator'] : ['operator']
  const { status } = await client.admin('PATCH', `/admin/users/${name}/`, { roles })
  expect(status).toBe(200)
  accounts.set(name, roles)
}

async function signIn(client: Client, { sessions }: Promises, name: string): Promise<void> {
  const { status, body } = await client.ask('POST', '/auth/', { name, password: PASSWORD, session: 'token' })
  expect(status).toBe(200)
  sessions.set(crypto.randomUUID(), body.refresh_token)
}

/** Asks in several lanes until the server is killed in the middle of it. */
async function killInTheMiddle(
  { base, child }: StartedServer,
  promises: Promises,
  { key, random, first }: { key: string; random: () => number; first: number },
) {
  const client = new Client(base, key)
  const count = Math.ceil(OPERATIONS / ROUNDS)
  let next = 0
  const lane = async () => {
    while (next < count) {
      const number = first + next
      next += 1
      if (next === count) child.kill('SIGKILL')
      await operate(client, promises, { roll: random(), number })
    }
  }
  const lanes = await Promise.allSettled(Array.from({ length: AT_ONCE }, lane))
  await child.exited
  // What failed did so because the server was gone, not because it answered what it should not.
  for (const result of lanes)
    if (result.status === 'rejected') expect(String(result.reason)).toMatch(/ECONN|Unable to connect|socket/)
}

async function check(client: Client, { accounts, sessions, ended, open }: Promises): Promise<void> {
  for (const [name, roles] of accounts) {
    const { status, body } = await client.admin('GET', `/admin/users/${name}/`, undefined)
    expect([name, status, body.permissions, body.has_password]).toEqual([name, 200, ['a:b'], true])
    if (!open.has(name)) expect([name, body.roles]).toEqual([name, roles as string[]])
    // Written, perhaps, by a server that was killed before it could say so: from here on, what is found is what must stay.
    accounts.set(name, body.roles)
  }
  for (const [id, refreshToken] of sessions) {
    const { status, body } = await client.ask('POST', '/auth/refresh/', { refresh_token: refreshToken })
    if (!open.has(id)) expect([id, status]).toEqual([id, 200])
    if (status === 200) sessions.set(id, body.refresh_token)
    else sessions.delete(id)
  }
  for (const refreshToken of ended) {
    expect((await client.ask('POST', '/auth/refresh/', { refresh_token: refreshToken })).status).toBe(401)
  }
  open.clear()
}

/** Every account is whole: a user that was half made would lack its password, its permission or its roles. */
async function expectWhole(address: string): Promise<void> {
  const store = openStore(address)
  try {
    expect(await store.faults()).toEqual([])
    const made = await store.read((records) => records.accounts({ name: 'user-' }, { limit: 10_000 }))
    for (const { name, passwordHash, permissions, roles } of made) {
      expect([name, passwordHash !== null, permissions]).toEqual([name, true, ['a:b']])
      expect([name, roles.length > 0]).toEqual([name, true])
    }
  } finally {
    await store.close()
  }
}

for (const kind of stores()) {
  describe(`a server that is killed, ${kind.name}`, () => {
    test('keeps what it said, and nothing comes back that had ended', async () => {
      using place = new Workplace()
      await using database = await kind.create()
      const random = seeded('accounts-killed')
      const environment = {
        VESTAL_SECRET: SECRET,
        VESTAL_DATABASE: database.address,
        VESTAL_PASSWORD_MEMORY_KIB: '7168',
        VESTAL_SIGN_IN_ATTEMPTS_MAX: '10000',
        VESTAL_SIGN_IN_ADDRESS_ATTEMPTS_MAX: '1000000',
        VESTAL_REFRESH_GRACE_SECONDS: '60',
      }
      const key = place.run(['api-keys', 'create', 'test', '--permission', '*'], environment).stdout.trim()
      const promises: Promises = { accounts: new Map(), sessions: new Map(), ended: new Set(), open: new Set() }
      for (let round = 0; round < ROUNDS; round += 1) {
        const server = await place.start([], environment)
        await killInTheMiddle(server, promises, { key, random, first: round * OPERATIONS })
        await expectWhole(database.address)
        const again = await place.start([], environment)
        await check(new Client(again.base, key), promises)
        again.child.kill('SIGTERM')
        expect(await again.child.exited).toBe(0)
      }
      expect(promises.accounts.size).toBeGreaterThan(3)
      expect(promises.sessions.size + promises.ended.size).toBeGreaterThan(3)
    }, 240_000)
  })
}
