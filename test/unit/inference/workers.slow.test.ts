import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { VestalError } from '../../../src/core/errors.ts'
import type { Engine, InferOptions } from '../../../src/inference/engine.ts'
import type { InstanceProcess } from '../../../src/inference/instance/instance-process.ts'
import type { NamedTensors } from '../../../src/tensor/tensor.ts'
import { startMarked } from '../../support/marked-engine.ts'
import { CRASH, FAULT, HANG, PRINT } from '../../support/marks.ts'
import { identityModel } from '../../support/tiny-models.ts'
import { until } from '../../support/until.ts'

const folder = mkdtempSync(join(tmpdir(), 'vestal-workers-'))
await Bun.write(join(folder, 'one/1/model.onnx'), identityModel('FP32'))
await Bun.write(join(folder, 'two/1/model.onnx'), identityModel('FP32'))
afterAll(() => rmSync(folder, { recursive: true }))

const row = (value: number): NamedTensors => new Map([['x', { datatype: 'FP32', shape: [1], data: new Float32Array([value]) }]])

/** The number that came back, or the code of the refusal. */
async function ask(engine: Engine, model: string, value: number, options: InferOptions = {}): Promise<unknown> {
  try {
    return (await engine.infer(model, '1', row(value), options)).get('y')?.data[0]
  } catch (error) {
    if (error instanceof VestalError) return error.code
    throw error
  }
}

const statisticsOf = (engine: Engine, model: string) => engine.statistics(model, '1')[0]

/** Asks, and waits until it is with a worker. */
async function askAlone(engine: Engine, model: string, value: number, options: InferOptions = {}) {
  let isAnswered = false
  const answer = ask(engine, model, value, options).finally(() => {
    isAnswered = true
  })
  const before = statisticsOf(engine, model)?.running ?? 0
  // A worker that dies of it may be too quick to be seen in it.
  await until(() => isAnswered || (statisticsOf(engine, model)?.running ?? 0) > before)
  return { answer }
}

describe('a worker whose process ends in a run', () => {
  for (const [name, mark] of [
    ['by itself', CRASH],
    ['of a fault in native code', FAULT],
  ] as const) {
    test(`${name} is replaced: its caller is reported, other models continue, and the model recovers`, async () => {
      const { engine, workers } = await startMarked({ modelsDirectory: folder })
      const { answer: lost } = await askAlone(engine, 'one', mark)
      const other = ask(engine, 'two', 2)
      const waiting = ask(engine, 'one', 3)
      expect(await Promise.all([lost, other, waiting])).toEqual(['WORKER_LOST', 2, 3])
      expect(workers).toHaveLength(3)
      expect(statisticsOf(engine, 'one')).toMatchObject({
        workersAlive: 1,
        waiting: 0,
        running: 0,
        rejected: { 'worker-lost': 1 },
      })
      expect(statisticsOf(engine, 'two')).toMatchObject({ workersAlive: 1, rejected: { 'worker-lost': 0 } })
      await engine.stop()
    })
  }

  test('takes all of a shared run with it, and none of that is tried again by itself', async () => {
    const { engine, workers } = await startMarked({ modelsDirectory: folder })
    const shared = [ask(engine, 'one', 2), ask(engine, 'one', CRASH), ask(engine, 'one', 4)]
    expect(await Promise.all(shared)).toEqual(['WORKER_LOST', 'WORKER_LOST', 'WORKER_LOST'])
    expect(await ask(engine, 'one', 5)).toBe(5)
    expect(workers).toHaveLength(3)
    await engine.stop()
  })

  test('leaves the others of its model to work on', async () => {
    const { engine, workers } = await startMarked({ modelsDirectory: folder, instances: 2 })
    expect(statisticsOf(engine, 'one')?.workersAlive).toBe(2)
    const { answer } = await askAlone(engine, 'one', CRASH)
    expect(await Promise.all([answer, ask(engine, 'one', 2), ask(engine, 'one', 3)])).toEqual(['WORKER_LOST', 2, 3])
    await until(() => statisticsOf(engine, 'one')?.workersAlive === 2)
    expect(workers).toHaveLength(5)
    await engine.stop()
  })

  test('is replaced, and what takes its place ends too when everything stops meanwhile', async () => {
    const { engine, workers } = await startMarked({ modelsDirectory: folder })
    expect(await ask(engine, 'one', CRASH)).toBe('WORKER_LOST')
    await until(() => workers.length === 3)
    await engine.stop()
    await workers[2]?.gone
  })

  test('is rejected for at once while no other can be started, and served when one can', async () => {
    const own = mkdtempSync(join(tmpdir(), 'vestal-gone-'))
    const path = join(own, 'one/1/model.onnx')
    await Bun.write(path, identityModel('FP32'))
    const { engine, warnings } = await startMarked({ modelsDirectory: own })
    rmSync(path)
    const { answer: lost } = await askAlone(engine, 'one', CRASH)
    const waiting = ask(engine, 'one', 2)
    expect(await Promise.all([lost, waiting])).toEqual(['WORKER_LOST', 'WORKER_LOST'])
    expect(await ask(engine, 'one', 3)).toBe('WORKER_LOST')
    expect(warnings.join()).not.toContain(own)
    await Bun.write(path, identityModel('FP32'))
    await until(() => statisticsOf(engine, 'one')?.workersAlive === 1)
    expect(await ask(engine, 'one', 4)).toBe(4)
    await engine.stop()
    rmSync(own, { recursive: true })
  })
})

describe('a run that hangs', () => {
  test('is asked to its caller at its deadline, keeps its place, and holds no other model up', async () => {
    const { engine, open } = await startMarked({ modelsDirectory: folder, queueMax: 2 })
    const { answer: hung } = await askAlone(engine, 'one', HANG, { timeoutMs: 50 })
    const waiting = ask(engine, 'one', 2)
    expect(await ask(engine, 'two', 3)).toBe(3)
    expect(await hung).toBe('REQUEST_TIMEOUT')
    expect(statisticsOf(engine, 'one')).toMatchObject({ running: 1, waiting: 1, rejected: { timeout: 1 } })
    expect(await ask(engine, 'one', 4)).toBe('QUEUE_FULL')
    open()
    expect(await waiting).toBe(2)
    await engine.stop()
  })

  test('and prints without end is nothing to others, and takes no memory of the server', async () => {
    const { engine, open } = await startMarked({ modelsDirectory: folder })
    const { answer } = await askAlone(engine, 'one', PRINT)
    const before = process.memoryUsage().rss
    for (let value = 0; value < 500; value += 1) expect(await ask(engine, 'two', value)).toBe(value)
    // A pipe that is read would have brought gigabytes by now, and one that is not read would hold the run up.
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 2 ** 20)
    open()
    expect(await answer).toBe(PRINT)
    await engine.stop()
  })

  test('for too long is killed with its process, and another takes its place', async () => {
    const { engine, workers, warnings } = await startMarked({ modelsDirectory: folder, runMsMax: 400 })
    const { answer: hung } = await askAlone(engine, 'one', HANG)
    const waiting = ask(engine, 'one', 2)
    expect(await Promise.all([hung, waiting])).toEqual(['WORKER_LOST', 2])
    expect(workers).toHaveLength(3)
    await workers[0]?.gone
    expect(warnings).toEqual(['one/1: the worker process ended (a run took more than 0.4 s); it is started again in 50 ms'])
    expect(await ask(engine, 'one', 3)).toBe(3)
    await engine.stop()
  })

  test('gives back the batch that its worker was given ahead', async () => {
    const { engine } = await startMarked({ modelsDirectory: folder, runMsMax: 400 })
    const { answer: hung } = await askAlone(engine, 'one', HANG)
    const ahead = Array.from({ length: 32 }, (_, index) => ask(engine, 'one', index))
    expect(await hung).toBe('WORKER_LOST')
    expect(await Promise.all(ahead)).toEqual(Array.from({ length: 32 }, (_, index) => index))
    await engine.stop()
  })
})

describe('a warm-up', () => {
  /** Runs that each worker was sent, by the first number of their first input. */
  function hear(worker: InstanceProcess, numbers: number[]): InstanceProcess {
    const run: InstanceProcess['run'] = (message) => {
      numbers.push(Number(message.inputs[0]?.data[0]))
      worker.run(message)
    }
    return { ...worker, run }
  }
  // Removed at the end: the worker that takes the place of another reads the file again.
  const places: string[] = []
  afterAll(() => {
    for (const place of places) rmSync(place, { recursive: true })
  })
  const start = async (warmup: string) => {
    const place = mkdtempSync(join(tmpdir(), 'vestal-warm-'))
    await Bun.write(join(place, 'one/1/model.onnx'), identityModel('FP32'))
    await Bun.write(join(place, 'one/model.toml'), warmup)
    const runs: number[][] = []
    const marked = await startMarked({
      modelsDirectory: place,
      instances: 3,
      started: (worker) => hear(worker, runs[runs.push([]) - 1] ?? []),
    })
    places.push(place)
    return { ...marked, runs }
  }

  test('is computed in every worker before the version serves, and in each that takes the place of one', async () => {
    const { engine, workers, runs } = await start(
      '[[warmup]]\ninput = [3.0]\noutput = [3.0]\ncount = 2\n[[warmup]]\ninput = [4.0]',
    )
    expect(runs).toEqual([
      [3, 3, 4],
      [3, 3, 4],
      [3, 3, 4],
    ])
    expect(statisticsOf(engine, 'one')).toMatchObject({ executionCount: 0, success: { count: 0 } })
    expect(await ask(engine, 'one', CRASH)).toBe('WORKER_LOST')
    await until(() => workers.length === 4 && statisticsOf(engine, 'one')?.workersAlive === 3)
    await until(() => runs[3]?.length === 2)
    expect(runs[3]).toEqual([3, 4])
    expect(await Promise.all([ask(engine, 'one', 5), ask(engine, 'one', 6), ask(engine, 'one', 7)])).toEqual([5, 6, 7])
    await engine.stop()
  })

  test('that ends its worker keeps the version from serving', async () => {
    const { engine } = await start(`[[warmup]]\ninput = [${CRASH}.0]`)
    expect(engine.index()[0]).toMatchObject({
      state: 'UNAVAILABLE',
      reason: 'warmup[0]: the worker process ended in it (exit code 1)',
    })
    await engine.stop()
  })
})
