import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import type { PaddingRule } from '../../src/inference/padding.ts'
import { ModelCounters } from '../../src/inference/statistics.ts'
import type { NamedTensors, Tensor } from '../../src/tensor/tensor.ts'
import { startRunner } from '../support/runner.ts'
import { seedOf } from '../support/seed.ts'
import { ATTENTION_TOKENS, attentionModel } from '../support/tiny-models.ts'

const folder = mkdtempSync(join(tmpdir(), 'vestal-padding-'))
const write = async (name: string, model: Uint8Array) => {
  await Bun.write(join(folder, name), model)
  return join(folder, name)
}
const masked = await write('masked.onnx', attentionModel())
const unmasked = await write('unmasked.onnx', attentionModel({ isMasked: false }))
const RULE = { side: 'right', values: { ids: 3, mask: 0 } } as const
const started = async (path: string, rule: PaddingRule, counters = new ModelCounters(), settings = {}) =>
  startRunner({ path, counters, settings, padding: () => rule, trialOf: () => ({ samples }) })

afterAll(() => rmSync(folder, { recursive: true }))

interface Request {
  readonly rows: number
  readonly length: number
  readonly seed: number
  readonly subject: string
  readonly output: 'vector' | 'hidden' | undefined
}

const requests = fc.array(
  fc.record<Request>({
    rows: fc.integer({ min: 1, max: 3 }),
    length: fc.oneof(
      ...[
        [1, 12],
        [1, 12],
        [40, 48],
        [1, 200],
      ].map(([min = 1, max = 1]) => fc.integer({ min, max })),
    ),
    seed: fc.nat(),
    subject: fc.constantFrom('ada', 'bob', ''),
    output: fc.constantFrom('hidden', undefined, undefined, undefined),
  }),
  { minLength: 20, maxLength: 60 },
)

function inputsOf({ rows, length, seed }: Request): NamedTensors {
  const count = rows * length
  const ids = BigInt64Array.from({ length: count }, (_, index) => BigInt((seed + index * (1 + (seed % 7))) % ATTENTION_TOKENS))
  const whole = { datatype: 'INT64', shape: [rows, length] } as const
  return new Map([
    ['ids', { ...whole, data: ids }],
    ['mask', { ...whole, data: new BigInt64Array(count).fill(1n) }],
  ])
}

const samples = [7, 7, 4].map((length, seed) => inputsOf({ rows: 1, length, seed, subject: '', output: undefined }))

/** The largest difference of a number; Infinity where tensors are of another form. */
function distance(a: NamedTensors, b: NamedTensors): number {
  if (a.size !== b.size) return Number.POSITIVE_INFINITY
  let largest = 0
  for (const [name, { shape, data }] of a) {
    const other = b.get(name) as Tensor
    if (other.shape.join() !== shape.join() || other.data.length !== data.length) return Number.POSITIVE_INFINITY
    for (let index = 0; index < data.length; index += 1)
      largest = Math.max(largest, Math.abs((data[index] as number) - (other.data[index] as number)))
  }
  return largest
}

describe('requests of random lengths and rows, through ONNX Runtime', () => {
  for (const side of ['right', 'left'] as const) {
    test(`have the same answers together as alone, padded on the ${side}`, async () => {
      const counters = new ModelCounters()
      const runner = await started(masked, { ...RULE, side }, counters)
      expect(runner.batching).toEqual({
        isSafe: true,
        reason: expect.stringMatching(/^the graph keeps rows apart, .*; so had 6 rows of different lengths, padded$/),
      })
      try {
        await fc.assert(
          fc.asyncProperty(requests, async (asked) => {
            const run = (request: Request) =>
              runner.run(inputsOf(request), { subject: request.subject, ...(request.output && { outputs: [request.output] }) })
            const alone: NamedTensors[] = []
            for (const request of asked) alone.push(await run(request))
            const together = await Promise.all(asked.map(run))
            for (const [index, own] of alone.entries()) expect(distance(own, together[index] as NamedTensors)).toBeLessThan(1e-5)
          }),
          { seed: seedOf('padding'), numRuns: 20 },
        )
        const { success, executionCount, batches } = counters.snapshot('model', '1', runner.gauges())
        // Those that were asked for together are half of all.
        expect(executionCount).toBeLessThan(success.count * 0.8)
        expect(Math.max(...batches.map(({ rows }) => rows))).toBeGreaterThan(3)
      } finally {
        await runner.stop()
      }
    }, 60_000)
  }

  test('share runs in a process that several models share, and are answered from the cache in their own lengths', async () => {
    const counters = new ModelCounters()
    const runner = await started(masked, RULE, counters, { isolation: 'shared', isCached: true })
    try {
      const asked = [4, 6, 5, 9].map((length) => inputsOf({ rows: 2, length, seed: length, subject: '', output: undefined }))
      const run = () => Promise.all(asked.map((inputs) => runner.run(inputs, { subject: '' })))
      const [first, again] = [await run(), await run()]
      expect(counters.snapshot('model', '1', runner.gauges())).toMatchObject({
        executionCount: 1,
        // Of two rows each: 4, 6, 5 and 9 to 9.
        tokens: { own: 48, padding: 24 },
        cache: { hits: 4 },
      })
      expect(first.map((outputs) => outputs.get('hidden')?.shape[1])).toEqual([4, 6, 5, 9])
      for (const [index, outputs] of first.entries()) {
        expect(distance(outputs, again[index] as NamedTensors)).toBe(0)
        expect(distance(outputs, await runner.run(asked[index] as NamedTensors, { subject: '', cache: 'skip' }))).toBeLessThan(
          1e-5,
        )
      }
    } finally {
      await runner.stop()
    }
  })

  test('share runs only with requests of their length where tokens look at the padding, and it says so', async () => {
    const counters = new ModelCounters()
    const runner = await started(unmasked, RULE, counters)
    try {
      expect(runner.batching.isSafe).toBe(true)
      expect(runner.batching.reason).toMatch(
        /only requests of one length share a run: the output "hidden" of a row of length \d+ is .* beside longer ones$/,
      )
      const asked = [4, 4, 5, 5].map((length) => ({ rows: 1, length, seed: length, subject: '', output: undefined }))
      await Promise.all(asked.map((request) => runner.run(inputsOf(request), { subject: '' })))
      expect(counters.snapshot('model', '1', runner.gauges()).executionCount).toBe(2)
    } finally {
      await runner.stop()
    }
  })

  test('share runs only with requests of their length where there is nothing to try it with', async () => {
    const runner = await startRunner({ path: masked, padding: () => RULE })
    expect(runner.batching.reason).toMatch(/; only requests of one length share a run: there are no inputs of different lengths/)
    await runner.stop()
  })

  test('run each by itself where the settings say so, or inputs disagree on the length', async () => {
    const counters = new ModelCounters()
    const runner = await started(masked, RULE, counters, { batchRowsMax: 1 })
    const [a, b] = [5, 7].map((length) => inputsOf({ rows: 1, length, seed: 1, subject: '', output: undefined })) as [
      NamedTensors,
      NamedTensors,
    ]
    await Promise.all([runner.run(a, { subject: '' }), runner.run(b, { subject: '' })])
    expect(counters.snapshot('model', '1', runner.gauges()).executionCount).toBe(2)
    await runner.stop()
    const shared = await started(masked, RULE)
    const wrong = new Map([...a, ['mask', b.get('mask') as Tensor]])
    const [good, bad, other] = await Promise.allSettled([a, wrong, b].map((inputs) => shared.run(inputs, { subject: '' })))
    expect([good?.status, bad?.status, other?.status]).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect((bad as PromiseRejectedResult).reason).toMatchObject({ code: 'INFERENCE_FAILED' })
    await shared.stop()
  })
})
