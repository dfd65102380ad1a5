import { connect } from 'node:net'
import { inTime } from './until.ts'

/** Less than the time of a test: some of what is sent takes the server a while to give up. */
const LIMIT_MS = 50_000

export interface RawRequest {
  /** Bytes to send, piece by piece; each goes out once the one before has. */
  readonly pieces: readonly (string | Uint8Array)[]
  /** True when the connection is cut after the last piece, before any answer is waited for. */
  readonly isCut?: boolean
  /** Cuts the connection so long after the last piece where nothing was answered; default never. */
  readonly patienceMs?: number
}

/** Sends bytes as they are and gives the status of the first answer; 0 where the connection ended without one. */
export function sendRaw(port: number, { pieces, isCut = false, patienceMs }: RawRequest): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>()
  const socket = connect(port, '127.0.0.1')
  let answer = ''
  let patience: ReturnType<typeof setTimeout> | undefined
  const finish = () => {
    clearTimeout(patience)
    socket.destroy()
    resolve(Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0))
  }
  socket.setNoDelay(true)
  socket.on('data', (chunk) => {
    answer += chunk.toString('latin1')
    if (answer.includes('\r\n\r\n')) finish()
  })
  socket.on('error', finish)
  socket.on('close', finish)
  socket.on('connect', () => {
    const sendFrom = (index: number) => {
      const piece = pieces[index]
      if (piece !== undefined) return void socket.write(piece, () => sendFrom(index + 1))
      if (isCut) finish()
      else if (patienceMs !== undefined) patience = setTimeout(finish, patienceMs)
    }
    sendFrom(0)
  })
  return inTime(promise, 'the first answer is there, or the connection has ended', LIMIT_MS)
}

/** Sends bytes as they are and gives all that comes back until the server closes the connection, which it must do by itself. */
export function exchangeRaw(port: number, pieces: readonly (string | Uint8Array)[]): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>()
  const socket = connect(port, '127.0.0.1')
  let answer = ''
  socket.setNoDelay(true)
  socket.on('data', (chunk) => {
    answer += chunk.toString('latin1')
  })
  // A connection that is reset has ended too.
  socket.on('error', () => undefined)
  socket.on('close', () => resolve(answer))
  socket.on('connect', () => {
    const sendFrom = (index: number) => {
      const piece = pieces[index]
      if (piece !== undefined) socket.write(piece, () => sendFrom(index + 1))
    }
    sendFrom(0)
  })
  return inTime(promise, 'the server has closed the connection', LIMIT_MS)
}
