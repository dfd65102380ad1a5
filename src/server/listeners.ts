import { lstatSync, unlinkSync } from 'node:fs'
import { connect, isIP } from 'node:net'
import { SettingsError } from '../config/load.ts'
import type { Settings } from '../config/settings.ts'
import { authorityOf } from '../core/authority.ts'
import type { App, AppOptions } from '../http/app.ts'
import { rejectTakenPort } from '../platform/taken-port.ts'
import { type LiveTls, watchTls } from './live-tls.ts'
import type { Logging } from './logging.ts'
import type { Listener } from './shutdown.ts'
import type { LoadedTls } from './tls-files.ts'

/** Where the server listens, for as long as it runs. */
export interface Listening extends Listener {
  /** Its address for people: `http://127.0.0.1:8000`, or `unix:` and the path. */
  readonly address: string
  /** Applies changed certificates; absent without TLS. */
  readonly tls?: LiveTls
}

export interface ListenOptions {
  readonly settings: Settings
  /** The certificate of the start; absent without TLS. */
  readonly tls?: LoadedTls
  readonly logging: Logging
}

export type Server = NonNullable<App['server']>
type Where = Exclude<Parameters<App['listen']>[0], string | number>

/** Connections that the old listener's queue holds when the new one opens are answered within that time. */
const OLD_LISTENER_MS = 50
/** TLS 1.2; BoringSSL writes versions as they are on the wire. */
const TLS_1_2 = 0x0303

/** What the app knows of its connections: whether they are encrypted, and how long they and bodies may take. */
export function networkOf(settings: Settings) {
  const { tlsCert, idleSeconds, bodySeconds, bodyGraceSeconds, bodyBytesPerSecondMin } = settings
  return {
    isTls: tlsCert !== undefined,
    idleSeconds,
    bodyTimes: { wholeMs: bodySeconds * 1000, graceMs: bodyGraceSeconds * 1000, bytesPerSecondMin: bodyBytesPerSecondMin },
  } satisfies Partial<AppOptions>
}

/** Listens where the settings say. Where that fails, logs why and gives undefined. */
export async function listen(app: App, { settings, tls, logging }: ListenOptions): Promise<Listening | undefined> {
  const { logger, output } = logging
  try {
    if (settings.unix !== undefined) return await listenOnSocket(app, settings.unix, settings.unixMode)
    return tls === undefined ? listenPlain(app, settings) : listenWithTls(app, { settings, tls, logging })
  } catch (error) {
    logger.error(reasonOf(error, settings))
    void output.flush()
    process.exitCode = 1
    return undefined
  }
}

function listenPlain(app: App, { host, port }: Settings): Listening {
  const server = open(app, { hostname: host, port })
  return { address: `http://${authorityOfServer(server)}`, ...listenerOf(() => [server]) }
}

async function listenOnSocket(app: App, path: string, mode: number): Promise<Listening> {
  await removeLeftSocket(path)
  // The socket has its mode from the first moment on; Bun removes it at the end.
  const before = process.umask(0o777 & ~mode)
  try {
    // The cast: Elysia's type has no unix sockets, and passes all options on to Bun.
    const server = open(app, { unix: path } as unknown as Where)
    return { address: `unix:${path}`, ...listenerOf(() => [server]) }
  } finally {
    process.umask(before)
  }
}

/**
 * Bun's server keeps the certificate that it started with. For a new one a second listener opens on the same port, and the first then
 * closes; its in-flight requests finish, and its connections are closed once they are idle.
 */
function listenWithTls(app: App, { settings, tls, logging }: Required<ListenOptions>): Listening {
  const { host, port } = settings
  // With SO_REUSEPORT two listeners may share the port, so a listener of a different program would go unnoticed.
  rejectTakenPort({ hostname: host, port })
  const openWith = (at: number, loaded: LoadedTls) =>
    open(app, { hostname: host, port: at, reusePort: true, ...encrypted(loaded) } as Where)
  let current = openWith(port, tls)
  const servers = new Set([current])
  const use = (next: LoadedTls) => {
    const old = current
    current = openWith(old.port ?? port, next)
    servers.add(current)
    setTimeout(() => void old.stop().then(() => servers.delete(old)), OLD_LISTENER_MS).unref()
  }
  const { logger } = logging
  const live = watchTls(settings, tls, { use, warn: (message) => logger.warn(message), say: (message) => logger.info(message) })
  return { address: `https://${authorityOfServer(current)}`, tls: live, ...listenerOf(() => [...servers], live.close) }
}

/** Opens a server on loopback, whose socket is then exchanged for one that the supervisor opened. Its certificate stays that of the start. */
export function openLoopback(app: App, tls: LoadedTls | undefined): Server {
  return open(app, { hostname: '127.0.0.1', port: 0, ...(tls && encrypted(tls)) } as Where)
}

function encrypted({ cert, key, ca }: LoadedTls) {
  const clients = ca === undefined ? {} : { ca, requestCert: true, rejectUnauthorized: true }
  return { tls: { cert, key, minVersion: TLS_1_2, ...clients } }
}

function listenerOf(servers: () => readonly Server[], close?: () => void): Listener {
  return {
    async stop() {
      close?.()
      await Promise.all(servers().map((server) => server.stop()))
    },
    closeIdleConnections() {
      for (const server of servers()) server.closeIdleConnections()
    },
  }
}

/** Elysia stops its server in a `beforeExit` hook; this server stops in order, and every listener would add such a hook. */
function open(app: App, where: Where): Server {
  const hooks = process.listeners('beforeExit')
  app.listen(where)
  for (const hook of process.listeners('beforeExit')) if (!hooks.includes(hook)) process.off('beforeExit', hook)
  const { server } = app
  if (server === null) throw new Error('there is no server')
  return server
}

function authorityOfServer({ hostname = '', port }: Server): string {
  return authorityOf(hostname, port)
}

/** Bun gives the code of an earlier failure for a name that does not resolve. */
const NO_ADDRESS = 'the name does not resolve to an address'
const isName = (host: string) => isIP(host.replace(/^\[(.*)\]$/, '$1')) === 0
const LISTEN_REASONS: Readonly<Record<string, string>> = {
  EADDRNOTAVAIL: 'this machine does not have that address; 0.0.0.0 and :: listen on all addresses',
  EACCES: 'this user may not listen on that port; choose a port from 1024 on',
}

function reasonOf(error: unknown, { host, port, unix }: Settings): string {
  if (error instanceof SettingsError) return error.faults.join('; ')
  if (unix !== undefined) return `cannot listen on the socket ${unix}: ${String(error)}`
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (code === 'EADDRINUSE') return `port ${port} on ${host} is in use; choose another with --port`
  return `cannot listen on ${authorityOf(host, port)}: ${LISTEN_REASONS[code] ?? (isName(host) ? NO_ADDRESS : String(error))}`
}

/**
 * Removes the socket that a killed server left at a path. A socket that a process listens on stays, and so does any other file.
 * @throws SettingsError where one of these is at the path
 */
async function removeLeftSocket(path: string): Promise<void> {
  const stat = lstatSync(path, { throwIfNoEntry: false })
  if (stat === undefined) return
  if (!stat.isSocket())
    throw new SettingsError([`unix: ${path}: exists and is not a socket; remove it, or choose a different path`])
  if (await isListenedOn(path)) throw new SettingsError([`unix: ${path}: another process listens on it`])
  unlinkSync(path)
}

/** False where the connection is refused; any other outcome counts as a listening process. */
function isListenedOn(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const socket = connect(path)
  socket.on('connect', () => {
    socket.destroy()
    resolve(true)
  })
  socket.on('error', (error) => resolve(!('code' in error && error.code === 'ECONNREFUSED')))
  return promise
}
