import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { SettingsError } from '../../config/load.ts'
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
import { createAnswerer, type Duties, SOCKET_DESCRIPTOR } from './member.ts'
import type { EngineState, FromMember, ToMember } from './messages.ts'
import { refuseForSeveral } from './share-limits.ts'

interface EngineLaunch {
  /** Reads the settings again. */
  readonly read: () => Settings
}

/** Milliseconds that HTTP processes have beyond what their settings give them, where the supervisor is gone. */
const GRACE_MS = 5000
/** The engine process in the log. */
const NUMBER = 0

/** `vestal engine-process json|pretty`: the supervisor knows whether people read what it passes on. @throws SettingsError */
export async function startEngineProcess(form: string | undefined, readAll: () => Settings): Promise<void> {
  const read = (): Settings => {
    const settings = readAll()
    // The file may say something else by now than when the supervisor read it.
    refuseForSeveral(settings)
    return { ...settings, logFormat: form === 'pretty' ? 'pretty' : 'json' }
  }
  await serveEngineProcess(read(), { read })
}

/** Computes for the HTTP processes of one server until the supervisor says that they are gone. */
async function serveEngineProcess(settings: Settings, { read }: EngineLaunch): Promise<void> {
  const supervisor = joinAsEngine()
  const logging = createLogging(settings, NUMBER)
  const { logger, output } = logging
  const { state, folder } = await supervisor.restored
  if (folder !== undefined) removeLeftovers(folder, state)
  const noteChange = createModelLog({ logger, audit: undefined })
  let server: EngineServer | undefined
  // The audit log is in the hands of the HTTP processes.
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
    changed: (entries) => supervisor.send({ kind: 'journal', state: { ...next, entries } }),
  })
  supervisor.send({ kind: 'journal', state: { ...next, entries: state.entries } })
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
    counts: { metrics: () => registry.snapshot() },
    prepareReload: reload.prepare,
    linked: (link) => own.attach(link),
    stop: () => void stop(),
    orphaned: async () => {
      // HTTP processes finish what they have, and end.
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
  /** Called as more of what the one before had is there. */
  readonly settled: () => void
}

/** Loads what the settings say, or what the engine process before this one had. */
async function openEngine(settings: Settings, { state, logging, settled, ...heard }: EngineParts): Promise<Engine> {
  const { logger } = logging
  const warn = (message: string) => logger.warn(message)
  const options = engineOptions(settings)
  const loadAtStart = state.started === undefined ? options.loadAtStart : new Set(state.started)
  // Clients wait: what loads for long keeps nothing else from being served.
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

/** Models that the first start has loaded: another engine process loads these, whatever was put beside them since. */
function startedBy(settings: Settings, { started }: EngineState, engine: Engine): readonly string[] | undefined {
  // It looks at the folder by itself.
  if (settings.modelControl === 'poll') return undefined
  const { loadAtStart } = engineOptions(settings)
  return started ?? (loadAtStart === undefined ? engine.models().map(({ name }) => name) : [...loadAtStart])
}

/** Removes what an engine process has left that was killed. */
function removeLeftovers(folder: string, { entries }: EngineState): void {
  const kept = new Set(entries.map((entry) => entry.folder))
  for (const name of readdirSync(folder)) {
    const path = join(folder, name)
    if (!kept.has(path)) rmSync(path, { recursive: true, force: true })
  }
}

interface EngineDuties extends Duties {
  readonly linked: (link: Link) => void
  readonly stop: () => void
  /** The supervisor is gone. */
  readonly orphaned: () => Promise<void>
}

/** The supervisor, as the engine process that it started sees it. */
function joinAsEngine() {
  if (process.connected !== true)
    throw new SettingsError(['engine-process: is started by `vestal start --processes`, and not by hand'])
  const send = (message: FromMember) => {
    // Where the supervisor is gone, nobody waits for it.
    if (process.connected === true) process.send?.(message)
  }
  const restored = Promise.withResolvers<ToMember & { readonly kind: 'restore' }>()
  const links: Link[] = []
  let duties: EngineDuties | undefined
  const answer = createAnswerer(() => duties)
  process.on('message', (message: ToMember) => {
    if (message.kind === 'restore') restored.resolve(message)
    else if (message.kind === 'link') {
      const link = receiveLink(SOCKET_DESCRIPTOR, message.files)
      if (duties === undefined) links.push(link)
      else duties.linked(link)
    } else if (message.kind === 'question')
      void answer(message.what).then((answered) => send({ kind: 'answer', id: message.id, answer: answered }))
    else if (message.kind === 'stop') {
      if (duties === undefined) process.exit(0)
      duties.stop()
    } else if (!UNHEARD.has(message.kind)) never(message as never)
  })
  process.on('disconnect', () => {
    if (duties === undefined) process.exit(0)
    void duties.orphaned()
  })
  // A terminal and service managers tell all processes; the HTTP processes finish first, and the supervisor says when they have.
  for (const signal of ['SIGHUP', 'SIGTERM', 'SIGINT'] as const) process.on(signal, () => undefined)
  send({ kind: 'joined' })
  return {
    restored: restored.promise,
    send,
    serve(given: EngineDuties) {
      duties = given
      for (const link of links.splice(0)) given.linked(link)
      send({ kind: 'ready' })
    },
  }
}

/** What only HTTP processes are told. */
const UNHEARD: ReadonlySet<ToMember['kind']> = new Set(['answer', 'listen', 'rescue', 'release', 'drain', 'reloaded'])
