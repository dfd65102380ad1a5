/** The acceptance list of the protocol's server in Triton, one test a line, over a socket. */
import { afterAll, describe, expect, test } from 'bun:test'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { deflateSync, gunzipSync, gzipSync, inflateSync } from 'node:zlib'
import { createEngine } from '../../src/index.ts'
import { answerOf } from '../support/doors.ts'
import { binaryBody, bytesOf, readBinaryAnswer, textBytes } from '../support/infer-body.ts'
import { defaultedModel } from '../support/odd-models.ts'
import { createServer } from '../support/server.ts'
import { identityModel, onnxModel, reciprocalModel, slowModel, twoOutputModel } from '../support/tiny-models.ts'
import { bearer } from '../support/tokens.ts'
import { until } from '../support/until.ts'

const folder = mkdtempSync(join(tmpdir(), 'vestal-acceptance-'))
const models = join(folder, 'models')
const put = (name: string, bytes: Uint8Array | string, version = 1) =>
  Bun.write(join(models, name, `${version}/model.onnx`), bytes)
for (const datatype of ['BOOL', 'FP16', 'FP32', 'BYTES', 'INT64', 'FP64'] as const)
  await put(datatype.toLowerCase(), identityModel(datatype))
await put('scalar', identityModel('FP32', []))
await put('rows', identityModel('FP32', ['n', 2]))
await put('open', identityModel('FP32', ['n', 'm', 'k']))
await put('texts', identityModel('BYTES', [2]))
await put('defaulted', defaultedModel())
await put('two', twoOutputModel())
await put('reciprocal', reciprocalModel())
await put('slow', slowModel(8))
await put(
  'sum',
  onnxModel({
    nodes: [{ operator: 'Add', inputs: ['a', 'b'], outputs: ['c'] }],
    inputs: ['a', 'b'].map((name) => ({ name, datatype: 'FP32' as const, shape: ['n'] })),
    outputs: [{ name: 'c', datatype: 'FP32', shape: ['n'] }],
  }),
)
for (let index = 0; index < 16; index += 1) await put(`many-${index}`, identityModel('FP32'))

const engine = await createEngine({
  modelsDirectory: models,
  threads: 1,
  queueMax: 2,
  warn: () => undefined,
  modelControl: 'explicit',
})
const app = createServer(engine)
app.listen({ port: 0, hostname: '127.0.0.1' })
const port = app.server?.port ?? 0
const base = `http://127.0.0.1:${port}`
afterAll(async () => {
  await app.stop(true)
  await engine.stop()
  rmSync(folder, { recursive: true })
})

const ALL = bearer('*')
const RAW = { 'inference-header-content-length': '0' }
const post = (path: string, body: unknown, headers: Record<string, string> = {}, at = base) => {
  const bytes = typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body)
  return fetch(`${at}${path}`, {
    method: 'POST',
    headers: { ...ALL, ...headers },
    body: bytes as string,
    decompress: false,
  } as RequestInit)
}
const infer = (model: string, body: unknown, headers: Record<string, string> = {}) =>
  post(`/v2/models/${model}/infer`, body, headers)
const answer = (model: string, body: unknown, headers: Record<string, string> = {}) => answerOf(infer(model, body, headers))
const errorOf = async (response: Promise<{ status: number; body: unknown }>) => {
  const { status, body } = await response
  return [status, (body as { error?: string }).error]
}
const input = (datatype: string, shape: readonly number[], data: readonly unknown[]) => ({ name: 'x', datatype, shape, data })
const isLive = async () => (await fetch(`${base}/v2/health/live`)).status === 200
/** A square that takes the slow model about a tenth of a second. */
const SLOW = { inputs: [input('FP32', [700, 700], Array(490_000).fill(0))] }

describe('a raw request', () => {
  test('of floats, and of bytes', async () => {
    const floats = bytesOf(new Float32Array([1, 2, 3, 4]))
    expect((await readBinaryAnswer(await infer('rows', floats, RAW))).blobs.y).toEqual(new Uint8Array(floats))
    expect((await readBinaryAnswer(await infer('bytes', Buffer.from('text'), RAW))).blobs.y).toEqual(
      new Uint8Array(textBytes('text')),
    )
  })

  test('is rejected for several inputs, several dimensions of any size, and texts of another shape', async () => {
    expect(await errorOf(answer('open', new Uint8Array(8), RAW))).toEqual([
      400,
      expect.stringContaining('more than one variable-sized'),
    ])
    expect(await errorOf(answer('texts', new Uint8Array(8), RAW))).toEqual([
      400,
      expect.stringContaining('must have input shape [1]'),
    ])
    expect(await errorOf(answer('sum', new Uint8Array(8), RAW))).toEqual([400, expect.stringContaining('got 2 inputs')])
  })
})

/** Sends a body in chunks of a size, and gives the status of the answer, which may come before the last. */
function sendChunks(
  path: string,
  { chunk, count, headers = '' }: { chunk: Uint8Array; count: number; headers?: string },
): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>()
  const socket = connect(port, '127.0.0.1')
  let text = ''
  const finish = () => {
    resolve(Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0))
    socket.destroy()
  }
  socket.on('data', (data) => {
    text += data.toString('latin1')
    if (text.includes('\r\n\r\n')) finish()
  })
  socket.on('error', finish)
  socket.on('close', finish)
  socket.on('connect', async () => {
    socket.write(
      `POST ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: ${ALL.authorization}\r\n${headers}Transfer-Encoding: chunked\r\n\r\n`,
    )
    const piece = Buffer.concat([Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from('\r\n')])
    const many = Math.max(1, Math.floor(65_536 / piece.length))
    const block = Buffer.concat(Array(many).fill(piece))
    for (let sent = 0; sent < count && !socket.destroyed; sent += many) {
      const isLast = sent + many > count
      const more = socket.write(isLast ? Buffer.concat(Array(count - sent).fill(piece)) : block)
      if (!more) await Promise.race([once(socket, 'drain'), promise])
    }
    if (!socket.destroyed) socket.write('0\r\n\r\n')
  })
  return promise
}

describe('bodies', () => {
  test('come in chunks, in more than 65 536 of them too', async () => {
    const space = Buffer.from(' ')
    expect(await sendChunks('/v2/repository/index', { chunk: Buffer.from('{}'), count: 1 })).toBe(200)
    expect(await sendChunks('/v2/repository/index', { chunk: space, count: 70_000 })).toBe(400)
    expect(
      await sendChunks('/v2/models/fp32/infer', {
        chunk: new Uint8Array(4),
        count: 70_000,
        headers: 'Inference-Header-Content-Length: 0\r\n',
      }),
    ).toBe(200)
  })

  test('are at most 64 MiB, as JSON, raw and compressed, unless the limit is another', async () => {
    const [limit, over] = [64 * 2 ** 20, 64 * 2 ** 20 + 4]
    const json = `request JSON size of ${over} bytes exceeds the maximum allowed input size of ${limit} bytes. Use --body-bytes-max`
    const raw = (bytes: string) =>
      `Raw input has a byte_size (${bytes} bytes) that exceeds the maximum allowed value of ${limit} bytes`
    expect(await errorOf(answer('fp32', Buffer.alloc(over, ' ')))).toEqual([413, expect.stringContaining(json)])
    expect(await errorOf(answer('fp32', new Uint8Array(over), RAW))).toEqual([413, expect.stringContaining(raw(String(over)))])
    // Zeros alone would expand to more than a compressed body may.
    const sparse = new Uint8Array(over)
    for (let index = 0; index < over; index += 64) sparse[index] = Math.random() * 256
    for (const [coding, body] of [
      ['gzip', gzipSync(sparse)],
      ['deflate', deflateSync(sparse)],
    ] as const) {
      expect(await errorOf(answer('fp32', body, { ...RAW, 'content-encoding': coding }))).toEqual([
        413,
        expect.stringContaining(raw(`more than ${limit}`)),
      ])
    }
    const raised = createServer(engine, { bodyBytesMax: over })
    raised.listen({ port: 0, hostname: '127.0.0.1' })
    const at = `http://127.0.0.1:${raised.server?.port}`
    const response = await post('/v2/models/fp32/infer', new Uint8Array(over), RAW, at)
    expect([response.status, (await readBinaryAnswer(response)).blobs.y?.length]).toEqual([200, over])
    await raised.stop(true)
  })

  test('of two gigabytes are rejected, declared or not, and the server lives', async () => {
    const head = `POST /v2/models/fp32/infer HTTP/1.1\r\nHost: localhost\r\nAuthorization: ${ALL.authorization}\r\n`
    const { promise, resolve } = Promise.withResolvers<string>()
    const socket = connect(port, '127.0.0.1')
    socket.on('data', (data) => resolve(data.toString().slice(0, 12)))
    socket.write(`${head}Content-Length: ${2 ** 31}\r\n\r\n`)
    expect(await promise).toBe('HTTP/1.1 413')
    socket.destroy()
    const before = process.memoryUsage().rss
    expect(await sendChunks('/v2/models/fp32/infer', { chunk: new Uint8Array(65_536), count: 32_768 })).toBe(413)
    expect(process.memoryUsage().rss - before).toBeLessThan(400_000_000)
    expect(await isLive()).toBe(true)
  })

  test('of a million rows are served, in JSON, in binary and in rows', async () => {
    const rows = 1_000_000
    const flat = new Float32Array(2 * rows).fill(0.5)
    const blob = bytesOf(flat)
    const { body, headers } = binaryBody(
      {
        inputs: [{ name: 'x', datatype: 'FP32', shape: [rows, 2], parameters: { binary_data_size: blob.length } }],
        parameters: { binary_data_output: true },
      },
      blob,
    )
    expect((await readBinaryAnswer(await infer('rows', body, headers))).blobs.y?.length).toBe(blob.length)
    const json = `{"inputs":[{"name":"x","datatype":"FP32","shape":[${rows},2],"data":[${Array(2 * rows)
      .fill('0.5')
      .join(',')}]}]}`
    const answered = await infer('rows', json)
    expect([answered.status, (await answered.text()).split('0.5').length]).toEqual([200, 2 * rows + 1])
    const predicted = await post('/models/rows/predict/', `{"input":[${Array(rows).fill('[0.5,0.5]').join(',')}]}`)
    expect([predicted.status, (await predicted.text()).split('[0.5,0.5]').length]).toEqual([200, rows + 1])
    expect(await isLive()).toBe(true)
  })

  test('are nested 50 deep, and not 120; 250 000 do no harm', async () => {
    const nested = (depth: number) =>
      `{"inputs":[{"name":"x","datatype":"FP32","shape":[1],"data":${'['.repeat(depth)}1${']'.repeat(depth)}}]}`
    expect((await infer('fp32', nested(50))).status).toBe(200)
    expect(await errorOf(answer('fp32', nested(120)))).toEqual([400, 'JSON nesting depth exceeds maximum allowed limit (100)'])
    for (const path of ['/v2/repository/index', '/v2/models/fp32/infer', '/v2/repository/models/fp32/load']) {
      expect((await post(path, '['.repeat(250_000) + ']'.repeat(250_000))).status).toBe(400)
    }
    expect(await isLive()).toBe(true)
  })

  test('have a header’s length that is none, and the server lives', async () => {
    const body = { inputs: [input('FP32', [1], [1])] }
    expect(await errorOf(answer('fp32', body, { 'inference-header-content-length': '99999999999' }))).toEqual([
      400,
      'Unable to parse Inference-Header-Content-Length, got: 99999999999',
    ])
    expect(await isLive()).toBe(true)
  })

  test('are compressed both ways', async () => {
    const body = JSON.stringify({ inputs: [input('FP32', [1], [1.5])] })
    const plain = await (await infer('fp32', body, { 'accept-encoding': 'identity' })).text()
    for (const [coding, pack, open] of [
      ['gzip', gzipSync, gunzipSync],
      ['deflate', deflateSync, inflateSync],
    ] as const) {
      const response = await infer('fp32', pack(body), { 'content-encoding': coding, 'accept-encoding': coding })
      expect(response.headers.get('content-encoding')).toBe(coding)
      expect(open(await response.bytes()).toString()).toBe(plain)
    }
  })
})

describe('tensors', () => {
  test('whose elements or bytes overflow are rejected before memory is taken', async () => {
    for (const [model, shape, inJson, inBinary] of [
      ['rows', [2 ** 53 - 1, 2], 'has a byte_size (72057594037927928 bytes)', 'Expected 72057594037927928, got 8'],
      ['open', [2 ** 31, 2 ** 31, 2 ** 31], 'causes total element count to exceed maximum size of', 'exceeds maximum size of'],
      ['open', [2 ** 31, 2 ** 31, 1], 'byte size overflow for input', 'exceeds maximum size of'],
      ['rows', [2 ** 40, 2], 'has a byte_size (8796093022208 bytes)', 'Expected 8796093022208, got 8'],
      ['rows', [2 ** 53, 2], 'has a byte_size (72057594037927936 bytes)', 'Expected 72057594037927936, got 8'],
    ] as const) {
      const of = { name: 'x', datatype: 'FP32', shape }
      expect(await errorOf(answer(model, { inputs: [{ ...of, data: [] }] }))).toEqual([400, expect.stringContaining(inJson)])
      const inBytes = { ...of, parameters: { binary_data_size: 8 } }
      expect(await errorOf(answer(model, { inputs: [inBytes] }))).toEqual([400, expect.stringContaining(inBinary)])
    }
  })

  test('have no negative dimension', async () => {
    expect(await errorOf(answer('rows', { inputs: [input('FP32', [-1, 2], [1, 2])] }))).toEqual([
      400,
      expect.stringMatching(/^Unable to parse 'shape'.*integers from 0 up/),
    ])
  })

  test('of size zero: BOOL, FP16, FP32 and BYTES', async () => {
    for (const datatype of ['BOOL', 'FP16', 'FP32', 'BYTES']) {
      expect((await answer(datatype.toLowerCase(), { inputs: [input(datatype, [0], [])] })).body).toMatchObject({
        outputs: [{ datatype, shape: [0], data: [] }],
      })
      const none = { name: 'x', datatype, shape: [0], parameters: { binary_data_size: 0 } }
      const { body, headers } = binaryBody({ inputs: [none], parameters: { binary_data_output: true } })
      expect(await answer(datatype.toLowerCase(), body, headers)).toMatchObject({
        status: 200,
        body: { outputs: [{ datatype, shape: [0], parameters: { binary_data_size: 0 } }] },
      })
    }
  })

  test('that are scalars', async () => {
    for (const shape of [[], [1]]) {
      expect((await answer('scalar', { inputs: [input('FP32', shape, [2.5])] })).body).toMatchObject({
        outputs: [{ shape: [1], data: [2.5] }],
      })
    }
  })

  test('of texts: Unicode, and none with NUL', async () => {
    const data = ['漢字', '😀', 'a\u2028b', '', '"\\\n']
    expect((await answer('bytes', { inputs: [input('BYTES', [5], data)] })).body).toMatchObject({ outputs: [{ data }] })
    const body = binaryBody(
      { inputs: [{ name: 'x', datatype: 'BYTES', shape: [1], parameters: { binary_data_size: 7 } }] },
      textBytes('a\0b'),
    )
    expect(await errorOf(answer('bytes', body.body, body.headers))).toEqual([400, expect.stringContaining('U+0000')])
    expect(await errorOf(answer('bytes', { inputs: [input('BYTES', [1], ['a\0b'])] }))).toEqual([
      400,
      expect.stringContaining('U+0000'),
    ])
  })

  test('with NaN and infinities come out in binary, and in JSON as bare words', async () => {
    const body = (parameters: string) =>
      `{"inputs":[{"name":"x","datatype":"FP32","shape":[3],"data":[0,-0,1]}],"parameters":{${parameters}}}`
    const { blobs } = await readBinaryAnswer(await infer('reciprocal', body('"binary_data_output":true')))
    expect(blobs.y).toEqual(new Uint8Array(bytesOf(new Float32Array([Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1]))))
    expect(await (await infer('reciprocal', body(''))).text()).toContain('"data":[Infinity,-Infinity,1]')
  })

  test('that are large come back whole', async () => {
    const values = Float32Array.from({ length: 2_000_000 }, (_, index) => index * 0.25)
    const blob = bytesOf(values)
    const one = { name: 'x', datatype: 'FP32', shape: [values.length], parameters: { binary_data_size: blob.length } }
    const { body, headers } = binaryBody({ inputs: [one], parameters: { binary_data_output: true } }, blob)
    const { blobs } = await readBinaryAnswer(await infer('fp32', body, headers))
    expect(Buffer.compare(blobs.y ?? new Uint8Array(0), blob)).toBe(0)
  })
})

describe('requests', () => {
  const X = input('FP32', [1, 2], [1, 2])

  test('that name an output twice are rejected', async () => {
    const outputs = [{ name: 'double' }, { name: 'double' }]
    expect(await errorOf(answer('two', { inputs: [X], outputs }))).toEqual([400, "output 'double' already exists in request"])
  })

  test('that miss an input, or have one too many, are rejected in the words that clients match', async () => {
    expect(await errorOf(answer('two', { inputs: [] }))).toEqual([
      400,
      "expected 1 inputs but got 0 inputs for model 'two'. Got input(s) [], but missing required input(s) ['x']. Please provide all required input(s).",
    ])
    expect(await errorOf(answer('two', { inputs: [X, { ...X, name: 'z' }] }))).toEqual([
      400,
      "unexpected inference input 'z' for model 'two'. Expected input(s) ['x'].",
    ])
  })

  test('need not send an input that has a default', async () => {
    expect((await answer('defaulted', { inputs: [input('FP32', [2], [1, 2])] })).body).toMatchObject({
      outputs: [{ name: 'y', data: [11, 12] }],
    })
    const both = { inputs: [input('FP32', [2], [1, 2]), { ...input('FP32', [1], [5]), name: 'd' }] }
    expect(await errorOf(answer('defaulted', both))).toEqual([
      400,
      "unexpected inference input 'd' for model 'defaulted'. Expected input(s) ['x'].",
    ])
  })

  test('of the wrong datatype or shape learn what was expected', async () => {
    expect(await errorOf(answer('two', { inputs: [{ ...X, datatype: 'INT64' }] }))).toEqual([
      400,
      "inference input 'x' data-type is 'INT64', but model 'two' expects 'FP32'",
    ])
    expect(await errorOf(answer('two', { inputs: [{ ...X, shape: [1, 5] }] }))).toEqual([
      400,
      "unexpected shape for input 'x' for model 'two'. Expected [-1,2], got [1,5].",
    ])
  })

  test('for classes are answered, and rejected for types without an order and for too many', async () => {
    const outputs = [{ name: 'double', parameters: { classification: 1 } }]
    expect((await answer('two', { inputs: [X], outputs })).body).toMatchObject({
      outputs: [{ datatype: 'BYTES', shape: [1, 1], data: ['4.000000:1'] }],
    })
    const classes = (datatype: string, data: readonly unknown[]) => ({
      inputs: [input(datatype, [data.length], data)],
      outputs: [{ name: 'y', parameters: { classification: 1 } }],
    })
    for (const [datatype, data] of [
      ['BOOL', [true]],
      ['FP16', [1]],
      ['BYTES', ['a']],
    ] as const) {
      expect(await errorOf(answer(datatype.toLowerCase(), classes(datatype, data)))).toEqual([
        400,
        `class result not available for output due to unsupported type '${datatype}' (output 'y')`,
      ])
    }
    expect(await errorOf(answer('fp64', classes('FP64', Array(1_000_001).fill(1))))).toEqual([
      400,
      expect.stringContaining('classification output tensor too large'),
    ])
  })

  test('over what a queue takes are rejected with 503, which the statistics count', async () => {
    const before = engine.statistics('slow')[0]
    const statuses = await Promise.all(
      Array.from({ length: 12 }, async () => {
        const response = await infer('slow', SLOW)
        return [
          response.status,
          response.status === 503
            ? [response.headers.get('retry-after') !== null, await response.json()]
            : await response.text().then(() => null),
        ]
      }),
    )
    const full = statuses.filter(([status]) => status === 503)
    expect(full.length).toBeGreaterThan(0)
    expect(statuses.filter(([status]) => status === 200).length).toBeGreaterThan(0)
    for (const [, body] of full) expect(body).toEqual([true, { error: 'Exceeds maximum queue size' }])
    const after = engine.statistics('slow')[0]
    expect((after?.rejected['queue-full'] ?? 0) - (before?.rejected['queue-full'] ?? 0)).toBe(full.length)
    expect([after?.waiting, after?.running]).toEqual([0, 0])
  })

  test('that wait are seen in the gauge, and are gone from it when they are answered', async () => {
    const gauge = () => {
      const [entry] = engine.statistics('slow')
      return (entry?.waiting ?? 0) + (entry?.running ?? 0)
    }
    expect(gauge()).toBe(0)
    const answers = [infer('slow', SLOW), infer('slow', SLOW)]
    await until(() => gauge() > 0)
    await Promise.all(answers.map(async (response) => (await response).text()))
    expect(gauge()).toBe(0)
  })

  test('that may not wait so long are answered at once, though the instance is busy', async () => {
    const running = infer('slow', SLOW)
    await until(() => (engine.statistics('slow')[0]?.running ?? 0) > 0)
    const { status, body } = await answer('slow', { ...SLOW, parameters: { timeout: 1000 } })
    expect([status, body]).toEqual([503, { error: 'Request timeout expired' }])
    expect((await running).status).toBe(200)
  })
})

describe('the repository', () => {
  const load = (model: string, body?: unknown) => post(`/v2/repository/models/${model}/load`, body ?? '')
  const unload = (model: string) => post(`/v2/repository/models/${model}/unload`, '')
  const one = { inputs: [input('FP32', [1], [1])] }

  test('takes a model that a request brings, but never outside of its own, nor too much, nor under a name too long', async () => {
    const open = await createEngine({
      modelsDirectory: models,
      threads: 1,
      warn: () => undefined,
      modelControl: 'explicit',
      loadAtStart: new Set(),
      mayOverride: true,
    })
    const opened = createServer(open)
    opened.listen({ port: 0, hostname: '127.0.0.1' })
    const at = `http://127.0.0.1:${opened.server?.port}`
    const loadAt = (model: string, body: unknown) => post(`/v2/repository/models/${model}/load`, body, {}, at)
    const content = Buffer.from(identityModel('FP32')).toString('base64')
    const bring = (file: string, model = 'fp32') =>
      answerOf(loadAt(model, { parameters: { config: '{}', [`file:${file}`]: content } }))
    expect(await bring('7/model.onnx', 'brought')).toEqual({ status: 200, body: '' })
    expect((await answerOf(post('/v2/models/brought/infer', one, {}, at))).body).toMatchObject({ model_version: '7' })
    for (const file of [
      '1/../../../escaped.onnx',
      '../escaped.onnx',
      '/tmp/escaped.onnx',
      `1/${'a'.repeat(256)}`,
      '1\\..\\escaped',
    ]) {
      expect(await errorOf(bring(file))).toEqual([
        400,
        expect.stringMatching(
          /^failed to load 'fp32', "file:.* must be <version>\/<file name>, of plain names of at most 255 bytes$/,
        ),
      ])
    }
    const large = `{"parameters":{"config":"{}","file:1/model.onnx":"${'A'.repeat(64 * 2 ** 20)}"}}`
    expect((await loadAt('fp32', large)).status).toBe(413)
    await opened.stop(true)
    await open.stop()
    expect(await errorOf(answerOf(load('fp32', { parameters: { config: '{}' } })))).toEqual([
      501,
      expect.stringContaining('not allowed'),
    ])
    expect([existsSync('/tmp/escaped.onnx'), readdirSync(folder)]).toEqual([false, ['models']])
    expect((await infer('fp32', one)).status).toBe(200)
  })

  test('serves on while a model is loaded again, and keeps the old one where that fails', async () => {
    let isDone = false
    const statuses = new Set<number>()
    const asking = (async () => {
      while (!isDone) statuses.add((await infer('many-0', one)).status)
    })()
    for (let time = 0; time < 5; time += 1) expect((await load('many-0')).status).toBe(200)
    await put('many-0', 'not a model')
    const failed = await answerOf(load('many-0'))
    expect([failed.status >= 400, (failed.body as { error: string }).error]).toEqual([
      true,
      expect.stringContaining("load failed for model 'many-0': version 1 is at UNAVAILABLE state: "),
    ])
    isDone = true
    await asking
    expect([...statuses]).toEqual([200])
    expect((await infer('many-0', one)).status).toBe(200)
    await put('many-0', identityModel('FP32'))
    expect((await load('many-0')).status).toBe(200)
  })

  test('takes sixteen loads and unloads at once', async () => {
    const names = Array.from({ length: 16 }, (_, index) => `many-${index}`)
    for (const work of [unload, load]) {
      expect((await Promise.all(names.map(async (name) => (await work(name)).status))).every((status) => status === 200)).toBe(
        true,
      )
    }
    for (const name of names) expect((await infer(name, one)).status).toBe(200)
    const mixed = names.flatMap((name) => [load(name), unload(name), load(name)])
    for (const response of await Promise.all(mixed)) expect(response.status).toBe(200)
    expect(await isLive()).toBe(true)
  })
})

describe('each category of the protocol', () => {
  const categories: readonly (readonly [category: string, method: string, path: string, permission: string | undefined])[] = [
    ['health', 'GET', '/v2/health/ready', undefined],
    ['metadata', 'GET', '/v2', ''],
    ['metadata', 'GET', '/v2/models/fp32', 'model:fp32:read'],
    ['inference', 'POST', '/v2/models/fp32/infer', 'model:fp32:predict'],
    ['shared-memory', 'GET', '/v2/systemsharedmemory/status', ''],
    ['model-config', 'GET', '/v2/models/fp32/config', 'model:fp32:read'],
    ['model-repository', 'POST', '/v2/repository/index', ''],
    ['model-repository', 'POST', '/v2/repository/models/fp32/load', 'model:fp32:admin'],
    ['statistics', 'GET', '/v2/models/fp32/stats', 'model:fp32:read'],
    ['trace', 'GET', '/v2/trace/setting', ''],
    ['logging', 'GET', '/v2/logging', ''],
  ]
  for (const [category, method, path, permission] of categories) {
    test(`${category}: ${method} ${path} asks for ${permission === undefined ? 'nothing' : permission || 'any token'}`, async () => {
      const statusOf = async (headers: Record<string, string>) => {
        const response = await fetch(`${base}${path}`, { method, headers, ...(method === 'POST' && { body: '' }) })
        await response.bytes()
        return response.status
      }
      if (permission === undefined) return expect(await statusOf({})).toBe(200)
      expect(await statusOf({})).toBe(401)
      const others = ['model:fp32:read', 'model:fp32:predict', 'model:fp32:admin', 'model:rows:*'].filter(
        (name) => name !== permission,
      )
      if (permission !== '') expect(await statusOf(bearer(...others))).toBe(403)
      expect([401, 403]).not.toContain(await statusOf(bearer(...(permission === '' ? [] : [permission]))))
      return undefined
    })
  }
})
