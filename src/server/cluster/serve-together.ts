import { invariant } from '../../core/invariant.ts'
import { announce, announceAdministrator } from '../announce.ts'
import { openInside, type Server } from '../listeners.ts'
import { type ReloadLogs, type ReloadPart, reloadUnasked, reloadWith } from '../reload.ts'
import { type Serving, shutdownOf } from '../serve-alone.ts'
import { stopInOrder } from '../shutdown.ts'
import { loadTls } from '../tls-files.ts'
import type { Member } from './member.ts'
import type { MemberListeners } from './member-listeners.ts'
import type { ReloadOutcome } from './messages.ts'
import { reloadedBy } from './reload-together.ts'

/** How often the connections of a process that is replaced are counted. */
const COUNT_MS = 100
/** A connection without a request is closed after this, as one is that is silent for too long. */
const QUIET_MS = 5000

/** Accepts from the socket that the supervisor hands over, and does what the supervisor asks. */
export async function serveTogether(
  member: Member,
  { logs, ...serving }: Serving & { readonly logs: ReloadLogs },
): Promise<void> {
  const { settings, app, announced, logging, registry, readiness, reload, tls } = serving
  if (tls !== undefined) reload.subscribe(checkCertificate)
  const servers: Server[] = []
  const open = () => {
    const server = openInside(app, tls)
    invariant(server.port !== undefined, 'a process can listen where any port will do')
    servers.push(server)
    return { port: server.port }
  }
  const { base, isAnnounced } = await member.listen(open)
  const counts = { metrics: () => registry.snapshot() }
  const flush = async () => {
    await Promise.all([logging.output.flush(), member.sayGoodbye({ metrics: counts.metrics() })])
  }
  const stop = createStop((delaySeconds) => stopInOrder({ ...shutdownOf(serving), listeners: servers, flush }, delaySeconds))
  const stopWhenTold = () => stop(settings.shutdownDelaySeconds)
  const leave = () => {
    member.sayLeaving()
    stopWhenTold()
  }
  process.on('SIGTERM', leave)
  process.on('SIGINT', leave)
  const drain = async (listeners: MemberListeners) => {
    listeners.stopAccepting()
    readiness.drain()
    const endMs = performance.now() + settings.drainSeconds * 1000
    await untilClosed(listeners, Math.min(endMs, performance.now() + QUIET_MS))
    // A connection that is still open without a request has had none since: every answer closed its own.
    for (const server of servers) server.closeIdleConnections()
    await untilClosed(listeners, endMs)
    stop(0)
  }
  const reloaded = (outcome: ReloadOutcome) => {
    const report = reloadWith(async () => ({ apply: () => undefined, reloaded: reloadedBy(outcome) }), logs)
    reloadUnasked(() => report({ actor: 'signal' }))
  }
  member.serve({
    counts,
    prepareReload: reload.prepare,
    drain: (listeners) => void drain(listeners),
    stop: stopWhenTold,
    reloaded,
  })
  await announceAdministrator(announced, logging)
  if (isAnnounced) announce(base, announced, logging)
}

/** The certificate stays that of the start; another must be right before processes that begin with it take the place of these. */
const checkCertificate: ReloadPart = (next) => {
  loadTls(next)
  return { apply: () => undefined, discard: () => undefined }
}

/** Stops once: a terminal tells all processes of a signal, and so does systemd; the supervisor then tells this one as well. */
function createStop(stop: (delaySeconds: number) => Promise<void>): (delaySeconds: number) => void {
  let isStopping = false
  return (delaySeconds) => {
    if (isStopping) return
    isStopping = true
    void stop(delaySeconds)
  }
}

async function untilClosed({ connections }: MemberListeners, endMs: number): Promise<void> {
  while (connections() > 0 && performance.now() < endMs) await Bun.sleep(COUNT_MS)
}
