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

test('a doorkeeper that is made for no text or a fraction still has a place for one', () => {
  for (const textsMax of [0, 0.25, 1]) {
    const doorkeeper = new Doorkeeper(textsMax)
    expect([doorkeeper.hasSeen('one'), doorkeeper.hasSeen('one')]).toEqual([false, true])
  }
})

test('a doorkeeper tells texts by their last eight characters, which are of a signature', () => {
  const doorkeeper = new Doorkeeper(16)
  expect([doorkeeper.hasSeen('one.12345678'), doorkeeper.hasSeen('two.12345678'), doorkeeper.hasSeen('2345678')]).toEqual([
    false,
    true,
    false,
  ])
})
