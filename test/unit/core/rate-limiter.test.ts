import { describe, expect, test } from 'bun:test'
import { RateLimiter } from '../../../src/core/rate-limiter.ts'
import { below, seeded } from '../../support/seed.ts'

function setUp(perMinute: number, keysMax = 100) {
  const clock = { ms: 1000 }
  const limiter = new RateLimiter({ perMinute, keysMax, now: () => clock.ms })
  return { clock, limiter }
}

describe('a limit of six a minute', () => {
  test('lets six come at once, and then one every ten seconds', () => {
    const { clock, limiter } = setUp(6)
    expect(Array.from({ length: 7 }, () => limiter.take('a').isAllowed)).toEqual([true, true, true, true, true, true, false])
    expect(limiter.take('a')).toEqual({ isAllowed: false, remaining: 0, resetSeconds: 60, retrySeconds: 10 })
    clock.ms += 9_999
    expect(limiter.take('a').retrySeconds).toBe(1)
    clock.ms += 1
    expect(limiter.take('a').isAllowed).toBe(true)
    expect(limiter.take('a').isAllowed).toBe(false)
  })

  test('says what is left, and when all of it is there again', () => {
    const { clock, limiter } = setUp(6)
    expect(limiter.take('a')).toEqual({ isAllowed: true, remaining: 5, resetSeconds: 10, retrySeconds: 0 })
    expect(limiter.take('a')).toEqual({ isAllowed: true, remaining: 4, resetSeconds: 20, retrySeconds: 0 })
    clock.ms += 60_000
    expect(limiter.take('a').remaining).toBe(5)
  })

  test('takes all of the first minute’s, also when the clock starts at zero', () => {
    const limiter = new RateLimiter({ perMinute: 6, now: () => 0 })
    expect(limiter.perMinute).toBe(6)
    expect(limiter.take('a', 6)).toEqual({ isAllowed: true, remaining: 0, resetSeconds: 60, retrySeconds: 0 })
    expect(limiter.take('b', 7)).toEqual({ isAllowed: true, remaining: 0, resetSeconds: 70, retrySeconds: 0 })
  })

  test('counts each key for itself', () => {
    const { limiter } = setUp(1)
    expect([limiter.take('a').isAllowed, limiter.take('b').isAllowed, limiter.take('a').isAllowed]).toEqual([true, true, false])
  })

  test('lets more than a minute’s units come at once to a key that has all of its own, which then owes them', () => {
    const { clock, limiter } = setUp(6)
    expect(limiter.take('a', 18).isAllowed).toBe(true)
    expect(limiter.take('a').retrySeconds).toBe(130)
    clock.ms += 130_000
    expect(limiter.take('a').isAllowed).toBe(true)
    expect(limiter.take('a', 18).isAllowed).toBe(false)
  })

  test('forgets the key that was asked for longest ago where there is no room', () => {
    const { limiter } = setUp(1, 2)
    for (const key of ['a', 'b', 'c']) limiter.take(key)
    expect([limiter.take('c').isAllowed, limiter.take('b').isAllowed, limiter.take('a').isAllowed]).toEqual([false, false, true])
  })
})

test('whatever comes, no minute lets more through than twice the limit, and no long time more than the rate', () => {
  const random = seeded('rate limiter')
  const { clock, limiter } = setUp(60)
  const start = clock.ms
  const times: number[] = []
  for (let index = 0; index < 20_000; index += 1) {
    clock.ms += below(random, 200)
    if (limiter.take('a').isAllowed) times.push(clock.ms)
  }
  const minutes = (clock.ms - start) / 60_000
  expect([random.seed, times.length <= 60 * minutes + 61]).toEqual([random.seed, true])
  for (const [index, time] of times.entries()) {
    const later = times[index + 120]
    if (later !== undefined) expect([random.seed, later - time >= 60_000 - 1]).toEqual([random.seed, true])
  }
})

test('a limiter remembers ten thousand keys unless it is given another number, and has a clock of its own', () => {
  const limiter = new RateLimiter({ perMinute: 1 })
  for (let key = 0; key < 10_000; key += 1) limiter.take(`k${key}`)
  expect(limiter.take('k0').isAllowed).toBe(false)
  expect(limiter.take('one more').isAllowed).toBe(true)
  expect([limiter.take('k0').isAllowed, limiter.take('k9999').isAllowed]).toEqual([true, false])
})
