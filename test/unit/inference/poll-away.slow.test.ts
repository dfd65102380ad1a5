import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createReadiness } from '../../../src/http/readiness.ts'
import { createEngine } from '../../../src/inference/create-engine.ts'
import type { Engine, ModelChange } from '../../../src/inference/engine.ts'
import { factorModel, inputOf, put } from '../../support/factor-model.ts'
import { until } from '../../support/until.ts'

let place = ''
let folder = ''
let engine: Engine
let warnings: string[]
let changes: ModelChange[]
beforeEach(async () => {
  place = mkdtempSync(join(tmpdir(), 'vestal-away-'))
  folder = join(place, 'models')
  warnings = []
  changes = []
  await put(folder, 'times/1/model.onnx', factorModel(2))
  await put(folder, 'times/2/model.onnx', factorModel(3))
  await put(folder, 'still/1/model.onnx', factorModel(5))
})
afterEach(async () => {
  await engine.stop()
  rmSync(place, { recursive: true, force: true })
})

async function start(): Promise<void> {
  engine = await createEngine({
    modelsDirectory: folder,
    threads: 1,
    instances: 1,
    modelControl: 'poll',
    pollMs: 2,
    warn: (text) => warnings.push(text),
    changed: (change) => changes.push(change),
  })
}
const answer = async (name = 'times', version = '2') => (await engine.infer(name, version, inputOf(1))).get('y')?.data[0]
const reasons = () => createReadiness(engine).reasons()
/** Replaces what stands at a path in one step; nothing takes its place where no other is named. */
function replace(path: string, make?: (path: string) => unknown): void {
  renameSync(path, join(place, 'away'))
  make?.(path)
}
function restore(path: string): void {
  rmSync(path, { recursive: true, force: true })
  renameSync(join(place, 'away'), path)
}
/** Many looks have gone by: a model that was put in place meanwhile has been loaded. */
async function afterMoreLooks(): Promise<void> {
  const name = `m${Bun.nanoseconds()}`
  await put(place, `${name}/1/model.onnx`, factorModel(7))
  renameSync(join(place, name), join(folder, name))
  await until(() => engine.model(name)?.versions[0]?.state === 'ready')
}

describe('a models folder that cannot be read while it is polled', () => {
  const WAYS: Readonly<Record<string, readonly [make: ((path: string) => unknown) | undefined, reason: string]>> = {
    'is missing': [undefined, 'the models folder cannot be read (ENOENT)'],
    'is an empty mount point': [(path) => mkdirSync(path), 'an empty folder is in the place of the models folder'],
    'gives an error': [(path) => symlinkSync(path, path), 'the models folder cannot be read (ELOOP)'],
    'is a file': [(path) => Bun.write(path, ''), 'the models folder cannot be read (ENOTDIR)'],
  }
  for (const [what, [make, reason]] of Object.entries(WAYS)) {
    test(`${what}: what serves continues, with one warning and a reason, until it can be read again`, async () => {
      await start()
      replace(folder, make)
      await until(() => warnings.length > 0)
      const text = `${reason}: the models that were loaded from it keep serving`
      expect([reasons(), createReadiness(engine, { isStrict: true }).isReady()]).toEqual([[text], true])
      expect([await answer(), await answer('times', '1'), await answer('still', '1')]).toEqual([3, 2, 5])
      restore(folder)
      await until(() => warnings.length > 1)
      expect(warnings).toEqual([text, 'the models folder can be read again'])
      await afterMoreLooks()
      expect(reasons()).toEqual([])
      expect(engine.models().filter(({ name }) => !name.startsWith('m'))).toHaveLength(2)
      expect([await answer(), await answer('still', '1')]).toEqual([3, 5])
      // Nothing was unloaded or loaded again; the one model that came is the only change.
      expect(changes).toMatchObject([{ action: 'load', outcome: 'done' }])
    })
  }

  test('that is there and from which every model was taken is empty', async () => {
    await start()
    for (const name of ['times', 'still']) renameSync(join(folder, name), join(place, name))
    await until(() => engine.models().length === 0)
    expect([warnings, reasons()]).toEqual([[], []])
  })
})

describe('a model whose folder cannot be read while it is polled', () => {
  for (const [what, make] of [
    ['leads nowhere', (path: string) => symlinkSync(join(place, 'nowhere'), path)],
    ['leads to itself', (path: string) => symlinkSync(path, path)],
  ] as const) {
    test(`${what}: it keeps serving, with one warning and a reason`, async () => {
      await start()
      replace(join(folder, 'times'), make)
      await until(() => warnings.length > 0)
      const text = 'times: its folder cannot be read; what was loaded from it keeps serving'
      expect(reasons()).toEqual([text])
      await afterMoreLooks()
      expect([await answer(), await answer('times', '1')]).toEqual([3, 2])
      restore(join(folder, 'times'))
      await until(() => reasons().length === 0)
      await afterMoreLooks()
      expect([warnings, await answer()]).toEqual([[text], 3])
    })

    test(`or that of one of its versions: ${what}`, async () => {
      await start()
      replace(join(folder, 'times/2'), make)
      await until(() => warnings.length > 0)
      expect(reasons()).toHaveLength(1)
      expect([await answer(), await answer('times', '1')]).toEqual([3, 2])
      restore(join(folder, 'times/2'))
      await until(() => reasons().length === 0)
      expect([await answer(), warnings.length]).toEqual([3, 1])
    })
  }

  test('or its model.toml: who may ask stays as it was, and a load fails', async () => {
    await put(folder, 'times/model.toml', '[permissions]\npredict = "vault:predict"\n')
    await start()
    replace(join(folder, 'times/model.toml'), (path) => symlinkSync(path, path))
    await until(() => warnings.length > 0)
    expect([engine.permission('times', 'predict'), engine.permission('times', 'admin')]).toEqual(['vault:predict', '*'])
    expect([await answer(), engine.model('times')?.versions[0]?.state]).toEqual([3, 'ready'])
  })

  test('whose versions are all gone keeps serving, and readiness says that it could not be loaded', async () => {
    await start()
    replace(join(folder, 'times'), (path) => mkdirSync(path))
    await until(() => warnings.length > 0)
    expect(reasons()).toEqual([expect.stringContaining("failed to load 'times'")])
    expect(await answer()).toBe(3)
    expect(changes).toMatchObject([{ model: 'times', action: 'load', outcome: 'failed' }])
  })
})

test('a model whose folder could not be read at the start is there with the reason, and served once it can', async () => {
  symlinkSync(join(place, 'later'), join(folder, 'late'))
  await start()
  expect(engine.model('late')?.versions[0]).toMatchObject({ state: 'unavailable', reason: 'its folder cannot be read (ENOENT)' })
  await put(place, 'later/1/model.onnx', factorModel(4))
  await until(() => engine.model('late')?.versions[0]?.state === 'ready')
  expect(await answer('late', '1')).toBe(4)
})
