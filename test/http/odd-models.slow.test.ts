import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createEngine, type Engine } from '../../src/index.ts'
import type { RuntimeText } from '../../src/inference/runtime/runtime-texts.ts'
import { answerOf, DOORS } from '../support/doors.ts'
import { startExplicit } from '../support/explicit-engine.ts'
import { openLive } from '../support/live-socket.ts'
import { externalModel } from '../support/odd-models.ts'
import { below, seeded } from '../support/seed.ts'
import { createServer, MODELS } from '../support/server.ts'
import { onnxModel } from '../support/tiny-models.ts'
import { bearer } from '../support/tokens.ts'

/** What of ONNX Runtime must not reach a client: its source files, their lines, its symbols, its own words around them. */
const OF_THE_RUNTIME =
  /onnxruntime(?:_src|::)|\.(?:cc|h|cpp):\d|\w::\w|was false|Status Message|Non-zero|Load model from|protobuf/i

const vector = (name: string, datatype: 'FP32' | 'INT64', size: string) => ({ name, datatype, shape: [size] }) as const
/** Reshapes any number of numbers to two rows of two. */
const reshape = onnxModel({
  nodes: [{ operator: 'Reshape', name: '/head/Reshape', inputs: ['x', 'shape'], outputs: ['y'] }],
  inputs: [vector('x', 'FP32', 'n')],
  outputs: [{ name: 'y', datatype: 'FP32', shape: [2, 2] }],
  constants: [{ name: 'shape', shape: [2], values: new BigInt64Array([2n, 2n]) }],
})
/** Adds vectors of any two sizes. */
const add = onnxModel({
  nodes: [{ operator: 'Add', inputs: ['a', 'b'], outputs: ['y'] }],
  inputs: [vector('a', 'FP32', 'n'), vector('b', 'FP32', 'm')],
  outputs: [vector('y', 'FP32', 'k')],
})
const lookUp = onnxModel({
  nodes: [{ operator: 'Gather', name: 'words', inputs: ['table', 'ids'], outputs: ['y'] }],
  inputs: [vector('ids', 'INT64', 'n')],
  outputs: [vector('y', 'FP32', 'n')],
  constants: [{ name: 'table', shape: [3], values: new Float32Array(3) }],
})
/** Its graph has a value that nothing gives. */
const dangling = onnxModel({
  nodes: [{ operator: 'Relu', inputs: ['nothing'], outputs: ['y'] }],
  inputs: [vector('x', 'FP32', 'n')],
  outputs: [vector('y', 'FP32', 'n')],
})

let folder = ''
const put = (path: string, content: Uint8Array | string) => Bun.write(join(folder, path), content)
const texts: RuntimeText[] = []
let engine: Engine

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'vestal-odd-'))
  await put('reshape/1/model.onnx', reshape)
  await put('add/1/model.onnx', add)
  await put('words/1/model.onnx', lookUp)
  await put('chain/pipeline.toml', '[[steps]]\nmodel = "reshape"\ninputs = { x = "x" }\noutputs = { y = "y" }\n')
  await put('dangling/1/model.onnx', dangling)
  await put('warm/1/model.onnx', reshape)
  await put('warm/model.toml', '[[warmup]]\ninput = [1, 2, 3]\n')
  engine = await startExplicit(folder, { runtimeText: (text) => texts.push(text) })
})
afterAll(async () => {
  await engine.stop()
  rmSync(folder, { recursive: true })
})

const JSON_TYPE = { 'content-type': 'application/json' }

for (const [index, open] of DOORS.entries()) {
  const where = index === 0 ? 'in memory' : 'over a socket'
  const withDoor = async (work: (ask: (path: string, body?: unknown) => ReturnType<typeof answerOf>) => Promise<void>) => {
    const door = open(createServer(engine))
    const headers = { ...bearer('*'), ...JSON_TYPE }
    try {
      await work((path, body) =>
        answerOf(door.fetch(path, body === undefined ? { headers } : { method: 'POST', headers, body: JSON.stringify(body) })),
      )
    } finally {
      await door.close()
    }
  }

  describe(`what a model cannot compute, ${where}`, () => {
    test('gets an error in our own words on every route, and the log has the text of ONNX Runtime', () =>
      withDoor(async (ask) => {
        const said =
          'The model could not compute this input: the node "/head/Reshape" (Reshape) cannot reshape [3] to [2,2]; both must have as many elements'
        texts.length = 0
        const rows = await ask('/models/reshape/predict/', { input: [1, 2, 3] })
        expect(rows).toMatchObject({ status: 400, body: { detail: said } })
        const tensors = { inputs: [{ name: 'x', datatype: 'FP32', shape: [3], data: [1, 2, 3] }] }
        expect(await ask('/v2/models/reshape/infer', tensors)).toMatchObject({ status: 400, body: { error: said } })
        expect(await ask('/models/chain/predict/', { input: [1, 2, 3] })).toMatchObject({ status: 400, body: { detail: said } })
        if (index === 0) expect(texts).toMatchObject([{ model: 'reshape', version: '1', during: 'run' }])
        expect(texts.every(({ text }) => /onnxruntime.*reshape_helper\.h:\d+/.test(text))).toBe(true)
      }))

    test('names the sizes and values that do not fit', () =>
      withDoor(async (ask) => {
        const sizes = await ask('/models/add/predict/', { input: { a: [1, 2], b: [1, 2, 3] } })
        const infer = await ask('/v2/models/add/infer', {
          inputs: [
            { name: 'a', datatype: 'FP32', shape: [2], data: [1, 2] },
            { name: 'b', datatype: 'FP32', shape: [3], data: [1, 2, 3] },
          ],
        })
        expect([sizes.status, infer]).toMatchObject([
          400,
          {
            status: 400,
            body: {
              error:
                'The model could not compute this input: a node Add combines tensors of sizes 2 and 3; sizes must be equal, or one of them 1',
            },
          },
        ])
        expect(await ask('/models/words/predict/', { input: [7] })).toMatchObject({
          body: {
            detail: 'The model could not compute this input: the node "words" (Gather) looks up index 7; it must be from -3 to 2',
          },
        })
      }))

    test('gets an error that says so in a row of a stream', async () => {
      const door = open(createServer(engine))
      const headers = { ...bearer('*'), 'content-type': 'application/x-ndjson' }
      const answer = await door.fetch('/models/words/stream/', { method: 'POST', headers, body: '7\n1\n' })
      const text = await answer.text()
      expect(text).toContain('looks up index 7')
      expect(text).not.toMatch(OF_THE_RUNTIME)
      await door.close()
    })

    test('is no text of ONNX Runtime in what is shown of a model', () =>
      withDoor(async (ask) => {
        const shown = await Promise.all(
          ['/v2/models/add/config', '/models/add/', '/models/reshape/', '/v2/models/reshape', '/models/'].map((path) =>
            ask(path),
          ),
        )
        expect(JSON.stringify(shown.slice(0, 1))).toContain('"batching_reason"')
        expect(JSON.stringify(shown)).not.toMatch(OF_THE_RUNTIME)
      }))
  })

  describe(`a model that is not loaded, ${where}`, () => {
    test('has its reason in our own words wherever it is shown, and the log has the text of ONNX Runtime', () =>
      withDoor(async (ask) => {
        texts.length = 0
        const load = await ask('/v2/repository/models/dangling/load', {})
        const because = 'a node takes the value "nothing", which nothing gives'
        expect(load).toMatchObject({
          status: 422,
          body: { error: `load failed for model 'dangling': version 1 is at UNAVAILABLE state: ${because};` },
        })
        const shown = await Promise.all([
          ask('/v2/repository/index', {}),
          ask('/models/'),
          ask('/models/dangling/'),
          ask('/v2/health/ready'),
          ask('/models/dangling/predict/', { input: [1] }),
          ask('/v2/models/dangling/versions/1/infer', { inputs: [] }),
        ])
        for (const { body } of shown) expect(JSON.stringify(body)).toContain(JSON.stringify(because).slice(1, -1))
        expect(JSON.stringify([load, ...shown])).not.toMatch(OF_THE_RUNTIME)
        expect(JSON.stringify([load, ...shown])).not.toContain(folder)
        expect(texts).toMatchObject([{ model: 'dangling', version: '1', during: 'load' }])
        expect(texts[0]?.text).toContain('Load model from')
      }))

    test('because its warm-up fails says so in our own words', () =>
      withDoor(async (ask) => {
        const load = await ask('/v2/repository/models/warm/load', {})
        expect(load).toMatchObject({
          status: 422,
          body: { error: expect.stringContaining('warmup[0]: The model could not compute') },
        })
        expect(JSON.stringify(load)).not.toMatch(OF_THE_RUNTIME)
      }))
  })
}

test('a socket gets an error in our own words what a model cannot compute', async () => {
  const app = createServer(engine)
  app.listen({ port: 0, hostname: '127.0.0.1' })
  const { ask, socket } = await openLive(`ws://127.0.0.1:${app.server?.port}/models/reshape/live`, { headers: bearer('*') })
  const answer = String(await ask('{"input":[1,2,3]}'))
  expect(answer).toContain('cannot reshape [3] to [2,2]')
  expect(answer).not.toMatch(OF_THE_RUNTIME)
  socket.close()
  await app.stop(true)
})

describe('weights in a file beside the model', () => {
  const names = (file: string) => `its weights are in ${JSON.stringify(file)}`
  const bytes = Buffer.alloc(8)
  /** What is put beside the model, by name; an absent file is missing. */
  const cases: readonly (readonly [
    name: string,
    model: Uint8Array,
    files: Readonly<Record<string, Uint8Array | string>>,
    reason: string,
  ])[] = [
    [
      'missing',
      externalModel('model.onnx.data'),
      {},
      `${names('model.onnx.data')} beside it, which is missing; put that file into the folder of the version too, under the same name`,
    ],
    [
      'renamed',
      externalModel('net.onnx.data'),
      { 'model.onnx.data': bytes },
      `${names('net.onnx.data')} beside it, which is missing; put that file into the folder of the version too, under the same name; if "model.onnx.data" is it, rename it`,
    ],
    [
      'cut off',
      externalModel('model.onnx.data'),
      { 'model.onnx.data': bytes.subarray(0, 5) },
      `${names('model.onnx.data')}, which has 5 bytes, and 8 are needed at least: it is cut off, or of another model`,
    ],
    [
      'a pointer',
      externalModel('model.onnx.data'),
      { 'model.onnx.data': 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 8\n' },
      `${names('model.onnx.data')}, which is a Git LFS pointer and not the weights; fetch them with git lfs pull`,
    ],
    [
      'behind the end',
      externalModel('model.onnx.data', { offset: '4096' }),
      { 'model.onnx.data': bytes },
      `${names('model.onnx.data')}, which has 8 bytes, and 4104 are needed at least`,
    ],
    [
      'of a wrong length',
      externalModel('model.onnx.data', { length: '4' }),
      { 'model.onnx.data': bytes },
      'its constant "w" has the length 4, and its shape needs 8 bytes',
    ],
    [
      'of a length that is no number',
      externalModel('model.onnx.data', { length: 'many' }),
      { 'model.onnx.data': bytes },
      'its constant "w" has the length "many", which is no whole number',
    ],
    [
      'at a negative offset',
      externalModel('model.onnx.data', { offset: '-8' }),
      { 'model.onnx.data': bytes },
      'its constant "w" has the offset "-8", which is no whole number',
    ],
    ['without a name', externalModel(''), {}, 'its constant "w" stands in a file that the model does not name'],
    [
      'outside the folder',
      externalModel('../model.onnx.data'),
      { '../model.onnx.data': bytes },
      `${names('../model.onnx.data')}, outside the folder of the version; put the file into that folder`,
    ],
    [
      'at an absolute path',
      externalModel('/home/somebody/model.onnx.data'),
      {},
      `${names('model.onnx.data')} at an absolute path, and must be in the folder of the version`,
    ],
    [
      'at a path of Windows',
      externalModel('C:\\exports\\model.onnx.data'),
      {},
      `${names('model.onnx.data')} at an absolute path, and must be in the folder of the version`,
    ],
  ]
  for (const [name, model, files, reason] of cases) {
    test(`${name} are named, with what to do`, async () => {
      const id = `external-${name.replaceAll(' ', '-').replaceAll(/[^a-z-]/g, '')}`
      await put(`${id}/1/model.onnx`, model)
      for (const [file, content] of Object.entries(files)) await put(`${id}/1/${file}`, content)
      await expectReason(id, reason)
    })
  }

  test('that are a folder, or a link that leads outside or nowhere, are named', async () => {
    await put('external-lost/1/model.onnx', externalModel('model.onnx.data'))
    symlinkSync('gone', join(folder, 'external-lost/1/model.onnx.data'))
    await expectReason('external-lost', `${names('model.onnx.data')}, which is a link to a file that is not there`)
    await put('external-folder/1/model.onnx', externalModel('model.onnx.data'))
    mkdirSync(join(folder, 'external-folder/1/model.onnx.data'))
    await expectReason('external-folder', `${names('model.onnx.data')}, which is a folder`)
    await put('external-link/1/model.onnx', externalModel('model.onnx.data'))
    await put('weights', bytes)
    symlinkSync(join(folder, 'weights'), join(folder, 'external-link/1/model.onnx.data'))
    await expectReason('external-link', `${names('model.onnx.data')}, which leads outside the folder of the version`)
  })

  test('that are as they should be are read', async () => {
    await put('external/1/model.onnx', externalModel('model.onnx.data'))
    await put('external/1/model.onnx.data', Buffer.from(new Float32Array([2, 3]).buffer))
    await engine.load('external')
    const x = { datatype: 'FP32', shape: [2], data: new Float32Array([1, 1]) } as const
    expect((await engine.infer('external', '1', new Map([['x', x]]))).get('y')?.data).toEqual(new Float32Array([2, 3]))
  })
})

describe('a file that is no ONNX model', () => {
  const iris = readFileSync(join(MODELS, 'iris/1/model.onnx'))
  const cases: readonly (readonly [name: string, content: Uint8Array | string, reason: string])[] = [
    [
      'pointer',
      'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 90405214\n',
      'it is a Git LFS pointer, which stands for the model; fetch the model itself with git lfs pull',
    ],
    [
      'page',
      '<!doctype html><html><title>Sign in</title></html>',
      'it is an HTML page, such as one that asks to sign in; download',
    ],
    ['cut', iris.subarray(0, 300), `it is cut off: it has 300 bytes, and `],
    [
      'ort',
      readFileSync(join(import.meta.dir, '../models/iris.ort')),
      'it is a model in ORT format; name it model.ort, with default_model_filename',
    ],
    ['zipped', Buffer.from('PK\x03\x04 something'), 'it is a zip archive; unpack it'],
    ['pickle', Buffer.from([0x80, 4, 0x95, 1, 0, 0, 0, 0, 0, 0, 0, 0x2e]), 'it is a Python pickle; convert the model'],
    ['gguf', Buffer.from('GGUF\x03\0\0\0'), 'it is a GGUF file'],
    ['zeros', Buffer.alloc(5000), 'it begins with only zeros'],
    [
      'noise',
      Buffer.from([0xfe, 0x81, 0x00, 0x42, 0x99, 0x07]),
      'it is not an ONNX model, or a damaged one; export it, or copy it, again',
    ],
    ['no-graph', Buffer.from([8, 8, 0x12, 1, 0x61]), 'it is not an ONNX model'],
  ]
  for (const [name, content, reason] of cases) {
    test(`learns what it is, and what to do: ${name}`, async () => {
      await put(`file-${name}/1/model.onnx`, content)
      await expectReason(`file-${name}`, reason)
    })
  }

  test('is read in ORT format where it is named so', async () => {
    await put('in-ort/1/model.ort', readFileSync(join(import.meta.dir, '../models/iris.ort')))
    await put('in-ort/config.pbtxt', 'default_model_filename: "model.ort"')
    await engine.load('in-ort')
    const X = { datatype: 'FP32', shape: [1, 4], data: new Float32Array([5.1, 3.5, 1.4, 0.2]) } as const
    expect((await engine.infer('in-ort', '1', new Map([['X', X]]))).get('label')?.data).toEqual(new BigInt64Array([0n]))
    expect(engine.model('in-ort')?.versions[0]?.batching?.reason).toStartWith('its graph cannot be read: it is in ORT format')
  })

  test('and stands beside the folders of models is reported where it is to be loaded', async () => {
    await put('flat.onnx', iris)
    const failure = await engine.load('flat').catch((error: unknown) => error)
    expect(failure).toMatchObject({
      code: 'MODEL_UNKNOWN',
      detail: expect.stringContaining("flat.onnx is a file beside the models' folders, move it to flat/model.onnx"),
    })
  })
})

test('models that were changed at random are not loaded in our own words', async () => {
  const random = seeded('changed models')
  const place = mkdtempSync(join(tmpdir(), 'vestal-changed-'))
  for (const name of ['iris', 'digits', 'reviews']) {
    const model = readFileSync(join(MODELS, name, '1/model.onnx'))
    for (let index = 0; index < 10; index += 1) {
      const changed = Buffer.from(index % 3 === 0 ? model.subarray(0, below(random, model.length)) : model)
      if (index % 3 > 0)
        for (let count = 0; count < 4; count += 1) changed[below(random, Math.min(changed.length, 2000))] = below(random, 256)
      await Bun.write(join(place, `${name}-${index}`, '1/model.onnx'), changed)
    }
  }
  const changed = await createEngine({ modelsDirectory: place, threads: 1, instances: 1, warn: () => undefined })
  const reasons = changed.models().map(({ name, versions: [version] }) => [name, version?.reason ?? version?.batching?.reason])
  await changed.stop()
  rmSync(place, { recursive: true })
  for (const [name, reason] of reasons) {
    expect([name, reason]).toEqual([name, expect.not.stringMatching(OF_THE_RUNTIME)])
    expect([name, reason]).toEqual([name, expect.not.stringContaining(place)])
  }
}, 60_000)

/** Loads a model by request and reads why it cannot be served. */
async function expectReason(name: string, reason: string): Promise<void> {
  const failure = await engine.load(name).then(
    () => 'it was loaded',
    (error: unknown) => String((error as { detail?: unknown }).detail),
  )
  expect(failure).toStartWith(`load failed for model '${name}': version 1 is at UNAVAILABLE state: ${reason}`)
  expect(failure).not.toMatch(OF_THE_RUNTIME)
  expect(failure).not.toContain(folder)
}
