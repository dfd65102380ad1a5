export interface BucketOptions {
  /** Attempts that a full bucket has. */
  readonly capacity: number
  /** Seconds in which an empty bucket is full again: its attempts come back one by one. */
  readonly windowSeconds: number
  /** Clock in milliseconds since 1970. */
  readonly now: () => number
}

/** A bucket of attempts for each key, full until it is taken from. */
export interface Buckets {
  /** Takes one attempt; milliseconds until there is one where there is none, and 0 where it was taken. */
  take(key: string): Promise<number>
  /** Milliseconds until there is an attempt, 0 where there is one; takes none. */
  look(key: string): Promise<number>
  /** Puts one attempt back. */
  giveBack(key: string): Promise<void>
  /** Fills the bucket. */
  refill(key: string): Promise<void>
  /** Full buckets have so many attempts from now on; one that is empty stays empty, and fills at the new pace. */
  limit(capacity: number): void
}

/** What the buckets ask of Redis. */
export interface RedisCommands {
  /** Runs a script of Lua over one key. */
  run(script: string, key: string, values: readonly string[]): Promise<unknown>
}

/** Keys that memory holds; full buckets are forgotten first, then the one that was touched longest ago. */
const KEYS_MAX = 100_000

/** One number a bucket is enough: when it will be full (the generic cell rate algorithm). */
export function createMemoryBuckets({
  capacity,
  windowSeconds,
  now,
  keysMax = KEYS_MAX,
}: BucketOptions & { readonly keysMax?: number }): Buckets {
  const fullAt = new Map<string, number>()
  let { oneMs, windowMs } = timesOf(capacity, windowSeconds)

  function put(key: string, at: number): void {
    fullAt.delete(key)
    if (at <= now()) return
    if (fullAt.size >= keysMax) makeRoom()
    fullAt.set(key, at)
  }

  function makeRoom(): void {
    for (const [key, at] of fullAt) if (at <= now()) fullAt.delete(key)
    const [oldest] = fullAt.keys()
    if (fullAt.size >= keysMax && oldest !== undefined) fullAt.delete(oldest)
  }

  // No bucket owes more than all of its attempts: a clock that is set back locks no account out for that long.
  const fullOf = (key: string) => {
    const known = fullAt.get(key) ?? 0
    const latest = now() + windowMs
    if (known > latest) fullAt.set(key, latest)
    return Math.min(latest, Math.max(now(), known))
  }
  const waitFor = (key: string) => Math.max(0, fullOf(key) + oneMs - now() - windowMs)
  return {
    async take(key) {
      const waitMs = waitFor(key)
      if (waitMs === 0) put(key, fullOf(key) + oneMs)
      return waitMs
    },
    look: async (key) => waitFor(key),
    async giveBack(key) {
      put(key, fullOf(key) - oneMs)
    },
    async refill(key) {
      fullAt.delete(key)
    },
    limit(next) {
      ;({ oneMs, windowMs } = timesOf(next, windowSeconds))
    },
  }
}

/** Whole milliseconds, so that no attempt is lost to rounding; the window is a little shorter for it, and never longer. */
function timesOf(capacity: number, windowSeconds: number): { readonly oneMs: number; readonly windowMs: number } {
  const oneMs = Math.max(1, Math.floor((windowSeconds * 1000) / capacity))
  return { oneMs, windowMs: oneMs * capacity }
}

/** The same in Redis, at once for all who share it. */
const SCRIPT = `
local now, one, window, taken = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local known = tonumber(redis.call('GET', KEYS[1]) or '0')
local full = math.min(now + window, math.max(now, known))
if known > full then redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', string.format('%.0f', full - now)) end
local wait = math.max(0, full + one - now - window)
if taken == 0 or (taken > 0 and wait > 0) then return wait end
full = full + taken * one
if full > now then redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', string.format('%.0f', full - now))
else redis.call('DEL', KEYS[1]) end
return 0`

/** Buckets that several processes share; their clocks must agree. */
export function createSharedBuckets(
  { run }: RedisCommands,
  { prefix, capacity, windowSeconds, now }: BucketOptions & { readonly prefix: string },
): Buckets {
  let full = capacity
  let { oneMs, windowMs } = timesOf(capacity, windowSeconds)
  const ask = async (key: string, taken: number) =>
    Number(await run(SCRIPT, `${prefix}:${key}`, [Math.floor(now()), oneMs, windowMs, taken].map(String)))
  return {
    take: (key) => ask(key, 1),
    look: (key) => ask(key, 0),
    async giveBack(key) {
      await ask(key, -1)
    },
    async refill(key) {
      await ask(key, -full)
    },
    limit(next) {
      full = next
      ;({ oneMs, windowMs } = timesOf(next, windowSeconds))
    },
  }
}
