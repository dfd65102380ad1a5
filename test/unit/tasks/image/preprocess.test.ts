import { describe, expect, test } from 'bun:test'
import { inPicture } from '../../../../src/tasks/image/placement.ts'
import { preprocess } from '../../../../src/tasks/image/preprocess.ts'
import type { ImageInput } from '../../../../src/tasks/task.ts'
import { SMALL } from '../../../support/picture-models.ts'

/** Two pixels: red of 10, green of 20, blue of 30, and each a hundred more. */
const TWO = { width: 2, height: 1, channels: 3, data: Uint8Array.from([10, 20, 30, 110, 120, 130]) } as const
const AS_IS: ImageInput = { ...SMALL, steps: [], scale: 1 }
const grey = (width: number, height: number, value = 9) =>
  ({ width, height, channels: 1, data: new Uint8Array(width * height).fill(value) }) as const
const PLAIN: ImageInput = { ...AS_IS, channels: 'grey', datatype: 'UINT8' }

describe('values', () => {
  test('are by channel or by pixel, in the order of the channels, as floats or bytes', () => {
    const valuesOf = (input: Partial<ImageInput>) => [...preprocess(TWO, { ...AS_IS, ...input }).data]
    expect(valuesOf({})).toEqual([10, 110, 20, 120, 30, 130])
    expect(valuesOf({ layout: 'NHWC' })).toEqual([10, 20, 30, 110, 120, 130])
    expect(valuesOf({ channels: 'BGR' })).toEqual([30, 130, 20, 120, 10, 110])
    expect(valuesOf({ channels: 'BGR', layout: 'NHWC', datatype: 'UINT8' })).toEqual([30, 20, 10, 130, 120, 110])
    expect(valuesOf({ channels: 'grey' })).toEqual([18, 118])
    expect(preprocess(TWO, { ...AS_IS, datatype: 'FP16' }).data).toBeInstanceOf(Float16Array)
    expect(preprocess(TWO, { ...AS_IS, layout: 'NHWC' }).shape).toEqual([1, 1, 2, 3])
    expect(preprocess(grey(2, 1), AS_IS).shape).toEqual([1, 3, 1, 2])
  })

  test('are scaled, less the mean, by the deviation of their channel, each step in 32 bits; bytes stay bytes', () => {
    const input = { ...AS_IS, scale: 1 / 255, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] }
    const { fround } = Math
    const expected = [10, 110, 20, 120, 30, 130].map((byte, index) => {
      const channel = Math.floor(index / 2)
      return fround(fround(fround(byte / 255) - fround(input.mean[channel] ?? 0)) / fround(input.std[channel] ?? 1))
    })
    expect([...preprocess(TWO, input).data]).toEqual(expected)
    expect([...preprocess(TWO, { ...input, datatype: 'UINT8' }).data]).toEqual([10, 110, 20, 120, 30, 130])
    expect([...preprocess(TWO, { ...AS_IS, mean: [5], std: [2] }).data]).toEqual([2.5, 52.5, 7.5, 57.5, 12.5, 62.5])
  })
})

describe('steps', () => {
  const sizeOf = (width: number, height: number, steps: ImageInput['steps']) => {
    const { inputWidth, inputHeight } = preprocess(grey(width, height), { ...PLAIN, steps }).placement
    return [inputWidth, inputHeight]
  }

  test('keep the ratio by the shorter side, rounded down, and bound the longer one', () => {
    const shortest = { kind: 'shortest', size: 8, filter: 'bilinear' } as const
    expect(sizeOf(30, 20, [shortest])).toEqual([12, 8])
    expect(sizeOf(20, 31, [shortest])).toEqual([8, 12])
    expect(sizeOf(200, 20, [{ ...shortest, longestMax: 40 }])).toEqual([40, 4])
  })

  test('cut the middle, with black edges where the picture is smaller', () => {
    const { data } = preprocess(grey(3, 1), { ...PLAIN, steps: [{ kind: 'crop', width: 2, height: 3 }] })
    expect([...data]).toEqual([0, 0, 9, 9, 0, 0])
    const padded = preprocess(grey(2, 1), { ...PLAIN, steps: [{ kind: 'pad', width: 3, height: 2, fill: 4 }] })
    expect([...padded.data]).toEqual([9, 9, 4, 4, 4, 4])
  })

  test('pad with the value 0 once bytes are scaled, in both layouts', () => {
    const steps = [{ kind: 'pad', width: 3, height: 2, fill: 'zero' }] as const
    const input = { ...AS_IS, steps, mean: [5], std: [5] }
    const row = (value: number, other: number) => [value, other, 0, 0, 0, 0]
    expect([...preprocess(TWO, input).data]).toEqual([...row(1, 21), ...row(3, 23), ...row(5, 25)])
    const { data } = preprocess(TWO, { ...input, layout: 'NHWC' })
    expect([...data]).toEqual([1, 3, 5, 21, 23, 25, ...Array(12).fill(0)])
  })

  test('put a picture into a border, in the middle or in the corner, and boxes back out of it', () => {
    const box = { kind: 'letterbox', width: 8, height: 8, filter: 'nearest', fill: 1 } as const
    for (const [place, top] of [['center', 2] as const, ['start', 0] as const]) {
      const { data, placement } = preprocess(grey(16, 8), { ...PLAIN, steps: [{ ...box, place }] })
      const rows = Array.from({ length: 8 }, (_, y) => data[y * 8])
      expect(rows).toEqual(Array.from({ length: 8 }, (_, y) => (y >= top && y < top + 4 ? 9 : 1)))
      const found = { xmin: 1, ymin: top + 1, xmax: 3, ymax: top + 9 }
      expect(inPicture(found, placement)).toEqual({ xmin: 2, ymin: 2, xmax: 6, ymax: 8 })
    }
  })

  test('follow each other, and so do the places in the picture', () => {
    const steps = [
      { kind: 'shortest', size: 10, filter: 'bilinear' },
      { kind: 'crop', width: 10, height: 10 },
    ] as const
    const { placement } = preprocess(grey(40, 20), { ...PLAIN, steps })
    expect(inPicture({ xmin: 0, ymin: 0, xmax: 10, ymax: 10 }, placement)).toEqual({ xmin: 10, ymin: 0, xmax: 30, ymax: 20 })
  })

  test('that would make a picture too large are rejected', () => {
    const shortest = { kind: 'shortest', size: 224, filter: 'bilinear' } as const
    expect(() => sizeOf(1, 60_000, [shortest])).toThrow(RangeError)
    const letterbox = { kind: 'letterbox', width: 64, height: 64, filter: 'bilinear', fill: 0, place: 'start' } as const
    expect(() => sizeOf(1, 60_000, [letterbox])).toThrow(RangeError)
    expect(sizeOf(1, 60_000, [{ kind: 'warp', width: 4, height: 4, filter: 'bilinear' }])).toEqual([4, 4])
  })
})
