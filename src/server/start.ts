import { SettingsError } from '../config/load.ts'
import type { Mode } from '../config/mode.ts'
import type { Settings } from '../config/settings.ts'
import { createLossLog, createModelLog } from '../http/control/model-changes.ts'
import type { Gather } from '../http/operations.ts'
import { createReadiness } from '../http/readiness.ts'
import { createEngine } from '../inference/create-engine.ts'
import type { Engine, ModelChange } from '../inference/engine.ts'
import type { ModelLoss } from '../inference/runner.ts'
import type { RuntimeText } from '../inference/runtime/runtime-texts.ts'
import { KeyError } from '../jose/key-error.ts'
import { signatureBackends, warnOfFallback } from '../jose/signature-backends.ts'
import { removeLeftFolders } from '../platform/temporary-folder.ts'
import { watchRedis } from '../storage/redis-watch.ts'
import { MetricRegistry } from '../telemetry/metrics/registry.ts'
import { accountsOf } from './accounts.ts'
import type { AppParts } from './build-app.ts'
import { type HttpProcess, serveHttpProcess } from './cluster/http-process.ts'
import { engineOptions, runtimeTextTo } from './engine-options.ts'
import { loadIssuers } from './issuers.ts'
import { createLiveKeys } from './live-keys.ts'
import { createKeyLoader } from './load-keys.ts'
import { createLogging, findingsTo } from './logging.ts'
import { collectProcess } from './process-metrics.ts'
import { createReload, partOf, reloadingOf, subscribeEngine } from './reload.ts'
import { serveSingleProcess, stopParts } from './single-process.ts'
import { loadTls } from './tls-files.ts'
import { collectTracing, openTracing } from './tracing.ts'

export interface Launch {
  /** Reads the settings again. */
  readonly read: () => Settings
  /** This process, where it is one of several. */
  readonly httpProcess?: HttpProcess
  /** The file of settings that the command line names, for the start screen. */
  readonly configFile?: string
}

/** `vestal start`: serves until a signal stops it. */
export async function start(settings: Settings, mode: Mode, { read, httpProcess, configFile }: Launch): Promise<void> {
  const tls = loadTls(settings)
  const logging = createLogging(settings, httpProcess?.number)
  const { logger, output } = logging
  const warn = (message: string) => logger.warn(message)
  const tracing = await openTracing(settings, warn)
  const requestHeaders = tracing && (() => tracing.tracer.outgoing())
  const issuers = loadIssuers(settings, requestHeaders)
  const keys = createLiveKeys(createKeyLoader(settings, mode), { warn, say: (message) => logger.info(message) })
  const loaded = keys.current()
  for (const warning of [...loaded.warnings, ...(tls?.warnings ?? [])]) warn(warning)
  const { fallback } = signatureBackends(settings.signatureBackend)
  if (fallback !== undefined) warnOfFallback()
  // Before the models, so that an unusable database ends the start with nothing to stop.
  const accounts = await accountsOf(settings, { mode, keys, warn })
  const logChange = createModelLog({ logger, audit: accounts?.options.context.audit })
  const noteChange = (change: ModelChange) => logChange(change, { actor: 'server' })
  const { redis: url } = settings
  const redis = url === undefined ? undefined : await watchRedis({ url, log: warn })
  logger.debug('settings and keys are read; loading models')
  // The supervisor of several processes removes them.
  if (httpProcess === undefined) removeLeftFolders()
  const events = { changed: noteChange, lost: createLossLog(accounts?.options.context.audit), warn, note: findingsTo(logging) }
  const opening = openEngine(settings, { httpProcess, runtimeText: runtimeTextTo(logger), ...events })
  // The routes, which are more than half of the modules, are read while the worker processes load the models.
  const [{ engine, gather }, { buildApp }] = await Promise.all([opening, import('./build-app.ts')])
  const registry = new MetricRegistry()
  collectProcess(registry, { logLines: output.dropped, auditEvents: accounts?.auditLost })
  collectTracing(registry, tracing)
  const announced = {
    mode,
    keys,
    issuers,
    engine,
    settings,
    ...(accounts && { accounts }),
    ...(configFile !== undefined && { configFile }),
  }
  const readiness = createReadiness(engine, {
    isStrict: settings.strictReadiness === 'on',
    faults: () => [
      ...(accounts?.options.isFresh() === false ? ['the database of the accounts does not answer'] : []),
      ...(redis?.reason === undefined ? [] : [`Redis cannot be used: ${redis.reason}`]),
    ],
  })
  const logs = { logger, audit: accounts?.options.context.audit }
  const reload = createReload(settings, read, logs)
  reload.subscribe(keys.prepare)
  subscribeEngine(reload, { engine, logger })
  if (accounts !== undefined) reload.subscribe(partOf(accounts.change))
  const ask = httpProcess === undefined ? reload.reload : httpProcess.reloadAll(logs)
  const reloading = reloadingOf(reload, { ask, keys, requestHeaders })
  const built = { ...announced, registry, readiness, logging, reloading, tracing, ...(gather && { gather }) }
  const app = await orStop(built, () => buildApp(settings, built))
  const serving = {
    settings,
    app,
    announced,
    logging,
    registry,
    readiness,
    reload,
    ...(tls && { tls }),
    ...(tracing && { tracing }),
  }
  await (httpProcess === undefined ? serveSingleProcess(serving) : serveHttpProcess(httpProcess, { ...serving, logs }))
}

/** Keys that do not work together are rejected here, while the engine runs already. */
async function orStop<T>(parts: AppParts, build: () => T): Promise<T> {
  try {
    return build()
  } catch (error) {
    await stopParts(parts)
    throw error instanceof KeyError ? new SettingsError([`the keys cannot be used: ${error.message}`]) : error
  }
}

interface EngineEvents {
  readonly httpProcess: HttpProcess | undefined
  /** Called for each model that changes without a request. */
  readonly changed: (change: ModelChange) => void
  /** Called for each worker process that ended unexpectedly. */
  readonly lost: (loss: ModelLoss) => void
  readonly warn: (message: string) => void
  readonly note: (message: string) => void
  readonly runtimeText: (text: RuntimeText) => void
}

/** The engine: in this process, or in the engine process, which then has the statistics of the models for all. */
async function openEngine(
  settings: Settings,
  { httpProcess, ...events }: EngineEvents,
): Promise<{ readonly engine: Engine; readonly gather?: Gather }> {
  if (httpProcess === undefined) return { engine: await createEngine({ ...engineOptions(settings), ...events }) }
  const { inputBytesMax: bytesMax, subjectBytesMax } = settings
  const { changed, lost: modelLost, warn } = events
  const { engine, statistics } = await httpProcess.openEngine({ limits: { bytesMax, subjectBytesMax }, changed, modelLost, warn })
  return { engine, gather: { metrics: httpProcess.gatherMetrics, statistics } }
}
