import type { ImageInput, TaskDescription } from '../../src/tasks/task.ts'
import { onnxModel } from './tiny-models.ts'

/** An input of 4×4 pixels whose values are shares of 255. */
export const SMALL: ImageInput = {
  input: 'x',
  layout: 'NCHW',
  datatype: 'FP32',
  channels: 'RGB',
  steps: [{ kind: 'warp', width: 4, height: 4, filter: 'bilinear' }],
  scale: 1 / 255,
  mean: [0],
  std: [1],
}

const COLOURS = ['red', 'green', 'blue']

/** A model that gives the mean of each channel: `x` → `scores`. */
export function colourModel(): Uint8Array {
  return onnxModel({
    nodes: [
      { operator: 'GlobalAveragePool', inputs: ['x'], outputs: ['means'] },
      { operator: 'Flatten', inputs: ['means'], outputs: ['scores'], axis: 1 },
    ],
    inputs: [{ name: 'x', datatype: 'FP32', shape: ['n', 3, 'h', 'w'] }],
    outputs: [{ name: 'scores', datatype: 'FP32', shape: ['n', 3] }],
  })
}

/** It names the colour of a picture. */
export const colourTask: TaskDescription = {
  task: 'image-classify',
  sources: {},
  image: SMALL,
  scores: { output: 'scores', labels: COLOURS, activation: 'none' },
}

/** A model whose boxes are always the same, whatever the picture: `x` → `boxes` of [n, values, boxes]. */
export function boxModel(boxes: readonly (readonly number[])[], side: number): Uint8Array {
  const values = boxes[0]?.length ?? 0
  const pixels = 3 * side * side
  const byValue = Array.from({ length: values }, (_, value) => boxes.map((box) => box[value] ?? 0)).flat()
  return onnxModel({
    nodes: [
      { operator: 'Flatten', inputs: ['x'], outputs: ['flat'], axis: 1 },
      { operator: 'MatMul', inputs: ['flat', 'nothing'], outputs: ['zeros'] },
      { operator: 'Add', inputs: ['zeros', 'numbers'], outputs: ['rows'] },
      { operator: 'Reshape', inputs: ['rows', 'shape'], outputs: ['boxes'] },
    ],
    inputs: [{ name: 'x', datatype: 'FP32', shape: ['n', 3, side, side] }],
    outputs: [{ name: 'boxes', datatype: 'FP32', shape: ['n', values, boxes.length] }],
    constants: [
      { name: 'nothing', shape: [pixels, byValue.length], values: new Float32Array(pixels * byValue.length) },
      { name: 'numbers', shape: [byValue.length], values: Float32Array.from(byValue) },
      { name: 'shape', shape: [3], values: new BigInt64Array([-1n, BigInt(values), BigInt(boxes.length)]) },
    ],
  })
}

/** A model that gives its input back, so that the channels of a picture are the scores of its classes: `x` → `logits`. */
export function channelModel(): Uint8Array {
  return onnxModel({
    nodes: [{ operator: 'Identity', inputs: ['x'], outputs: ['logits'] }],
    inputs: [{ name: 'x', datatype: 'FP32', shape: ['n', 3, 4, 4] }],
    outputs: [{ name: 'logits', datatype: 'FP32', shape: ['n', 3, 4, 4] }],
  })
}

/** It gives a mask for each of the three colours. */
export const channelTask: TaskDescription = {
  task: 'segment',
  sources: {},
  image: SMALL,
  masks: { output: 'logits', labels: COLOURS },
}
