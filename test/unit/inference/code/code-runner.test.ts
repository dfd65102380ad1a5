import { afterAll, describe, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { VestalError } from '../../../../src/core/errors.ts'
import type { CodeCalls } from '../../../../src/inference/code/calls.ts'
import { createStartCode } from '../../../../src/inference/code/code-runner.ts'
import { CODE_DEFAULTS } from '../../../../src/inference/code/code-settings.ts'
import { nextOf, streamOf } from '../../../../src/inference/code/code-values.ts'
import type { InferOptions } from '../../../../src/inference/engine.ts'
import { Admission } from '../../../../src/inference/queue/admission.ts'
import type { ModelLoss, RunnerSource } from '../../../../src/inference/runner.ts'
import { ModelCounters } from '../../../../src/inference/statistics.ts'
import type { NamedTensors } from '../../../../src/tensor/tensor.ts'
import { HandClock } from '../../../support/hand-clock.ts'
import { HandCodeProcess, MODEL, settled } from '../../../support/hand-code-process.ts'

const folder = mkdtempSync(join(tmpdir(), 'vestal-code-runner-'))
afterAll(() => rmSync(folder, { recursive: true }))
const version = join(folder, 'x', '1')
mkdirSync(version, { recursive: true })
await Bun.write(join(version, 'model.ts'), '')
await Bun.write(join(version, 'a.onnx'), '')

const NO_MODELS: CodeCalls = {
  model: () => undefined,
  askedBy: () => [],
  infer: async () => new Map(),
}
const texts = (...data: readonly string[]): NamedTensors =>
  new Map([['input', { datatype: 'BYTES', shape: [data.length], data }]])
const codeOf = (error: unknown) => (error instanceof VestalError ? error.code : String(error))

interface House {
  readonly model?: object
  readonly engine?: CodeCalls
  readonly file?: string
  readonly run?: (inputs: NamedTensors, options: InferOptions) => Promise<NamedTensors>
}

/** A `model.ts` whose process the test plays, with a file of its own that is a function. */
function house({ model = MODEL, engine = NO_MODELS, file, run = async () => new Map() }: House = {}) {
  const clock = new HandClock()
  const processes: HandCodeProcess[] = []
  const warnings: string[] = []
  const losses: ModelLoss[] = []
  const started: RunnerSource[] = []
  const last = () => processes.at(-1) ?? expect.unreachable()
  const start = createStartCode({
    clock,
    cores: 1,
    queueMax: 10,
    timeoutMs: 60_000,
    admission: new Admission({ requestsMax: 1000, subjectRequestsMax: 1000, bytesMax: 1e9 }),
    loadMsMax: 10_000,
    warn: (message) => void warnings.push(message),
    lost: (loss) => void losses.push(loss),
    startRunner: async (source) => {
      started.push(source)
      const runner = { inputs: [], outputs: [], labels: new Map(), run, stop: async () => undefined }
      // The cast: only these are asked of a file.
      return runner as never
    },
    startProcess: (_, events) => {
      const process = new HandCodeProcess(events)
      processes.push(process)
      return process
    },
  })
  const counters = new ModelCounters()
  const loading = start({
    ...{ name: 'x', version: '1', folder: version, entry: join(version, 'model.ts'), code: CODE_DEFAULTS, settings: {} },
    ...(file !== undefined && { file }),
    ...{ labels: new Map(), counters, changed: () => undefined, engine },
  })
  /** What the code was sent last of a kind. */
  const sent = (kind: string) =>
    last().sent.filter((message) => message.kind === kind) as readonly (Record<string, unknown> & { id: number; with?: string })[]
  const ready = async () => {
    await last().load(model)
    const runner = await loading
    const ask = (inputs: NamedTensors | string, options: InferOptions = {}) =>
      runner.run(typeof inputs === 'string' ? texts(inputs) : inputs, options).then(
        (outputs) => outputs.get('output')?.data,
        (error: unknown) => codeOf(error),
      )
    return { runner, ask }
  }
  const answer = (id: number, text: string, { isLast = true, isEmpty = false } = {}) =>
    last().answer({ kind: 'answer', id, isLast, isEmpty }, text)
  return { clock, processes, last, warnings, losses, loading, started, sent, ready, answer, counters }
}

describe('requests of a model.ts', () => {
  test('are handed to its code with their time and their caller, and answered as it answers', async () => {
    const { ready, sent, answer, last } = house()
    const { ask, runner } = await ready()
    const [one, other] = [ask('good', { subject: 'ada', timeoutMs: 500 }), ask('bad')]
    expect(sent('request')).toMatchObject([
      { id: 1, msLeft: 500, subject: 'ada', isStream: false, with: 'good' },
      { id: 2, msLeft: 60_000, with: 'bad' },
    ])
    expect(runner.gauges()).toMatchObject({ running: 2, waiting: 0, workersAlive: 1 })
    answer(2, 'B')
    answer(1, 'G')
    expect([await one, await other]).toEqual([['G'], ['B']])
    expect(runner.gauges().running).toBe(0)
    // What nobody asked for, or no more, changes nothing.
    answer(1, 'again')
    expect(last().killed).toEqual([])
  })

  test('of several elements are one request each, in their order; of none are rejected', async () => {
    const { ready, sent, answer } = house()
    const { ask, runner } = await ready()
    const both = ask(texts('a', 'b'))
    expect(sent('request').map(({ with: text }) => text)).toEqual(['a', 'b'])
    answer(2, 'B')
    answer(1, 'A')
    expect(await both).toEqual(['A', 'B'])
    expect(runner.run(texts(), {})).rejects.toMatchObject({
      code: 'INPUT_INVALID',
      detail: "the input 'input' must have at least one element",
    })
  })

  test('have as many places as the definition says, and the others wait', async () => {
    const { ready, sent, answer } = house({ model: { ...MODEL, limits: { atOnce: 2, ms: 700 } } })
    const { ask, runner } = await ready()
    const all = ['a', 'b', 'c'].map((text) => ask(text))
    expect([sent('request').length, runner.gauges().waiting]).toEqual([2, 1])
    expect(sent('request')[0]).toMatchObject({ msLeft: 700 })
    answer(1, 'A')
    await settled()
    expect(sent('request').length).toBe(3)
    answer(2, 'B')
    answer(3, 'C')
    expect(await Promise.all(all)).toEqual([['A'], ['B'], ['C']])
  })

  test('that are given up keep their place until the code stops, five seconds at most', async () => {
    const { ready, sent, clock, answer } = house()
    const { ask, runner } = await ready()
    const controller = new AbortController()
    const aborted = ask('a', { signal: controller.signal })
    controller.abort()
    expect(sent('cancel')).toMatchObject([{ id: 1 }])
    controller.abort()
    expect(sent('cancel')).toHaveLength(1)
    expect(await aborted).toBe('REQUEST_ABORTED')
    clock.pass(4999)
    expect(runner.gauges().running).toBe(1)
    clock.pass(1)
    expect(runner.gauges().running).toBe(0)
    const late = ask('b', { timeoutMs: 100 })
    clock.pass(100)
    expect([await late, sent('cancel').length]).toEqual(['REQUEST_TIMEOUT', 2])
    answer(2, 'too late')
    expect(runner.gauges().running).toBe(0)
    expect(await ask('c', { signal: AbortSignal.abort() })).toBe('REQUEST_ABORTED')
  })

  test('fail as the code says, and what is a bug of it stays in the log', async () => {
    const { ready, sent, last, warnings } = house()
    const { runner } = await ready()
    const failing = async (failure: object) => {
      const answer = runner.run(texts('a'), {}).catch((error: unknown) => error)
      last().answer({ kind: 'failed', id: sent('request').at(-1)?.id, failure })
      return answer
    }
    const faults = [
      { path: '', rule: 'is wrong' },
      { path: 'a.b', rule: 'x' },
      { path: '[0].c', rule: 'y' },
    ]
    expect(await failing({ kind: 'input', faults })).toMatchObject({
      code: 'INPUT_INVALID',
      detail: { input: 'is wrong', 'input.a.b': 'x', 'input[0].c': 'y' },
    })
    expect(await failing({ kind: 'refusal', status: 409, text: 'not now' })).toMatchObject({
      code: 'REQUEST_REFUSED',
      status: 409,
      detail: 'not now',
    })
    expect(await failing({ kind: 'refusal', status: 422, text: '' })).toMatchObject({
      status: 422,
      detail: 'The model rejects this request',
    })
    expect(await failing({ kind: 'bug', text: 'model.ts:3:4: secret' })).toMatchObject({ code: 'CODE_FAILED' })
    expect(warnings.at(-1)).toBe('x/1: model.ts:3:4: secret')
    expect(await failing({ kind: 'passed', ask: 7 })).toMatchObject({ code: 'CODE_FAILED' })
    expect(warnings.at(-1)).toBe('x/1: a run or call of another request failed')
  })

  test('of a process that ends are lost, and those that waited are answered by the next', async () => {
    const { ready, last, clock, losses, answer, warnings, sent } = house({ model: { ...MODEL, limits: { atOnce: 1 } } })
    const { ask, runner } = await ready()
    const [lost, waiting] = [ask('a', { requestId: 'r1' }), ask('b')]
    last().end('SIGSEGV')
    expect([await lost, runner.isReady()]).toEqual(['WORKER_LOST', false])
    expect(losses).toEqual([{ key: 'x/1', cause: 'SIGSEGV', label: 'SIGSEGV', isKilled: false, requestIds: ['r1'] }])
    expect(warnings.at(-1)).toMatch(/^x\/1: .*\(SIGSEGV\) .* 50 ms$/)
    expect([runner.gauges().running, runner.gauges().workersAlive]).toEqual([0, 0])
    clock.pass(50)
    last().answer({ kind: 'described', model: MODEL })
    await settled()
    last().answer({ kind: 'ready' })
    await settled()
    answer(sent('request').at(-1)?.id ?? 0, 'B')
    expect([await waiting, runner.isReady()]).toEqual([['B'], true])
  })

  test('are rejected where the answer is of another form', async () => {
    const asked = async (output: object, text: string, tensors: NamedTensors = new Map()) => {
      const { ready, last } = house({ model: { ...MODEL, output: { schema: {}, ...output } } })
      const { ask } = await ready()
      const answer = ask('a')
      try {
        last().answer({ kind: 'answer', id: 1, isLast: true, isEmpty: false }, text, tensors)
      } catch (error) {
        return String(error)
      }
      return answer
    }
    const tensor = new Map([['output', { datatype: 'FP32' as const, shape: [2], data: new Float32Array([1, 2]) }]])
    const form = { form: 'tensor', tensor: { datatype: 'FP32', shape: [2] } }
    expect(await asked({ form: 'json' }, '{"a":1}')).toEqual(['{"a":1}'])
    expect(await asked({ form: 'json' }, '{')).toContain('SyntaxError')
    expect(await asked(form, '', tensor)).toEqual(new Float32Array([1, 2]))
    expect(await asked(form, 'text')).toContain('an output of another form')
    expect(await asked({ form: 'text' }, '', tensor)).toContain('an output of another form')
  })

  test('of several elements are rejected where the output is one tensor', async () => {
    const { ready } = house({
      model: { ...MODEL, output: { form: 'tensor', schema: {}, tensor: { datatype: 'FP32', shape: [1] } } },
    })
    const { runner } = await ready()
    expect(runner.run(texts('a', 'b'), {})).rejects.toMatchObject({
      detail: "the input 'input' must have one element: the output is a tensor",
    })
  })

  test('end with their model', async () => {
    const { ready, last, answer } = house()
    const { ask, runner } = await ready()
    const pending = ask('a')
    const stopping = runner.stop()
    expect([runner.isReady(), await ask('b')]).toEqual([false, 'SERVER_STOPPING'])
    answer(1, 'A')
    expect(await pending).toEqual(['A'])
    await settled()
    expect(last().killed).toEqual([['stopped', 'the model was stopped']])
    last().end()
    await stopping
  })
})

describe('runs and calls of a model.ts', () => {
  const reply = (last: () => HandCodeProcess) =>
    last().sent.findLast(({ kind }) => kind === 'reply') as { ask: number; error?: object; with?: string } | undefined

  test('run its files with the caller and the rest of the time of their request', async () => {
    const options: InferOptions[] = []
    const { ready, last, clock, sent, started } = house({
      file: 'a.onnx',
      model: { ...MODEL, batch: { rows: 7, delayMs: 3 } },
      run: async (inputs, asked) => {
        options.push(asked)
        return inputs
      },
    })
    const { ask } = await ready()
    expect(started).toMatchObject([{ key: 'x/1', path: join(version, 'a.onnx'), settings: { batchRowsMax: 7, batchDelayMs: 3 } }])
    void ask('a', { subject: 'ada', requestId: 'r', priority: 1, timeoutMs: 1000 })
    clock.pass(400)
    last().answer({ kind: 'run', id: 1, ask: 5, file: 'model', outputs: ['y'] }, '', texts('t'))
    await settled()
    expect(options).toMatchObject([{ subject: 'ada', requestId: 'r', priority: 1, timeoutMs: 600, outputs: ['y'] }])
    expect([reply(last), last().tensors]).toEqual([{ kind: 'reply', ask: 5, with: '' }, texts('t')] as never)
    last().answer({ kind: 'run', id: 1, ask: 6, file: 'other' })
    await settled()
    expect(reply(last)).toEqual({
      kind: 'reply',
      ask: 6,
      error: { code: 'INPUT_INVALID', status: 400, message: "the model has no file 'other'" },
    } as never)
    expect(sent('request')).toHaveLength(1)
  })

  test('are 32 at once for one request, and 4096 that wait', async () => {
    const running: (() => void)[] = []
    const { ready, last } = house({
      file: 'a.onnx',
      run: (inputs) => new Promise((resolve) => running.push(() => resolve(inputs))),
    })
    const { ask } = await ready()
    void ask('a')
    const run = (each: number) => last().answer({ kind: 'run', id: 1, ask: each, file: 'model' })
    for (let each = 1; each <= 33; each += 1) run(each)
    await settled()
    expect(running).toHaveLength(32)
    running[0]?.()
    await settled()
    expect(running).toHaveLength(33)
    running[1]?.()
    await settled()
    run(34)
    await settled()
    expect(running).toHaveLength(34)
    for (let each = 35; each <= 34 + 4096; each += 1) run(each)
    await settled()
    expect([running.length, reply(last)?.error]).toEqual([34, undefined])
    run(9999)
    await settled()
    expect(reply(last)).toMatchObject({
      ask: 9999,
      error: { code: 'QUEUE_FULL', message: 'a request may have 4096 runs and calls pending' },
    })
  })

  test('are given up with their request, and pass their errors on', async () => {
    const signals: AbortSignal[] = []
    const { ready, last } = house({
      file: 'a.onnx',
      run: async (_, { signal }) => {
        signals.push(signal as AbortSignal)
        throw new VestalError('INFERENCE_FAILED', { detail: 'it does not add up' })
      },
    })
    const { ask, runner } = await ready()
    const answer = ask('a')
    last().answer({ kind: 'run', id: 1, ask: 3, file: 'model' })
    await settled()
    expect(reply(last)).toMatchObject({ ask: 3, error: { code: 'INFERENCE_FAILED', message: 'it does not add up' } })
    expect(signals[0]?.aborted).toBe(false)
    last().answer({ kind: 'failed', id: 1, failure: { kind: 'passed', ask: 3 } })
    expect([await answer, signals[0]?.aborted]).toEqual(['INFERENCE_FAILED', true])
    last().answer({ kind: 'run', id: 1, ask: 4, file: 'model' })
    await settled()
    expect(reply(last)).toMatchObject({ ask: 4, error: { code: 'REQUEST_ABORTED' } })
    const other = ask('b')
    last().answer({ kind: 'run', id: 2, ask: 5, file: 'model' })
    await settled()
    last().end()
    expect([await other, signals[1]?.aborted, runner.gauges().running]).toEqual(['WORKER_LOST', true, 0])
  })

  test('may fail 4096 times, of which the code may pass on any', async () => {
    const { ready, last } = house({ file: 'a.onnx', run: () => Promise.reject(new VestalError('INFERENCE_FAILED')) })
    const { ask } = await ready()
    const afterFailing = async (id: number, count: number) => {
      const answer = ask('a')
      const replies = () => last().sent.filter(({ kind }) => kind === 'reply').length
      const before = replies()
      for (let each = 1; each <= count; each += 1) {
        last().answer({ kind: 'run', id, ask: each, file: 'model' })
        if (each % 1000 === 0) await settled()
      }
      while (replies() < before + count) await settled()
      last().answer({ kind: 'failed', id, failure: { kind: 'passed', ask: 1 } })
      return answer
    }
    expect([await afterFailing(1, 4096), await afterFailing(2, 4097)]).toEqual(['INFERENCE_FAILED', 'CODE_FAILED'])
  })

  test('show a bug of ours to nobody but the log', async () => {
    const { ready, last, warnings } = house({
      file: 'a.onnx',
      run: async () => {
        throw new TypeError('a bug')
      },
    })
    const { ask } = await ready()
    const answer = ask('a')
    last().answer({ kind: 'run', id: 1, ask: 3, file: 'model' })
    await settled()
    expect([reply(last)?.error, warnings.at(-1)]).toEqual([
      { code: 'INTERNAL', status: 500, message: expect.any(String) },
      'x/1: a bug',
    ])
    last().answer({ kind: 'failed', id: 1, failure: { kind: 'passed', ask: 3 } })
    expect(await answer).toBe('CODE_FAILED')
  })

  test('call only what the definition names, and only for a request', async () => {
    const { ready, last } = house()
    const { ask } = await ready()
    void ask('a')
    for (const [id, code] of [
      [1, 'INPUT_INVALID'],
      [0, 'REQUEST_ABORTED'],
      [9, 'REQUEST_ABORTED'],
    ] as const) {
      last().answer({ kind: 'call', id, ask: 1, model: 'y' }, '{}')
      await settled()
      expect(reply(last)).toMatchObject({ ask: 1, error: { code } })
    }
    last().answer({ kind: 'tokenizer', id: 1, ask: 2, action: 'encode' }, '{}')
    await settled()
    expect(reply(last)).toMatchObject({ ask: 2, error: { code: 'UNSUPPORTED', message: 'The model has no tokenizer' } })
  })
})

describe('streams of a model.ts', () => {
  const STREAM = { ...MODEL, isStream: true }
  const begin = (
    runner: { run: (inputs: NamedTensors, options: InferOptions) => Promise<NamedTensors> },
    options: InferOptions = {},
  ) => runner.run(nextOf('', texts('a')), options).catch((error: unknown) => codeOf(error))

  test('give their outputs one by one, and end', async () => {
    const { ready, answer, sent } = house({ model: STREAM })
    const { runner } = await ready()
    const first = begin(runner, { subject: 'ada' })
    expect(sent('request')).toMatchObject([{ id: 1, isStream: true, with: 'a' }])
    answer(1, 'one', { isLast: false })
    const outputs = (await first) as NamedTensors
    const name = streamOf(outputs) ?? ''
    expect([outputs.get('output')?.data, name === '']).toEqual([['one'], false])
    expect(await runner.run(nextOf(name), { subject: 'eve' }).catch(codeOf)).toBe('WORKER_LOST')
    const second = runner.run(nextOf(name), { subject: 'ada' })
    expect(sent('next')).toMatchObject([{ id: 1 }])
    expect(await runner.run(nextOf(name), { subject: 'ada' }).catch(codeOf)).toBe('WORKER_LOST')
    answer(1, '', { isLast: true, isEmpty: true })
    expect([streamOf(await second), runner.gauges().running]).toEqual([undefined, 0])
    expect(await runner.run(nextOf(name), { subject: 'ada' }).catch(codeOf)).toBe('WORKER_LOST')
  })

  test('wait thirty seconds for the next question', async () => {
    const { ready, answer, sent, clock } = house({ model: STREAM })
    const { runner } = await ready()
    const first = begin(runner)
    answer(1, 'one', { isLast: false })
    await first
    clock.pass(29_999)
    expect(sent('cancel')).toHaveLength(0)
    clock.pass(1)
    expect(sent('cancel')).toMatchObject([{ id: 1 }])
  })

  test('are 64 of one caller, and 256 of all', async () => {
    const { ready, answer } = house({ model: { ...STREAM, limits: { atOnce: 1024 } } })
    const { runner } = await ready()
    let id = 0
    const open = async (subject: string) => {
      const first = begin(runner, { subject })
      id += 1
      answer(id, 'x', { isLast: false })
      const outputs = await first
      if (typeof outputs === 'string') id -= 1
      return outputs
    }
    for (let count = 0; count < 64; count += 1) expect(await open('ada')).toBeInstanceOf(Map)
    expect(await open('ada')).toBe('SUBJECT_LIMIT')
    for (const subject of ['bea', 'cem', 'dan'])
      for (let count = 0; count < 64; count += 1) expect(await open(subject)).toBeInstanceOf(Map)
    expect(await open('eve')).toBe('QUEUE_FULL')
  })
})

describe('a model.ts that is loaded', () => {
  test('answers its examples, and says which one fails', async () => {
    const { loading, last, sent } = house()
    void last().load({ ...MODEL, examples: ['good', 'bad'] })
    while (sent('request').length < 1) await settled()
    last().answer({ kind: 'answer', id: 1, isLast: true, isEmpty: false }, 'G')
    while (sent('request').length < 2) await settled()
    expect(sent('request').map(({ with: text }) => text)).toEqual(['good', 'bad'])
    last().answer({ kind: 'failed', id: 2, failure: { kind: 'bug', text: 'model.ts:1:2: no' } })
    const failed = loading.catch(({ message }) => message)
    await settled()
    last().end()
    expect(await failed).toBe('x: examples[1]: model.ts:1:2: no')
  })

  test('needs one file around which "before" and "after" stand', async () => {
    const { loading, last } = house()
    const failed = loading.catch(({ message }) => message)
    last().answer({ kind: 'bundled', bundle: { map: '{}', folder: version }, sources: [] }, 'code')
    await settled()
    last().answer({ kind: 'described', model: { ...MODEL, isAroundFile: true } })
    await settled()
    last().end()
    expect(await failed).toBe('model.ts: "before" and "after" need one file, and there are 0: name it in "files"')
  })

  test('names files of its folder only', async () => {
    for (const [path, reason] of [
      ['b.onnx', 'model.ts: "files.m" is "b.onnx", and there is no such file in the folder'],
      ['../../x', 'model.ts: "files.m" is "../../x", and there is no such file in the folder'],
    ] as const) {
      const { loading, last } = house()
      const failed = loading.catch(({ message }) => message)
      last().answer({ kind: 'bundled', bundle: { map: '{}', folder: version }, sources: [] }, 'code')
      await settled()
      last().answer({ kind: 'described', model: { ...MODEL, files: { m: path } } })
      await settled()
      last().end()
      expect(await failed).toBe(reason)
    }
  })

  test('is unavailable while what it calls is not there', async () => {
    const { ready } = house({ model: { ...MODEL, calls: ['y'], examples: ['not asked'] } })
    const { runner } = await ready()
    expect([runner.calls, runner.trouble?.()]).toEqual([['y'], "it calls 'y', and there is no such model"])
    const broken = { versions: [{ state: 'unavailable', reason: 'x'.repeat(301) }] }
    // The cast: only its versions are looked at.
    const other = house({ model: { ...MODEL, calls: ['y'] }, engine: { ...NO_MODELS, model: () => broken as never } })
    expect((await other.ready()).runner.trouble?.()).toBe(`it calls 'y', which is not ready (${'x'.repeat(300)})`)
    const round = house({ model: { ...MODEL, calls: ['y'] }, engine: { ...NO_MODELS, askedBy: () => ['x'] } })
    expect((await round.ready()).runner.trouble?.()).toBe('its calls go round in a circle: x → y → x')
  })
})
