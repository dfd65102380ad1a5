import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { VestalError } from '../../../src/core/errors.ts'
import { createEngine, type EngineOptions } from '../../../src/inference/create-engine.ts'
import type { Engine } from '../../../src/inference/engine.ts'
import {
  type InstanceProcess,
  instanceCommand,
  type StartInstance,
  startInstanceProcess,
} from '../../../src/inference/instance/instance-process.ts'
import type { NamedTensors, Tensor } from '../../../src/tensor/tensor.ts'
import { startMarked } from '../../support/marked-engine.ts'
import { CRASH } from '../../support/marks.ts'
import { identityModel, slowModel, twoOutputModel } from '../../support/tiny-models.ts'
import { until } from '../../support/until.ts'

const folder = mkdtempSync(join(tmpdir(), 'vestal-engine-'))
await Bun.write(join(folder, 'quick/1/model.onnx'), identityModel('FP32'))
await Bun.write(join(folder, 'slow/1/model.onnx'), slowModel(40))
await Bun.write(join(folder, 'two/1/model.onnx'), twoOutputModel())
await Bun.write(join(folder, 'broken/1/model.onnx'), 'not a model')
await Bun.write(join(folder, 'labels/1/model.onnx'), identityModel('FP32'))
await Bun.write(join(folder, 'labels/model.toml'), '[outputs.nothing]\nlabels = ["a"]')
/** One model, so that the first worker is its. */
const single = mkdtempSync(join(tmpdir(), 'vestal-engine-single-'))
await Bun.write(join(single, 'quick/1/model.onnx'), identityModel('FP32'))
afterAll(() => {
  for (const used of [folder, single]) rmSync(used, { recursive: true })
})

const quick = (...values: number[]): NamedTensors =>
  new Map([['x', { datatype: 'FP32', shape: [values.length], data: new Float32Array(values) }]])
/** Takes a good part of a second. */
const slow = (size = 500): NamedTensors =>
  new Map([['x', { datatype: 'FP32', shape: [size, size], data: new Float32Array(size * size) }]])

const start = async (options: EngineOptions = {}): Promise<{ engine: Engine }> => ({
  engine: await createEngine({ modelsDirectory: folder, instances: 1, threads: 1, warn: () => undefined, ...options }),
})

async function codeOf(work: () => Promise<unknown>): Promise<unknown> {
  try {
    return await work()
  } catch (error) {
    return error instanceof VestalError ? error.code : error
  }
}

const infer = (engine: Engine, model: string, inputs: NamedTensors, signal?: AbortSignal) =>
  engine.infer(model, '1', inputs, signal === undefined ? {} : { signal })

describe('an engine', () => {
  test('computes, and gives the outputs that are asked for', async () => {
    const { engine } = await start()
    const inputs = new Map<string, Tensor>([['x', { datatype: 'FP32', shape: [1, 2], data: new Float32Array([1, 2]) }]])
    expect(await infer(engine, 'quick', quick(1, 2))).toEqual(
      new Map([['y', { datatype: 'FP32', shape: [2], data: new Float32Array([1, 2]) }]]),
    )
    const outputs = await engine.infer('two', '1', inputs, { outputs: ['negative'] })
    expect([...outputs.keys()]).toEqual(['negative'])
    await engine.stop()
  })

  test('lists what is broken with its reason, and rejects to compute it', async () => {
    const { engine } = await start()
    const states = engine.models().map(({ name, versions: [version] }) => [name, version?.state, version?.reason])
    expect(states).toEqual([
      ['broken', 'unavailable', expect.stringMatching(/^it is a text file, such as the answer of a server to a failed download/)],
      ['labels', 'unavailable', 'model.toml: the model has no output "nothing"'],
      ['quick', 'ready', undefined],
      ['slow', 'ready', undefined],
      ['two', 'ready', undefined],
    ])
    expect(JSON.stringify(states)).not.toContain(folder)
    expect(await codeOf(async () => infer(engine, 'broken', quick(1)))).toBe('MODEL_UNAVAILABLE')
    expect(await codeOf(async () => infer(engine, 'none', quick(1)))).toBe('MODEL_UNKNOWN')
    expect(engine.isReady()).toBe(true)
    await engine.stop()
  })

  test('gives every caller its own answer, in any order and number', async () => {
    const { engine } = await start()
    const answers = await Promise.all(Array.from({ length: 100 }, (_, index) => infer(engine, 'quick', quick(index))))
    expect(answers.map((outputs) => outputs.get('y')?.data[0])).toEqual(Array.from({ length: 100 }, (_, index) => index))
    await engine.stop()
  })

  test('leaves this thread free while it computes', async () => {
    const { engine } = await start()
    const run = infer(engine, 'slow', slow())
    let isDone = false
    let turns = 0
    void run.finally(() => (isDone = true))
    while (!isDone) {
      turns += 1
      await Bun.sleep(1)
    }
    // On this thread the run would have been one turn.
    expect(turns).toBeGreaterThan(10)
    await engine.stop()
  })
})

describe('the queue', () => {
  test('rejects what exceeds its limit, and continues', async () => {
    const { engine } = await start({ queueMax: 3 })
    const codes = await Promise.all(
      [0, 1, 2, 3, 4].map((index) => codeOf(async () => (await infer(engine, 'slow', slow(300))) && index)),
    )
    expect(codes).toEqual([0, 1, 2, 'QUEUE_FULL', 'QUEUE_FULL'])
    expect(await codeOf(async () => (await infer(engine, 'quick', quick(1))).size)).toBe(1)
    await engine.stop()
  })

  test('is left by a request that is given up, and its place is free', async () => {
    const { engine } = await start({ queueMax: 3 })
    const controller = new AbortController()
    const first = [codeOf(() => infer(engine, 'slow', slow(300))), codeOf(() => infer(engine, 'slow', slow(300)))]
    const waiting = codeOf(() => infer(engine, 'slow', slow(2), controller.signal))
    expect(await codeOf(async () => infer(engine, 'slow', slow(2)))).toBe('QUEUE_FULL')
    controller.abort()
    expect(await waiting).toBe('REQUEST_ABORTED')
    expect(await codeOf(async () => (await infer(engine, 'slow', slow(2))).size)).toBe(1)
    expect(await Promise.all(first)).toEqual([expect.any(Map), expect.any(Map)])
    expect(await codeOf(async () => infer(engine, 'quick', quick(1), AbortSignal.abort()))).toBe('REQUEST_ABORTED')
    await engine.stop()
  })
})

describe('a worker that is lost', () => {
  test('is replaced: what was with it is given, what waited is computed', async () => {
    const { engine, workers, warnings } = await startMarked({ modelsDirectory: single })
    let isLost = false
    const sent = codeOf(() => infer(engine, 'quick', quick(CRASH))).finally(() => {
      isLost = true
    })
    // A worker that dies of it may be too quick to be seen in it.
    await until(() => isLost || engine.statistics('quick')[0]?.running === 1)
    const waiting = codeOf(async () => (await infer(engine, 'quick', quick(3))).get('y')?.data[0])
    expect(await sent).toBe('WORKER_LOST')
    expect(await waiting).toBe(3)
    expect([workers.length, engine.isReady()]).toEqual([2, true])
    expect(warnings).toEqual(['quick/1: the worker process ended (exit code 1); it is started again in 50 ms'])
    await engine.stop()
  })

  test('again and again is replaced again and again', async () => {
    const { engine, workers } = await startMarked({ modelsDirectory: single })
    for (let round = 0; round < 3; round += 1) {
      expect(await codeOf(() => infer(engine, 'quick', quick(CRASH)))).toBe('WORKER_LOST')
      expect(await codeOf(async () => (await infer(engine, 'quick', quick(round))).get('y')?.data[0])).toBe(round)
    }
    expect(workers).toHaveLength(4)
    await engine.stop()
  })

  test('before its model is loaded makes that model unavailable', async () => {
    const startInstance: StartInstance = (events) => startInstanceProcess([process.execPath, '-e', 'process.exit(3)'], events)
    const engine = await createEngine({ modelsDirectory: single, warn: () => undefined, startInstance })
    expect(engine.model('quick')?.versions).toEqual([
      {
        version: '1',
        state: 'unavailable',
        reason: 'the worker process ended before the model was loaded (exit code 3)',
        inputs: [],
        outputs: [],
      },
    ])
    await engine.stop()
  })
})

describe('a stop', () => {
  test('rejects new requests, and waits for in-flight requests', async () => {
    const { engine } = await start()
    const running = codeOf(async () => (await infer(engine, 'slow', slow(300))).size)
    const waiting = codeOf(async () => (await infer(engine, 'slow', slow(2))).size)
    const stopped = engine.stop()
    expect(engine.isReady()).toBe(false)
    expect(await codeOf(async () => infer(engine, 'quick', quick(1)))).toBe('SERVER_STOPPING')
    await stopped
    expect(await Promise.all([running, waiting])).toEqual([1, 1])
  })

  test('leaves no worker process behind, nor one that could not load its model', async () => {
    const workers: InstanceProcess[] = []
    const startInstance: StartInstance = (events) => {
      const worker = startInstanceProcess(instanceCommand(), events)
      workers.push(worker)
      return worker
    }
    const engine = await createEngine({ modelsDirectory: folder, instances: 2, threads: 1, warn: () => undefined, startInstance })
    const running = Promise.all(Array.from({ length: 4 }, () => infer(engine, 'slow', slow(100))))
    await engine.stop()
    expect(await running).toHaveLength(4)
    expect(workers.length).toBeGreaterThanOrEqual(7)
    for (const { pid } of workers) expect(() => process.kill(pid, 0)).toThrow('ESRCH')
  })
})

describe("ONNX Runtime's telemetry", () => {
  test('is off however the process was started: no file is written', async () => {
    const home = mkdtempSync(join(tmpdir(), 'vestal-home-'))
    const script = `
      import { createEngine } from ${JSON.stringify(join(import.meta.dir, '../../../src/index.ts'))}
      const engine = await createEngine({ modelsDirectory: ${JSON.stringify(folder)}, warn: () => undefined })
      await engine.infer('quick', '1', new Map([['x', { datatype: 'FP32', shape: [1], data: new Float32Array(1) }]]))
      await engine.stop()
      console.log(engine.models().length)
    `
    const environment = {
      PATH: process.env.PATH ?? '',
      HOME: home,
      TMPDIR: home,
      XDG_CACHE_HOME: home,
      XDG_DATA_HOME: home,
      XDG_CONFIG_HOME: home,
    }
    const { stdout, exitCode } = Bun.spawnSync([process.execPath, '-e', script], { env: environment, cwd: home })
    expect([stdout.toString().trim(), exitCode]).toEqual(['5', 0])
    const written = readdirSync(home, { recursive: true }).map(String)
    expect(written.filter((name) => /onnx|microsoft|mat-debug|telemetry/i.test(name))).toEqual([])
    rmSync(home, { recursive: true })
  })
})

describe('statistics', () => {
  test('count requests, rows and runs of each version, and what was rejected', async () => {
    const { engine } = await start({ queueMax: 3 })
    await infer(engine, 'quick', quick(1, 2, 3))
    expect(await codeOf(() => engine.infer('slow', '1', slow(300), { timeoutMs: 1 }))).toBe('REQUEST_TIMEOUT')
    expect(await codeOf(async () => infer(engine, 'quick', quick(1), AbortSignal.abort()))).toBe('REQUEST_ABORTED')
    const [own] = engine.statistics('quick', '1')
    const once = { count: 1, ns: expect.any(Number) }
    expect(own).toMatchObject({
      model: 'quick',
      version: '1',
      inferenceCount: 3,
      executionCount: 1,
      success: once,
      queue: once,
      computeInfer: once,
      fail: { count: 0, ns: 0 },
      batches: [{ rows: 3, computeInfer: once }],
      workersAlive: 1,
      rejected: { aborted: 1, timeout: 0 },
    })
    expect(own?.lastInferenceMs).toBeGreaterThan(0)
    expect(engine.statistics('slow')[0]?.rejected.timeout).toBe(1)
    expect(engine.statistics().map(({ model }) => model)).toEqual(['quick', 'slow', 'two'])
    expect(engine.statistics('none')).toEqual([])
    await engine.stop()
  })
})
