import { describe, expect, test } from 'bun:test'
import { SieveCache } from '../../../src/core/sieve-cache.ts'
import { below, seeded } from '../../support/seed.ts'

function filled(entriesMax: number, ...keys: readonly string[]): SieveCache<string> {
  const cache = new SieveCache<string>({ entriesMax, weightMax: 1000 })
  for (const key of keys) cache.set(key, key.toUpperCase(), 1)
  return cache
}

const held = (cache: SieveCache<string>, keys: string) => [...keys].filter((key) => cache.get(key) !== undefined).join('')

describe('a cache', () => {
  test('gives what was put in, and nothing else', () => {
    const cache = filled(3, 'a', 'b')
    expect([cache.get('a'), cache.get('b'), cache.get('c')]).toEqual(['A', 'B', undefined])
    expect(cache.statistics).toEqual({ hits: 2, misses: 1, evictions: 0, entries: 2, weight: 2 })
  })

  test('evicts the oldest that was not asked for again', () => {
    const cache = filled(3, 'a', 'b', 'c')
    cache.get('a')
    cache.set('d', 'D', 1)
    expect(held(cache, 'abcd')).toBe('acd')
  })

  test('continues from where it stopped, and takes marks away on its way', () => {
    const cache = filled(3, 'a', 'b', 'c')
    held(cache, 'abc')
    cache.set('d', 'D', 1)
    expect(cache.statistics.evictions).toBe(1)
    cache.set('e', 'E', 1)
    expect(cache.statistics).toMatchObject({ entries: 3, evictions: 2 })
    expect(held(cache, 'e')).toBe('e')
  })

  test('keeps what is asked for again while others pass through', () => {
    const cache = filled(10, 'hot')
    for (let index = 0; index < 1000; index += 1) {
      cache.get('hot')
      cache.set(`once${index}`, '', 1)
    }
    expect(cache.get('hot')).toBe('HOT')
  })

  test('is bounded by weight too, and does not keep what is heavier than all of it', () => {
    const cache = new SieveCache<number>({ entriesMax: 100, weightMax: 10 })
    for (const key of ['a', 'b', 'c', 'd']) cache.set(key, 1, 4)
    expect(cache.statistics).toMatchObject({ entries: 2, weight: 8 })
    cache.set('heavy', 1, 11)
    expect([cache.get('heavy'), cache.statistics.entries]).toEqual([undefined, 2])
  })

  test('says whether something fits without anything having to go', () => {
    const cache = new SieveCache<number>({ entriesMax: 2, weightMax: 10 })
    expect([cache.hasRoom(10), cache.hasRoom(11)]).toEqual([true, false])
    cache.set('a', 1, 4)
    expect([cache.hasRoom(6), cache.hasRoom(7)]).toEqual([true, false])
    cache.set('b', 1, 1)
    expect([cache.hasRoom(0), cache.statistics.entries]).toEqual([false, 2])
  })

  test('keeps what is as heavy as all of it, in place of the rest', () => {
    const cache = new SieveCache<number>({ entriesMax: 100, weightMax: 10 })
    for (const key of ['a', 'b']) cache.set(key, 1, 5)
    expect(cache.statistics).toMatchObject({ entries: 2, evictions: 0, weight: 10 })
    cache.set('c', 2, 10)
    expect([cache.get('c'), cache.statistics]).toMatchObject([2, { entries: 1, evictions: 2, weight: 10 }])
  })

  test('replaces the value of a key', () => {
    const cache = filled(2, 'a', 'b')
    cache.set('a', 'again', 3)
    expect([cache.get('a'), cache.statistics.entries, cache.statistics.weight]).toEqual(['again', 2, 4])
  })

  test('of no entries keeps none', () => {
    expect(filled(0, 'a').get('a')).toBeUndefined()
  })

  test('is empty after it was cleared, and works', () => {
    const cache = filled(2, 'a', 'b')
    cache.clear()
    expect(held(cache, 'ab')).toBe('')
    for (const key of ['c', 'd', 'e']) cache.set(key, key, 1)
    expect(cache.statistics).toMatchObject({ entries: 2, weight: 2 })
  })

  test('never has more than its limits, nor another’s value, whatever is done with it', () => {
    const random = seeded('sieve')
    const cache = new SieveCache<string>({ entriesMax: 8, weightMax: 20 })
    for (let round = 0; round < 20_000; round += 1) {
      const key = `k${below(random, 24)}`
      const action = below(random, 20)
      if (action === 0) cache.clear()
      else if (action < 3) cache.delete(key)
      else if (action < 10) cache.set(key, `v${key}`, 1 + below(random, 5))
      else expect([undefined, `v${key}`]).toContain(cache.get(key))
      const { entries, weight } = cache.statistics
      if (entries > 8 || weight > 20 || weight < entries) throw new Error(`${entries} entries of ${weight}; ${random.seed}`)
    }
  })
})
