import type { Tensor } from '../../tensor/tensor.ts'
import type { ImageInput } from '../task.ts'
import type { Placement } from './placement.ts'

/** A picture as a tensor of one row. */
export interface PictureTensor {
  readonly tensor: Tensor
  readonly placement: Placement
}

/** The mask of a class, as a PNG of grey. */
export interface MaskPicture {
  /** Number of the class. */
  readonly label: number
  readonly png: Uint8Array
}

/** What is done with pictures in a process apart, bound to its caller by who made it. */
export interface PictureDecoder {
  /**
   * Decodes a picture and makes it the input of a model.
   * @throws VestalError INPUT_INVALID in words that complete "The picture", MEDIA_UNREADABLE, QUEUE_FULL, SUBJECT_LIMIT
   */
  prepare(picture: Uint8Array, input: ImageInput): Promise<PictureTensor>
  /**
   * Draws the mask of each class that is in a picture. `scores` is [classes, height, width].
   * @throws VestalError as `prepare`
   */
  masks(scores: Tensor, placement: Placement): Promise<readonly MaskPicture[]>
}
