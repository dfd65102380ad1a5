import { describe, expect, test } from 'bun:test'
import { Admission } from '../../../../src/inference/queue/admission.ts'
import type { Submission } from '../../../../src/inference/queue/job.ts'
import { Quarantine, Scheduler } from '../../../../src/inference/queue/scheduler.ts'
import { ModelCounters } from '../../../../src/inference/statistics.ts'
import { HandClock } from '../../../support/hand-clock.ts'
import { HandInstance } from '../../../support/hand-instance.ts'

const SHARED_MS = 30_000
const ALONE_MS = 600_000

function start() {
  const clock = new HandClock()
  const scheduler = new Scheduler<string, string>({
    clock,
    counters: new ModelCounters(),
    admission: new Admission({ requestsMax: 100, subjectRequestsMax: 100, bytesMax: 1000 }),
    queueMax: 100,
    batches: { rowsMax: 8, bytesMax: 1000, delayMs: 0 },
    mayRunAhead: false,
    priorityLevels: 0,
    priorityDefault: 1,
    timeoutMs: 10_000_000,
  })
  const worker = new HandInstance((input: string) => input)
  scheduler.attach(worker)
  const ask = (subject: string, more: Partial<Submission<string>> = {}) =>
    void scheduler.submit({ input: subject, rows: 1, bytes: 1, bucket: 'b', subject, ...more }).catch(() => undefined)
  const lose = () => {
    scheduler.detach(worker)
    worker.lose()
    scheduler.attach(worker)
  }
  /** What shares runs of these while the worker is in another. */
  const runsOf = (...subjects: readonly string[]) => {
    const before = worker.runs.length
    ask('first')
    for (const subject of subjects) ask(subject)
    while (worker.isBusy) worker.finish()
    return worker.runs.slice(before + 1)
  }
  return { clock, worker, ask, lose, runsOf }
}

test('a subject whose own run it was is served after all others, so that these are not held up by one crash after the other', () => {
  const { worker, ask, lose } = start()
  ask('eve')
  lose()
  ask('first')
  for (const subject of ['eve', 'ann', 'bob', 'eve']) ask(subject)
  while (worker.isBusy) worker.finish()
  expect(worker.runs.slice(-2)).toEqual([
    ['ann', 'bob'],
    ['eve', 'eve'],
  ])
})

describe('a subject whose request was in a run that its worker died in', () => {
  test('shares runs with itself alone for ten minutes, where the run was its own', () => {
    const { clock, ask, lose, runsOf } = start()
    ask('eve')
    lose()
    expect(runsOf('ann', 'eve', 'bob', 'eve')).toEqual([
      ['ann', 'bob'],
      ['eve', 'eve'],
    ])
    clock.pass(ALONE_MS - 1)
    expect(runsOf('ann', 'eve')).toEqual([['ann'], ['eve']])
    clock.pass(1)
    expect(runsOf('ann', 'eve')).toEqual([['ann', 'eve']])
  })

  test('for half a minute, where others were in it; what waits of them is set apart too', () => {
    const { clock, worker, ask, lose, runsOf } = start()
    ask('first')
    for (const subject of ['ann', 'eve']) ask(subject)
    worker.finish()
    for (const subject of ['bob', 'eve', 'cid']) ask(subject)
    lose()
    while (worker.isBusy) worker.finish()
    expect(worker.runs.slice(2).toSorted()).toEqual([['bob', 'cid'], ['eve']])
    expect(runsOf('ann', 'eve', 'bob').toSorted()).toEqual([['ann'], ['bob'], ['eve']])
    clock.pass(SHARED_MS)
    expect(runsOf('ann', 'eve', 'bob').map((run) => run.length)).toEqual([3])
  })

  test('runs alone where it has no bucket, as ever', () => {
    const { ask, lose, runsOf, worker } = start()
    ask('eve')
    lose()
    ask('first')
    ask('eve', { bucket: undefined })
    ask('eve')
    while (worker.isBusy) worker.finish()
    expect(worker.runs.slice(-2)).toEqual([['eve'], ['eve']])
    expect(runsOf('ann')).toEqual([['ann']])
  })
})

test('a subject stays apart as long as the worst run says, and the last of those that it shared', () => {
  const clock = new HandClock()
  const quarantine = new Quarantine(clock)
  const known = (...subjects: readonly string[]) =>
    subjects.filter((subject) => {
      const job = { subject, submission: { bucket: 'b' }, bucket: undefined, level: 1 }
      quarantine.assign(job)
      return job.bucket !== 'b'
    })
  quarantine.add(new Set(['eve']))
  quarantine.add(new Set(['eve', 'ann', 'bob']))
  clock.pass(SHARED_MS - 1)
  quarantine.add(new Set(['ann', 'cid']))
  clock.pass(1)
  expect(known('eve', 'ann', 'bob', 'cid')).toEqual(['eve', 'ann', 'cid'])
  clock.pass(SHARED_MS)
  expect(known('eve', 'ann', 'bob', 'cid')).toEqual(['eve'])
  clock.pass(ALONE_MS)
  expect(known('eve')).toEqual([])
})

test('of ever more subjects a thousand are remembered, and the one that is to be forgotten first goes', () => {
  const clock = new HandClock()
  const quarantine = new Quarantine(clock)
  const isKnown = (subject: string) => {
    const job = { subject, submission: { bucket: 'b' }, bucket: undefined, level: 1 }
    quarantine.assign(job)
    return job.bucket !== 'b'
  }
  quarantine.add(new Set(['shared', 'other']))
  for (let subject = 0; subject < 1022; subject += 1) quarantine.add(new Set([`s${subject}`]))
  expect([isKnown('shared'), isKnown('other'), isKnown('s0'), isKnown('new')]).toEqual([true, true, true, false])
  quarantine.add(new Set(['one more']))
  expect([isKnown('shared'), isKnown('other'), isKnown('s0'), isKnown('one more')]).toEqual([false, true, true, true])
})
