import { expect, test } from 'bun:test'
import { numberListText, takeNumberLists } from '../../src/tensor/number-list.ts'
import { elementWriter } from '../../src/tensor/numbers.ts'
import type { Tensor } from '../../src/tensor/tensor.ts'
import { drawNumber } from '../support/json-numbers.ts'
import { below, seeded } from '../support/seed.ts'

/** Numbers in a list at once, and lists. */
const [LENGTH, ROUNDS] = [100_000, 20]

for (const datatype of ['FP32', 'FP64'] as const)
  test(`two million ${datatype} of drawn bits are written as one by one`, () => {
    const random = seeded(`bits ${datatype}`)
    for (let round = 0; round < ROUNDS; round += 1) {
      const bits = new Uint32Array(datatype === 'FP32' ? LENGTH : 2 * LENGTH).map(() => below(random, 2 ** 32))
      const data = datatype === 'FP32' ? new Float32Array(bits.buffer) : new Float64Array(bits.buffer)
      const tensor: Tensor = { datatype, shape: [LENGTH], data }
      const write = elementWriter(tensor, 'bare')
      const texts = numberListText(tensor, 'bare')?.slice(1, -1).split(',') ?? []
      const wrong = texts.flatMap((text, index) => (text === write(index) ? [] : [[data[index], text, write(index)]]))
      expect([texts.length, wrong.slice(0, 5), random.seed]).toEqual([LENGTH, [], random.seed])
    }
  })

for (const kind of ['FP32', 'FP64'] as const)
  test(`two million drawn decimals are read as JSON.parse reads them, as ${kind}`, () => {
    const random = seeded(`decimals ${kind}`)
    const round = kind === 'FP32' ? Math.fround : Number
    const max = kind === 'FP32' ? 3.4028234663852886e38 : Number.MAX_VALUE
    for (let list = 0; list < ROUNDS; list += 1) {
      const texts = Array.from({ length: LENGTH }, () => drawNumber(random)).filter((text) => Math.abs(Number(text)) <= max)
      const taken = takeNumberLists(Buffer.from(`[${texts.join(',')}]`), kind)
      const { data } = JSON.parse(Buffer.from(taken?.bytes ?? []).toString(), taken?.revive) as { readonly data: Float64Array }
      const wrong = texts.filter((text, index) => !Object.is(data[index], round(JSON.parse(text))))
      expect([data.length, wrong.slice(0, 5), random.seed]).toEqual([texts.length, [], random.seed])
    }
  })
