import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { answerOf, DOORS } from '../support/doors.ts'
import { binaryBody } from '../support/infer-body.ts'
import { bundledEngine, createServer } from '../support/server.ts'
import { identityModel } from '../support/tiny-models.ts'
import { bearer } from '../support/tokens.ts'

const folder = mkdtempSync(join(tmpdir(), 'vestal-large-bodies-'))
const put = (name: string, bytes: Uint8Array) => Bun.write(join(folder, name, '1/model.onnx'), bytes)
await put('fp32', identityModel('FP32', ['n', 'm']))
await put('fp64', identityModel('FP64', ['n', 'm']))
await put('int64', identityModel('INT64', ['n', 'm']))

const engine = await bundledEngine(folder)
afterAll(async () => {
  await engine.stop()
  rmSync(folder, { recursive: true })
})

const ALL = bearer('*')
const [ROWS, WIDTH] = [200, 100]
const rowsOf = (element: (index: number) => unknown) =>
  Array.from({ length: ROWS }, (_, row) => Array.from({ length: WIDTH }, (_, column) => element(row * WIDTH + column)))
const double = (index: number) => Math.sin(index) * 10 ** ((index % 9) - 4)

for (const open of DOORS) {
  const door = open(createServer(engine, { bodyBytesMax: 8_000_000 }))
  afterAll(door.close)
  const post = (path: string, body: string | Uint8Array, headers = {}) =>
    door.fetch(path, { method: 'POST', headers: { ...ALL, ...headers }, body: body as string })
  const predict = (model: string, input: unknown) => answerOf(post(`/models/${model}/predict/`, JSON.stringify({ input })))
  const infer = (model: string, [datatype, data]: readonly [string, unknown], shape = [ROWS, WIDTH]) =>
    answerOf(post(`/v2/models/${model}/infer`, JSON.stringify({ id: 'a', inputs: [{ name: 'x', datatype, shape, data }] })))

  describe(`a large body in JSON, ${door.name}`, () => {
    test('is computed as its numbers are', async () => {
      const doubles = rowsOf(double)
      expect(await predict('fp64', doubles)).toEqual({ status: 200, body: { output: doubles } })
      const floats = rowsOf((index) => Number(Math.fround(double(index)).toPrecision(6)))
      expect(await predict('fp32', floats)).toEqual({ status: 200, body: { output: floats } })
      const answer = await infer('fp64', ['FP64', doubles.flat()])
      expect(answer).toMatchObject({ status: 200, body: { id: 'a', outputs: [{ shape: [ROWS, WIDTH], data: doubles.flat() }] } })
      expect(await infer('fp64', ['FP64', doubles])).toEqual(answer)
      const integers = rowsOf((index) => (index - 10_000) * 900_719_925)
      expect(await predict('int64', integers)).toEqual({ status: 200, body: { output: integers } })
    })

    test('is no longer the memory of the caller, whose own stays as it was', async () => {
      const body = new TextEncoder().encode(JSON.stringify({ input: rowsOf(double) }))
      expect((await post('/models/fp64/predict/', body)).status).toBe(200)
      expect(body.length).toBeGreaterThan(128 * 1024)
    })

    test('is answered compressed where the client asks for it', async () => {
      const data = rowsOf(double).flat()
      const body = JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP64', shape: [ROWS, WIDTH], data }] })
      const response = await post('/v2/models/fp64/infer', body, { 'accept-encoding': 'gzip' })
      const bytes = await response.bytes()
      const text = door.name === 'in memory' ? Bun.gunzipSync(new Uint8Array(bytes)) : bytes
      const answer = JSON.parse(new TextDecoder().decode(text))
      expect([response.headers.get('content-type'), answer.outputs[0].data]).toEqual(['application/json', data])
    })

    test('may have words for what JSON has no number for, and long integers', async () => {
      const words = rowsOf((index) => (index === 19_999 ? null : index === 7 ? '-Infinity' : double(index)))
      const output = rowsOf((index) => (index === 19_999 ? 'NaN' : index === 7 ? '-Infinity' : double(index)))
      expect(await predict('fp64', words)).toEqual({ status: 200, body: { output } })
      const long = JSON.stringify({ input: rowsOf((index) => 10_000_000_000 + index) }).replace(
        '[10000000001',
        '[9223372036854775807',
      )
      const text = await (await post('/models/int64/predict/', long.replace('10000000000', '9007199254740993'))).text()
      expect(text.slice(0, 42)).toBe('{"output":[[9007199254740993,10000000001,1')
    })

    test('is rejected with the words for a small one', async () => {
      const ragged = rowsOf(double).with(150, [1, 2])
      expect(await predict('fp64', ragged)).toEqual({
        status: 400,
        body: { status_code: 400, detail: "input 'x': row 150 must be a list of 100, got 2", error: null },
      })
      const large = rowsOf((index) => (index === 19_000 ? 1e39 : index))
      expect(await predict('fp32', large)).toMatchObject({
        status: 400,
        body: { detail: "input 'x': element 19000 must be a number of FP32, got 1e+39" },
      })
      expect(await infer('fp64', ['FP64', rowsOf(double)], [ROWS, WIDTH + 1])).toMatchObject({ status: 400 })
      expect((await post('/models/fp64/predict/', `{"input":${JSON.stringify(rowsOf(double))}`)).status).toBe(400)
    })

    test('may have binary data of another input behind it', async () => {
      const data = rowsOf(double)
      const input = { name: 'x', datatype: 'FP64', shape: [ROWS, WIDTH], data }
      const { body, headers } = binaryBody({ inputs: [input] }, new Uint8Array(3))
      expect((await post('/v2/models/fp64/infer', body, headers)).status).toBe(400)
    })
  })
}
