import type { Settings } from '../config/settings.ts'
import type { App } from '../http/app.ts'
import type { Logging } from './logging.ts'

/** The server that listens, as Bun gives it. */
export type Server = NonNullable<App['server']>

/** Listens where the settings say; says why not, and gives nothing, where that cannot be. */
export function listen(app: App, { host, port }: Settings, { logger, output }: Logging): Server | undefined {
  try {
    app.listen({ hostname: host, port })
    return app.server ?? undefined
  } catch (error) {
    const isTaken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE'
    logger.error(
      isTaken ? `port ${port} on ${host} is taken; --port takes another` : `cannot listen on ${host}:${port}: ${String(error)}`,
    )
    void output.flush()
    process.exitCode = 1
    return undefined
  }
}
