import { expect, test } from 'bun:test'
import { SeenFilter } from '../../../src/core/seen-filter.ts'

const textOf = (number: number) => `Bearer a.b.${(number * 2_654_435_761).toString(36).padStart(12, 'x')}`

test('a seen-filter knows a text that comes again', () => {
  const seen = new SeenFilter(16)
  expect([seen.hasSeen('one'), seen.hasSeen('two'), seen.hasSeen('one'), seen.hasSeen('')]).toEqual([false, false, true, false])
})

test('a seen-filter takes few of many new texts for ones that came before', () => {
  const seen = new SeenFilter(40_000)
  let known = 0
  for (let number = 0; number < 100_000; number += 1) if (seen.hasSeen(textOf(number))) known += 1
  expect(known).toBeLessThan(100)
})

test('a seen-filter remembers most of as many texts as it is made for', () => {
  const seen = new SeenFilter(40_000)
  for (let number = 0; number < 10_000; number += 1) seen.hasSeen(textOf(number))
  let known = 0
  for (let number = 0; number < 10_000; number += 1) if (seen.hasSeen(textOf(number))) known += 1
  expect(known).toBeGreaterThan(7000)
})

test('a seen that is made for no text or a fraction still has a place for one', () => {
  for (const textsMax of [0, 0.25, 1]) {
    const seen = new SeenFilter(textsMax)
    expect([seen.hasSeen('one'), seen.hasSeen('one')]).toEqual([false, true])
  }
})

test('a seen reports texts by their last eight characters, which are of a signature', () => {
  const seen = new SeenFilter(16)
  expect([seen.hasSeen('one.12345678'), seen.hasSeen('two.12345678'), seen.hasSeen('2345678')]).toEqual([false, true, false])
})
