import { afterEach, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { VestalError } from '../../../../src/core/errors.ts'
import { createEngine } from '../../../../src/inference/create-engine.ts'
import type { Engine, InferOptions, LoadOptions, Model, ModelChange, RunTimes } from '../../../../src/inference/engine.ts'
import type { NamedTensors } from '../../../../src/tensor/tensor.ts'
import { factorModel, inputOf, put } from '../../../support/factor-model.ts'
import { HandClock } from '../../../support/hand-clock.ts'
import { HAS_PROCESSES } from '../../../support/processes.ts'
import { handEngine, linkWithin, modelOf, type Served, serveRemote } from '../../../support/remote.ts'
import { until } from '../../../support/until.ts'

const running: Served[] = []
const engines: Engine[] = []
const folders: string[] = []

afterEach(async () => {
  for (const { server } of running.splice(0)) server.stop()
  for (const engine of engines.splice(0)) await engine.stop()
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

async function serve(...given: Parameters<typeof serveRemote>): Promise<Served> {
  const served = await serveRemote(...given)
  running.push(served)
  return served
}

async function codeOf(work: () => unknown): Promise<unknown> {
  try {
    return await work()
  } catch (error) {
    return error instanceof VestalError ? error.code : error
  }
}

const bytesOf = (length: number, value = 1): NamedTensors =>
  new Map([['x', { datatype: 'UINT8', shape: [length], data: new Uint8Array(length).fill(value) }]])
const firstOf = (outputs: NamedTensors) => outputs.get('x')?.data

/** An engine whose requests wait until the test answers them. */
function waitingEngine() {
  const asked: { readonly options: InferOptions; readonly answer: (outputs: NamedTensors) => void }[] = []
  const engine = handEngine({
    infer: (_model, _version, _inputs, options = {}) => {
      const { promise, resolve, reject } = Promise.withResolvers<NamedTensors>()
      asked.push({ options, answer: resolve })
      const { signal } = options
      const own = typeof signal === 'function' ? signal() : signal
      own?.addEventListener('abort', () => reject(new VestalError('REQUEST_ABORTED')))
      return promise
    },
  })
  return { engine, asked }
}

describe.skipIf(!HAS_PROCESSES)('an engine in another process', () => {
  test('is asked for what the caller asks for, and answers the caller', async () => {
    const asked: unknown[] = []
    const engine = handEngine({
      infer: async (model, version, inputs, { signal, watch, ...options } = {}) => {
        asked.push([model, version, options, typeof signal, typeof watch])
        return new Map([...inputs].toReversed())
      },
    })
    const { remote } = await serve(engine)
    const inputs: NamedTensors = new Map([...inputOf(1, 2), ['s', { datatype: 'BYTES', shape: [1], data: ['é'] }]])
    const answer = await remote.engine.infer('echo', '1', inputs, {
      outputs: ['y'],
      subject: 'me',
      priority: 2,
      timeoutMs: 5000,
      requestId: 'r1',
      cache: 'skip',
    })
    expect([...answer]).toEqual([...inputs].toReversed())
    await remote.engine.infer('echo', '2', inputs)
    const none = { outputs: undefined, subject: undefined, priority: undefined, timeoutMs: undefined, requestId: undefined }
    expect(asked).toEqual([
      [
        'echo',
        '1',
        { outputs: ['y'], subject: 'me', priority: 2, timeoutMs: 5000, requestId: 'r1', cache: 'skip' },
        'function',
        'undefined',
      ],
      ['echo', '2', none, 'function', 'undefined'],
    ])
  })

  for (const hasFiles of [true, false]) {
    test(`takes large tensors and gives them, ${hasFiles ? 'through memory' : 'where there are no files, through the socket'}`, async () => {
      const { remote } = await serve(handEngine(), { hasFiles })
      const sizes = [0, 1, 65_535, 65_536, 1_000_000, 9_000_000]
      const answers = sizes.flatMap((size, index) =>
        [1, 2, 3].map(async (time) => {
          const value = index * 3 + time
          const answer = firstOf(await remote.engine.infer('echo', '1', bytesOf(size, value)))
          expect(answer).toEqual(new Uint8Array(size).fill(value))
        }),
      )
      await Promise.all(answers)
      expect(remote.engine.memory?.bytes).toBe(0)
    })
  }

  test('mixes up no answers of many callers at once', async () => {
    const engine = handEngine({
      infer: async (_model, _version, inputs) => {
        await Bun.sleep(Math.random() * 3)
        return inputs
      },
    })
    const served = await serve(engine)
    const remotes = [served.remote, await served.join(), await served.join()]
    const ask = async (index: number) => {
      const remote = remotes[index % remotes.length]
      const data = new Float64Array([index])
      const answer = await remote?.engine.infer('echo', '1', new Map([['x', { datatype: 'FP64', shape: [1], data }]]))
      return answer?.get('x')?.data[0]
    }
    const numbers = Array.from({ length: 2000 }, (_, index) => index)
    expect(await Promise.all(numbers.map(ask))).toEqual(numbers)
  })

  test('rejects with the error that it would reject with here', async () => {
    const thrown = [new VestalError('QUEUE_FULL', { headers: { 'retry-after': '9' } }), new TypeError('a bug')]
    const { remote } = await serve(
      handEngine({
        infer: () => {
          throw thrown.shift()
        },
      }),
    )
    expect(remote.engine.infer('echo', '1', inputOf(1))).rejects.toMatchObject({
      code: 'QUEUE_FULL',
      status: 503,
      headers: { 'retry-after': '9' },
    })
    expect(remote.engine.infer('echo', '1', inputOf(1))).rejects.toThrow('a bug')
  })

  test('hears that a caller gave its request up, whether the signal is there or is asked for later', async () => {
    const { engine, asked } = waitingEngine()
    const { remote } = await serve(engine)
    const [now, later] = [new AbortController(), new AbortController()]
    const answers = [
      codeOf(() => remote.engine.infer('echo', '1', inputOf(1), { signal: now.signal })),
      codeOf(() => remote.engine.infer('echo', '1', inputOf(1), { signal: () => later.signal })),
    ]
    await until(() => asked.length === 2)
    now.abort()
    later.abort()
    expect(await Promise.all(answers)).toEqual(['REQUEST_ABORTED', 'REQUEST_ABORTED'])
    await until(() => remote.engine.memory?.bytes === 0)
    expect(await codeOf(() => remote.engine.infer('echo', '1', inputOf(1), { signal: now.signal }))).toBe('REQUEST_ABORTED')
    expect(asked).toHaveLength(2)
  })

  test('holds the bytes of a request until it is answered, and takes no more than there is room for', async () => {
    const { engine, asked } = waitingEngine()
    const { remote } = await serve(engine, { limits: { bytesMax: 2000, subjectBytesMax: 1000 } })
    const { memory, infer, limit } = remote.engine
    const ask = (subject: string) => codeOf(() => infer('echo', '1', bytesOf(800), { subject }))
    const answers = ['a', 'b'].map(ask)
    expect([memory?.bytesOf('a'), memory?.bytes]).toEqual([800, 1600])
    expect(await ask('a')).toBe('SUBJECT_MEMORY_LIMIT')
    expect(await ask('c')).toBe('QUEUE_FULL')
    limit({ bytesMax: 10_000, requestsMax: 1, subjectRequestsMax: 1 })
    answers.push(ask('c'))
    await until(() => asked.length === 3)
    for (const { answer } of asked) answer(new Map())
    expect(await Promise.all(answers)).toEqual([new Map(), new Map(), new Map()])
    expect(memory?.bytes).toBe(0)
  })

  test('is shown as it was until another one has loaded the same, and its models are rejected as it is away', async () => {
    const { remote } = await serve(handEngine({ models: () => [modelOf('a'), modelOf('b')], model: (name) => modelOf(name) }))
    const stateOf = (name: string) => remote.engine.model(name)?.versions[0]?.state
    const loading = (name: string): Model => ({
      ...modelOf(name),
      versions: [{ version: '1', state: 'loading', inputs: [], outputs: [] }],
    })
    let [isReady, models] = [false, [loading('a')]]
    const model = (name: string) => models.find((each) => each.name === name)
    const next = handEngine({ models: () => models, model, isReady: () => isReady })
    const { server } = await serve(next)
    const link = linkWithin()
    server.attach(link.engine)
    remote.attach(link.http)
    await until(() => remote.isConnected)
    expect([stateOf('a'), stateOf('b'), remote.engine.isReady()]).toEqual(['ready', 'ready', false])
    for (const name of ['a', 'b']) expect(await codeOf(() => remote.engine.infer(name, '1', inputOf(1)))).toBe('ENGINE_LOST')
    models = [modelOf('a')]
    isReady = true
    server.announce()
    await until(() => remote.engine.isReady())
    expect([stateOf('a'), stateOf('b')]).toEqual(['loading', undefined])
  })

  test('counts the requests that an HTTP process rejects before it has them', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'vestal-remote-'))
    folders.push(folder)
    await put(folder, 'times/1/model.onnx', factorModel(2))
    const engine = await createEngine({ modelsDirectory: folder, instances: 1, warn: () => undefined })
    engines.push(engine)
    const { remote } = await serve(engine, { limits: { bytesMax: 2000, subjectBytesMax: 1000 } })
    const ask = (subject: string) =>
      codeOf(() => remote.engine.infer('times', '1', inputOf(...Array<number>(200).fill(1)), { subject }))
    // 800 bytes each.
    const codes = await Promise.all(['a', 'a', 'b', 'c', 'c'].map(ask))
    expect(codes.filter((code) => typeof code === 'string')).toEqual(['SUBJECT_MEMORY_LIMIT', 'QUEUE_FULL', 'QUEUE_FULL'])
    const [row] = await remote.statistics()
    expect(row?.rejected).toMatchObject({ 'queue-full': 2, 'subject-bytes': 1 })
    expect(await codeOf(() => remote.engine.infer('other', '1', inputOf(1)))).toBe('MODEL_UNKNOWN')
  })

  test('that says nothing in time is waited for no longer', async () => {
    const clock = new HandClock()
    const { engine } = waitingEngine()
    const { remote } = await serve(engine, { clock, timeoutMs: 30_000 })
    const answers = [{ timeoutMs: 5000 }, {}].map((asked) => codeOf(() => remote.engine.infer('echo', '1', inputOf(1), asked)))
    clock.pass(6000)
    expect(await answers[0]).toBe('REQUEST_TIMEOUT')
    expect(remote.engine.memory?.bytes).toBe(8)
    clock.pass(25_000)
    expect(await answers[1]).toBe('REQUEST_TIMEOUT')
  })

  test('reports the times of a request, by the clock of this process', async () => {
    const engine = handEngine({
      infer: async (_model, _version, inputs, { watch } = {}) => {
        const nowMs = performance.now()
        watch?.({ key: 'echo/1', takenMs: nowMs - 30, sentMs: nowMs - 20, endMs: nowMs - 10, run: { requests: 2, computeMs: 4 } })
        watch?.({ key: 'echo/1', takenMs: nowMs - 30, sentMs: 0, endMs: nowMs, error: new VestalError('QUEUE_TIMEOUT') })
        return inputs
      },
    })
    const { remote } = await serve(engine)
    const told: RunTimes[] = []
    await remote.engine.infer('echo', '1', inputOf(1), { watch: (times) => void told.push(times) })
    const [done, refused] = told
    expect(done).toMatchObject({ key: 'echo/1', run: { requests: 2, computeMs: 4 } })
    expect([(done?.sentMs ?? 0) - (done?.takenMs ?? 0), (done?.endMs ?? 0) - (done?.sentMs ?? 0)]).toEqual([
      expect.closeTo(10, 5),
      expect.closeTo(10, 5),
    ])
    expect(done?.endMs).toBeLessThanOrEqual(performance.now())
    expect(refused).toMatchObject({ sentMs: 0, error: { code: 'QUEUE_TIMEOUT' } })
  })

  test('that is away rejects what was sent, once, and what comes, until another is there; its models stay known', async () => {
    const { engine: waiting, asked } = waitingEngine()
    const engine = { ...waiting, load: async (_name: string, { may }: LoadOptions = {}) => void (await may?.('any')) }
    const { remote, server, lost } = await serve(engine)
    const failure = (work: Promise<unknown>) =>
      work.then(
        () => undefined,
        (error: VestalError): unknown => [error.code, error.headers],
      )
    const sent = [1, 2].map(() => failure(remote.engine.infer('echo', '1', inputOf(1))))
    const load = failure(remote.engine.load('echo', { may: () => new Promise(() => undefined) }))
    await until(() => asked.length === 2)
    server.stop()
    const told: unknown = ['ENGINE_LOST', { 'retry-after': '1' }]
    expect(await Promise.all(sent)).toEqual([told, told])
    expect(await load).toEqual(told)
    expect(await codeOf(() => remote.engine.infer('echo', '1', inputOf(1)))).toBe('ENGINE_LOST')
    expect(await codeOf(() => remote.statistics())).toBe('ENGINE_LOST')
    expect([remote.engine.isReady(), remote.engine.models().map(({ name }) => name), lost]).toEqual([
      false,
      ['echo'],
      [undefined],
    ])
    expect(remote.engine.troubles()).toEqual(['the engine process is away: predictions are rejected until it is back'])
    expect(remote.engine.memory?.bytes).toBe(0)
    const next = await serve(handEngine({ models: () => [modelOf('other')], model: modelOf }))
    const link = linkWithin()
    next.server.attach(link.engine)
    remote.attach(link.http)
    await until(() => remote.engine.isReady())
    expect(remote.engine.models().map(({ name }) => name)).toEqual(['other'])
    expect(firstOf(await remote.engine.infer('other', '1', inputOf(4)))).toEqual(new Float32Array([4]))
  })

  test('that one process broke off with serves the others', async () => {
    const served = await serve(handEngine())
    const link = linkWithin()
    served.server.attach(link.engine)
    await Bun.connect({
      fd: link.http.socket,
      socket: { open: (socket: Bun.Socket) => void socket.write(new Uint8Array([2, 0, 0, 0, 99, 99])), data: () => undefined },
    } as unknown as Bun.UnixSocketOptions)
    await until(() => served.warnings.length > 0)
    expect(served.warnings).toEqual(['an HTTP process is cut off: the protocol was broken: the first frame is no greeting'])
    expect(await served.remote.engine.infer('echo', '1', inputOf(1))).toEqual(inputOf(1))
  })

  test('that is stopped finishes what it has', async () => {
    const { engine, asked } = waitingEngine()
    const { remote, server } = await serve(engine)
    const answer = remote.engine.infer('echo', '1', inputOf(1))
    const stopped = remote.engine.stop()
    expect(await codeOf(() => remote.engine.infer('echo', '1', inputOf(1)))).toBe('SERVER_STOPPING')
    await until(() => asked.length === 1)
    asked[0]?.answer(inputOf(3))
    expect(await answer).toEqual(inputOf(3))
    await stopped
    await server.gone
  })

  test('has one process take note of what it changes by itself', async () => {
    const heard: ModelChange[] = []
    const changed = (change: ModelChange) => void heard.push(change)
    const losses: unknown[] = []
    const served = await serve(handEngine(), { changed, modelLost: (loss) => void losses.push(loss) })
    await served.join()
    const change = { model: 'echo', action: 'load', outcome: 'done' } as const
    expect(served.server.note(change)).toBe(true)
    await until(() => heard.length > 0)
    const loss = { key: 'echo/1', cause: 'SIGFPE', label: 'SIGFPE', isKilled: false, requestIds: ['r1'] }
    expect(served.server.noteLoss(loss)).toBe(true)
    await until(() => losses.length > 0)
    await served.remote.statistics()
    expect([heard, losses]).toEqual([[change], [loss]])
  })

  test('reports that it has troubles, and that it takes no more work', async () => {
    let troubles: readonly string[] = []
    let isReady = true
    const { remote, server } = await serve(handEngine({ troubles: () => troubles, isReady: () => isReady }))
    expect([remote.engine.troubles(), remote.engine.isReady()]).toEqual([[], true])
    troubles = ['the folder is gone']
    await until(() => remote.engine.troubles().length === 1)
    isReady = false
    server.announce()
    await until(() => !remote.engine.isReady())
    isReady = true
    await until(() => remote.engine.isReady())
  })
})

describe.skipIf(!HAS_PROCESSES)('the models of an engine in another process', () => {
  async function start(...names: readonly string[]) {
    const folder = mkdtempSync(join(tmpdir(), 'vestal-remote-'))
    folders.push(folder)
    for (const [index, name] of names.entries()) await put(folder, `${name}/1/model.onnx`, factorModel(index + 2))
    const engine = await createEngine({
      modelsDirectory: folder,
      threads: 1,
      warn: () => undefined,
      modelControl: 'explicit',
      mayOverride: true,
      loadAtStart: new Set(['a']),
    })
    engines.push(engine)
    const served = await serve(engine, { modelsDirectory: folder })
    return { folder, engine, ...served, other: await served.join() }
  }
  const answer = async ({ engine }: Served['remote'], name: string, version = '1') =>
    (await engine.infer(name, version, inputOf(10))).get('y')?.data[0]

  test('are those of that engine, with all that is known of them', async () => {
    const { engine, remote, other } = await start('a', 'b')
    for (const { engine: seen } of [remote, other]) {
      expect(seen.models()).toEqual(engine.models())
      expect(seen.index()).toEqual(engine.index())
      expect(seen.configuration('a')).toEqual(engine.configuration('a'))
      expect(seen.configuration('a', '1')).toEqual(engine.configuration('a', '1'))
      expect(await codeOf(() => seen.configuration('gone'))).toBe('MODEL_UNKNOWN')
      expect(await codeOf(() => seen.configuration('b'))).toBe('MODEL_UNAVAILABLE')
    }
    expect(await codeOf(() => remote.engine.infer('b', '1', inputOf(1)))).toBe('MODEL_UNKNOWN')
    expect(await answer(remote, 'a')).toBe(20)
  })

  test('are loaded and unloaded through any process, and all know it as soon as that one is reported', async () => {
    const { folder, remote, other } = await start('a', 'b')
    for (let time = 0; time < 5; time += 1) {
      await remote.engine.load('b')
      expect(other.engine.model('b')?.versions[0]?.state).toBe('ready')
      expect(await answer(other, 'b')).toBe(30)
      await other.engine.unload('b')
      expect(remote.engine.model('b')?.versions[0]?.state).not.toBe('ready')
    }
    await remote.engine.load('brought', {
      config: '{"backend":"onnxruntime"}',
      files: new Map([['1/model.onnx', factorModel(7)]]),
    })
    expect(await answer(other, 'brought')).toBe(70)
    await put(folder, 'c/1/model.onnx', 'no model')
    expect(await codeOf(() => other.engine.load('c'))).toBe('MODEL_LOAD_FAILED')
    expect(await codeOf(() => other.engine.load('gone'))).toBe('MODEL_UNKNOWN')
  })

  test('are changed only where the process of the caller says that it may, which may take a while', async () => {
    const { remote } = await start('a', 'b')
    const asked: string[] = []
    const may = async (permission: string) => {
      asked.push(permission)
      await Bun.sleep(1)
      return permission === 'model:b:admin'
    }
    await remote.engine.load('b', { may })
    expect(new Set(asked)).toEqual(new Set(['model:b:admin']))
    expect(await codeOf(() => remote.engine.unload('a', { may }))).toBe('PERMISSION_MISSING')
    expect(await codeOf(() => remote.engine.load('a', { may: () => false }))).toBe('PERMISSION_MISSING')
    expect(await answer(remote, 'a')).toBe(20)
  })

  test('ask for the permissions that their folders name', async () => {
    const { folder, engine, remote } = await start('a')
    await put(folder, 'new/model.toml', '[permissions]\nadmin = "ops:admin"\nread = "ops:read"\n')
    const actions = ['predict', 'read', 'admin'] as const
    for (const name of ['a', 'new', 'gone', 'a/b'])
      for (const action of actions) expect(remote.engine.permission(name, action)).toBe(engine.permission(name, action))
    await put(folder, 'a/model.toml', '[permissions]\nadmin = "ops:admin"\nread = "ops:read"\n')
    expect(actions.map((action) => remote.engine.permission('a', action))).toEqual([
      'model:a:predict',
      'model:a:read',
      'ops:admin',
    ])
    await remote.engine.load('a')
    expect(remote.engine.permission('a', 'read')).toBe('ops:read')
  })

  test('are counted once, whichever process asks', async () => {
    const { remote, other } = await start('a')
    for (const asked of [remote, other, other]) await answer(asked, 'a')
    for (const asked of [remote, other]) {
      const [row] = await asked.statistics()
      expect([row?.model, row?.success.count]).toEqual(['a', 3])
      expect(asked.engine.statistics('a')).toEqual(await asked.statistics())
      expect(asked.engine.statistics('b')).toEqual([])
    }
  })
})
