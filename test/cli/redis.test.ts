import { expect, test } from 'bun:test'
import { signJwt } from '../../src/index.ts'
import { openRedis } from '../../src/storage/redis.ts'
import { type StartedServer, Workplace } from '../support/command-line.ts'
import { freePort } from '../support/free-port.ts'
import { ownPostgresServer, postgresTest } from '../support/postgres.ts'
import { redisTest, startRedis } from '../support/redis.ts'
import { noteSecret } from '../support/secrets.ts'
import { SECRET } from '../support/tokens.ts'
import { until } from '../support/until.ts'

const PASSWORD = noteSecret('a password of Redis, in some words')
const PRODUCTION = { NODE_ENV: 'production', VESTAL_SECRET: SECRET, VESTAL_LOG_FORMAT: 'json' }
const OPERATOR = { authorization: `Bearer ${signJwt({ sub: 'me', data: { permissions: ['metrics:read'] } }, SECRET)}` }

interface Ready {
  readonly ready: boolean
  readonly reasons: readonly string[]
}

async function readiness({ base }: StartedServer): Promise<Ready> {
  return (await fetch(`${base}/v2/health/ready`, { headers: OPERATOR })).json() as Promise<Ready>
}

/** What the server printed in all, once it was stopped. */
async function stop({ child, output, rest }: StartedServer): Promise<string> {
  child.kill('SIGTERM')
  await child.exited
  return `${output}${await rest}${await new Response(child.stderr).text()}`
}

test('a Redis that cannot be reached at the start is named by the log, readiness, sign-ins and doctor', async () => {
  using place = new Workplace()
  const address = `redis://:${encodeURIComponent(PASSWORD)}@127.0.0.1:${await freePort()}`
  const environment = { ...PRODUCTION, VESTAL_REDIS: address }
  const server = await place.start([], environment)
  const { ready, reasons } = await readiness(server)
  expect([ready, reasons]).toEqual([true, ['Redis cannot be used: nothing listens at its address']])
  const answer = await fetch(`${server.base}/auth/`, { method: 'POST', body: JSON.stringify({ name: 'admin', password: 'x' }) })
  expect([answer.status, await answer.json()]).toMatchObject([
    503,
    { detail: 'Attempts to sign in cannot be counted, since Redis cannot be used; try again' },
  ])
  expect(answer.headers.get('retry-after')).toBe('1')
  const log = await stop(server)
  expect(log).toContain('Redis (VESTAL_REDIS) cannot be used: nothing listens at its address. Sign-ins are answered with 503')
  const { stdout, exitCode } = place.run(['doctor'], environment)
  expect([exitCode, stdout]).toEqual([1, expect.stringContaining('Redis cannot be used: nothing listens at its address')])
  for (const text of [log, stdout]) expect(text).not.toContain(encodeURIComponent(PASSWORD))
})

test('a Redis that cannot be reached makes a strict server unready', async () => {
  using place = new Workplace()
  const environment = { ...PRODUCTION, VESTAL_REDIS: `redis://127.0.0.1:${await freePort()}` }
  const server = await place.start(['--strict-readiness', 'on'], environment)
  expect((await readiness(server)).ready).toBe(false)
  await stop(server)
})

redisTest('a wrong password of Redis is told, and never shown', async () => {
  await using redis = await startRedis()
  const address = redis?.url ?? ''
  const open = openRedis(address)
  await open.send('CONFIG', ['SET', 'requirepass', 'another'])
  open.close()
  using place = new Workplace()
  const environment = { ...PRODUCTION, VESTAL_REDIS: address.replace('//', `//:${encodeURIComponent(PASSWORD)}@`) }
  const server = await place.start([], environment)
  expect((await readiness(server)).reasons).toEqual(['Redis cannot be used: it rejects the user or the password of its address'])
  const log = await stop(server)
  const { stdout } = place.run(['doctor'], environment)
  for (const text of [log, stdout]) {
    expect(text).toContain('Redis')
    expect(text).toContain('it rejects the user or the password of its address')
    expect(text).not.toContain(encodeURIComponent(PASSWORD))
    expect(text).not.toContain(PASSWORD)
  }
})

redisTest('a Redis that is lost is told once, and so is that it is back', async () => {
  await using redis = await startRedis()
  using place = new Workplace()
  const server = await place.start([], { ...PRODUCTION, VESTAL_REDIS: redis?.url ?? '' })
  expect((await readiness(server)).reasons).toEqual([])
  await redis?.kill()
  await until(async () => (await readiness(server)).reasons.length === 1, 'readiness names Redis')
  await redis?.restart()
  await until(async () => (await readiness(server)).reasons.length === 0, 'readiness names nothing any more')
  const log = await stop(server)
  expect(log.match(/Redis \(VESTAL_REDIS\) cannot be used: nothing listens at its address/g)).toHaveLength(1)
  expect(log.match(/Redis \(VESTAL_REDIS\) can be used again/g)).toHaveLength(1)
})

test('a Postgres that cannot be reached ends the start with its name, and never with its password', async () => {
  using place = new Workplace()
  const database = `postgres://vestal:${encodeURIComponent(PASSWORD)}@127.0.0.1:${await freePort()}/vestal`
  const { exitCode, stdout, stderr } = place.run(['start', '--port', '0'], { ...PRODUCTION, VESTAL_DATABASE: database })
  expect([exitCode, stdout]).toEqual([2, ''])
  expect(stderr).toContain('the accounts cannot be opened')
  expect(stderr).toContain('VESTAL_DATABASE')
  expect(stderr).not.toContain(encodeURIComponent(PASSWORD))
})

postgresTest('a Postgres that is lost is named by the log and by readiness', async () => {
  const postgres = await ownPostgresServer()
  using place = new Workplace()
  const server = await place.start([], { ...PRODUCTION, VESTAL_DATABASE: (await postgres?.createDatabase()) ?? '' })
  await postgres?.kill()
  await until(async () => (await readiness(server)).reasons.length === 1, 'readiness names the database')
  expect((await readiness(server)).reasons).toEqual(['the database of the accounts does not answer'])
  expect(await stop(server)).toContain('the accounts cannot be reached: the database answers')
})
