import type { Logger } from '../../telemetry/log/logger.ts'
import { type ChildProcess, nameOf } from './child-process.ts'

export interface HealthCheckOptions {
  readonly logger: Logger
  /** Milliseconds between two checks, and until one counts as missed; default 10 s. */
  readonly intervalMs?: number
}

const INTERVAL_MS = 10_000
/** Missed checks in a row that make a process hang: one alone is missed where the supervisor itself was held up. */
const MISSED_MAX = 3

/** Checks a process until it ends, and kills it where it hangs: connections that it does not serve would wait. */
export async function checkHealth(child: ChildProcess, { logger, intervalMs = INTERVAL_MS }: HealthCheckOptions): Promise<void> {
  let missed = 0
  const hasEnded = () => child.state === 'gone'
  while (!hasEnded()) {
    const isAlive = await child.request('ping', intervalMs).then(
      () => true,
      () => false,
    )
    // The end of a process is handled where `exited` is awaited.
    if (hasEnded()) return
    missed = isAlive ? 0 : missed + 1
    if (missed === MISSED_MAX) {
      logger.error(`${nameOf(child)} has not responded for ${(missed * intervalMs) / 1000} s; killing it`)
      return child.kill()
    }
    if (isAlive) await Bun.sleep(intervalMs)
  }
}
