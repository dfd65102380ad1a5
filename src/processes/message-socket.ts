import { FRAME_BYTES_MAX, FrameAssembler, FrameBuffer, FrameCursor } from './frames.ts'
import { type LocalSocketEvents, openSocket } from './open-socket.ts'

export interface SocketEvents extends Pick<LocalSocketEvents, 'closed' | 'keepsAlive'> {
  /** A frame that is whole; what it throws ends the connection. */
  readonly frame: (cursor: FrameCursor) => void
}

/** Frames to and from a local socket. All that is sent in one turn of the event loop is one write. */
export interface MessageSocket {
  /** Writes one frame of a kind. @throws what `write` throws; nothing of the frame is sent then */
  send(kind: number, write: (buffer: FrameBuffer) => void): void
  /** Ends it once what was sent has been written, as far as the other side takes it. */
  end(): void
}

/** Speaks frames on a local socket, which is closed with it, or by a frame of the other side that is longer than `frameBytesMax`. */
export function openMessageSocket(
  descriptor: number,
  { frame, closed, keepsAlive = true }: SocketEvents,
  frameBytesMax = FRAME_BYTES_MAX,
): MessageSocket {
  const assembler = new FrameAssembler(frameBytesMax)
  const buffer = new FrameBuffer()
  let isDue = false
  let isOver = false
  const socket = openSocket(descriptor, {
    keepsAlive,
    data: (piece) => assembler.push(piece, (whole) => frame(new FrameCursor(whole))),
    closed: (reason) => {
      isOver = true
      closed(reason)
    },
  })
  const flush = () => {
    isDue = false
    if (!isOver) socket.write(buffer.take())
  }
  return {
    send(kind, write) {
      if (isOver) return
      buffer.add(kind, write)
      if (isDue) return
      isDue = true
      setImmediate(flush)
    },
    end() {
      if (isOver) return
      flush()
      isOver = true
      socket.end()
    },
  }
}
