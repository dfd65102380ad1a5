import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { VestalError } from '../../../src/core/errors.ts'
import type { ReadJob } from '../../../src/http/predict/body-job.ts'
import { type BodyThreadsOptions, createBodyThreads } from '../../../src/http/predict/body-threads.ts'
import type { Target } from '../../../src/http/predict/codec.ts'
import type { NamedTensors } from '../../../src/tensor/tensor.ts'

const folder = mkdtempSync(join(tmpdir(), 'vestal-body-threads-'))
afterAll(() => rmSync(folder, { recursive: true }))

const TARGET = {
  model: { name: 'm' },
  version: { inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 2] }], outputs: [] },
} as unknown as Target
const ROWS = Array.from({ length: 5_000 }, (_, index) => [index / 7, -index])
const bytesOf = (text: string) => new TextEncoder().encode(text)
const jobOf = (text = JSON.stringify({ input: ROWS })): ReadJob => ({
  kind: 'read',
  codec: 'rows',
  bytes: bytesOf(text),
  jsonLength: undefined,
  target: TARGET,
})
const ADA = { subject: 'ada', check: () => undefined }

/** Threads that `using` ends. */
function threadsOf(options?: BodyThreadsOptions) {
  const threads = createBodyThreads(options)
  return Object.assign(threads, { [Symbol.dispose]: () => threads.close() })
}

/** A program of a thread that does this with its first body, and is right with later ones. */
function programThat(name: string, first: string): string {
  const path = join(folder, `${name}.js`)
  writeFileSync(path, `self.onmessage = () => { ${first} }\nself.postMessage({ kind: 'started' })\n`)
  return path
}

const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'no error',
    (error) => (error instanceof VestalError ? error.code : error),
  )

describe('threads that read bodies', () => {
  test('give the tensors, in memory that came over', async () => {
    using threads = threadsOf()
    const job = jobOf()
    const question = await threads.read(job, ADA)
    const tensor = question?.tensors.get('x')
    expect([tensor?.shape, tensor?.data]).toEqual([[5_000, 2], new Float32Array(ROWS.flat())])
    expect(job.bytes.length).toBe(0)
  })

  test('reject what the codec rejects, with its words', async () => {
    using threads = threadsOf()
    const rejected = await threads.read(jobOf('{"input":[[1,2],[3]]}'), ADA).catch((error) => error)
    expect([rejected.constructor, rejected.code, rejected.status, rejected.detail]).toEqual([
      VestalError,
      'INPUT_INVALID',
      400,
      "input 'x': row 1 must be a list of 2, got 1",
    ])
    expect(await codeOf(threads.read(jobOf('{"input":'), ADA))).toBe('BODY_INVALID')
  })

  test('write an answer, and leave the tensors to others', async () => {
    using threads = threadsOf()
    const data = new Float32Array([0.1, 2])
    const results: NamedTensors = new Map([['y', { datatype: 'FP32', shape: [1, 2], data: data.subarray(0, 2) }]])
    const target = {
      model: { name: 'm', labels: new Map() },
      version: { outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 2] }] },
    }
    const job = { kind: 'write', codec: 'rows', results, form: 'rows', target: target as unknown as Target } as const
    expect(Buffer.from((await threads.write(job, ADA)) ?? []).toString()).toBe('{"output":[[0.1,2]]}')
    expect(data).toEqual(new Float32Array([0.1, 2]))
  })

  test('that end are replaced, and their request is told so', async () => {
    const causes: string[] = []
    using threads = threadsOf({
      program: programThat('ends', 'process.exit(3)'),
      threadsMax: 1,
      lost: (cause) => causes.push(cause),
    })
    expect(await codeOf(threads.read(jobOf(), ADA))).toBe('WORKER_LOST')
    expect(await codeOf(threads.read(jobOf(), ADA))).toBe('WORKER_LOST')
    expect(causes).toEqual(['it ended', 'it ended'])
  })

  test('that take too long are ended', async () => {
    const causes: string[] = []
    using threads = threadsOf({ program: programThat('hangs', 'for (;;);'), jobMsMax: 20, lost: (cause) => causes.push(cause) })
    expect(await codeOf(threads.read(jobOf(), ADA))).toBe('WORKER_LOST')
    expect(causes).toEqual(['a body took more than 0.02 s'])
  })

  test('that cannot be started leave the body to be read where it is', async () => {
    const causes: string[] = []
    using threads = threadsOf({ program: join(folder, 'none.js'), lost: (cause) => causes.push(cause) })
    const job = jobOf()
    expect(await threads.read(job, ADA)).toBeUndefined()
    expect(await threads.read(job, ADA)).toBeUndefined()
    expect([causes.length, job.bytes.length > 0]).toEqual([1, true])
  })

  test('read no body whose sender is gone when its turn comes', async () => {
    using threads = threadsOf({ threadsMax: 1 })
    let isGone = false
    const check = () => {
      if (isGone) throw new VestalError('REQUEST_ABORTED')
    }
    const first = threads.read(jobOf(), ADA)
    const second = threads.read(jobOf(), { subject: 'bob', check })
    isGone = true
    expect(await codeOf(second)).toBe('REQUEST_ABORTED')
    expect(await codeOf(first)).toBe('no error')
  })

  test('take the bodies of callers in turns', async () => {
    using threads = threadsOf({ threadsMax: 1 })
    const order: string[] = []
    const read = (subject: string) => threads.read(jobOf(), { subject, check: () => void order.push(subject) })
    await Promise.all([read('ada'), read('ada'), read('ada'), read('bob')])
    expect(order.indexOf('bob')).toBeLessThan(3)
    expect(order.sort()).toEqual(['ada', 'ada', 'ada', 'bob'])
  })

  test('that are closed read on what they have, and take no more', async () => {
    const threads = threadsOf({ threadsMax: 1 })
    const pending = threads.read(jobOf(), ADA)
    const waiting = threads.read(jobOf(), ADA)
    threads.close()
    expect((await pending)?.tensors.size).toBe(1)
    expect(await waiting).toBeUndefined()
    expect(await threads.read(jobOf(), ADA)).toBeUndefined()
  })
})
