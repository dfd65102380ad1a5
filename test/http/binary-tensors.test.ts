import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { answerOf, DOORS } from '../support/doors.ts'
import { binaryBody, bytesOf, readBinaryAnswer, textBytes } from '../support/infer-body.ts'
import { bundledEngine, createServer } from '../support/server.ts'
import { identityModel, onnxModel, reciprocalModel, twoOutputModel } from '../support/tiny-models.ts'
import { bearer } from '../support/tokens.ts'

const folder = mkdtempSync(join(tmpdir(), 'vestal-binary-'))
const put = (name: string, bytes: Uint8Array) => Bun.write(join(folder, name, '1/model.onnx'), bytes)
await put('fp32', identityModel('FP32'))
await put('fp16', identityModel('FP16'))
await put('fp64', identityModel('FP64'))
await put('int64', identityModel('INT64'))
await put('bool', identityModel('BOOL'))
await put('text', identityModel('BYTES'))
await put('one-text', identityModel('BYTES', [1]))
await put('two-texts', identityModel('BYTES', [2]))
await put('scalar', identityModel('FP32', []))
await put('rows', identityModel('FP32', ['n', 4]))
await put('open', identityModel('FP32', ['n', 'm', 'k']))
await put('two', twoOutputModel())
await put('reciprocal', reciprocalModel())
await put(
  'sum',
  onnxModel({
    nodes: [
      { operator: 'Add', inputs: ['a', 'b'], outputs: ['c'] },
      { operator: 'Identity', inputs: ['t'], outputs: ['u'] },
    ],
    inputs: [
      { name: 't', datatype: 'BYTES', shape: ['k'] },
      { name: 'a', datatype: 'FP32', shape: ['n'] },
      { name: 'b', datatype: 'FP32', shape: ['n'] },
    ],
    outputs: [
      { name: 'c', datatype: 'FP32', shape: ['n'] },
      { name: 'u', datatype: 'BYTES', shape: ['k'] },
    ],
  }),
)

const engine = await bundledEngine(folder)
afterAll(async () => {
  await engine.stop()
  rmSync(folder, { recursive: true })
})

const ALL = bearer('*')
const BINARY = { binary_data_output: true }

for (const open of DOORS) {
  const door = open(createServer(engine, { bodyBytesMax: 1_000_000 }))
  afterAll(door.close)
  const post = (model: string, body: Uint8Array | string, headers: Record<string, string> = {}) =>
    door.fetch(`/v2/models/${model}/infer`, { method: 'POST', headers: { ...ALL, ...headers }, body: body as string })
  const ask = async (model: string, json: unknown, ...blobs: readonly Uint8Array[]) => {
    const { body, headers } = binaryBody(json, ...blobs)
    return readBinaryAnswer(await post(model, body, headers))
  }
  const refused = async (model: string, json: unknown, ...blobs: readonly Uint8Array[]) => {
    const { body, headers } = binaryBody(json, ...blobs)
    const { status, body: answer } = await answerOf(post(model, body, headers))
    return [status, (answer as { error: string }).error]
  }
  const x = (datatype: string, shape: readonly number[], size: number) => ({
    name: 'x',
    datatype,
    shape,
    parameters: { binary_data_size: size },
  })

  describe(`binary tensor data, ${door.name}`, () => {
    test('goes both ways, in the bytes of the specification', async () => {
      const body =
        '{"inputs":[{"name":"x","shape":[2,2],"datatype":"FP32","parameters":{"binary_data_size":16}}],"outputs":[{"name":"double","parameters":{"binary_data":true}}]}'
      const blob = Buffer.from('0000803f000000400000404000008040', 'hex')
      const response = await post('two', Buffer.concat([Buffer.from(body), blob]), {
        'inference-header-content-length': String(body.length),
        'content-type': 'application/octet-stream',
      })
      const json =
        '{"model_name":"two","model_version":"1","outputs":[{"name":"double","datatype":"FP32","shape":[2,2],"parameters":{"binary_data_size":16}}]}'
      expect(response.headers.get('inference-header-content-length')).toBe(String(json.length))
      expect(response.headers.get('content-type')).toBe('application/octet-stream')
      expect(Buffer.from(await response.bytes()).toString('latin1')).toBe(
        json + Buffer.from('0000004000008040' + '0000c04000000041', 'hex').toString('latin1'),
      )
    })

    test('goes both ways in answers of any size', async () => {
      for (const count of [16_000, 16_384, 100_001]) {
        const values = Float32Array.from({ length: count }, (_, index) => index)
        const answer = await ask(
          'fp32',
          { id: 'é', inputs: [x('FP32', [count], count * 4)], parameters: BINARY },
          bytesOf(values),
        )
        expect([answer.status, answer.type, answer.blobs.y?.length]).toEqual([200, 'application/octet-stream', count * 4])
        expect(Buffer.compare(answer.blobs.y ?? new Uint8Array(0), bytesOf(values))).toBe(0)
      }
    })

    test('gives each of many callers the large tensor that is its own, and leaves the body to who sent it', async () => {
      const count = 30_000
      const asked = Array.from({ length: 24 }, (_, caller) => {
        const blob = bytesOf(Float32Array.from({ length: count }, (_, index) => caller * count + index))
        // Names of different lengths, so that tensors begin at any place of a body.
        return {
          blob,
          ...binaryBody({ id: 'x'.repeat(caller), inputs: [x('FP32', [count], count * 4)], parameters: BINARY }, blob),
        }
      })
      const length = (body: Uint8Array) => ({ 'content-length': String(body.length) })
      for (let round = 0; round < 2; round += 1) {
        const answers = await Promise.all(
          asked.map(async ({ body, headers }) => readBinaryAnswer(await post('fp32', body, { ...headers, ...length(body) }))),
        )
        for (const [caller, { blob }] of asked.entries())
          expect(Buffer.compare(answers[caller]?.blobs.y ?? new Uint8Array(0), blob)).toBe(0)
      }
    })

    const datatypes: readonly (readonly [datatype: string, model: string, blob: Uint8Array, count: number])[] = [
      ['FP16', 'fp16', bytesOf(new Float16Array([1.5, -65504, Number.NaN])), 3],
      ['FP32', 'fp32', bytesOf(new Float32Array([0.1, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0])), 5],
      ['FP64', 'fp64', bytesOf(new Float64Array([0.1, Number.MAX_VALUE])), 2],
      ['INT64', 'int64', bytesOf(new BigInt64Array([9007199254740993n, -(2n ** 63n)])), 2],
      ['BOOL', 'bool', new Uint8Array([1, 0, 1]), 3],
      ['BYTES', 'text', textBytes('hi', '', 'é', '漢😀'), 4],
    ]
    for (const [datatype, model, blob, count] of datatypes) {
      test(`of ${datatype} comes back bit by bit, wherever it begins`, async () => {
        for (let filler = 0; filler < 8; filler += 1) {
          const id = 'a'.repeat(filler)
          const answer = await ask(model, { id, inputs: [x(datatype, [count], blob.length)], parameters: BINARY }, blob)
          expect([answer.status, answer.type, [...(answer.blobs.y ?? [])]]).toEqual([200, 'application/octet-stream', [...blob]])
        }
      })

      test(`of ${datatype} with no elements has no bytes, and its answer is plain JSON`, async () => {
        const answer = await ask(model, { inputs: [x(datatype, [0], 0)], parameters: BINARY })
        expect([answer.status, answer.type]).toEqual([200, 'application/json'])
        expect(answer.json.outputs).toEqual([{ name: 'y', datatype, shape: [0], parameters: { binary_data_size: 0 } }] as never)
      })
    }

    test('holds a scalar', async () => {
      const blob = bytesOf(new Float32Array([2.5]))
      const { json, blobs } = await ask('scalar', { inputs: [x('FP32', [], 4)], parameters: BINARY }, blob)
      expect(json.outputs).toMatchObject([{ shape: [1] }])
      expect(blobs.y).toEqual(new Uint8Array(blob))
    })

    test('mixes with JSON on both sides, and with texts of any length before a number', async () => {
      for (const texts of [['a'], ['bb'], ['a', 'dd'], []]) {
        const t = textBytes(...texts)
        const { json, blobs } = await ask(
          'sum',
          {
            inputs: [
              { name: 't', datatype: 'BYTES', shape: [texts.length], parameters: { binary_data_size: t.length } },
              { name: 'a', datatype: 'FP32', shape: [3], parameters: { binary_data_size: 12 } },
              { name: 'b', datatype: 'FP32', shape: [3], data: [10, 20, 30] },
            ],
            outputs: [{ name: 'u' }, { name: 'c', parameters: { binary_data: true } }],
          },
          t,
          bytesOf(new Float32Array([1, 2, 3])),
        )
        expect(json.outputs[0]).toMatchObject({ name: 'u', data: texts } as never)
        expect(blobs.c).toEqual(new Uint8Array(bytesOf(new Float32Array([11, 22, 33]))))
      }
    })

    test('is read in the order of the inputs, not of the model', async () => {
      const input = (name: string) => ({ name, datatype: 'FP32', shape: [1], parameters: { binary_data_size: 4 } })
      const { json } = await ask(
        'sum',
        { inputs: [input('b'), { name: 't', datatype: 'BYTES', shape: [0], data: [] }, input('a')], outputs: [{ name: 'c' }] },
        bytesOf(new Float32Array([1])),
        bytesOf(new Float32Array([20])),
      )
      expect(json.outputs).toMatchObject([{ data: [21] }] as never)
    })

    test('is given for the outputs that ask for it: their own flag goes before the request’s', async () => {
      const inputs = [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] }]
      const formOf = async (body: object) => {
        const { json } = await readBinaryAnswer(await post('two', JSON.stringify({ inputs, ...body })))
        return json.outputs.map(({ name, parameters }) => [name, parameters !== undefined])
      }
      expect(await formOf({})).toEqual([
        ['double', false],
        ['negative', false],
      ])
      expect(await formOf({ parameters: BINARY })).toEqual([
        ['double', true],
        ['negative', true],
      ])
      const outputs = [{ name: 'negative', parameters: { binary_data: false } }, { name: 'double' }]
      expect(await formOf({ parameters: BINARY, outputs })).toEqual([
        ['negative', false],
        ['double', true],
      ])
      expect(await formOf({ outputs: [{ name: 'double', parameters: { binary_data: true } }, { name: 'negative' }] })).toEqual([
        ['double', true],
        ['negative', false],
      ])
    })

    test('leaves what was sent as it was', async () => {
      const blob = bytesOf(new Float32Array([1, 2, 3]))
      const { body, headers } = binaryBody({ id: 'abc', inputs: [x('FP32', [3], 12)] }, blob)
      const before = body.slice()
      for (let time = 0; time < 3; time += 1) expect((await post('fp32', body, headers)).status).toBe(200)
      expect(body).toEqual(before)
    })
  })

  describe(`binary tensor data that is wrong, ${door.name}`, () => {
    const four = bytesOf(new Float32Array([1]))
    const cases: readonly (readonly [model: string, json: unknown, blobs: readonly Uint8Array[], error: string])[] = [
      [
        'fp32',
        { inputs: [x('FP32', [2], 8)] },
        [four],
        "unexpected size for input 'x', expecting 4 additional bytes for model 'fp32'",
      ],
      ['fp32', { inputs: [x('FP32', [1], 4)] }, [four, four], "unexpected additional input data for model 'fp32'"],
      [
        'fp32',
        { inputs: [{ name: 'x', datatype: 'FP32', shape: [1], data: [1] }] },
        [four],
        "unexpected additional input data for model 'fp32'",
      ],
      [
        'fp32',
        { inputs: [x('FP32', [2], 4)] },
        [four],
        "input byte size mismatch for input 'x' for model 'fp32'. Expected 8, got 4",
      ],
      [
        'fp32',
        { inputs: [x('FP32', [4_000_000_000], 4)] },
        [four],
        "input byte size mismatch for input 'x' for model 'fp32'. Expected 16000000000, got 4",
      ],
      [
        'fp32',
        { inputs: [x('FP32', [1], -4)] },
        [four],
        "parameter 'binary_data_size' of input 'x' must be an integer from 0 up, got -4",
      ],
      [
        'fp32',
        { inputs: [x('FP32', [1], 2.5)] },
        [four],
        "parameter 'binary_data_size' of input 'x' must be an integer from 0 up, got 2.5",
      ],
      [
        'fp32',
        { inputs: [{ ...x('FP32', [1], 4), data: [1] }] },
        [four],
        "Input must set only one of the following fields: 'data', 'binary_data_size' in 'parameters', 'shared_memory_region' in 'parameters'. But set 'data' 'binary_data_size' in input 'x'",
      ],
      ['fp32', { inputs: [{ name: 'x', datatype: 'FP32', shape: [1] }] }, [], `input 'x': "data" must be a list, got nothing`],
      [
        'bool',
        { inputs: [x('BOOL', [2], 2)] },
        [new Uint8Array([1, 2])],
        "input 'x': element 1 of BOOL must be a byte of 0 or 1, got 2",
      ],
      [
        'text',
        { inputs: [x('BYTES', [2], 6)] },
        [textBytes('hi')],
        "expected 2 string elements for inference input 'x' for model 'text', got 1",
      ],
      [
        'text',
        { inputs: [x('BYTES', [1], 12)] },
        [textBytes('hi', 'hi')],
        "unexpected number of string elements 2 for inference input 'x' for model 'text', expecting 1",
      ],
      [
        'text',
        { inputs: [x('BYTES', [1], 5)] },
        [textBytes('hi').subarray(0, 5)],
        "incomplete string data for inference input 'x', expecting string of length 2 but only 1 bytes available",
      ],
      [
        'text',
        { inputs: [x('BYTES', [2], 8)] },
        [Buffer.concat([textBytes('hi'), new Uint8Array(2)])],
        "incomplete string length indicator for inference input 'x' for model 'text', expecting 4 bytes but only 2 bytes available. Please make sure the string length indicator is in one buffer.",
      ],
      [
        'text',
        { inputs: [x('BYTES', [1], 6)] },
        [textBytes(new Uint8Array([0xff, 0xfe]))],
        "input 'x': element 0 of BYTES must be UTF-8",
      ],
      [
        'text',
        { inputs: [x('BYTES', [1], 7)] },
        [textBytes('a\0b')],
        "input 'x': element 0 must be a string without the character U+0000",
      ],
    ]
    for (const [model, json, blobs, error] of cases) {
      test(`is reported: ${error.slice(0, 90)}`, async () => {
        expect(await refused(model, json, ...blobs)).toEqual([400, error])
      })
    }

    test('is reported where the header’s length is none', async () => {
      const body = JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [1], data: [1] }] })
      for (const length of ['99999999999', '4294967296', '-1', '1.5', 'x', '0x10', '1e2']) {
        expect(await answerOf(post('fp32', body, { 'inference-header-content-length': length }))).toEqual({
          status: 400,
          body: { error: `Unable to parse Inference-Header-Content-Length, got: ${length}` },
        })
      }
      expect(await answerOf(post('fp32', body, { 'inference-header-content-length': String(body.length + 1) }))).toEqual({
        status: 400,
        body: { error: `inference header size should be in range (0, ${body.length}), got: ${body.length + 1}` },
      })
      expect((await door.fetch('/v2/health/live')).status).toBe(200)
    })

    test('is not read for a stranger', async () => {
      const length = { 'inference-header-content-length': 'x', 'content-encoding': 'br' }
      const response = await door.fetch('/v2/models/fp32/infer', { method: 'POST', headers: length, body: new Uint8Array(9) })
      expect(response.status).toBe(401)
    })
  })

  describe(`a raw binary request, ${door.name}`, () => {
    const raw = { 'inference-header-content-length': '0' }

    test('without a body is a tensor without elements, however often it is sent', async () => {
      for (let time = 0; time < 3; time += 1) {
        const answer = await door.fetch('/v2/models/fp32/infer', { method: 'POST', headers: { ...ALL, ...raw } })
        const { json } = await readBinaryAnswer(answer)
        expect([answer.status, json.outputs]).toMatchObject([200, [{ name: 'y', shape: [0] }]])
      }
    })

    const send = async (model: string, body: Uint8Array) => readBinaryAnswer(await post(model, body, raw))

    test('has the shape that follows from its length', async () => {
      const floats = bytesOf(new Float32Array([1, 2, 3, 4, 5, 6, 7, 8]))
      for (const [model, shape] of [
        ['fp32', [8]],
        ['rows', [2, 4]],
      ] as const) {
        const { type, json, blobs } = await send(model, floats)
        expect([type, json.outputs[0], blobs.y]).toEqual([
          'application/octet-stream',
          { name: 'y', datatype: 'FP32', shape, parameters: { binary_data_size: 32 } } as never,
          new Uint8Array(floats),
        ])
      }
      expect((await send('scalar', floats.subarray(0, 4))).json.outputs).toMatchObject([{ shape: [1] }])
    })

    test('of BYTES is the one text itself', async () => {
      for (const model of ['text', 'one-text']) {
        const { blobs, json } = await send(model, Buffer.from('héllo'))
        expect([json.outputs, blobs.y]).toMatchObject([[{ shape: [1] }], new Uint8Array(textBytes('héllo'))])
      }
    })

    const wrong: readonly (readonly [model: string, length: number, error: string])[] = [
      ['sum', 4, "Raw request must only have 1 input (found 1) to be deduced but got 3 inputs in 'sum' model configuration"],
      ['open', 4, "The shape of the raw input 'x' can not be deduced because there are more than one variable-sized dimension"],
      ['two-texts', 4, "For BYTE datatype raw input 'x', the model must have input shape [1]"],
      ['rows', 20, "input byte size mismatch for input 'x' for model 'rows'. Expected 16, got 20"],
      ['fp32', 3, "input byte size mismatch for input 'x' for model 'fp32'. Expected 0, got 3"],
      ['scalar', 8, "input byte size mismatch for input 'x' for model 'scalar'. Expected 4, got 8"],
    ]
    for (const [model, length, error] of wrong) {
      test(`is reported: ${error.slice(0, 90)}`, async () => {
        expect(await answerOf(post(model, new Uint8Array(length), raw))).toEqual({ status: 400, body: { error } })
      })
    }
  })
}
