import { describe, expect, test } from 'bun:test'
import { bestBoxes, detrBoxes, yoloBoxes } from '../../../../src/tasks/image/boxes.ts'
import type { BoxOutput } from '../../../../src/tasks/task.ts'

const OPTIONS = { threshold: 0.3, overlapMax: 0.5, isAcrossClasses: false }
const tensor = (shape: readonly number[], data: readonly number[]) =>
  ({ datatype: 'FP32', shape, data: Float32Array.from(data) }) as const
const output: BoxOutput = { form: 'yolo', output: 'o', labels: ['a', 'b'], ...OPTIONS }
/** Three boxes: place, size, and the scores of two classes. */
const ROWS = [
  [10, 20, 4, 6, 0.9, 0.2],
  [50, 50, 10, 10, 0.1, 0.4],
  [5, 5, 2, 2, 0.2, 0.1],
]
const FOUND = [
  { label: 0, score: 0.9, xmin: 8, ymin: 17, xmax: 12, ymax: 23 },
  { label: 1, score: 0.4, xmin: 45, ymin: 45, xmax: 55, ymax: 55 },
]
const rounded = (boxes: readonly { readonly score: number }[]) =>
  boxes.map((box) => ({ ...box, score: Math.round(box.score * 1000) / 1000 }))

describe('boxes of', () => {
  test('YOLO 8 and 11 are read by value, or by box where the output is turned', () => {
    const byValue = [0, 1, 2, 3, 4, 5].flatMap((value) => ROWS.map((row) => row[value] ?? 0))
    expect(rounded(yoloBoxes(tensor([1, 6, 3], byValue), output, OPTIONS))).toEqual(FOUND)
    expect(rounded(yoloBoxes(tensor([1, 3, 6], ROWS.flat()), output, OPTIONS))).toEqual(FOUND)
    expect(() => yoloBoxes(tensor([1, 7, 3], Array(21).fill(0)), output, OPTIONS)).toThrow(RangeError)
  })

  test('YOLO 5 have a score of their own, which counts for each class', () => {
    const rows = ROWS.map(([x, y, w, h, a, b], index) => [x, y, w, h, [1, 0.9, 1][index], a, b])
    const five = yoloBoxes(tensor([1, 3, 7], rows.flat() as number[]), { ...output, form: 'yolo-objectness' }, OPTIONS)
    expect(rounded(five)).toEqual([FOUND[0], { ...FOUND[1], score: 0.36 }] as never)
    const none = rows.map((row) => row.with(4, 0.1))
    expect(yoloBoxes(tensor([1, 3, 7], none.flat() as number[]), { ...output, form: 'yolo-objectness' }, OPTIONS)).toEqual([])
  })

  test('DETR are shares of the picture, with a class that is none, or with scores of their own', () => {
    const places = tensor([1, 2, 4], [0.5, 0.5, 0.2, 0.4, 0.1, 0.1, 0.1, 0.1])
    const asked = { labels: 2, threshold: 0.5, width: 100, height: 50 }
    const softmax = detrBoxes(tensor([1, 2, 3], [0, 5, 0, 5, 0, 9]), places, asked)
    expect(softmax).toHaveLength(1)
    expect(softmax[0]).toMatchObject({ label: 1, score: expect.closeTo(Math.exp(5) / (Math.exp(5) + 2), 6) })
    expect(softmax[0]?.xmin).toBeCloseTo(40, 4)
    expect(softmax[0]?.ymax).toBeCloseTo(35, 4)
    expect(rounded(detrBoxes(tensor([1, 2, 2], [0, -3, 2, -1]), places, asked)).map(({ score }) => score)).toEqual([0.5, 0.881])
    expect(() => detrBoxes(tensor([1, 2, 5], Array(10).fill(0)), places, asked)).toThrow(RangeError)
    expect(() => detrBoxes(tensor([1, 2, 3], Array(6).fill(0)), tensor([1, 1, 4], [0, 0, 0, 0]), asked)).toThrow(RangeError)
  })
})

describe('of boxes that overlap', () => {
  const box = (score: number, label: number, xmin: number) => ({ score, label, xmin, ymin: 0, xmax: xmin + 10, ymax: 10 })

  test('the best stays, of its class or of all', () => {
    const boxes = [box(0.5, 0, 1), box(0.9, 0, 0), box(0.7, 1, 2), box(0.6, 0, 30)]
    expect(bestBoxes(boxes, OPTIONS).map(({ score }) => score)).toEqual([0.9, 0.7, 0.6])
    expect(bestBoxes(boxes, { ...OPTIONS, isAcrossClasses: true }).map(({ score }) => score)).toEqual([0.9, 0.6])
    expect(bestBoxes(boxes, { ...OPTIONS, overlapMax: 1 })).toHaveLength(4)
  })

  test('only so many are looked at and given, whatever a model says', () => {
    const many = Array.from({ length: 200_000 }, (_, index) => box(0.5 + (index % 100) / 1000, 0, index * 20))
    expect(bestBoxes(many, OPTIONS)).toHaveLength(300)
  })
})
