import { afterAll, describe, expect, test } from 'bun:test'
import { RateLimiter } from '../../../src/core/rate-limiter.ts'
import { openSharedCounts } from '../../../src/storage/shared-counts.ts'
import { startRedis } from '../../support/redis.ts'
import { below, seeded } from '../../support/seed.ts'
import { until } from '../../support/until.ts'

const redis = await startRedis()
afterAll(() => redis?.[Symbol.asyncDispose]())

function open(url: string, options: { readonly timeoutMs?: number; readonly leaseMs?: number } = {}) {
  const told: string[] = []
  // A machine that is busy must not make an answer late, unless a test is about that.
  const counts = openSharedCounts({ url, log: (message) => told.push(message), timeoutMs: 10_000, ...options })
  return { counts, told, [Symbol.dispose]: () => counts.close() }
}

describe('counts that cannot be had', () => {
  test('are undefined, are reported of once, and delay no one', async () => {
    // Nothing listens on the port of discard.
    using place = open('redis://127.0.0.1:9')
    expect(await place.counts.take('a', { perMinute: 1, units: 1 })).toBeUndefined()
    expect(await place.counts.take('a', { perMinute: 1, units: 1 })).toBeUndefined()
    expect(await place.counts.enter('a', 1)).toBeUndefined()
    expect([place.counts.isReachable, place.counts.failures, place.told]).toEqual([
      false,
      1,
      ['Redis does not answer: each process counts limits by itself'],
    ])
  })
})

if (redis !== undefined) {
  describe('counts in Redis', () => {
    test('let a minute’s units come at once, to all processes together', async () => {
      using one = open(redis.url)
      using other = open(redis.url)
      const key = crypto.randomUUID()
      const take = async (place: typeof one) => (await place.counts.take(key, { perMinute: 3, units: 1 }))?.isAllowed
      expect([await take(one), await take(other), await take(one), await take(other), await take(one)]).toEqual([
        true,
        true,
        true,
        false,
        false,
      ])
      expect(await other.counts.take(crypto.randomUUID(), { perMinute: 3, units: 1 })).toEqual({
        isAllowed: true,
        remaining: 2,
        resetSeconds: 20,
        retrySeconds: 0,
      })
    })

    test('say what the counts of one process say, whatever is asked', async () => {
      const random = seeded('shared counts')
      using place = open(redis.url)
      for (let round = 0; round < 20; round += 1) {
        const perMinute = 1 + below(random, 6)
        // A unit takes ten seconds to come back, which is longer than a round: both clocks stand still, as far as can be told.
        const own = new RateLimiter({ perMinute, now: () => 0 })
        const key = crypto.randomUUID()
        for (let step = 0; step < 8; step += 1) {
          const units = 1 + below(random, 2 * perMinute)
          const expected = own.take(key, units)
          const state = await place.counts.take(key, { perMinute, units })
          const seconds = ({ resetSeconds, retrySeconds }: typeof expected) => [resetSeconds, retrySeconds]
          expect([random.seed, state?.isAllowed, state?.remaining]).toEqual([random.seed, expected.isAllowed, expected.remaining])
          for (const [index, value] of seconds(state ?? expected).entries()) {
            expect(value).toBeGreaterThanOrEqual((seconds(expected)[index] ?? 0) - 10)
            expect(value).toBeLessThanOrEqual((seconds(expected)[index] ?? 0) + 1)
          }
        }
      }
    })

    test('give no more places than there are, and take back what is released', async () => {
      using one = open(redis.url)
      using other = open(redis.url)
      const key = crypto.randomUUID()
      const first = await one.counts.enter(key, 2)
      const second = await other.counts.enter(key, 2)
      expect(await one.counts.enter(key, 2)).toBe('full')
      expect(await other.counts.enter(key, 2)).toBe('full')
      if (typeof first !== 'function' || typeof second !== 'function') throw new Error('there were two places')
      first()
      first()
      await until(async () => typeof (await other.counts.enter(key, 2)) === 'function')
      expect(await one.counts.enter(key, 2)).toBe('full')
    })

    test('keep a place as long as its process says so, and not for one that is gone', async () => {
      using alive = open(redis.url, { leaseMs: 3000 })
      const gone = open(redis.url, { leaseMs: 3000 })
      const key = crypto.randomUUID()
      expect(typeof (await alive.counts.enter(key, 2))).toBe('function')
      expect(typeof (await gone.counts.enter(key, 2))).toBe('function')
      expect(await alive.counts.enter(key, 2)).toBe('full')
      gone.counts.close()
      // The place of the one that is gone comes free, and only that.
      await until(async () => typeof (await alive.counts.enter(key, 2)) === 'function')
      expect(await alive.counts.enter(key, 2)).toBe('full')
    })

    test('delay no one where the clock of Redis was set back', async () => {
      using place = open(redis.url)
      const key = crypto.randomUUID()
      const client = new Bun.RedisClient(redis.url)
      await place.counts.take(key, { perMinute: 60, units: 60 })
      const [stored = ''] = await client.send('KEYS', ['vestal:rate:*'])
      // What an hour ahead looks like from here: written then, and owed since.
      for (const name of await client.send('KEYS', ['vestal:rate:*'])) {
        const [at = '', owed = ''] = String(await client.get(name)).split(' ')
        await client.set(name, `${Number(at) + 3_600_000} ${owed}`)
      }
      expect(stored).toMatch(/^vestal:rate:[\w-]{22}$/)
      const state = await place.counts.take(key, { perMinute: 60, units: 1 })
      expect([state?.isAllowed, (state?.retrySeconds ?? 0) <= 2]).toEqual([false, true])
      client.close()
    })
  })

  describe('counts in a Redis that fails', () => {
    test('are given up while it hangs, and are there again when it continues, with what they were', async () => {
      await using own = await startRedis()
      if (own === undefined) throw new Error('it was there a moment ago')
      using place = open(own.url, { timeoutMs: 1000 })
      const take = () => place.counts.take('a', { perMinute: 2, units: 1 })
      await until(async () => (await take()) !== undefined)
      own.signal('SIGSTOP')
      expect(await take()).toBeUndefined()
      expect(place.counts.isReachable).toBe(false)
      expect(await take()).toBeUndefined()
      own.signal('SIGCONT')
      await until(() => place.counts.isReachable)
      await until(async () => (await take())?.isAllowed === false)
      expect(place.told.slice(-2)).toEqual([
        'Redis does not answer: each process counts limits by itself',
        'Redis answers again: limits are shared',
      ])
    })

    test('are shared again after it was killed and started again', async () => {
      await using own = await startRedis()
      if (own === undefined) throw new Error('it was there a moment ago')
      using place = open(own.url)
      const take = () => place.counts.take('a', { perMinute: 2, units: 1 })
      await take()
      await own.kill()
      expect(await take()).toBeUndefined()
      await own.restart()
      await until(() => place.counts.isReachable)
      expect((await take())?.isAllowed).toBe(true)
    })
  })
}
