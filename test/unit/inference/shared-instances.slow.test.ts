import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { VestalError } from '../../../src/core/errors.ts'
import type { EngineOptions } from '../../../src/inference/create-engine.ts'
import type { Engine } from '../../../src/inference/engine.ts'
import type { ModelLoss } from '../../../src/inference/runner.ts'
import { putModels } from '../../support/harmful-models.ts'
import { startMarked } from '../../support/marked-engine.ts'
import { CRASH, FAULT, HANG } from '../../support/marks.ts'
import { identityModel, onnxModel } from '../../support/tiny-models.ts'
import { until } from '../../support/until.ts'

const TINY = Array.from({ length: 20 }, (_, index) => `tiny-${String(index).padStart(2, '0')}`)
const SHARED = '[serving]\nisolation = "shared"\n'
const folders: string[] = []
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true })
})

/** A model that adds a number: `x` → `y`. */
function addModel(number: number): Uint8Array {
  return onnxModel({
    nodes: [{ operator: 'Add', inputs: ['x', 'c'], outputs: ['y'] }],
    inputs: [{ name: 'x', datatype: 'FP32', shape: ['n', 1] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: ['n', 1] }],
    constants: [{ name: 'c', shape: [1], values: new Float32Array([number]) }],
  })
}

/** A model with that many weights, of which a run gives one. */
function tableModel(length: number): Uint8Array {
  return onnxModel({
    nodes: [{ operator: 'Gather', inputs: ['c', 'x'], outputs: ['y'] }],
    inputs: [{ name: 'x', datatype: 'INT64', shape: ['n'] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: ['n'] }],
    constants: [{ name: 'c', shape: [length], values: new Float32Array(length).fill(1) }],
  })
}

/** A folder with these models; each of them adds its place in the list. */
async function folderOf(names: readonly string[], toml: (name: string) => string = () => SHARED): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'vestal-shared-'))
  folders.push(folder)
  for (const [index, name] of names.entries()) {
    await Bun.write(join(folder, name, '1/model.onnx'), addModel(index))
    await Bun.write(join(folder, name, 'model.toml'), toml(name))
  }
  return folder
}

async function start(modelsDirectory: string, options: EngineOptions = {}) {
  const losses: ModelLoss[] = []
  const marked = await startMarked({ modelsDirectory, lost: (loss) => losses.push(loss), ...options })
  return { ...marked, losses }
}

/** What comes back, or the code of the refusal. */
async function ask(engine: Engine, model: string, value: number): Promise<unknown> {
  try {
    const input = { datatype: 'FP32', shape: [1, 1], data: new Float32Array([value]) } as const
    return (await engine.infer(model, '1', new Map([['x', input]]))).get('y')?.data[0]
  } catch (error) {
    if (error instanceof VestalError) return error.code
    throw error
  }
}

const askAll = (engine: Engine, names: readonly string[], value: number) =>
  Promise.all(names.map((name) => ask(engine, name, value)))
const statesOf = (engine: Engine) => engine.models().map(({ versions }) => versions[0]?.state)
const isolationOf = (engine: Engine, name: string) => engine.model(name)?.versions[0]?.isolation
const isAlive = (engine: Engine, name: string) => engine.statistics(name, '1')[0]?.workersAlive === 1

describe('models that share a process', () => {
  test('are computed in one, each with its own answers; one that does not share is never in it', async () => {
    const folder = await folderOf([...TINY, 'alone'], (name) => (name === 'alone' ? '' : SHARED))
    const { engine, workers } = await start(folder)
    expect(statesOf(engine)).toEqual(Array(21).fill('ready'))
    expect(workers).toHaveLength(2)
    for (const value of [1, 100]) expect(await askAll(engine, TINY, value)).toEqual(TINY.map((_, index) => value + index))
    expect(await ask(engine, 'alone', 5)).toBe(25)
    expect([isolationOf(engine, 'tiny-00'), isolationOf(engine, 'alone')]).toEqual(['shared', undefined])
    expect(workers).toHaveLength(2)
    await engine.stop()
    await Promise.all(workers.map(({ gone }) => gone))
  })

  test('are all that have one instance, where the default says so', async () => {
    const tomls: Record<string, string> = { own: '[serving]\nisolation = "process"', two: '[serving]\ninstances = 2' }
    const folder = await folderOf(['a', 'b', 'own', 'two'], (name) => tomls[name] ?? '')
    const { engine, workers } = await start(folder, { isolation: 'shared', instances: 3 })
    // One for a and b, three for own, two for two.
    expect(workers).toHaveLength(6)
    expect(['a', 'b', 'own', 'two'].map((name) => isolationOf(engine, name))).toEqual(['shared', 'shared', undefined, undefined])
    await engine.stop()
  })

  test('must have one instance', async () => {
    const folder = await folderOf(['a'], () => `${SHARED}instances = 2`)
    const { engine, workers } = await start(folder)
    const reason = 'isolation is "shared" and instances 2: a model that shares its process must have one instance'
    expect(engine.model('a')?.versions[0]).toMatchObject({ state: 'unavailable', reason })
    expect(workers).toEqual([])
    await engine.stop()
  })

  test('come and go without the others, whose process stays', async () => {
    const folder = await folderOf(TINY)
    const { engine, workers } = await start(folder, { modelControl: 'explicit' })
    await engine.unload('tiny-03')
    expect(await ask(engine, 'tiny-03', 1)).toBe('MODEL_UNAVAILABLE')
    const others = TINY.filter((name) => name !== 'tiny-03')
    expect(await askAll(engine, others, 1)).toEqual(others.map((name) => 1 + TINY.indexOf(name)))
    await engine.load('tiny-03')
    expect(await ask(engine, 'tiny-03', 1)).toBe(4)
    await engine.load('tiny-04')
    expect(await ask(engine, 'tiny-04', 1)).toBe(5)
    expect(workers).toHaveLength(1)
    for (const name of TINY) await engine.unload(name)
    await workers[0]?.gone
    await engine.load('tiny-05')
    expect(workers).toHaveLength(2)
    await engine.stop()
  })

  test.skipIf(process.platform !== 'linux')('give their memory back when they are unloaded', async () => {
    const folder = await folderOf(['small', 'large'])
    await Bun.write(join(folder, 'large/1/model.onnx'), tableModel(64 * 1024 * 1024))
    const { engine, workers } = await start(folder, { modelControl: 'explicit', loadAtStart: new Set(['small']) })
    const resident = () => workers[0]?.residentBytes() ?? 0
    const before = resident()
    for (let time = 0; time < 2; time += 1) {
      await engine.load('large')
      expect(resident() - before).toBeGreaterThan(200 * 2 ** 20)
      await engine.unload('large')
      await until(() => resident() - before < 100 * 2 ** 20, 'the memory is given back')
    }
    expect(await ask(engine, 'small', 1)).toBe(1)
    expect(workers).toHaveLength(1)
    await engine.stop()
  })

  for (const [what, mark] of [
    ['by itself', CRASH],
    ['of a fault', FAULT],
  ] as const)
    test(`all come back when their process ends ${what}; what had not begun is computed by the next`, async () => {
      const folder = await folderOf(TINY)
      const { engine, workers, warnings, losses } = await start(folder)
      const [deadly, ...others] = await Promise.all([ask(engine, 'tiny-00', mark), ...TINY.map((name) => ask(engine, name, 1))])
      expect(deadly).toBe('WORKER_LOST')
      // The one of the same model may have been in the run.
      expect(others.slice(1)).toEqual(TINY.slice(1).map((_, index) => 2 + index))
      await until(() => TINY.every((name) => isAlive(engine, name)))
      expect(workers).toHaveLength(2)
      expect(statesOf(engine)).toEqual(Array(20).fill('ready'))
      expect(losses.filter(({ label }) => label !== 'shared process').map(({ key }) => key)).toEqual(['tiny-00/1'])
      expect(warnings.filter((text) => text.includes('in tiny-00/1, which shares its process'))).toHaveLength(19)
      await engine.stop()
    })

  test.skipIf(process.platform !== 'linux')('all come back when their process is killed from outside', async () => {
    const folder = await folderOf(TINY)
    const { engine, workers } = await start(folder)
    for (let time = 1; time <= 4; time += 1) {
      process.kill(workers.at(-1)?.pid ?? 0, 'SIGKILL')
      await until(() => workers.length === time + 1 && TINY.every((name) => isAlive(engine, name)))
      expect(await askAll(engine, TINY, 1)).toEqual(TINY.map((_, index) => 1 + index))
    }
    expect(workers).toHaveLength(5)
    await engine.stop()
  })

  test('lose one that ends their process again and again: it has its own then', async () => {
    const folder = await folderOf(['bad', 'good'])
    const { engine, workers, warnings } = await start(folder)
    for (let time = 1; time <= 3; time += 1) {
      expect(await ask(engine, 'bad', CRASH)).toBe('WORKER_LOST')
      await until(() => isAlive(engine, 'bad') && isAlive(engine, 'good'))
    }
    expect(warnings).toContain('bad/1: it ended the shared process 3 times; it has a process of its own until it is loaded again')
    const before = workers.length
    expect(await ask(engine, 'bad', CRASH)).toBe('WORKER_LOST')
    expect([isAlive(engine, 'good'), await ask(engine, 'good', 1)]).toEqual([true, 2])
    await until(() => isAlive(engine, 'bad'))
    expect(workers.length).toBe(before + 1)
    await engine.stop()
  })

  test('wait for a run of another, which counts for none of their own limit', async () => {
    const folder = await folderOf(['slow', 'other'])
    const { engine, workers, open, losses } = await start(folder, { runMsMax: 2_000 })
    const hung = ask(engine, 'slow', HANG)
    await until(() => engine.statistics('slow', '1')[0]?.running === 1)
    const waiting = ask(engine, 'other', 1)
    open()
    expect(await Promise.all([hung, waiting])).toEqual([HANG, 2])
    expect([workers.length, losses]).toEqual([1, []])
    await engine.stop()
  })

  test('are started again where a run takes too long, and the others with it', async () => {
    const folder = await folderOf(['slow', 'other'])
    const { engine, workers, losses } = await start(folder, { runMsMax: 400 })
    const hung = ask(engine, 'slow', HANG)
    await until(() => engine.statistics('slow', '1')[0]?.running === 1)
    expect(await Promise.all([hung, ask(engine, 'other', 1)])).toEqual(['WORKER_LOST', 2])
    await until(() => isAlive(engine, 'slow'))
    expect(workers).toHaveLength(2)
    expect(losses.map(({ key, label }) => [key, label]).sort()).toEqual([
      ['other/1', 'shared process'],
      ['slow/1', 'run limit'],
    ])
    await engine.stop()
  })

  test('serve beside files that end their process at load, cannot be loaded, or never finish', async () => {
    const folder = await folderOf(TINY.slice(0, 8))
    putModels(folder, ['nested_functions', 'loop_forever'])
    for (const name of ['nested_functions', 'loop_forever', 'broken']) await Bun.write(join(folder, name, 'model.toml'), SHARED)
    await Bun.write(join(folder, 'broken/1/model.onnx'), 'no model')
    const { engine } = await start(folder, { loadMsMax: 8_000 })
    expect(Object.fromEntries(engine.models().map(({ name, versions }) => [name, versions[0]?.state]))).toEqual({
      ...Object.fromEntries(TINY.slice(0, 8).map((name) => [name, 'ready'])),
      broken: 'unavailable',
      loop_forever: 'unavailable',
      nested_functions: 'unavailable',
    })
    expect(engine.model('nested_functions')?.versions[0]?.reason).toContain('(SIGSEGV)')
    expect(await askAll(engine, TINY.slice(0, 8), 1)).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
    await engine.stop()
  }, 60_000)

  test('never have one among them that a request brought', async () => {
    const folder = await folderOf(['a', 'b'])
    const { engine, workers, warnings } = await start(folder, {
      modelControl: 'explicit',
      mayOverride: true,
      isolation: 'shared',
    })
    const config = JSON.stringify({ parameters: { isolation: { string_value: 'shared' } } })
    await engine.load('a', { config, files: new Map([['1/model.onnx', identityModel('FP32', ['n', 1])]]) })
    expect([await ask(engine, 'a', 7), await ask(engine, 'b', 7)]).toEqual([7, 8])
    expect([workers.length, isolationOf(engine, 'a'), isolationOf(engine, 'b')]).toEqual([2, undefined, 'shared'])
    expect(warnings).toContain('a: isolation = "shared" has no effect on a model from a load request')
    await engine.stop()
  })
})
