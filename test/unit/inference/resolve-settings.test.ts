import { describe, expect, test } from 'bun:test'
import { type ModelFacts, resolveSettings } from '../../../src/inference/resolve-settings.ts'

const MIB = 1024 * 1024
const workers = (cores: number, facts: ModelFacts = {}, own: Parameters<typeof resolveSettings>[0] = {}) => {
  const { instances, threads } = resolveSettings(own, { cores, queueMax: 1, timeoutMs: 1 }, facts)
  return [instances, threads]
}

describe('where nothing is said', () => {
  test('a model has one worker that uses all cores', () => {
    expect([1, 2, 8].map((cores) => workers(cores))).toEqual([
      [1, 1],
      [1, 2],
      [1, 8],
    ])
  })

  test('a model of texts has two workers that share the cores', () => {
    expect([1, 2, 3, 8].map((cores) => workers(cores, { textBytes: 22 * MIB }))).toEqual([
      [1, 1],
      [2, 1],
      [2, 1],
      [2, 4],
    ])
  })

  test('a model of texts that is small or large has one', () => {
    for (const textBytes of [MIB, 400 * MIB]) expect(workers(8, { textBytes })).toEqual([1, 8])
  })
})

test('what is said counts for a model of texts as well', () => {
  const facts = { textBytes: 22 * MIB }
  expect(workers(8, facts, { instances: 1 })).toEqual([1, 8])
  expect(workers(8, facts, { threads: 8 })).toEqual([1, 8])
  expect(workers(8, facts, { threads: 2 })).toEqual([4, 2])
  expect(workers(8, facts, { isolation: 'shared' })).toEqual([1, 1])
})
