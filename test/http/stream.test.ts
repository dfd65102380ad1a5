import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { VestalError } from '../../src/core/errors.ts'
import { createEngine, type Engine } from '../../src/index.ts'
import { answerOf, DOORS, failure } from '../support/doors.ts'
import { createServer } from '../support/server.ts'
import { identityModel, twoOutputModel } from '../support/tiny-models.ts'
import { bearer, SECRET } from '../support/tokens.ts'
import { until } from '../support/until.ts'

const folder = mkdtempSync(join(tmpdir(), 'vestal-stream-'))
const put = (name: string, bytes: Uint8Array) => Bun.write(join(folder, name, '1/model.onnx'), bytes)
await put('pair', identityModel('FP32', ['n', 2]))
await put('int64', identityModel('INT64', ['n']))
await put('two', twoOutputModel())
await put('gone', identityModel('FP32', ['n']))
await put('broken', Buffer.from('nothing'))

const loaded = await createEngine({ modelsDirectory: folder, threads: 1, warn: () => undefined, modelControl: 'explicit' })
/** What the next request finds, before the engine itself. */
const refusals: VestalError[] = []
let asked = 0
const signals: (AbortSignal | undefined)[] = []
const engine: Engine = {
  ...loaded,
  infer: async (model, version, inputs, options) => {
    asked += 1
    signals.push(typeof options?.signal === 'function' ? options.signal() : options?.signal)
    const refusal = refusals.shift()
    if (refusal !== undefined) throw refusal
    return loaded.infer(model, version, inputs, options)
  },
}
const clock = { now: Date.now }
const bugs: unknown[] = []
afterAll(async () => {
  await engine.stop()
  rmSync(folder, { recursive: true })
})

const ALL = bearer('*')
const LINES = { 'content-type': 'application/x-ndjson' }

/** Rows as lines, and then nothing more until `end` is called. */
function openBody() {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>()
  const writer = writable.getWriter()
  return { readable, send: (text: string) => writer.write(Buffer.from(text)), end: () => writer.close() }
}

for (const open of DOORS) {
  const app = createServer(engine, {
    bodyBytesMax: 10_000,
    authentication: { secret: SECRET, now: () => clock.now() },
    report: (error) => bugs.push(error),
  })
  const door = open(app)
  afterAll(door.close)
  const post = (model: string, body: unknown, headers: Record<string, string> = {}, more: RequestInit = {}) =>
    door.fetch(`/models/${model}/stream/`, { method: 'POST', headers: { ...ALL, ...headers }, body: body as string, ...more })
  const lines = async (response: Response | Promise<Response>) => {
    const text = await (await response).text()
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
  }

  describe(`a stream of rows, ${door.name}`, () => {
    test('is answered with one line a row, in order', async () => {
      for (const [body, headers] of [
        ['[[1,2],[3,4]]', {}],
        ['{"input": [[1,2],[3,4]]}', {}],
        ['[1,2]\n[3,4]', LINES],
        ['{"x":[1,2]}\n{"x":[3,4]}\n', {}],
      ] as const) {
        const response = await post('pair', body, headers)
        expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/x-ndjson'])
        expect(await lines(response)).toEqual([
          { row: 0, output: [1, 2] },
          { row: 1, output: [3, 4] },
        ])
      }
    })

    test('is answered with events for who asks for them', async () => {
      const response = await post('two', '[[1,2],[1]]', { accept: 'text/event-stream' })
      expect([response.headers.get('content-type'), response.headers.get('cache-control')]).toEqual([
        'text/event-stream; charset=utf-8',
        'no-store',
      ])
      expect(await response.text()).toBe(
        'id: 0\ndata: {"row":0,"output":{"double":[2,4],"negative":[-1,-2]}}\n\n' +
          'event: failure\nid: 1\ndata: {"row":1,"status_code":400,"detail":"input \'x\' has the shape [1,1], but the model takes [-1,2]","error":null}\n\n',
      )
    })

    test('keeps 64-bit integers exact, and takes values that are no lists', async () => {
      expect(await (await post('int64', '[9007199254740993,-9223372036854775808]')).text()).toBe(
        '{"row":0,"output":9007199254740993}\n{"row":1,"output":-9223372036854775808}\n',
      )
    })

    test('of no rows has no events', async () => {
      expect(await lines(post('pair', '[]'))).toEqual([])
    })

    test('names the row that is wrong, and continues with the others', async () => {
      const answers = await lines(post('pair', '[1,2]\n[1,"a"]\nnonsense\n{"z":[1,2]}\n[5,6]\n', LINES))
      expect(answers).toEqual([
        { row: 0, output: [1, 2] },
        { row: 1, status_code: 400, detail: `input 'x': element 1 must be a number of FP32, got "a"`, error: null },
        { row: 2, status_code: 400, detail: 'The body is not valid JSON', error: null },
        { row: 3, status_code: 400, detail: `"input": the model has no input 'z'; it has 'x'`, error: null },
        { row: 4, output: [5, 6] },
      ])
    })

    test('ends with its failure where the body is broken, after the rows that were whole', async () => {
      expect(await lines(post('pair', '[[1,2] [3,4]]'))).toEqual([
        { row: 0, output: [1, 2] },
        { row: 1, status_code: 400, detail: 'rows of the array must be separated by commas', error: null },
      ])
      expect(await lines(post('pair', `[[1,2],[${'1'.repeat(20_000)}`))).toEqual([
        { row: 0, output: [1, 2] },
        { row: 1, status_code: 413, detail: 'a row is larger than 10000 bytes, the most that one may have', error: null },
      ])
    })

    test('may be longer than a body may be', async () => {
      const rows = Array.from({ length: 3000 }, (_, index) => `[${index},0.5]`)
      const answers = await lines(post('pair', `[${rows.join(',')}]`))
      expect([answers.length, answers.at(-1)]).toEqual([3000, { row: 2999, output: [2999, 0.5] }])
    })

    test('is rejected before it begins, as every prediction is', async () => {
      expect(await answerOf(post('none', '[]'))).toEqual(failure(404, "Request for unknown model: 'none' is not found"))
      expect((await post('broken', '[]')).status).toBe(503)
      expect((await post('pair', '[]', bearer('model:pair:read'))).status).toBe(403)
      expect((await post('pair', '[]', { authorization: 'Bearer a.b.c' })).status).toBe(401)
    })

    test('waits where a queue is full, and then continues', async () => {
      refusals.push(new VestalError('QUEUE_FULL'), new VestalError('SUBJECT_LIMIT'))
      expect(await lines(post('pair', '[[1,2]]'))).toEqual([{ row: 0, output: [1, 2] }])
    })

    test('ends where no row could be answered any more, and where it is our bug, which is reported', async () => {
      refusals.push(new VestalError('SERVER_STOPPING'))
      const stopped = await lines(post('pair', '[[1,2],[3,4]]'))
      expect(stopped).toEqual([{ row: 0, status_code: 503, detail: 'Server is stopping', error: null }])
      refusals.push(new TypeError('a bug') as unknown as VestalError)
      expect(await lines(post('pair', '[[1,2]]'))).toEqual([
        { row: 0, status_code: 500, detail: 'Internal Server Error', error: null },
      ])
      expect(bugs.splice(0)).toEqual([new TypeError('a bug')])
    })

    test('answers a row while the next has not come, and ends with its token', async () => {
      const body = openBody()
      const answering = post('pair', body.readable, LINES, { duplex: 'half' } as RequestInit)
      void body.send('[1,2]\n')
      const reader = (await answering).body?.pipeThrough(new TextDecoderStream()).getReader()
      expect((await reader?.read())?.value).toBe('{"row":0,"output":[1,2]}\n')
      await body.send('[3,4]\n')
      expect((await reader?.read())?.value).toBe('{"row":1,"output":[3,4]}\n')
      clock.now = () => Date.now() + 7_200_000
      await body.send('[5,6]\n')
      expect((await reader?.read())?.value).toMatch(
        /^\{"row":2,"status_code":401,"detail":"The access token expired at [\d-]+T[\d:]+Z","error":null\}\n$/,
      )
      clock.now = Date.now
      expect((await reader?.read())?.done).toBe(true)
      body.end().catch(() => undefined)
    })

    test('ends where the model is unloaded', async () => {
      const body = openBody()
      const answering = post('gone', body.readable, LINES, { duplex: 'half' } as RequestInit)
      void body.send('1\n')
      const reader = (await answering).body?.pipeThrough(new TextDecoderStream()).getReader()
      expect((await reader?.read())?.value).toBe('{"row":0,"output":1}\n')
      await engine.unload('gone')
      await body.send('2\n')
      expect((await reader?.read())?.value).toStartWith('{"row":1,"status_code":404,')
      expect((await reader?.read())?.done).toBe(true)
      body.end().catch(() => undefined)
      await engine.load('gone')
    })
  })

  if (door.name === 'in memory') {
    test('no more of a body is read than is answered', async () => {
      let read = 0
      let isCancelled = false
      const body = new ReadableStream(
        {
          pull(controller) {
            read += 1
            controller.enqueue(Buffer.from('[1,2]\n'))
          },
          cancel: () => {
            isCancelled = true
          },
        },
        { highWaterMark: 0 },
      )
      const before = asked
      const response = await post('pair', body, LINES, { duplex: 'half' } as RequestInit)
      const reader = response.body?.getReader()
      for (let row = 0; row < 1000; row += 1) await reader?.read()
      expect(read).toBeLessThan(1100)
      expect(asked - before).toBeLessThanOrEqual(read)
      await reader?.cancel()
      await until(() => isCancelled)
      expect(signals.at(-1)?.aborted).toBe(true)
      const after = read
      await Bun.sleep(5)
      expect(read).toBe(after)
    })
  } else {
    test('everything stops when the client goes', async () => {
      const before = signals.length
      const socket = connect(app.server?.port ?? 0, '127.0.0.1')
      socket.write(
        `POST /models/pair/stream/ HTTP/1.1\r\nHost: localhost\r\nAuthorization: ${ALL.authorization}\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n[1,2]\n\r\n`,
      )
      const { promise, resolve } = Promise.withResolvers<void>()
      socket.on('data', (data) => data.includes('"row":0') && resolve())
      await promise
      socket.destroy()
      await until(() => signals.length > before && signals.slice(before).every((signal) => signal?.aborted === true))
    })
  }
}
