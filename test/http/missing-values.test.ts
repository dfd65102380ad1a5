import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { answerOf, DOORS, failure } from '../support/doors.ts'
import { openLive } from '../support/live-socket.ts'
import { bundledEngine, createServer } from '../support/server.ts'
import { identityModel, onnxModel, reciprocalModel } from '../support/tiny-models.ts'
import { bearer } from '../support/tokens.ts'

const NUMBERS = { half: 'FP16', single: 'FP32', double: 'FP64' } as const
const OTHERS = { int64: 'INT64', uint64: 'UINT64', int8: 'INT8', bool: 'BOOL', text: 'BYTES' } as const
const folder = mkdtempSync(join(tmpdir(), 'vestal-missing-'))
const put = (name: string, bytes: Uint8Array | Bun.BunFile) => Bun.write(join(folder, name, '1/model.onnx'), bytes)
for (const [name, datatype] of [...Object.entries(NUMBERS), ...Object.entries(OTHERS)]) await put(name, identityModel(datatype))
for (const name of ['lgb_reg', 'columns', 'scalar_in'])
  await put(name, Bun.file(join(import.meta.dir, '../models', `${name}.onnx`)))
await put('reciprocal', reciprocalModel())
await put('texts', identityModel('BYTES', ['n', 1]))
await put('cube', identityModel('FP32', ['n', 1, 1]))
await put('open', identityModel('FP32', ['n', 'm']))
await put('four', identityModel('FP32', ['n', 4]))
await put(
  'two',
  onnxModel({
    nodes: [
      { operator: 'Neg', inputs: ['x'], outputs: ['negative'] },
      { operator: 'Reciprocal', inputs: ['x'], outputs: ['inverse'] },
    ],
    inputs: [{ name: 'x', datatype: 'FP32', shape: ['n', 2] }],
    outputs: [
      { name: 'negative', datatype: 'FP32', shape: ['n', 2] },
      { name: 'inverse', datatype: 'FP32', shape: ['n', 2] },
    ],
  }),
)

const engine = await bundledEngine(folder)
afterAll(async () => {
  await engine.stop()
  rmSync(folder, { recursive: true })
})

for (const open of DOORS) {
  const door = open(createServer(engine))
  afterAll(door.close)
  const post = (path: string, body: unknown) =>
    door.fetch(path, {
      method: 'POST',
      headers: bearer('*'),
      body: typeof body === 'string' ? body : JSON.stringify(body),
    })
  const predict = (name: string, input: unknown) => answerOf(post(`/models/${name}/predict/`, { input }))
  const outputOf = async (name: string, input: unknown) => {
    const { status, body } = await predict(name, input)
    return status === 200 ? (body as { output: unknown }).output : body
  }
  const detailOf = async (name: string, input: unknown) => ((await predict(name, input)).body as { detail: unknown }).detail
  const infer = (name: string, datatype: string, data: string, more = '') =>
    post(
      `/v2/models/${name}/infer`,
      `{"inputs":[{"name":"x","datatype":"${datatype}","shape":[${data.split(',').length}],"data":[${data}]}]${more}}`,
    )
  const errorOf = async (response: Promise<Response>) => {
    const { status, body } = await answerOf(response)
    return [status, (body as { error: unknown }).error]
  }

  describe(`a missing value, ${door.name}`, () => {
    for (const name of Object.keys(NUMBERS)) {
      test(`is null in rows of ${name} precision, and NaN and infinities are texts both ways`, async () => {
        const input = [1, null, 'NaN', 'Infinity', '-Infinity', -0.5]
        const output = [1, 'NaN', 'NaN', 'Infinity', '-Infinity', -0.5]
        expect(await outputOf(name, input)).toEqual(output)
        expect(await outputOf(name, { x: input })).toEqual({ y: output })
        expect(await outputOf(name, { x: output })).toEqual({ y: output })
      })
    }

    test('is what a model of trees makes of it', async () => {
      const rows = (await outputOf('lgb_reg', [
        [0, 5, 5, 5],
        [0, 5, null, 5],
        [0, 5, 'NaN', 5],
        [null, null, null, null],
      ])) as readonly (readonly number[])[]
      expect(rows).toHaveLength(4)
      expect(rows.flat().every((value) => Number.isFinite(value))).toBe(true)
      expect(rows[1]).toEqual(rows[2] as number[])
      expect(rows[1]).not.toEqual(rows[0] as number[])
    })

    test('comes out of rows of several outputs, of a stream, and as a stream went in', async () => {
      expect(await outputOf('two', [[0, null]])).toEqual([{ negative: [-0, 'NaN'], inverse: ['Infinity', 'NaN'] }])
      expect(await outputOf('two', { x: [[0, null]] })).toEqual({ negative: [[-0, 'NaN']], inverse: [['Infinity', 'NaN']] })
      const stream = await post('/models/single/stream/', '[null, 1, "-Infinity", "nan"]')
      const rows = (await stream.text())
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown)
      expect(rows).toMatchObject([
        { row: 0, output: 'NaN' },
        { row: 1, output: 1 },
        { row: 2, output: '-Infinity' },
        { row: 3, status_code: 400 },
      ])
    })

    test('is none of an integer, a truth or a text', async () => {
      for (const [name, rule] of [
        ['int64', 'an integer of INT64, from -9223372036854775808 to 9223372036854775807'],
        ['uint64', 'an integer of UINT64, from 0 to 18446744073709551615'],
        ['int8', 'an integer of INT8, from -128 to 127'],
        ['bool', 'true or false'],
        ['text', 'a string'],
      ] as const) {
        expect(await predict(name, [null])).toEqual(failure(400, `input 'x': element 0 must be ${rule}, got null`))
        expect(await errorOf(infer(name, OTHERS[name], 'null'))).toEqual([400, `input 'x': element 0 must be ${rule}, got null`])
        expect((await infer(name, OTHERS[name], 'NaN')).status).toBe(400)
      }
      expect(await detailOf('int8', ['NaN'])).toBe(
        'input \'x\': element 0 must be an integer of INT8, from -128 to 127, got "NaN"',
      )
      expect(await outputOf('text', ['NaN', 'Infinity'])).toEqual(['NaN', 'Infinity'])
    })

    test('is no other word, and no number that is too large', async () => {
      for (const word of ['nan', 'inf', '+Infinity', '', 'None', '1']) expect((await predict('single', [word])).status).toBe(400)
      expect(await answerOf(post('/models/double/predict/', '{"input":[1e999]}'))).toEqual(
        failure(400, "input 'x': element 0 must be a number of FP64, got Infinity"),
      )
      expect((await predict('single', [1e39])).status).toBe(400)
      expect((await post('/models/single/predict/', '{"input":[NaN]}')).status).toBe(400)
    })
  })

  describe(`/v2, ${door.name}`, () => {
    for (const [name, datatype] of Object.entries(NUMBERS)) {
      test(`takes and gives NaN and infinities of ${datatype} as bare words, as Triton does`, async () => {
        const text = await (await infer(name, datatype, 'NaN, Infinity,-Infinity,-NaN,Inf, -Inf,-0,1.5')).text()
        expect(text).toEndWith('"data":[NaN,Infinity,-Infinity,NaN,Infinity,-Infinity,-0,1.5]}]}')
        expect(text).toContain(`{"name":"y","datatype":"${datatype}","shape":[8],"data":`)
      })
    }

    test('leaves texts alone that look like such words, and members around them', async () => {
      const text = await (
        await post(
          '/v2/models/single/infer',
          '{"id":"[NaN, \\"Infinity","inputs":[{"name":"x","datatype":"FP32","shape":[2],"data":[NaN,1]}]}',
        )
      ).text()
      expect(text).toBe(
        '{"model_name":"single","model_version":"1","id":"[NaN, \\"Infinity","outputs":[{"name":"y","datatype":"FP32","shape":[2],"data":[NaN,1]}]}',
      )
      expect(await (await infer('text', 'BYTES', '"a:NaN","[-Infinity"')).json()).toMatchObject({
        outputs: [{ data: ['a:NaN', '[-Infinity'] }],
      })
    })

    test('keeps 64-bit integers exact beside them, and binary outputs', async () => {
      const long = await infer('int64', 'INT64', '9007199254740993', ',"parameters":{"custom":"NaN"}')
      expect(await long.text()).toContain('"data":[9007199254740993]')
      const body =
        '{"inputs":[{"name":"x","datatype":"FP32","shape":[1,2],"data":[NaN,0]}],"outputs":[{"name":"inverse","parameters":{"binary_data":true}},{"name":"negative"}]}'
      const answer = await post('/v2/models/two/infer', body)
      const bytes = Buffer.from(await answer.bytes())
      const length = Number(answer.headers.get('inference-header-content-length'))
      expect(bytes.subarray(0, length).toString()).toBe(
        '{"model_name":"two","model_version":"1","outputs":[{"name":"inverse","datatype":"FP32","shape":[1,2],"parameters":{"binary_data_size":8}},{"name":"negative","datatype":"FP32","shape":[1,2],"data":[NaN,-0]}]}',
      )
      expect([bytes.readFloatLE(length), bytes.readFloatLE(length + 4)]).toEqual([Number.NaN, Number.POSITIVE_INFINITY])
    })

    test('rejects null, texts and numbers that are too large, and says how', async () => {
      const hint = '(what JSON has no number for is NaN, Infinity or -Infinity without quotes)'
      for (const [data, error] of [
        ['null', `input 'x': element 0 must be a number of FP32 ${hint}, got null`],
        ['"NaN"', `input 'x': element 0 must be a number of FP32 ${hint}, got "NaN"`],
        ['1e39', "input 'x': element 0 must be a number of FP32, got 1e+39"],
        ['NaN,1e999', "input 'x': element 1 must be a number of FP32, got Infinity"],
        ['nan', 'The body is not valid JSON'],
        ['NaN,}', 'The body is not valid JSON, also with NaN and Infinity as numbers'],
        ['NaNa', 'The body is not valid JSON'],
      ]) {
        expect(await errorOf(infer('single', 'FP32', data ?? ''))).toEqual([400, error])
      }
      const shape = post('/v2/models/single/infer', '{"inputs":[{"name":"x","datatype":"FP32","shape":[NaN],"data":[1]}]}')
      expect((await shape).status).toBe(400)
      for (const body of [
        '{"inputs":[NaN]}',
        '{"inputs":NaN}',
        '{"id":NaN,"inputs":[]}',
        '{"parameters":NaN,"inputs":[]}',
        '[NaN]',
      ])
        expect((await post('/v2/models/single/infer', body)).status).toBe(400)
    })
  })

  describe(`one value a row, ${door.name}`, () => {
    const PERSON = { age: 37, income: 5e4, city: 'Paris', job: 'nurse', n_children: 2 }
    const IN_LISTS = Object.fromEntries(Object.entries(PERSON).map(([name, value]) => [name, [value]]))

    test('may be that value alone', async () => {
      expect(await outputOf('texts', ['a', 'b'])).toEqual([['a'], ['b']])
      expect(await outputOf('texts', [['a'], ['b']])).toEqual([['a'], ['b']])
      expect(await outputOf('texts', { x: ['a', 'b'] })).toEqual({ y: [['a'], ['b']] })
      expect(await outputOf('texts', { x: 'a' })).toEqual({ y: [['a']] })
      expect(await outputOf('cube', [1, null])).toEqual([[[1]], [['NaN']]])
      expect(await outputOf('single', { x: 4 })).toEqual({ y: [4] })
    })

    test('may be so in each of many inputs, in rows and columns', async () => {
      const expected = await outputOf('columns', [IN_LISTS, IN_LISTS])
      expect(expected).toHaveLength(2)
      expect(await outputOf('columns', [PERSON, PERSON])).toEqual(expected)
      expect(await outputOf('columns', [PERSON, IN_LISTS])).toMatchObject({
        detail: "input 'age': element 1 must be a single value, got a list",
      })
      const columns = Object.fromEntries(Object.entries(PERSON).map(([name, value]) => [name, [value, value]]))
      const answer = (await outputOf('columns', columns)) as Record<string, unknown[]>
      expect(answer.output_label).toEqual((expected as { output_label: unknown }[]).map((row) => row.output_label))
      expect(await outputOf('columns', PERSON)).toMatchObject({ output_label: [expect.anything()] })
    })

    test('may be so in a stream', async () => {
      const stream = await post('/models/columns/stream/', [PERSON, IN_LISTS])
      const rows = (await stream.text())
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as { output: unknown })
      expect(rows[0]?.output).toEqual(rows[1]?.output as object)
      expect(rows[0]?.output).toMatchObject({ output_label: expect.anything() })
      const texts = await post('/models/texts/stream/', '"a"\n["b"]\n')
      expect((await texts.text()).trim().split('\n')).toEqual(['{"row":0,"output":["a"]}', '{"row":1,"output":["b"]}'])
    })

    test('of an input without dimensions goes with each row', async () => {
      const row = { x: [1, 2, 3], k: 2 }
      expect(await outputOf('scalar_in', [row])).toEqual([[2, 4, 6]])
      expect(await outputOf('scalar_in', [row, { ...row, x: [4, 5, 6] }])).toEqual([
        [2, 4, 6],
        [8, 10, 12],
      ])
      expect(await outputOf('scalar_in', { x: [[1, 2, 3]], k: 2 })).toEqual({ y: [[2, 4, 6]] })
      expect(await predict('scalar_in', [row, { ...row, k: 3 }])).toEqual(
        failure(
          400,
          'row 1 of "input": the input \'k\' is one value for all rows, and differs from row 0; send the rows in requests of their own',
        ),
      )
      const stream = await post('/models/scalar_in/stream/', [row, { ...row, k: 3 }])
      expect((await stream.text()).trim().split('\n')).toEqual(['{"row":0,"output":[2,4,6]}', '{"row":1,"output":[3,6,9]}'])
    })

    test('where there are more says which lists are missing', async () => {
      expect(await detailOf('four', [1, 2, 3, 4])).toBe(
        "input 'x' has the shape [4], but the model takes [-1,4]; for one row, put a list around it",
      )
      expect(await detailOf('four', [1, 2])).toBe(
        "input 'x' has the shape [2], but the model takes [-1,4]; put a list around each row",
      )
      expect(await detailOf('four', { x: 1 })).toBe("input 'x' must be a list of rows, got 1")
      expect(await detailOf('texts', ['a', ['b']])).toBe("input 'x': element 1 must be a single value, got a list")
      expect(await detailOf('texts', [['a'], 'b'])).toBe('input \'x\': row 1 must be a list of 1, got "b"')
      expect(await detailOf('texts', [{ y: 1 }])).toBe("row 0 of \"input\": the model has no input 'y'; it has 'x'")
    })
  })
}

describe('a socket', () => {
  test('takes and gives missing values, and single values, as the routes do', async () => {
    const app = createServer(engine)
    app.listen({ port: 0, hostname: '127.0.0.1' })
    const { ask, socket } = await openLive(`ws://127.0.0.1:${app.server?.port}/models/single/live`, { headers: bearer('*') })
    expect(await ask('{"input":[null,"Infinity"]}')).toBe('{"output":["NaN","Infinity"]}')
    expect(await ask('{"inputs":[{"name":"x","datatype":"FP32","shape":[2],"data":[NaN,-Infinity]}]}')).toBe(
      '{"model_name":"single","model_version":"1","outputs":[{"name":"y","datatype":"FP32","shape":[2],"data":[NaN,-Infinity]}]}',
    )
    expect(JSON.parse(String(await ask('{"input":[NaN]}')))).toMatchObject({ status_code: 400 })
    socket.close()
    const texts = await openLive(`ws://127.0.0.1:${app.server?.port}/models/texts/live`, { headers: bearer('*') })
    expect(await texts.ask('{"input":["a"]}')).toBe('{"output":[["a"]]}')
    texts.socket.close()
    await app.stop(true)
  })
})
