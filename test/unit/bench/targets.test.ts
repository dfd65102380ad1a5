import { describe, expect, test } from 'bun:test'
import { chosen } from '../../../bench/all.ts'
import { distributionChart } from '../../../bench/harness/distribution-chart.ts'
import { figureOf, ratioByRound } from '../../../bench/harness/measure.ts'
import { SHARES } from '../../../bench/load/load.ts'
import { growth } from '../../../bench/steady.ts'
import { meets, TARGETS } from '../../../bench/targets/list.ts'
import { notesOf, type Run, targetsText, withRuns } from '../../../bench/targets/record.ts'

const run = (value: number, more: Partial<Run> = {}): Run => ({
  date: '2026-01-01',
  machine: '2 cores',
  value,
  spread: 0.1,
  ...more,
})

describe('a target', () => {
  test('is met by a figure on its right side, and by the limit itself', () => {
    expect([0.5, 1, 1.5].map((value) => meets(TARGETS['one-p50'], value))).toEqual([true, true, false])
    expect([0.5, 0.55, 1].map((value) => meets(TARGETS['many-echo'], value))).toEqual([false, true, true])
  })

  test('keeps its last three runs, the newest first, and one for a day on a machine', () => {
    const days = ['2026-01-01', '2026-01-02', '2026-01-03', '2026-01-04']
    let runs = {}
    for (const [index, date] of days.entries()) runs = withRuns(runs, new Map([['one-p50', run(index, { date })] as const]))
    expect(runs).toMatchObject({ 'one-p50': [{ value: 3 }, { value: 2 }, { value: 1 }] })
    const again = withRuns(runs, new Map([['one-p50', run(9, { date: '2026-01-04' })] as const]))
    expect(again['one-p50']?.map(({ value }) => value)).toEqual([9, 2, 1])
    const elsewhere = withRuns(again, new Map([['one-p50', run(7, { date: '2026-01-04', machine: '8 cores' })] as const]))
    expect(elsewhere['one-p50']?.map(({ value }) => value)).toEqual([7, 9, 2])
  })

  test('without a run of its bench is left as it is', () => {
    const runs = { 'one-p50': [run(1)] }
    expect(withRuns(runs, new Map([['one-p99', run(2)] as const]))).toEqual({ 'one-p50': [run(1)], 'one-p99': [run(2)] })
  })
})

describe('the table of targets', () => {
  const notes = notesOf('# Head\n\nText.\n\n## one-p50\n\nThe profile says 40 %.\nTried: this.\n\n## many-echo\n\nOther.\n')

  test('says what is met, what is not, and what was not run', () => {
    const runs = { 'one-p50': [run(0.9), run(1.2, { date: '2025-12-31' })], 'many-echo': [run(0.4)] }
    const text = targetsText(runs, notes)
    const lineOf = (id: keyof typeof TARGETS) =>
      text.split('\n').find((line) => line.includes(TARGETS[id].what) && line.includes(TARGETS[id].of))
    expect(lineOf('one-p50')).toEndWith('| 0.90 ± 0.10 (2026-01-01) | 1.20 ± 0.10 (2025-12-31) | yes |')
    expect(lineOf('many-echo')).toEndWith('| 0.40 ± 0.10 (2026-01-01) |  | **no** |')
    expect(lineOf('json-rate')).toEndWith('| `bench json` not run |  | — |')
    expect(lineOf('batches-check')).toContain('no bench yet')
  })

  test('has the note of each that is missed, and of no other', () => {
    const missed = targetsText({ 'one-p50': [run(1.5)] }, notes)
    expect(missed).toContain('The profile says 40 %.\nTried: this.')
    expect(missed).not.toContain('Other.')
    expect(targetsText({ 'one-p50': [run(0.5)] }, notes)).not.toContain('The profile says')
  })

  test('asks for the note of one that has none', () => {
    expect(targetsText({ 'one-p99': [run(1.5)] }, notes)).toContain('under `one-p99` yet')
  })
})

describe('the ratio of two contestants', () => {
  test('is that of each round, and leaves out rounds that one of them lacks', () => {
    expect(ratioByRound([2, 6, 4], [1, 2])).toEqual({ median: 2.5, spread: 0.5 })
    expect(ratioByRound([2], []).median).toBeNaN()
  })

  test('is no number without figures', () => {
    expect(figureOf([]).median).toBeNaN()
  })
})

test('memory grows by the last fifth of the samples beside the second', () => {
  expect(growth([10, 50, 100, 100, 100, 100, 100, 100, 110, 110])).toBe(1.1)
  expect(growth([500, 500, 100, 100, 100, 100, 100, 100, 100, 100])).toBe(1)
})

test('a chart of latencies has a line for each contestant, as high as it is slow', () => {
  const lines = [1, 10].map((times) => ({ name: `n<${times}`, distribution: SHARES.map((share) => (times * share) / 10) }))
  const svg = distributionChart({ title: 'A & B', lines }, 'a machine')
  const heights = [...svg.matchAll(/<path d="M[\d.]+ ([\d.]+)L/g)].map(([, y]) => Number(y))
  expect(heights).toHaveLength(2)
  // The slower one is drawn first, and higher: SVG counts from the top.
  expect(heights[0]).toBeLessThan(heights[1] ?? 0)
  expect(svg).toContain('n&lt;10')
  expect(svg).toContain('A &amp; B')
  expect(svg).not.toContain('NaN')
})

describe('bench all', () => {
  const benches = ['a', 'b', 'c'].map((name) => ({ name, run: async () => {} }))
  const namesOf = (only: string[] | undefined, skip: string[]) => chosen(benches, { only, skip }).map(({ name }) => name)

  test('runs all, those that are named, or all but those that are skipped', () => {
    expect(namesOf(undefined, [])).toEqual(['a', 'b', 'c'])
    expect(namesOf(['c', 'a'], [])).toEqual(['a', 'c'])
    expect(namesOf(undefined, ['b'])).toEqual(['a', 'c'])
    expect(namesOf(['a', 'b'], ['b'])).toEqual(['a'])
  })

  test('rejects a name that no bench has', () => {
    expect(() => namesOf(['d'], [])).toThrow('there is no bench d; there are a, b, c')
    expect(() => namesOf(undefined, ['e'])).toThrow('there is no bench e')
  })
})
