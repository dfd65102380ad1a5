import { connect, type Socket } from 'node:net'

/**
 * Opens connections as its arguments say, tells on one line how many there are, and keeps them until its input ends:
 * `bun test/support/flood.ts PORT IDLE SLOW TOKEN`. It is a process of its own, so that it holds up nobody who measures.
 */
const [port = 0, idleCount = 0, slowCount = 0] = process.argv.slice(2, 5).map(Number)
const token = process.argv[5] ?? ''

const ASK = 'GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n'
/** Half of the slow ones never end their head, half never end their body. */
const SLOW_HEAD = 'GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\nX-Slow: '
const SLOW_BODY = `POST /models/iris/predict/ HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\nContent-Length: 100000\r\n\r\n{`
/** Connections that are opened at once: more would overflow the kernel's queue. */
const AT_ONCE = 200

let open = 0

function opened(bytes: string, isReady: (socket: Socket, ready: () => void) => void): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>()
  const socket = connect(port, '127.0.0.1', () => {
    open += 1
    socket.write(bytes)
    isReady(socket, () => resolve(socket))
  })
  socket.on('error', reject)
  socket.on('close', () => {
    open -= 1
    reject(new Error('closed before its answer'))
  })
  return promise
}

async function openMany(count: number, one: (index: number) => Promise<Socket>): Promise<readonly Socket[]> {
  const sockets: Socket[] = []
  for (let index = 0; index < count; index += AT_ONCE) {
    const size = Math.min(AT_ONCE, count - index)
    const some = await Promise.allSettled(Array.from({ length: size }, (_, offset) => one(index + offset)))
    for (const result of some) if (result.status === 'fulfilled') sockets.push(result.value)
  }
  return sockets
}

// An idle one has had its answer: from then on it only waits.
await openMany(idleCount, () => opened(ASK, (socket, ready) => socket.once('data', ready)))
const slow = await openMany(slowCount, (index) => opened(index % 2 === 0 ? SLOW_HEAD : SLOW_BODY, (_socket, ready) => ready()))
const trickle = setInterval(() => {
  for (const socket of slow) if (!socket.destroyed) socket.write('a')
}, 1000)
console.log(`open ${open}`)
for await (const _chunk of process.stdin);
clearInterval(trickle)
console.log(`left ${open}`)
process.exit(0)
