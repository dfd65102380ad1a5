/**
 * Triton's texts, one request for each: what is expected is written as Triton's source has it, and what the server says must begin with it
 * (decision 051). Adding a text without a request for it is a type error.
 */

import { afterAll, describe, expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { TRITON_TEXTS } from '../../src/tensor/triton-texts.ts'
import { answerOf } from '../support/doors.ts'
import { startExplicit } from '../support/explicit-engine.ts'
import { binaryBody, textBytes } from '../support/infer-body.ts'
import { createServer } from '../support/server.ts'
import { identityModel, onnxModel, twoOutputModel } from '../support/tiny-models.ts'
import { bearer } from '../support/tokens.ts'

const folder = mkdtempSync(join(tmpdir(), 'vestal-texts-'))
const put = (path: string, content: Uint8Array | string) => Bun.write(join(folder, path), content)
for (const datatype of ['FP32', 'BYTES', 'INT64', 'BOOL', 'FP16'] as const)
  await put(`${datatype.toLowerCase()}/1/model.onnx`, identityModel(datatype))
await put('rows/1/model.onnx', identityModel('FP32', ['n', 2]))
await put('bytes-rows/1/model.onnx', identityModel('BYTES', ['n', 1]))
await put('bytes-open/1/model.onnx', identityModel('BYTES', ['n', 'm']))
await put('bytes-two/1/model.onnx', identityModel('BYTES', ['n', 'm', 'k']))
await put('open/1/model.onnx', identityModel('FP32', ['n', 'm']))
await put('open-three/1/model.onnx', identityModel('FP32', ['n', 'm', 'k']))
await put('two/1/model.onnx', twoOutputModel())
await put('both/1/model.onnx', identityModel('FP32'))
await put('both/2/model.onnx', 'nothing')
await put('broken/1/model.onnx', 'nothing')
await put('broken/2/model.onnx', 'nothing')
await put('misspelt/1/model.onnx', identityModel('FP32'))
await put('misspelt/config.pbtxt', 'max_batch_sise: 1\n')
const sum = onnxModel({
  nodes: [
    { operator: 'Add', inputs: ['a', 'b'], outputs: ['d'] },
    { operator: 'Add', inputs: ['c', 'd'], outputs: ['e'] },
  ],
  inputs: ['a', 'b', 'c'].map((name) => ({ name, datatype: 'FP32' as const, shape: ['n'] })),
  outputs: [{ name: 'e', datatype: 'FP32', shape: ['n'] }],
})
await put('sum/1/model.onnx', sum)
// The same models, whose config.pbtxt says that no dimension counts rows.
for (const [name, model] of [
  ['whole', identityModel('FP32', ['n', 'm'])],
  ['whole-text', identityModel('BYTES', ['n'])],
  ['whole-texts', identityModel('BYTES', ['n', 'm'])],
] as const) {
  await put(`${name}/1/model.onnx`, model)
  await put(`${name}/config.pbtxt`, 'max_batch_size: 0\n')
}
// An ensemble without max_batch_size has none either.
await put(
  'chain/config.pbtxt',
  `platform: "ensemble"
input { name: "a" data_type: TYPE_FP32 dims: [ -1, -1 ] }
output { name: "b" data_type: TYPE_FP32 dims: [ -1, -1 ] }
ensemble_scheduling { step { model_name: "open" model_version: -1 input_map { key: "x" value: "a" } output_map { key: "y" value: "b" } } }
`,
)

const LIMIT = 20 * 2 ** 20
const engine = await startExplicit(folder, { mayOverride: true })
const app = createServer(engine, { bodyBytesMax: LIMIT })
app.listen({ port: 0, hostname: '127.0.0.1' })
const base = `http://127.0.0.1:${app.server?.port}`
afterAll(async () => {
  await app.stop(true)
  await engine.stop()
  rmSync(folder, { recursive: true })
})

type Body = object | string | Uint8Array
const ALL = bearer('*')
const RAW = { 'inference-header-content-length': '0' }
const GZIP = { 'content-encoding': 'gzip' }
const post = (path: string, body: Body, headers: Record<string, string> = {}) =>
  answerOf(
    fetch(`${base}/v2/${path}`, {
      method: 'POST',
      headers: { ...ALL, ...headers },
      body: typeof body === 'string' || body instanceof Uint8Array ? (body as string) : JSON.stringify(body),
    }),
  )
const infer = (model: string, body: Body, headers?: Record<string, string>) => post(`models/${model}/infer`, body, headers)
/** An inference request of one input, whose numbers may be written as texts: they go into the JSON as they stand. */
const ask = (model: string, datatype: string, shape: string, data: string) =>
  infer(model, `{"inputs":[{"name":"x","datatype":"${datatype}","shape":${shape},"data":${data}}]}`)
const askBinary = (model: string, datatype: string, shape: readonly number[], blob: Uint8Array, size = blob.length) => {
  const one = { name: 'x', datatype, shape, parameters: { binary_data_size: size } }
  const { body, headers } = binaryBody({ inputs: [one] }, blob)
  return infer(model, body, headers)
}
const classes = (model: string, datatype: string, shape: readonly number[], data: readonly unknown[], name = ['x', 'y']) =>
  infer(model, {
    inputs: [{ name: name[0], datatype, shape, data }],
    outputs: [{ name: name[1], parameters: { classification: 3 } }],
  })
const load = (model: string, parameters?: object) =>
  post(`repository/models/${model}/load`, parameters === undefined ? '' : { parameters })
const nested = (depth: number, inner: string) => `${'['.repeat(depth)}${inner}${']'.repeat(depth)}`
const X = { name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] }

type Answer = ReturnType<typeof infer>
type Case = readonly [says: string, status: number, ask: () => Answer]
const MAX = '9223372036854775807'
/** As Triton's http_server.cc, classification.cc, infer_request.cc, model_repository_manager.cc and its backends have them. */
const CASES: Readonly<Record<keyof typeof TRITON_TEXTS, readonly Case[]>> = {
  unknownModel: [["Request for unknown model: 'none' is not found", 404, () => infer('none', '')]],
  nestingDepth: [
    ['JSON nesting depth exceeds maximum allowed limit (100)', 400, () => ask('fp32', 'FP32', '[1]', nested(100, '1'))],
    ['JSON nesting depth exceeds maximum allowed limit (100)', 400, () => ask('bytes', 'BYTES', '[1]', nested(120, '"a"'))],
    ['JSON nesting depth exceeds maximum allowed limit (100)', 400, () => ask('int64', 'INT64', '[1]', nested(120, '123'))],
    // A reviver is needed for the number, and has no stack for so many levels.
    [
      'JSON nesting depth exceeds maximum allowed limit (100)',
      400,
      () => ask('int64', 'INT64', '[1]', nested(250_000, '9007199254740993')),
    ],
    [
      'JSON nesting depth exceeds maximum allowed limit (100)',
      400,
      () => ask('fp32', 'FP32', '[1]', nested(250_000, '9007199254740993,NaN')),
    ],
  ],
  jsonTooLarge: [
    [
      `request JSON size of ${LIMIT + 1} bytes exceeds the maximum allowed input size of ${LIMIT} bytes.`,
      413,
      () => infer('fp32', Buffer.alloc(LIMIT + 1, ' ')),
    ],
    [
      `request JSON size of more than ${LIMIT} bytes exceeds the maximum allowed input size of ${LIMIT} bytes.`,
      413,
      () => infer('fp32', gzipSync(randomBytes(LIMIT / 2 + 1).toString('hex')), GZIP),
    ],
    [
      `request JSON size of ${LIMIT + 1} bytes exceeds the maximum allowed input size of ${LIMIT} bytes.`,
      413,
      () => post('repository/models/fp32/load', Buffer.alloc(LIMIT + 1, ' ')),
    ],
    [
      'request JSON size of 1048577 bytes exceeds the maximum allowed input size of 1048576 bytes.',
      413,
      () => post('repository/index', Buffer.alloc(1_048_577, ' ')),
    ],
    [
      'request JSON size of 1048577 bytes exceeds the maximum allowed input size of 1048576 bytes.',
      413,
      () => post('repository/models/fp32/unload', Buffer.alloc(1_048_577, ' ')),
    ],
  ],
  rawTooLarge: [
    [
      `Raw input has a byte_size (${LIMIT + 4} bytes) that exceeds the maximum allowed value of ${LIMIT} bytes.`,
      413,
      () => infer('fp32', new Uint8Array(LIMIT + 4), RAW),
    ],
  ],
  headerLength: [
    [
      'Unable to parse Inference-Header-Content-Length, got: abc',
      400,
      () => infer('fp32', '{}', { 'inference-header-content-length': 'abc' }),
    ],
  ],
  headerRange: [
    [
      'inference header size should be in range (0, 2), got: 3',
      400,
      () => infer('fp32', '{}', { 'inference-header-content-length': '3' }),
    ],
  ],
  reservedParameter: [
    [
      "parameter keys starting with 'triton_' are reserved for Triton usage and should not be specified.",
      400,
      () => infer('two', { inputs: [X], parameters: { triton_x: 1 } }),
    ],
  ],
  inputsMissing: [
    [
      "expected 3 inputs but got 1 inputs for model 'sum'. Got input(s) ['a'], but missing required input(s) ['b','c']. " +
        'Please provide all required input(s).',
      400,
      () => infer('sum', { inputs: [{ name: 'a', datatype: 'FP32', shape: [1], data: [1] }] }),
    ],
    [
      "expected 3 inputs but got 2 inputs for model 'sum'. Got input(s) ['a','b'], but missing required input(s) ['c']. " +
        'Please provide all required input(s).',
      400,
      () => infer('sum', { inputs: ['a', 'b'].map((name) => ({ name, datatype: 'FP32', shape: [1], data: [1] })) }),
    ],
  ],
  inputUnexpected: [
    ["unexpected inference input 'z' for model 'sum'", 400, () => infer('sum', { inputs: [{ ...X, name: 'z' }] })],
  ],
  outputUnexpected: [
    ["unexpected inference output 'z' for model 'two'", 400, () => infer('two', { inputs: [X], outputs: [{ name: 'z' }] })],
  ],
  inputTwice: [["input 'x' already exists in request", 400, () => infer('two', { inputs: [X, X] })]],
  outputTwice: [
    [
      "output 'double' already exists in request",
      400,
      () => infer('two', { inputs: [X], outputs: [{ name: 'double' }, { name: 'double' }] }),
    ],
  ],
  datatypeWrong: [
    ["inference input 'x' data-type is 'INT64', but model 'fp32' expects 'FP32'", 400, () => ask('fp32', 'INT64', '[1]', '[1]')],
  ],
  shapeWrong: [
    [
      "unexpected shape for input 'x' for model 'rows'. Expected [-1,2], got [1,5].",
      400,
      () => ask('rows', 'FP32', '[1,5]', '[1]'),
    ],
  ],
  shapeNegative: [
    [
      "Unable to parse 'shape': attempt to access JSON non-unsigned-integer as unsigned-integer",
      400,
      () => ask('rows', 'FP32', '[2,-5]', '[1]'),
    ],
  ],
  dataMismatch: [
    ["Unable to parse 'data': Shape does not match true shape of 'data' field", 400, () => ask('fp32', 'FP32', '[1]', '[1,2]')],
    ["Unable to parse 'data': Shape does not match true shape of 'data' field", 400, () => ask('fp32', 'FP32', '[3]', '[1,2]')],
  ],
  dataTwice: [
    [
      "Input must set only one of the following fields: 'data', 'binary_data_size' in 'parameters', 'shared_memory_region' in " +
        "'parameters'. But set 'data' 'binary_data_size'",
      400,
      () => infer('fp32', { inputs: [{ ...X, shape: [2], parameters: { binary_data_size: 8 } }] }),
    ],
  ],
  elementsOverflow: [
    [
      `invalid shape for input 'x': shape [9223372036854775807,2] causes total element count to exceed maximum size of ${MAX}`,
      400,
      () => ask('open', 'FP32', `[${MAX},2]`, '[1]'),
    ],
    [
      `invalid shape for input 'x': shape [4611686018427388003,3] causes total element count to exceed maximum size of ${MAX}`,
      400,
      () => ask('open', 'FP32', '[4611686018427388003,3]', '[1]'),
    ],
  ],
  bytesOverflow: [
    [
      `byte size overflow for input 'x': element count (4611686018427387912) * data type size (4) exceeds maximum allowed size (${MAX})`,
      400,
      () => ask('open', 'FP32', `[4,${2n ** 60n + 2n}]`, '[1]'),
    ],
    [
      `byte size overflow for input 'x': element count (9214364837600035839) * data type size (4) exceeds maximum allowed size (${MAX})`,
      400,
      () => ask('open', 'FP32', '[9007199254740993,1023]', '[1]'),
    ],
  ],
  inputTooLarge: [
    [
      "JSON input 'x' has a byte_size (36028797018963972 bytes) that exceeds the maximum allowed value of 268435456 bytes",
      400,
      () => ask('open', 'FP32', '[9007199254740993,1]', '[1]'),
    ],
    [
      "JSON input 'x' has a byte_size (268435460 bytes) that exceeds the maximum allowed value of 268435456 bytes",
      400,
      () => ask('fp32', 'FP32', `[${2 ** 26 + 1}]`, '[1]'),
    ],
  ],
  tensorOverflow: [
    [
      `byte size for tensor 'x' exceeds maximum size of ${MAX}`,
      400,
      () => askBinary('open', 'FP32', [2 ** 53 - 1, 2 ** 10], new Uint8Array(8)),
    ],
  ],
  bytesMismatch: [
    [
      "input byte size mismatch for input 'x' for model 'rows'. Expected 16, got 8",
      400,
      () => askBinary('rows', 'FP32', [2, 2], new Uint8Array(8)),
    ],
    [
      "input byte size mismatch for input 'x' for model 'open'. Expected 72057594037927928, got 8",
      400,
      () => askBinary('open', 'FP32', [2 ** 53 - 1, 2], new Uint8Array(8)),
    ],
    [
      "input byte size mismatch for input 'x' for model 'rows'. Expected 8, got 12",
      400,
      () => infer('rows', new Uint8Array(12), RAW),
    ],
  ],
  bytesMissing: [
    [
      "unexpected size for input 'x', expecting 8 additional bytes for model 'rows'",
      400,
      () => askBinary('rows', 'FP32', [2, 2], new Uint8Array(8), 16),
    ],
  ],
  bytesLeft: [
    ["unexpected additional input data for model 'fp32'", 400, () => askBinary('fp32', 'FP32', [1], new Uint8Array(8), 4)],
  ],
  stringsTooFew: [
    [
      "expected 3 string elements for inference input 'x' for model 'bytes', got 2",
      400,
      () => askBinary('bytes', 'BYTES', [3], textBytes('a', 'b')),
    ],
    [
      "expected 3 string elements for inference input 'x' for model 'bytes', got 2",
      400,
      () => ask('bytes', 'BYTES', '[3]', '["a","b"]'),
    ],
  ],
  stringsTooMany: [
    [
      "unexpected number of string elements 2 for inference input 'x' for model 'bytes', expecting 1",
      400,
      () => askBinary('bytes', 'BYTES', [1], textBytes('a', 'b')),
    ],
    [
      "unexpected number of string elements 2 for inference input 'x' for model 'bytes', expecting 1",
      400,
      () => ask('bytes', 'BYTES', '[1]', '["a","b","c"]'),
    ],
  ],
  stringLengthIncomplete: [
    [
      "incomplete string length indicator for inference input 'x' for model 'bytes', expecting 4 bytes but only 2 bytes available. " +
        'Please make sure the string length indicator is in one buffer.',
      400,
      () => askBinary('bytes', 'BYTES', [1], new Uint8Array(2)),
    ],
  ],
  stringIncomplete: [
    [
      "incomplete string data for inference input 'x', expecting string of length 2 but only 1 bytes available",
      400,
      () => askBinary('bytes', 'BYTES', [1], new Uint8Array([2, 0, 0, 0, 97])),
    ],
  ],
  rawInputs: [
    [
      "Raw request must only have 1 input (found 1) to be deduced but got 3 inputs in 'sum' model configuration",
      400,
      () => infer('sum', new Uint8Array(4), RAW),
    ],
  ],
  rawOpen: [
    ...(['open-three', 'bytes-two', 'whole', 'whole-texts'] as const).map(
      (model): Case => [
        "The shape of the raw input 'x' can not be deduced because there are more than one variable-sized dimension",
        400,
        () => infer(model, new Uint8Array(8), RAW),
      ],
    ),
  ],
  rawText: [
    ...(['bytes-open', 'whole-text'] as const).map(
      (model): Case => [
        "For BYTE datatype raw input 'x', the model must have input shape [1]",
        400,
        () => infer(model, new Uint8Array(8), RAW),
      ],
    ),
  ],
  classUnsupported: [
    ["class result not available for output due to unsupported type 'BYTES'", 400, () => classes('bytes', 'BYTES', [1], ['a'])],
    ["class result not available for output due to unsupported type 'BOOL'", 400, () => classes('bool', 'BOOL', [1], [true])],
    ["class result not available for output due to unsupported type 'FP16'", 400, () => classes('fp16', 'FP16', [1], [1])],
  ],
  classTooLarge: [
    ['classification output tensor too large', 400, () => classes('fp32', 'FP32', [1_000_001], Array(1_000_001).fill(1))],
  ],
  readyWrong: [
    ["Invalid value for 'ready': expected a boolean", 400, () => post('repository/index', '{"ready":1}')],
    ["Invalid value for 'ready': expected a boolean", 400, () => post('repository/index', '{"ready":null}')],
    [
      "Invalid value for 'ready': expected a boolean",
      400,
      () => post('repository/index', `{"ready":${nested(250_000, 'true')}}`),
    ],
  ],
  dependentsWrong: [
    [
      "Unable to parse 'unload_dependents': attempt to access JSON non-boolean as boolean",
      400,
      () => post('repository/models/both/unload', { parameters: { unload_dependents: 'yes' } }),
    ],
  ],
  notPolled: [
    ["failed to load 'none', failed to poll from model repository", 404, () => load('none')],
    ["failed to load 'misspelt', failed to poll from model repository", 422, () => load('misspelt')],
    [
      "failed to load 'fp32', failed to poll from model repository",
      400,
      () => load('fp32', { 'file:1/model.onnx': Buffer.from(identityModel('FP32')).toString('base64') }),
    ],
  ],
  noVersion: [
    [
      "failed to load 'both', no version is available",
      422,
      () => load('both', { config: '{"version_policy":{"specific":{"versions":[9]}}}' }),
    ],
  ],
  loadFailed: [
    ["load failed for model 'broken': version 2 is at UNAVAILABLE state: ", 422, () => load('broken')],
    ["load failed for model 'both': version 2 is at UNAVAILABLE state: ", 422, () => load('both')],
  ],
  configMissing: [
    [
      "failed to load 'fp32', failed to poll from model repository: Load parameter 'config' must be specified for model file override",
      400,
      () => load('fp32', { 'file:1/model.onnx': Buffer.from(identityModel('FP32')).toString('base64') }),
    ],
  ],
}

describe('a text of Triton', () => {
  for (const [name, cases] of Object.entries(CASES)) {
    for (const [index, [says, status, request]] of cases.entries()) {
      test(`${name} ${index + 1}: ${says.slice(0, 90)}`, async () => {
        const answer = await request()
        const { error } = answer.body as { error?: string }
        expect([answer.status, error?.slice(0, says.length)]).toEqual([status, says])
      })
    }
  }

  test('is there for each', () => {
    expect(Object.keys(CASES).sort()).toEqual(Object.keys(TRITON_TEXTS).sort())
  })
})

describe('what is just inside a limit', () => {
  test('is nested 99 deep', async () => {
    for (const [model, datatype, inner] of [
      ['fp32', 'FP32', '1'],
      ['bytes', 'BYTES', '"a"'],
      ['int64', 'INT64', '9007199254740993'],
    ] as const)
      expect([model, (await ask(model, datatype, '[1]', nested(99, inner))).status]).toEqual([model, 200])
  })

  test('is a raw text to a model of rows with one text each, and raw numbers to one of rows of any width', async () => {
    for (const model of ['bytes', 'bytes-rows'])
      expect([model, (await infer(model, Buffer.from('text'), RAW)).status]).toEqual([model, 200])
    expect((await infer('open', new Uint8Array(8), RAW)).status).toBe(200)
  })

  test('is an empty list of what is ready, and of all', async () => {
    for (const body of ['', '{}', '{"ready":true}', '{"ready":false}'])
      expect([body, (await post('repository/index', body)).status]).toEqual([body, 200])
  })
})

describe('classification', () => {
  const rows = [1, 5, 2, 8, 3, 7, 4, 6]
  const shapeOf = ({ body }: Awaited<Answer>) => {
    const [output] = (body as { outputs: readonly { shape: number[]; data: string[] }[] }).outputs
    return [output?.shape, output?.data]
  }

  test('is of each row, and of the whole tensor where max_batch_size is 0 and in ensembles without one', async () => {
    const byRow = [
      [2, 3],
      ['8.000000:3', '5.000000:1', '2.000000:2', '7.000000:1', '6.000000:3', '4.000000:2'],
    ]
    const whole = [[3], ['8.000000:3', '7.000000:5', '6.000000:7']]
    expect(shapeOf(await classes('open', 'FP32', [2, 4], rows))).toEqual(byRow)
    expect(shapeOf(await classes('whole', 'FP32', [2, 4], rows))).toEqual(whole)
    expect(shapeOf(await classes('chain', 'FP32', [2, 4], rows, ['a', 'b']))).toEqual(whole)
  })
})

describe('a number that is rejected is reported as it came', () => {
  const LONG = '9007199254740993'
  test('in rows, in a stream and in the protocol, though the model has no 64-bit integers', async () => {
    const predict = await answerOf(
      fetch(`${base}/models/two/predict/`, { method: 'POST', headers: ALL, body: `{"input":[[1,{"a":${LONG}}]]}` }),
    )
    expect(JSON.stringify(predict.body)).toContain(LONG)
    const stream = await fetch(`${base}/models/two/stream/`, { method: 'POST', headers: ALL, body: `{"x":[1,{"a":${LONG}}]}\n` })
    expect(await stream.text()).toContain(LONG)
    const timeout = await infer('two', JSON.stringify({ inputs: [X], parameters: { timeout: 0 } }).replace('0}', `${LONG}}`))
    expect(timeout).toMatchObject({ status: 400, body: { error: expect.stringContaining(`got ${LONG}`) } })
  })
})
