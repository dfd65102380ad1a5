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
import { startMember } from './member-process.ts'
import { processCount } from './process-count.ts'
import { refuseForSeveral, warningsForSeveral } from './share-limits.ts'
import { Supervisor } from './supervisor.ts'

/** Time that a process has beyond what its settings give it to stop. */
const GRACE_MS = 5000

/** Serves with several processes until it is told to stop. `flags` are those of the start. */
export async function supervise(settings: Settings, flags: readonly string[]): Promise<void> {
  refuseForSeveral(settings)
  const count = processCount(settings)
  const logging = createLogging(settings)
  const { logger, output } = logging
  const address = { hostname: settings.host, port: settings.port }
  try {
    rejectTakenPort(address)
  } catch {
    throw new SettingsError([`cannot listen on ${settings.host}:${settings.port}: is it taken? --port takes another`])
  }
  const stopMsMax = (settings.shutdownDelaySeconds + settings.shutdownSeconds) * 1000 + GRACE_MS
  const registry = new MetricRegistry()
  removeLeftFolders()
  // Of its own, so that an engine process that is killed leaves nothing behind.
  const engineFolder = settings.modelOverride === 'on' ? createTemporaryFolder('engine') : undefined
  const supervisor = new Supervisor({
    count,
    address,
    scheme: settings.tlsCert === undefined ? 'http' : 'https',
    ownMetrics: () => registry.snapshot(),
    logger,
    startMsMax: settings.startSeconds * 1000,
    stopMsMax,
    drainMsMax: settings.drainSeconds * 1000 + stopMsMax,
    startMember: (number, hooks) =>
      startMember({
        ...hooks,
        number,
        command: ownCommand(['process', String(number), String(count), formOf(logging), ...flags]),
        write: writerOf(logging),
      }),
    engineFolder,
    startEngine: (hooks) =>
      startMember({
        ...hooks,
        number: 0,
        command: ownCommand(['engine-process', formOf(logging), ...flags], ENGINE_PROGRAM),
        write: writerOf(logging),
        temporaryFolder: engineFolder,
      }),
  })
  collectSupervisor(registry, supervisor, logging)
  const removeFolder = () => {
    if (engineFolder !== undefined) rmSync(engineFolder, { recursive: true, force: true })
  }
  process.on('exit', removeFolder)
  stopWhenTold(supervisor, logging)
  onReloadSignal(() => {
    if (settings.modelControl === 'none')
      logger.info(
        'models stay as they are loaded: with model_control none, changed ones are loaded when the whole server restarts',
      )
    return supervisor.signalled()
  })
  const { metricsPort } = settings
  // Before any process starts: a port that is taken would be found out by a server that serves already.
  const metrics = metricsPort === undefined ? undefined : listenForMetrics(() => supervisor.gather(), metricsPort)
  const code = await supervisor.start()
  // Whoever told it to stop ends it.
  if (supervisor.isStopping) return
  if (code !== undefined) {
    await supervisor.stop()
    await output.flush()
    process.exit(code)
  }
  for (const warning of warningsForSeveral(settings, count)) logger.warn(warning)
  if (metrics !== undefined) logger.info(`Metrics are at ${metrics.url}metrics`)
}

/** What the engine process is started with where there is no executable. */
const ENGINE_PROGRAM = join(import.meta.dir, `engine-main${extname(import.meta.path)}`)

/** The program that runs here, with another verb. */
function ownCommand(args: readonly string[], program: string = Bun.main): readonly string[] {
  // An executable has its program inside.
  return [process.execPath, ...(Bun.isStandaloneExecutable ? [] : [program]), ...args]
}

function formOf({ isPretty }: Logging): string {
  return isPretty ? 'pretty' : 'json'
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
    help: 'Processes that serve on the port, by what they do.',
    labels: ['state'],
    read: () => [...supervisor.states()].map(([state, count]) => [[state], count]),
  })
  registry.collected('vestal_process_restarts_total', {
    type: 'counter',
    help: 'Processes that ended by themselves and were replaced.',
    read: () => [[[], supervisor.restarts]],
  })
  registry.collected('vestal_engine_restarts_total', {
    type: 'counter',
    help: 'Engine processes that ended by themselves and were replaced.',
    read: () => [[[], supervisor.engineRestarts]],
  })
}

/** A second signal ends all processes at once. */
function stopWhenTold(supervisor: Supervisor, { logger, output }: Logging): void {
  let isStopping = false
  const stop = async () => {
    if (isStopping) {
      supervisor.kill()
      process.exit(1)
    }
    isStopping = true
    logger.info('stopping: every process finishes what is at hand')
    const code = await supervisor.stop()
    await Promise.race([output.flush(), Bun.sleep(100)])
    process.exit(code)
  }
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
}
