import { VestalError } from '../../core/errors.ts'
import type { TaskCall } from '../call.ts'
import { computePictures, imageInputOf, outputOf, wrongOutput } from './pictures.ts'

/** The part of a picture that belongs to a label. */
export interface Segment {
  readonly label: string
  /** A PNG of grey at the size of the picture, upright: 255 where the label is, 0 elsewhere. */
  readonly png: Uint8Array
}

/** Scores that are compared for one picture: its pixels times the model's classes. */
const SCORES_MAX = 4_000_000_000

/**
 * Gives the labels that are in each picture, in the order of the model's labels, and where.
 * @throws VestalError TASK_MISMATCH, INPUT_INVALID, MEDIA_UNREADABLE, INPUTS_TOO_MANY, and as the engine
 */
export async function segment(call: TaskCall, pictures: readonly Uint8Array[]): Promise<readonly (readonly Segment[])[]> {
  imageInputOf(call.task, 'segment')
  const { masks } = call.task
  if (masks === undefined) throw wrongOutput('masks', 'is not described')
  return computePictures(call, pictures, [masks.output], async (results, placement, decoder) => {
    const { datatype, shape, data } = outputOf(results, masks.output)
    const [rows, classes = 0, ...size] = shape
    if (rows !== 1 || size.length !== 2 || classes !== masks.labels.length)
      throw wrongOutput(masks.output, `has the shape [${shape}]; [1,${masks.labels.length},height,width] is needed`)
    if (placement.width * placement.height * classes > SCORES_MAX)
      throw new VestalError('INPUT_INVALID', {
        detail: `The picture has too many pixels (${placement.width}×${placement.height}) for masks of ${classes} classes; send a smaller one`,
      })
    const drawn = await decoder.masks({ datatype, shape: [classes, ...size], data }, placement)
    call.hold?.(drawn.reduce((sum, { png }) => sum + png.length, 0))
    return drawn.map(({ label, png }) => ({ label: masks.labels[label] ?? String(label), png }))
  })
}
