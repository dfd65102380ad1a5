import { describe, expect, test } from 'bun:test'
import { statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Workplace } from '../support/command-line.ts'
import { SECRET } from '../support/tokens.ts'
import { until } from '../support/until.ts'

const PASSWORD = 'four words and a half'
const PRODUCTION = { NODE_ENV: 'production', VESTAL_SECRET: SECRET }
const post = (url: string, body: unknown, token?: string) =>
  fetch(url, {
    method: 'POST',
    body: JSON.stringify(body),
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
  })
const statusOf = async (url: string, token: string) =>
  (await fetch(url, { headers: { authorization: `Bearer ${token}` } })).status

/** Asks until the answer is this one. */
function untilStatus(expected: number, ask: () => Promise<number>): Promise<void> {
  return until(async () => (await ask()) === expected, `the answer is ${expected}`)
}

describe('vestal users', () => {
  test('makes, lists and changes accounts, and says what is wrong', () => {
    using place = new Workplace()
    const added = place.run(['users', 'add', 'Ada', '--role', 'analyst', '--json'], {}, `${PASSWORD}\n`)
    expect([added.exitCode, added.stderr]).toEqual([0, ''])
    expect(JSON.parse(added.stdout)).toMatchObject([{ name: 'ada', roles: ['analyst'], hasPassword: true, disabledAt: null }])
    expect(added.stdout).not.toContain('argon2')
    const wrong: readonly (readonly [args: readonly string[], input: string, message: string])[] = [
      [['users'], '', 'users: say what to do'],
      [['users', 'add'], '', 'needs the name'],
      [['users', 'add', 'ada'], `${PASSWORD}\n`, 'name: is taken'],
      [['users', 'add', 'bea'], 'short\n', 'password: must have at least 8 characters'],
      [['users', 'add', 'bea'], 'password\n', 'password: is one of'],
      [['users', 'add', 'bea'], '', 'a password is needed'],
      [['users', 'add', 'bea', '--role', 'king'], `${PASSWORD}\n`, 'there is no role king'],
      [['users', 'disable', 'nobody'], '', 'there is no account "nobody"'],
      [['users', 'add', 'bea', 'cid'], '', '"cid": is not a flag'],
      [['users', 'add', 'bea', '--password', 'x'], '', '--password: is not a flag'],
    ]
    for (const [args, input, message] of wrong) {
      const { exitCode, stdout, stderr } = place.run(args, {}, input)
      expect([args, exitCode, stdout, stderr]).toEqual([args, 2, '', expect.stringContaining(message)])
    }
    expect(place.run(['users', 'roles', 'ada', '--role', 'admin']).exitCode).toBe(0)
    for (const args of [['disable'], ['roles', '--role', 'analyst'], ['roles']]) {
      const { exitCode, stderr } = place.run(['users', args[0] ?? '', 'ada', ...args.slice(1)])
      expect([args, exitCode, stderr]).toEqual([
        args,
        2,
        expect.stringContaining('no enabled account that is granted everything'),
      ])
    }
    place.run(['users', 'add', 'bea', '--role', 'admin'], {}, PASSWORD)
    expect(place.run(['users', 'disable', 'ada']).exitCode).toBe(0)
    const { stdout } = place.run(['users', 'list'])
    expect(stdout.trim().split('\n')).toEqual([
      expect.stringMatching(/^NAME +ID +ROLES +STATE$/),
      expect.stringMatching(/^ada .* admin +disabled$/),
      expect.stringMatching(/^bea .* admin +enabled$/),
    ])
    expect(JSON.parse(place.run(['users', 'list', '--json']).stdout)).toHaveLength(2)
  })

  test('ends the demonstration of a server that runs, and what it changes holds there', async () => {
    using place = new Workplace()
    const { base, child } = await place.start()
    const id = '497f6eca-6276-4993-bfeb-53cbbbba6f08'
    expect((await post(`${base}/auth/`, { id })).status).toBe(200)
    place.run(['users', 'add', 'ada', '--role', 'analyst'], {}, PASSWORD)
    expect((await post(`${base}/auth/`, { id, password: 'x' })).status).toBe(401)
    const signedIn = await post(`${base}/auth/`, { name: 'ada', password: PASSWORD, session: 'token' })
    const { token } = (await signedIn.json()) as { token: string }
    expect(await statusOf(`${base}/private/info/`, token)).toBe(200)
    place.run(['users', 'disable', 'ada'])
    await untilStatus(401, () => statusOf(`${base}/private/info/`, token))
    expect((await post(`${base}/auth/`, { name: 'ada', password: PASSWORD })).status).toBe(401)
    child.kill('SIGTERM')
    expect(await child.exited).toBe(0)
  })
})

describe('the first start in production mode', () => {
  test('prints a password that signs in once', async () => {
    using place = new Workplace()
    const { base, output, child } = await place.start([], PRODUCTION)
    const password = /signs in once[^\n]*\n {2}(\S+)/.exec(output)?.[1] ?? ''
    expect(password).toMatch(/^[\w-]{24}$/)
    const signedIn = await post(`${base}/auth/`, { name: 'admin', password, session: 'token' })
    const { token } = (await signedIn.json()) as { token: string }
    expect((await post(`${base}/auth/`, { name: 'admin', password })).status).toBe(401)
    expect((await post(`${base}/auth/password/`, { new_password: PASSWORD }, token)).status).toBe(200)
    expect((await post(`${base}/auth/`, { name: 'admin', password: PASSWORD })).status).toBe(200)
    child.kill('SIGTERM')
    expect(await child.exited).toBe(0)
    const again = await place.start([], PRODUCTION)
    expect(again.output).not.toContain('signs in once')
    again.child.kill('SIGTERM')
    await again.child.exited
  })

  test('takes the password of the environment, and rejects one that is weak', async () => {
    using place = new Workplace()
    const weak = place.run(['start', '--port', '0'], { ...PRODUCTION, VESTAL_ADMIN_PASSWORD: 'password' })
    expect([weak.exitCode, weak.stderr]).toEqual([2, expect.stringContaining('VESTAL_ADMIN_PASSWORD')])
    const { base, output, child } = await place.start([], { ...PRODUCTION, VESTAL_ADMIN_PASSWORD: PASSWORD })
    expect(output).not.toContain(PASSWORD)
    const signedIn = await post(`${base}/auth/`, { name: 'admin', password: PASSWORD })
    expect(signedIn.status).toBe(200)
    expect(statSync(join(place.folder, 'data/vestal.db')).mode & 0o777).toBe(0o600)
    expect(statSync(join(place.folder, 'data/audit.log')).mode & 0o777).toBe(0o600)
    child.kill('SIGTERM')
    await child.exited
  })

  test('makes nothing where accounts are off', async () => {
    using place = new Workplace()
    const { base, child } = await place.start(['--accounts', 'off'], PRODUCTION)
    expect((await post(`${base}/auth/`, { name: 'admin', password: PASSWORD })).status).toBe(404)
    expect(statSync(join(place.folder, 'data'), { throwIfNoEntry: false })).toBeUndefined()
    child.kill('SIGTERM')
    await child.exited
  })
})

describe('vestal api-keys', () => {
  test('makes a key that a server which runs accepts, lists it, and ends it', async () => {
    using place = new Workplace()
    const { base, child } = await place.start()
    const made = place.run(['api-keys', 'create', 'robot', '--permission', 'my-permission-name', '--days', '30'])
    const key = made.stdout.trim()
    expect([made.exitCode, key]).toEqual([0, expect.stringMatching(/^vst_\w{12}_\w{43}_\w{6}$/)])
    const status = async () => (await fetch(`${base}/private/info/`, { headers: { 'x-api-key': key } })).status
    await untilStatus(200, status)
    const [row] = JSON.parse(place.run(['api-keys', 'list', '--json']).stdout) as { id: string }[]
    expect(row).toMatchObject({ name: 'robot', permissions: ['my-permission-name'], revokedAt: null })
    expect(place.run(['api-keys', 'list']).stdout).not.toContain(key)
    expect(place.run(['api-keys', 'revoke', row?.id ?? '']).stdout).toContain('revoked')
    await untilStatus(401, status)
    child.kill('SIGTERM')
    expect(await child.exited).toBe(0)
  })

  test('says what is wrong', () => {
    using place = new Workplace()
    const wrong: readonly (readonly [args: readonly string[], message: string])[] = [
      [['api-keys'], 'api-keys: say what to do'],
      [['api-keys', 'create'], 'needs a name'],
      [['api-keys', 'revoke', 'x'], 'there is no key "x"'],
      [['api-keys', 'create', 'a', '--days', '0'], '--days: must be'],
      [['api-keys', 'create', 'a', '--permission', 'a b'], 'permissions: must be'],
    ]
    for (const [args, message] of wrong) {
      const { exitCode, stdout, stderr } = place.run(args)
      expect([args, exitCode, stdout, stderr]).toEqual([args, 2, '', expect.stringContaining(message)])
    }
  })
})

describe('vestal audit', () => {
  /** What clears a terminal, moves its cursor, begins a line and reverses the rest of it. */
  const EVIL = '\u001b[2k\u009b1m\nforged\u202e'

  for (const to of ['file', 'database']) {
    test(`shows what happened, filtered, from the ${to}, and never a password`, async () => {
      using place = new Workplace()
      const environment = { VESTAL_AUDIT_TO: to }
      place.run(['users', 'add', 'ada'], environment, PASSWORD)
      const { base, child } = await place.start([], environment)
      await post(`${base}/auth/`, { name: 'ada', password: 'a wrong password' })
      await post(`${base}/auth/`, { name: EVIL, password: 'a wrong password' })
      await post(`${base}/auth/`, { name: 'ada', password: PASSWORD })
      const reader = place.run(['token', '--subject', 'auditor', '--permission', 'audit:read'], environment).stdout.trim()
      const shown = async () => {
        const answer = await fetch(`${base}/admin/audit/?subject=ada`, { headers: { authorization: `Bearer ${reader}` } })
        return ((await answer.json()) as { events: { event: string }[] }).events.map(({ event }) => event)
      }
      // Lines of the database follow the answer that they are about.
      await until(async () => (await shown()).length >= 3)
      expect(await shown()).toEqual(['sign-in', 'sign-in-refused', 'account-created'])
      child.kill('SIGTERM')
      await child.exited
      const all = place.run(['audit', '--json'], environment)
      expect(
        all.stdout
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line).event),
      ).toEqual(['account-created', 'sign-in-refused', 'sign-in-refused', 'sign-in'])
      const forged = place.run(['audit', '--subject', EVIL], environment).stdout
      expect(forged.trim().split('\n')[1]).toContain('  \\u001b[2k\\u009b1m\\u000aforged\\u202e  ')
      for (const { stdout } of [all, place.run(['audit'], environment)])
        expect(stdout).not.toMatch(/(?!\n)[\p{Cc}\p{Bidi_Control}]|^forged/mu)
      for (const secret of [PASSWORD, 'a wrong password']) expect(all.stdout).not.toContain(secret)
      const refused = place.run(['audit', '--event', 'sign-in-refused', '--subject', 'ada'], environment)
      expect(refused.stdout.trim().split('\n')).toEqual([
        expect.stringContaining('TIME'),
        expect.stringMatching(/sign-in-refused +ada .*127\.0\.0\.1/),
      ])
      expect(place.run(['audit', '--since', '2999-01-01T00:00:00Z', '--json'], environment).stdout.trim()).toBe('')
      expect(place.run(['audit', '--since', 'x'], environment).stderr).toContain('--since: must be')
      for (const [event, answer] of [
        ['signin-refused', '--event: there is no event "signin-refused"; did you mean sign-in-refused?'],
        ['api_key_created', '--event: there is no event "api_key_created"; did you mean api-key-created?'],
        ['login', '--event: there is no event "login"; there are sign-in, sign-in-refused, '],
      ] as const) {
        const { stderr, exitCode } = place.run(['audit', '--event', 'sign-in', '--event', event], environment)
        expect([exitCode, stderr]).toEqual([2, expect.stringContaining(answer)])
      }
    })
  }
})

describe('keys that change', () => {
  for (const to of ['file', 'database']) {
    test(`are in the audit log of the ${to}, by the command line that did it and by the server that took it up`, async () => {
      using place = new Workplace()
      const environment = { VESTAL_AUDIT_TO: to }
      const kidOf = (args: readonly string[], state: string) => {
        const { keys } = JSON.parse(place.run(['keys', ...args, '--json'], environment).stdout) as {
          keys: readonly { kid: string; state: string }[]
        }
        return keys.find((key) => key.state === state)?.kid ?? ''
      }
      const first = kidOf(['generate'], 'active')
      const { child } = await place.start([], environment)
      const lines = () =>
        place
          .run(['audit', '--json'], environment)
          .stdout.trim()
          .split('\n')
          .map((line) => JSON.parse(line) as { event: string; actor: string; subject?: string; reason: string })
      const heard = (count: number) =>
        until(
          () => lines().filter(({ event }) => event === 'keys-changed').length >= count,
          `the audit log has ${count} changes of keys`,
        )
      const second = kidOf(['generate'], 'next')
      await heard(1)
      expect(kidOf(['rotate'], 'active')).toBe(second)
      await heard(2)
      kidOf(['revoke', first], 'revoked')
      await heard(3)
      writeFileSync(join(place.folder, 'data/keys.json'), 'no key file', { mode: 0o600 })
      await until(() => lines().some(({ event }) => event === 'keys-refused'))
      child.kill('SIGTERM')
      expect(await child.exited).toBe(0)
      const by = (who: string) => lines().filter(({ actor }) => actor === who)
      expect(by('command-line').map(({ event, subject }) => [event, subject])).toEqual([
        ['key-generated', first],
        ['key-generated', second],
        ['key-rotated', second],
        ['key-revoked', first],
      ])
      const reasons = by('server').map(({ reason }) => reason)
      expect(reasons.slice(0, 3)).toEqual([`${second} next`, `${first} retired, ${second} active`, `${first} gone`])
      // One for each state of the file that was seen, but never the bytes of a file that is written over another as a secret.
      expect(reasons.slice(3)).not.toBeEmpty()
      for (const reason of reasons.slice(3)) expect(reason).toMatch(/keys\.json/)
      expect(JSON.stringify(lines())).not.toContain('"d"')
    })
  }

  test('make no audit log where there are no accounts', () => {
    using place = new Workplace()
    expect(place.run(['keys', 'generate'], { VESTAL_ACCOUNTS: 'off' }).exitCode).toBe(0)
    expect(statSync(join(place.folder, 'data/audit.log'), { throwIfNoEntry: false })).toBeUndefined()
  })
})

describe('vestal db', () => {
  test('says whether the database is of this version, and brings it there', () => {
    using place = new Workplace()
    const before = place.run(['db', 'status', '--json'])
    expect([before.exitCode, JSON.parse(before.stdout)]).toMatchObject([
      1,
      { kind: 'sqlite', migrations: [{ isApplied: false }, { isApplied: false }] },
    ])
    expect(place.run(['db', 'migrate']).stdout).toContain('(now)')
    expect(place.run(['db', 'migrate']).stdout).not.toContain('(now)')
    const after = place.run(['db', 'status'])
    expect([after.exitCode, after.stdout]).toEqual([0, expect.stringContaining('applied  0000_accounts')])
    expect(place.run(['db']).stderr).toContain('one of migrate, status')
  })

  test('and the start say that a database cannot be used, and how to do without', () => {
    using place = new Workplace()
    writeFileSync(join(place.folder, 'broken.db'), 'this is no database, and is long enough to be looked at as one'.repeat(100))
    for (const args of [
      ['start', '--port', '0'],
      ['users', 'list'],
      ['db', 'status'],
    ]) {
      const { exitCode, stderr } = place.run(args, { VESTAL_DATABASE: 'broken.db' })
      expect([args, exitCode, stderr]).toEqual([args, 2, expect.stringMatching(/cannot be opened|the database: /)])
    }
  })
})
