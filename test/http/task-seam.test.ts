import { afterAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { VestalError } from '../../src/core/errors.ts'
import type { TaskCodec } from '../../src/http/predict/codec.ts'
import { predictTask } from '../../src/http/predict/predict.ts'
import { RequestMemory } from '../../src/http/request-memory.ts'
import type { Engine } from '../../src/inference/engine.ts'
import type { TaskDescription } from '../../src/tasks/task.ts'
import { bundledEngine } from '../support/server.ts'
import { withTasks } from '../support/text-models.ts'
import { identityModel } from '../support/tiny-models.ts'

const folder = mkdtempSync(join(tmpdir(), 'vestal-seam-'))
for (const name of ['asked', 'plain']) await Bun.write(join(folder, `${name}/1/model.onnx`), identityModel('FP32'))
const inner = await bundledEngine(folder)
afterAll(async () => {
  await inner.stop()
  rmSync(folder, { recursive: true })
})
const task: TaskDescription = { task: 'classify', sources: {} }
const engine = withTasks(inner, { asked: task })

/** Numbers as bytes in, their text out: a dialect of its own. */
const numbers: TaskCodec<readonly number[]> = {
  bytesMax: 4,
  decode: async ({ bytes, contentType }) => {
    if (contentType !== 'application/x-numbers') throw new VestalError('BODY_INVALID', { detail: `${contentType}` })
    return [...bytes]
  },
  async answer(asked, call) {
    const rows = asked.map(async (value) => {
      const results = await call.infer(new Map([['x', { datatype: 'FP32', shape: [1], data: new Float32Array([value]) }]]))
      return results.get('y')?.data[0]
    })
    return { json: JSON.stringify({ task: call.task.task, values: await Promise.all(rows) }), blobs: [] }
  },
}

interface Asking {
  readonly name?: string
  readonly bytes?: readonly number[]
  readonly headers?: Readonly<Record<string, string>>
  readonly by?: Engine
}

function ask({ name = 'asked', bytes = [1, 2, 3], headers = {}, by = engine }: Asking = {}) {
  const request = new Request('http://localhost/', {
    method: 'POST',
    headers: { 'content-type': 'application/x-numbers', ...headers },
    body: Uint8Array.from(bytes),
  })
  const memory = new RequestMemory({})
  const response = predictTask(numbers, { name }, { engine: by, memory, request, subject: 'tester', allows: () => true })
  return { response, memory }
}

test('a codec of a task reads the body and its type, computes rows, and writes the answer', async () => {
  const { response, memory } = ask()
  expect(await (await response).json()).toEqual({ task: 'classify', values: [1, 2, 3] })
  expect(memory.ledger.bytes).toBe(0)
})

test('a codec may take less than the server does, and rejects what it does not read', async () => {
  expect(ask({ bytes: [1, 2, 3, 4, 5] }).response).rejects.toMatchObject({ code: 'BODY_TOO_LARGE' })
  expect(ask({ headers: { 'content-type': 'text/plain' } }).response).rejects.toMatchObject({ code: 'BODY_INVALID' })
})

test('a model of tensors has no task to ask for', () => {
  expect(ask({ name: 'plain' }).response).rejects.toMatchObject({ code: 'TASK_MISMATCH', status: 404 })
})

test('a row that fails gives the others of its request up', async () => {
  const signals: AbortSignal[] = []
  const failing: Engine = {
    ...engine,
    infer: (_model, _version, _inputs, { signal } = {}) => {
      if (signal instanceof AbortSignal) signals.push(signal)
      if (signals.length === 1) throw new VestalError('INFERENCE_FAILED')
      return new Promise(() => undefined)
    },
  }
  expect(ask({ by: failing }).response).rejects.toMatchObject({ code: 'INFERENCE_FAILED' })
  await Bun.sleep(0)
  expect(signals.every(({ aborted }) => aborted)).toBe(true)
})

test('a full queue rejects the request at its first row, and holds up the others', async () => {
  let calls = 0
  const full = (rejected: (call: number) => boolean): Engine => ({
    ...engine,
    infer: (...args) => {
      calls += 1
      if (rejected(calls)) return Promise.reject(new VestalError('QUEUE_FULL'))
      return engine.infer(...args)
    },
  })
  expect(ask({ by: full(() => true) }).response).rejects.toMatchObject({ code: 'QUEUE_FULL' })
  calls = 0
  const { response } = ask({ by: full((call) => call === 2) })
  expect(await (await response).json()).toMatchObject({ values: [1, 2, 3] })
  expect(calls).toBe(4)
})

test('a request with more rows than there are places computes them one after the other', async () => {
  let running = 0
  let most = 0
  const narrow: Engine = {
    ...engine,
    infer: async (...args) => {
      if (running >= 2) throw new VestalError('SUBJECT_LIMIT')
      running += 1
      most = Math.max(most, running)
      return engine.infer(...args).finally(() => {
        running -= 1
      })
    },
  }
  const { response } = ask({ bytes: [1, 2, 3, 4], by: narrow })
  expect(await (await response).json()).toMatchObject({ values: [1, 2, 3, 4] })
  expect(most).toBe(2)
})

test('the time of the header counts for all rows', async () => {
  expect(ask({ headers: { 'vestal-timeout-ms': '0.001' } }).response).rejects.toMatchObject({ code: 'QUEUE_TIMEOUT' })
})
