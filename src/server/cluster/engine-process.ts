import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Settings } from '../../config/settings.ts'
import { never } from '../../core/invariant.ts'
import { createModelLog } from '../../http/control/model-changes.ts'
import { collectEngine } from '../../http/engine-metrics.ts'
import { createEngine, type EngineOptions } from '../../inference/create-engine.ts'
import type { Engine, ModelChange } from '../../inference/engine.ts'
import { Journal, restore, startAfter } from '../../inference/remote/journal.ts'
import type { Link } from '../../inference/remote/link.ts'
import { EngineServer } from '../../inference/remote/server.ts'
import type { ModelLoss } from '../../inference/runner.ts'
import { MetricRegistry } from '../../telemetry/metrics/registry.ts'
import { engineOptions, runtimeTextTo } from '../engine-options.ts'
import { createLogging, findingsTo, type Logging } from '../logging.ts'
import { collectProcess } from '../process-metrics.ts'
import { createReload, subscribeEngine } from '../reload.ts'
import { receiveLink } from './engine-links.ts'
import type { EngineState, ToChild } from './ipc.ts'
import { rejectClusterFaults } from './process-settings.ts'
import { openSupervisorChannel, type RequestHandlers, SOCKET_DESCRIPTOR } from './supervisor-channel.ts'

/** Milliseconds that HTTP processes have beyond what their settings give them, where the supervisor is gone. */
const GRACE_MS = 5000
/** The number of the engine process in the log. */
const NUMBER = 0

/** `vestal engine-process json|pretty`: the supervisor knows whether its output is for people. @throws SettingsError */
export async function startEngineProcess(form: string | undefined, readAll: () => Settings): Promise<void> {
  const read = (): Settings => {
    const settings = readAll()
    // The file may have changed since the supervisor read it.
    rejectClusterFaults(settings)
    return { ...settings, logFormat: form === 'pretty' ? 'pretty' : 'json' }
  }
  await serveEngineProcess(read(), read)
}

/** Computes for the HTTP processes of one server until they have ended and the supervisor sends `stop`. */
async function serveEngineProcess(settings: Settings, read: () => Settings): Promise<void> {
  const supervisor = connectEngineProcess()
  const logging = createLogging(settings, NUMBER)
  const { logger, output } = logging
  const { state, folder } = await supervisor.restored
  if (folder !== undefined) removeLeftovers(folder, state)
  const noteChange = createModelLog({ logger, audit: undefined })
  let server: EngineServer | undefined
  // HTTP processes write the audit log.
  const changed = (change: ModelChange) => {
    if (server?.note(change) !== true) noteChange(change, { actor: 'server' })
  }
  const lost = (loss: ModelLoss) => void server?.noteLoss(loss)
  const settled = () => server?.announce()
  const engine = await openEngine(settings, { state, logging, changed, lost, settled })
  const atStart = startedBy(settings, state, engine)
  const next = { hasServed: true, ...(atStart && { started: atStart }) } as const
  const journal = new Journal({
    entries: state.entries,
    folder,
    changed: (entries) => supervisor.send({ kind: 'engine-state', state: { ...next, entries } }),
  })
  supervisor.send({ kind: 'engine-state', state: { ...next, entries: state.entries } })
  const own = new EngineServer({
    engine,
    modelsDirectory: settings.models,
    timeoutMs: settings.requestTimeoutSeconds * 1000,
    warn: (message) => logger.warn(message),
    done: (change) => journal.record(change),
  })
  server = own
  const registry = new MetricRegistry()
  collectProcess(registry, { logLines: output.dropped, auditEvents: undefined })
  collectEngine(registry, engine)
  const reload = createReload(settings, read, { logger })
  subscribeEngine(reload, { engine, logger })
  const stop = async () => {
    await engine.stop()
    own.stop()
    await Promise.race([output.flush(), Bun.sleep(100)])
    process.exit(0)
  }
  supervisor.serve({
    metrics: () => registry.snapshot(),
    prepareReload: reload.prepare,
    linked: (link) => own.attach(link),
    stop: () => void stop(),
    orphaned: async () => {
      // HTTP processes finish their in-flight requests, and end.
      const msMax = (settings.shutdownDelaySeconds + settings.shutdownSeconds) * 1000 + GRACE_MS
      await Promise.race([own.gone, Bun.sleep(msMax)])
      await engine.stop()
      if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
      process.exit(0)
    },
  })
}

interface EngineParts extends Pick<EngineOptions, 'changed' | 'lost'> {
  readonly state: EngineState
  readonly logging: Logging
  /** Called once the models of the previous engine process are restored. */
  readonly settled: () => void
}

/** Loads what the settings say, or what the previous engine process had loaded. */
async function openEngine(settings: Settings, { state, logging, settled, ...heard }: EngineParts): Promise<Engine> {
  const { logger } = logging
  const warn = (message: string) => logger.warn(message)
  const options = engineOptions(settings)
  const loadAtStart = state.started === undefined ? options.loadAtStart : new Set(state.started)
  // Clients wait: a model that loads for long must not delay the others.
  const wait = state.hasServed === true ? { waitMsMax: 0 } : {}
  const note = findingsTo(logging)
  const engine = await createEngine({
    ...options,
    ...wait,
    ...startAfter(state.entries, loadAtStart),
    ...heard,
    settled,
    warn,
    note,
    runtimeText: runtimeTextTo(logger),
  })
  let isRestored = false
  void restore(engine, state.entries, warn).then(() => {
    isRestored = true
    settled()
  })
  return { ...engine, isReady: () => isRestored && engine.isReady() }
}

/** Models that the first start has loaded: a replacement loads these, and none that was added to the folder since. */
function startedBy(settings: Settings, { started }: EngineState, engine: Engine): readonly string[] | undefined {
  // It polls the folder.
  if (settings.modelControl === 'poll') return undefined
  const { loadAtStart } = engineOptions(settings)
  return started ?? (loadAtStart === undefined ? engine.models().map(({ name }) => name) : [...loadAtStart])
}

/** Removes folders that a killed engine process has left. */
function removeLeftovers(folder: string, { entries }: EngineState): void {
  const kept = new Set(entries.map((entry) => entry.folder))
  for (const name of readdirSync(folder)) {
    const path = join(folder, name)
    if (!kept.has(path)) rmSync(path, { recursive: true, force: true })
  }
}

interface EngineHandlers extends RequestHandlers {
  readonly linked: (link: Link) => void
  readonly stop: () => void
  /** The supervisor has ended. */
  readonly orphaned: () => Promise<void>
}

/** Connects the engine process to the supervisor that started it. @throws SettingsError where none did */
function connectEngineProcess() {
  const channel = openSupervisorChannel('engine-process')
  const restored = Promise.withResolvers<ToChild & { readonly kind: 'restore' }>()
  const links: Link[] = []
  let handlers: EngineHandlers | undefined
  channel.receive(
    () => handlers,
    (message) => {
      if (message.kind === 'restore') restored.resolve(message)
      else if (message.kind === 'engine-link') {
        const link = receiveLink(SOCKET_DESCRIPTOR, message.files)
        if (handlers === undefined) links.push(link)
        else handlers.linked(link)
      } else if (message.kind === 'stop') {
        if (handlers === undefined) process.exit(0)
        handlers.stop()
      } else if (!HTTP_MESSAGES.has(message.kind)) never(message as never)
    },
  )
  process.on('disconnect', () => {
    if (handlers === undefined) process.exit(0)
    void handlers.orphaned()
  })
  // A terminal and service managers signal all processes; the HTTP processes finish first, and then the supervisor sends `stop`.
  for (const signal of ['SIGHUP', 'SIGTERM', 'SIGINT'] as const) process.on(signal, () => undefined)
  channel.send({ kind: 'connected' })
  return {
    restored: restored.promise,
    send: channel.send,
    serve(given: EngineHandlers) {
      handlers = given
      for (const link of links.splice(0)) given.linked(link)
      channel.send({ kind: 'ready' })
    },
  }
}

/** Messages for HTTP processes only. */
const HTTP_MESSAGES: ReadonlySet<ToChild['kind']> = new Set(['response', 'listen', 'accept-for', 'release', 'drain', 'reloaded'])
