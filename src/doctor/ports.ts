import { accessSync, constants, lstatSync, readdirSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Settings } from '../config/settings.ts'
import { linkOf, socketsOnPort } from '../platform/tcp-table.ts'
import { askLocal, type LocalServer } from '../server/local-server.ts'
import { type Finding, messageOf, note, right, type Subject, wrong } from './finding.ts'

/** The addresses that the server listens on: free, or who has them. */
export async function lookAtPorts({ settings }: Subject): Promise<readonly Finding[]> {
  const { metricsPort, unix } = settings
  return [
    ...(await (unix === undefined ? lookAtPort(settings, '--port') : lookAtSocket(settings, unix))),
    ...(metricsPort === undefined
      ? []
      : await lookAtPort({ host: '127.0.0.1', port: metricsPort, allowedHosts: [] }, '--metrics-port')),
  ]
}

async function lookAtPort(address: LocalServer, flag: string): Promise<readonly Finding[]> {
  const { host, port } = address
  if (port === 0) return [note(`${flag} is 0: the system chooses a free port`)]
  const code = bindErrorOf(host, port)
  if (code === undefined) return [right(`port ${port} on ${host} is free`)]
  if (code === 'EADDRINUSE') {
    const owner = ownerOf(port)
    if (await isVestal(address)) return [note(`Vestal listens on port ${port} of ${host} already${owner}`)]
    return [wrong(`port ${port} on ${host} is in use${owner}`, `Stop what listens there, or choose another port with ${flag}.`)]
  }
  if (code === 'EACCES')
    return [
      wrong(
        `port ${port} may not be listened on by this user`,
        `Take a port from 1024 up with ${flag}, or give the program CAP_NET_BIND_SERVICE.`,
      ),
    ]
  return [wrong(`nothing can listen on ${host}, port ${port}: ${code}`, 'Name an address of this machine with --host.')]
}

async function lookAtSocket(settings: Settings, path: string): Promise<readonly Finding[]> {
  const stat = attempt(() => lstatSync(path, { throwIfNoEntry: false }))
  const folder = dirname(path)
  if (stat === undefined) {
    if (attempt(() => accessSync(folder, constants.W_OK | constants.X_OK) ?? true) === true)
      return [right(`the socket ${path} can be made`)]
    return [wrong(`the socket ${path} cannot be made`, `Make the folder ${folder}, owned by the user that runs the server.`)]
  }
  if (!stat.isSocket()) return [wrong(`${path} exists and is not a socket`, 'Remove it, or choose a different path with --unix.')]
  if (await isVestal(settings)) return [note(`Vestal listens on ${path} already`)]
  return [note(`the socket ${path} is there; one that no process listens on is replaced at the start`)]
}

/** The error code of listening there; undefined where it works. It listens for a moment and answers no client. */
function bindErrorOf(hostname: string, port: number): string | undefined {
  try {
    Bun.listen({ hostname, port, exclusive: true, socket: { open: (socket) => void socket.end(), data: () => undefined } }).stop(
      true,
    )
    return undefined
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : messageOf(error)
  }
}

/** True where what listens says that it lives in Vestal's words. */
async function isVestal(address: LocalServer): Promise<boolean> {
  try {
    const answer = await askLocal(address, '/v2/health/live')
    return answer.headers.has('x-request-id') || (await firstOf(await askLocal(address, '/metrics'))).includes('vestal_')
  } catch {
    // It speaks something else, or nothing.
    return false
  }
}

/** The beginning of a body: the listener may send without end. */
async function firstOf({ body }: Response): Promise<string> {
  const reader = body?.getReader()
  const chunk = await reader?.read()
  await reader?.cancel()
  return Buffer.from(chunk?.value ?? []).toString()
}

/** ` by process N (name)`, where Linux says so; the sockets of other users are theirs to see. */
function ownerOf(port: number): string {
  const sockets = socketsOnPort(port, 'listening')
  if (sockets.size === 0) return ''
  for (const pid of entries('/proc').filter((name) => /^\d+$/.test(name))) {
    const isOwner = entries(`/proc/${pid}/fd`).some((fd) => sockets.has(linkOf(`/proc/${pid}/fd/${fd}`) ?? ''))
    if (isOwner) return ` by process ${pid} (${textOf(`/proc/${pid}/comm`).trim()})`
  }
  return ''
}

function entries(folder: string): readonly string[] {
  return attempt(() => readdirSync(folder)) ?? []
}

function textOf(path: string): string {
  return attempt(() => readFileSync(path, 'utf8')) ?? ''
}

function attempt<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch {
    // Another system than Linux, a process that ended, or one of another user.
    return undefined
  }
}
