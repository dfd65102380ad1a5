import { describe, expect, test } from 'bun:test'
import { createThrottle } from '../../../src/accounts/throttle.ts'
import { openRedis } from '../../../src/storage/redis.ts'
import { Workplace } from '../../support/command-line.ts'
import { hasPostgres, postgresServer } from '../../support/postgres.ts'
import { startRedis } from '../../support/redis.ts'
import { SECRET } from '../../support/tokens.ts'
import { until as waitUntil } from '../../support/until.ts'

const PASSWORD = 'four words and a half'
const post = (url: string, body: unknown, token?: string) =>
  fetch(url, {
    method: 'POST',
    body: JSON.stringify(body),
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
  })

const redis = await startRedis()
const postgres = hasPostgres() ? await postgresServer() : undefined

if (redis !== undefined) {
  describe('the throttle over Redis', () => {
    test('counts for all who share it, starts anew, and says when to come back', async () => {
      const clients = [openRedis(redis.url), openRedis(redis.url)]
      const [one, two] = clients.map(({ commands }) =>
        createThrottle({ redis: commands, accountMax: 3, addressMax: 1000, windowSeconds: 60 }),
      )
      if (one === undefined || two === undefined) throw new Error('there are two')
      const name = crypto.randomUUID()
      for (const throttle of [one, two, one]) await throttle.attempt({ account: name, address: '192.0.2.1' })
      for (const throttle of [one, two]) {
        const refused = await throttle.attempt({ account: name, address: '192.0.2.1' }).catch((error: unknown) => error)
        expect(refused).toMatchObject({
          code: 'SIGN_IN_THROTTLED',
          headers: { 'retry-after': expect.stringMatching(/^(?:1\d|20)$/) },
        })
      }
      await two.succeeded({ account: name, address: '192.0.2.1' })
      await one.attempt({ account: name, address: '192.0.2.1' })
      for (const client of clients) client.close()
    })
  })
}

if (redis !== undefined && postgres !== undefined) {
  describe('two processes on one Postgres and one Redis', () => {
    test('know of each other’s sign-outs, keys, accounts and attempts, and refuse sign-ins without Redis', async () => {
      using place = new Workplace()
      const environment = {
        VESTAL_SECRET: SECRET,
        VESTAL_DATABASE: await postgres.createDatabase(),
        VESTAL_REDIS: redis.url,
        VESTAL_SIGN_IN_ATTEMPTS_MAX: '4',
        VESTAL_PASSWORD_MEMORY_KIB: '7168',
      }
      place.run(['users', 'add', 'ada', '--role', 'analyst'], environment, PASSWORD)
      const [one, two] = await Promise.all([place.start([], environment), place.start([], environment)])
      const status = async (base: string, headers: Record<string, string>) =>
        (await fetch(`${base}/private/info/`, { headers })).status
      const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
      const until = async (base: string, headers: Record<string, string>, expected: number) => {
        await waitUntil(async () => (await status(base, headers)) === expected, `the answer is ${expected}`)
      }
      const signedIn = await post(`${one.base}/auth/`, { name: 'ada', password: PASSWORD, session: 'token' })
      const { token, refresh_token } = (await signedIn.json()) as { token: string; refresh_token: string }
      expect(await status(two.base, bearer(token))).toBe(200)

      const refreshed = await post(`${two.base}/auth/refresh/`, { refresh_token })
      const next = (await refreshed.json()) as { token: string; refresh_token: string }
      expect(await status(one.base, bearer(next.token))).toBe(200)
      expect((await post(`${two.base}/auth/logout/`, {}, next.token)).status).toBe(200)
      await until(one.base, bearer(token), 401)
      expect((await post(`${one.base}/auth/refresh/`, { refresh_token: next.refresh_token })).status).toBe(401)

      const key = place.run(['api-keys', 'create', 'robot', '--permission', 'my-permission-name'], environment).stdout.trim()
      for (const { base } of [one, two]) await until(base, { 'x-api-key': key }, 200)

      const attempts: number[] = []
      for (const { base } of [one, two, one, two, one, two])
        attempts.push((await post(`${base}/auth/`, { name: 'ada', password: 'wrong' })).status)
      expect(attempts).toEqual([401, 401, 401, 401, 429, 429])

      await redis.kill()
      const without = await post(`${one.base}/auth/`, { name: 'ada', password: PASSWORD })
      expect(without.status).toBe(503)
      expect(await status(one.base, { 'x-api-key': key })).toBe(200)
      for (const { child } of [one, two]) {
        child.kill('SIGTERM')
        expect(await child.exited).toBe(0)
      }
    })
  })
}
