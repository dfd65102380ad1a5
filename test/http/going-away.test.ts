import { afterAll, afterEach, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createReadiness } from '../../src/http/readiness.ts'
import { createEngine, type Engine } from '../../src/index.ts'
import { openLive } from '../support/live-socket.ts'
import { createServer } from '../support/server.ts'
import { identityModel } from '../support/tiny-models.ts'
import { bearer } from '../support/tokens.ts'
import { until } from '../support/until.ts'

const folder = mkdtempSync(join(tmpdir(), 'vestal-going-'))
await Bun.write(join(folder, 'pair/1/model.onnx'), identityModel('FP32', ['n', 2]))
const loaded = await createEngine({ modelsDirectory: folder, threads: 1, warn: () => undefined })
/** Runs wait for this. */
let gate = Promise.withResolvers<void>()
let asked = 0
const engine: Engine = {
  ...loaded,
  infer: async (...question) => {
    asked += 1
    await gate.promise
    return loaded.infer(...question)
  },
}
afterAll(async () => {
  await loaded.stop()
  rmSync(folder, { recursive: true })
})
afterEach(() => {
  gate = Promise.withResolvers()
  gate.resolve()
})
gate.resolve()

const headers = bearer('model:*:predict')
const ONE = '{"input":[[1,2]]}'
const ANSWER = '{"output":[[1,2]]}'
const GOING = { code: 1001, reason: 'the server is going away' }

function serve() {
  const readiness = createReadiness(engine)
  const app = createServer(engine, { operations: { readiness } })
  const listen = () => {
    app.listen({ port: 0, hostname: '127.0.0.1' })
    return app.server?.port
  }
  const port = listen()
  return {
    readiness,
    listen,
    open: (at = port) => openLive(`ws://127.0.0.1:${at}/models/pair/live`, { headers }),
    stream: (body: ReadableStream | string, more: Record<string, string> = {}) =>
      fetch(`http://127.0.0.1:${port}/models/pair/stream/`, {
        method: 'POST',
        headers: { ...headers, 'content-type': 'application/x-ndjson', ...more },
        body,
      }),
    stop: () => app.server?.stop(),
    [Symbol.asyncDispose]: async () => void (await app.stop(true)),
  }
}

describe('a socket, when another process has taken the place of this one', () => {
  test('is closed as going away, and the server waits for nothing', async () => {
    await using server = serve()
    const { ask, next } = await server.open()
    expect(await ask(ONE)).toBe(ANSWER)
    server.readiness.drain()
    expect(await next()).toEqual(GOING)
    await server.stop()
  })

  test('answers what came before, and nothing that comes after', async () => {
    await using server = serve()
    gate = Promise.withResolvers()
    const { socket, next } = await server.open()
    const before = asked
    socket.send(ONE)
    socket.send('{"input":[[3,4]]}')
    await until(() => asked === before + 1)
    server.readiness.drain()
    socket.send('{"input":[[5,6]]}')
    gate.resolve()
    expect([await next(), await next(), await next()]).toEqual([ANSWER, '{"output":[[3,4]]}', GOING])
    expect(asked).toBe(before + 2)
  })

  test('that opens only then is closed at once', async () => {
    await using server = serve()
    server.readiness.drain()
    expect(await (await server.open()).next()).toEqual(GOING)
  })

  test('stays open for as long as the server is only about to stop', async () => {
    await using server = serve()
    const { ask, next } = await server.open()
    server.readiness.stop()
    expect(await ask(ONE)).toBe(ANSWER)
    server.readiness.leave()
    expect(await next()).toEqual(GOING)
  })
})

describe('a stream', () => {
  /** A body with one row, whose other rows come when asked for. */
  const openBody = () => {
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>()
    const writer = writable.getWriter()
    return { readable, send: (text: string) => writer.write(Buffer.from(text)).catch(() => undefined), end: () => writer.close() }
  }
  const ROW = '[1,2]\n'
  const ANSWERED = '{"row":0,"output":[1,2]}\n'

  test('is finished where another process has taken the place of this one', async () => {
    await using server = serve()
    const body = openBody()
    void body.send(ROW)
    const reader = (await server.stream(body.readable)).body?.pipeThrough(new TextDecoderStream()).getReader()
    expect((await reader?.read())?.value).toBe(ANSWERED)
    server.readiness.drain()
    await body.send(ROW)
    expect((await reader?.read())?.value).toBe('{"row":1,"output":[1,2]}\n')
    await body.end()
    expect((await reader?.read())?.done).toBe(true)
  })

  for (const [form, failed] of [
    ['application/x-ndjson', '{"row":1,"status_code":503,'],
    ['text/event-stream', 'event: failure\nid: 1\ndata: {"row":1,"status_code":503,'],
  ] as const) {
    test(`of ${form} ends with a failure where the server stops, also where no row comes`, async () => {
      await using server = serve()
      const body = openBody()
      void body.send(ROW)
      const reader = (await server.stream(body.readable, { accept: form })).body?.pipeThrough(new TextDecoderStream()).getReader()
      await reader?.read()
      server.readiness.leave()
      const { value } = (await reader?.read()) ?? {}
      expect(value).toStartWith(failed)
      expect((await reader?.read())?.done).toBe(true)
      await server.stop()
    })
  }

  test('answers the rows that it has before it says so', async () => {
    await using server = serve()
    gate = Promise.withResolvers()
    const body = openBody()
    const before = asked
    void body.send(`${ROW}[3,4]\n`)
    const answer = server.stream(body.readable).then((response) => response.text())
    await until(() => asked > before)
    server.readiness.leave()
    gate.resolve()
    const lines = (await answer).trim().split('\n')
    expect(lines.slice(0, 2)).toEqual([ANSWERED.trim(), '{"row":1,"output":[3,4]}'])
    expect(lines.slice(2)).toEqual([expect.stringContaining('"row":2,"status_code":503')])
  })
})

test('a socket opens on each server that the app listens with', async () => {
  await using server = serve()
  const second = server.listen()
  for (const port of [undefined, second]) {
    const { ask, socket } = await server.open(port)
    expect(await ask(ONE)).toBe(ANSWER)
    socket.close()
  }
})
