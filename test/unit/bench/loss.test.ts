import { describe, expect, test } from 'bun:test'
import { confirmLoss, ratioOf, showsLoss } from '../../../bench/harness/loss.ts'

const LOST = [1.3, 1.25, 1.4, 1.28]
const KEPT = [1.02, 0.97, 1.05, 1.0]
const always = () => true

describe('a loss of processor time', () => {
  test('is shown where three quarters of the pairs cost over 15 % more', () => {
    expect(showsLoss(LOST)).toBe(true)
    expect(showsLoss([1.3, 1.25, 1.4, 1.0])).toBe(true)
  })

  test('is not shown by pairs within 15 %, by two of four, or by one pair', () => {
    expect(showsLoss(KEPT)).toBe(false)
    expect(showsLoss([1.15, 1.15, 1.15])).toBe(false)
    expect(showsLoss([1.6, 1.5, 1.0, 1.0])).toBe(false)
    expect(showsLoss([2])).toBe(false)
  })

  test('is not shown by runs that gave no figure', () => {
    expect(showsLoss([])).toBe(false)
    expect(showsLoss([Number.NaN, Number.NaN, 1.5])).toBe(false)
    expect(showsLoss([Number.NaN, 1.5, 1.5])).toBe(true)
  })
})

describe('the ratio of two commits', () => {
  test('is the median of the pairs, with the median distance from it', () => {
    expect(ratioOf([1.1, 0.9, 1.0, 5])).toEqual({ median: 1.05, spread: expect.closeTo(0.1, 10) })
  })

  test('leaves out runs that gave no figure', () => {
    expect(ratioOf([Number.NaN, 1.2, Infinity]).median).toBe(1.2)
    expect(ratioOf([]).median).toBeNaN()
  })
})

describe('what seems lost is measured again', () => {
  const attempts = (...results: readonly (readonly number[])[]) => {
    let asked = 0
    const again = async () => results[asked++] ?? []
    return { again, asked: () => asked }
  }

  test('and is lost where every attempt shows it', async () => {
    const { again, asked } = attempts(LOST, LOST, LOST)
    expect(await confirmLoss(LOST, again, { attempts: 3, hasTime: always })).toBe('lost')
    expect(asked()).toBe(3)
  })

  test('and is kept where one attempt does not show it, which is the last', async () => {
    const { again, asked } = attempts(LOST, KEPT, LOST)
    expect(await confirmLoss(LOST, again, { attempts: 3, hasTime: always })).toBe('kept')
    expect(asked()).toBe(2)
  })

  test('and is kept where an attempt gives no figures', async () => {
    const { again } = attempts([])
    expect(await confirmLoss(LOST, again, { attempts: 3, hasTime: always })).toBe('kept')
  })

  test('and is unconfirmed where the time is over', async () => {
    const { again, asked } = attempts(LOST, LOST, LOST)
    const hasTime = () => asked() < 2
    expect(await confirmLoss(LOST, again, { attempts: 3, hasTime })).toBe('unconfirmed')
  })

  test('but not what was never shown', async () => {
    const { again, asked } = attempts(LOST)
    expect(await confirmLoss(KEPT, again, { attempts: 3, hasTime: always })).toBe('kept')
    expect(asked()).toBe(0)
  })
})
