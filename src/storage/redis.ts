import { RedisClient } from 'bun'
import type { RedisCommands } from '../accounts/buckets.ts'
import { inTime, Late } from './in-time.ts'

const SILENT = 'Redis does not answer'

/** A connection to Redis. */
export interface OpenRedis {
  /** What the throttle asks of it. */
  readonly commands: RedisCommands
  /** @throws Error where it does not answer, or rejects the credentials */
  ping(): Promise<void>
  send(command: string, values: readonly string[]): Promise<unknown>
  close(): void
}

export interface RedisOptions {
  /** How long a connection, and an answer, may take; default 2000 ms. */
  readonly timeoutMs?: number
}

/**
 * Prepares a connection; the first command opens it, and the first after it was lost opens another. While Redis cannot be reached a
 * command fails: a sign-in is then rejected and does not wait. Bun's own reconnecting keeps commands waiting, so it is off. A connection
 * that does not answer in time is closed: the next command opens a new one.
 */
export function openRedis(url: string, { timeoutMs = 2000 }: RedisOptions = {}): OpenRedis {
  let client: RedisClient | undefined
  let opening: Promise<RedisClient> | undefined

  async function open(): Promise<RedisClient> {
    client?.close()
    const next = new RedisClient(url, { connectionTimeout: timeoutMs, autoReconnect: false, enableOfflineQueue: false })
    await inTime(next.connect(), timeoutMs, SILENT)
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

  async function ask<T>(work: (client: RedisClient) => Promise<T>): Promise<T> {
    const asked = await connected()
    try {
      return await inTime(work(asked), timeoutMs, SILENT)
    } catch (error) {
      if (error instanceof Late && client === asked) {
        client = undefined
        asked.close()
      }
      throw error
    }
  }

  return {
    commands: {
      run: (script, key, values) => ask((redis) => redis.send('EVAL', [script, '1', key, ...values])),
    },
    async ping() {
      await ask((redis) => redis.send('PING', []))
    },
    send: (command, values) => ask((redis) => redis.send(command, [...values])),
    close: () => client?.close(),
  }
}
