import { describe, expect, test } from 'bun:test'
import { VestalError } from '../../../../src/core/errors.ts'
import type { TaskCall } from '../../../../src/tasks/call.ts'
import { bestBoxes, detrBoxes, yoloBoxes } from '../../../../src/tasks/image/boxes.ts'
import { classifyImages } from '../../../../src/tasks/image/classify-images.ts'
import type { PictureDecoder } from '../../../../src/tasks/image/decoder.ts'
import { detect } from '../../../../src/tasks/image/detect.ts'
import { masksOf } from '../../../../src/tasks/image/masks.ts'
import { framed } from '../../../../src/tasks/image/pixels.ts'
import { inPicture, type Placement } from '../../../../src/tasks/image/placement.ts'
import { preprocess, stepped } from '../../../../src/tasks/image/preprocess.ts'
import { segment } from '../../../../src/tasks/image/segment.ts'
import type { BoxOutput, ImageInput, TaskDescription } from '../../../../src/tasks/task.ts'
import type { Datatype } from '../../../../src/tensor/datatypes.ts'
import { channelTask, colourTask, SMALL } from '../../../support/picture-models.ts'

/** A picture of 8×8 pixels that a model gets as 4×4. */
const PLACEMENT: Placement = {
  width: 8,
  height: 8,
  scaleX: 0.5,
  scaleY: 0.5,
  offsetX: 0,
  offsetY: 0,
  inputWidth: 4,
  inputHeight: 4,
}
const tensor = (shape: readonly number[], data: readonly number[] = [], datatype: Datatype = 'FP32') => ({
  datatype,
  shape,
  data: Float32Array.from({ length: shape.reduce((product, size) => product * size, 1) }, (_, index) => data[index] ?? 0),
})

/** Decodes nothing: each picture is the same tensor, and what names one of them fails. */
function decoderOf(placement = PLACEMENT, failure?: (byte: number) => unknown): PictureDecoder {
  return {
    async prepare([byte = 0]) {
      const failed = failure?.(byte)
      if (failed !== undefined) throw failed
      return { tensor: tensor([1, 3, 4, 4]), placement }
    },
    masks: async ({ shape: [classes = 0] }) =>
      Array.from({ length: classes }, (_, label) => ({ label, png: new Uint8Array(label + 1) })),
  }
}

type Outputs = Readonly<Record<string, ReturnType<typeof tensor>>>

const callOf = (task: TaskDescription, outputs: Outputs, more: Partial<TaskCall> = {}): TaskCall => ({
  task,
  inputs: [],
  infer: async () => new Map(Object.entries(outputs)),
  pictures: decoderOf(),
  ...more,
})
const pictures = (count: number) => Array.from({ length: count }, (_, index) => Uint8Array.of(index))
const colours = (more: Partial<TaskCall> = {}, scores = tensor([1, 3], [1, 3, 2])) => callOf(colourTask, { scores }, more)
const failed = (detail: string) => ({ code: 'INFERENCE_FAILED', detail })

describe('pictures of one request', () => {
  test('are as many as the most, the server’s or that of all, and at least one', async () => {
    expect(await classifyImages(colours(), pictures(16))).toHaveLength(16)
    const tooMany = (count: number, most: number) => ({
      code: 'INPUTS_TOO_MANY',
      detail: `The request has ${count} pictures; the most is ${most}: send them in several requests`,
    })
    expect(classifyImages(colours(), pictures(17))).rejects.toMatchObject(tooMany(17, 16))
    expect(classifyImages(colours({ limits: { itemsMax: 2 } }), pictures(3))).rejects.toMatchObject(tooMany(3, 2))
    expect(await classifyImages(colours({ limits: { itemsMax: 2 } }), pictures(2))).toHaveLength(2)
    expect(classifyImages(colours({ limits: { itemsMax: 2048 } }), pictures(17))).rejects.toMatchObject(tooMany(17, 16))
    expect(classifyImages(colours(), [])).rejects.toMatchObject({ code: 'INPUT_INVALID', detail: 'The request has no picture' })
  })

  test('have at most 20 MiB each, and the one that has more is named', async () => {
    const [most, more] = [new Uint8Array(20 * 1024 * 1024), new Uint8Array(20 * 1024 * 1024 + 1)]
    expect(await classifyImages(colours(), [most])).toHaveLength(1)
    const tooLarge = (name: string) => ({ code: 'BODY_TOO_LARGE', detail: `${name} has 20971521 bytes; the most is 20971520` })
    expect(classifyImages(colours(), [more])).rejects.toMatchObject(tooLarge('The picture'))
    expect(classifyImages(colours(), [most, more])).rejects.toMatchObject(tooLarge('Picture 2 of 2'))
  })

  test('that cannot be read are named among others, and what else fails stays as it is', async () => {
    const failing = (error: unknown) => ({ pictures: decoderOf(PLACEMENT, (byte) => (byte === 1 ? error : undefined)) })
    const invalid = new VestalError('INPUT_INVALID', { detail: 'The picture is broken' })
    const unreadable = new VestalError('MEDIA_UNREADABLE', { detail: 'The picture is no picture' })
    const full = new VestalError('QUEUE_FULL', { detail: 'The picture waits' })
    expect(classifyImages(colours(failing(invalid)), pictures(3))).rejects.toMatchObject({
      code: 'INPUT_INVALID',
      detail: 'Picture 2 of 3 is broken',
    })
    expect(classifyImages(colours(failing(unreadable)), pictures(2))).rejects.toMatchObject({
      code: 'MEDIA_UNREADABLE',
      detail: 'Picture 2 of 2 is no picture',
    })
    expect(classifyImages(colours(failing(invalid)), [Uint8Array.of(1)])).rejects.toBe(invalid)
    expect(classifyImages(colours(failing(full)), pictures(2))).rejects.toBe(full)
    const named = new VestalError('INPUT_INVALID', { detail: { input: 'is wrong' } })
    expect(classifyImages(colours(failing(named)), pictures(2))).rejects.toBe(named)
    const bug = new Error('The picture')
    expect(classifyImages(colours(failing(bug)), pictures(2))).rejects.toBe(bug)
  })

  test('are held as tensors while they are computed, and given up where the caller is gone', async () => {
    const held: number[] = []
    await classifyImages(colours({ hold: (bytes) => void held.push(bytes) }), pictures(2))
    expect(held).toEqual([192, 192])
    expect(classifyImages(colours({ signal: AbortSignal.abort() }), pictures(1))).rejects.toMatchObject({
      code: 'REQUEST_ABORTED',
    })
  })

  test('are not decoded everywhere, and not by a model of something else', async () => {
    const { pictures: _, ...without } = colours()
    expect(classifyImages(without, pictures(1))).rejects.toMatchObject({ code: 'UNSUPPORTED' })
    const mismatch = (task: string, asked: string) => ({
      code: 'TASK_MISMATCH',
      detail: `The model is for the task ${task}; this asks for ${asked}`,
    })
    expect(classifyImages(callOf(channelTask, {}), pictures(1))).rejects.toMatchObject(mismatch('segment', 'image-classify'))
    expect(detect(colours(), pictures(1))).rejects.toMatchObject(mismatch('image-classify', 'detect'))
    expect(segment(colours(), pictures(1))).rejects.toMatchObject(mismatch('image-classify', 'segment'))
  })
})

describe('labels of a picture', () => {
  test('are sorted, as many as are asked for, with the activation of the model or another', async () => {
    const [first] = await classifyImages(colours(), pictures(1))
    expect(first).toEqual([
      { label: 'green', score: 3 },
      { label: 'blue', score: 2 },
      { label: 'red', score: 1 },
    ])
    const [one] = await classifyImages(colours(), pictures(1), { topK: 1, activation: 'sigmoid' })
    expect(one).toEqual([{ label: 'green', score: 1 / (1 + Math.exp(-3)) }])
  })

  test('fail where the model gives something else', async () => {
    const ask = (outputs: Outputs) => classifyImages(callOf(colourTask, outputs), pictures(1))
    const needs = (got: string) =>
      failed(`The output "scores" of the model is ${got}; its task needs 3 floating-point numbers, one for each label`)
    expect(ask({ scores: tensor([1, 2]) })).rejects.toMatchObject(needs('FP32 [1,2]'))
    expect(ask({ other: tensor([1, 3]) })).rejects.toMatchObject(needs('missing'))
    expect(ask({ scores: tensor([1, 3], [], 'INT32') })).rejects.toMatchObject(needs('INT32 [1,3]'))
  })
})

describe('boxes of a picture', () => {
  const yolo: BoxOutput = {
    form: 'yolo',
    output: 'y',
    labels: ['cat', 'dog'],
    threshold: 0.5,
    overlapMax: 0.5,
    isAcrossClasses: false,
  }
  const task = (boxes: BoxOutput): TaskDescription => ({ task: 'detect', sources: {}, image: SMALL, boxes })
  /** Two boxes at the same place, and one elsewhere. */
  const ROWS = [
    [1, 1, 2, 2, 0.6, 0.1],
    [1, 1, 2, 2, 0.9, 0.1],
    [3, 3, 2, 2, 0.1, 0.7],
  ]
  const found = (call: TaskCall, options = {}) =>
    detect(call, pictures(1), options).then(([each]) =>
      each?.map(({ label, score, box }) => [label, Math.round(score * 100) / 100, ...Object.values(box)]),
    )

  test('are in pixels of the picture, best first, with the thresholds of the model or of the request', async () => {
    const call = callOf(task(yolo), { y: tensor([1, 3, 6], ROWS.flat()) })
    expect(await found(call)).toEqual([
      ['cat', 0.9, 0, 0, 4, 4],
      ['dog', 0.7, 4, 4, 8, 8],
    ])
    expect((await found(call, { threshold: 0.8 }))?.length).toBe(1)
    expect((await found(call, { overlapMax: 1 }))?.map(([, score]) => score)).toEqual([0.9, 0.7, 0.6])
    const named = callOf(task({ ...yolo, labels: ['cat'] }), { y: tensor([1, 3, 5], [1, 1, 2, 2, 0.9]) })
    expect(await found(named)).toEqual([['cat', 0.9, 0, 0, 4, 4]])
  })

  test('of DETR are sorted, and shares of what the model gets', async () => {
    const detr = { ...yolo, form: 'detr', output: 'l', threshold: 0.1 } as const
    const logits = tensor([1, 2, 2], [1, 0, 3, 0])
    const places = tensor([1, 2, 4], [0.25, 0.25, 0.5, 0.5, 0.75, 0.75, 0.5, 0.5])
    const expected = [
      ['cat', 0.95, 4, 4, 8, 8],
      ['cat', 0.73, 0, 0, 4, 4],
    ]
    expect(await found(callOf(task(detr), { l: logits, pred_boxes: places }))).toEqual(expected)
    expect(await found(callOf(task({ ...detr, boxes: 'b' }), { l: logits, b: places }))).toEqual(expected)
  })

  test('fail where the model gives something else, and a bug of ours stays one', async () => {
    expect(found(callOf(task(yolo), { y: tensor([1, 3, 9]) }))).rejects.toMatchObject(
      failed('The output "y" of the model has the shape [1,3,9]; 2 classes need 6 values for each box'),
    )
    const { boxes: _, ...without } = task(yolo)
    expect(found(callOf(without, {}))).rejects.toMatchObject(failed('The output "boxes" of the model is not described'))
    const bug = new TypeError('a bug')
    const broken = callOf(
      task(yolo),
      {},
      {
        infer: async () =>
          ({
            get: () => {
              throw bug
            },
          }) as never,
      },
    )
    expect(found(broken)).rejects.toBe(bug)
  })

  test('have at least the threshold, and overlap by no more than is allowed', () => {
    const options = { threshold: 0.5, overlapMax: 0.5, isAcrossClasses: true }
    const rows = (...scores: readonly number[]) =>
      tensor(
        [1, scores.length, 5],
        scores.flatMap((score) => [0, 0, 1, 1, score]),
      )
    expect(yoloBoxes(rows(0.5, 0.49), { ...yolo, labels: ['a'] }, options)).toHaveLength(1)
    const detr = (threshold: number) =>
      detrBoxes(tensor([1, 1, 1]), tensor([1, 1, 4]), { labels: 1, threshold, width: 1, height: 1 })
    expect([detr(0.5).length, detr(0.51).length]).toEqual([1, 0])
    const box = (score: number, xmin: number, ymin = 0) => ({ label: 0, score, xmin, ymin, xmax: xmin + 3, ymax: ymin + 1 })
    // Two of four pixels that both cover are of both.
    expect(bestBoxes([box(0.9, 0), box(0.8, 1)], options)).toHaveLength(2)
    expect(bestBoxes([box(0.9, 0), box(0.8, 1)], { ...options, overlapMax: 0.49 })).toHaveLength(1)
    expect(bestBoxes([box(0.9, 0), box(0.8, 3)], { ...options, overlapMax: 0 })).toHaveLength(2)
    expect(bestBoxes([box(0.9, 0), box(0.8, 0, 1)], { ...options, overlapMax: 0 })).toHaveLength(2)
    expect(bestBoxes([box(0.9, 0), box(0.8, 9, 9)], { ...options, overlapMax: 0 })).toHaveLength(2)
    expect(bestBoxes([box(0.9, 0), box(0.8, 0, -0.5)], { ...options, overlapMax: 0.3 })).toHaveLength(1)
  })

  test('of as many values as boxes are read by value, and with objectness by box', () => {
    const options = { threshold: 0.5, overlapMax: 1, isAcrossClasses: false }
    const square = tensor([1, 5, 5], [...Array(20).fill(2), 0.9, 0, 0, 0, 0])
    expect(yoloBoxes(square, { ...yolo, labels: ['a'] }, options)).toMatchObject([
      { score: expect.closeTo(0.9, 5), xmin: 1, xmax: 3 },
    ])
    const byBox = tensor([1, 6, 6], [2, 2, 2, 2, 0.9, 1])
    expect(yoloBoxes(byBox, { ...yolo, form: 'yolo-objectness', labels: ['a'] }, options)).toMatchObject([
      { score: expect.closeTo(0.9, 5) },
    ])
    expect(() => yoloBoxes(tensor([5, 5]), { ...yolo, labels: ['a'] }, options)).toThrow(RangeError)
  })

  test('are looked at up to the 3000th best', () => {
    const many = Array.from({ length: 3001 }, (_, index) => ({
      label: index < 3000 ? 0 : 1,
      score: 1 - index / 10_000,
      xmin: 0,
      ymin: 0,
      xmax: 1,
      ymax: 1,
    }))
    const options = { threshold: 0, overlapMax: 0.5, isAcrossClasses: false }
    expect(bestBoxes(many, options)).toHaveLength(1)
    expect(bestBoxes(many.slice(1), options)).toHaveLength(2)
  })

  test('are cut off at the edges of the picture', () => {
    const placement = { ...PLACEMENT, height: 6, offsetX: 1, offsetY: 2 }
    expect(inPicture({ xmin: 0, ymin: 0, xmax: 10, ymax: 10 }, placement)).toEqual({ xmin: 0, ymin: 0, xmax: 8, ymax: 6 })
    expect(inPicture({ xmin: 2, ymin: 3, xmax: 4, ymax: 4 }, placement)).toEqual({ xmin: 2, ymin: 2, xmax: 6, ymax: 4 })
  })
})

describe('masks of a picture', () => {
  const logits = tensor([1, 3, 4, 4])

  test('are those of its labels, held by their bytes', async () => {
    const held: number[] = []
    const [found] = await segment(callOf(channelTask, { logits }, { hold: (bytes) => void held.push(bytes) }), pictures(1))
    expect(found?.map(({ label, png }) => [label, png.length])).toEqual([
      ['red', 1],
      ['green', 2],
      ['blue', 3],
    ])
    expect(held).toEqual([192, 6])
  })

  test('fail where the model gives something else, or the picture is too large', async () => {
    const needs = (shape: string) =>
      failed(`The output "logits" of the model has the shape [${shape}]; [1,3,height,width] is needed`)
    const ask = (output: ReturnType<typeof tensor>, placement = PLACEMENT) =>
      segment(callOf(channelTask, { logits: output }, { pictures: decoderOf(placement) }), pictures(1))
    for (const shape of [
      [2, 3, 4, 4],
      [1, 3, 4],
      [1, 2, 4, 4],
    ])
      expect(ask(tensor(shape))).rejects.toMatchObject(needs(shape.join()))
    const side = 40_000
    expect(ask(logits, { ...PLACEMENT, width: side, height: side })).rejects.toMatchObject({
      code: 'INPUT_INVALID',
      detail: 'The picture has too many pixels (40000×40000) for masks of 3 classes; send a smaller one',
    })
    expect(await ask(logits, { ...PLACEMENT, width: 40_000, height: 33_333 })).toHaveLength(1)
    const { masks: _, ...without } = channelTask
    expect(segment(callOf(without, { logits }), pictures(1))).rejects.toMatchObject(
      failed('The output "masks" of the model is not described'),
    )
  })

  const exact = (width: number, height: number): Placement => ({
    width,
    height,
    scaleX: 1,
    scaleY: 1,
    offsetX: 0,
    offsetY: 0,
    inputWidth: width,
    inputHeight: height,
  })
  const drawn = (data: readonly number[], { classes = 2, width = 2, height = 1 } = {}, placement = exact(width, height)) =>
    [...masksOf({ classes, width, height, data }, placement)].map(({ label, data: mask }) => [label, ...mask])

  test('have the best class of each pixel, of equal ones the first, and no class that no pixel has', () => {
    expect(drawn([1, 0, 0, 1])).toEqual([
      [0, 255, 0],
      [1, 0, 255],
    ])
    expect(drawn([0, 1, 1, 0]).map(([label]) => label)).toEqual([0, 1])
    expect(drawn([1, 1, 1, 1])).toEqual([[0, 255, 255]])
    expect(drawn([0, 0, 1, 1])).toEqual([[1, 255, 255]])
    expect(drawn([1, 0, 0, 1], { width: 1, height: 2 })).toEqual([
      [0, 255, 0],
      [1, 0, 255],
    ])
  })

  test('of one class are where it is more than 0', () => {
    expect(drawn([0, 0.1], { classes: 1 })).toEqual([[0, 0, 255]])
    expect(drawn([-1, 0], { classes: 1 })).toEqual([])
  })

  test('are enlarged linearly in both directions', () => {
    // Four pixels for two: their middles are a quarter before, between and behind.
    expect(drawn([1, -1], { classes: 1 }, { ...exact(2, 1), width: 4, scaleX: 0.5 })).toEqual([[0, 255, 255, 0, 0]])
    expect(drawn([3, -1], { classes: 1 }, { ...exact(2, 1), width: 4, scaleX: 0.5 })).toEqual([[0, 255, 255, 0, 0].with(3, 0)])
    expect(drawn([5, -1], { classes: 1 }, { ...exact(2, 1), width: 4, scaleX: 0.5 })).toEqual([[0, 255, 255, 255, 0]])
    expect(drawn([5, -1], { classes: 1, width: 1, height: 2 }, { ...exact(1, 2), height: 4, scaleY: 0.5 })).toEqual([
      [0, 255, 255, 255, 0],
    ])
  })

  test('lie where the picture lay in what the model got', () => {
    const placement = { ...exact(4, 1), width: 2, offsetX: 2 }
    expect(drawn([1, 1, -1, 1], { classes: 1, width: 4 }, placement)).toEqual([[0, 0, 255]])
  })
})

describe('a frame', () => {
  const picture = { width: 3, height: 2, channels: 1, data: Uint8Array.from([1, 2, 3, 4, 5, 6]) } as const
  const cut = (left: number, top: number, width: number, height: number) => [
    ...framed(picture, { left, top, width, height, fill: 9 }).data,
  ]

  test('cuts a picture at each side, and fills what lies outside', () => {
    expect(cut(1, 0, 2, 2)).toEqual([2, 3, 5, 6])
    expect(cut(0, 1, 3, 1)).toEqual([4, 5, 6])
    expect(cut(-1, 0, 2, 1)).toEqual([9, 1])
    expect(cut(2, 1, 2, 2)).toEqual([6, 9, 9, 9])
    expect(cut(0, -1, 1, 2)).toEqual([9, 1])
    expect([cut(3, 0, 1, 1), cut(-1, 0, 1, 1), cut(0, 2, 1, 1), cut(0, -1, 1, 1)]).toEqual([[9], [9], [9], [9]])
  })
})

describe('steps at their limits', () => {
  const grey = (width: number, height: number) => ({ width, height, channels: 1, data: new Uint8Array(width * height) }) as const
  const INPUT: ImageInput = { ...SMALL, channels: 'grey', datatype: 'UINT8', scale: 1 }
  const sizeOf = (width: number, height: number, ...steps: ImageInput['steps']) => {
    const { inputWidth, inputHeight } = preprocess(grey(width, height), { ...INPUT, steps }).placement
    return [inputWidth, inputHeight]
  }
  const shortest = (size: number, longestMax?: number) =>
    ({ kind: 'shortest', size, filter: 'nearest', ...(longestMax !== undefined && { longestMax }) }) as const
  const warp = (width: number, height: number) => ({ kind: 'warp', width, height, filter: 'nearest' }) as const
  const letterbox = (width: number, height: number) =>
    ({ kind: 'letterbox', width, height, filter: 'nearest', fill: 1, place: 'center' }) as const

  test('bound the longer side only where it is longer', () => {
    expect([sizeOf(20, 10, shortest(4, 8)), sizeOf(20, 10, shortest(4, 7))]).toEqual([
      [8, 4],
      [7, 3],
    ])
    expect([sizeOf(10, 10, shortest(4)), sizeOf(10, 21, shortest(4)), sizeOf(1000, 1, shortest(4, 8))]).toEqual([
      [4, 4],
      [4, 8],
      [8, 1],
    ])
  })

  test('allow 16384 pixels of a side and 16 Mi in all', () => {
    expect(sizeOf(1, 1, warp(16_384, 1))).toEqual([16_384, 1])
    expect(() => sizeOf(1, 1, warp(16_385, 1))).toThrow('would have 16385×1 pixels')
    expect(() => sizeOf(1, 1, warp(1, 16_385))).toThrow(RangeError)
    expect(() => sizeOf(1, 1, warp(4097, 4096))).toThrow(RangeError)
    expect(sizeOf(1, 1, warp(4096, 4096))).toEqual([4096, 4096])
    // Columns come before rows: 4096 of them, of a picture of 16 385 rows.
    expect(() => sizeOf(1, 16_385, warp(4096, 1))).toThrow('would have 4096×16385 pixels')
    expect(sizeOf(1, 16_384, warp(4096, 1))).toEqual([4096, 1])
  })

  test('leave the larger half of an odd border behind the picture', () => {
    const rowsOf = (width: number, height: number) => {
      const { data } = preprocess(grey(width, height), { ...INPUT, steps: [letterbox(4, 4)] })
      return Array.from({ length: 4 }, (_, y) => data[y * 4])
    }
    expect(rowsOf(4, 3)).toEqual([0, 0, 0, 1])
    expect(rowsOf(4, 1)).toEqual([1, 0, 1, 1])
    expect(rowsOf(400, 1)).toEqual([1, 0, 1, 1])
  })

  test('give a picture of their own to code that asks for one', () => {
    expect(stepped(grey(8, 4), shortest(2))).toMatchObject({ width: 4, height: 2, channels: 1 })
    expect(stepped(grey(8, 4), { kind: 'crop', width: 3, height: 3 })).toMatchObject({ width: 3, height: 3 })
  })
})
