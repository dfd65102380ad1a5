import { describe, expect, test } from 'bun:test'
import type { Datatype } from '../../../src/tensor/datatypes.ts'
import { elementsOf, elementWriter, shortestFloat16, shortestFloat32 } from '../../../src/tensor/numbers.ts'
import type { TensorData } from '../../../src/tensor/tensor.ts'
import { seeded } from '../../support/seed.ts'

describe('a float', () => {
  const cases: readonly (readonly [value: number, text: string])[] = [
    [0, '0'],
    [-0, '0'],
    [1, '1'],
    [-1.5, '-1.5'],
    [Math.fround(0.1), '0.1'],
    [Math.fround(1 / 3), '0.33333334'],
    [Math.fround(1e-10), '1e-10'],
    [Math.fround(3.4028234663852886e38), '3.4028235e+38'],
    [Math.fround(1e-45), '1e-45'],
    [16_777_216, '16777216'],
    [Math.fround(123.456), '123.456'],
    [Math.fround(-1e-4), '-0.0001'],
    [Math.fround(9.999999e-5), '0.00009999999'],
    [Math.fround(3.4239454e-7), '3.4239454e-7'],
    [Math.fround(1e-13), '1e-13'],
    [Math.fround(9.9e-14), '9.9e-14'],
  ]
  for (const [value, text] of cases) {
    test(`of 32 bits, ${value}, is written as ${text}`, () => {
      expect(shortestFloat32(value)).toBe(text)
    })
  }

  test('of 32 bits reads back as itself, whatever its bits are', () => {
    const random = seeded('float32')
    const bits = new Uint32Array(1)
    const float = new Float32Array(bits.buffer)
    for (let index = 0; index < 20_000; index += 1) {
      bits[0] = random() * 2 ** 32
      const value = float[0] ?? 0
      if (!Number.isFinite(value)) continue
      const text = shortestFloat32(value)
      if (Math.fround(Number(text)) !== value) throw new Error(`${value} was written as ${text}; ${random.seed}`)
      expect(text.replace(/e.*|[-.]/g, '').replace(/^0+|0+$/g, '').length).toBeLessThanOrEqual(9)
    }
  })

  test('of 32 bits has the fewest digits from six up that read back as itself, as trying them finds', () => {
    const random = seeded('float32 digits')
    const float = new Float32Array(1)
    for (let power = -16; power < 5; power += 1) {
      for (let index = 0; index < 500; index += 1) {
        // The first is the power of ten itself, where the scale changes.
        float[0] = index === 0 ? 10 ** power : (1 + random() * 9) * 10 ** power
        const value = float[0] ?? 0
        const digits = [6, 7, 8].find((count) => Math.fround(Number(value.toPrecision(count))) === value) ?? 9
        const text = shortestFloat32(value)
        if (text !== String(Number(value.toPrecision(digits)))) throw new Error(`${value} was written as ${text}; ${random.seed}`)
      }
    }
  })

  test('of 16 bits reads back as itself: all of them', () => {
    const floats = new Float16Array(new Uint16Array(65_536).map((_, index) => index).buffer)
    for (const value of floats) {
      if (Number.isFinite(value)) expect(Math.f16round(Number(shortestFloat16(value)))).toBe(value === 0 ? 0 : value)
    }
  })
})

describe('an element', () => {
  test('is JSON, whatever the datatype is', () => {
    const write = (datatype: 'BYTES' | 'BOOL' | 'INT64' | 'FP64' | 'INT8', data: never) =>
      elementWriter({ datatype, shape: [1], data }, 'texts')(0)
    expect(write('BYTES', ['a"\n'] as never)).toBe('"a\\"\\n"')
    expect(write('BOOL', new Uint8Array([1]) as never)).toBe('true')
    expect(write('INT64', new BigInt64Array([-(2n ** 63n)]) as never)).toBe('-9223372036854775808')
    expect(write('FP64', new Float64Array([0.1]) as never)).toBe('0.1')
    expect(write('INT8', new Int8Array([-128]) as never)).toBe('-128')
  })

  test('keeps the sign of a zero, in every width', () => {
    for (const [datatype, data] of [
      ['FP16', new Float16Array([-0, 0])],
      ['FP32', new Float32Array([-0, 0])],
      ['FP64', new Float64Array([-0, 0])],
    ] as const) {
      const write = elementWriter({ datatype, shape: [2], data }, 'texts')
      expect([write(0), write(1)]).toEqual(['-0', '0'])
      expect(Object.is(JSON.parse(write(0)), -0)).toBe(true)
      expect(JSON.stringify(elementsOf({ datatype, shape: [2], data }))).toBe('[-0,0]')
    }
  })

  test('in a whole tensor is written as it is alone', () => {
    const random = seeded('elements')
    const bits = new Uint32Array(2_000).map(() => random() * 2 ** 32)
    const tensors: readonly (readonly [Datatype, TensorData])[] = [
      ['FP32', new Float32Array(bits.buffer).map((value) => (Number.isFinite(value) ? value : -0))],
      ['FP32', new Float32Array(bits.buffer).map((value) => (Number.isFinite(value) ? value : 0))],
      ['FP32', new Float32Array(500).map(() => random() ** 8)],
      ['FP64', new Float64Array(bits.buffer).map((value) => (Number.isFinite(value) ? value : 1e21))],
      ['FP16', new Float16Array(bits.buffer).map((value) => (Number.isFinite(value) ? value : 0.1))],
      ['INT8', new Int8Array(bits.buffer)],
      ['UINT32', bits],
      ['INT64', new BigInt64Array(bits.buffer)],
      ['UINT64', new BigUint64Array(bits.buffer)],
      ['BOOL', new Uint8Array([0, 1, 1])],
      ['BYTES', ['a"\n', '漢😀', '\ud800', '']],
      ['FP32', new Float32Array(0)],
      ['BYTES', []],
      ['INT64', new BigInt64Array(0)],
    ]
    for (const [datatype, data] of tensors) {
      const tensor = { datatype, shape: [data.length], data }
      const write = elementWriter(tensor, 'texts')
      const alone = Array.from({ length: data.length }, (_, index) => write(index))
      expect(JSON.stringify(elementsOf(tensor))).toBe(`[${alone.join(',')}]`)
    }
  })

  for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    test(`that is ${value} is a string or a bare word, since JSON has no number for it`, () => {
      for (const [datatype, data] of [
        ['FP16', new Float16Array([1, value])],
        ['FP32', new Float32Array([1, value])],
        ['FP64', new Float64Array([1, value])],
      ] as const) {
        const tensor = { datatype, shape: [2], data }
        expect([elementWriter(tensor, 'texts')(1), elementWriter(tensor, 'bare')(1)]).toEqual([`"${value}"`, String(value)])
        expect([elementWriter(tensor, 'texts')(0), elementWriter(tensor, 'bare')(0)]).toEqual(['1', '1'])
        expect(elementsOf(tensor)).toBeUndefined()
      }
    })
  }
})
