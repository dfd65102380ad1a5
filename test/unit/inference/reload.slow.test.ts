import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { VestalError } from '../../../src/core/errors.ts'
import { createEngine, type EngineOptions } from '../../../src/inference/create-engine.ts'
import type { Engine } from '../../../src/inference/engine.ts'
import { factorModel, inputOf, put as write } from '../../support/factor-model.ts'
import { failingModel, identityModel, twoOutputModel } from '../../support/tiny-models.ts'

let folder = ''
let engine: Engine | undefined

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'vestal-reload-'))
})
afterEach(async () => {
  await engine?.stop()
  rmSync(folder, { recursive: true })
})

const put = (path: string, content: Uint8Array | string) => write(folder, path, content)

async function start(options: EngineOptions = {}): Promise<Engine> {
  engine = await createEngine({
    modelsDirectory: folder,
    threads: 1,
    modelControl: 'explicit',
    warn: () => undefined,
    ...options,
  })
  return engine
}

async function answer(served: Engine, version = '1'): Promise<unknown> {
  return (await served.infer('times', version, inputOf(1))).get('y')?.data[0]
}

async function failureOf(work: () => unknown): Promise<unknown> {
  try {
    return await work()
  } catch (error) {
    return error instanceof VestalError ? [error.code, error.detail] : error
  }
}

describe('a load', () => {
  test('takes the new file, and a failed one keeps the old and says why', async () => {
    await put('times/1/model.onnx', factorModel(2))
    const served = await start()
    expect(await answer(served)).toBe(2)
    await put('times/1/model.onnx', factorModel(3))
    await served.load('times')
    expect(await answer(served)).toBe(3)
    await put('times/1/model.onnx', 'broken')
    expect(await failureOf(() => served.load('times'))).toEqual([
      'MODEL_LOAD_FAILED',
      expect.stringMatching(/^load failed for model 'times': version 1 is at UNAVAILABLE state: it is a text file, such as/),
    ])
    expect(await answer(served)).toBe(3)
    expect(served.index()).toEqual([{ name: 'times', version: '1', state: 'READY' }])
  })

  test('finds a model and a version that were not there at the start', async () => {
    const served = await start()
    expect(await failureOf(() => served.load('times'))).toEqual([
      'MODEL_UNKNOWN',
      "failed to load 'times', failed to poll from model repository: no such model",
    ])
    await put('times/1/model.onnx', factorModel(2))
    await served.load('times')
    await put('times/2/model.onnx', factorModel(4))
    await served.load('times', { version: '2' })
    expect([await answer(served, '1'), await answer(served, '2')]).toEqual([2, 4])
    expect(await failureOf(() => served.load('times', { version: '3' }))).toEqual([
      'MODEL_UNKNOWN',
      expect.stringContaining('no version 3'),
    ])
  })

  test('of names that leave the folder is rejected', async () => {
    await put('times/1/model.onnx', factorModel(2))
    const served = await start({ modelsDirectory: join(folder, 'times') })
    for (const name of ['..', '../times', '', '.', 'a/b', 'x'.repeat(101), '%2e%2e']) {
      expect(await failureOf(() => served.load(name))).toEqual(['MODEL_UNKNOWN', expect.any(String)])
    }
  })

  test('and unload are rejected where no one may change the models', async () => {
    await put('times/1/model.onnx', factorModel(2))
    const served = await start({ modelControl: 'none' })
    expect(await failureOf(() => served.load('times'))).toEqual(['MODEL_CONTROL_OFF', expect.any(String)])
    expect(await failureOf(() => served.unload('times'))).toEqual(['MODEL_CONTROL_OFF', expect.any(String)])
    expect(await answer(served)).toBe(2)
  })

  test('and another and an unload of the same model at once come one after the other', async () => {
    await put('times/1/model.onnx', factorModel(2))
    const served = await start()
    await Promise.all(Array.from({ length: 16 }, (_, index) => (index % 2 === 0 ? served.load('times') : served.unload('times'))))
    expect(await failureOf(() => answer(served))).toEqual(['MODEL_UNAVAILABLE', expect.any(String)])
    await served.load('times')
    expect(await answer(served)).toBe(2)
  })

  test('while requests come in fails none of them', async () => {
    await put('times/1/model.onnx', factorModel(2))
    const served = await start()
    let isDone = false
    let answered = 0
    const load = async () => {
      while (!isDone) {
        expect(await answer(served)).toBe(2)
        answered += 1
      }
    }
    const clients = Array.from({ length: 8 }, load)
    for (let round = 0; round < 10; round += 1) await served.load('times')
    isDone = true
    await Promise.all(clients)
    expect(answered).toBeGreaterThan(10)
  })
})

describe('a new version', () => {
  test('takes the place of the old, which answers what began before', async () => {
    await put('times/model.toml', '[versions]\nlatest = 1')
    await put('times/1/model.onnx', factorModel(2))
    const served = await start()
    await put('times/2/model.onnx', factorModel(4))
    await served.load('times')
    expect(served.index()).toEqual([{ name: 'times', version: '2', state: 'READY' }])
    expect(served.model('times')?.versions[1]).toMatchObject({ reason: 'left out by the version policy: latest 1' })
    expect([await answer(served, '2'), await answer(served, '1')]).toEqual([4, 2])
    await served.load('times', { version: '1' })
    expect(served.model('times')?.versions.map(({ state }) => state)).toEqual(['ready', 'ready'])
    await served.load('times')
    expect(served.model('times')?.versions.map(({ state }) => state)).toEqual(['ready', 'unavailable'])
  })

  test('that is broken leaves the old one and is listed with its reason', async () => {
    await put('times/model.toml', 'description = "old"\n[versions]\nlatest = 1')
    await put('times/1/model.onnx', factorModel(2))
    const served = await start()
    await put('times/2/model.onnx', 'broken')
    await put('times/model.toml', 'description = "new"\n[versions]\nlatest = 1')
    expect(await failureOf(() => served.load('times'))).toEqual([
      'MODEL_LOAD_FAILED',
      expect.stringContaining('version 2 is at UNAVAILABLE state: '),
    ])
    expect(served.index()).toEqual([
      { name: 'times', version: '2', state: 'UNAVAILABLE', reason: expect.stringContaining('it is a text file, such as') },
      { name: 'times', version: '1', state: 'READY' },
    ])
    expect([await answer(served), served.model('times')?.description]).toEqual([2, 'old'])
  })
})

describe('a warm-up', () => {
  const recorded = (output: string) => `[[warmup]]\ninput = [3.0]\noutput = ${output}\n`

  test('is run before a version serves, and is not counted', async () => {
    await put('times/1/model.onnx', factorModel(2))
    await put('times/model.toml', recorded('[6.00001]'))
    const served = await start()
    expect(served.index()[0]?.state).toBe('READY')
    expect(served.statistics('times')[0]).toMatchObject({ inferenceCount: 0, executionCount: 0, lastInferenceMs: 0 })
    await answer(served)
    expect(served.statistics('times')[0]).toMatchObject({ inferenceCount: 1, executionCount: 1 })
  })

  test('whose answer is not the recorded one keeps the version from serving', async () => {
    await put('times/1/model.onnx', factorModel(2))
    await put('times/model.toml', recorded('[6.0]'))
    const served = await start()
    await put('times/1/model.onnx', factorModel(2.5))
    expect(await failureOf(() => served.load('times'))).toEqual([
      'MODEL_LOAD_FAILED',
      "load failed for model 'times': version 1 is at UNAVAILABLE state: warmup[0]: the answer is not the recorded one: [7.5];",
    ])
    expect(await answer(served)).toBe(2)
  })

  test('may record some of the outputs, and those are compared', async () => {
    await put('two/1/model.onnx', twoOutputModel())
    for (const [output, state] of [
      ['[{ double = [2, 4], negative = [-1, -2] }]', 'READY'],
      ['[{ negative = [-1, -2] }]', 'READY'],
      ['[{ negative = [-1, -3] }]', 'UNAVAILABLE'],
      ['[{ positive = [1, 2] }]', 'UNAVAILABLE'],
      ['[{}]', 'UNAVAILABLE'],
    ] as const) {
      await put('two/model.toml', `[[warmup]]\ninput = [[1, 2]]\noutput = ${output}\n`)
      const served = await start()
      expect([output, served.index()[0]?.state]).toEqual([output, state])
      await served.stop()
    }
  })

  test('whose input does not fit keeps the version from serving', async () => {
    await put('times/1/model.onnx', factorModel(2))
    await put('times/model.toml', '[[warmup]]\ninput = ["a"]')
    expect((await start()).index()[0]).toMatchObject({ state: 'UNAVAILABLE', reason: expect.stringContaining('warmup[0]: ') })
  })

  test('with zeros that fails is a warning alone', async () => {
    await put('fails/1/model.onnx', failingModel())
    const warnings: string[] = []
    expect((await start({ warn: (text) => warnings.push(text) })).index()[0]?.state).toBe('READY')
    expect(warnings).toEqual([expect.stringContaining('fails/1: it could not be warmed up with zeros')])
  })
})

describe('checksums', () => {
  const digest = (content: Uint8Array) => new Bun.CryptoHasher('sha256').update(content).digest('hex')

  test('that are right let a version load; a changed file, or one without a checksum, does not', async () => {
    await put('times/1/model.onnx', factorModel(2))
    await put('times/model.toml', `[sha256]\n"1/model.onnx" = "${digest(factorModel(2))}"`)
    const served = await start()
    expect(await answer(served)).toBe(2)
    await put('times/1/model.onnx', factorModel(3))
    await put('times/2/model.onnx', factorModel(4))
    expect(await failureOf(() => served.load('times', { version: '1' }))).toEqual([
      'MODEL_LOAD_FAILED',
      "load failed for model 'times': version 1 is at UNAVAILABLE state: 1/model.onnx is not the file whose SHA-256 model.toml names;",
    ])
    expect(await failureOf(() => served.load('times', { version: '2' }))).toEqual([
      'MODEL_LOAD_FAILED',
      expect.stringContaining('"sha256" has no checksum of 2/model.onnx'),
    ])
    expect(await answer(served)).toBe(2)
  })

  test('of paths that leave the folder are rejected', async () => {
    await put('times/1/model.onnx', factorModel(2))
    const lines = `"1/model.onnx" = "${digest(factorModel(2))}"\n"../secret" = "${'0'.repeat(64)}"`
    await put('times/model.toml', `[sha256]\n${lines}`)
    expect((await start()).index()[0]?.reason).toContain('which is not a path inside the folder')
  })
})

describe('a pipe or a device in the folder of a model', () => {
  test('is waited for by no one: a checksum of it, a label file', async () => {
    for (const make of [(path: string) => Bun.spawnSync(['mkfifo', path]), (path: string) => symlinkSync('/dev/zero', path)]) {
      await put('times/1/model.onnx', factorModel(2))
      const own = new Bun.CryptoHasher('sha256').update(factorModel(2)).digest('hex')
      await put('times/model.toml', `[sha256]\n"1/model.onnx" = "${own}"\n"pipe" = "${'0'.repeat(64)}"`)
      await put('labels/1/model.onnx', factorModel(2))
      await put('labels/config.pbtxt', 'output { name: "y" label_filename: "pipe" }')
      await put('other/1/model.onnx', factorModel(3))
      for (const name of ['times', 'labels']) make(join(folder, name, 'pipe'))
      const served = await start()
      expect(served.index().map(({ name, state, reason }) => [name, state, reason ?? ''])).toEqual([
        ['labels', 'UNAVAILABLE', 'pipe cannot be read (it is a pipe, a socket or a device)'],
        ['other', 'READY', ''],
        ['times', 'UNAVAILABLE', expect.stringContaining('pipe is not the file whose SHA-256 model.toml names')],
      ])
      await served.stop()
      for (const name of ['times', 'labels']) rmSync(join(folder, name, 'pipe'))
    }
  })
})

describe('an unload', () => {
  test('finishes in-flight requests, rejects new requests, and can be taken back', async () => {
    await put('times/1/model.onnx', factorModel(2))
    const served = await start()
    const running = answer(served)
    await served.unload('times')
    expect(await failureOf(() => answer(served))).toEqual(['MODEL_UNAVAILABLE', expect.any(String)])
    expect(await running).toBe(2)
    expect(served.index()).toEqual([{ name: 'times', version: '1', state: expect.stringMatching(/^UN/), reason: 'unloaded' }])
    await served.load('times')
    expect(await answer(served)).toBe(2)
  })

  test('of one version leaves the others', async () => {
    await put('times/1/model.onnx', factorModel(2))
    await put('times/2/model.onnx', factorModel(4))
    const served = await start()
    await served.unload('times', { version: '2' })
    expect(await answer(served, '1')).toBe(2)
    expect(await failureOf(() => answer(served, '2'))).toEqual(['MODEL_UNAVAILABLE', expect.any(String)])
    expect(await failureOf(() => served.unload('times', { version: '7' }))).toEqual(['MODEL_UNKNOWN', expect.any(String)])
    expect(await failureOf(() => served.unload('other'))).toEqual(['MODEL_UNKNOWN', expect.any(String)])
  })
})

describe('a configuration', () => {
  test('is what clients of Triton read', async () => {
    await put('times/1/model.onnx', factorModel(2))
    await put('broken/1/model.onnx', 'x')
    const served = await start()
    expect(served.configuration('times')).toMatchObject({
      name: 'times',
      platform: 'onnxruntime_onnx',
      // Its rows may be computed together, so that they are no dimension of their own here.
      max_batch_size: 32,
      input: [{ name: 'x', data_type: 'TYPE_FP32', dims: [1], reshape: { shape: [] } }],
      dynamic_batching: { max_queue_delay_microseconds: 0 },
    })
    expect(await failureOf(() => served.configuration('broken'))).toEqual(['MODEL_UNAVAILABLE', expect.any(String)])
    expect(await failureOf(() => served.configuration('times', '2'))).toEqual(['MODEL_UNKNOWN', expect.any(String)])
  })

  test('of a text in place of a number is the same', async () => {
    await put('texts/1/model.onnx', identityModel('BYTES'))
    expect((await start()).configuration('texts')).toMatchObject({ input: [{ data_type: 'TYPE_STRING' }] })
  })
})
