import { expect, test } from 'bun:test'
import { describeShape, ELEMENTS_MAX, elementCount, matchesShape } from '../../../src/tensor/shape.ts'

test('a shape has as many elements as the product of its dimensions', () => {
  expect(elementCount([])).toBe(1)
  expect(elementCount([3])).toBe(3)
  expect(elementCount([2, 3, 4])).toBe(24)
  expect(elementCount([ELEMENTS_MAX])).toBe(ELEMENTS_MAX)
})

test('a shape with a zero is empty, however large the rest is', () => {
  expect(elementCount([0])).toBe(0)
  expect(elementCount([Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER, 0])).toBe(0)
})

test('a shape over the limit has too many elements to count', () => {
  expect(elementCount([ELEMENTS_MAX + 1])).toBe(Number.POSITIVE_INFINITY)
  expect(elementCount([2 ** 30, 2 ** 30, 2 ** 30])).toBe(Number.POSITIVE_INFINITY)
})

test('a dimension of -1 takes any size, and the others their own', () => {
  expect(matchesShape([-1, 4], [7, 4])).toBe(true)
  expect(matchesShape([-1, 4], [0, 4])).toBe(true)
  expect(matchesShape([], [])).toBe(true)
  expect(matchesShape([-1, 4], [7, 5])).toBe(false)
  expect(matchesShape([-1, 4], [4])).toBe(false)
  expect(matchesShape([-1], [])).toBe(false)
})

test('a shape is reported as a list', () => {
  expect(describeShape([-1, 4])).toBe('[-1,4]')
  expect(describeShape([])).toBe('[]')
})
