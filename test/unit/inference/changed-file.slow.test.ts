import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, renameSync, rmSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { VestalError } from '../../../src/core/errors.ts'
import type { EngineOptions } from '../../../src/inference/create-engine.ts'
import type { Engine } from '../../../src/inference/engine.ts'
import { factorModel, inputOf } from '../../support/factor-model.ts'
import { startMarked } from '../../support/marked-engine.ts'
import { CRASH } from '../../support/marks.ts'
import { identityModel, onnxModel } from '../../support/tiny-models.ts'
import { until } from '../../support/until.ts'

const folders: string[] = []
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true })
})

async function start(options: EngineOptions = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'vestal-changed-'))
  folders.push(folder)
  const path = join(folder, 'times/1/model.onnx')
  await Bun.write(path, factorModel(3))
  return { ...(await startMarked({ modelsDirectory: folder, ...options })), folder, path }
}

async function ask(engine: Engine, value: number): Promise<unknown> {
  try {
    return (await engine.infer('times', '1', inputOf(value))).get('y')?.data[0]
  } catch (error) {
    if (error instanceof VestalError) return error.code
    throw error
  }
}

/** Puts another file in the place of one, as a deployment does that is careful. */
async function replace(path: string, content: Uint8Array): Promise<void> {
  await Bun.write(`${path}.new`, content)
  renameSync(`${path}.new`, path)
}

/** Rows of it change each other's answers. */
const summing = () =>
  onnxModel({
    nodes: [{ operator: 'CumSum', inputs: ['x', 'axis'], outputs: ['y'] }],
    inputs: [{ name: 'x', datatype: 'FP32', shape: ['n'] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: ['n'] }],
    constants: [{ name: 'axis', shape: [], values: new BigInt64Array([0n]) }],
  })

describe('a file of a model that changes while it serves', () => {
  const CHANGES: readonly (readonly [string, (path: string) => Promise<void> | void])[] = [
    ['overwritten', (path) => void Bun.write(path, factorModel(5))],
    ['truncated', (path) => truncateSync(path, 20)],
    ['replaced', (path) => replace(path, factorModel(5))],
    ['taken away', (path) => rmSync(path)],
  ]
  for (const [what, change] of CHANGES)
    test(`is not looked at when it is ${what}: what was loaded serves on`, async () => {
      const { engine, path, workers } = await start()
      await change(path)
      for (const value of [1, 2, 3]) expect(await ask(engine, value)).toBe(value * 3)
      expect(workers).toHaveLength(1)
      await engine.stop()
    })

  test('is loaded as a whole where a worker ends meanwhile: never by a worker alone', async () => {
    const { engine, path, warnings } = await start()
    expect(engine.model('times')?.versions[0]?.batching?.runs).toBe('shared')
    await replace(path, summing())
    expect(await ask(engine, CRASH)).toBe('WORKER_LOST')
    await until(async () => (await ask(engine, 2)) === 2)
    expect(engine.model('times')?.versions[0]?.batching?.runs).toBe('separate')
    expect(warnings).toContain('times/1: its files have changed since it was loaded; it is loaded again')
    // Shared, the rows would be summed up.
    const together = await Promise.all(Array.from({ length: 16 }, (_, index) => ask(engine, index)))
    expect(together).toEqual(Array.from({ length: 16 }, (_, index) => index))
    await engine.stop()
  })

  test('serves with the inputs that it has then', async () => {
    const { engine, path } = await start()
    await replace(path, identityModel('INT64', ['n', 2]))
    expect(await ask(engine, CRASH)).toBe('WORKER_LOST')
    await until(() => engine.model('times')?.versions[0]?.inputs[0]?.datatype === 'INT64')
    expect(await ask(engine, 1)).toBe('INPUT_INVALID')
    await engine.stop()
  })

  test('must be the one that its checksum names', async () => {
    const { engine, path, folder, warnings } = await start({ modelControl: 'explicit' })
    const checksum = new Bun.CryptoHasher('sha256').update(factorModel(3)).digest('hex')
    await Bun.write(join(folder, 'times/model.toml'), `[sha256]\n"1/model.onnx" = "${checksum}"`)
    await engine.load('times')
    await replace(path, factorModel(5))
    expect(await ask(engine, CRASH)).toBe('WORKER_LOST')
    await until(() => warnings.some((text) => text.includes('is not the file whose SHA-256 model.toml names')))
    expect(await ask(engine, 1)).toBe('WORKER_LOST')
    await replace(path, factorModel(3))
    await until(async () => (await ask(engine, 1)) === 3)
    await engine.stop()
  })

  test('is not loaded while another worker of the model has the old one and takes runs, but for a whole load', async () => {
    const { engine, path } = await start({ instances: 2 })
    await replace(path, factorModel(5))
    expect(await ask(engine, CRASH)).toBe('WORKER_LOST')
    const seen: unknown[] = []
    await until(async () => {
      seen.push(await ask(engine, 1))
      return seen.at(-1) === 5
    })
    // The old one until the new one serves, and none of the old after it.
    for (let time = 0; time < 20; time += 1) seen.push(await ask(engine, 1))
    expect(seen.slice(seen.indexOf(5))).toEqual(Array(seen.length - seen.indexOf(5)).fill(5))
    expect(new Set(seen)).toEqual(new Set([3, 5].filter((value) => seen.includes(value))))
    await engine.stop()
  })

  test('is not what a request brought: that waits for another load', async () => {
    const { engine, path, warnings } = await start({ modelControl: 'explicit', mayOverride: true })
    await engine.load('times', { config: '{}' })
    await replace(path, factorModel(5))
    expect(await ask(engine, CRASH)).toBe('WORKER_LOST')
    await until(() => warnings.some((text) => text.includes('its files have changed since it was loaded; load it again')))
    expect(await ask(engine, 1)).toBe('WORKER_LOST')
    await engine.load('times')
    expect(await ask(engine, 1)).toBe(5)
    await engine.stop()
  })
})
