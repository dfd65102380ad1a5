import { expect, test } from 'bun:test'
import { Distribution } from '../../../src/core/distribution.ts'

test('a value counts under the first bound that it is not over, and one over all of them in the last place', () => {
  const distribution = new Distribution([1, 2.5])
  expect(distribution.snapshot()).toEqual({ bounds: [1, 2.5], counts: [0, 0, 0], sum: 0 })
  for (const value of [0, 1, 1.25, 2.5, 2.75, 100]) distribution.observe(value)
  expect(distribution.snapshot()).toEqual({ bounds: [1, 2.5], counts: [2, 2, 2], sum: 107.5 })
})
