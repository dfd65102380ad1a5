/**
 * Resizing that gives the bytes of Pillow 13's `Image.resize`: what a model was trained with is what it gets. Between columns and rows each
 * value is a byte again, so that their order shows.
 */
import type { ResizeFilter } from '../task.ts'
import { resizeAsOpenCv } from './opencv-resize.ts'
import type { Pixels } from './pixels.ts'
import { columnsBySimd, rowsBySimd } from './simd-resize.ts'
import { WEIGHT_BITS, type Weights, weigh } from './weights.ts'

const ROUNDING = 1 << (WEIGHT_BITS - 1)

/** Resizes a picture, as the library does whose filter it is. */
export function resize(pixels: Pixels, width: number, height: number, filter: ResizeFilter): Pixels {
  if (width === pixels.width && height === pixels.height) return pixels
  if (filter === 'nearest') return nearest(pixels, width, height)
  if (filter === 'opencv-linear') return resizeAsOpenCv(pixels, width, height)
  const columns = (from: Pixels) => (width === from.width ? from : inColumns(from, weigh(filter, from.width, width)))
  const rows = (from: Pixels) => (height === from.height ? from : inRows(from, weigh(filter, from.height, height)))
  return isByRowsFirst(pixels, width, height) ? columns(rows(pixels)) : rows(columns(pixels))
}

/** Pillow takes rows first, since version 13, where the height loses more than twice as many pixels as the width. */
function isByRowsFirst({ width, height }: Pixels, toWidth: number, toHeight: number): boolean {
  return toHeight < height && height - toHeight > 2 * (width - toWidth)
}

function inColumns(pixels: Pixels, side: Weights): Pixels {
  return columnsBySimd(pixels, side) ?? columnsOf(pixels, side)
}

function inRows(pixels: Pixels, side: Weights): Pixels {
  return rowsBySimd(pixels, side) ?? rowsOf(pixels, side)
}

/** Resizes a picture along its width. */
export function columnsOf({ width, height, channels, data }: Pixels, { count, ranges, stride, weights }: Weights): Pixels {
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

/** Resizes a picture along its height. */
export function rowsOf({ width, channels, data }: Pixels, { count, ranges, stride, weights }: Weights): Pixels {
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
