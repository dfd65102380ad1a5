import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MESSAGES_MAX } from '../../src/http/predict/socket.ts'
import { createEngine, type Engine } from '../../src/index.ts'
import { answerOf, DOORS, failure } from '../support/doors.ts'
import { bytesOf } from '../support/infer-body.ts'
import { type Message, openLive } from '../support/live-socket.ts'
import { createServer } from '../support/server.ts'
import { identityModel } from '../support/tiny-models.ts'
import { bearer, makeToken, nowSeconds, SECRET } from '../support/tokens.ts'
import { until } from '../support/until.ts'

const EXPIRED = expect.stringMatching(/^The access token expired at [\d-]+T[\d:]+Z$/)
const folder = mkdtempSync(join(tmpdir(), 'vestal-live-'))
const put = (name: string, bytes: Uint8Array) => Bun.write(join(folder, name, '1/model.onnx'), bytes)
await put('pair', identityModel('FP32', ['n', 2]))
await put('ranked', identityModel('FP32', ['n']))
await Bun.write(join(folder, 'ranked/model.toml'), '[serving]\npriority_levels = 2\npriority_default = 2\n')
await put('int64', identityModel('INT64', ['n']))
await put('broken', Buffer.from('nothing'))

const loaded = await createEngine({ modelsDirectory: folder, threads: 1, warn: () => undefined })
/** Runs wait for this. */
let gate: Promise<void> = Promise.resolve()
let asked = 0
const timeouts: (number | undefined)[] = []
const signals: (AbortSignal | undefined)[] = []
const engine: Engine = {
  ...loaded,
  infer: async (model, version, inputs, options) => {
    asked += 1
    signals.push(typeof options?.signal === 'function' ? options.signal() : options?.signal)
    timeouts.push(options?.timeoutMs)
    await gate
    return loaded.infer(model, version, inputs, options)
  },
}
const clock = { now: Date.now }
const revoked = new Set<string>()
const app = createServer(engine, {
  bodyBytesMax: 10_000,
  authentication: {
    secret: SECRET,
    now: () => clock.now(),
    isRevoked: ({ payload }) => typeof payload.jti === 'string' && revoked.has(payload.jti),
  },
})
app.listen({ port: 0, hostname: '127.0.0.1' })
const port = app.server?.port ?? 0
afterAll(async () => {
  await app.stop(true)
  await engine.stop()
  rmSync(folder, { recursive: true })
})

const openSocket = (model: string, headers: Record<string, string> = bearer('model:*:predict')) =>
  openLive(`ws://127.0.0.1:${port}/models/${model}/live`, { headers })

const json = async (message: Promise<Message> | Message) => JSON.parse(String(await message)) as unknown
const frame = (body: unknown, ...blobs: readonly Uint8Array[]) => {
  const text = body === undefined ? Buffer.alloc(0) : Buffer.from(JSON.stringify(body))
  const length = Buffer.alloc(4)
  length.writeUInt32LE(text.length)
  return Buffer.concat([length, text, ...blobs])
}
const readFrame = (message: Message) => {
  const bytes = Buffer.from(message as Uint8Array)
  const length = bytes.readUInt32LE()
  return { json: JSON.parse(bytes.subarray(4, 4 + length).toString()) as unknown, rest: bytes.subarray(4 + length) }
}
describe('a socket', () => {
  test('answers one message with one, in the form that it came in', async () => {
    const { ask, socket } = await openSocket('pair')
    expect(await json(ask('{"input":[[1,2],[3,4]]}'))).toEqual({
      output: [
        [1, 2],
        [3, 4],
      ],
    })
    expect(await json(ask('{"input":{"x":[[1,2]]}}'))).toEqual({ output: { y: [[1, 2]] } })
    expect(await json(ask('{"id":"7","inputs":[{"name":"x","datatype":"FP32","shape":[1,2],"data":[1,2]}]}'))).toEqual({
      model_name: 'pair',
      model_version: '1',
      id: '7',
      outputs: [{ name: 'y', datatype: 'FP32', shape: [1, 2], data: [1, 2] }],
    })
    socket.close()
  })

  test('keeps 64-bit integers exact', async () => {
    const { ask, socket } = await openSocket('int64')
    expect(await ask('{"input":[9007199254740993]}')).toBe('{"output":[9007199254740993]}')
    socket.close()
  })

  test('is served before the others only where its token grants that', async () => {
    const urgent = '{"inputs":[{"name":"x","datatype":"FP32","shape":[1],"data":[1]}],"parameters":{"priority":1}}'
    const plain = await openSocket('ranked')
    expect(await json(plain.ask(urgent))).toMatchObject({
      status_code: 403,
      detail: expect.stringContaining('model:ranked:priority'),
    })
    expect(await json(plain.ask(urgent.replace('"priority":1', '"priority":2')))).toMatchObject({ model_name: 'ranked' })
    plain.socket.close()
    const granted = await openSocket('ranked', bearer('model:*:predict', 'model:*:priority'))
    expect(await json(granted.ask(urgent))).toMatchObject({ model_name: 'ranked' })
    granted.socket.close()
  })

  test('may take the time that its parameters give it, and no more', async () => {
    const message = (timeout: number) =>
      `{"inputs":[{"name":"x","datatype":"FP32","shape":[1,2],"data":[1,2]}],"parameters":{"timeout":${timeout}}}`
    const { ask, socket } = await openSocket('pair')
    expect(await json(ask(message(4_000_000)))).toMatchObject({ model_name: 'pair' })
    expect(timeouts.at(-1)).toBeGreaterThan(0)
    expect(timeouts.at(-1)).toBeLessThanOrEqual(4000)
    const runs = asked
    expect(await json(ask(message(1)))).toEqual({ status_code: 503, detail: 'Request timeout expired', error: null })
    expect(asked).toBe(runs)
    socket.close()
  })

  test('takes binary tensor data, and a raw tensor', async () => {
    const { ask, socket } = await openSocket('pair')
    const blob = bytesOf(new Float32Array([1, 2]))
    const input = { name: 'x', datatype: 'FP32', shape: [1, 2], parameters: { binary_data_size: 8 } }
    for (const message of [frame({ inputs: [input], parameters: { binary_data_output: true } }, blob), frame(undefined, blob)]) {
      const { json: answer, rest } = readFrame(await ask(message))
      expect([answer, rest]).toEqual([
        {
          model_name: 'pair',
          model_version: '1',
          outputs: [{ name: 'y', datatype: 'FP32', shape: [1, 2], parameters: { binary_data_size: 8 } }],
        },
        Buffer.from(blob),
      ])
    }
    socket.close()
  })

  test('answers in order, however many messages come at once', async () => {
    const { socket, next } = await openSocket('pair')
    for (let index = 0; index < 40; index += 1) socket.send(`{"input":[[${index},0]]}`)
    for (let index = 0; index < 40; index += 1) expect(await json(next())).toEqual({ output: [[index, 0]] })
    socket.close()
  })

  test('reports what is wrong with a message, and continues', async () => {
    const { ask, socket } = await openSocket('pair')
    const refusal = (detail: string) => failure(400, detail).body
    for (const [message, detail] of [
      ['x', 'The body is not valid JSON'],
      ['', 'The body is empty; it must be JSON'],
      ['[]', 'a message must be an object with "input" or "inputs"'],
      ['{"input":[[1]]}', "input 'x' has the shape [1,1], but the model takes [-1,2]"],
      [
        '{"inputs":[]}',
        "expected 1 inputs but got 0 inputs for model 'pair'. Got input(s) [], but missing required input(s) ['x']. Please provide all required input(s).",
      ],
    ] as const) {
      expect(await json(ask(message))).toEqual(refusal(detail))
    }
    for (const [message, detail] of [
      [new Uint8Array([1, 2]), 'a binary message must begin with the length of its JSON, in 4 bytes'],
      [new Uint8Array([9, 0, 0, 0, 1]), 'inference header size should be in range (0, 1), got: 9'],
      [
        frame({ inputs: [] }, new Uint8Array(2)),
        "expected 1 inputs but got 0 inputs for model 'pair'. Got input(s) [], but missing required input(s) ['x']. Please provide all required input(s).",
      ],
    ] as const) {
      expect(readFrame(await ask(message)).json).toEqual(refusal(detail))
    }
    expect(await json(ask('{"input":[[1,2]]}'))).toEqual({ output: [[1, 2]] })
    socket.close()
  })

  test('ends where a message is too large, or too many wait', async () => {
    const large = await openSocket('pair')
    expect(await large.ask(`"${'a'.repeat(10_000)}"`)).toEqual({ code: 1009, reason: 'the message is too large' })

    const { promise, resolve } = Promise.withResolvers<void>()
    gate = promise
    const many = await openSocket('pair')
    for (let index = 0; index < MESSAGES_MAX + 2; index += 1) many.socket.send('{"input":[[1,2]]}')
    expect(await many.next()).toEqual({ code: 1013, reason: 'too many messages wait for an answer' })

    // What is rejected at once waits too, or thousands of such messages would be answered before anybody else.
    const rejected = await openSocket('pair')
    for (let index = 0; index < 2000; index += 1) rejected.socket.send('1')
    let last = await rejected.next()
    while (typeof last === 'string') last = await rejected.next()
    expect(last).toEqual({ code: 1013, reason: 'too many messages wait for an answer' })

    const heavy = await openSocket('pair')
    for (let index = 0; index < 3; index += 1) heavy.socket.send(`{"input":[[1,2]],"pad":"${'a'.repeat(9000)}"}`)
    expect(await heavy.next()).toEqual({ code: 1013, reason: 'too many messages wait for an answer' })
    gate = Promise.resolve()
    resolve()
  })

  test('answers whole with pings between', async () => {
    const { socket, ask } = await openSocket('pair')
    const rows = Array.from({ length: 300 }, () => [1.25, 2.5])
    for (let round = 0; round < 8; round += 1) {
      for (let ping = 0; ping < 1000; ping += 1) socket.ping('x'.repeat(125))
      expect(await json(ask(JSON.stringify({ input: rows })))).toEqual({ output: rows })
    }
    socket.close()
  })

  test('gives up what it computes when the client goes', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    gate = promise
    const before = signals.length
    const { socket } = await openSocket('pair')
    socket.send('{"input":[[1,2]]}')
    await until(() => signals.length > before)
    socket.close()
    await until(() => signals.at(-1)?.aborted === true)
    gate = Promise.resolve()
    resolve()
  })

  test('computes nothing while the client does not read', async () => {
    const key = Buffer.alloc(16).toString('base64')
    const socket = connect(port, '127.0.0.1')
    const { promise, resolve } = Promise.withResolvers<void>()
    socket.once('data', () => {
      socket.pause()
      resolve()
    })
    const { authorization } = bearer('model:*:predict')
    socket.write(
      `GET /models/pair/live HTTP/1.1\r\nHost: localhost\r\nAuthorization: ${authorization}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`,
    )
    await promise
    const text = Buffer.from(`{"input":[${Array(900).fill('[0.1,0.2]').join(',')}]}`)
    const head = Buffer.from([0x81, 0x80 | 126, text.length >> 8, text.length & 255, 0, 0, 0, 0])
    const message = Buffer.concat([head, text])
    let last = -1
    let still = 0
    // It goes on sending as long as anything is computed; the answers fill what the system keeps for a socket, and then it stops.
    for (let round = 0; round < 5000 && still < 50; round += 1) {
      const before = asked
      socket.write(message)
      await Bun.sleep(1)
      still = asked === before && asked === last ? still + 1 : 0
      last = asked
    }
    expect(still).toBe(50)
    socket.destroy()
  })
})

describe('a socket and its token', () => {
  const upgrade = {
    upgrade: 'websocket',
    connection: 'Upgrade',
    'sec-websocket-version': '13',
    'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
  }
  const get = (model: string, headers: Record<string, string>) =>
    answerOf(fetch(`http://127.0.0.1:${port}/models/${model}/live`, { headers: { ...upgrade, ...headers } }))

  test('is not opened without the permission', async () => {
    expect(await get('pair', {})).toEqual(failure(401, 'Unauthorized'))
    expect(await get('pair', { authorization: 'Bearer a.b.c' })).toEqual(failure(401, 'Unauthorized'))
    expect(await get('pair', bearer('model:int64:predict', 'model:pair:read'))).toEqual(failure(403, 'Insufficient permissions'))
    expect(await get('none', bearer('*'))).toEqual(failure(404, "Request for unknown model: 'none' is not found"))
    expect((await get('broken', bearer('*'))).status).toBe(503)
  })

  test('is not opened for a request that asks for no upgrade', async () => {
    for (const open of DOORS) {
      const other = createServer(engine)
      const door = open(other)
      const response = await door.fetch('/models/pair/live', { headers: bearer('*') })
      expect([response.status, response.headers.get('upgrade')]).toEqual([426, 'websocket'])
      await door.close()
    }
  })

  test('is closed with the first message after its token has expired', async () => {
    const { ask, next } = await openSocket('pair')
    expect(await json(ask('{"input":[[1,2]]}'))).toEqual({ output: [[1, 2]] })
    clock.now = () => Date.now() + 7_200_000
    expect(await json(ask('{"input":[[1,2]]}'))).toEqual(failure(401, EXPIRED).body)
    expect(await next()).toEqual({ code: 3000, reason: EXPIRED })
    clock.now = Date.now
  })

  test('is closed with its token, though nothing is said', async () => {
    const payload = { exp: nowSeconds() - 4, data: { permissions: ['model:*:predict'] } }
    const { next } = await openSocket('pair', { authorization: `Bearer ${makeToken({ payload })}` })
    expect(await next()).toEqual({ code: 3000, reason: EXPIRED })
  })

  test('is closed with the first message after its token was revoked', async () => {
    const payload = { jti: 'one', exp: nowSeconds() + 60, data: { permissions: ['model:*:predict'] } }
    const { ask, next } = await openSocket('pair', { authorization: `Bearer ${makeToken({ payload })}` })
    expect(await json(ask('{"input":[[1,2]]}'))).toEqual({ output: [[1, 2]] })
    revoked.add('one')
    expect(await json(ask('{"input":[[1,2]]}'))).toEqual(failure(401, 'The access token was revoked').body)
    expect(await next()).toEqual({ code: 3000, reason: 'The access token was revoked' })
  })
})
