import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { RunInput } from '../../../src/inference/batches.ts'
import { createEngine } from '../../../src/inference/create-engine.ts'
import { ResponseCache } from '../../../src/inference/response-cache.ts'
import type { Datatype } from '../../../src/tensor/datatypes.ts'
import type { NamedTensors, TensorData } from '../../../src/tensor/tensor.ts'
import { failingModel, twoOutputModel } from '../../support/tiny-models.ts'

const tensors = (data: TensorData, shape: readonly number[] = [data.length], datatype: Datatype = 'FP32'): NamedTensors =>
  new Map([['x', { datatype, shape, data }]])
const question = (...values: number[]): RunInput => ({ inputs: tensors(new Float32Array(values)) })
const answer = (value: number) => tensors(new Float32Array([value]))

describe('a response cache', () => {
  test('gives the answer to the very same question', () => {
    const cache = new ResponseCache(10_000)
    cache.keep(question(1, 2), answer(3))
    expect(cache.find(question(1, 2))).toEqual(answer(3))
    expect(cache.statistics).toMatchObject({ hits: 1, misses: 0, entries: 1, bytes: 12 + 512 })
  })

  test('takes no other question for it, also where their hashes are the same', () => {
    const others: readonly RunInput[] = [
      question(1, 3),
      question(1),
      { inputs: tensors(new Float32Array([1, 2]), [2, 1]) },
      { inputs: tensors(new Int32Array(new Float32Array([1, 2]).buffer), [2], 'INT32') },
      { inputs: tensors(['1', '2'], [2], 'BYTES') },
      { ...question(1, 2), outputs: ['y'] },
      { inputs: new Map([...question(1, 2).inputs, ['other', { datatype: 'FP32', shape: [0], data: new Float32Array() }]]) },
    ]
    for (const cache of [new ResponseCache(10_000), new ResponseCache(10_000, () => 'the same')]) {
      cache.keep(question(1, 2), answer(3))
      for (const other of others) expect(cache.find(other)).toBeUndefined()
      expect(cache.statistics).toMatchObject({ hits: 0, misses: others.length })
      expect(cache.find(question(1, 2))).toEqual(answer(3))
    }
  })

  test('compares bytes: 0 is not -0, and a NaN is itself', () => {
    const cache = new ResponseCache(10_000)
    cache.keep(question(0), answer(1))
    cache.keep(question(Number.NaN), answer(2))
    expect([cache.find(question(-0)), cache.find(question(Number.NaN))]).toEqual([undefined, answer(2)])
  })

  test('compares texts to the letter', () => {
    const cache = new ResponseCache(10_000, () => 'the same')
    const text = (...texts: string[]): RunInput => ({ inputs: tensors(texts, [texts.length], 'BYTES') })
    cache.keep(text('a', 'bc'), answer(1))
    expect([cache.find(text('ab', 'c')), cache.find(text('a', 'bc'))]).toEqual([undefined, answer(1)])
  })

  test('shares no memory with those who ask', () => {
    const cache = new ResponseCache(10_000)
    const values = new Float32Array([1])
    cache.keep(cache.keepable(question(7)) ?? question(), tensors(values))
    values.fill(9)
    const found = cache.find(question(7))?.get('x')?.data
    if (found instanceof Float32Array) found.fill(8)
    expect(cache.find(question(7))).toEqual(answer(1))
  })

  test('keeps no more bytes than it may, and nothing that is larger than all of it', () => {
    const cache = new ResponseCache(3 * 600)
    for (let value = 0; value < 10; value += 1) cache.keep(question(value), answer(value))
    const { bytes, entries, evictions } = cache.statistics
    expect([bytes <= 1800, entries, evictions]).toEqual([true, 3, 7])
    expect(cache.keepable({ inputs: tensors(new Float32Array(1000)) })).toBeUndefined()
    cache.keep(question(20), tensors(new Float32Array(1000)))
    expect(cache.find(question(20))).toBeUndefined()
  })
})

describe('a model with a cache', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'vestal-cache-'))
  await Bun.write(join(folder, 'two/1/model.onnx'), twoOutputModel())
  await Bun.write(join(folder, 'two/model.toml'), '[serving]\ncache = true')
  await Bun.write(join(folder, 'failing/1/model.onnx'), failingModel())
  await Bun.write(join(folder, 'failing/model.toml'), '[serving]\ncache = true')
  await Bun.write(join(folder, 'plain/1/model.onnx'), twoOutputModel())
  const engine = await createEngine({ modelsDirectory: folder, instances: 1, threads: 1, warn: () => undefined })
  afterAll(async () => {
    await engine.stop()
    rmSync(folder, { recursive: true })
  })
  const row = (...values: number[]) => tensors(new Float32Array(values), [1, 2])
  const runsOf = (model: string) => engine.statistics(model)[0]?.executionCount

  test('computes a question once, and counts what it was asked', async () => {
    const first = await engine.infer('two', '1', row(1, 2))
    const again = await engine.infer('two', '1', row(1, 2))
    expect(again).toEqual(first)
    expect([...(await engine.infer('two', '1', row(1, 2), { outputs: ['negative'] })).keys()]).toEqual(['negative'])
    expect(engine.statistics('two')[0]).toMatchObject({
      executionCount: 2,
      inferenceCount: 2,
      success: { count: 3 },
      cacheHit: { count: 1 },
      cacheMiss: { count: 2 },
      cache: { hits: 1, misses: 2, entries: 2 },
    })
    await engine.infer('two', '1', row(1, 2), { cache: 'skip' })
    expect(runsOf('two')).toBe(3)
  })

  test('keeps no failure', async () => {
    for (let round = 0; round < 2; round += 1) {
      const asked = engine.infer('failing', '1', tensors(new Float32Array(3)))
      expect(await asked.catch((error) => error.code)).toBe('INFERENCE_FAILED')
    }
    expect(engine.statistics('failing')[0]).toMatchObject({ cache: { hits: 0, entries: 0 }, fail: { count: 2 } })
  })

  test('is one that asks for it', async () => {
    for (let round = 0; round < 2; round += 1) await engine.infer('plain', '1', row(1, 2))
    expect([runsOf('plain'), engine.statistics('plain')[0]?.cache]).toEqual([2, undefined])
  })
})
