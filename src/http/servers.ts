/** What is used of Bun's WebSocket. */
export interface Socket {
  send(message: string | Uint8Array): number
  close(code: number, reason: string): void
  /** Bytes that were sent and that the system has not taken yet. */
  getBufferedAmount(): number
}

/** Makes a socket of the connection of a request; false where the request asks for none. */
export type Upgrade = (request: Request, options: { readonly data: SocketData }) => boolean

/** What Elysia's own WebSocket handler calls on a connection's data. */
export interface SocketData {
  readonly open: (socket: Socket) => void
  readonly message: (socket: Socket, message: string | Uint8Array) => void
  readonly drain: () => void
  readonly close: () => void
}

/** What there is of Bun's server here. */
interface Listening {
  /** Absent on a unix socket. */
  readonly port: number | undefined
  /** Requests that have no answer yet, or whose answer is being sent. */
  readonly pendingRequests: number
  upgrade(...given: Parameters<Upgrade>): boolean
  requestIP(request: Request): object | null
}

/** The servers that one app listens with: several where it accepts in the place of a process that is gone, or has another certificate. */
export interface Servers {
  readonly add: (server: Listening) => void
  readonly upgrade: Upgrade
  /** Whether a request has no answer yet, or its answer is still being sent; always false on a unix socket, where nothing says so. */
  readonly isSending: (request: Request) => boolean
  /** Requests on unix sockets that have no answer yet, or whose answer is being sent. */
  readonly pendingOnSockets: () => number
}

/** What Bun throws where the request came over another server. */
const FOREIGN = 'ERR_INVALID_ARG_TYPE'

/** Finds the server of a request: only that server can upgrade its connection, and Bun does not say which it is. */
export function createServers(): Servers {
  // Weak, so that a stopped server can be collected.
  let servers: readonly WeakRef<Listening>[] = []
  return {
    add: (server) => {
      servers = [new WeakRef(server), ...servers.filter((known) => known.deref() !== undefined)]
    },
    upgrade: (request, options) => servers.some((known) => isUpgraded(known.deref(), request, options)),
    // Bun knows the address of a request for as long as its answer is not sent, whichever of its servers is asked.
    isSending: (request) => servers.some((known) => (known.deref()?.requestIP(request) ?? null) !== null),
    pendingOnSockets: () => servers.reduce((sum, known) => sum + pendingOnSocket(known.deref()), 0),
  }
}

function isUpgraded(server: Listening | undefined, ...given: Parameters<Upgrade>): boolean {
  try {
    return server?.upgrade(...given) === true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === FOREIGN) return false
    throw error
  }
}

function pendingOnSocket(server: Listening | undefined): number {
  return server?.port === undefined ? (server?.pendingRequests ?? 0) : 0
}
