import { RedisClient } from 'bun'
import type { RedisCommands } from '../accounts/buckets.ts'

/** A connection to Redis, as the throttle asks it. */
export interface OpenRedis {
  readonly commands: RedisCommands
  /** @throws Error where it does not answer, or refuses us */
  ping(): Promise<void>
  close(): void
}

const CONNECT_MS = 2000

/**
 * Prepares a connection; the first command opens it, and the first after it was lost opens another. While Redis cannot be reached a
 * command fails: a sign-in is then refused and does not wait. Bun's own reconnecting keeps commands waiting, so it is off.
 */
export function openRedis(url: string): OpenRedis {
  let client: RedisClient | undefined
  let opening: Promise<RedisClient> | undefined

  async function open(): Promise<RedisClient> {
    client?.close()
    const next = new RedisClient(url, { connectionTimeout: CONNECT_MS, autoReconnect: false, enableOfflineQueue: false })
    await inTime(next.connect())
    client = next
    return next
  }

  async function connected(): Promise<RedisClient> {
    if (client?.connected === true) return client
    opening ??= open().finally(() => {
      opening = undefined
    })
    return opening
  }

  return {
    commands: {
      run: async (script, key, values) => inTime((await connected()).send('EVAL', [script, '1', key, ...values])),
    },
    async ping() {
      await inTime((await connected()).send('PING', []))
    },
    close: () => client?.close(),
  }
}

/** The result, or an error after two seconds. */
async function inTime<T>(work: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Error('Redis does not answer')), CONNECT_MS)
  try {
    return await Promise.race([work, promise])
  } finally {
    clearTimeout(timer)
  }
}
