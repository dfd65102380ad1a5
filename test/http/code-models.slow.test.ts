import { afterAll, describe, expect, test } from 'bun:test'
import { modelText, startCodeFolder } from '../support/code-folder.ts'
import { answerOf, DOORS, failure } from '../support/doors.ts'
import { openLive } from '../support/live-socket.ts'
import { createServer } from '../support/server.ts'
import { identityModel } from '../support/tiny-models.ts'
import { bearer } from '../support/tokens.ts'

const PERSON = 't.Object({ name: t.String({ minLength: 1 }), age: t.Integer({ minimum: 18 }) })'
const { engine, warnings, stop } = await startCodeFolder({
  'double/1/model.onnx': identityModel('FP32', ['n', 2]),
  'double/model.ts': modelText(
    'input: t.Array(t.Number(), { minItems: 2, maxItems: 2 }),',
    'output: t.Object({ sum: t.Number() }),',
    'async predict(pair, { run }) {',
    '  const { y } = await run("model", { x: [pair] })',
    '  const [a = 0, b = 0] = y.row(0)',
    '  return { sum: a + b }',
    '},',
  ),
  'around/1/model.onnx': identityModel('FP32', ['n', 2]),
  'around/model.ts': modelText(
    'input: text(), output: text(),',
    'before: (line) => ({ x: [[line.length, 1]] }),',
    'after: ({ y }, _context, line) => line + " has " + y.row(0)[0],',
  ),
  'person/model.ts': modelText(
    `description: 'Greets', input: ${PERSON}, output: t.Object({ greeting: t.String() }),`,
    'predict({ name, age }) {',
    '  if (age > 150) throw new Refusal("nobody is " + age, { status: 409 })',
    '  if (name === "bug") throw new Error("a secret of the code")',
    '  if (name === "number") return { greeting: 5 }',
    '  return { greeting: "hello " + name }',
    '},',
  ),
  'who/model.ts': modelText(
    'input: t.Null(), output: t.Unknown(), predict: (_, { caller }) => [caller.subject, Object.keys(process.env).sort()],',
  ),
  'tensors/model.ts': modelText('input: tensor("FP32", [-1, 2]), output: tensor("FP32", [-1, 2]), predict: (rows) => rows,'),
  'counts/1/model.onnx': identityModel('FP32', ['n']),
  'counts/model.ts': modelText(
    'input: t.Integer({ minimum: 0 }), output: t.Number(),',
    'async *predict(count, { run }) {',
    '  for (let index = 0; index < count; index += 1) {',
    '    if (index === 3) throw new Refusal("three is enough")',
    '    yield (await run("model", { x: [index] })).y.row(0)[0]',
    '  }',
    '},',
  ),
  'plain/1/model.onnx': identityModel('FP32', ['n']),
  'calls/model.ts': modelText(
    'calls: ["plain", "person"], input: t.Number(), output: t.Array(t.Unknown()),',
    'predict: async (age, { call }) => [await call("plain", [age]), await call("person", { name: "ada", age })],',
  ),
  'outer/model.ts': modelText(
    'calls: ["calls"], input: t.Number(), output: t.Unknown(), predict: (age, { call }) => call("calls", age),',
  ),
  'trusted/model.ts': modelText(
    'calls: ["plain"], input: t.Number(), output: t.Unknown(), predict: (age, { call }) => call("plain", [age]),',
  ),
  'prepared/1/model.onnx': identityModel('FP32', ['n']),
  'prepared/model.ts': modelText(
    'input: t.Null(), output: t.Unknown(),',
    'async setup({ run, caller, call }) {',
    '  globalThis.prepared = [(await run("model", { x: [7] })).y.row(0)[0], typeof caller, typeof call]',
    '},',
    'predict: () => globalThis.prepared,',
  ),
  'trusted/model.toml': '[code]\nown_authority = ["plain"]\n',
})
afterAll(stop)

const ALL = bearer('*')
const post = (body: unknown, headers: Record<string, string> = ALL) => ({ method: 'POST', body: JSON.stringify(body), headers })
const bytes = (...data: readonly string[]) => ({ inputs: [{ name: 'input', datatype: 'BYTES', shape: [data.length], data }] })

for (const open of DOORS) {
  const door = open(createServer(engine))
  afterAll(() => door.close())
  const predict = (name: string, input: unknown, headers?: Record<string, string>) =>
    answerOf(door.fetch(`/models/${name}/predict/`, post({ input }, headers)))
  const infer = (name: string, body: unknown, headers?: Record<string, string>) =>
    answerOf(door.fetch(`/v2/models/${name}/infer`, post(body, headers)))

  describe(`a model.ts ${door.name}`, () => {
    test('answers with what its functions compute', async () => {
      expect(await predict('double', [1, 2])).toEqual({ status: 200, body: { output: { sum: 3 } } })
      expect(await predict('around', 'abc')).toEqual({ status: 200, body: { output: 'abc has 3' } })
      expect(await predict('tensors', [[1, 2]])).toEqual({ status: 200, body: { output: [[1, 2]] } })
      expect(await predict('prepared', null)).toEqual({ status: 200, body: { output: [7, 'undefined', 'undefined'] } })
    })

    test('answers each element of BYTES in the Open Inference Protocol', async () => {
      const { status, body } = await infer('person', bytes('{"name":"ada","age":36}', '{"name":"max","age":20}'))
      expect(status).toBe(200)
      expect(body).toMatchObject({
        outputs: [
          { name: 'output', datatype: 'BYTES', shape: [2], data: ['{"greeting":"hello ada"}', '{"greeting":"hello max"}'] },
        ],
      })
      const text = await infer('around', bytes('abc'))
      expect(text.body).toMatchObject({ outputs: [{ data: ['abc has 3'] }] })
    })

    test('rejects an input that its schema rejects, by the path', async () => {
      expect(await predict('person', { name: 'ada', age: 3 })).toEqual(failure(400, { 'input.age': 'must be at least 18' }))
      expect(await predict('person', { name: 'ada', agee: 30 })).toEqual(
        failure(400, { 'input.agee': 'is not a field that is known', 'input.age': 'is missing' }),
      )
      expect(await predict('person', 5)).toEqual(failure(400, { input: expect.any(String) }))
      expect(await predict('double', [1, 'x'])).toEqual(failure(400, { 'input[1]': expect.any(String) }))
      expect(await predict('around', 5)).toEqual(failure(400, { input: 'must be a string' }))
      expect(await infer('person', bytes('not json'))).toEqual({
        status: 400,
        body: { error: expect.stringContaining('must be JSON') },
      })
    })

    test('rejects names that would change a prototype', async () => {
      const body = '{"input":{"name":"ada","age":30,"__proto__":{"admin":true}}}'
      const answer = await answerOf(door.fetch('/models/person/predict/', { method: 'POST', body, headers: ALL }))
      expect(answer.status).toBe(400)
    })

    test('refuses with the status and the text of a Refusal', async () => {
      expect(await predict('person', { name: 'ada', age: 200 })).toEqual(failure(409, 'nobody is 200'))
    })

    test('shows nothing of other errors, which the log has by file and line', async () => {
      warnings.length = 0
      const failed = failure(500, 'The code of the model failed; the log of the server says where')
      expect(await predict('person', { name: 'bug', age: 30 })).toEqual(failed)
      expect(warnings).toEqual(['person/1: model.ts:6:35: Error: a secret of the code'])
      expect(await predict('person', { name: 'number', age: 30 })).toEqual(failed)
      expect(warnings.at(-1)).toContain('the output does not match its schema: "greeting" must be a string')
    })

    test('knows its caller, and nothing of the environment', async () => {
      const { body } = await predict('who', null)
      expect(body).toEqual({ output: ['(no issuer) tester', []] })
    })

    test('asks other models only for callers who may', async () => {
      const own = 'model:calls:predict'
      const missing = (caller: string, called: string) =>
        failure(
          403,
          `Insufficient permissions: '${caller}' calls '${called}', which requires the permission model:${called}:predict`,
        )
      expect(await predict('calls', 30, bearer(own))).toEqual(missing('calls', 'plain'))
      expect(await predict('calls', 30, bearer(own, 'model:plain:predict'))).toEqual(missing('calls', 'person'))
      const may = bearer(own, 'model:plain:predict', 'model:person:predict')
      expect(await predict('calls', 30, may)).toEqual({ status: 200, body: { output: [[30], { greeting: 'hello ada' }] } })
      expect((await infer('calls', bytes('30'), bearer(own))).status).toBe(403)
      expect((await infer('calls/versions/1', bytes('30'), bearer(own))).status).toBe(403)
    })

    test('asks what these ask only for callers who may, too', async () => {
      const some = bearer('model:outer:predict', 'model:calls:predict', 'model:plain:predict')
      expect((await predict('outer', 30, some)).status).toBe(403)
      const all = bearer('model:outer:predict', 'model:calls:predict', 'model:plain:predict', 'model:person:predict')
      expect((await predict('outer', 30, all)).body).toEqual({ output: [[30], { greeting: 'hello ada' }] })
    })

    test('asks by its own authority what model.toml names', async () => {
      expect(await predict('trusted', 30, bearer('model:trusted:predict'))).toEqual({ status: 200, body: { output: [30] } })
    })

    test('hands on what a called model rejects', async () => {
      expect(await predict('calls', 3)).toEqual(failure(400, { 'input.age': expect.any(String) }))
    })

    test('answers what async *predict yields: one by one to a stream, all of it to a request', async () => {
      expect(await predict('counts', 2)).toEqual({ status: 200, body: { output: [0, 1] } })
      const response = await door.fetch('/models/counts/stream/', { method: 'POST', body: '[2,0,-1,4]', headers: ALL })
      const lines = (await response.text())
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as { readonly row: number; readonly output?: number; readonly status_code?: number })
      expect(lines.map(({ row, output, status_code: status }) => [row, output ?? status])).toEqual([
        [0, 0],
        [0, 1],
        [2, 400],
        [3, 0],
        [3, 1],
        [3, 2],
        [3, 422],
      ])
    })

    test('answers instances of KServe, each a request', async () => {
      const people = {
        instances: [
          { name: 'ada', age: 36 },
          { name: 'max', age: 20 },
        ],
      }
      expect(await answerOf(door.fetch('/v1/models/person:predict', post(people)))).toEqual({
        status: 200,
        body: { predictions: [{ greeting: 'hello ada' }, { greeting: 'hello max' }] },
      })
    })

    test('answers rows of a stream, for callers who may', async () => {
      const rows = (name: string, headers: Record<string, string>) =>
        door.fetch(`/models/${name}/stream/`, { method: 'POST', body: '[30,40]', headers }).then((response) => response.text())
      expect((await rows('trusted', ALL)).trim().split('\n')).toEqual(['{"row":0,"output":[30]}', '{"row":1,"output":[40]}'])
      expect(await rows('calls', bearer('model:calls:predict'))).toContain('"status_code":403')
    })
  })
}

test('a model.ts answers messages of a socket, for callers who may', async () => {
  const app = createServer(engine)
  app.listen({ port: 0, hostname: '127.0.0.1' })
  const address = `ws://127.0.0.1:${app.server?.port}/models/calls/live`
  const socket = await openLive(address, { headers: ALL })
  expect(JSON.parse(String(await socket.ask('{"input":30}')))).toEqual({ output: [[30], { greeting: 'hello ada' }] })
  socket.socket.close()
  const other = await openLive(address, { headers: bearer('model:calls:predict') })
  expect(JSON.parse(String(await other.ask('{"input":30}')))).toMatchObject({ status_code: 403 })
  other.socket.close()
  await app.stop(true)
})

test('metadata names the platform, and texts and JSON as BYTES', async () => {
  const app = createServer(engine)
  const { body } = await answerOf(app.handle(new Request('http://localhost/v2/models/person', { headers: ALL })))
  expect(body).toEqual({
    name: 'person',
    versions: ['1'],
    platform: 'vestal_code',
    inputs: [{ name: 'input', datatype: 'BYTES', shape: [-1] }],
    outputs: [{ name: 'output', datatype: 'BYTES', shape: [-1] }],
  })
})

test('the description of a model has its schemas, as the documentation page shows them', async () => {
  const app = createServer(engine)
  const { body } = await answerOf(app.handle(new Request('http://localhost/models/person/', { headers: ALL })))
  const { description, versions } = body as {
    readonly description: string
    readonly versions: readonly { readonly code?: unknown }[]
  }
  expect(description).toBe('Greets')
  expect(versions[0]?.code).toEqual({
    input: {
      form: 'json',
      schema: {
        type: 'object',
        required: ['name', 'age'],
        properties: { name: { type: 'string', minLength: 1 }, age: { type: 'integer', minimum: 18 } },
      },
    },
    output: { form: 'json', schema: expect.objectContaining({ type: 'object', required: ['greeting'] }) },
  })
})
