import { describe, expect, test } from 'bun:test'
import { Admission } from '../../../../src/inference/queue/admission.ts'
import { Scheduler } from '../../../../src/inference/queue/scheduler.ts'
import { ModelCounters } from '../../../../src/inference/statistics.ts'
import { HandClock } from '../../../support/hand-clock.ts'
import { HandInstance } from '../../../support/hand-instance.ts'

const LIMITS = { requestsMax: 1000, subjectRequestsMax: 1000, bytesMax: 1e9 }
const TOKENS_MAX = 320
const ROWS_MAX = 32

/** A scheduler with a worker that the test plays; a request is named by its subject's letter, and its length. */
function house({ instances = 1, isPrompt = true, tokensMax = TOKENS_MAX, paddingMax = 24 } = {}) {
  const clock = new HandClock({ isPrompt })
  const worker = new HandInstance<string, string>((input) => input)
  const others = Array.from({ length: instances - 1 }, () => new HandInstance<string, string>((input) => input))
  const counters = new ModelCounters()
  const scheduler = new Scheduler<string, string>({
    clock,
    counters,
    admission: new Admission(LIMITS),
    queueMax: 1000,
    batches: { rowsMax: ROWS_MAX, tokensMax, paddingMax, bytesMax: 1e6, delayMs: 0 },
    mayRunAhead: false,
    priorityLevels: 2,
    priorityDefault: 2,
    timeoutMs: 1000,
  })
  const ask = (...names: readonly string[]) => {
    for (const name of names) {
      const length = Number(name.replace(/\D/g, ''))
      const cost = Math.max(1, (length * ROWS_MAX) / TOKENS_MAX)
      const priority = name.endsWith('!') ? 1 : 2
      void scheduler.submit({
        input: name,
        rows: 1,
        cost,
        length,
        bytes: length,
        bucket: '',
        subject: name.slice(0, 1),
        priority,
      })
    }
  }
  /** Lets the run end that the worker is in, and gives what it has next. */
  const next = () => {
    worker.finish()
    return worker.inputs.join(' ')
  }
  scheduler.attach(worker)
  for (const other of others) scheduler.attach(other)
  return { ask, next, worker, others, clock, counters }
}

describe('requests that are padded', () => {
  test('share a run with those of near lengths, within the budget of padded tokens', () => {
    const { ask, next, worker } = house()
    ask('a1')
    ask('a5', 'a9', 'a300', 'a7')
    expect(worker.inputs).toEqual(['a1'])
    expect([next(), next(), next()]).toEqual(['a5 a7 a9', 'a300', ''])
    ask('a1')
    ask(...Array.from({ length: 7 }, () => 'a100'))
    // 3 × 100 is within 320, 4 × 100 is not.
    expect([next(), next(), next(), next()]).toEqual(['a100 a100 a100', 'a100 a100 a100', 'a100', ''])
  })

  test('are counted with their padding, each run by its longest', () => {
    const { ask, next, counters } = house()
    ask('a1')
    ask('a5', 'a9', 'a300', 'a7')
    for (let run = 0; run < 3; run += 1) next()
    const gauges = { waiting: 0, running: 0, workersAlive: 1 }
    expect(counters.snapshot('m', '1', gauges).tokens).toEqual({ own: 1 + 5 + 7 + 9 + 300, padding: 4 + 2 })
  })

  test('of any lengths share a run where a run costs more than their padding, within the budget', () => {
    const { ask, next } = house({ tokensMax: 1024, paddingMax: 600 })
    ask('a1')
    ask('a300', 'a5', 'a9', 'a7')
    // 3 × 300 is within 1024, 4 × 300 is not; the padding is 291 and 293.
    expect([next(), next(), next()]).toEqual(['a300 a9 a7', 'a5', ''])
    const costly = house({ tokensMax: 1024, paddingMax: 100 })
    costly.ask('a1')
    costly.ask('a300', 'a5', 'a9')
    expect([costly.next(), costly.next(), costly.next()]).toEqual(['a300', 'a5 a9', ''])
  })

  test('wait for one run of a long one', () => {
    const { ask, next } = house()
    ask('a1')
    ask('a300', 'a5')
    expect([next(), next()]).toEqual(['a300', 'a5'])
  })

  test('run before what comes after their round began, however near to others that is', () => {
    const { ask, next } = house()
    ask('a1')
    ask('a10', 'a200', 'a11', 'a150')
    expect(next()).toBe('a10 a11')
    // Of the length of the next run, and later than a150, which does not fit into it.
    ask('a200', 'a149', 'a10')
    expect(next()).toBe('a200')
    ask('a151')
    expect(next()).toBe('a150 a149')
    expect([next(), next(), next()]).toEqual(['a200', 'a10', 'a151'])
  })

  test('run before what comes later and would fit, where one of their round does not', () => {
    const { ask, next } = house()
    ask('a1')
    ask('a10', 'a150', 'a200')
    expect(next()).toBe('a10')
    ask('a151')
    expect([next(), next(), next()]).toEqual(['a150', 'a200', 'a151'])
  })

  test('take turns between subjects by their tokens', () => {
    const { ask, next } = house()
    ask('a1')
    ask(...Array.from({ length: 12 }, () => 'a100'), 'b90', 'c10')
    // Whoever has had least begins the next run.
    expect([next(), next(), next()]).toEqual(['b90 a100 a100', 'c10', 'a100 a100 a100'])
  })

  test('of a higher level come first, into a run that others begin as well', () => {
    const { ask, next } = house()
    ask('a1')
    ask('a50', 'b52', 'c49!', 'd60!')
    expect(next()).toBe('c49! d60! a50 b52')
  })

  test('are shared out between idle workers', () => {
    const { ask, worker, others, clock } = house({ instances: 2, isPrompt: false })
    ask('a50', 'a50', 'a50', 'a50')
    clock.turn()
    expect([worker.inputs.length, others[0]?.inputs.length]).toEqual([2, 2])
  })

  test('run by themselves where one is longer than the budget', () => {
    const { ask, next } = house()
    ask('a1')
    ask('a400', 'a400', 'a2')
    expect([next(), next(), next()]).toEqual(['a400', 'a400', 'a2'])
  })
})
