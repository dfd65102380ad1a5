import { describe, expect, test } from 'bun:test'
import { VestalError } from '../../../../src/core/errors.ts'
import { Admission } from '../../../../src/inference/queue/admission.ts'
import type { JobTimes, Submission } from '../../../../src/inference/queue/job.ts'
import { Scheduler, type SchedulerOptions } from '../../../../src/inference/queue/scheduler.ts'
import { ModelCounters } from '../../../../src/inference/statistics.ts'
import { HandClock } from '../../../support/hand-clock.ts'
import { HandInstance } from '../../../support/hand-instance.ts'

const LIMITS = { requestsMax: 100, subjectRequestsMax: 100, bytesMax: 1000 }

function start(
  options: Partial<Omit<SchedulerOptions, 'clock'>> & {
    readonly clock?: HandClock
    readonly limits?: Partial<typeof LIMITS>
    readonly workers?: number
  } = {},
) {
  const { clock = new HandClock() } = options
  const counters = new ModelCounters()
  const admission = new Admission({ ...LIMITS, ...options.limits })
  const scheduler = new Scheduler<string, string>({
    counters,
    admission,
    queueMax: 100,
    batches: { rowsMax: 4, bytesMax: 1000, delayMs: 0 },
    mayRunAhead: false,
    priorityLevels: 0,
    priorityDefault: 1,
    timeoutMs: 60_000,
    ...options,
    clock,
  })
  const workers = Array.from({ length: options.workers ?? 1 }, () => new HandInstance((input: string) => input.toUpperCase()))
  for (const worker of workers) scheduler.attach(worker)
  const [worker] = workers as [HandInstance<string, string>]
  const ask = (input: string, asked: Partial<Submission<string>> = {}): Promise<string> =>
    codeOf(async () => scheduler.submit({ input, rows: 1, bytes: 1, bucket: 'b', ...asked }))
  return { clock, counters, admission, scheduler, worker, workers, ask }
}

async function codeOf(work: () => Promise<string>): Promise<string> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof VestalError) return error.code
    throw error
  }
}

/** Finishes runs until there is none. */
function finishAll(workers: readonly HandInstance<string, string>[]): void {
  for (;;) {
    const busy = workers.find(({ isBusy }) => isBusy)
    if (busy === undefined) return
    busy.finish()
  }
}

describe('a scheduler', () => {
  test('runs at once while an instance is idle, and lets what waits share the next run', async () => {
    const { worker, ask } = start()
    const answers = [ask('a'), ask('b'), ask('c'), ask('d')]
    expect(worker.runs).toEqual([['a']])
    finishAll([worker])
    expect(worker.runs).toEqual([['a'], ['b', 'c', 'd']])
    expect(await Promise.all(answers)).toEqual(['A', 'B', 'C', 'D'])
  })

  test('runs on those that are left where an idle one is taken away', async () => {
    for (const gone of [0, 1, 2]) {
      const { scheduler, workers, ask } = start({ workers: 3 })
      scheduler.detach(workers[gone] ?? expect.unreachable())
      const answers = [ask('a'), ask('b')]
      expect(workers.map(({ runs }) => runs.length)).toEqual([1, 1, 1].with(gone, 0))
      finishAll(workers)
      expect(await Promise.all(answers)).toEqual(['A', 'B'])
    }
  })

  test('counts rows, not requests: a run has at most the rows of the limit, or one request', () => {
    const { worker, ask } = start()
    void ask('first')
    for (const [input, rows] of [
      ['two', 2],
      ['three', 3],
      ['one', 1],
      ['nine', 9],
      ['four', 4],
    ] as const) {
      void ask(input, { rows, subject: 'same' })
    }
    finishAll([worker])
    expect(worker.runs.slice(1)).toEqual([['two', 'one'], ['three'], ['nine'], ['four']])
  })

  test('keeps the bytes of a shared run within their limit', () => {
    const { worker, ask } = start({ batches: { rowsMax: 10, bytesMax: 10, delayMs: 0 } })
    void ask('first')
    for (const [input, bytes] of [
      ['a', 6],
      ['b', 6],
      ['c', 4],
    ] as const) {
      void ask(input, { bytes })
    }
    finishAll([worker])
    expect(worker.runs.slice(1)).toEqual([['a', 'c'], ['b']])
  })

  test('lets only requests of one bucket share a run, and one without a bucket share none', () => {
    const { worker, ask } = start()
    void ask('first')
    void ask('x1', { bucket: 'x' })
    void ask('alone', { bucket: undefined })
    void ask('y1', { bucket: 'y' })
    void ask('x2', { bucket: 'x' })
    finishAll([worker])
    expect(worker.runs.slice(1)).toEqual([['x1', 'x2'], ['alone'], ['y1']])
  })

  test('fills a run with what fits, also of a subject that has had more than one of which nothing does', () => {
    const { worker, ask } = start()
    void ask('first')
    void ask('large', { subject: 'ann', rows: 4, bucket: 'other' })
    void ask('y1', { subject: 'bob', bucket: 'y' })
    void ask('z1', { subject: 'bob', bucket: 'z' })
    void ask('y2', { subject: 'ann', bucket: 'y' })
    finishAll([worker])
    expect(worker.runs.slice(1)).toEqual([['large'], ['y1', 'y2'], ['z1']])
  })

  test('waits for a batch no longer than it may, and not once it is full', () => {
    const { worker, clock, ask } = start({ batches: { rowsMax: 3, bytesMax: 1000, delayMs: 5 } })
    void ask('a')
    clock.pass(4)
    void ask('b')
    expect(worker.runs).toEqual([])
    clock.pass(1)
    expect(worker.runs).toEqual([['a', 'b']])
    worker.finish()
    void ask('c')
    void ask('d')
    void ask('e')
    expect(worker.runs.at(-1)).toEqual(['c', 'd', 'e'])
    worker.finish()
    void ask('alone', { bucket: undefined })
    expect(worker.runs.at(-1)).toEqual(['alone'])
  })
})

describe('what waits', () => {
  test('asks for one turn, and for none while nothing can run', async () => {
    const clock = new HandClock({ isPrompt: false })
    const { worker, ask } = start({ clock })
    for (const input of ['a', 'b', 'c']) void ask(input)
    expect(clock.works).toBe(1)
    clock.turn()
    expect([worker.runs, clock.works]).toEqual([[['a', 'b', 'c']], 0])
    void ask('d')
    expect(clock.works).toBe(0)
    worker.finish()
    expect(clock.works).toBe(1)
    clock.turn()
    worker.finish()
    expect([worker.runs.length, clock.works]).toEqual([2, 0])
  })

  test('asks for a turn while the instance computes only where it may run ahead, and has a whole batch', () => {
    for (const mayRunAhead of [true, false]) {
      const clock = new HandClock({ isPrompt: false })
      const { ask } = start({ clock, mayRunAhead })
      void ask('a')
      clock.turn()
      for (const input of ['b', 'c', 'd']) void ask(input)
      expect(clock.works).toBe(0)
      void ask('e')
      expect(clock.works).toBe(mayRunAhead ? 1 : 0)
    }
  })

  test('waits for a batch with one timer, however many come meanwhile, and also where it may wait a millisecond only', () => {
    const { worker, clock, ask } = start({ batches: { rowsMax: 9, bytesMax: 1000, delayMs: 1 } })
    for (const input of ['a', 'b', 'c', 'd']) void ask(input)
    // The other one is that of the deadlines.
    expect([worker.isBusy, clock.timers]).toEqual([false, 2])
    clock.pass(1)
    expect(worker.inputs).toEqual(['a', 'b', 'c', 'd'])
  })

  test('of a full batch and one more leaves the one to be waited with', () => {
    const { worker, clock, ask } = start({ batches: { rowsMax: 4, bytesMax: 1000, delayMs: 10 } })
    void ask('first', { bucket: undefined })
    for (const input of ['a', 'b', 'c', 'd', 'e']) void ask(input)
    worker.finish()
    worker.finish()
    expect([worker.runs.length, worker.isBusy]).toEqual([2, false])
    clock.pass(10)
    expect(worker.runs.slice(1)).toEqual([['a', 'b', 'c', 'd'], ['e']])
    worker.finish()
    for (const input of ['f', 'g', 'h']) void ask(input)
    expect(worker.isBusy).toBe(false)
    clock.pass(10)
    expect(worker.inputs).toEqual(['f', 'g', 'h'])
  })

  test('has one timer for deadlines, and one for all signals that are to be asked for', () => {
    const { clock, worker, ask } = start()
    void ask('first')
    expect(clock.timers).toBe(1)
    for (const input of ['a', 'b', 'c']) void ask(input, { signal: () => new AbortController().signal, timeoutMs: 90_000 })
    expect(clock.timers).toBe(2)
    finishAll([worker])
    clock.pass(60_000)
    expect(clock.timers).toBe(0)
  })

  test('and whose time is over is not computed, also where the timer is late', async () => {
    const clock = new HandClock({ isPrompt: false })
    const { worker, ask } = start({ clock })
    const late = ask('late', { timeoutMs: 5 })
    const last = ask('last')
    // Nothing wakes while the thread is busy: time has gone by, and the timer comes after the turn.
    clock.skip(5)
    clock.turn()
    expect(worker.inputs).toEqual(['last'])
    expect(await late).toBe('QUEUE_TIMEOUT')
    worker.finish()
    expect(await last).toBe('LAST')
  })

  test('for no particular principal has the limits of the server alone', () => {
    const { worker, scheduler, ask } = start({ limits: { subjectRequestsMax: 1 } })
    for (const input of ['a', 'b', 'c']) void ask(input)
    expect([worker.isBusy, scheduler.running + scheduler.waiting]).toEqual([true, 3])
  })

  test('after a run with others that failed has gone to no worker yet', async () => {
    const { clock, worker, ask } = start()
    void ask('first')
    void ask('bad')
    let times: JobTimes | undefined
    const waits = ask('good', {
      timeoutMs: 50,
      watch: (seen) => {
        times = seen
      },
    })
    worker.finish()
    worker.settle({ kind: 'failed', reason: 'no' })
    clock.pass(50)
    expect(await waits).toBe('QUEUE_TIMEOUT')
    expect([times?.sentMs, times?.endMs, times?.run]).toEqual([0, clock.now(), undefined])
  })

  test('after its worker was lost before the run began has gone to no worker yet', async () => {
    const { clock, worker, ask } = start({ mayRunAhead: true })
    void ask('first')
    let times: JobTimes | undefined
    const watch = (seen: JobTimes) => {
      times = seen
    }
    const answers = ['a', 'b', 'c', 'd'].map((input) => ask(input, { timeoutMs: 50, watch }))
    expect(worker.given).toHaveLength(2)
    worker.lose()
    clock.pass(50)
    expect(new Set(await Promise.all(answers))).toEqual(new Set(['QUEUE_TIMEOUT']))
    expect(times?.sentMs).toBe(0)
  })

  test('is answered once, whatever the instance says again of the run', async () => {
    const { scheduler, ask, admission } = start({ workers: 0 })
    const outcome = { kind: 'done' as const, outputs: ['A'], timing: { inputNs: 1, inferNs: 2, outputNs: 3 } }
    scheduler.attach({
      run: (_inputs, settle) => {
        settle(outcome)
        settle({ kind: 'failed', reason: 'no' })
        settle(outcome)
      },
    })
    expect([await ask('a'), scheduler.running, scheduler.waiting, admission.requests]).toEqual(['A', 0, 0, 0])
  })

  test('asks for a late signal after twenty milliseconds and no sooner', () => {
    const { clock, ask } = start()
    void ask('first')
    let asked = 0
    void ask('a', {
      signal: () => {
        asked += 1
        return new AbortController().signal
      },
    })
    clock.pass(19)
    expect(asked).toBe(0)
    clock.pass(1)
    expect(asked).toBe(1)
  })

  test('is reported of to who watches, with its run', async () => {
    const { clock, worker, ask } = start()
    const seen: JobTimes[] = []
    const watch = (times: JobTimes) => void seen.push(times)
    const first = ask('first', { watch })
    clock.pass(3)
    const answers = [ask('a', { watch }), ask('b', { watch })]
    worker.finish()
    await first
    clock.pass(4)
    worker.finish()
    await Promise.all(answers)
    expect(seen).toMatchObject([
      { takenMs: 1000, sentMs: 1000, endMs: 1003, run: { requests: 1, computeMs: 0.000_002 } },
      { takenMs: 1003, sentMs: 1003, endMs: 1007, run: { requests: 2, computeMs: 0.000_002 } },
      { takenMs: 1003, sentMs: 1003, endMs: 1007, run: { requests: 2, computeMs: 0.000_002 } },
    ])
  })
})

describe('several idle instances', () => {
  const askSeven = (workers: number, delayMs = 0) => {
    const clock = new HandClock({ isPrompt: false })
    const { ask, ...started } = start({ clock, workers, batches: { rowsMax: 8, bytesMax: 1000, delayMs } })
    for (const input of ['a', 'b', 'c', 'd', 'e', 'f', 'g']) void ask(input)
    clock.turn()
    clock.pass(delayMs)
    clock.turn()
    return started.workers.flatMap(({ runs }) => runs.map((inputs) => inputs.length)).sort()
  }

  test('share what waits, so that none is idle while another has it all', () => {
    expect(askSeven(1)).toEqual([7])
    expect(askSeven(2)).toEqual([3, 4])
    expect(askSeven(3)).toEqual([2, 2, 3])
    expect(askSeven(9)).toEqual([1, 1, 1, 1, 1, 1, 1])
  })

  test('share no batch that is waited for: it is to be as large as it can be', () => {
    expect(askSeven(2, 5)).toEqual([7])
  })
})

describe('an instance that may run ahead', () => {
  test('is given a whole batch while it computes, and nothing less', () => {
    const { worker, ask } = start({ mayRunAhead: true })
    for (const input of ['a', 'b', 'c', 'd']) void ask(input)
    expect(worker.given).toEqual([['a']])
    void ask('e')
    expect(worker.given).toEqual([['a'], ['b', 'c', 'd', 'e']])
    for (const input of ['f', 'g', 'h', 'i', 'j']) void ask(input)
    expect(worker.given).toHaveLength(2)
    worker.finish()
    expect(worker.given).toEqual([
      ['b', 'c', 'd', 'e'],
      ['f', 'g', 'h', 'i'],
    ])
    worker.finish()
    worker.finish()
    expect(worker.given).toEqual([['j']])
  })

  test('and is lost gives back the batch that had not begun', async () => {
    const { worker, scheduler, ask } = start({ mayRunAhead: true, batches: { rowsMax: 2, bytesMax: 9, delayMs: 0 } })
    const answers = ['a', 'b', 'c', 'd', 'e'].map((input) => ask(input))
    expect(worker.given).toEqual([['a'], ['b', 'c']])
    worker.finish()
    expect(worker.given).toEqual([
      ['b', 'c'],
      ['d', 'e'],
    ])
    worker.lose()
    scheduler.attach(worker)
    finishAll([worker])
    expect(worker.runs.slice(-1)).toEqual([['d', 'e']])
    expect(await Promise.all(answers)).toEqual(['A', 'WORKER_LOST', 'WORKER_LOST', 'D', 'E'])
  })
})

describe('requests of one turn', () => {
  test('share a run', () => {
    const clock = new HandClock({ isPrompt: false })
    const { worker, ask } = start({ clock })
    void ask('a')
    void ask('b')
    expect(worker.given).toEqual([])
    clock.turn()
    expect(worker.given).toEqual([['a', 'b']])
    worker.finish()
    void ask('c')
    clock.turn()
    expect(worker.given).toEqual([['c']])
  })
})

describe('sharing', () => {
  test('gives one subject with many requests no more than another with few', () => {
    const { worker, ask } = start({ batches: { rowsMax: 1, bytesMax: 1000, delayMs: 0 } })
    for (let index = 0; index < 6; index += 1) void ask(`heavy${index}`, { subject: 'heavy' })
    for (let index = 0; index < 2; index += 1) void ask(`light${index}`, { subject: 'light' })
    finishAll([worker])
    const order = worker.runs.flat()
    expect(order.slice(0, 5)).toEqual(['heavy0', 'light0', 'heavy1', 'light1', 'heavy2'])
  })

  test('is by rows: who asks for ten at once waits while the other has ten by one', () => {
    const { worker, ask } = start({ batches: { rowsMax: 1, bytesMax: 1000, delayMs: 0 } })
    void ask('first', { subject: 'big', rows: 10 })
    void ask('second', { subject: 'big', rows: 10 })
    for (let index = 0; index < 12; index += 1) void ask(`small${index}`, { subject: 'small' })
    finishAll([worker])
    expect(worker.runs.flat().indexOf('second')).toBeGreaterThanOrEqual(10)
  })

  test('serves a level only while no higher one waits, and takes a level that there is not for the usual one', () => {
    const { worker, ask } = start({ priorityLevels: 3, priorityDefault: 2, batches: { rowsMax: 1, bytesMax: 1, delayMs: 0 } })
    void ask('first')
    void ask('usual')
    void ask('low', { priority: 3 })
    void ask('high', { priority: 1 })
    void ask('strange', { priority: 99 })
    finishAll([worker])
    expect(worker.runs.flat()).toEqual(['first', 'high', 'usual', 'strange', 'low'])
  })

  test('knows no priorities where the model has none', () => {
    const { worker, ask } = start({ batches: { rowsMax: 1, bytesMax: 1, delayMs: 0 } })
    void ask('first')
    void ask('second')
    void ask('third', { priority: 1 })
    finishAll([worker])
    expect(worker.runs.flat()).toEqual(['first', 'second', 'third'])
  })
})

describe('limits', () => {
  test('refuse what is over the queue of the model, of all models and of the subject', async () => {
    const own = start({ queueMax: 1 })
    void own.ask('a')
    expect(await own.ask('b')).toBe('QUEUE_FULL')
    const all = start({ limits: { requestsMax: 1 } })
    void all.ask('a')
    expect(await all.ask('b')).toBe('QUEUE_FULL')
    const subject = start({ limits: { subjectRequestsMax: 1 } })
    void subject.ask('a', { subject: 'me' })
    expect(await subject.ask('b', { subject: 'me' })).toBe('SUBJECT_LIMIT')
    void subject.ask('c', { subject: 'you' })
    void subject.ask('d')
    finishAll([subject.worker])
    expect(subject.worker.runs.flat()).toEqual(['a', 'c', 'd'])
    expect(await Promise.race([subject.ask('e', { subject: 'me' }), Promise.resolve('taken')])).toBe('taken')
  })

  test('count the bytes of inputs, and let one alone be larger', async () => {
    const { worker, admission, ask } = start({ limits: { bytesMax: 10 } })
    const large = ask('large', { bytes: 50 })
    expect(await ask('b')).toBe('QUEUE_FULL')
    finishAll([worker])
    expect(await large).toBe('LARGE')
    expect([admission.requests, admission.bytes]).toEqual([0, 0])
  })

  test('say when to ask again', () => {
    const { scheduler, ask } = start({ queueMax: 1 })
    void ask('a')
    try {
      void scheduler.submit({ input: 'b', rows: 1, bytes: 1 })
      expect.unreachable()
    } catch (error) {
      expect((error as VestalError).headers).toEqual({ 'retry-after': '1' })
    }
  })
})

describe('a queue that is full', () => {
  const retryOf = (scheduler: Scheduler<string, string>) => {
    try {
      void scheduler.submit({ input: 'x', rows: 1, bytes: 1 })
      return undefined
    } catch (error) {
      return (error as VestalError).headers['retry-after']
    }
  }
  /** Answers what each runs, in a time that the worker says. */
  const finishIn = (workers: readonly HandInstance<string, string>[], seconds: number) => {
    for (const worker of workers)
      worker.settle({
        kind: 'done',
        outputs: [...worker.inputs],
        timing: { inputNs: 0, inferNs: seconds * 1e9, outputNs: 0 },
      })
  }

  test('says when it will have been worked off, as runs go lately', () => {
    const { scheduler, workers, ask } = start({ queueMax: 20, batches: { rowsMax: 1, bytesMax: 1000, delayMs: 0 } })
    for (let number = 0; number < 20; number += 1) void ask('a')
    expect(retryOf(scheduler)).toBe('1')
    finishIn(workers, 0.5)
    void ask('a')
    expect(retryOf(scheduler)).toBe('10')
    // The latest run counts for a fifth: 0.8 × 0.5 s + 0.2 × 1.5 s.
    finishIn(workers, 1.5)
    void ask('a')
    expect(retryOf(scheduler)).toBe('14')
    finishIn(workers, 1000)
    void ask('a')
    expect(retryOf(scheduler)).toBe('60')
  })

  test('is worked off by all instances, and by whole batches', () => {
    const { scheduler, workers, ask } = start({ queueMax: 10, workers: 2, batches: { rowsMax: 4, bytesMax: 1000, delayMs: 0 } })
    for (let number = 0; number < 10; number += 1) void ask('a')
    finishIn(workers, 2)
    void ask('a')
    void ask('a')
    expect(retryOf(scheduler)).toBe('10')
    finishIn(workers, 2)
    for (let number = 0; number < 8; number += 1) void ask('a')
    expect(Number(retryOf(scheduler))).toBeLessThan(10)
  })
})

describe('a request that is given up', () => {
  test('is no part of a whole batch any more', () => {
    const { worker, ask } = start({ mayRunAhead: true })
    const controller = new AbortController()
    for (const input of ['a', 'b', 'c']) void ask(input)
    void ask('d', { signal: controller.signal })
    controller.abort()
    void ask('e')
    expect(worker.given).toEqual([['a']])
    void ask('f')
    expect(worker.given).toEqual([['a'], ['b', 'c', 'e', 'f']])
  })

  test('while it is to be tried by itself takes none of the others with it', async () => {
    const { worker, ask } = start()
    void ask('first')
    const controller = new AbortController()
    const answers = [ask('a'), ask('b', { signal: controller.signal }), ask('c'), ask('d')]
    worker.finish()
    worker.settle({ kind: 'failed', reason: 'no' })
    expect(worker.inputs).toEqual(['a'])
    controller.abort()
    finishAll([worker])
    expect(await Promise.all(answers)).toEqual(['A', 'REQUEST_ABORTED', 'C', 'D'])
    expect(worker.runs.slice(2)).toEqual([['a'], ['c'], ['d']])
  })

  test('by its client leaves the queue, and is answered once', async () => {
    const { worker, scheduler, ask } = start({ queueMax: 2 })
    void ask('a')
    const controller = new AbortController()
    const waiting = ask('b', { signal: controller.signal })
    expect(await ask('c')).toBe('QUEUE_FULL')
    controller.abort()
    expect(await waiting).toBe('REQUEST_ABORTED')
    const next = ask('d')
    finishAll([worker])
    expect(await next).toBe('D')
    expect(worker.runs).toEqual([['a'], ['d']])
    expect([scheduler.waiting, scheduler.running]).toEqual([0, 0])
    expect(await ask('e', { signal: AbortSignal.abort() })).toBe('REQUEST_ABORTED')
  })

  test('listens to a signal no longer than a request takes, however it ends', async () => {
    const { clock, worker, ask } = start({ queueMax: 2 })
    const { signal } = new AbortController()
    let listeners = 0
    const { addEventListener, removeEventListener } = signal
    Object.assign(signal, {
      addEventListener: (...asked: Parameters<typeof addEventListener>) => {
        listeners += 1
        addEventListener.apply(signal, asked)
      },
      removeEventListener: (...asked: Parameters<typeof removeEventListener>) => {
        listeners -= 1
        removeEventListener.apply(signal, asked)
      },
    })
    const computed = ask('a', { signal })
    expect(listeners).toBe(1)
    const failed = ask('b', { signal })
    expect(await ask('c', { signal })).toBe('QUEUE_FULL')
    expect(listeners).toBe(2)
    worker.finish()
    expect(await computed).toBe('A')
    expect(listeners).toBe(1)
    worker.settle({ kind: 'failed', reason: 'no' })
    expect(await failed).toBe('INFERENCE_FAILED')
    expect(listeners).toBe(0)
    const late = ask('d', { signal, timeoutMs: 50 })
    clock.pass(50)
    expect(await late).toBe('REQUEST_TIMEOUT')
    expect(listeners).toBe(0)
  })

  test('by a signal that is given as a function is noticed once it has waited a while, and its listener goes with its answer', async () => {
    const { clock, worker, scheduler, ask } = start()
    void ask('a')
    const [gone, leaving, staying] = [new AbortController(), new AbortController(), new AbortController()]
    const asked: string[] = []
    const late = (input: string, { signal }: AbortController) =>
      ask(input, {
        signal: () => {
          asked.push(input)
          return signal
        },
      })
    const first = late('b', gone)
    gone.abort()
    clock.pass(15)
    const second = late('c', leaving)
    const third = late('d', staying)
    expect([scheduler.waiting, asked]).toEqual([3, []])
    clock.pass(5)
    expect(await first).toBe('REQUEST_ABORTED')
    expect([scheduler.waiting, asked]).toEqual([2, ['b']])
    clock.pass(20)
    expect(asked.toSorted()).toEqual(['b', 'c', 'd'])
    leaving.abort()
    expect(await second).toBe('REQUEST_ABORTED')
    expect(scheduler.waiting).toBe(1)
    finishAll([worker])
    expect(await third).toBe('D')
    staying.abort()
    expect(worker.runs).toEqual([['a'], ['d']])
    expect([scheduler.waiting, scheduler.running]).toEqual([0, 0])
  })

  test('by a signal that is given as a function costs nothing where its answer comes soon', async () => {
    const { clock, worker, ask } = start()
    let asked = 0
    const signal = () => {
      asked += 1
      return AbortSignal.abort()
    }
    const answers = [ask('a', { signal }), ask('b', { signal }), ask('c', { signal })]
    finishAll([worker])
    expect(await Promise.all(answers)).toEqual(['A', 'B', 'C'])
    clock.pass(1_000)
    expect(asked).toBe(0)
  })

  test('by a signal that is given as a function keeps no timer going once its request is listened to, or answered', async () => {
    const { clock, worker, ask } = start()
    const answers = [ask('a')]
    const withoutSignals = clock.pending
    answers.push(ask('b', { signal: () => new AbortController().signal }))
    expect(clock.pending).toBe(withoutSignals + 1)
    clock.pass(20)
    expect(clock.pending).toBe(withoutSignals)
    answers.push(ask('c', { signal: () => new AbortController().signal }))
    finishAll([worker])
    expect(await Promise.all(answers)).toEqual(['A', 'B', 'C'])
    clock.pass(20)
    expect(clock.pending).toBeLessThanOrEqual(withoutSignals)
  })

  test('at its deadline gets an error that says so, whether it waits or runs; what runs keeps its place', async () => {
    const { worker, clock, scheduler, ask } = start({ queueMax: 2, timeoutMs: 100 })
    const running = ask('a')
    const waiting = ask('b', { timeoutMs: 50 })
    clock.pass(50)
    expect(await waiting).toBe('QUEUE_TIMEOUT')
    clock.pass(50)
    expect(await running).toBe('REQUEST_TIMEOUT')
    expect([scheduler.running, worker.isBusy]).toEqual([1, true])
    const next = ask('c')
    expect(await ask('d')).toBe('QUEUE_FULL')
    finishAll([worker])
    expect(await next).toBe('C')
  })

  test('may not ask for longer than the model allows', async () => {
    const { clock, ask } = start({ timeoutMs: 100 })
    const asked = ask('a', { timeoutMs: 10_000 })
    clock.pass(100)
    expect(await asked).toBe('REQUEST_TIMEOUT')
  })
})

describe('a run that comes to nothing', () => {
  test('in company is tried one by one, so that a bad input spoils no other', async () => {
    const { worker, ask } = start()
    void ask('first')
    const answers = [ask('good'), ask('bad'), ask('fine')]
    worker.finish()
    worker.settle({ kind: 'failed', reason: 'no' })
    expect(worker.inputs).toEqual(['good'])
    worker.finish()
    expect(worker.inputs).toEqual(['bad'])
    worker.settle({ kind: 'failed', reason: 'no' })
    worker.finish()
    expect(await Promise.all(answers)).toEqual(['GOOD', 'INFERENCE_FAILED', 'FINE'])
  })

  test('because its worker was lost is reported, in company too: none of it is tried again by itself', async () => {
    const { worker, scheduler, ask } = start()
    const first = ask('first')
    const answers = [ask('good'), ask('poison')]
    worker.lose()
    expect(await first).toBe('WORKER_LOST')
    expect(worker.isBusy).toBe(false)
    scheduler.attach(worker)
    expect(worker.inputs).toEqual(['good', 'poison'])
    worker.lose()
    expect(await Promise.all(answers)).toEqual(['WORKER_LOST', 'WORKER_LOST'])
    expect(worker.runs).toHaveLength(2)
  })

  test('because its worker was lost before it began waits again, and is computed once', async () => {
    const { worker, scheduler, ask } = start({ mayRunAhead: true })
    const first = ask('first')
    const ahead = ['a', 'b', 'c', 'd'].map((input) => ask(input))
    expect(worker.given).toEqual([['first'], ['a', 'b', 'c', 'd']])
    scheduler.detach(worker)
    worker.lose()
    expect([await first, worker.given]).toEqual(['WORKER_LOST', []])
    scheduler.attach(worker)
    finishAll([worker])
    expect(await Promise.all(ahead)).toEqual(['A', 'B', 'C', 'D'])
  })

  test('with too few answers is tried one by one', async () => {
    const { worker, ask } = start()
    void ask('first')
    const answers = [ask('a'), ask('b')]
    worker.finish()
    worker.settle({ kind: 'done', outputs: ['A'], timing: { inputNs: 0, inferNs: 0, outputNs: 0 } })
    finishAll([worker])
    expect(await Promise.all(answers)).toEqual(['A', 'B'])
  })

  test('and no worker that could be started, rejects what waits and what comes, until there is one', async () => {
    const { worker, scheduler, ask } = start({ workers: 1 })
    void ask('first')
    const waiting = ask('a')
    worker.lose()
    scheduler.failPending()
    expect([await waiting, await ask('b')]).toEqual(['WORKER_LOST', 'WORKER_LOST'])
    scheduler.attach(worker)
    const next = ask('c')
    finishAll([worker])
    expect(await next).toBe('C')
  })
})

test('a stop rejects new requests, and waits for in-flight requests', async () => {
  const { worker, scheduler, ask } = start()
  const answers = [ask('a'), ask('b')]
  let isStopped = false
  const stopped = scheduler.stop().then(() => (isStopped = true))
  expect(await ask('c')).toBe('SERVER_STOPPING')
  worker.finish()
  await answers[0]
  expect(isStopped).toBe(false)
  worker.finish()
  expect(await Promise.all(answers)).toEqual(['A', 'B'])
  await stopped
})

test('what was computed is counted: requests, rows, runs, and what was rejected', async () => {
  const { worker, clock, counters, ask } = start({ queueMax: 4 })
  const answers = [ask('a', { rows: 2 }), ask('b', { rows: 3 }), ask('c'), ask('d', { timeoutMs: 5 })]
  await ask('e')
  clock.pass(10)
  finishAll([worker])
  await Promise.all(answers)
  expect(counters.snapshot('m', '1', { waiting: 0, running: 0, workersAlive: 1 })).toMatchObject({
    inferenceCount: 6,
    executionCount: 2,
    success: { count: 3, ns: 30e6 },
    queue: { count: 3, ns: 20e6 },
    fail: { count: 1, ns: 5e6 },
    computeInfer: { count: 3, ns: 6 },
    batches: [
      { rows: 2, computeInfer: { count: 1, ns: 2 } },
      { rows: 4, computeInfer: { count: 1, ns: 2 } },
    ],
    rejected: { timeout: 1, 'queue-full': 1 },
  })
})
