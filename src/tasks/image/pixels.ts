/** A picture as bytes: row by row, pixel by pixel, channel by channel. */
export interface Pixels {
  readonly width: number
  readonly height: number
  /** 1 is grey, 3 is red, green, blue. */
  readonly channels: 1 | 3
  readonly data: Uint8Array
}

/** A rectangle of a picture; what lies outside of the picture has the value `fill`. */
export interface Frame {
  readonly left: number
  readonly top: number
  readonly width: number
  readonly height: number
  readonly fill: number
}

/** Cuts a picture to a frame, or puts it into a larger one. */
export function framed(pixels: Pixels, { left, top, width, height, fill }: Frame): Pixels {
  const { channels } = pixels
  const data = new Uint8Array(width * height * channels)
  if (fill !== 0) data.fill(fill)
  const [begin, end] = [Math.max(0, left), Math.min(pixels.width, left + width)]
  const [first, last] = [Math.max(0, top), Math.min(pixels.height, top + height)]
  for (let y = first; end > begin && y < last; y += 1) {
    const from = y * pixels.width * channels
    data.set(pixels.data.subarray(from + begin * channels, from + end * channels), ((y - top) * width + begin - left) * channels)
  }
  return { width, height, channels, data }
}

/** The grey of colours, as Pillow has it (ITU-R 601-2, in integers). */
export function greyOf({ width, height, channels, data }: Pixels): Pixels {
  if (channels === 1) return { width, height, channels, data }
  const grey = new Uint8Array(width * height)
  for (let pixel = 0, at = 0; pixel < grey.length; pixel += 1, at += 3) {
    const [red = 0, green = 0, blue = 0] = [data[at], data[at + 1], data[at + 2]]
    grey[pixel] = (red * 19_595 + green * 38_470 + blue * 7471 + 0x8000) >> 16
  }
  return { width, height, channels: 1, data: grey }
}
