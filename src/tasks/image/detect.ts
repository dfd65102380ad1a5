import type { NamedTensors } from '../../tensor/tensor.ts'
import type { TaskCall } from '../call.ts'
import type { BoxOutput } from '../task.ts'
import { type BoxOptions, bestBoxes, type Candidate, detrBoxes, yoloBoxes } from './boxes.ts'
import { computePictures, imageInputOf, outputOf, wrongOutput } from './pictures.ts'
import { inPicture, type Placement, type Rectangle } from './placement.ts'

export interface DetectOptions {
  /** Least score of a box, from 0 to 1; default as the model's folder says. */
  readonly threshold?: number | undefined
  /** Overlap from which the lesser of two boxes is dropped, from 0 to 1; default as the model's folder says. */
  readonly overlapMax?: number | undefined
}

/** What was found in a picture, and where: in pixels of the picture, upright. */
export interface DetectedBox {
  readonly label: string
  readonly score: number
  readonly box: Rectangle
}

/**
 * Finds things in pictures: for each its boxes, best first.
 * @throws VestalError TASK_MISMATCH, INPUT_INVALID, MEDIA_UNREADABLE, INPUTS_TOO_MANY, and as the engine
 */
export async function detect(
  call: TaskCall,
  pictures: readonly Uint8Array[],
  { threshold, overlapMax }: DetectOptions = {},
): Promise<readonly (readonly DetectedBox[])[]> {
  imageInputOf(call.task, 'detect')
  const { boxes } = call.task
  if (boxes === undefined) throw wrongOutput('boxes', 'is not described')
  const options = {
    threshold: threshold ?? boxes.threshold,
    overlapMax: overlapMax ?? boxes.overlapMax,
    isAcrossClasses: boxes.isAcrossClasses,
  }
  const names = boxes.boxes === undefined ? [boxes.output] : [boxes.output, boxes.boxes]
  return computePictures(call, pictures, names, (results, placement) =>
    foundIn(results, boxes, options, placement).map((candidate) => ({
      label: boxes.labels[candidate.label] ?? String(candidate.label),
      score: candidate.score,
      box: inPicture(candidate, placement),
    })),
  )
}

function foundIn(results: NamedTensors, output: BoxOutput, options: BoxOptions, placement: Placement): readonly Candidate[] {
  try {
    const first = outputOf(results, output.output)
    if (output.form !== 'detr') return bestBoxes(yoloBoxes(first, output, options), options)
    const places = outputOf(results, output.boxes ?? 'pred_boxes')
    const { inputWidth: width, inputHeight: height } = placement
    const found = detrBoxes(first, places, { labels: output.labels.length, threshold: options.threshold, width, height })
    return found.toSorted((a, b) => b.score - a.score)
  } catch (error) {
    throw error instanceof RangeError ? wrongOutput(output.output, error.message) : error
  }
}
