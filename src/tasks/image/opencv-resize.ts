/**
 * Resizing that gives the bytes of OpenCV's `resize` with INTER_LINEAR, which looks at two pixels of each side even where a picture is
 * shrunk: what YOLO models are trained and run with. Weights are integers of 11 bits.
 */
import type { Pixels } from './pixels.ts'

const WEIGHT = 1 << 11

/** For each pixel of a side: the pixel before its place and the one after it, and their weights. */
interface Side {
  readonly before: Int32Array
  readonly after: Int32Array
  readonly first: Int32Array
  readonly second: Int32Array
}

/** Resizes a picture, as OpenCV does. */
export function resizeAsOpenCv(pixels: Pixels, width: number, height: number): Pixels {
  if (pixels.width === 2 * width && pixels.height === 2 * height) return halved(pixels)
  const { channels } = pixels
  const columns = sideOf(pixels.width, width)
  const rows = sideOf(pixels.height, height, 'rows')
  const data = new Uint8Array(width * height * channels)
  const [above, below] = [new Int32Array(width * channels), new Int32Array(width * channels)]
  for (let y = 0, to = 0; y < height; y += 1) {
    spread(pixels, rows.before[y] as number, columns, above)
    spread(pixels, rows.after[y] as number, columns, below)
    const [first, second] = [rows.first[y] as number, rows.second[y] as number]
    for (let x = 0; x < above.length; x += 1, to += 1) {
      const upper = Math.imul(first, (above[x] as number) >> 4) >> 16
      const lower = Math.imul(second, (below[x] as number) >> 4) >> 16
      data[to] = (upper + lower + 2) >> 2
    }
  }
  return { width, height, channels, data }
}

/** Places are floats of 32 bits, and weights are rounded to even, as OpenCV has them; beyond the first and last of rows it adds one row twice. */
function sideOf(from: number, count: number, kind: 'rows' | 'columns' = 'columns'): Side {
  const [before, after] = [new Int32Array(count), new Int32Array(count)]
  const [first, second] = [new Int32Array(count), new Int32Array(count)]
  const scale = from / count
  for (let index = 0; index < count; index += 1) {
    const place = Math.fround((index + 0.5) * scale - 0.5)
    const begin = Math.floor(place)
    const isBeyond = begin < 0 || begin >= from - 1
    const share = kind === 'columns' && isBeyond ? 0 : Math.fround(place - begin)
    before[index] = Math.max(0, Math.min(from - 1, begin))
    after[index] = Math.max(0, Math.min(from - 1, begin + 1))
    first[index] = roundedToEven(Math.fround(1 - share) * WEIGHT)
    second[index] = roundedToEven(share * WEIGHT)
  }
  return { before, after, first, second }
}

/** One row of the picture, resized along its width; values have 11 bits more. */
function spread({ width, channels, data }: Pixels, row: number, columns: Side, line: Int32Array): void {
  const begin = row * width * channels
  const count = columns.before.length
  for (let x = 0, to = 0; x < count; x += 1) {
    const left = begin + (columns.before[x] as number) * channels
    const right = begin + (columns.after[x] as number) * channels
    const [first, second] = [columns.first[x] as number, columns.second[x] as number]
    for (let channel = 0; channel < channels; channel += 1, to += 1)
      line[to] = Math.imul(data[left + channel] as number, first) + Math.imul(data[right + channel] as number, second)
  }
}

/** OpenCV takes the mean of four pixels here. */
function halved({ width, height, channels, data }: Pixels): Pixels {
  const line = width * channels
  const half = new Uint8Array(data.length / 4)
  let to = 0
  for (let y = 0; y < height; y += 2) {
    for (let x = 0; x < width; x += 2) {
      for (let channel = 0; channel < channels; channel += 1, to += 1) {
        const at = y * line + x * channels + channel
        const [a = 0, b = 0, c = 0, d = 0] = [data[at], data[at + channels], data[at + line], data[at + line + channels]]
        half[to] = (a + b + c + d + 2) >> 2
      }
    }
  }
  return { width: width / 2, height: height / 2, channels, data: half }
}

function roundedToEven(value: number): number {
  const rounded = Math.round(value)
  return rounded - value === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded
}
