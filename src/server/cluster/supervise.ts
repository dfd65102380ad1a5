import { rmSync } from 'node:fs'
import { extname, join } from 'node:path'
import { SettingsError } from '../../config/load.ts'
import type { Settings } from '../../config/settings.ts'
import { rejectTakenPort } from '../../platform/taken-port.ts'
import { createTemporaryFolder, removeLeftFolders } from '../../platform/temporary-folder.ts'
import { MetricRegistry } from '../../telemetry/metrics/registry.ts'
import { createLogging, type Logging } from '../logging.ts'
import { listenForMetrics } from '../metrics-listener.ts'
import { collectProcess } from '../process-metrics.ts'
import { onReloadSignal } from '../reload.ts'
import { type ChildProcessOptions, SpawnedProcess } from './child-process.ts'
import { clusterWarnings, processCount, rejectClusterFaults } from './process-settings.ts'
import { Supervisor } from './supervisor.ts'

/** Milliseconds that a process has to stop beyond what its settings allow. */
const GRACE_MS = 5000

/** Serves with several processes until a signal stops them. `flags` are those of the start. */
export async function supervise(settings: Settings, flags: readonly string[]): Promise<void> {
  rejectClusterFaults(settings)
  const count = processCount(settings)
  const logging = createLogging(settings)
  const { logger, output } = logging
  const address = { hostname: settings.host, port: settings.port }
  try {
    rejectTakenPort(address)
  } catch {
    throw new SettingsError([
      `cannot listen on ${settings.host}:${settings.port}: the port may be in use; choose another with --port`,
    ])
  }
  const stopMsMax = (settings.shutdownDelaySeconds + settings.shutdownSeconds) * 1000 + GRACE_MS
  const registry = new MetricRegistry()
  removeLeftFolders()
  // The supervisor removes it, so that a killed engine process leaves nothing behind.
  const engineFolder = settings.modelOverride === 'on' ? createTemporaryFolder('engine') : undefined
  const form = logging.isPretty ? 'pretty' : 'json'
  const startProcess = (args: readonly string[], options: Omit<ChildProcessOptions, 'command' | 'write'>) =>
    new SpawnedProcess({ ...options, command: ownCommand(args), write: writerOf(logging) })
  const supervisor = new Supervisor({
    count,
    address,
    scheme: settings.tlsCert === undefined ? 'http' : 'https',
    ownMetrics: () => registry.snapshot(),
    logger,
    startMsMax: settings.startSeconds * 1000,
    stopMsMax,
    drainMsMax: settings.drainSeconds * 1000 + stopMsMax,
    startHttp: (number, events) =>
      startProcess(['process', String(number), String(count), form, ...flags], { ...events, number }),
    engineFolder,
    startEngine: (events) =>
      startProcess(['engine-process', form, ...flags], { ...events, number: 0, temporaryFolder: engineFolder }),
  })
  collectSupervisor(registry, supervisor, logging)
  const removeFolder = () => {
    if (engineFolder !== undefined) rmSync(engineFolder, { recursive: true, force: true })
  }
  process.on('exit', removeFolder)
  stopOnSignals(supervisor, logging)
  onReloadSignal(() => {
    if (settings.modelControl === 'none')
      logger.info('loaded models stay as they are: with model_control none, restart the server to load changed models')
    return supervisor.reloadAndRoll()
  })
  const { metricsPort } = settings
  // Before any process starts, so that a port in use does not end a server that serves already.
  const metrics = metricsPort === undefined ? undefined : listenForMetrics(() => supervisor.gatherMetrics(), metricsPort)
  const code = await supervisor.start()
  // The signal handler exits.
  if (supervisor.isStopping) return
  if (code !== undefined) {
    await supervisor.stop()
    await output.flush()
    process.exit(code)
  }
  for (const warning of clusterWarnings(settings, count)) logger.warn(warning)
  if (metrics !== undefined) logger.info(`Metrics are at ${metrics.url}metrics`)
}

/** The program of the engine process where there is no executable. */
const ENGINE_PROGRAM = join(import.meta.dir, `engine-main${extname(import.meta.path)}`)

/** Starts this program with another verb. */
function ownCommand(args: readonly string[]): readonly string[] {
  // An executable has its program inside.
  if (Bun.isStandaloneExecutable) return [process.execPath, ...args]
  return [process.execPath, args[0] === 'engine-process' ? ENGINE_PROGRAM : Bun.main, ...args]
}

function writerOf({ output }: Logging) {
  return (line: string, to: 'stdout' | 'stderr') => {
    if (to === 'stdout') output.write(line, 'info')
    else console.error(line)
  }
}

function collectSupervisor(registry: MetricRegistry, supervisor: Supervisor, { output }: Logging): void {
  collectProcess(registry, { logLines: output.dropped, auditEvents: undefined })
  registry.collected('vestal_processes', {
    type: 'gauge',
    help: 'HTTP processes by state.',
    labels: ['state'],
    read: () => [...supervisor.states()].map(([state, count]) => [[state], count]),
  })
  registry.collected('vestal_process_restarts_total', {
    type: 'counter',
    help: 'HTTP processes that ended unexpectedly and were replaced.',
    read: () => [[[], supervisor.restarts]],
  })
  registry.collected('vestal_engine_restarts_total', {
    type: 'counter',
    help: 'Engine processes that ended unexpectedly and were replaced.',
    read: () => [[[], supervisor.engineRestarts]],
  })
}

/** Stops at the first signal, and kills all processes at the second. */
function stopOnSignals(supervisor: Supervisor, { logger, output }: Logging): void {
  let isStopping = false
  const stop = async () => {
    if (isStopping) {
      supervisor.kill()
      process.exit(1)
    }
    isStopping = true
    logger.info('stopping: every process finishes its in-flight requests')
    const code = await supervisor.stop()
    await Promise.race([output.flush(), Bun.sleep(100)])
    process.exit(code)
  }
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
}
