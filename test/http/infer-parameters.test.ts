import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Engine, InferOptions } from '../../src/index.ts'
import { answerOf, DOORS } from '../support/doors.ts'
import { readBinaryAnswer, textBytes } from '../support/infer-body.ts'
import { zipMapModel } from '../support/odd-models.ts'
import { bundledEngine, createServer } from '../support/server.ts'
import { identityModel } from '../support/tiny-models.ts'
import { bearer } from '../support/tokens.ts'

const folder = mkdtempSync(join(tmpdir(), 'vestal-parameters-'))
const put = (name: string, bytes: Uint8Array) => Bun.write(join(folder, name, '1/model.onnx'), bytes)
await put('scores', identityModel('FP32', ['n', 3]))
await Bun.write(join(folder, 'scores/model.toml'), '[outputs.y]\nlabels = ["cat", "dog", "tabby"]\n')
await put('ranked', identityModel('FP32', ['n', 3]))
await Bun.write(join(folder, 'ranked/model.toml'), '[serving]\npriority_levels = 3\npriority_default = 2\n')
await put('mapped', zipMapModel('texts'))
await put('flat', identityModel('FP64', [4]))
await put('int64', identityModel('INT64', [3]))
await put('list', identityModel('FP32'))
await put('bool', identityModel('BOOL', [2]))
await put('fp16', identityModel('FP16', [2]))
await put('text', identityModel('BYTES', [2]))
await put('int8', identityModel('INT8', ['n', 'm']))

const loaded = await bundledEngine(folder)
/** What the routes asked of the engine, last first. */
const asked: (InferOptions | undefined)[] = []
const engine: Engine = {
  ...loaded,
  infer: (model, version, inputs, options) => {
    asked.unshift(options)
    return loaded.infer(model, version, inputs, options)
  },
}
afterAll(async () => {
  await engine.stop()
  rmSync(folder, { recursive: true })
})

const ALL = bearer('*')

for (const open of DOORS) {
  const door = open(createServer(engine))
  afterAll(door.close)
  const post = (model: string, body: unknown, headers: Record<string, string> = {}) =>
    door.fetch(`/v2/models/${model}/infer`, { method: 'POST', headers: { ...ALL, ...headers }, body: JSON.stringify(body) })
  const scores = (shape: readonly number[], data: readonly number[], classification: number, more: object = {}) => ({
    inputs: [{ name: 'x', datatype: 'FP32', shape, data }],
    outputs: [{ name: 'y', parameters: { classification, ...more } }],
  })
  const top = (model: string, datatype: string, shape: readonly number[], data: readonly unknown[], classification = 2) =>
    answerOf(
      post(model, {
        inputs: [{ name: 'x', datatype, shape, data }],
        outputs: [{ name: 'y', parameters: { classification } }],
      }),
    )

  describe(`classification, ${door.name}`, () => {
    test('gives the largest of each row with their labels, the largest first', async () => {
      const { body } = await answerOf(post('scores', scores([2, 3], [0.1, 0.7, 0.2, 0.25, 0.5, 0.25], 2)))
      expect(body).toMatchObject({
        outputs: [
          {
            name: 'y',
            datatype: 'BYTES',
            shape: [2, 2],
            data: ['0.700000:1:dog', '0.200000:2:tabby', '0.500000:1:dog', '0.250000:0:cat'],
          },
        ],
      })
    })

    test('gives no more than there are', async () => {
      expect((await answerOf(post('scores', scores([1, 3], [1, 2, 3], 99)))).body).toMatchObject({
        outputs: [{ shape: [1, 3], data: ['3.000000:2:tabby', '2.000000:1:dog', '1.000000:0:cat'] }],
      })
      expect((await answerOf(post('scores', scores([0, 3], [], 2)))).body).toMatchObject({
        outputs: [{ shape: [0, 0], data: [] }],
      })
    })

    test('can come as binary data', async () => {
      const { blobs, json } = await readBinaryAnswer(await post('scores', scores([1, 3], [3, 1, 2], 1, { binary_data: true })))
      expect([json.outputs, blobs.y]).toMatchObject([
        [{ datatype: 'BYTES', shape: [1, 1] }],
        new Uint8Array(textBytes('3.000000:0:cat')),
      ])
    })

    test('has no rows where the model has none, and no labels where it has none', async () => {
      expect((await top('flat', 'FP64', [4], [1, -1e300, 1e22, 1])).body).toMatchObject({
        outputs: [{ shape: [2], data: ['10000000000000000000000.000000:2', '1.000000:0'] }],
      })
      expect((await top('list', 'FP32', [3], [1, 3, 2])).body).toMatchObject({
        outputs: [{ shape: [2], data: ['3.000000:1', '2.000000:2'] }],
      })
      expect((await top('int8', 'INT8', [2, 2], [1, 2, -3, -4], 1)).body).toMatchObject({
        outputs: [{ shape: [2, 1], data: ['2:1', '-3:0'] }],
      })
    })

    test('keeps 64-bit integers exact', async () => {
      const body = `{"inputs":[{"name":"x","datatype":"INT64","shape":[3],"data":[9007199254740993,9007199254740992,-1]}],
        "outputs":[{"name":"y","parameters":{"classification":2}}]}`
      const response = await door.fetch('/v2/models/int64/infer', { method: 'POST', headers: ALL, body })
      expect(await response.json()).toMatchObject({ outputs: [{ data: ['9007199254740993:0', '9007199254740992:1'] }] })
    })

    test('of a model of scikit-learn has the classes that the model itself names, in rows and in its description too', async () => {
      const shown = await top('mapped', 'FP32', [1, 3], [0.25, 0.5, 0.125])
      expect(shown.body).toMatchObject({ outputs: [{ name: 'y', data: ['0.500000:1:b', '0.250000:0:a'] }] })
      const predicted = await answerOf(
        door.fetch('/models/mapped/predict/', { method: 'POST', headers: ALL, body: '{"input": [[0.25, 0.5, 0.125]]}' }),
      )
      expect(predicted.body).toEqual({ output: [{ y: { a: 0.25, b: 0.5, c: 0.125 }, z: [0.25, 0.5, 0.125] }] })
      const { body } = await answerOf(door.fetch('/models/mapped/', { headers: ALL }))
      expect(body).toMatchObject({ labels: { y: ['a', 'b', 'c'] }, versions: [{ version: '1', state: 'ready' }] })
      expect(JSON.stringify((body as { versions: unknown }).versions)).not.toContain('labels')
    })

    test('is rejected for datatypes without an order, and for a million elements and one', async () => {
      const refusal = (type: string) => ({
        status: 400,
        body: { error: `class result not available for output due to unsupported type '${type}' (output 'y')` },
      })
      expect(await top('bool', 'BOOL', [2], [true, false])).toEqual(refusal('BOOL'))
      expect(await top('fp16', 'FP16', [2], [1, 2])).toEqual(refusal('FP16'))
      expect(await top('text', 'BYTES', [2], ['a', 'b'])).toEqual(refusal('BYTES'))
      const many = Array.from({ length: 1_000_001 }, () => 1)
      expect(await top('int8', 'INT8', [1, 1_000_001], many)).toEqual({
        status: 400,
        body: {
          error: "classification output tensor too large: output 'y' has 1000001 elements, and at most 1000000 are sorted",
        },
      })
    })
  })

  describe(`parameters of a request, ${door.name}`, () => {
    const body = (parameters: object) => ({ ...scores([1, 3], [1, 2, 3], 1), parameters })

    test('reach the engine: who asks, how urgent it is, and how long it may take', async () => {
      expect((await post('scores', body({ priority: 3, timeout: 5_000_000, custom: 'a' }))).status).toBe(200)
      const [options] = asked
      expect(options).toMatchObject({ subject: '(no issuer) tester', priority: 3 })
      expect(options?.timeoutMs).toBeGreaterThan(0)
      expect(options?.timeoutMs).toBeLessThanOrEqual(5000)
    })

    test('let no one before the others who is not granted that, where a model has priorities', async () => {
      const grants = (...more: string[]) => bearer('model:*:predict', ...more)
      const statusOf = async (model: string, priority: number, headers: Record<string, string>) =>
        (await post(model, body({ priority }), headers)).status
      const before = asked.length
      for (const priority of [0, 2, 3, 99]) expect(await statusOf('ranked', priority, grants())).toBe(200)
      expect(await answerOf(post('ranked', body({ priority: 1 }), grants('model:scores:priority')))).toEqual({
        status: 403,
        body: {
          error: 'A priority before 2, which this model has for all, asks for the permission model:ranked:priority',
        },
      })
      expect(asked).toHaveLength(before + 4)
      expect(await statusOf('ranked', 1, grants('model:ranked:priority'))).toBe(200)
      // Where there are none, the number means nothing.
      expect(await statusOf('scores', 1, grants())).toBe(200)
    })

    test('are not there where nothing or 0 was asked', async () => {
      for (const parameters of [{}, { priority: 0, timeout: 0 }]) {
        expect((await post('scores', body(parameters))).status).toBe(200)
        expect([asked[0]?.timeoutMs, asked[0]?.priority]).toEqual([undefined, undefined])
      }
    })

    test('share the time with the header, and the shorter one counts', async () => {
      for (const [header, timeout] of [
        ['4000', 9_000_000],
        ['9000', 4_000_000],
        ['4000.5', 0],
      ] as const) {
        expect((await post('scores', body({ timeout }), { 'vestal-timeout-ms': header })).status).toBe(200)
        expect(asked[0]?.timeoutMs).toBeGreaterThan(0)
        expect(asked[0]?.timeoutMs).toBeLessThanOrEqual(4000.5)
      }
    })

    test('of the header that are no time are rejected', async () => {
      for (const header of ['0', '-1', 'x', '1e3', '86400001', '']) {
        const { status, body: answer } = await answerOf(post('scores', body({}), { 'vestal-timeout-ms': header }))
        expect([status, answer]).toEqual([
          400,
          { error: 'the header Vestal-Timeout-Ms must be a number of milliseconds, more than 0 and at most 86400000' },
        ])
      }
    })

    test('that are over before the engine is asked get an error that says so', async () => {
      const { status, body: answer } = await answerOf(post('scores', body({}), { 'vestal-timeout-ms': '0.001' }))
      expect([status, answer]).toEqual([503, { error: 'Request timeout expired' }])
    })
  })
}
