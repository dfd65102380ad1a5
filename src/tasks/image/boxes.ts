import type { Tensor } from '../../tensor/tensor.ts'
import type { BoxOutput } from '../task.ts'
import type { Rectangle } from './placement.ts'

/** A box in pixels of the model's input. */
export interface Candidate extends Rectangle {
  /** Number of the class. */
  readonly label: number
  readonly score: number
}

export interface BoxOptions {
  /** Least score of a box that is answered. */
  readonly threshold: number
  readonly overlapMax: number
  readonly isAcrossClasses: boolean
}

/** Boxes that are compared with each other: the best; a model in its right mind has far fewer over its threshold. */
const CANDIDATES_MAX = 3000
/** Boxes of an answer. */
const BOXES_MAX = 300

/**
 * Reads boxes of the first row of YOLO's output: 4 numbers of place and a score for each class, behind it or before it the boxes; with
 * objectness a fifth number, which is multiplied with each score.
 * @throws RangeError where the output has another shape
 */
export function yoloBoxes({ shape, data }: Tensor, { form, labels }: BoxOutput, { threshold }: BoxOptions): readonly Candidate[] {
  const first = form === 'yolo' ? 4 : 5
  const values = first + labels.length
  const [, rows = 0, columns = 0] = shape
  const isByBox = columns === values && (form !== 'yolo' || rows !== values)
  if (shape.length !== 3 || (!isByBox && rows !== values))
    throw new RangeError(`has the shape [${shape}]; ${labels.length} classes need ${values} values for each box`)
  const numbers = numbersOf(data)
  const count = isByBox ? rows : columns
  const [boxStep, valueStep] = isByBox ? [columns, 1] : [1, columns]
  const found: Candidate[] = []
  for (let box = 0; box < count; box += 1) {
    const at = (value: number) => numbers[box * boxStep + value * valueStep] as number
    const objectness = form === 'yolo' ? 1 : at(4)
    if (objectness < threshold) continue
    let label = -1
    let score = Number.NEGATIVE_INFINITY
    for (let index = box * boxStep + first * valueStep, each = 0; each < labels.length; index += valueStep, each += 1) {
      const value = numbers[index] as number
      if (value <= score) continue
      score = value
      label = each
    }
    score *= objectness
    if (label >= 0 && score >= threshold) found.push({ label, score, ...cornersOf(at(0), at(1), at(2), at(3)) })
  }
  return found
}

/**
 * Reads boxes of the first row of DETR's outputs: a score for each class and one for none, or scores that do not depend on each other; and
 * the place as shares of the picture. A box is found once, so none drops another.
 * @throws RangeError where the outputs have other shapes
 */
export function detrBoxes(
  logits: Tensor,
  boxes: Tensor,
  {
    labels,
    threshold,
    width,
    height,
  }: { readonly labels: number; readonly threshold: number; readonly width: number; readonly height: number },
): readonly Candidate[] {
  const [, count = 0, classes = 0] = logits.shape
  if (logits.shape.length !== 3 || (classes !== labels && classes !== labels + 1))
    throw new RangeError(`has the shape [${logits.shape}]; ${labels} classes need ${labels + 1} values for each box`)
  if (boxes.shape.length !== 3 || boxes.shape[1] !== count || boxes.shape[2] !== 4)
    throw new RangeError(`goes with boxes of the shape [${boxes.shape}]; [1,${count},4] is needed`)
  const scores = numbersOf(logits.data)
  const places = numbersOf(boxes.data)
  const found: Candidate[] = []
  for (let box = 0; box < count; box += 1) {
    const { label, score } = bestOf(scores, box * classes, { classes, labels })
    if (score < threshold) continue
    const [x = 0, y = 0, w = 0, h = 0] = [0, 1, 2, 3].map((index) => places[box * 4 + index] as number)
    found.push({ label, score, ...cornersOf(x * width, y * height, w * width, h * height) })
  }
  return found
}

function bestOf(
  scores: ArrayLike<number>,
  begin: number,
  { classes, labels }: { readonly classes: number; readonly labels: number },
): { readonly label: number; readonly score: number } {
  let label = 0
  for (let each = 1; each < labels; each += 1)
    if ((scores[begin + each] as number) > (scores[begin + label] as number)) label = each
  const best = scores[begin + label] as number
  if (classes === labels) return { label, score: 1 / (1 + Math.exp(-best)) }
  let most = best
  for (let each = labels; each < classes; each += 1) most = Math.max(most, scores[begin + each] as number)
  let sum = 0
  for (let each = 0; each < classes; each += 1) sum += Math.exp((scores[begin + each] as number) - most)
  return { label, score: Math.exp(best - most) / sum }
}

function cornersOf(x: number, y: number, width: number, height: number): Rectangle {
  return { xmin: x - width / 2, ymin: y - height / 2, xmax: x + width / 2, ymax: y + height / 2 }
}

/**
 * Drops each box that overlaps with a better one by more than is allowed (non-maximum suppression); best first. Only the best are looked
 * at, so that the time is bounded whatever a model gives.
 */
export function bestBoxes(candidates: readonly Candidate[], { overlapMax, isAcrossClasses }: BoxOptions): readonly Candidate[] {
  const kept: Candidate[] = []
  for (const candidate of candidates.toSorted((a, b) => b.score - a.score).slice(0, CANDIDATES_MAX)) {
    const isDropped = kept.some(
      (better) => (isAcrossClasses || better.label === candidate.label) && overlapOf(better, candidate) > overlapMax,
    )
    if (isDropped) continue
    kept.push(candidate)
    if (kept.length === BOXES_MAX) break
  }
  return kept
}

/** The part of what both cover that both cover together. */
function overlapOf(a: Rectangle, b: Rectangle): number {
  const width = Math.min(a.xmax, b.xmax) - Math.max(a.xmin, b.xmin)
  const height = Math.min(a.ymax, b.ymax) - Math.max(a.ymin, b.ymin)
  if (width <= 0 || height <= 0) return 0
  const common = width * height
  return common / (areaOf(a) + areaOf(b) - common)
}

function areaOf({ xmin, ymin, xmax, ymax }: Rectangle): number {
  return (xmax - xmin) * (ymax - ymin)
}

/** @throws RangeError where they are no numbers that a box could have */
function numbersOf(data: Tensor['data']): ArrayLike<number> {
  if (data instanceof Float32Array || data instanceof Float16Array || data instanceof Float64Array) return data
  throw new RangeError('holds no floating-point numbers')
}
