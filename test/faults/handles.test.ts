import { expect, test } from 'bun:test'
import { connect, type Socket } from 'node:net'
import { Workplace } from '../support/command-line.ts'
import { bearer, SECRET } from '../support/tokens.ts'
import { until } from '../support/until.ts'

const HANDLES = 100
const prlimit = Bun.which('prlimit')

/** A connection that is open, or was refused. */
function open(port: number): Promise<Socket> {
  const { promise, resolve } = Promise.withResolvers<Socket>()
  const socket = connect(port, '127.0.0.1', () => resolve(socket))
  socket.on('error', () => resolve(socket))
  return promise
}

if (prlimit === null) console.warn('skipped: prlimit is not on this machine')
else
  test('a server whose file handles are used up answers who is connected, and everybody once there are some again', async () => {
    using place = new Workplace()
    const { base, child } = await place.start([], { VESTAL_SECRET: SECRET })
    const predict = { method: 'POST', headers: bearer('*'), body: '{"input":[[5.1,3.5,1.4,0.2]]}', keepalive: true }
    const ask = async (init = {}) => (await fetch(`${base}/models/iris/predict/`, { ...predict, ...init })).status
    expect(await ask()).toBe(200)
    // What it has now, and so many more.
    const used = await openHandles(base)
    Bun.spawnSync([prlimit, '--pid', String(child.pid), `--nofile=${used + HANDLES}`])
    const port = Number(new URL(base).port)
    const sockets = await Promise.all(Array.from({ length: 3 * HANDLES }, () => open(port)))
    // Some are accepted and the rest wait with the system, or are closed at once: no answer can be asked of those.
    const answered = await Promise.all(sockets.slice(0, 10).map(askRaw))
    expect(answered.filter((text) => text.startsWith('HTTP/1.1 200')).length).toBeGreaterThan(0)
    expect(answered.filter((text) => text !== '' && !text.startsWith('HTTP/1.1 200'))).toEqual([])
    expect(child.exitCode).toBeNull()
    for (const socket of sockets) socket.destroy()
    await until(() =>
      ask({ signal: AbortSignal.timeout(10_000) }).then(
        (status) => status === 200,
        () => false,
      ),
    )
    child.kill('SIGTERM')
    expect(await child.exited).toBe(0)
  }, 120_000)

async function openHandles(base: string): Promise<number> {
  const text = await (await fetch(`${base}/metrics`, { headers: bearer('metrics:read') })).text()
  return Number(/^process_open_fds (\d+)$/m.exec(text)?.[1])
}

/** What is answered to a question on a connection; nothing where it is closed. */
function askRaw(socket: Socket): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>()
  let text = ''
  socket.on('data', (chunk) => {
    text += chunk.toString()
    if (text.includes('"live"') || text.includes('\r\n\r\n')) resolve(text)
  })
  socket.on('close', () => resolve(text))
  socket.write('GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n')
  if (socket.destroyed) resolve('')
  return promise
}
