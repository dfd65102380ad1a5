import { expect, test } from 'bun:test'
import { gatherStatistics } from '../../../../src/cli/processes/gathered-statistics.ts'
import type { ModelCounts } from '../../../../src/engine/added-statistics.ts'
import { countsOf } from '../../../../src/engine/added-statistics.ts'
import { ModelCounters } from '../../../../src/engine/statistics.ts'

/** What a version has done that ran once for each number of rows, at a time. */
function counted(model: string, nowMs: number, ...rows: readonly number[]): ModelCounts {
  const counters = new ModelCounters()
  for (const count of rows) {
    counters.ran({ inputNs: 1, inferNs: 10, outputNs: 2 }, { requests: 1, rows: count, nowMs })
    counters.succeeded(20, 5)
  }
  const [counts] = countsOf([counters.snapshot(model, '1', { waiting: 0, running: 0, workersAlive: 1 })])
  if (counts === undefined) throw new Error('a version has counts')
  return counts
}

test('what several processes have done is added, and the last inference is the newest', () => {
  const gathered = gatherStatistics<string>()
  gathered.update('a', [counted('iris', 2000, 1, 4), counted('digits', 0)])
  gathered.update('b', [counted('iris', 1000, 4, 2), counted('digits', 3000, 1)])
  const [iris, digits] = gathered.read()
  const times = (count: number) => ({
    computeInput: { count, ns: count },
    computeInfer: { count, ns: 10 * count },
    computeOutput: { count, ns: 2 * count },
  })
  expect(iris).toEqual({
    model: 'iris',
    version: '1',
    lastInferenceMs: 2000,
    inferenceCount: 11,
    executionCount: 4,
    success: { count: 4, ns: 80 },
    fail: { count: 0, ns: 0 },
    queue: { count: 4, ns: 20 },
    cacheHit: { count: 0, ns: 0 },
    cacheMiss: { count: 0, ns: 0 },
    ...times(4),
    batches: [
      { rows: 1, ...times(1) },
      { rows: 2, ...times(1) },
      { rows: 4, ...times(2) },
    ],
  })
  expect(digits).toEqual(counted('digits', 3000, 1))
})

test('a process that has ended goes on counting, but for versions that none has any more', () => {
  const gathered = gatherStatistics<string>()
  gathered.update('a', [counted('iris', 1000, 1), counted('gone', 1000, 1)])
  gathered.update('b', [counted('iris', 500, 2)])
  gathered.ended('a')
  expect(gathered.read().map(({ model, inferenceCount, lastInferenceMs }) => [model, inferenceCount, lastInferenceMs])).toEqual([
    ['iris', 3, 1000],
  ])
  gathered.ended('b')
  gathered.update('c', [counted('iris', 0)])
  expect(gathered.read().map(({ inferenceCount }) => inferenceCount)).toEqual([3])
  gathered.ended('somebody who told nothing')
  expect(gathered.read().map(({ inferenceCount }) => inferenceCount)).toEqual([3])
})
