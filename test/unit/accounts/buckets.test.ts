import { describe, expect, test } from 'bun:test'
import { createMemoryBuckets, createSharedBuckets } from '../../../src/accounts/buckets.ts'

function setUp(options: { capacity: number; windowSeconds: number; keysMax?: number }) {
  const clock = { ms: 1_000_000 }
  return { clock, buckets: createMemoryBuckets({ ...options, now: () => clock.ms }) }
}

describe('buckets in memory', () => {
  test('give a millisecond for an attempt at least, however many there are', async () => {
    const { buckets } = setUp({ capacity: 5000, windowSeconds: 1 })
    for (let taken = 0; taken < 5000; taken += 1) expect(await buckets.take('a')).toBe(0)
    expect(await buckets.take('a')).toBe(1)
  })

  test('never take longer than the window to be full, where it is no multiple of the attempts', async () => {
    const { clock, buckets } = setUp({ capacity: 7, windowSeconds: 1 })
    for (let taken = 0; taken < 7; taken += 1) expect(await buckets.take('a')).toBe(0)
    expect(await buckets.take('a')).toBe(142)
    clock.ms += 994
    for (let taken = 0; taken < 7; taken += 1) expect(await buckets.take('a')).toBe(0)
    expect(await buckets.take('a')).toBe(142)
  })

  test('have an attempt again that was given back, and no more than all of theirs', async () => {
    const { buckets } = setUp({ capacity: 2, windowSeconds: 10 })
    await buckets.take('a')
    for (let times = 0; times < 3; times += 1) await buckets.giveBack('a')
    expect([await buckets.take('a'), await buckets.take('a'), await buckets.take('a')]).toEqual([0, 0, 5000])
    await buckets.giveBack('a')
    expect([await buckets.look('a'), await buckets.take('a'), await buckets.look('a')]).toEqual([0, 0, 5000])
    await buckets.refill('a')
    expect([await buckets.take('a'), await buckets.take('a'), await buckets.take('a')]).toEqual([0, 0, 5000])
  })

  test('keep the latest where more keys come than they hold, and nothing else has to go while there is room', async () => {
    const { clock, buckets } = setUp({ capacity: 1, windowSeconds: 10, keysMax: 2 })
    await buckets.take('a')
    clock.ms += 1000
    await buckets.take('b')
    clock.ms += 9000
    // The first is full at this very millisecond, so that it goes and the second stays.
    await buckets.take('c')
    expect([await buckets.look('b'), await buckets.look('c')]).toEqual([1000, 10_000])
    await buckets.take('d')
    expect([await buckets.look('b'), await buckets.look('c'), await buckets.look('d')]).toEqual([0, 10_000, 10_000])
  })

  test('forget the one that was touched longest ago', async () => {
    const { clock, buckets } = setUp({ capacity: 2, windowSeconds: 10, keysMax: 2 })
    await buckets.take('a')
    await buckets.take('b')
    clock.ms += 1
    await buckets.take('a')
    await buckets.take('c')
    expect([await buckets.look('a'), await buckets.look('b'), await buckets.look('c')]).toEqual([4999, 0, 0])
  })

  test('take another limit at once: what was used up comes back at the new pace', async () => {
    const { clock, buckets } = setUp({ capacity: 2, windowSeconds: 10 })
    for (let taken = 0; taken < 2; taken += 1) await buckets.take('a')
    buckets.limit(10)
    expect(await buckets.take('a')).toBe(1000)
    clock.ms += 1000
    expect([await buckets.take('a'), await buckets.take('a')]).toEqual([0, 1000])
    for (let taken = 0; taken < 10; taken += 1) expect(await buckets.take('b')).toBe(0)
    expect(await buckets.take('b')).toBe(1000)
  })
})

describe('buckets that are shared', () => {
  test('say to Redis what each question takes, at whole milliseconds', async () => {
    const asked: (readonly unknown[])[] = []
    const run = async (_script: string, key: string, values: readonly string[]) => {
      asked.push([key, ...values])
      return '250'
    }
    const buckets = createSharedBuckets({ run }, { prefix: 'p', capacity: 4, windowSeconds: 10, now: () => 1000.75 })
    expect([await buckets.take('a'), await buckets.look('a')]).toEqual([250, 250])
    await buckets.giveBack('a')
    await buckets.refill('a')
    buckets.limit(5)
    await buckets.refill('b')
    expect(asked).toEqual([
      ['p:a', '1000', '2500', '10000', '1'],
      ['p:a', '1000', '2500', '10000', '0'],
      ['p:a', '1000', '2500', '10000', '-1'],
      ['p:a', '1000', '2500', '10000', '-4'],
      ['p:b', '1000', '2000', '10000', '-5'],
    ])
  })
})
