import { expect, test } from 'bun:test'
import { Distribution, SECONDS_BOUNDS } from '../../../src/core/distribution.ts'

test('a value counts under the first bound that it is not over, and one over all of them in the last place', () => {
  const distribution = new Distribution([1, 2.5])
  expect(distribution.snapshot()).toEqual({ bounds: [1, 2.5], counts: [0, 0, 0], sum: 0 })
  for (const value of [0, 1, 1.25, 2.5, 2.75, 100]) distribution.observe(value)
  expect(distribution.snapshot()).toEqual({ bounds: [1, 2.5], counts: [2, 2, 2], sum: 107.5 })
})

test('durations are counted from half a millisecond to half a minute, under bounds that dashboards know', () => {
  expect(SECONDS_BOUNDS).toEqual([0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30])
})
