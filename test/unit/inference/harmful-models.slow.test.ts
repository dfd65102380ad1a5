import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createEngine } from '../../../src/inference/create-engine.ts'
import { putModels } from '../../support/harmful-models.ts'
import { startMarked } from '../../support/marked-engine.ts'
import { FAULT, HANG } from '../../support/marks.ts'
import { identityModel } from '../../support/tiny-models.ts'
import { until } from '../../support/until.ts'

const folder = mkdtempSync(join(tmpdir(), 'vestal-harmful-'))
putModels(folder, ['select_then_gru', 'divint', 'loop_forever'])
await Bun.write(join(folder, 'plain/1/model.onnx'), identityModel('FP32', ['n', 3]))
const one = mkdtempSync(join(tmpdir(), 'vestal-harmful-one-'))
await Bun.write(join(one, 'one/1/model.onnx'), identityModel('FP32'))
afterAll(() => {
  for (const used of [folder, one]) rmSync(used, { recursive: true })
})

const quiet = { instances: 1, threads: 1, warn: () => undefined } as const

describe('a model that made-up inputs end', () => {
  test('serves, with a warning that names it and the signal', async () => {
    const warnings: string[] = []
    const loadAtStart = new Set(['select_then_gru'])
    const engine = await createEngine({
      ...quiet,
      modelsDirectory: folder,
      loadAtStart,
      warn: (text) => void warnings.push(text),
    })
    expect(engine.model('select_then_gru')?.versions[0]?.state).toBe('ready')
    expect(warnings).toContainEqual(
      'select_then_gru/1: it could not be warmed up with zeros (the worker process ended in it (SIGABRT)); [[warmup]] in model.toml can give it inputs',
    )
    await engine.stop()
  })

  test('meets none where they are turned off, for all or in its own model.toml', async () => {
    for (const syntheticInputs of [false, true]) {
      const warnings: string[] = []
      if (syntheticInputs) await Bun.write(join(folder, 'select_then_gru/model.toml'), '[serving]\nsynthetic_inputs = false')
      const loadAtStart = new Set(['select_then_gru', ...(syntheticInputs ? [] : ['plain'])])
      const warn = (text: string) => void warnings.push(text)
      const engine = await createEngine({ ...quiet, modelsDirectory: folder, loadAtStart, syntheticInputs, warn })
      expect(engine.model('select_then_gru')?.versions[0]?.state).toBe('ready')
      expect(warnings).toEqual([])
      if (!syntheticInputs)
        expect(engine.model('plain')?.versions[0]?.batching).toEqual({
          runs: 'separate',
          reason: expect.stringMatching(/^synthetic_inputs is off, and no inputs are recorded; record inputs as/),
        })
      await engine.stop()
    }
  })
})

describe('a start', () => {
  test('waits for a model that does not load no longer than it may, and is ready once that was given up', async () => {
    const warnings: string[] = []
    const engine = await createEngine({
      ...quiet,
      modelsDirectory: folder,
      loadAtStart: new Set(['loop_forever', 'plain']),
      loadMsMax: 4_000,
      waitMsMax: 1,
      warn: (text) => void warnings.push(text),
    })
    expect(engine.isReady()).toBe(false)
    expect(engine.index().find(({ name }) => name === 'loop_forever')).toMatchObject({ state: 'LOADING' })
    await until(() => engine.isReady())
    expect(engine.index().find(({ name }) => name === 'loop_forever')).toMatchObject({
      state: 'UNAVAILABLE',
      reason: expect.stringMatching(/^a run took more than [\d.]+ s when it was tried, before it serves$/),
    })
    expect(engine.model('plain')?.versions[0]?.state).toBe('ready')
    await until(() => warnings.some((text) => text.startsWith('loop_forever/1: it cannot be served: ')))
    await engine.stop()
  })

  test('is given up at once where the engine is stopped meanwhile', async () => {
    const loadAtStart = new Set(['loop_forever'])
    const engine = await createEngine({ ...quiet, modelsDirectory: folder, loadAtStart, waitMsMax: 1 })
    await engine.stop()
    expect(engine.isReady()).toBe(false)
  })
})

test('a model whose workers end again and again is unavailable with the reason, until one serves', async () => {
  const { engine, open } = await startMarked({ modelsDirectory: one, runMsMax: 60_000 })
  const ask = (value: number, subject: string) =>
    engine
      .infer('one', '1', new Map([['x', { datatype: 'FP32', shape: [1], data: new Float32Array([value]) }]]), { subject })
      .catch((error: unknown) => error)
  const version = () => engine.model('one')?.versions[0]
  for (let round = 0; version()?.state === 'ready' && round < 20; round += 1) await ask(FAULT, `caller ${round}`)
  expect(version()).toMatchObject({ state: 'unavailable', reason: 'its worker processes end again and again (SIGSEGV)' })
  expect(engine.statistics('one')[0]?.ends).toEqual({ SIGSEGV: 8 })
  await until(() => version()?.state === 'ready')
  open()
  expect(await ask(HANG, 'me')).toBeInstanceOf(Map)
  await engine.stop()
}, 60_000)
