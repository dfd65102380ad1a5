import { SettingsError } from '../../config/load.ts'
import { invariant, never } from '../../core/invariant.ts'
import type { Gather } from '../../http/operations.ts'
import type { Reloaded, Reloading } from '../../http/reload.ts'
import { createRemoteEngine, type RemoteEngine, type RemoteEngineOptions } from '../../inference/remote/client.ts'
import type { Link } from '../../inference/remote/link.ts'
import { receiveDescriptor } from '../../platform/c-library.ts'
import { announce, announceAdministrator } from '../announce.ts'
import { openLoopback, type Server } from '../listeners.ts'
import { type ReloadLogs, type ReloadPart, reloadUnasked, reloadWith } from '../reload.ts'
import { stopInOrder } from '../shutdown.ts'
import { type Serving, shutdownOf } from '../single-process.ts'
import { loadTls } from '../tls-files.ts'
import { closeLink, receiveLink } from './engine-links.ts'
import { createRpcClient, type FinalMetrics, type ReloadOutcome, type SupervisorMethod, type ToChild } from './ipc.ts'
import { createReplicaListeners, type OpenLoopbackServer, type ReplicaListeners } from './shared-port.ts'
import {
  type OtherMessage,
  openSupervisorChannel,
  type RequestHandlers,
  SOCKET_DESCRIPTOR,
  type SupervisorChannel,
} from './supervisor-channel.ts'

/** How long a process without a link waits for the supervisor to send one unasked, as it does when the engine process is replaced. */
const UNLINKED_MS = 1000
const METRICS_MS = 5000
const RELOAD_MS = 30_000
/** How often a process that drains counts its connections. */
const COUNT_MS = 100
/** An idle connection is closed after this, like one that is silent for too long. */
const IDLE_MS = 5000

/** What the supervisor orders of an HTTP process. */
interface HttpHandlers extends RequestHandlers {
  /** A replacement accepts: exit once all connections are closed. */
  readonly drain: (listeners: ReplicaListeners) => void
  readonly stop: () => void
  /** All processes read the settings again after SIGHUP: log the outcome. */
  readonly reloaded: (outcome: ReloadOutcome) => void
}

/** One of several HTTP processes, connected to the supervisor that started it. It stops when the supervisor ends. */
export class HttpProcess {
  /** The replica that it serves, from 1. */
  readonly number: number
  /** HTTP processes of the server. */
  readonly count: number
  readonly #channel: SupervisorChannel
  readonly #rpc = createRpcClient<SupervisorMethod>((request) => this.#channel.send(request))
  readonly #links: EngineLinks
  readonly #listen = Promise.withResolvers<{
    readonly message: ToChild & { readonly kind: 'listen' }
    readonly descriptor: number
  }>()
  #listeners: ReplicaListeners | undefined
  #handlers: HttpHandlers | undefined

  /** @throws SettingsError where no supervisor started this process */
  constructor(number: number, count: number) {
    this.number = number
    this.count = count
    this.#channel = openSupervisorChannel('process')
    this.#links = new EngineLinks(() => this.#channel.send({ kind: 'engine-link-lost' }))
    this.#channel.receive(
      () => this.#handlers,
      (message) => this.#received(message),
    )
    process.on('disconnect', () => this.#stop())
    // A terminal signals all of its processes; the supervisor reloads for them.
    process.on('SIGHUP', () => undefined)
    this.#channel.send({ kind: 'connected' })
  }

  /** Opens the engine of the engine process; resolves once it is connected. */
  async openEngine({
    warn,
    ...options
  }: Omit<RemoteEngineOptions, 'lost'> & { readonly warn: (message: string) => void }): Promise<RemoteEngine> {
    const lost = (reason: string | undefined) => {
      if (reason !== undefined) warn(`the link to the engine process failed: ${reason}`)
      this.#links.lost()
    }
    const remote = createRemoteEngine({ ...options, lost })
    this.#links.use(remote)
    await remote.ready
    return remote
  }

  /** Reports that the models are loaded, and waits for the listening socket. Gives the address, and whether to announce it. */
  async listen(open: OpenLoopbackServer): Promise<{ readonly base: string; readonly isAnnounced: boolean }> {
    this.#channel.send({ kind: 'ready' })
    const { message, descriptor } = await this.#listen.promise
    const { base, port, isAnnounced } = message
    this.#listeners = createReplicaListeners(open, port)
    this.#listeners.accept(this.number, descriptor)
    return { base, isAnnounced }
  }

  serve(handlers: HttpHandlers): void {
    this.#handlers = handlers
    this.#channel.send({ kind: 'listening' })
  }

  /** Reports that this process received a stop signal of its own. */
  reportStopping(): void {
    this.#channel.send({ kind: 'stopping' })
  }

  /** Reports what was counted, since no request can read it any more. */
  reportFinalMetrics(metrics: FinalMetrics['metrics']): Promise<void> {
    return this.#channel.sendLast({ kind: 'final-metrics', metrics })
  }

  /** What all processes have counted. */
  readonly gatherMetrics: Gather['metrics'] = () => this.#rpc.request('metrics', METRICS_MS)

  /** A reload of all processes, which this one reports. */
  reloadAll(logs: ReloadLogs): Reloading['reload'] {
    const request = async () => {
      const outcome = await this.#rpc.request('reload', RELOAD_MS).catch((error: Error): ReloadOutcome => {
        return { kind: 'wrong', faults: [`the supervisor: ${error.message}`] }
      })
      return reloadedBy(outcome)
    }
    return reloadWith(async () => ({ apply: () => undefined, reloaded: await request() }), logs)
  }

  #received(message: OtherMessage): void {
    // Descriptors arrive in the order of the messages, so each message takes its own.
    if (message.kind === 'listen') this.#listen.resolve({ message, descriptor: receiveDescriptor(SOCKET_DESCRIPTOR) })
    else if (message.kind === 'engine-link') this.#links.add(receiveLink(SOCKET_DESCRIPTOR, message.files))
    else if (message.kind === 'response') this.#rpc.respond(message)
    else if (message.kind === 'stop') this.#stop()
    else if (message.kind === 'drain') {
      if (this.#listeners !== undefined) this.#handlers?.drain(this.#listeners)
    } else if (message.kind === 'accept-for') this.#listeners?.accept(message.replica, receiveDescriptor(SOCKET_DESCRIPTOR))
    else if (message.kind === 'release') this.#listeners?.release(message.replica)
    else if (message.kind === 'reloaded') this.#handlers?.reloaded(message.outcome)
    else if (message.kind !== 'restore') never(message)
  }

  #stop(): void {
    if (this.#handlers === undefined) process.exit(0)
    this.#handlers.stop()
  }
}

/** The links to engine processes, one after the other; requests one where there is none. */
class EngineLinks {
  readonly #request: () => void
  #remote: RemoteEngine | undefined
  /** Arrived before the engine was opened. */
  #early: Link | undefined

  constructor(request: () => void) {
    this.#request = request
  }

  add(link: Link): void {
    if (this.#remote !== undefined) {
      this.#remote.attach(link)
      return
    }
    if (this.#early !== undefined) closeLink(this.#early)
    this.#early = link
  }

  use(remote: RemoteEngine): void {
    this.#remote = remote
    if (this.#early !== undefined) remote.attach(this.#early)
  }

  lost(): void {
    const timer = setTimeout(() => {
      if (this.#remote?.isConnected === false) this.#request()
    }, UNLINKED_MS)
    timer.unref()
  }
}

/** Accepts from the listening socket that the supervisor sends, and follows the orders of the supervisor. */
export async function serveHttpProcess(
  http: HttpProcess,
  { logs, ...serving }: Serving & { readonly logs: ReloadLogs },
): Promise<void> {
  const { settings, app, announced, logging, registry, readiness, reload, tls } = serving
  if (tls !== undefined) reload.subscribe(checkCertificate)
  const servers: Server[] = []
  const open = () => {
    const server = openLoopback(app, tls)
    invariant(server.port !== undefined, 'a process can listen where any port will do')
    servers.push(server)
    return { port: server.port }
  }
  const { base, isAnnounced } = await http.listen(open)
  const metrics = () => registry.snapshot()
  const flush = async () => {
    await Promise.all([logging.output.flush(), http.reportFinalMetrics(metrics())])
  }
  const stopOnce = createStop((delaySeconds) => stopInOrder({ ...shutdownOf(serving), listeners: servers, flush }, delaySeconds))
  const stop = () => stopOnce(settings.shutdownDelaySeconds)
  const onSignal = () => {
    http.reportStopping()
    stop()
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
  const drain = async (listeners: ReplicaListeners) => {
    listeners.stopAccepting()
    readiness.drain()
    const endMs = performance.now() + settings.drainSeconds * 1000
    await untilClosed(listeners, Math.min(endMs, performance.now() + IDLE_MS))
    // A connection that is still open without a request has had none since: every response closed its own.
    for (const server of servers) server.closeIdleConnections()
    await untilClosed(listeners, endMs)
    stopOnce(0)
  }
  const reloaded = (outcome: ReloadOutcome) => {
    const report = reloadWith(async () => ({ apply: () => undefined, reloaded: reloadedBy(outcome) }), logs)
    reloadUnasked(() => report({ actor: 'signal' }))
  }
  http.serve({ metrics, prepareReload: reload.prepare, drain: (listeners) => void drain(listeners), stop, reloaded })
  await announceAdministrator(announced, logging)
  if (isAnnounced) announce(base, announced, logging)
}

/** The certificate stays that of the start; the new one must be right before processes that start with it replace these. */
const checkCertificate: ReloadPart = (next) => {
  loadTls(next)
  return { apply: () => undefined, discard: () => undefined }
}

/** Stops once: a terminal and systemd signal all processes, and then the supervisor sends `stop` as well. */
function createStop(stop: (delaySeconds: number) => Promise<void>): (delaySeconds: number) => void {
  let isStopping = false
  return (delaySeconds) => {
    if (isStopping) return
    isStopping = true
    void stop(delaySeconds)
  }
}

async function untilClosed({ connections }: ReplicaListeners, endMs: number): Promise<void> {
  while (connections() > 0 && performance.now() < endMs) await Bun.sleep(COUNT_MS)
}

/** What a reload has changed. @throws SettingsError */
function reloadedBy(outcome: ReloadOutcome): Reloaded {
  if (outcome.kind === 'wrong') throw new SettingsError(outcome.faults)
  return outcome.reloaded
}
