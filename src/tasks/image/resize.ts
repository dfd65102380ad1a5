/**
 * Resizing that gives the bytes of Pillow 13's `Image.resize`: what a model was trained with is what it gets. Weights are integers of 22
 * bits, and between columns and rows each value is a byte again, so that their order shows.
 */
import type { ResizeFilter } from '../task.ts'
import { resizeAsOpenCv } from './opencv-resize.ts'
import type { Pixels } from './pixels.ts'

const WEIGHT_BITS = 22
const ROUNDING = 1 << (WEIGHT_BITS - 1)

interface Kernel {
  /** How far it reaches to each side, in pixels of the smaller of the two pictures. */
  readonly support: number
  readonly weight: (distance: number) => number
}

const KERNELS: Readonly<Record<Exclude<ResizeFilter, 'nearest' | 'opencv-linear'>, Kernel>> = {
  box: { support: 0.5, weight: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  hamming: {
    support: 1,
    weight(x) {
      const distance = Math.abs(x)
      return distance >= 1 ? 0 : sinc(distance) * (0.54 + 0.46 * Math.cos(Math.PI * distance))
    },
  },
  bicubic: {
    support: 2,
    weight(x) {
      const distance = Math.abs(x)
      const a = -0.5
      if (distance < 1) return ((a + 2) * distance - (a + 3)) * distance * distance + 1
      return distance < 2 ? (((distance - 5) * distance + 8) * distance - 4) * a : 0
    },
  },
  lanczos: { support: 3, weight: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI)
}

/** Resizes a picture, as the library does whose filter it is. */
export function resize(pixels: Pixels, width: number, height: number, filter: ResizeFilter): Pixels {
  if (width === pixels.width && height === pixels.height) return pixels
  if (filter === 'nearest') return nearest(pixels, width, height)
  if (filter === 'opencv-linear') return resizeAsOpenCv(pixels, width, height)
  const kernel = KERNELS[filter]
  const columns = (from: Pixels) => (width === from.width ? from : inColumns(from, weigh(kernel, from.width, width)))
  const rows = (from: Pixels) => (height === from.height ? from : inRows(from, weigh(kernel, from.height, height)))
  return isByRowsFirst(pixels, width, height) ? columns(rows(pixels)) : rows(columns(pixels))
}

/** Pillow takes rows first, since version 13, where the height loses more than twice as many pixels as the width. */
function isByRowsFirst({ width, height }: Pixels, toWidth: number, toHeight: number): boolean {
  return toHeight < height && height - toHeight > 2 * (width - toWidth)
}

/** Which values of a line are added for each value of the resized line, and with which weights. */
interface Weights {
  readonly count: number
  /** For each: the first value, and how many. */
  readonly ranges: Int32Array
  /** Weights of each begin at a multiple of this. */
  readonly stride: number
  readonly weights: Int32Array
}

function weigh({ support, weight }: Kernel, from: number, count: number): Weights {
  const scale = from / count
  const shrink = Math.max(1, scale)
  const reach = support * shrink
  const stride = Math.ceil(reach) * 2 + 1
  const ranges = new Int32Array(count * 2)
  const weights = new Int32Array(count * stride)
  const exact = new Float64Array(stride)
  // Pillow multiplies by this instead of dividing, and the last bit shows.
  const perPixel = 1 / shrink
  for (let index = 0; index < count; index += 1) {
    const center = (index + 0.5) * scale
    const first = Math.max(0, Math.trunc(center - reach + 0.5))
    const length = Math.min(from, Math.trunc(center + reach + 0.5)) - first
    let sum = 0
    for (let at = 0; at < length; at += 1) {
      const value = weight((at + first - center + 0.5) * perPixel)
      exact[at] = value
      sum += value
    }
    for (let at = 0; at < length; at += 1) {
      const value = sum === 0 ? (exact[at] ?? 0) : (exact[at] ?? 0) / sum
      weights[index * stride + at] = Math.trunc(value * (1 << WEIGHT_BITS) + (value < 0 ? -0.5 : 0.5))
    }
    ranges[index * 2] = first
    ranges[index * 2 + 1] = length
  }
  return { count, ranges, stride, weights }
}

function inColumns({ width, height, channels, data }: Pixels, { count, ranges, stride, weights }: Weights): Pixels {
  const resized = new Uint8Array(count * height * channels)
  const pass = channels === 1 ? greyLine : colourLine
  for (let y = 0; y < height; y += 1) {
    const [from, to] = [y * width * channels, y * count * channels]
    pass(data, from, resized, to, { count, ranges, stride, weights })
  }
  return { width: count, height, channels, data: resized }
}

function greyLine(data: Uint8Array, from: number, resized: Uint8Array, to: number, weighed: Weights): void {
  const { count, ranges, stride, weights } = weighed
  for (let x = 0; x < count; x += 1) {
    let at = from + (ranges[x * 2] as number)
    const begin = x * stride
    const end = begin + (ranges[x * 2 + 1] as number)
    let sum = ROUNDING
    for (let index = begin; index < end; index += 1, at += 1) {
      sum = (sum + Math.imul(data[at] as number, weights[index] as number)) | 0
    }
    resized[to + x] = clipped(sum)
  }
}

function colourLine(data: Uint8Array, from: number, resized: Uint8Array, to: number, weighed: Weights): void {
  const { count, ranges, stride, weights } = weighed
  for (let x = 0, place = to; x < count; x += 1, place += 3) {
    let at = from + (ranges[x * 2] as number) * 3
    const begin = x * stride
    const end = begin + (ranges[x * 2 + 1] as number)
    let [red, green, blue] = [ROUNDING, ROUNDING, ROUNDING]
    for (let index = begin; index < end; index += 1, at += 3) {
      const weight = weights[index] as number
      red = (red + Math.imul(data[at] as number, weight)) | 0
      green = (green + Math.imul(data[at + 1] as number, weight)) | 0
      blue = (blue + Math.imul(data[at + 2] as number, weight)) | 0
    }
    resized[place] = clipped(red)
    resized[place + 1] = clipped(green)
    resized[place + 2] = clipped(blue)
  }
}

function inRows({ width, channels, data }: Pixels, { count, ranges, stride, weights }: Weights): Pixels {
  const line = width * channels
  const resized = new Uint8Array(line * count)
  for (let y = 0; y < count; y += 1) {
    const begin = y * stride
    const end = begin + (ranges[y * 2 + 1] as number)
    const from = (ranges[y * 2] as number) * line
    for (let x = 0; x < line; x += 1) {
      let sum = ROUNDING
      for (let index = begin, at = from + x; index < end; index += 1, at += line) {
        sum = (sum + Math.imul(data[at] as number, weights[index] as number)) | 0
      }
      resized[y * line + x] = clipped(sum)
    }
  }
  return { width, height: count, channels, data: resized }
}

function clipped(sum: number): number {
  const value = sum >> WEIGHT_BITS
  return Math.max(0, Math.min(255, value))
}

/** Takes the pixel whose middle is nearest; Pillow adds the steps up, so that rounding errors are its own. */
function nearest({ width, height, channels, data }: Pixels, toWidth: number, toHeight: number): Pixels {
  const columns = places(width, toWidth)
  const rows = places(height, toHeight)
  const resized = new Uint8Array(toWidth * toHeight * channels)
  let to = 0
  for (const row of rows) {
    for (const column of columns) {
      const from = (row * width + column) * channels
      for (let channel = 0; channel < channels; channel += 1) resized[to + channel] = data[from + channel] as number
      to += channels
    }
  }
  return { width: toWidth, height: toHeight, channels, data: resized }
}

function places(from: number, count: number): Int32Array {
  const step = from / count
  const found = new Int32Array(count)
  for (let index = 0, place = step * 0.5; index < count; index += 1, place += step)
    found[index] = Math.min(from - 1, Math.trunc(place))
  return found
}
