import { readdirSync, readFileSync } from 'node:fs'
import { invariant } from '../../core/invariant.ts'
import { closeDescriptor, duplicate, duplicateAt, watchNoMore, watchReadable } from '../../platform/c-library.ts'
import type { Address } from '../../platform/taken-port.ts'
import { linkOf, socketsOnPort, type TcpState } from '../../platform/tcp-table.ts'

const OWN = '/proc/self'

/** A listening socket that the supervisor keeps open and never accepts from. The socket lives for as long as any process has it open. */
export interface ListeningSocket {
  readonly descriptor: number
  readonly port: number
  /** Closes the descriptor of this process only. */
  readonly close: () => void
}

/**
 * Opens one of several sockets that listen on one port (SO_REUSEPORT): the kernel spreads connections over them.
 * @throws what Bun throws where it cannot listen
 */
export function openListeningSocket(address: Address): ListeningSocket {
  const before = address.port === 0 ? [] : socketsOf(address.port, 'listening')
  // Bun resolves the address and listens; its duplicate goes on listening after Bun has closed its own descriptor.
  // The server is stopped before it accepts anything.
  const listener = Bun.serve({ ...address, reusePort: true, fetch: () => new Response(null, { status: 503 }) })
  const port = listener.port ?? 0
  const own = socketsOf(port, 'listening').find((descriptor) => !before.includes(descriptor))
  invariant(own !== undefined, 'a socket that listens is among those of this process')
  const descriptor = duplicate(own)
  void listener.stop(true)
  return { descriptor, port, close: () => closeDescriptor(descriptor) }
}

/** A Bun server that accepts from listening sockets that the supervisor opened. */
export interface AdoptedListener {
  /** Accepts from this socket instead of the one before. */
  readonly adopt: (descriptor: number) => void
  /** Accepts no more connections. Open connections stay, and so does the socket in every other process that has it. */
  readonly stopAccepting: () => void
  readonly isAccepting: boolean
}

/**
 * Prepares a Bun server to accept from other sockets than its own. Bun cannot listen on an existing socket, but it knows its socket by
 * a descriptor only: another open file takes that descriptor over, and epoll watches it with the same data word.
 */
export function createAdoptedListener(server: { readonly port: number }): AdoptedListener {
  const [own] = socketsOf(server.port, 'listening')
  invariant(own !== undefined, 'a server that listens has a socket')
  const watcher = watcherOf(own)
  invariant(watcher !== undefined, 'a socket that is accepted from is watched')
  const { epoll, word } = watcher
  let isAccepting = true
  const stopAccepting = () => {
    // epoll watches the open file, not the descriptor: while another process has the file open, closing it here would not end that.
    if (isAccepting) watchNoMore(epoll, own)
    isAccepting = false
  }
  return {
    stopAccepting,
    get isAccepting() {
      return isAccepting
    },
    adopt(descriptor) {
      stopAccepting()
      duplicateAt(descriptor, own)
      closeDescriptor(descriptor)
      watchReadable(epoll, own, word)
      isAccepting = true
    },
  }
}

/** Starts a server of the app on a free port of loopback; its listening socket is then exchanged. */
export type OpenLoopbackServer = () => { readonly port: number }

/** The listening sockets that a process accepts from: that of its own replica, and those of replicas without a process. */
export interface ReplicaListeners {
  readonly accept: (replica: number, descriptor: number) => void
  /** Accepts no more for that replica. */
  readonly release: (replica: number) => void
  readonly stopAccepting: () => void
  /** Open connections of this process to the shared port. */
  readonly connections: () => number
}

/** Prepares accepting on a port that several processes share. */
export function createReplicaListeners(open: OpenLoopbackServer, port: number): ReplicaListeners {
  const listeners: AdoptedListener[] = []
  const byReplica = new Map<number, AdoptedListener>()
  const openListener = () => {
    const listener = createAdoptedListener(open())
    listeners.push(listener)
    return listener
  }
  return {
    accept(replica, descriptor) {
      const listener = listeners.find(({ isAccepting }) => !isAccepting) ?? openListener()
      listener.adopt(descriptor)
      byReplica.set(replica, listener)
    },
    release(replica) {
      byReplica.get(replica)?.stopAccepting()
      byReplica.delete(replica)
    },
    stopAccepting() {
      for (const { stopAccepting } of listeners) stopAccepting()
    },
    connections: () => socketsOf(port, 'connected').length,
  }
}

/** Descriptors of this process that are TCP sockets of a local port, in one of two states. */
function socketsOf(port: number, state: TcpState): readonly number[] {
  const links = socketsOnPort(port, state)
  return links.size === 0 ? [] : descriptors().filter((descriptor) => links.has(openFile(descriptor) ?? ''))
}

/** The epoll instance that watches a descriptor, and the data word that it reports: epoll's own list (proc(5), fdinfo). */
function watcherOf(descriptor: number): { readonly epoll: number; readonly word: bigint } | undefined {
  for (const epoll of descriptors()) {
    if (openFile(epoll) !== 'anon_inode:[eventpoll]') continue
    const entry = new RegExp(`^tfd:\\s+${descriptor} events:\\s+[0-9a-f]+ data:\\s+([0-9a-f]+)`, 'm')
    const word = entry.exec(read(`${OWN}/fdinfo/${epoll}`) ?? '')?.[1]
    if (word !== undefined) return { epoll, word: BigInt(`0x${word}`) }
  }
  return undefined
}

function descriptors(): readonly number[] {
  return readdirSync(`${OWN}/fd`).map(Number)
}

function openFile(descriptor: number): string | undefined {
  return linkOf(`${OWN}/fd/${descriptor}`)
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    // Closed since the folder was read.
    return undefined
  }
}
