import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Elysia } from 'elysia'
import { serveModels } from '../../src/index.ts'
import { bundledEngine, createServer } from '../support/server.ts'
import { identityModel } from '../support/tiny-models.ts'
import { bearer, SECRET } from '../support/tokens.ts'
import { until } from '../support/until.ts'

const folder = mkdtempSync(join(tmpdir(), 'vestal-unread-'))
await Bun.write(join(folder, 'models/fp32/1/model.onnx'), identityModel('FP32'))
const engine = await bundledEngine(join(folder, 'models'))
afterAll(async () => {
  await engine.stop()
  rmSync(folder, { recursive: true })
})

/** Far more than the system keeps for a connection. */
const ROWS = 2_000_000
const BODY = `{"input":[${'1.5,'.repeat(ROWS - 1)}1.5]}`
const ANSWER_BYTES = BODY.length
const { authorization } = bearer('*')

interface Listening {
  readonly where: { readonly port: number; readonly host: string } | { readonly path: string }
  readonly close: () => Promise<unknown>
}

const app = (where: Record<string, unknown>) => {
  const server = createServer(engine)
  server.listen(where as { port: number })
  return server
}
const PLACES: Readonly<Record<string, () => Listening>> = {
  'over TCP': () => {
    const server = app({ port: 0, hostname: '127.0.0.1' })
    return { where: { port: server.server?.port ?? 0, host: '127.0.0.1' }, close: () => server.stop(true) }
  },
  'over a unix socket': () => {
    const path = join(folder, `socket-${crypto.randomUUID().slice(0, 8)}`)
    const server = app({ unix: path })
    return { where: { path }, close: () => server.stop(true) }
  },
  'from the models of somebody else’s app': () => {
    const server = new Elysia().use(serveModels({ engine, authentication: { secret: SECRET } }))
    server.listen({ port: 0, hostname: '127.0.0.1' })
    return { where: { port: server.server?.port ?? 0, host: '127.0.0.1' }, close: () => server.stop(true) }
  },
}

/** Sends a request and reads nothing of its answer but its beginning. */
async function ask({ where }: Listening, path = '/models/fp32/predict/', body = BODY): Promise<{ socket: Socket; head: string }> {
  const socket = connect(where as { port: number })
  const { promise, resolve } = Promise.withResolvers<string>()
  socket.once('data', (chunk) => {
    socket.pause()
    resolve(chunk.toString('latin1', 0, 500))
  })
  socket.write(
    `POST ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: ${authorization}\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  )
  return { socket, head: await promise }
}

/** Whatever is answered meanwhile, the one answer stays charged. */
async function staysCharged(server: Listening): Promise<void> {
  for (let others = 0; others < 50; others += 1) {
    expect(engine.memory?.bytes).toBeGreaterThanOrEqual(ANSWER_BYTES)
    const other = await ask(server, '/models/fp32/predict/', '{"input":[1.5]}')
    expect(other.head).toStartWith('HTTP/1.1 200')
    other.socket.destroy()
  }
}

for (const [place, listen] of Object.entries(PLACES)) {
  describe(`an answer ${place}`, () => {
    test('is charged until its client has read it', async () => {
      const server = listen()
      const { socket, head } = await ask(server)
      expect(head).toStartWith('HTTP/1.1 200')
      expect(head.toLowerCase()).toContain('content-length')
      await staysCharged(server)
      socket.on('data', () => undefined)
      socket.resume()
      await until(() => engine.memory?.bytes === 0)
      socket.destroy()
      await server.close()
    })

    test('is charged until its connection is gone', async () => {
      const server = listen()
      const { socket } = await ask(server)
      await staysCharged(server)
      socket.destroy()
      await until(() => engine.memory?.bytes === 0)
      await server.close()
    })

    test('that is small is not charged, nor is one that was read', async () => {
      const server = listen()
      const { socket } = await ask(server, '/models/fp32/predict/', '{"input":[1.5]}')
      expect(engine.memory?.bytes).toBe(0)
      socket.destroy()
      await server.close()
    })
  })
}
