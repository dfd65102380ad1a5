import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { answerOf, DOORS } from '../support/doors.ts'
import { startExplicit } from '../support/explicit-engine.ts'
import { upperCaseModel } from '../support/odd-models.ts'
import { createServer } from '../support/server.ts'
import { anyShapeModel, identityModel } from '../support/tiny-models.ts'
import { bearer } from '../support/tokens.ts'

const folder = mkdtempSync(join(tmpdir(), 'vestal-pipelines-'))
const files: Readonly<Record<string, Uint8Array | string>> = {
  'upper/1/model.onnx': upperCaseModel('en_US.of-no-machine'),
  'same/1/model.onnx': identityModel('BYTES'),
  'texts/pipeline.toml': `[[steps]]
model = "upper"
inputs = { x = "text" }
outputs = { y = "loud" }
[[steps]]
model = "same"
inputs = { x = "loud" }
outputs = { y = "answer" }`,
  'any/1/model.onnx': anyShapeModel(),
  'pair/1/model.onnx': identityModel('FP32', ['n', 2]),
  'mixed/pipeline.toml': `[[steps]]
model = "any"
inputs = { x = "in" }
outputs = { y = "middle" }
[[steps]]
model = "pair"
inputs = { x = "middle" }
outputs = { y = "out" }`,
}
for (const [path, content] of Object.entries(files)) await Bun.write(join(folder, path), content)
const engine = await startExplicit(folder)
afterAll(async () => {
  await engine.stop()
  rmSync(folder, { recursive: true })
})

for (const open of DOORS) {
  const door = open(createServer(engine))
  afterAll(() => door.close())
  const get = (path: string) => answerOf(door.fetch(path, { headers: bearer('model:*:read') }))
  const post = (path: string, body?: unknown, ...permissions: string[]) =>
    answerOf(
      door.fetch(path, {
        method: 'POST',
        headers: bearer(...(permissions.length === 0 ? ['*'] : permissions)),
        ...(body !== undefined && { body: JSON.stringify(body) }),
      }),
    )
  const text = { name: 'text', datatype: 'BYTES', shape: [2], data: ['é', 'b'] }

  describe(`a pipeline, ${door.name}`, () => {
    test('of texts is served like a model, for who may ask it and nothing else', async () => {
      expect(await post('/v2/models/texts/infer', { inputs: [text] }, 'model:texts:predict')).toEqual({
        status: 200,
        body: {
          model_name: 'texts',
          model_version: '1',
          outputs: [{ name: 'answer', datatype: 'BYTES', shape: [2], data: ['É', 'B'] }],
        },
      })
      expect((await post('/models/texts/predict/', { input: ['x', 'y'] })).body).toEqual({ output: ['X', 'Y'] })
      expect((await post('/v2/models/texts/infer', { inputs: [text] }, 'model:upper:predict', 'model:same:predict')).status).toBe(
        403,
      )
    })

    test('says what it is to clients of Triton', async () => {
      expect((await get('/v2/models/texts')).body).toEqual({
        name: 'texts',
        versions: ['1'],
        platform: 'ensemble',
        inputs: [{ name: 'text', datatype: 'BYTES', shape: [-1] }],
        outputs: [{ name: 'answer', datatype: 'BYTES', shape: [-1] }],
      })
      expect((await get('/v2/models/texts/config')).body).toMatchObject({
        platform: 'ensemble',
        ensemble_scheduling: { step: [{ model_name: 'upper', model_version: -1, input_map: { x: 'text' } }, {}] },
      })
    })

    test('takes the shape of the next model where one says none', async () => {
      expect((await get('/v2/models/mixed')).body).toMatchObject({
        inputs: [{ name: 'in', shape: [-1] }],
        outputs: [{ name: 'out', shape: [-1, 2] }],
      })
      const input = { name: 'in', datatype: 'FP32', shape: [1, 2], data: [1, 2] }
      expect((await post('/v2/models/mixed/infer', { inputs: [input] })).body).toMatchObject({ outputs: [{ data: [-1, -2] }] })
      const other = { ...input, shape: [2] }
      const { status, body } = await post('/v2/models/mixed/infer', { inputs: [other] })
      expect([status, body]).toEqual([400, { error: "the input 'x' has the shape [2], but the model takes [-1,2]" }])
    })

    test('goes with its models where that is asked for, and comes back with them', async () => {
      const states = async () =>
        Object.fromEntries(
          ((await post('/v2/repository/index')).body as { name: string; state: string }[])
            .filter(({ name }) => ['texts', 'upper', 'same'].includes(name))
            .map(({ name, state }) => [name, state === 'READY']),
        )
      expect((await post('/v2/repository/models/upper/unload')).status).toBe(200)
      expect(await post('/v2/models/texts/infer', { inputs: [text] })).toEqual({
        status: 503,
        body: {
          error: "Request for unknown model: 'texts' has no available versions: pipeline.toml: step 1 (upper): it is not ready",
        },
      })
      expect((await post('/v2/repository/models/texts/load')).status).toBe(200)
      expect(await states()).toEqual({ same: true, texts: true, upper: true })
      expect((await post('/v2/repository/models/texts/unload', { parameters: { unload_dependents: true } })).status).toBe(200)
      expect(await states()).toEqual({ same: false, texts: false, upper: false })
      expect((await post('/v2/models/texts/infer', { inputs: [text] })).status).toBe(404)
      expect((await post('/v2/repository/models/texts/load')).status).toBe(200)
      expect(await states()).toEqual({ same: true, texts: true, upper: true })
    })
  })
}
