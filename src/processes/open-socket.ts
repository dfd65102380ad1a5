import { closeSync } from 'node:fs'

export interface LocalSocketEvents {
  /** Bytes that arrived; what it throws ends the connection, and nothing more is handed over. */
  readonly data: (piece: Uint8Array) => void
  /** Nothing arrives any more; `reason` is what `data` threw. */
  readonly closed: (reason: string | undefined) => void
  /** Whether this process goes on running for the socket alone; default true. */
  readonly keepsAlive?: boolean
}

/** A local socket. What it does not take at once is kept, in order. */
export interface LocalSocket {
  /** The bytes may change once this returns. */
  write(bytes: Uint8Array): void
  /** Ends it once all that was written is sent, as far as the other side takes it. */
  end(): void
}

/** Uses a descriptor as a socket of this process, and closes it with it. */
export function openSocket(descriptor: number, { data, closed, keepsAlive = true }: LocalSocketEvents): LocalSocket {
  /** What the socket did not take at once, in order. */
  const pending: Uint8Array[] = []
  let socket: Bun.Socket<unknown> | undefined
  let isEnding = false
  let isClosed = false
  let reason: string | undefined
  const close = () => {
    if (isClosed) return
    isClosed = true
    pending.length = 0
    closed(reason)
  }
  const taken = (bytes: Uint8Array) => (socket === undefined ? 0 : Math.max(0, socket.write(bytes)))
  const drain = () => {
    for (let first = pending[0]; first !== undefined; first = pending[0]) {
      const count = taken(first)
      if (count < first.length) {
        pending[0] = first.subarray(count)
        return
      }
      pending.shift()
    }
    if (isEnding) socket?.end()
  }
  const handlers: Bun.SocketHandler = {
    open(opened) {
      socket = opened
      if (!keepsAlive) opened.unref()
      drain()
    },
    data(from, piece) {
      if (reason !== undefined) return
      try {
        data(piece)
      } catch (error) {
        reason = error instanceof Error ? error.message : String(error)
        from.terminate()
      }
    },
    drain,
    close,
    error: close,
  }
  // The cast: Bun's types lack the form with a descriptor that its documentation has.
  const options = { fd: descriptor, socket: handlers } as unknown as Bun.UnixSocketOptions
  void Bun.connect(options).catch(() => {
    closeSync(descriptor)
    close()
  })
  return {
    write(bytes) {
      if (isClosed || isEnding) return
      const count = pending.length > 0 ? 0 : taken(bytes)
      // A copy: the writer's buffer is written again.
      if (count < bytes.length) pending.push(new Uint8Array(bytes.subarray(count)))
    },
    end() {
      if (isClosed || isEnding) return
      isEnding = true
      drain()
    },
  }
}
