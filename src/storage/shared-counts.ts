import { createHash, randomUUID } from 'node:crypto'
import { costMsOf, type RateQuestion, SLACK_MS, stateOf, WINDOW_MS } from '../core/rate-limiter.ts'
import type { Release, SharedCounts } from '../core/shared-counts.ts'
import { type OpenRedis, openRedis } from './redis.ts'

export interface SharedCountsOptions {
  readonly url: string
  /** Hears that the counts are not shared any more, and that they are again. */
  readonly log: (message: string) => void
  /** Processes of one server that ask; default 1. */
  readonly processes?: number
  /** How long a request waits for an answer, once; default 250 ms. */
  readonly timeoutMs?: number
  /** How long a place is kept for a process that says nothing of it; default 15 s. */
  readonly leaseMs?: number
}

const ANSWER_MS_MAX = 250
const LEASE_MS = 15_000
/** How often Redis is asked again while it does not answer. */
const RETRY_MS = 500

/** Redis's clock in milliseconds, for all processes the same. */
const NOW = "local time = redis.call('TIME') local now = time[1] * 1000 + time[2] / 1000 "

/**
 * `RateLimiter` as a script: what a key owes, and at what time. A clock that is set back lets no time pass, so that it delays no client
 * longer than a running clock would.
 */
const TAKE = `${NOW}
local cost, owed = tonumber(ARGV[1]), 0
local at, owing = string.match(redis.call('GET', KEYS[1]) or '', '^(%S+) (%S+)$')
if at then owed = math.max(0, owing - math.max(0, now - at)) end
local isAllowed = owed + math.min(cost, ${WINDOW_MS}) - ${WINDOW_MS} <= ${SLACK_MS}
if isAllowed then owed = owed + cost end
redis.call('SET', KEYS[1], string.format('%.3f %.3f', now, owed), 'PX', math.ceil(owed) + 1)
return { isAllowed and 1 or 0, string.format('%.3f', owed) }`

/** Places are members that say until when they are held; those too far ahead are from before the clock was set back. */
const ENTER = `${NOW}
local lease = tonumber(ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZREMRANGEBYSCORE', KEYS[1], now + 2 * lease, '+inf')
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
redis.call('ZADD', KEYS[1], now + lease, ARGV[3])
redis.call('PEXPIRE', KEYS[1], lease)
return 1`

/** Holds a place for longer, also where Redis has lost it. */
const RENEW = `${NOW}
redis.call('ZADD', KEYS[1], now + ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[1])`

/** Counts in Redis, in time or not at all. */
export function openSharedCounts({ url, log, ...options }: SharedCountsOptions): SharedCounts {
  const { processes = 1, timeoutMs = ANSWER_MS_MAX, leaseMs = LEASE_MS } = options
  const redis = openRedis(url, { timeoutMs })
  const line = createLine(redis, log)
  /** The key of each place that is held here. */
  const held = new Map<string, string>()
  const renewing = setInterval(() => {
    for (const [place, key] of held) void line.ask('EVAL', [RENEW, '1', key, String(leaseMs), place])
  }, leaseMs / 3)
  renewing.unref()
  const leave = (key: string, place: string): void => {
    // If Redis does not get this, the slot expires by itself.
    if (held.delete(place)) void line.ask('ZREM', [key, place])
  }
  return {
    async take(name, question) {
      const answer = await line.ask('EVAL', [TAKE, '1', keyOf('rate', name), String(costMsOf(question))])
      return answer === undefined ? undefined : readState(answer, question)
    },
    async enter(name, placesMax) {
      const key = keyOf('place', name)
      const place = randomUUID()
      const answer = await line.ask('EVAL', [ENTER, '1', key, String(leaseMs), String(placesMax), place])
      if (answer === undefined) return undefined
      if (answer !== 1) return 'full'
      held.set(place, key)
      const release: Release = () => leave(key, place)
      return release
    },
    processes,
    get isReachable() {
      return line.isUp
    },
    get failures() {
      return line.failures
    },
    close() {
      clearInterval(renewing)
      line.close()
    },
  }
}

/** A connection that is asked while it answers. After a failure no request waits for it: it is retried in the background until it answers. */
function createLine(redis: OpenRedis, log: (message: string) => void) {
  let isUp = true
  let failures = 0
  let retry: ReturnType<typeof setTimeout> | undefined
  const tryAgain = () => {
    retry = setTimeout(async () => {
      const answer = await redis.send('PING', []).catch(() => undefined)
      if (answer === undefined) return tryAgain()
      isUp = true
      log('Redis answers again: limits are shared')
    }, RETRY_MS)
    retry.unref()
  }
  const failed = () => {
    failures += 1
    if (!isUp) return
    isUp = false
    log('Redis does not answer: each process counts limits by itself')
    tryAgain()
  }
  return {
    get isUp() {
      return isUp
    },
    get failures() {
      return failures
    },
    async ask(command: string, values: readonly string[]): Promise<unknown> {
      if (!isUp) return undefined
      try {
        return await redis.send(command, values)
      } catch {
        failed()
        return undefined
      }
    },
    close() {
      clearTimeout(retry)
      redis.close()
    },
  }
}

function readState(answer: unknown, question: RateQuestion) {
  const [isAllowed, owedMs] = Array.isArray(answer) ? answer : []
  // The script gives a number and a text; what is neither is no answer of ours.
  return typeof owedMs === 'string' ? stateOf(Number(owedMs), { ...question, isAllowed: isAllowed === 1 }) : undefined
}

/** Redis gets no subject and no address, only hashes. */
function keyOf(kind: 'rate' | 'place', name: string): string {
  return `vestal:${kind}:${createHash('sha256').update(name).digest('base64url').slice(0, 22)}`
}
