import type { Settings } from '../config/settings.ts'
import type { App } from '../http/app.ts'
import type { Readiness } from '../http/readiness.ts'
import type { MetricRegistry } from '../telemetry/metrics/registry.ts'
import { announce, announceAdministrator } from './announce.ts'
import { listen } from './listeners.ts'
import type { Logging } from './logging.ts'
import { listenForMetrics } from './metrics-listener.ts'
import { onReloadSignal, type Reload } from './reload.ts'
import { type ShutdownOptions, stopOnSignal } from './shutdown.ts'
import type { Announced } from './start-screen.ts'
import type { LoadedTls } from './tls-files.ts'
import type { OpenTracing } from './tracing.ts'

/** A server that is ready to listen. */
export interface Serving {
  readonly settings: Settings
  readonly app: App
  readonly announced: Announced
  readonly logging: Logging
  readonly registry: MetricRegistry
  readonly readiness: Readiness
  readonly reload: Reload
  readonly tls?: LoadedTls
  readonly tracing?: OpenTracing
}

/** Serves with this process only: listens at the configured address until a signal stops it. */
export async function serveSingleProcess(serving: Serving): Promise<void> {
  const { settings, app, announced, logging, reload, tls } = serving
  const metrics = await openMetrics(serving)
  const listening = await listen(app, { settings, ...(tls && { tls }), logging })
  if (listening === undefined) {
    await Promise.all([...metrics.map((listener) => listener.stop()), stopParts(announced)])
    return
  }
  const { tls: liveTls } = listening
  if (liveTls !== undefined) reload.subscribe(() => liveTls.prepare())
  for (const { url } of metrics) logging.logger.info(`Metrics are at ${url}metrics`)
  stopOnSignal({ ...shutdownOf(serving), listeners: [listening, ...metrics] }, settings.shutdownDelaySeconds)
  onReloadSignal(() => reload.reload({ actor: 'signal' }))
  await logging.output.flush()
  await announceAdministrator(announced, logging)
  announce(listening.address, announced, logging)
}

/** Listens before the app does, so that a port in use does not end a server that serves already. @throws SettingsError */
async function openMetrics({ settings: { metricsPort }, registry, announced }: Serving) {
  try {
    return metricsPort === undefined ? [] : [listenForMetrics(() => registry.snapshot(), metricsPort)]
  } catch (error) {
    await stopParts(announced)
    throw error
  }
}

/** What a stop does beside closing the listeners. */
export function shutdownOf({ settings, announced, logging, readiness, tracing }: Serving): Omit<ShutdownOptions, 'listeners'> {
  const { engine, accounts } = announced
  return {
    readiness,
    engine,
    ...(accounts && { accounts }),
    ...(tracing && { tracing }),
    deadlineSeconds: settings.shutdownSeconds,
    logger: logging.logger,
    flush: logging.output.flush,
  }
}

/** Stops what runs before anything listens. */
export async function stopParts({ engine, accounts }: Announced): Promise<void> {
  await engine.stop()
  await accounts?.stop()
}
