import { openRedis } from './redis.ts'
import { reasonOfRedis } from './redis-reason.ts'

export interface RedisWatchOptions {
  readonly url: string
  /** Hears why Redis cannot be used, once, and that it can again. */
  readonly log: (message: string) => void
  /** Milliseconds between two looks; default 2000. */
  readonly everyMs?: number
}

/** Whether Redis can be used, looked at again and again. */
export interface RedisWatch {
  /** Why it cannot; undefined where it can. */
  readonly reason: string | undefined
  stop(): void
}

const EVERY_MS = 2000

/** Looks at Redis once, and then beside what the server does until it is stopped. */
export async function watchRedis({ url, log, everyMs = EVERY_MS }: RedisWatchOptions): Promise<RedisWatch> {
  const redis = openRedis(url)
  let reason: string | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  let isStopped = false
  const look = async () => {
    const before = reason
    // Another reason is no news, so it is asked for once.
    reason = await redis.ping().then(
      () => undefined,
      async () => before ?? (await reasonOfRedis(url).catch(() => 'it cannot be reached')),
    )
    if (isStopped) return
    if (before === undefined && reason !== undefined) {
      log(
        `Redis (VESTAL_REDIS) cannot be used: ${reason}. Sign-ins are answered with 503, and each process counts rate limits by itself, until it can`,
      )
    }
    if (before !== undefined && reason === undefined) log('Redis (VESTAL_REDIS) can be used again')
    timer = setTimeout(() => void look(), everyMs)
    timer.unref()
  }
  await look()
  return {
    get reason() {
      return reason
    },
    stop() {
      isStopped = true
      clearTimeout(timer)
      redis.close()
    },
  }
}
