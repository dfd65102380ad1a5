import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { deflateRawSync, deflateSync, gunzipSync, gzipSync, inflateSync } from 'node:zlib'
import { answerOf, DOORS } from '../support/doors.ts'
import { binaryBody, bytesOf } from '../support/infer-body.ts'
import { bundledEngine, createServer } from '../support/server.ts'
import { identityModel } from '../support/tiny-models.ts'
import { bearer } from '../support/tokens.ts'

const folder = mkdtempSync(join(tmpdir(), 'vestal-encodings-'))
await Bun.write(join(folder, 'fp32/1/model.onnx'), identityModel('FP32'))
const engine = await bundledEngine(folder)
afterAll(async () => {
  await engine.stop()
  rmSync(folder, { recursive: true })
})

const ALL = bearer('*')
const BYTES_MAX = 1_000_000
const JSON_BODY = '{"inputs":[{"name":"x","datatype":"FP32","shape":[2],"data":[1.5,2.5]}]}'
const ANSWER = '{"model_name":"fp32","model_version":"1","outputs":[{"name":"y","datatype":"FP32","shape":[2],"data":[1.5,2.5]}]}'

for (const open of DOORS) {
  const door = open(createServer(engine, { bodyBytesMax: BYTES_MAX }))
  afterAll(door.close)
  const path = '/v2/models/fp32/infer'
  const post = (body: Uint8Array | string, headers: Record<string, string> = {}) =>
    door.fetch(path, {
      method: 'POST',
      headers: { ...ALL, 'accept-encoding': 'identity', ...headers },
      body: body as string,
      decompress: false,
    } as RequestInit)

  describe(`a compressed body, ${door.name}`, () => {
    for (const [coding, compress] of [
      ['gzip', gzipSync],
      ['deflate', deflateSync],
      ['x-gzip', gzipSync],
      ['GZIP', gzipSync],
    ] as const) {
      test(`in ${coding} is read`, async () => {
        const response = await post(compress(JSON_BODY), { 'content-encoding': coding })
        expect([response.status, await response.text()]).toEqual([200, ANSWER])
      })

      test(`in ${coding} counts its header’s length after it was opened`, async () => {
        const blob = bytesOf(new Float32Array(1000).fill(1.25))
        const input = { name: 'x', datatype: 'FP32', shape: [1000], parameters: { binary_data_size: 4000 } }
        const { body, headers } = binaryBody({ inputs: [input] }, blob)
        const { status, body: answer } = await answerOf(post(compress(body), { ...headers, 'content-encoding': coding }))
        expect([status, answer]).toMatchObject([200, { outputs: [{ shape: [1000] }] }])
      })
    }

    test('that says it is not compressed is read as it is', async () => {
      expect((await post(JSON_BODY, { 'content-encoding': 'identity' })).status).toBe(200)
    })

    test('that would be too large is stopped on the way', async () => {
      const bomb = gzipSync(new Uint8Array(300_000_000))
      const before = process.memoryUsage().rss
      for (const [coding, body] of [
        ['gzip', bomb],
        ['deflate', deflateSync(new Uint8Array(BYTES_MAX + 1))],
      ] as const) {
        expect(await answerOf(post(body, { 'content-encoding': coding }))).toEqual({
          status: 413,
          body: {
            error: `request JSON size of more than ${BYTES_MAX} bytes exceeds the maximum allowed input size of ${BYTES_MAX} bytes. Use --body-bytes-max to increase the limit.`,
          },
        })
      }
      expect(process.memoryUsage().rss - before).toBeLessThan(100_000_000)
    })

    test('that is not what it says is rejected', async () => {
      const whole = gzipSync(JSON_BODY)
      for (const [coding, body] of [
        ['gzip', JSON_BODY],
        ['gzip', whole.subarray(0, whole.length - 12)],
        ['gzip', new Uint8Array(0)],
        ['deflate', whole],
        ['deflate', deflateRawSync(JSON_BODY)],
      ] as const) {
        expect(await answerOf(post(body, { 'content-encoding': coding }))).toEqual({
          status: 400,
          body: { error: `The body is not valid ${coding}` },
        })
      }
    })

    test('in another coding is rejected, with those that there are', async () => {
      for (const coding of ['br', 'zstd', 'gzip, gzip', 'compress', 'nonsense']) {
        const response = await post(JSON_BODY, { 'content-encoding': coding })
        expect([response.status, response.headers.get('accept-encoding'), await response.json()]).toEqual([
          415,
          'gzip, deflate',
          { error: `The content encoding "${coding}" is not supported; gzip, deflate are` },
        ])
      }
    })
  })

  describe(`a compressed answer, ${door.name}`, () => {
    const cases: readonly (readonly [accept: string, coding: 'gzip' | 'deflate' | null])[] = [
      ['gzip', 'gzip'],
      ['deflate', 'deflate'],
      ['gzip, deflate, br', 'gzip'],
      ['gzip, deflate, br, zstd', 'gzip'],
      ['gzip;q=0.5, deflate;q=0.8', 'deflate'],
      ['gzip;q=0.8, deflate;q=0.5', 'gzip'],
      ['gzip;q=0, deflate', 'deflate'],
      ['gzip;q=0', null],
      ['gzip;q=0.2, identity;q=0.9', null],
      ['GZIP', 'gzip'],
      ['x-gzip', 'gzip'],
      ['br', null],
      ['*', null],
      ['identity', null],
      ['', null],
      ['gzip;q=2', null],
      ['gzip;q=nonsense', null],
    ]
    for (const [accept, coding] of cases) {
      test(`to "${accept}" is in ${coding ?? 'no coding'}`, async () => {
        const response = await post(JSON_BODY, { 'accept-encoding': accept })
        const bytes = await response.bytes()
        const text = coding === null ? bytes : coding === 'gzip' ? gunzipSync(bytes) : inflateSync(bytes)
        expect([response.status, response.headers.get('content-encoding'), Buffer.from(text).toString()]).toEqual([
          200,
          coding,
          ANSWER,
        ])
        expect(response.headers.get('content-type')).toBe('application/json')
        expect(response.headers.get('vary')).toBe(coding === null ? null : 'accept-encoding')
      })
    }

    test('holds JSON and binary data, with the length that it has when opened', async () => {
      const body = JSON_BODY.replace('{"inputs"', '{"parameters":{"binary_data_output":true},"inputs"')
      const response = await post(body, { 'accept-encoding': 'deflate' })
      const bytes = inflateSync(await response.bytes())
      const length = Number(response.headers.get('inference-header-content-length'))
      expect(bytes.subarray(0, length).toString()).toEndWith('"parameters":{"binary_data_size":8}}]}')
      expect(bytes.subarray(length)).toEqual(Buffer.from(bytesOf(new Float32Array([1.5, 2.5]))))
    })

    test('is given by no other route, and for no refusal', async () => {
      const headers = { ...ALL, 'accept-encoding': 'gzip, deflate' }
      for (const other of ['/v2', '/v2/models/fp32', '/v2/health/live', '/models/', '/models/fp32/']) {
        const response = await door.fetch(other, { headers })
        expect([response.status, response.headers.get('content-encoding')]).toEqual([200, null])
      }
      expect((await post('{', headers)).headers.get('content-encoding')).toBeNull()
    })
  })

  test(`an Accept of a browser or of curl still gets JSON, ${door.name}`, async () => {
    for (const accept of ['text/html,application/xhtml+xml;q=0.9,*/*;q=0.8', '*/*', 'application/octet-stream', 'image/png']) {
      const response = await post(JSON_BODY, { accept })
      expect([response.status, response.headers.get('content-type'), await response.text()]).toEqual([
        200,
        'application/json',
        ANSWER,
      ])
    }
  })
}
