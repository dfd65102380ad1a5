import { expect, test } from 'bun:test'
import { VestalError } from '../../src/core/errors.ts'
import { DATATYPES, type Datatype } from '../../src/tensor/datatypes.ts'
import { parseJson } from '../../src/tensor/exact-json.ts'
import { decodeInferRequest } from '../../src/tensor/request.ts'
import { encodeInferResponse } from '../../src/tensor/response.ts'
import { decodeRows, encodeRows } from '../../src/tensor/rows.ts'
import { elementCount } from '../../src/tensor/shape.ts'
import type { Tensor, TensorData } from '../../src/tensor/tensor.ts'
import { below, type Random, seeded } from '../support/seed.ts'

const NAMES = Object.keys(DATATYPES) as Datatype[]

function drawData(random: Random, datatype: Datatype, count: number): TensorData {
  const facts = DATATYPES[datatype]
  switch (facts.kind) {
    case 'text':
      return Array.from({ length: count }, () => drawText(random))
    case 'boolean':
      return new Uint8Array(count).map(() => below(random, 2))
    case 'integer': {
      const data = new facts.array(count)
      for (let index = 0; index < count; index += 1) data[index] = facts.min + below(random, facts.max - facts.min + 1)
      return data
    }
    case 'big-integer': {
      const data = new facts.array(count)
      const range = facts.max - facts.min
      for (let index = 0; index < count; index += 1)
        data[index] = facts.min + (BigInt(below(random, 2 ** 53)) * range) / 2n ** 53n
      return data
    }
    case 'float': {
      const data = new facts.array(count)
      for (let index = 0; index < count; index += 1) data[index] = (random() - 0.5) * 10 ** (below(random, 8) - 4)
      return data
    }
  }
}

function drawText(random: Random): string {
  const letters = ['a', '"', '\\', '\n', 'é', '漢', '😀', '\u2028', '<', '\u007f']
  return Array.from({ length: below(random, 8) }, () => letters[below(random, letters.length)]).join('')
}

test('a tensor comes back from its JSON as it was', () => {
  const random = seeded('tensor')
  for (let round = 0; round < 400; round += 1) {
    const datatype = NAMES[below(random, NAMES.length)] ?? 'FP32'
    const shape = Array.from({ length: below(random, 4) }, () => below(random, 4))
    const tensor: Tensor = { datatype, shape, data: drawData(random, datatype, elementCount(shape)) }
    const spec = { name: 'x', datatype, shape: shape.map((dimension) => (random() < 0.5 ? -1 : dimension)) }
    const outputs = [{ name: 'x', tensor, isBinary: false }]
    const { json } = encodeInferResponse({ modelName: 'm', modelVersion: '1', id: undefined, outputs })
    const { outputs: written } = parseJson(Buffer.from(json), { exactIntegers: true }) as { outputs: unknown }
    const { inputs } = decodeInferRequest({ inputs: written }, { model: 'm', inputs: [spec], outputs: [] })
    expect([inputs.get('x'), random.seed]).toEqual([tensor, random.seed])
  }
})

test('tensors come back from JSON and binary data, mixed, as they were', () => {
  const random = seeded('binary')
  for (let round = 0; round < 400; round += 1) {
    const tensors = Array.from({ length: 1 + below(random, 4) }, (_, index) => {
      const datatype = NAMES[below(random, NAMES.length)] ?? 'FP32'
      const shape = Array.from({ length: below(random, 3) }, () => below(random, 4))
      const tensor: Tensor = { datatype, shape, data: drawData(random, datatype, elementCount(shape)) }
      return { name: `x${index}`, tensor, isBinary: random() < 0.7 }
    })
    const answer = encodeInferResponse({ modelName: 'm', modelVersion: '1', id: 'a'.repeat(below(random, 9)), outputs: tensors })
    // Blobs begin at every distance from a multiple of eight.
    const body = new Uint8Array(Buffer.concat([Buffer.from(answer.json), ...answer.blobs]))
    const { outputs: written } = parseJson(Buffer.from(answer.json), { exactIntegers: true }) as { outputs: unknown }
    const inputs = tensors.map(({ name, tensor: { datatype, shape } }) => ({ name, datatype, shape }))
    const rest = body.subarray(Buffer.byteLength(answer.json))
    const read = decodeInferRequest({ inputs: written }, { model: 'm', inputs, outputs: [] }, rest).inputs
    expect([[...read], random.seed]).toEqual([tensors.map(({ name, tensor }) => [name, tensor]), random.seed])
  }
})

test('rows come back from their JSON as they were', () => {
  const random = seeded('rows')
  for (let round = 0; round < 400; round += 1) {
    const datatype = NAMES[below(random, NAMES.length)] ?? 'FP32'
    const shape = [1 + below(random, 3), ...Array.from({ length: below(random, 3) }, () => 1 + below(random, 3))]
    const tensor: Tensor = { datatype, shape, data: drawData(random, datatype, elementCount(shape)) }
    const spec = { name: 'x', datatype, shape: [-1, ...shape.slice(1)] }
    for (const form of ['rows', 'columns'] as const) {
      const json = encodeRows(new Map([['x', tensor]]), [spec], { form, labels: new Map() })
      const rows = decodeRows(parseJson(Buffer.from(json), { exactIntegers: true }), [spec])
      expect([rows.get('x'), random.seed]).toEqual([tensor, random.seed])
    }
  }
})

/** True for elements that INT64 holds, nested in any way: written apart from the decoder, which it judges. */
function areLongIntegers(data: unknown): data is readonly unknown[] {
  const isOne = (element: unknown) => {
    if (Array.isArray(element)) return areLongIntegers(element)
    const isInteger = typeof element === 'bigint' || (typeof element === 'number' && Number.isInteger(element))
    return isInteger && BigInt(element) >= -(2n ** 63n) && BigInt(element) < 2n ** 63n
  }
  return Array.isArray(data) && data.every(isOne)
}

test('nothing that a client sends makes anything but tensors of the model or a VestalError', () => {
  const random = seeded('nonsense')
  const values = [
    null,
    1,
    -1,
    1.5,
    Number.POSITIVE_INFINITY,
    'x',
    '',
    true,
    [],
    {},
    [[]],
    [1, [2]],
    [[1, 2]],
    [3, 4],
    [1, 'a'],
    [2 ** 64, 1],
    [[1, 2], [3]],
    { name: 'x' },
    2 ** 60,
    ['a'],
    10n ** 30n,
    [10n ** 30n, 1],
    [1, 2, 3],
  ]
  const draw = (): unknown => values[below(random, values.length)]
  const specs = [{ name: 'x', datatype: 'INT64' as const, shape: [-1, 2] }]
  const counts = { accepted: 0, rejected: 0 }
  const attempt = (sent: unknown, data: unknown, work: () => ReadonlyMap<string, Tensor>) => {
    try {
      const tensor = work().get('x')
      counts.accepted += 1
      // What is accepted is what was sent, whole and in its order.
      const flat = areLongIntegers(data) ? data.flat(9).map((element) => BigInt(element as number)) : 'nothing that fits'
      const shape = [Array.isArray(flat) ? flat.length / 2 : -1, 2]
      const expected = { datatype: 'INT64', shape, data: Array.isArray(flat) ? BigInt64Array.from(flat) : flat }
      expect([sent, tensor, random.seed]).toEqual([sent, expected as unknown as Tensor, random.seed])
    } catch (error) {
      if (!(error instanceof VestalError)) throw error
      counts.rejected += 1
    }
  }
  for (let round = 0; round < 3000; round += 1) {
    const data = draw()
    const shape = random() < 0.7 ? [1, 2] : draw()
    const input = { name: random() < 0.8 ? 'x' : draw(), shape, datatype: random() < 0.8 ? 'INT64' : draw(), data }
    const body = {
      id: random() < 0.7 ? 'a' : draw(),
      inputs: random() < 0.8 ? [{ ...input, parameters: random() < 0.7 ? {} : draw() }] : draw(),
      outputs: random() < 0.7 ? [] : draw(),
    }
    attempt(
      body,
      data,
      () => decodeInferRequest(random() < 0.9 ? body : draw(), { model: 'm', inputs: specs, outputs: specs }).inputs,
    )
    const rows = random() < 0.5 ? { x: data } : data
    attempt(rows, data, () => decodeRows(rows, specs))
  }
  // A decoder that takes everything, or nothing, would have passed until here.
  expect([counts.accepted > 100, counts.rejected > 1000, random.seed]).toEqual([true, true, random.seed])
})
