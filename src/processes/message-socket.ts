import { FrameAssembler, FrameBuffer, FrameCursor } from './frames.ts'
import { openSocket } from './open-socket.ts'

export interface SocketEvents {
  /** A frame that is whole; what it throws ends the connection. */
  readonly frame: (cursor: FrameCursor) => void
  /** Nothing comes any more; `reason` where the other side did not just end. */
  readonly closed: (reason: string | undefined) => void
}

/** Frames to and from a local socket. All that is sent in one turn of the event loop is one write. */
export interface MessageSocket {
  /** Writes one frame of a kind. @throws what `write` throws; nothing of the frame is sent then */
  send(kind: number, write: (buffer: FrameBuffer) => void): void
  /** Ends it once what was sent has been written, as far as the other side takes it. */
  end(): void
}

/** Speaks frames on a local socket, which is closed with it. */
export function openMessageSocket(descriptor: number, { frame, closed }: SocketEvents): MessageSocket {
  const assembler = new FrameAssembler()
  const buffer = new FrameBuffer()
  /** What the socket did not take at once, in order. */
  const pending: Uint8Array[] = []
  let socket: Bun.Socket<unknown> | undefined
  let isDue = false
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
  const flush = () => {
    isDue = false
    if (isClosed) return
    const bytes = buffer.take()
    const count = pending.length > 0 ? 0 : taken(bytes)
    // A copy: the buffer is written again.
    if (count < bytes.length) pending.push(new Uint8Array(bytes.subarray(count)))
    else if (isEnding && pending.length === 0) socket?.end()
  }
  const handlers: Bun.SocketHandler = {
    open(opened) {
      socket = opened
      drain()
    },
    data(from, piece) {
      try {
        assembler.push(piece, (whole) => {
          // A frame that ends the connection is the last one.
          if (reason === undefined) frame(new FrameCursor(whole))
        })
      } catch (error) {
        reason = error instanceof Error ? error.message : String(error)
        from.terminate()
      }
    },
    drain,
    close,
    error: close,
  }
  openSocket(descriptor, handlers, close)
  return {
    send(kind, write) {
      if (isClosed || isEnding) return
      buffer.add(kind, write)
      if (isDue) return
      isDue = true
      setImmediate(flush)
    },
    end() {
      if (isClosed || isEnding) return
      isEnding = true
      flush()
    },
  }
}
