import { describe, expect, test } from 'bun:test'
import { withPadding } from '../../../src/inference/batching/padding-check.ts'
import type { Tensor } from '../../../src/tensor/tensor.ts'

const RULE = { side: 'right', values: { ids: 0 } } as const
const SPEC = { name: 'ids', datatype: 'INT64', shape: [-1, -1] } as const
const CHECK = { isSafe: true, reason: 'rows had the same answers', rowOutputs: ['out'] }
const TRIAL = {
  samples: [new Map([['ids', { datatype: 'INT64', shape: [1, 10], data: new BigInt64Array(10).fill(3n) } as const]])],
  mayMixRows: false,
  mayMakeUp: true,
  padding: RULE,
}

/** A model that gives back its ids, of which a run takes so much of a processor, and each of its elements. */
async function paddingOf(runUs: number, elementUs: number): Promise<number | undefined> {
  let spentUs = 0
  const model = {
    inputs: [SPEC],
    outputs: [{ ...SPEC, name: 'out' }],
    run: async ([ids]: readonly Tensor[]) => {
      spentUs += runUs + elementUs * (ids?.data.length ?? 0)
      return { outputs: ids === undefined ? [] : [ids] }
    },
  }
  const { lengthOutputs, runElements } = await withPadding(model, CHECK, TRIAL, () => spentUs)
  expect(lengthOutputs).toEqual(['out'])
  return runElements
}

describe('the padding that costs as much as a run', () => {
  test('is what a run takes beside its elements', async () => {
    expect(await paddingOf(3200, 200)).toBe(16)
    expect(await paddingOf(60_000, 100)).toBe(600)
  })

  test('has bounds, whatever was measured', async () => {
    expect(await paddingOf(0, 200)).toBe(8)
    expect(await paddingOf(1000, 0)).toBe(1024)
    expect(await paddingOf(1_000_000, 1)).toBe(1024)
  })
})
