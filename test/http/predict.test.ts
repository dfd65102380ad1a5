import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { answerOf, DOORS, failure } from '../support/doors.ts'
import { bundledEngine, createServer } from '../support/server.ts'
import { anyShapeModel, failingModel, identityModel, onnxModel, twoOutputModel } from '../support/tiny-models.ts'
import { bearer } from '../support/tokens.ts'

const folder = mkdtempSync(join(tmpdir(), 'vestal-predict-'))
const files: Readonly<Record<string, Uint8Array | string>> = {
  'int64/1/model.onnx': identityModel('INT64'),
  'uint64/1/model.onnx': identityModel('UINT64'),
  'int8/1/model.onnx': identityModel('INT8'),
  'bool/1/model.onnx': identityModel('BOOL'),
  'half/1/model.onnx': identityModel('FP16'),
  'double/1/model.onnx': identityModel('FP64'),
  'float/1/model.onnx': identityModel('FP32', ['n', 2, 'm']),
  'text/1/model.onnx': identityModel('BYTES'),
  'scalar/1/model.onnx': identityModel('FP32', []),
  'fails/1/model.onnx': failingModel(),
  'two/1/model.onnx': twoOutputModel(),
  'two/2/model.onnx': 'not a model',
  'broken/1/model.onnx': 'not a model',
  'any/1/model.onnx': anyShapeModel(),
  'empty/1/model.onnx': onnxModel({
    nodes: [{ operator: 'Concat', inputs: ['x', 'z'], outputs: ['y'], axis: 0 }],
    inputs: [
      { name: 'x', datatype: 'FP32', shape: ['n', 2] },
      { name: 'z', datatype: 'FP32', shape: [0, 2] },
    ],
    outputs: [{ name: 'y', datatype: 'FP32', shape: ['m', 2] }],
  }),
  'times/1/model.onnx': onnxModel({
    nodes: [{ operator: 'Mul', inputs: ['x', 's'], outputs: ['y'] }],
    inputs: [
      { name: 'x', datatype: 'FP32', shape: ['n'] },
      { name: 's', datatype: 'FP32', shape: [] },
    ],
    outputs: [{ name: 'y', datatype: 'FP32', shape: ['n'] }],
  }),
  'constant/1/model.onnx': onnxModel({
    nodes: [{ operator: 'Identity', inputs: ['c'], outputs: ['y'] }],
    inputs: [],
    outputs: [{ name: 'y', datatype: 'FP32', shape: [2] }],
    constants: [{ name: 'c', shape: [2], values: new Float32Array([1, 2]) }],
  }),
  'own/1/model.onnx': identityModel('FP32'),
  'own/model.toml': '[permissions]\npredict = "ask"\nread = "look"\n',
}
for (const [path, content] of Object.entries(files)) await Bun.write(join(folder, path), content)

const bundled = await bundledEngine()
const tiny = await bundledEngine(folder)
afterAll(async () => {
  await bundled.stop()
  await tiny.stop()
  rmSync(folder, { recursive: true })
})

const ALL = bearer('*')

for (const open of DOORS) {
  const doors = { bundled: open(createServer(bundled)), tiny: open(createServer(tiny, { bodyBytesMax: 100_000 })) }
  afterAll(async () => {
    await doors.bundled.close()
    await doors.tiny.close()
  })
  const get = (path: string, headers: Record<string, string> = ALL, door = doors.tiny) => answerOf(door.fetch(path, { headers }))
  const predict = (name: string, body: unknown, door = doors.tiny) =>
    answerOf(
      door.fetch(`/models/${name}/predict/`, {
        method: 'POST',
        headers: ALL,
        body: typeof body === 'string' ? body : JSON.stringify(body),
      }),
    )
  const textOf = async (name: string, body: string) =>
    (await doors.tiny.fetch(`/models/${name}/predict/`, { method: 'POST', headers: ALL, body })).text()

  describe(`the bundled models, ${doors.bundled.name}`, () => {
    test('iris names a flower', async () => {
      const { status, body } = await predict(
        'iris',
        {
          input: [
            [5.1, 3.5, 1.4, 0.2],
            [6.7, 3.0, 5.2, 2.3],
          ],
        },
        doors.bundled,
      )
      expect(status).toBe(200)
      const { output } = body as { output: { label: string; probabilities: Record<string, number> }[] }
      expect(output.map(({ label }) => label)).toEqual(['setosa', 'virginica'])
      expect(Object.keys(output[0]?.probabilities ?? {})).toEqual(['setosa', 'versicolor', 'virginica'])
      expect(Object.values(output[0]?.probabilities ?? {}).reduce((sum, value) => sum + value)).toBeCloseTo(1, 5)
    })

    test('digits reads the example of its card, which is a seven', async () => {
      const model = (await get('/models/digits/', ALL, doors.bundled)).body as { examples: unknown[] }
      const { body } = await predict('digits', { input: model.examples[0] }, doors.bundled)
      expect((body as { output: { label: number }[] }).output[0]?.label).toBe(7)
    })

    test('reviews takes texts, whatever is in them', async () => {
      const input = [
        'I would buy it again',
        'It broke on the first day',
        '',
        '漢字 😀 é',
        'x '.repeat(5000),
        'line\nbreak "quote"',
      ]
      const { status, body } = await predict('reviews', { input }, doors.bundled)
      expect(status).toBe(200)
      const labels = (body as { output: { label: string }[] }).output.map(({ label }) => label)
      expect(labels.slice(0, 2)).toEqual(['positive', 'negative'])
      expect(labels).toHaveLength(input.length)
    })

    test('simple adds and subtracts, asked by the names of its inputs', async () => {
      const input = { INPUT0: [Array(16).fill(3)], INPUT1: [Array(16).fill(1)] }
      const output = { OUTPUT0: [Array(16).fill(4)], OUTPUT1: [Array(16).fill(2)] }
      expect(await predict('simple', { input }, doors.bundled)).toEqual({ status: 200, body: { output } })
    })

    test('every example of a card is answered', async () => {
      for (const { name, examples } of bundled.models()) {
        expect(examples.length).toBeGreaterThan(0)
        for (const input of examples) expect((await predict(name, { input }, doors.bundled)).status).toBe(200)
      }
    })

    test('are listed to those who may read them, and to no one else', async () => {
      const names = async (...permissions: string[]) => {
        const { body } = await get('/models/', bearer(...permissions), doors.bundled)
        return (body as { models: { name: string }[] }).models.map(({ name }) => name)
      }
      expect(await names('model:*:read')).toEqual(['digits', 'iris', 'reviews', 'simple'])
      expect(await names('model:iris:read', 'model:digits:predict')).toEqual(['iris'])
      expect(await names()).toEqual([])
    })
  })

  describe(`the form of the answer, ${doors.tiny.name}`, () => {
    test('is a list for a list, and an object for an object', async () => {
      expect(await predict('own', { input: [1, 2] })).toEqual({ status: 200, body: { output: [1, 2] } })
      expect(await predict('own', { input: { x: [1, 2] } })).toEqual({ status: 200, body: { output: { y: [1, 2] } } })
    })

    test('has an object a row where the model has several outputs', async () => {
      const output = [
        { double: [2, 4], negative: [-1, -2] },
        { double: [6, 8], negative: [-3, -4] },
      ]
      expect(
        await predict('two', {
          input: [
            [1, 2],
            [3, 4],
          ],
        }),
      ).toEqual({ status: 200, body: { output } })
    })

    test('is a list for rows that name their inputs', async () => {
      const [ones, twos] = [Array(16).fill(1), Array(16).fill(2)]
      const row = { INPUT0: twos, INPUT1: ones }
      const { status, body } = await predict('simple', { input: [row, row] }, doors.bundled)
      const sums = { OUTPUT0: Array(16).fill(3), OUTPUT1: ones }
      expect([status, body]).toEqual([200, { output: [sums, sums] }])
      expect(await predict('own', { input: [{ x: 1 }, { x: 2 }] })).toEqual({ status: 200, body: { output: [1, 2] } })
    })

    test('is of any shape where the model says none', async () => {
      for (const [input, output] of [
        [
          [1, 2],
          [-1, -2],
        ],
        [
          [
            [1, 2],
            [3, 4],
          ],
          [
            [-1, -2],
            [-3, -4],
          ],
        ],
        [{ x: 3 }, { y: [-3] }],
      ]) {
        expect(await predict('any', { input })).toEqual({ status: 200, body: { output } })
      }
      expect(await predict('any', { input: [[1, 2], [3]] })).toEqual(failure(400, "input 'x': row 1 must be a list of 2, got 1"))
      const shown = [{ name: 'x', datatype: 'FP32', shape: [-1] }]
      expect((await get('/models/any/')).body).toMatchObject({ versions: [{ inputs: shown }] })
      expect((await get('/v2/models/any')).body).toMatchObject({ inputs: shown })
    })

    test('takes a scalar as it is, no rows where the model takes none, and nothing where it has no inputs', async () => {
      expect((await predict('times', { input: { x: [1, 2], s: 3 } })).body).toEqual({ output: { y: [3, 6] } })
      expect((await predict('times', { input: { x: [1, 2], s: [3] } })).body).toEqual({ output: { y: [3, 6] } })
      expect((await predict('times', { input: [{ x: 1, s: 3 }] })).body).toEqual({ output: [3] })
      expect((await predict('times', { input: { x: 1, s: 3 } })).body).toEqual({ output: { y: [3] } })
      expect((await predict('empty', { input: { x: [[1, 2]], z: [] } })).body).toEqual({ output: { y: [[1, 2]] } })
      expect((await predict('constant', { input: {} })).body).toEqual({ output: { y: [1, 2] } })
    })

    test('nests rows as the model does', async () => {
      const input = [
        [
          [1, 2, 3],
          [4, 5, 6],
        ],
      ]
      expect(await predict('float', { input })).toEqual({ status: 200, body: { output: input } })
    })

    test('keeps 64-bit integers exact', async () => {
      expect(await textOf('int64', '{"input":[9007199254740993,-9223372036854775808,9223372036854775807]}')).toBe(
        '{"output":[9007199254740993,-9223372036854775808,9223372036854775807]}',
      )
      expect(await textOf('uint64', '{"input":[18446744073709551615]}')).toBe('{"output":[18446744073709551615]}')
    })

    test('writes floats as short as they can be', async () => {
      expect(await textOf('own', '{"input":[0.1,1e-10,16777216,3.4e38]}')).toBe('{"output":[0.1,1e-10,16777216,3.4e+38]}')
      expect(await textOf('half', '{"input":[0.1,65504]}')).toBe('{"output":[0.1,65504]}')
      expect(await textOf('double', '{"input":[0.1,1e308]}')).toBe('{"output":[0.1,1e+308]}')
    })

    test('gives texts and truths back', async () => {
      const input = ['', 'a"b', '漢😀', '\u0001', '\u2028']
      expect(await predict('text', { input })).toEqual({ status: 200, body: { output: input } })
      expect(await predict('bool', { input: [true, false] })).toEqual({ status: 200, body: { output: [true, false] } })
    })
  })

  describe(`an input that is wrong, ${doors.tiny.name}`, () => {
    const cases: readonly (readonly [model: string, input: unknown, detail: string])[] = [
      ['float', null, '"input" must be a list of rows, got null'],
      ['float', 'x', '"input" must be a list of rows, got "x"'],
      ['float', [], "input 'x' must have at least one row"],
      ['float', [[1, 2]], "input 'x' has the shape [1,2], but the model takes [-1,2,-1]; put a list around each row"],
      ['float', [[[1], [2], [3]]], "input 'x' has the shape [1,3,1], but the model takes [-1,2,-1]"],
      ['float', [[[1], [2, 3]]], "input 'x': row 1 must be a list of 1, got 2"],
      ['float', [[[1], 2]], "input 'x': row 1 must be a list of 1, got 2"],
      ['float', [[['a'], [2]]], 'input \'x\': element 0 must be a number of FP32, got "a"'],
      ['own', [1, [2]], "input 'x': element 1 must be a single value, got a list"],
      [
        'own',
        [1, 'nan'],
        'input \'x\': element 1 must be a number of FP32 (what JSON has no number for is null, "NaN", "Infinity" or "-Infinity"), got "nan"',
      ],
      ['own', [1e39], "input 'x': element 0 must be a number of FP32, got 1e+39"],
      ['half', [65_536], "input 'x': element 0 must be a number of FP16, got 65536"],
      ['int8', [128], "input 'x': element 0 must be an integer of INT8, from -128 to 127, got 128"],
      ['int8', [1.5], "input 'x': element 0 must be an integer of INT8, from -128 to 127, got 1.5"],
      ['bool', [1], "input 'x': element 0 must be true or false, got 1"],
      ['text', [1], "input 'x': element 0 must be a string, got 1"],
      ['text', ['\ud800'], 'input \'x\': element 0 must be a string without lone surrogates, got ""'],
      ['text', ['a\u0000b'], 'input \'x\': element 0 must be a string without the character U+0000, got "a\\u0000b"'],
      ['own', { y: [1] }, "\"input\": the model has no input 'y'; it has 'x'"],
      ['own', {}, '"input": the input \'x\' is missing'],
      ['own', { x: { y: 1 } }, 'input \'x\' must be a list of rows, got {"y":1}'],
    ]
    for (const [model, input, detail] of cases) {
      test(`${JSON.stringify(input)} to ${model} learns what is wrong`, async () => {
        expect(await predict(model, { input })).toEqual(failure(400, detail))
      })
    }

    test('out of the range of 64 bits gets an error that says so, and its ends are taken', async () => {
      for (const [model, datatype, min, max] of [
        ['int64', 'INT64', -(2n ** 63n), 2n ** 63n - 1n],
        ['uint64', 'UINT64', 0n, 2n ** 64n - 1n],
      ] as const) {
        expect(await textOf(model, `{"input":[${min},${max}]}`)).toBe(`{"output":[${min},${max}]}`)
        for (const value of [min - 1n, max + 1n, 2n ** 70n, -(2n ** 70n)]) {
          const rule = `element 0 must be an integer of ${datatype}, from ${min} to ${max}`
          expect(await predict(model, `{"input":[${value}]}`)).toEqual(failure(400, `input 'x': ${rule}, got ${value}`))
          const tensor = `{"inputs":[{"name":"x","datatype":"${datatype}","shape":[1],"data":[${value}]}]}`
          const answer = doors.tiny.fetch(`/v2/models/${model}/infer`, { method: 'POST', headers: ALL, body: tensor })
          expect(await answerOf(answer)).toEqual({ status: 400, body: { error: `input 'x': ${rule}, got ${value}` } })
        }
      }
    })

    test('is shown no longer than a line', async () => {
      const { body } = await predict('own', { input: ['x'.repeat(10_000)] })
      expect((body as { detail: string }).detail.length).toBeLessThan(150)
    })

    test('a list to a model with several inputs is reported their names', async () => {
      const { status, body } = await predict('simple', { input: [[1]] }, doors.bundled)
      expect([status, body]).toEqual([
        400,
        failure(
          400,
          "\"input\" must be an object with the rows of 'INPUT0', 'INPUT1', or a list of objects with a row of each, got a list",
        ).body,
      ])
    })

    test('rows that name their inputs wrongly are reported by their number', async () => {
      const row = Array(16).fill(1)
      const both = { INPUT0: row, INPUT1: row }
      const detailOf = async (input: unknown) =>
        ((await predict('simple', { input }, doors.bundled)).body as { detail: string }).detail
      expect(await detailOf([both, { INPUT0: row }])).toBe('row 1 of "input": the input \'INPUT1\' is missing')
      expect(await detailOf([{ ...both, OTHER: row }])).toBe(
        "row 0 of \"input\": the model has no input 'OTHER'; it has 'INPUT0', 'INPUT1'",
      )
      expect(await detailOf([both, row])).toContain('or a list of objects with a row of each, got a list')
      expect((await predict('constant', { input: [] })).body).toMatchObject({
        detail: '"input" must be {}: the model has no inputs, got a list',
      })
    })

    test('inputs with different numbers of rows are rejected', async () => {
      const row = Array(16).fill(1)
      const { status, body } = await predict('simple', { input: { INPUT0: [row], INPUT1: [row, row] } }, doors.bundled)
      expect([status, (body as { detail: string }).detail]).toEqual([400, 'the inputs have different numbers of rows: 1, 2'])
    })

    for (const [body, detail] of [
      ['', 'The body is empty; it must be JSON'],
      ['{', 'The body is not valid JSON'],
      ['[]', { body: 'must be an object with "input"' }],
      ['{}', { input: 'is missing' }],
      ['{"input":[1],"inputs":[1]}', { inputs: 'is not a field of this body; did you mean input?' }],
      ['['.repeat(101) + ']'.repeat(101), 'JSON nesting depth exceeds maximum allowed limit (100)'],
      [
        '{"input":[NaN]}',
        'The body is not valid JSON: it has no NaN and no Infinity; rows take null, "NaN", "Infinity" and "-Infinity" for them',
      ],
    ] as const) {
      test(`as a body gets an error that says so: ${body.slice(0, 30)}`, async () => {
        expect(await predict('own', body)).toEqual(failure(400, detail))
      })
    }

    test('as a body that is not UTF-8 gets an error that says so', async () => {
      const response = doors.tiny.fetch('/models/own/predict/', {
        method: 'POST',
        headers: ALL,
        body: new Uint8Array([34, 255, 34]),
      })
      expect(await answerOf(response)).toEqual(failure(400, 'The body is not UTF-8'))
    })

    test('as a body that is too large is a 413, declared or not', async () => {
      const large = `{"input":["${'x'.repeat(100_000)}"]}`
      const detail = 'The body exceeds the maximum allowed value of 100000 bytes'
      expect(await predict('text', large)).toEqual(failure(413, detail))
      const chunks = new ReadableStream({
        start(controller) {
          for (let index = 0; index < 20; index += 1) controller.enqueue(Buffer.from('x'.repeat(10_000)))
          controller.close()
        },
      })
      expect(await answerOf(doors.tiny.fetch('/models/text/predict/', { method: 'POST', headers: ALL, body: chunks }))).toEqual(
        failure(413, detail),
      )
    })
  })

  describe(`a model that cannot answer, ${doors.tiny.name}`, () => {
    test('is a 503 with the reason, and no path of this machine', async () => {
      const { status, body } = await predict('broken', { input: [1] })
      expect(status).toBe(503)
      expect(JSON.stringify(body)).toContain("'broken' has no available versions")
      expect(JSON.stringify(body)).not.toContain(folder)
    })

    test('is described as unavailable, beside those that serve', async () => {
      const { body } = await get('/models/')
      const states = (body as { models: { name: string; versions: { state: string }[] }[] }).models.map(({ name, versions }) => [
        name,
        ...versions.map(({ state }) => state),
      ])
      expect(states).toContainEqual(['broken', 'unavailable'])
      expect(states).toContainEqual(['two', 'unavailable', 'ready'])
      expect(states).toContainEqual(['own', 'ready'])
      expect(JSON.stringify(body)).not.toContain(folder)
    })

    test('leaves its older version answering', async () => {
      expect((await predict('two', { input: [[1, 2]] })).status).toBe(200)
    })

    test('because of what it was given is a 400', async () => {
      const { status, body } = await predict('fails', { input: [1, 2, 3] })
      expect(status).toBe(400)
      expect((body as { detail: string }).detail).toStartWith('The model could not compute this input: ')
      expect(JSON.stringify(body)).not.toContain('/onnxruntime')
      expect((await predict('fails', { input: [1, 2, 3, 4] })).status).toBe(200)
    })

    test('because there is none of that name is a 404 to those who may, and a 403 to the rest', async () => {
      expect(await predict('no-such', { input: [1] })).toEqual(failure(404, "Request for unknown model: 'no-such' is not found"))
      expect((await get('/models/no-such/', bearer('model:own:read'))).status).toBe(403)
      expect((await get('/models/%2e%2e%2fetc/')).status).toBe(404)
      expect((await get('/models/constructor/')).status).toBe(404)
      expect((await get('/models/__proto__/')).status).toBe(404)
    })
  })

  describe(`the permissions of a model, ${doors.tiny.name}`, () => {
    const ask = (headers: Record<string, string>, name: string) =>
      doors.tiny.fetch(`/models/${name}/predict/`, { method: 'POST', headers, body: '{"input":[1]}' })

    test('are its own where model.toml says so', async () => {
      expect((await ask(bearer('ask'), 'own')).status).toBe(200)
      expect((await ask(bearer('model:own:predict'), 'own')).status).toBe(403)
      expect((await get('/models/own/', bearer('look'))).status).toBe(200)
      expect((await get('/models/own/', bearer('ask', 'model:own:read'))).status).toBe(403)
      expect((await get('/v2/models/own', bearer('look'))).status).toBe(200)
    })

    test('are for one action of one model', async () => {
      expect((await ask(bearer('model:half:predict'), 'half')).status).toBe(200)
      expect((await ask(bearer('model:half:read', 'model:double:predict'), 'half')).status).toBe(403)
      expect((await ask(bearer('model:*:predict'), 'half')).status).toBe(200)
    })

    test('hold however the path is written', async () => {
      const paths = [
        '//models/own/predict/',
        '/models//own/predict',
        '/models/%6fwn/predict',
        '/MODELS/own/predict',
        '/models/own/predict/../predict/',
      ]
      for (const path of paths) {
        const { status } = await doors.tiny.fetch(path, { method: 'POST', body: '{"input":[1]}' })
        expect([401, 404]).toContain(status)
      }
      expect((await ask(bearer('ask'), '%6fwn')).status).toBe(200)
      expect((await ask(bearer('model:%6fwn:predict'), '%6fwn')).status).toBe(403)
    })
  })
}
