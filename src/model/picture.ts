import type { PictureTensor } from '../tasks/image/decoder.ts'
import { framed, type Pixels } from '../tasks/image/pixels.ts'
import { preprocess, stepped } from '../tasks/image/preprocess.ts'
import type { ImageInput, ResizeFilter } from '../tasks/task.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { ModelTensor } from './model-tensor.ts'

/** What a picture is resized to: its shorter side, with the same ratio, or both. */
export type PictureSize = { readonly shortest: number } | { readonly width: number; readonly height: number }

/** A rectangle in pixels, as `extract` takes it or as a model that finds objects gives it. */
export type PictureBox =
  | { readonly left: number; readonly top: number; readonly width: number; readonly height: number }
  | { readonly xmin: number; readonly ymin: number; readonly xmax: number; readonly ymax: number }

/** How the bytes of a picture become numbers: (byte × scale − mean) / std, by channel. */
export interface PictureTensorOptions {
  /** Default 1/255. */
  readonly scale?: number
  /** One for all channels or one for each, after the scale; default 0. */
  readonly mean?: number | readonly number[]
  /** One for all channels or one for each; default 1. */
  readonly std?: number | readonly number[]
  /** [1, channels, height, width], or [1, height, width, channels]; default NCHW. */
  readonly layout?: 'NCHW' | 'NHWC'
  /** Default RGB. */
  readonly channels?: 'RGB' | 'BGR' | 'grey'
  /** UINT8 gives the bytes as they are; default FP32. */
  readonly datatype?: 'FP32' | 'FP16' | 'UINT8'
}

const FILTERS: readonly ResizeFilter[] = ['nearest', 'box', 'bilinear', 'hamming', 'bicubic', 'lanczos', 'opencv-linear']
const CHANNELS = 3

/** A picture that was decoded: red, green and blue of 8 bits, upright. Its methods give a new picture, and leave it as it is. */
export class Picture {
  readonly width: number
  readonly height: number
  /** Row by row, pixel by pixel: red, green, blue. */
  readonly data: Uint8Array

  /**
   * A picture of its bytes, for tests.
   * @throws RangeError where there are not three bytes for each pixel
   */
  constructor({ width, height, data }: { readonly width: number; readonly height: number; readonly data: Uint8Array }) {
    wholeFrom(1, 'width', width)
    wholeFrom(1, 'height', height)
    if (data.length !== width * height * CHANNELS)
      throw new RangeError(`a picture of ${width}×${height} pixels has ${width * height * CHANNELS} bytes, not ${data.length}`)
    this.width = width
    this.height = height
    this.data = data
  }

  /**
   * The picture in another size, byte for byte as Pillow resizes (`opencv-linear`: as OpenCV). The default filter is `bilinear`.
   * @throws RangeError where the size is none, or too large
   */
  resize(size: PictureSize & { readonly filter?: ResizeFilter }): Picture {
    const { filter = 'bilinear' } = size
    if (!FILTERS.includes(filter))
      throw new RangeError(`resize: "filter" is '${filter}'; it must be one of ${FILTERS.join(', ')}`)
    if ('shortest' in size)
      return this.#with((pixels) => stepped(pixels, { kind: 'shortest', size: wholeFrom(1, 'shortest', size.shortest), filter }))
    const [width, height] = [wholeFrom(1, 'width', size.width), wholeFrom(1, 'height', size.height)]
    return this.#with((pixels) => stepped(pixels, { kind: 'warp', width, height, filter }))
  }

  /**
   * The middle of the picture: a square, or of a width and a height. What is outside of a smaller picture is black.
   * @throws RangeError where the size is none, or too large
   */
  crop(size: number | { readonly width: number; readonly height: number }): Picture {
    const { width, height } = typeof size === 'number' ? { width: size, height: size } : size
    wholeFrom(1, 'width', width)
    wholeFrom(1, 'height', height)
    return this.#with((pixels) => stepped(pixels, { kind: 'crop', width, height }))
  }

  /**
   * A part of the picture: the pixels that the box touches, cut at the border of the picture.
   * @throws RangeError where the box has no pixel of the picture
   */
  extract(box: PictureBox): Picture {
    const [xmin, ymin, xmax, ymax] =
      'xmin' in box ? [box.xmin, box.ymin, box.xmax, box.ymax] : [box.left, box.top, box.left + box.width, box.top + box.height]
    const [left, top] = [Math.max(0, Math.floor(xmin)), Math.max(0, Math.floor(ymin))]
    const [width, height] = [Math.min(this.width, Math.ceil(xmax)) - left, Math.min(this.height, Math.ceil(ymax)) - top]
    if (!(width > 0 && height > 0))
      throw new RangeError(
        `extract: the box from ${xmin}, ${ymin} to ${xmax}, ${ymax} has no pixel of a picture of ${this.width}×${this.height}`,
      )
    return this.#with((pixels) => framed(pixels, { left, top, width, height, fill: 0 }))
  }

  /**
   * The picture turned clockwise by 0, 90, 180 or 270 degrees.
   * @throws RangeError for another angle
   */
  rotate(degrees: number): Picture {
    const quarters = (((degrees / 90) % 4) + 4) % 4
    if (!Number.isInteger(quarters)) throw new RangeError(`rotate: ${degrees} is no multiple of 90 degrees`)
    return quarters === 0 ? this : this.#with((pixels) => turned(pixels, quarters))
  }

  /**
   * The picture as the tensor of one row that a model takes.
   * @throws RangeError where "mean" or "std" have a length other than 1 or that of the channels
   */
  tensor(options: PictureTensorOptions = {}): ModelTensor {
    const { scale = 1 / 255, mean = 0, std = 1, layout = 'NCHW', channels = 'RGB', datatype = 'FP32' } = options
    const count = channels === 'grey' ? 1 : CHANNELS
    const input: ImageInput = {
      ...{ input: '', steps: [], layout, channels, datatype, scale },
      mean: byChannel('mean', mean, count),
      std: byChannel('std', std, count),
    }
    return new ModelTensor({ datatype, ...preprocess(this.#pixels, input) })
  }

  get #pixels(): Pixels {
    return { width: this.width, height: this.height, channels: CHANNELS, data: this.data }
  }

  #with(change: (pixels: Pixels) => Pixels): Picture {
    return new Picture(change(this.#pixels))
  }
}

/** A picture of the tensor [1, height, width, 3] that it travels as. @throws RangeError where it is another */
export function pictureOf({ shape, data }: Tensor): Picture {
  const [, height = 0, width = 0] = shape
  if (!(data instanceof Uint8Array)) throw new RangeError('a picture has bytes')
  return new Picture({ width, height, data })
}

/**
 * A picture as the input of a model that has a task of pictures.
 * @throws RangeError in words that complete "the picture …"
 */
export function preparedPicture({ width, height, data }: Picture, input: ImageInput): PictureTensor {
  const { shape, data: values, placement } = preprocess({ width, height, channels: CHANNELS, data }, input)
  return { tensor: { datatype: input.datatype, shape, data: values }, placement }
}

function turned({ width, height, channels, data }: Pixels, quarters: number): Pixels {
  const [newWidth, newHeight] = quarters === 2 ? [width, height] : [height, width]
  const made = new Uint8Array(data.length)
  // Where the pixel right of one goes to, seen from where that goes to.
  const step = (quarters === 2 ? -1 : quarters === 1 ? newWidth : -newWidth) * channels
  for (let y = 0, from = 0; y < height; y += 1) {
    const first = quarters === 1 ? height - 1 - y : quarters === 2 ? (height - y) * width - 1 : (width - 1) * newWidth + y
    for (let x = 0, to = first * channels; x < width; x += 1, from += channels, to += step) {
      for (let channel = 0; channel < channels; channel += 1) made[to + channel] = data[from + channel] as number
    }
  }
  return { width: newWidth, height: newHeight, channels, data: made }
}

function wholeFrom(least: number, name: string, value: number): number {
  if (Number.isSafeInteger(value) && value >= least) return value
  throw new RangeError(`"${name}" is ${value}; it must be a whole number of at least ${least}`)
}

function byChannel(name: string, values: number | readonly number[], count: number): readonly number[] {
  const list = typeof values === 'number' ? [values] : values
  if (list.length === 1 || list.length === count) return list
  throw new RangeError(`tensor: "${name}" has ${list.length} numbers; it must have 1 or ${count}`)
}
