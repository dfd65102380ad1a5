import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Workplace } from '../support/command-line.ts'
import { until } from '../support/until.ts'

const PASSWORD = 'four words and a half'
const OTHER = 'another long sentence'

interface Tokens {
  readonly token: string
  readonly refresh_token: string
}

/** A server with one account, and somebody who signed in. */
async function stage(place: Workplace) {
  expect(place.run(['keys', 'generate']).exitCode).toBe(0)
  expect(place.run(['users', 'add', 'ada', '--role', 'analyst'], {}, PASSWORD).exitCode).toBe(0)
  const { base, child } = await place.start()
  const post = (path: string, body: unknown) => fetch(`${base}${path}`, { method: 'POST', body: JSON.stringify(body) })
  const signIn = async (password = PASSWORD) =>
    (await (await post('/auth/', { name: 'ada', password, session: 'token' })).json()) as Tokens
  const status = async (headers: Record<string, string>) => (await fetch(`${base}/private/info/`, { headers })).status
  return {
    post,
    signIn,
    status: (token: string) => status({ authorization: `Bearer ${token}` }),
    statusOfKey: (key: string) => status({ 'x-api-key': key }),
    refresh: (refresh_token: string) => post('/auth/refresh/', { refresh_token }),
    until: (expected: number, ask: () => Promise<number>) =>
      until(async () => (await ask()) === expected, `the answer is ${expected}`),
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM')
      expect(await child.exited).toBe(0)
    },
  }
}

/** The command of docs/guides/accounts.md that begins like this, with what stands for a value put in. */
function documented(begin: string, values: Readonly<Record<string, string>> = {}): readonly string[] {
  const page = readFileSync(join(import.meta.dir, '../../docs/guides/accounts.md'), 'utf8')
  const drill = page.slice(page.indexOf('## When something leaks'))
  const line = drill.match(/^bun run (.+?)(?: +#.*)?$/gm)?.find((command) => command.startsWith(`bun run ${begin}`))
  if (line === undefined) throw new Error(`docs/guides/accounts.md does not say "bun run ${begin}"`)
  const words = line
    .replace(/ +#.*$/, '')
    .split(' ')
    .slice(2)
  return words.map((word) => values[word] ?? word)
}

test('a refresh token that leaked: anyone who uses it second ends the session, and the operator ends all', async () => {
  using place = new Workplace()
  await using server = await stage(place)
  const stolen = await server.signIn()
  const thief = (await (await server.refresh(stolen.refresh_token)).json()) as Tokens
  const later = (await (await server.refresh(thief.refresh_token)).json()) as Tokens
  expect((await server.refresh(stolen.refresh_token)).status).toBe(401)
  for (const { token } of [stolen, thief, later]) expect(await server.status(token)).toBe(401)
  const second = await server.signIn()
  expect(place.run(documented('users signout', { NAME: 'ada' })).exitCode).toBe(0)
  await server.until(401, () => server.status(second.token))
  expect((await server.refresh(second.refresh_token)).status).toBe(401)
  const reused = place.run(documented('audit --event refresh-reused'))
  expect(reused.stdout).toContain('refresh-reused')
  expect(await server.status((await server.signIn()).token)).toBe(200)
})

test('a password that leaked: another one ends every session, and the old one opens none', async () => {
  using place = new Workplace()
  await using server = await stage(place)
  const thief = await server.signIn()
  expect(place.run(documented('users disable', { NAME: 'ada' })).exitCode).toBe(0)
  await server.until(401, () => server.status(thief.token))
  expect((await server.refresh(thief.refresh_token)).status).toBe(401)
  expect(place.run(documented('users passwd', { NAME: 'ada' }), {}, OTHER).exitCode).toBe(0)
  expect(place.run(documented('users enable', { NAME: 'ada' })).exitCode).toBe(0)
  expect((await server.post('/auth/', { name: 'ada', password: PASSWORD })).status).toBe(401)
  expect(await server.status((await server.signIn(OTHER)).token)).toBe(200)
  expect(place.run(documented('audit --subject', { NAME: 'ada' })).stdout).toContain('sign-in')
})

test('an API key that leaked: it and its tokens die, and another takes its place', async () => {
  using place = new Workplace()
  await using server = await stage(place)
  const make = () => place.run(['api-keys', 'create', 'robot', '--permission', 'my-permission-name']).stdout.trim()
  const key = make()
  await server.until(200, () => server.statusOfKey(key))
  expect(place.run(documented('api-keys revoke', { ID: key.split('_')[1] ?? '' })).exitCode).toBe(0)
  await server.until(401, () => server.statusOfKey(key))
  const next = make()
  await server.until(200, () => server.statusOfKey(next))
})

test('a signing key that leaked: its tokens die, and sessions continue with the next key', async () => {
  using place = new Workplace()
  await using server = await stage(place)
  const { token, refresh_token } = await server.signIn()
  const { kid } = JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()) as { kid: string }
  expect(place.run(documented('keys revoke', { KEY_ID: kid })).exitCode).toBe(0)
  await server.until(401, () => server.status(token))
  const refreshed = (await (await server.refresh(refresh_token)).json()) as Tokens
  expect(await server.status(refreshed.token)).toBe(200)
})
