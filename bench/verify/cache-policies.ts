import { SieveCache } from '../../src/core/sieve-cache.ts'
import { figureOf, type Rounds } from '../harness/measure.ts'
import { type Occasion, reportTable } from '../harness/report.ts'

const ENTRIES = 1000
const REQUESTS = 200_000

interface Cache {
  get(key: string): number | undefined
  set(key: string, value: number): void
}

/** A map in the order of insertion: the oldest goes. */
function fifo(): Cache {
  const entries = new Map<string, number>()
  return {
    get: (key) => entries.get(key),
    set(key, value) {
      if (entries.size >= ENTRIES) entries.delete(entries.keys().next().value ?? '')
      entries.set(key, value)
    },
  }
}

/** The same, and a hit makes its entry the newest. */
function lru(): Cache {
  const entries = new Map<string, number>()
  return {
    get(key) {
      const value = entries.get(key)
      if (value === undefined) return undefined
      entries.delete(key)
      entries.set(key, value)
      return value
    },
    set(key, value) {
      if (entries.size >= ENTRIES) entries.delete(entries.keys().next().value ?? '')
      entries.set(key, value)
    },
  }
}

function sieve(): Cache {
  const cache = new SieveCache<number>({ entriesMax: ENTRIES, weightMax: ENTRIES })
  return { get: (key) => cache.get(key), set: (key, value) => cache.set(key, value, 1) }
}

const POLICIES = { SIEVE: sieve, LRU: lru, FIFO: fifo }

/** Whom each request is from. */
const TRACES: Readonly<Record<string, () => readonly string[]>> = {
  '20 000 users, a few of them often (Zipf 1.0)': () => zipf(20_000, 1),
  '20 000 users, less unevenly (Zipf 0.8)': () => zipf(20_000, 0.8),
  '500 users, and as many requests with a token that comes once': () => {
    const random = numbers()
    return Array.from({ length: REQUESTS }, (_, index) =>
      index % 2 === 0 ? keyOf(Math.floor(random() * 500)) : keyOf(1_000_000 + index),
    )
  },
  '900 users, with a wave of 5000 tokens that come once after every 20 000 requests': () => {
    const random = numbers()
    return Array.from({ length: REQUESTS }, (_, index) =>
      index % 25_000 < 20_000 ? keyOf(Math.floor(random() * 900)) : keyOf(1_000_000 + index),
    )
  },
}

/** How often each way to evict finds a token, and what a request costs with it. */
export function reportCachePolicies({ rounds }: Rounds, occasion: Occasion): void {
  const rows = Object.entries(TRACES).map(([name, make]) => {
    const trace = make()
    const samples = Object.values(POLICIES).map(() => [] as number[])
    let hits: number[] = []
    for (let round = 0; round < Math.min(rounds, 7); round += 1) {
      hits = Object.values(POLICIES).map((create, index) => {
        const { share, nanoseconds } = play(create(), trace)
        samples[index]?.push(nanoseconds)
        return share
      })
    }
    const cells = samples.map(
      (list, index) => `${((hits[index] ?? 0) * 100).toFixed(1)} %, ${figureOf(list).median.toFixed(0)} ns`,
    )
    return [name, ...cells]
  })
  const text = `${ENTRIES} entries, ${REQUESTS} requests: requests that find their token, and ns a request for the cache only.`
  reportTable(
    { id: 'verify-cache-policies', title: 'Which token leaves the cache', text, head: ['', ...Object.keys(POLICIES)], rows },
    occasion,
  )
}

function play(cache: Cache, trace: readonly string[]) {
  let found = 0
  const begun = Bun.nanoseconds()
  for (const key of trace) {
    if (cache.get(key) === undefined) cache.set(key, 1)
    else found += 1
  }
  return { share: found / trace.length, nanoseconds: (Bun.nanoseconds() - begun) / trace.length }
}

/** As long as a token; the digits are at its end, as a signature's are. */
function keyOf(number: number): string {
  return `Bearer ${'eyJhbGciOiJIUzI1NiIsInR5cCI6ImF0K2p3dCJ9.'.repeat(6)}${number}`
}

/** The same numbers in each run: mulberry32. */
function numbers(): () => number {
  let state = 0x5eed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

function zipf(users: number, exponent: number): readonly string[] {
  const random = numbers()
  const sums: number[] = []
  let total = 0
  for (let rank = 1; rank <= users; rank += 1) {
    total += rank ** -exponent
    sums.push(total)
  }
  return Array.from({ length: REQUESTS }, () => {
    const wanted = random() * total
    let [low, high] = [0, users - 1]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((sums[middle] ?? 0) < wanted) low = middle + 1
      else high = middle
    }
    return keyOf(low)
  })
}
