import type { Readiness } from '../http/readiness.ts'
import type { Engine } from '../inference/engine.ts'
import type { Logger } from '../telemetry/log/logger.ts'

/** A server that listens. */
export interface Listener {
  stop(): Promise<void>
  closeIdleConnections(): void
}

export interface ShutdownOptions {
  readonly readiness: Readiness
  readonly engine: Engine
  readonly accounts?: { readonly stop: () => Promise<void> }
  readonly tracing?: { readonly stop: () => Promise<void> }
  readonly listeners: readonly Listener[]
  /** How long in-flight requests may take once the listener is closed. */
  readonly deadlineSeconds: number
  readonly logger: Logger
  /** Writes the last lines of the log. */
  readonly flush: () => Promise<void>
}

/**
 * Stops in order: readiness is off, the delay passes while requests are still accepted, the listener closes, in-flight requests finish, and the process ends
 * with 0. Requests that take too long are cut off, and the exit code is then 1. A second signal exits at once.
 */
export function stopOnSignal(options: ShutdownOptions, delaySeconds: number): void {
  let isStopping = false
  const stop = async () => {
    if (isStopping) process.exit(1)
    isStopping = true
    await stopInOrder(options, delaySeconds)
  }
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
}

/** Stops in order, once, and ends the process. */
export async function stopInOrder(options: ShutdownOptions, delaySeconds: number): Promise<void> {
  const { readiness, deadlineSeconds, logger, flush } = options
  const end = async (code: number) => {
    await Promise.race([flush(), Bun.sleep(100)])
    process.exit(code)
  }
  readiness.stop()
  if (delaySeconds > 0) {
    logger.info(`stopping: readiness is off, and requests are accepted for ${delaySeconds} s more`)
    await Bun.sleep(delaySeconds * 1000)
  }
  setTimeout(() => {
    logger.error(`stopped after ${deadlineSeconds} s with requests still in flight`)
    void end(1)
  }, deadlineSeconds * 1000)
  logger.info('stopping: in-flight requests finish, new ones are rejected')
  await drain(options)
  await end(0)
}

/** Stops the engine first: it completes its last requests, and the server then sends their responses. */
async function drain({ readiness, engine, accounts, tracing, listeners }: ShutdownOptions): Promise<void> {
  // Bun waits for open sockets, and closes none.
  readiness.leave()
  const closed = listeners.map((listener) => listener.stop())
  await engine.stop()
  for (const listener of listeners) listener.closeIdleConnections()
  await Promise.all(closed)
  await Promise.all([accounts?.stop(), tracing?.stop()])
}
