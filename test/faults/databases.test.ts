import { afterAll, expect, test } from 'bun:test'
import { FaultyServer } from '../support/faulty-server.ts'
import { ownPostgresServer } from '../support/postgres.ts'
import { startRedis } from '../support/redis.ts'
import { until } from '../support/until.ts'

const redis = await startRedis()
const postgres = await ownPostgresServer()
afterAll(async () => {
  await redis?.[Symbol.asyncDispose]()
  await postgres?.kill()
})

if (redis !== undefined && postgres !== undefined) {
  // To wait for a database that hangs takes a quarter of a minute, which not every run has.
  const isThorough = process.env.VESTAL_TEST_REQUIRED !== undefined || process.env.VESTAL_TEST_LONG !== undefined
  const harms = [
    ['Redis hangs', () => redis.signal('SIGSTOP'), () => redis.signal('SIGCONT')],
    ['Redis is killed', () => redis.kill(), () => redis.restart()],
    ['Postgres hangs', () => postgres.signal('SIGSTOP'), () => postgres.signal('SIGCONT')],
    ['Postgres is killed', () => postgres.kill(), () => postgres.start()],
  ] as const

  test('while Postgres or Redis hangs or is gone, sign-ins are a 503 and predictions continue; then all is as before', async () => {
    await using server = await FaultyServer.start({
      VESTAL_DATABASE: await postgres.createDatabase(),
      VESTAL_REDIS: redis.url,
      VESTAL_ADDRESS_REQUESTS_PER_MINUTE: '100000',
      VESTAL_SIGN_IN_ATTEMPTS_MAX: '1000',
    })
    expect([await server.signIn(), await server.predict()]).toEqual([200, 200])
    for (const [harm, doIt, undo] of harms.filter(([harm]) => isThorough || harm !== 'Postgres hangs')) {
      await doIt()
      // Asked together: who signs in waits, who predicts does not need what hangs.
      const [signIns, predictions] = await Promise.all([
        Promise.all([server.signIn(), server.signIn()]),
        Promise.all(Array.from({ length: 10 }, () => server.predict())),
      ])
      expect([harm, signIns, predictions]).toEqual([harm, [503, 503], Array(10).fill(200)])
      await undo()
      await until(async () => (await server.signIn()) === 200)
      expect([harm, await server.predict(), await server.bugs()]).toEqual([harm, 200, 0])
    }
    await until(async () => (await server.metric('vestal_shared_limits_reachable')) === 1)
    expect((await server.stop()).code).toBe(0)
  }, 180_000)
}
