import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { VERSION } from '../../src/core/version.ts'
import { EXTENSIONS } from '../../src/http/control/metadata.ts'
import { answerOf, DOORS } from '../support/doors.ts'
import { bundledEngine, createServer } from '../support/server.ts'
import { identityModel, twoOutputModel } from '../support/tiny-models.ts'
import { bearer } from '../support/tokens.ts'

const folder = mkdtempSync(join(tmpdir(), 'vestal-oip-'))
await Bun.write(join(folder, 'int64/1/model.onnx'), identityModel('INT64'))
await Bun.write(join(folder, 'text/1/model.onnx'), identityModel('BYTES'))
await Bun.write(join(folder, 'scalar/1/model.onnx'), identityModel('FP32', []))
await Bun.write(join(folder, 'two/3/model.onnx'), twoOutputModel())
await Bun.write(join(folder, 'two/10/model.onnx'), twoOutputModel())
await Bun.write(join(folder, 'two/11/model.onnx'), 'not a model')

const engine = await bundledEngine(folder)
afterAll(async () => {
  await engine.stop()
  rmSync(folder, { recursive: true })
})

const ALL = bearer('*')
const X = { name: 'x', shape: [1, 2], datatype: 'FP32', data: [1, 2] }

for (const open of DOORS) {
  const door = open(createServer(engine))
  afterAll(door.close)
  const get = (path: string) => answerOf(door.fetch(path, { headers: ALL }))
  const infer = (path: string, body: unknown, headers: Record<string, string> = {}) =>
    answerOf(
      door.fetch(`/v2/models/${path}/infer`, {
        method: 'POST',
        headers: { ...ALL, ...headers },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      }),
    )
  const refused = (error: string) => ({ status: 400, body: { error } })

  describe(`metadata, ${door.name}`, () => {
    test('of the server', async () => {
      const body = { name: 'vestal', version: VERSION, extensions: EXTENSIONS }
      expect(await get('/v2')).toEqual({ status: 200, body })
      expect(await get('/v2/')).toEqual({ status: 200, body })
    })

    test('and configuration of a scalar, and of rows of one dimension, have a dimension that is no batch, as perf_analyzer needs', async () => {
      expect((await get('/v2/models/scalar')).body).toMatchObject({ inputs: [{ shape: [1] }], outputs: [{ shape: [1] }] })
      expect((await get('/v2/models/scalar/config')).body).toMatchObject({
        max_batch_size: 0,
        input: [{ name: 'x', dims: [1] }],
        output: [{ name: 'y', dims: [1] }],
      })
      expect((await get('/v2/models/int64')).body).toMatchObject({ inputs: [{ shape: [-1, 1] }], outputs: [{ shape: [-1] }] })
      expect((await get('/v2/models/int64/config')).body).toMatchObject({
        max_batch_size: 32,
        input: [{ name: 'x', dims: [1], reshape: { shape: [] } }],
      })
    })

    test('of a model lists the versions that are ready, newest first', async () => {
      expect(await get('/v2/models/two')).toEqual({
        status: 200,
        body: {
          name: 'two',
          versions: ['10', '3'],
          platform: 'onnxruntime_onnx',
          inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 2] }],
          outputs: [
            { name: 'double', datatype: 'FP32', shape: [-1, 2] },
            { name: 'negative', datatype: 'FP32', shape: [-1, 2] },
          ],
        },
      })
    })

    test('of a version lists that one', async () => {
      expect((await get('/v2/models/two/versions/3')).body).toMatchObject({ versions: ['3'] })
    })

    test('ignores a query', async () => {
      expect((await get('/v2/models/two?test_1=1&test_2=2')).status).toBe(200)
    })

    test('of what there is not is rejected in the words that clients match', async () => {
      expect(await get('/v2/models/none')).toEqual({
        status: 404,
        body: { error: "Request for unknown model: 'none' is not found" },
      })
      expect(await get('/v2/models/two/versions/4')).toEqual({
        status: 404,
        body: { error: "Request for unknown model: 'two' version 4 is not found" },
      })
      const { status, body } = await get('/v2/models/two/versions/11')
      expect(status).toBe(503)
      expect((body as { error: string }).error).toStartWith("Request for unknown model: 'two' version 11 is not at ready state")
    })
  })

  describe(`health, ${door.name}`, () => {
    test('is live and ready', async () => {
      expect(await answerOf(door.fetch('/v2/health/live'))).toEqual({ status: 200, body: { live: true } })
      expect(await answerOf(door.fetch('/v2/health/ready'))).toEqual({ status: 200, body: { ready: true } })
    })

    test('of a model and of a version', async () => {
      expect(await get('/v2/models/two/ready')).toEqual({ status: 200, body: { name: 'two', ready: true } })
      expect(await get('/v2/models/two/versions/10/ready')).toEqual({ status: 200, body: { name: 'two', ready: true } })
      expect(await get('/v2/models/two/versions/11/ready')).toEqual({ status: 503, body: { name: 'two', ready: false } })
      expect((await get('/v2/models/none/ready')).status).toBe(404)
    })
  })

  describe(`an inference, ${door.name}`, () => {
    test('is answered by the newest version that is ready', async () => {
      expect(await infer('two', { id: '7', inputs: [X] })).toEqual({
        status: 200,
        body: {
          model_name: 'two',
          model_version: '10',
          id: '7',
          outputs: [
            { name: 'double', datatype: 'FP32', shape: [1, 2], data: [2, 4] },
            { name: 'negative', datatype: 'FP32', shape: [1, 2], data: [-1, -2] },
          ],
        },
      })
    })

    test('is answered by the version that was asked', async () => {
      expect((await infer('two/versions/3', { inputs: [X] })).body).toMatchObject({ model_version: '3' })
    })

    test('gives the outputs that were asked for, in their order', async () => {
      const { body } = await infer('two', { inputs: [X], outputs: [{ name: 'negative' }, { name: 'double' }] })
      expect((body as { outputs: { name: string }[] }).outputs.map(({ name }) => name)).toEqual(['negative', 'double'])
      const all = await infer('two', { inputs: [X], outputs: [] })
      expect((all.body as { outputs: unknown[] }).outputs).toHaveLength(2)
    })

    test('takes nested data, and unknown members', async () => {
      const inputs = [
        {
          ...X,
          shape: [2, 2],
          data: [
            [1, 2],
            [3, 4],
          ],
          extra: 1,
        },
      ]
      expect((await infer('two', { model_name: 'other', inputs, parameters: { anything: true } })).status).toBe(200)
    })

    test('does not look at the content type', async () => {
      for (const type of [
        'application/octet-stream',
        'application/x-www-form-urlencoded',
        'multipart/form-data; boundary=x',
        'nonsense',
      ]) {
        expect((await infer('two', { inputs: [X] }, { 'content-type': type })).status).toBe(200)
      }
    })

    test('does not tell an empty id back', async () => {
      expect((await infer('two', { id: '', inputs: [X] })).body).not.toHaveProperty('id')
    })

    test('takes null for what may be absent, as writers of JSON say that leave nothing out', async () => {
      const input = { ...X, parameters: { content_type: null, headers: null } }
      const outputs = [{ name: 'double', parameters: { binary_data: null, classification: null } }]
      const parameters = { timeout: null, priority: null, binary_data_output: null, sequence_id: null, other: null }
      const sent = { id: null, parameters, inputs: [input], outputs, raw: null }
      const answer = await infer('two', sent)
      expect(answer).toMatchObject({ status: 200, body: { outputs: [{ name: 'double', data: [2, 4] }] } })
      expect(answer.body).not.toHaveProperty('id')
      const bare = await infer('two', { id: null, parameters: null, inputs: [{ ...X, parameters: null }], outputs: null })
      expect((bare.body as { outputs: unknown[] }).outputs).toHaveLength(2)
    })

    test('takes one dimension of rows with and without one of 1, and no other', async () => {
      for (const shape of [[2], [2, 1]]) {
        const input = { name: 'x', shape, datatype: 'INT64', data: [7, 8] }
        expect((await infer('int64', { inputs: [input] })).body).toMatchObject({ outputs: [{ shape: [2], data: [7, 8] }] })
      }
      const wide = { name: 'x', shape: [1, 2], datatype: 'INT64', data: [7, 8] }
      expect(await infer('int64', { inputs: [wide] })).toEqual(
        refused("unexpected shape for input 'x' for model 'int64'. Expected [-1], got [1,2]."),
      )
      const two = { name: 'x', shape: [2], datatype: 'FP32', data: [1, 2] }
      expect(await infer('scalar', { inputs: [two] })).toEqual(
        refused("unexpected shape for input 'x' for model 'scalar'. Expected [1], got [2]."),
      )
    })

    test('keeps 64-bit integers exact', async () => {
      const body = '{"inputs":[{"name":"x","shape":[2],"datatype":"INT64","data":[9007199254740993,-9223372036854775808]}]}'
      const response = await door.fetch('/v2/models/int64/infer', { method: 'POST', headers: ALL, body })
      expect(await response.text()).toContain('"data":[9007199254740993,-9223372036854775808]')
    })

    test('takes BYTES as texts, a scalar, and no elements', async () => {
      const text = { name: 'x', shape: [2], datatype: 'BYTES', data: ['漢😀', ''] }
      expect((await infer('text', { inputs: [text] })).body).toMatchObject({ outputs: [{ ...text, name: 'y' }] })
      const scalar = { name: 'x', shape: [], datatype: 'FP32', data: [1.5] }
      const answer = { outputs: [{ ...scalar, shape: [1], name: 'y' }] }
      for (const shape of [[], [1], [1, 1]])
        expect((await infer('scalar', { inputs: [{ ...scalar, shape }] })).body).toMatchObject(answer)
      const empty = { name: 'x', shape: [0], datatype: 'INT64', data: [] }
      expect((await infer('int64', { inputs: [empty] })).body).toMatchObject({ outputs: [{ ...empty, name: 'y' }] })
    })
  })

  describe(`an inference that is wrong, ${door.name}`, () => {
    const cases: readonly (readonly [body: unknown, error: string])[] = [
      [[], 'the body must be an object with "inputs", got []'],
      [{}, '"inputs" must be a list, got nothing'],
      [{ inputs: {} }, '"inputs" must be a list, got {}'],
      [{ inputs: [1] }, 'an element of "inputs" must be an object, got 1'],
      [
        { inputs: [] },
        "expected 1 inputs but got 0 inputs for model 'two'. Got input(s) [], but missing required input(s) ['x']. Please provide all required input(s).",
      ],
      [{ id: 7, inputs: [X] }, '"id" must be a string of at most 1024 characters, got 7'],
      [{ inputs: [{ ...X, name: 1 }] }, 'the "name" of an input must be a string, got 1'],
      [{ inputs: [{ ...X, name: 'z' }] }, "unexpected inference input 'z' for model 'two'. Expected input(s) ['x']."],
      [{ inputs: [X, X] }, "input 'x' already exists in request"],
      [{ inputs: null }, '"inputs" must be a list, got null'],
      [{ inputs: [{ ...X, data: null }] }, 'input \'x\': "data" must be a list, got null'],
      [
        { inputs: [{ ...X, shape: [2 ** 62, 2] }] },
        "invalid shape for input 'x': shape [4611686018427388000,2] causes total element count to exceed maximum size of 9223372036854775807",
      ],
      [{ inputs: [{ ...X, datatype: 'INT64' }] }, "inference input 'x' data-type is 'INT64', but model 'two' expects 'FP32'"],
      [{ inputs: [{ ...X, datatype: 'FLOAT' }] }, "inference input 'x' data-type is 'FLOAT', but model 'two' expects 'FP32'"],
      [{ inputs: [{ ...X, shape: [1, 5] }] }, "unexpected shape for input 'x' for model 'two'. Expected [-1,2], got [1,5]."],
      [{ inputs: [{ ...X, shape: [2] }] }, "unexpected shape for input 'x' for model 'two'. Expected [-1,2], got [2]."],
      [
        { inputs: [{ ...X, shape: [-1, 2] }] },
        "Unable to parse 'shape': attempt to access JSON non-unsigned-integer as unsigned-integer; the shape of input 'x' must be a list of at most 16 integers from 0 up, got [-1,2]",
      ],
      [
        { inputs: [{ ...X, shape: [1.5, 2] }] },
        "Unable to parse 'shape': attempt to access JSON non-unsigned-integer as unsigned-integer; the shape of input 'x' must be a list of at most 16 integers from 0 up, got [1.5,2]",
      ],
      [
        { inputs: [{ ...X, shape: '1,2' }] },
        "Unable to parse 'shape': attempt to access JSON non-unsigned-integer as unsigned-integer; the shape of input 'x' must be a list of at most 16 integers from 0 up, got \"1,2\"",
      ],
      [
        { inputs: [{ ...X, shape: [9007199254740991, 2] }] },
        "JSON input 'x' has a byte_size (72057594037927928 bytes) that exceeds the maximum allowed value of 268435456 bytes: a tensor has at most 67108864 elements",
      ],
      [
        { inputs: [{ ...X, data: [1] }] },
        "Unable to parse 'data': Shape does not match true shape of 'data' field; input 'x' of shape [1,2] needs 2 elements, and it has 1",
      ],
      [
        { inputs: [{ ...X, data: [1, 2, 3] }] },
        "Unable to parse 'data': Shape does not match true shape of 'data' field; input 'x' of shape [1,2] needs 2 elements, and it has more",
      ],
      [{ inputs: [{ ...X, data: 'x' }] }, 'input \'x\': "data" must be a list, got "x"'],
      [{ inputs: [{ name: 'x', shape: [1, 2], datatype: 'FP32' }] }, 'input \'x\': "data" must be a list, got nothing'],
      [{ inputs: [{ ...X, data: [1, 'a'] }] }, 'input \'x\': element 1 must be a number of FP32, got "a"'],
      [{ inputs: [X], outputs: {} }, '"outputs" must be a list, got {}'],
      [
        { inputs: [X], outputs: [{ name: 'q' }] },
        "unexpected inference output 'q' for model 'two'. Expected output(s) ['double','negative'].",
      ],
      [{ inputs: [X], outputs: [{ name: 'double' }, { name: 'double' }] }, "output 'double' already exists in request"],
      [{ inputs: [{ ...X, parameters: [] }] }, 'the "parameters" of input \'x\' must be an object, got []'],
      [
        { inputs: [X], parameters: { triton_enable: 1 } },
        'parameter keys starting with \'triton_\' are reserved for Triton usage and should not be specified. Found in the request: "triton_enable"',
      ],
      [
        { inputs: [X], parameters: { a: [1] } },
        'parameter "a" of the request must be a string, a number, true or false, got [1]',
      ],
      [{ inputs: [X], parameters: { timeout: -1 } }, "parameter 'timeout' of the request must be an integer from 0 up, got -1"],
      [
        { inputs: [X], parameters: { timeout: '5' } },
        'parameter \'timeout\' of the request must be an integer from 0 up, got "5"',
      ],
      [
        { inputs: [X], parameters: { priority: 1.5 } },
        "parameter 'priority' of the request must be an integer from 0 up, got 1.5",
      ],
      [
        { inputs: [X], parameters: { binary_data_output: 1 } },
        "parameter 'binary_data_output' of the request must be true or false, got 1",
      ],
      [
        { inputs: [X], outputs: [{ name: 'double', parameters: { binary_data: 'yes' } }] },
        "parameter 'binary_data' of output 'double' must be true or false, got \"yes\"",
      ],
      [
        { inputs: [X], outputs: [{ name: 'double', parameters: { classification: -1 } }] },
        "parameter 'classification' of output 'double' must be an integer from 0 up, got -1",
      ],
      [
        { inputs: [X], parameters: Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`p${index}`, 1])) },
        'the "parameters" of the request must be at most 64',
      ],
    ]
    for (const [body, error] of cases) {
      test(`gets the error: ${error.slice(0, 80)}`, async () => {
        expect(await infer('two', body)).toEqual(refused(error))
      })
    }

    test('asks for what this version does not do, and gets an error with 501', async () => {
      const asked = [
        { inputs: [{ ...X, parameters: { shared_memory_region: 'r', shared_memory_byte_size: 8 } }] },
        { inputs: [X], outputs: [{ name: 'double', parameters: { shared_memory_region: 'r' } }] },
        { inputs: [X], parameters: { sequence_id: 7, sequence_start: true } },
        { inputs: [X], parameters: { sequence_id: 'a' } },
        { inputs: [X], parameters: { sequence_end: true } },
      ]
      for (const body of asked) {
        const { status, body: answer } = await infer('two', body)
        expect(status).toBe(501)
        expect((answer as { error: string }).error).toContain('not supported')
      }
      const harmless = { sequence_id: 0, sequence_start: false, sequence_end: false, priority: 0, timeout: 0 }
      expect((await infer('two', { inputs: [X], parameters: harmless })).status).toBe(200)
    })

    test('is answered with exactly application/json, which clients compare', async () => {
      const response = await door.fetch('/v2/models/two/infer', { method: 'POST', headers: ALL, body: '{' })
      expect([response.status, response.headers.get('content-type')]).toEqual([400, 'application/json'])
      expect(await response.json()).toEqual({ error: 'The body is not valid JSON' })
    })
  })
}
