import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { deflateSync, gzipSync } from 'node:zlib'
import { dialectOf } from '../../src/http/dialects/failures.ts'
import { createEngine } from '../../src/index.ts'
import { answerOf, DOORS } from '../support/doors.ts'
import { binaryBody, bytesOf, readBinaryAnswer, textBytes } from '../support/infer-body.ts'
import { createServer } from '../support/server.ts'
import { identityModel, onnxModel } from '../support/tiny-models.ts'
import { bearer } from '../support/tokens.ts'

const folder = mkdtempSync(join(tmpdir(), 'vestal-compressed-'))
const put = (name: string, bytes: Uint8Array) => Bun.write(join(folder, name, '1/model.onnx'), bytes)
await put('fp32', identityModel('FP32'))
await put('flag', identityModel('BOOL'))
await put(
  'three',
  onnxModel({
    nodes: [
      { operator: 'Identity', inputs: ['t'], outputs: ['u'] },
      { operator: 'Identity', inputs: ['a'], outputs: ['b'] },
      { operator: 'Identity', inputs: ['i'], outputs: ['j'] },
    ],
    inputs: [
      { name: 't', datatype: 'BYTES', shape: ['k'] },
      { name: 'a', datatype: 'FP64', shape: ['n'] },
      { name: 'i', datatype: 'INT64', shape: ['n'] },
    ],
    outputs: [
      { name: 'u', datatype: 'BYTES', shape: ['k'] },
      { name: 'b', datatype: 'FP64', shape: ['n'] },
      { name: 'j', datatype: 'INT64', shape: ['n'] },
    ],
  }),
)
const engine = await createEngine({
  modelsDirectory: folder,
  threads: 1,
  instances: 1,
  modelControl: 'explicit',
  mayOverride: true,
  warn: () => undefined,
})
afterAll(async () => {
  await engine.stop()
  rmSync(folder, { recursive: true })
})

const ALL = bearer('*')
const CODINGS = [
  ['gzip', gzipSync],
  ['deflate', deflateSync],
] as const

for (const open of DOORS) {
  const app = createServer(engine)
  const door = open(app)
  afterAll(door.close)
  const post = (path: string, body: Uint8Array | string, headers: Record<string, string> = {}) =>
    door.fetch(path, { method: 'POST', headers: { ...ALL, ...headers }, body: body as string })

  describe(`binary tensor data of several inputs, ${door.name}`, () => {
    // Where a tensor begins depends on the length of the JSON: only one in eight lies where its numbers may.
    for (let pad = 0; pad < 8; pad += 1) {
      for (const [coding, compress] of CODINGS) {
        test(`is the same numbers in ${coding}, with ${pad} bytes more before them`, async () => {
          const [a, i] = [new Float64Array([1.5, -2.25, 3e300]), new BigInt64Array([1n, -2n, 2n ** 62n])]
          const texts = textBytes('ä', 'two')
          const json = {
            id: 'x'.repeat(pad),
            inputs: [
              { name: 't', datatype: 'BYTES', shape: [2], parameters: { binary_data_size: texts.length } },
              { name: 'a', datatype: 'FP64', shape: [3], parameters: { binary_data_size: 24 } },
              { name: 'i', datatype: 'INT64', shape: [3], parameters: { binary_data_size: 24 } },
            ],
            parameters: { binary_data_output: true },
          }
          const { body, headers } = binaryBody(json, texts, bytesOf(a), bytesOf(i))
          const response = await post('/v2/models/three/infer', compress(body), { ...headers, 'content-encoding': coding })
          const { status, blobs } = await readBinaryAnswer(response)
          expect(status).toBe(200)
          expect([blobs.b, blobs.j]).toEqual([bytesOf(a), bytesOf(i)])
          expect(Buffer.from(blobs.u ?? []).toString()).toBe(Buffer.from(texts).toString())
        })
      }
    }
  })

  const ROWS = '{"input":[1.5,2.5]}'
  const TENSORS = '{"inputs":[{"name":"x","datatype":"FP32","shape":[2],"data":[1.5,2.5]}]}'
  const bodies: readonly (readonly [path: string, body: string, answer: string])[] = [
    ['/models/fp32/predict/', ROWS, '{"output":[1.5,2.5]}'],
    ['/models/fp32/stream/', '[1.5,2.5]', '{"row":0,"output":1.5}\n{"row":1,"output":2.5}\n'],
    [
      '/v2/models/fp32/infer',
      TENSORS,
      '{"model_name":"fp32","model_version":"1","outputs":[{"name":"y","datatype":"FP32","shape":[2],"data":[1.5,2.5]}]}',
    ],
    [
      '/v2/repository/index',
      '{"ready":true}',
      JSON.stringify(engine.index().flatMap((entry) => (entry.state === 'READY' ? [{ reason: '', ...entry }] : []))),
    ],
    ['/v2/repository/models/flag/unload', '{"parameters":{"unload_dependents":false}}', ''],
    ['/v2/repository/models/flag/load', '{"parameters":{}}', ''],
  ]

  describe(`a compressed body is read, ${door.name},`, () => {
    for (const [path, body, answer] of bodies) {
      for (const [coding, compress] of CODINGS) {
        test(`by ${path} in ${coding}`, async () => {
          const response = await post(path, compress(body), { 'content-encoding': coding })
          expect([response.status, await response.text()]).toEqual([200, answer])
        })
      }
    }

    test('by the sign-in', async () => {
      const body = gzipSync('{"id":"497f6eca-6276-4993-bfeb-53cbbbba6f08"}')
      const headers = { 'content-encoding': 'gzip', host: 'localhost' }
      const response = await door.fetch('/auth/', { method: 'POST', headers, body })
      expect([response.status, Object.keys((await response.json()) as object)]).toEqual([200, ['id', 'token']])
    })

    test('by a stream, row by row, however its bytes are cut', async () => {
      const rows = Array.from({ length: 5000 }, (_, row) => row + 0.25)
      const bytes = gzipSync(JSON.stringify(rows))
      async function* pieces() {
        for (let start = 0; start < bytes.length; start += 997) yield new Uint8Array(bytes.subarray(start, start + 997))
      }
      const response = await door.fetch('/models/fp32/stream/', {
        method: 'POST',
        headers: { ...ALL, 'content-encoding': 'gzip' },
        body: new ReadableStream({
          async start(controller) {
            for await (const piece of pieces()) controller.enqueue(piece)
            controller.close()
          },
        }),
      })
      const answers = (await response.text()).trimEnd().split('\n')
      expect(answers.map((line) => (JSON.parse(line) as { output: number }).output)).toEqual(rows)
    })

    test('by a stream that ends with its failure where it is no gzip', async () => {
      const whole = gzipSync('[1.5,2.5]')
      for (const body of ['[1.5]', whole.subarray(0, whole.length - 12)]) {
        const response = await post('/models/fp32/stream/', body, { 'content-encoding': 'gzip' })
        const last = (await response.text()).trimEnd().split('\n').at(-1) ?? ''
        expect(JSON.parse(last)).toMatchObject({ status_code: 400, detail: 'The body is not valid gzip' })
      }
    })
  })

  describe(`a coding that is not supported, ${door.name},`, () => {
    const paths = new Set(
      app.routes
        .filter(({ method }) => method === 'POST')
        .map(({ path }) => path.replace(':name', 'fp32').replace(':version', '1'))
        .filter((path) =>
          /^\/(?:models|auth|v2\/models\/fp32\/(?:versions\/1\/)?infer|v2\/repository\/(?:index|models))/.test(path),
        )
        // A dialect looks for its model first, which this one is not: test/http/dialects/failures.test.ts.
        .filter((path) => dialectOf(new Request(`http://localhost${path}`, { method: 'POST' }), path) === undefined),
    )
    test('is looked for on every route that reads a body', () => {
      expect(paths.size).toBeGreaterThanOrEqual(10)
    })
    for (const path of paths) {
      test(`is 415 on ${path}`, async () => {
        for (const coding of ['br', 'zstd', 'gzip, gzip', 'gzip, br', 'nonsense']) {
          const response = await post(path, ROWS, { 'content-encoding': coding, host: 'localhost' })
          expect([path, coding, response.status, response.headers.get('accept-encoding')]).toEqual([
            path,
            coding,
            415,
            'gzip, deflate',
          ])
        }
      })
    }
  })

  describe(`what a compressed body expands to, ${door.name},`, () => {
    const small = open(createServer(engine, { expansionRatioMax: 10 }))
    afterAll(small.close)
    const ask = (path: string, body: Uint8Array) =>
      answerOf(small.fetch(path, { method: 'POST', headers: { ...ALL, 'content-encoding': 'gzip' }, body }))

    test('may be any multiple of its size up to 8 MiB', async () => {
      const { status } = await ask('/models/fp32/predict/', gzipSync(`${ROWS}${' '.repeat(8_000_000)}`))
      expect(status).toBe(200)
    })

    test('is rejected beyond that where its ratio is too high', async () => {
      const detail = 'The body expands to more than 10 times its compressed size, the most that expansion_ratio_max allows'
      const bomb = gzipSync(`${ROWS}${' '.repeat(9_000_000)}`)
      expect(await ask('/models/fp32/predict/', bomb)).toMatchObject({ status: 413, body: { detail } })
      expect(await ask('/v2/models/fp32/infer', bomb)).toEqual({ status: 413, body: { error: detail } })
      const response = await small.fetch('/models/fp32/stream/', {
        method: 'POST',
        headers: { ...ALL, 'content-encoding': 'gzip' },
        body: gzipSync(`[1.5${'\n'.repeat(9_000_000)}]`),
      })
      const last = (await response.text()).trimEnd().split('\n').at(-1) ?? ''
      expect(JSON.parse(last)).toMatchObject({ status_code: 413, detail })
    })
  })
}

test('a Buffer that is given as a tensor is copied, and what else lies in its memory stays', async () => {
  await engine.load('flag')
  const memory = Buffer.alloc(100, 7)
  const part = memory.subarray(10, 13)
  part.set([1, 0, 1])
  const x = { datatype: 'BOOL' as const, shape: [3], data: part }
  const answer = await engine.infer('flag', '1', new Map([['x', x]]))
  expect([...(answer.get('y')?.data ?? [])]).toEqual([1, 0, 1])
  expect([memory.length, memory[99]]).toEqual([100, 7])
})
