import { inTime } from './until.ts'

export type Message = string | Uint8Array | { readonly code: number; readonly reason: string }

/** A WebSocket whose messages can be waited for one by one; its end is the last. */
export async function openLive(address: string, options: { readonly headers: Record<string, string>; readonly tls?: object }) {
  // The cast: Bun takes headers where browsers take protocols.
  const socket = new WebSocket(address, options as never)
  socket.binaryType = 'arraybuffer'
  const messages: Message[] = []
  let wake = Promise.withResolvers<void>()
  const add = (message: Message) => {
    messages.push(message)
    wake.resolve()
    wake = Promise.withResolvers()
  }
  socket.onmessage = ({ data }) => add(typeof data === 'string' ? data : new Uint8Array(data as ArrayBuffer))
  socket.onclose = ({ code, reason }) => add({ code, reason })
  const { promise, resolve } = Promise.withResolvers<void>()
  socket.onopen = () => resolve()
  socket.onerror = () => resolve()
  await promise
  const next = async (): Promise<Message> => {
    while (messages.length === 0) await inTime(wake.promise, 'the socket has a message, or its end')
    return messages.shift() ?? ''
  }
  return {
    socket,
    next,
    ask: (message: string | Uint8Array) => {
      socket.send(message)
      return next()
    },
  }
}
