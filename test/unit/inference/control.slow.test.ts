import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { VestalError } from '../../../src/core/errors.ts'
import { createEngine, type EngineOptions } from '../../../src/inference/create-engine.ts'
import type { Engine, LoadOptions } from '../../../src/inference/engine.ts'
import { instanceCommand, type StartInstance, startInstanceProcess } from '../../../src/inference/instance/instance-process.ts'
import { factorModel, inputOf, put } from '../../support/factor-model.ts'
import { until } from '../../support/until.ts'

let folder = ''
let engine: Engine | undefined
let warnings: string[] = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'vestal-control-'))
  warnings = []
})
afterEach(async () => {
  await engine?.stop()
  rmSync(folder, { recursive: true })
})

async function start(options: EngineOptions = {}): Promise<Engine> {
  engine = await createEngine({ modelsDirectory: folder, threads: 1, warn: (text) => warnings.push(text), ...options })
  return engine
}

const answer = async (served: Engine, name = 'times', version = '1') =>
  (await served.infer(name, version, inputOf(1))).get('y')?.data[0]

async function failureOf(work: () => unknown): Promise<unknown> {
  try {
    return await work()
  } catch (error) {
    return error instanceof VestalError ? [error.code, error.detail] : error
  }
}

/** A folder that is this process's folder of temporary files for a while. */
function temporaryFolder(): { readonly path: string } & Disposable {
  const before = process.env.TMPDIR
  const path = mkdtempSync(join(tmpdir(), 'vestal-tmp-'))
  process.env.TMPDIR = path
  return {
    path,
    [Symbol.dispose]() {
      if (before === undefined) delete process.env.TMPDIR
      else process.env.TMPDIR = before
      rmSync(path, { recursive: true })
    },
  }
}

describe('the start', () => {
  test('loads the models that are named, and reports one that is not there', async () => {
    await put(folder, 'a/1/model.onnx', factorModel(2))
    await put(folder, 'b/1/model.onnx', factorModel(3))
    const served = await start({ modelControl: 'explicit', loadAtStart: new Set(['a', 'gone']) })
    expect(served.index()).toEqual([{ name: 'a', version: '1', state: 'READY' }, { name: 'b' }])
    expect(warnings).toEqual(['the model gone is to be loaded at the start, and is not there'])
    await served.load('b')
    expect(await answer(served, 'b')).toBe(3)
  })
})

describe('a stop', () => {
  test('in the middle of a load leaves no worker behind', async () => {
    await put(folder, 'times/1/model.onnx', factorModel(2))
    let [started, closed] = [0, 0]
    const startInstance: StartInstance = (events) => {
      started += 1
      const worker = startInstanceProcess(instanceCommand(), events)
      void worker.gone.then(() => {
        closed += 1
      })
      return worker
    }
    const served = await start({ modelControl: 'explicit', startInstance, instances: 1 })
    const loading = failureOf(() => served.load('times'))
    const later = failureOf(() => served.load('times'))
    await until(() => started === 2)
    await served.stop()
    expect([await loading, await later]).toEqual([
      ['SERVER_STOPPING', expect.any(String)],
      ['SERVER_STOPPING', expect.any(String)],
    ])
    await until(() => closed === started)
    expect(started).toBe(2)
  })
})

describe('polling', () => {
  /** Moves a file or a folder into its place in one step: a look in the middle of writing it is another test's matter. */
  async function move(path: string, files: Readonly<Record<string, Uint8Array | string>>): Promise<void> {
    for (const [name, content] of Object.entries(files)) await put(folder, join('.staging', path, name), content)
    renameSync(join(folder, '.staging', path), join(folder, path))
  }

  test('loads what is new or has changed, unloads what is gone, and lets no one else change the models', async () => {
    await put(folder, 'times/1/model.onnx', factorModel(2))
    const served = await start({ modelControl: 'poll', pollMs: 2 })
    expect(await failureOf(() => served.load('times'))).toEqual(['MODEL_CONTROL_OFF', expect.any(String)])
    await move('times/2', { 'model.onnx': factorModel(4) })
    await move('other', { '1/model.onnx': factorModel(5) })
    await until(() => served.index().filter(({ state }) => state === 'READY').length === 3)
    expect([await answer(served, 'times', '2'), await answer(served, 'other')]).toEqual([4, 5])
    renameSync(join(folder, 'other'), join(folder, '.staging/gone'))
    renameSync(join(folder, 'times/1'), join(folder, '.staging/one'))
    await until(() => served.index().length === 1)
    expect(served.index()).toEqual([{ name: 'times', version: '2', state: 'READY' }])
    expect(warnings).toEqual([])
  })

  test('says once of a file that comes to stand beside the folders of models where it belongs', async () => {
    await put(folder, 'times/1/model.onnx', factorModel(2))
    const served = await start({ modelControl: 'poll', pollMs: 2 })
    await move('flat.onnx', { '': 'x' })
    await until(() => warnings.length > 0)
    // Another model shows that the folder is looked at again and again meanwhile.
    await move('other', { '1/model.onnx': factorModel(5) })
    await until(() => served.model('other')?.versions[0]?.state === 'ready')
    expect(warnings).toEqual([
      expect.stringMatching(/^flat\.onnx in the models folder is not served: a model is a folder; move it/),
    ])
  })

  test('keeps what serves where the new file is broken, says so once, and takes the next', async () => {
    await put(folder, 'times/1/model.onnx', factorModel(2))
    const served = await start({ modelControl: 'poll', pollMs: 2 })
    await move('times/1/model.onnx', { '': 'broken' })
    await until(() => warnings.length > 0)
    // Another model shows that the folder is looked at again and again meanwhile.
    await move('other', { '1/model.onnx': factorModel(5) })
    await until(() => served.model('other')?.versions[0]?.state === 'ready')
    expect(warnings).toEqual([expect.stringContaining("load failed for model 'times': version 1 is at UNAVAILABLE state:")])
    expect(await answer(served)).toBe(2)
    await move('times/1/model.onnx', { '': factorModel(7) })
    let last: unknown
    while (last !== 7) last = await answer(served)
  })
})

describe('a load that brings its own', () => {
  const config = JSON.stringify({ max_batch_size: '0' })
  const override = (served: Engine, options: LoadOptions, name = 'times') => failureOf(() => served.load(name, options))
  const files = (path: string, content: Uint8Array = factorModel(9)) => new Map([[path, content]])

  test('is rejected unless that is turned on', async () => {
    await put(folder, 'times/1/model.onnx', factorModel(2))
    const served = await start({ modelControl: 'explicit' })
    expect(await override(served, { config })).toEqual(['UNSUPPORTED', expect.stringContaining('model_override')])
    expect(await override(served, { config, files: files('1/model.onnx') })).toEqual(['UNSUPPORTED', expect.any(String)])
    expect(await answer(served)).toBe(2)
  })

  test('serves a configuration in place of the file', async () => {
    await put(folder, 'times/1/model.onnx', factorModel(2))
    await put(folder, 'times/2/model.onnx', factorModel(3))
    const served = await start({ modelControl: 'explicit', mayOverride: true })
    await served.load('times', { config: JSON.stringify({ version_policy: { specific: { versions: [1] } } }) })
    expect(served.index().map(({ version, state }) => [version, state])).toEqual([['1', 'READY']])
    for (const wrong of ['{', '[]', '{"colour": "red"}', '{"max_batch_size": "many"}', '{"name": "other"}']) {
      expect(await override(served, { config: wrong })).toEqual([
        'MODEL_LOAD_FAILED',
        expect.stringContaining("failed to load 'times'"),
      ])
    }
    expect(await answer(served)).toBe(2)
    await served.load('times')
    expect(served.index().map(({ state }) => state)).toEqual(['READY', 'READY'])
  })

  test('asks for no more processes and no larger warm-ups than a request may, which a folder may', async () => {
    await put(folder, 'times/1/model.onnx', factorModel(2))
    const served = await start({ modelControl: 'explicit', mayOverride: true })
    const warmup = (rows: number, more: object) => ({
      model_warmup: [{ name: 'w', batch_size: rows, inputs: { x: { data_type: 'TYPE_FP32', dims: [], ...more } } }],
    })
    const tooMany = ["failed to load 'times'", 'must ask for at most 8 instances in all']
    const tooLarge = ["failed to load 'times'", 'model_warmup "w": the inputs of a warm-up', 'must be at most 16777216 bytes']
    for (const [wrong, texts] of [
      [{ instance_group: [{ count: 5 }, { count: 4 }] }, tooMany],
      [warmup(2 ** 22 + 1, { random_data: true }), tooLarge],
      [warmup(1, { dims: [2 ** 22 + 1], zero_data: true }), tooLarge],
      [warmup(2 ** 20, { dims: [2 ** 20], data_type: 'TYPE_STRING', zero_data: true }), tooLarge],
    ] as const) {
      const failed = await override(served, { config: JSON.stringify(wrong) })
      for (const text of texts) expect(failed).toEqual(['MODEL_LOAD_FAILED', expect.stringContaining(text)])
    }
    await served.load('times', {
      config: JSON.stringify({ instance_group: [{ count: 2 }], ...warmup(1000, { random_data: true }) }),
    })
    expect(await answer(served)).toBe(2)
  })

  test('serves files in place of the folder, of a model that has none too, and takes them away when they serve no more', async () => {
    using own = temporaryFolder()
    const left = () => readdirSync(own.path).filter((name) => name.startsWith('vestal-model-'))
    await put(folder, 'times/1/model.onnx', factorModel(2))
    const served = await start({ modelControl: 'explicit', mayOverride: true })
    await served.load('times', { config, files: files('3/model.onnx') })
    await served.load('brought', { config, files: files('1/model.onnx') })
    expect([await answer(served, 'times', '3'), await answer(served, 'brought')]).toEqual([9, 9])
    const used = left()
    expect(used).toHaveLength(2)
    expect(await override(served, { config, files: files('3/model.onnx', Buffer.from('broken')) })).toEqual([
      'MODEL_LOAD_FAILED',
      expect.any(String),
    ])
    expect(await answer(served, 'times', '3')).toBe(9)
    expect(left()).toEqual(used)
    await served.load('times')
    expect(await answer(served)).toBe(2)
    await served.unload('brought')
    expect(left()).toEqual([])
  })

  const paths = [
    '../1/model.onnx',
    '1/../../model.onnx',
    '/1/model.onnx',
    '1//model.onnx',
    '1\\model.onnx',
    'model.onnx',
    'x/model.onnx',
    '0/model.onnx',
    '1/',
    '1/.',
    '1/a\0b',
    'C:/model.onnx',
    `1/${'x'.repeat(256)}`,
    `1/${'a/'.repeat(600)}model.onnx`,
    '',
  ]
  for (const path of paths) {
    test(`of a file named ${JSON.stringify(path.slice(0, 40))} is rejected`, async () => {
      const served = await start({ modelControl: 'explicit', mayOverride: true })
      expect(await override(served, { config, files: files(path) })).toEqual([
        'BODY_INVALID',
        expect.stringContaining('must be <version>/'),
      ])
      expect(served.index()).toEqual([])
    })
  }

  test('of files without a configuration, too many, none inside, or of a name that cannot be one is rejected', async () => {
    const served = await start({ modelControl: 'explicit', mayOverride: true })
    expect(await override(served, { files: files('1/model.onnx') })).toEqual([
      'BODY_INVALID',
      expect.stringContaining("Load parameter 'config' must be specified for model file override"),
    ])
    const many = new Map(Array.from({ length: 65 }, (_, index) => [`1/${index}`, Buffer.from('x')] as const))
    expect(await override(served, { config, files: many })).toEqual([
      'BODY_INVALID',
      expect.stringContaining('more than 64 files'),
    ])
    expect(await override(served, { config, files: files('1/model.onnx', new Uint8Array(0)) })).toEqual([
      'BODY_INVALID',
      expect.stringContaining('is empty'),
    ])
    const both = new Map([
      ['1/a', Buffer.from('x')],
      ['1/a/b', Buffer.from('x')],
    ])
    expect(await override(served, { config, files: both })).toEqual([
      'BODY_INVALID',
      expect.stringContaining('cannot be written'),
    ])
    expect(await override(served, { config, files: files('1/model.onnx') }, '../x')).toEqual([
      'MODEL_UNKNOWN',
      expect.any(String),
    ])
  })
})
