import { expect, test } from 'bun:test'
import { Doorkeeper } from '../../../src/core/doorkeeper.ts'

const textOf = (number: number) => `Bearer a.b.${(number * 2_654_435_761).toString(36).padStart(12, 'x')}`

test('a doorkeeper knows a text that comes again', () => {
  const doorkeeper = new Doorkeeper(16)
  expect([doorkeeper.hasSeen('one'), doorkeeper.hasSeen('two'), doorkeeper.hasSeen('one'), doorkeeper.hasSeen('')]).toEqual([
    false,
    false,
    true,
    false,
  ])
})

test('a doorkeeper takes few of many new texts for ones that came before', () => {
  const doorkeeper = new Doorkeeper(40_000)
  let known = 0
  for (let number = 0; number < 100_000; number += 1) if (doorkeeper.hasSeen(textOf(number))) known += 1
  expect(known).toBeLessThan(100)
})

test('a doorkeeper remembers most of as many texts as it is made for', () => {
  const doorkeeper = new Doorkeeper(40_000)
  for (let number = 0; number < 10_000; number += 1) doorkeeper.hasSeen(textOf(number))
  let known = 0
  for (let number = 0; number < 10_000; number += 1) if (doorkeeper.hasSeen(textOf(number))) known += 1
  expect(known).toBeGreaterThan(7000)
})
