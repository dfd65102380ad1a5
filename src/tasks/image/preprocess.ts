import type { ImageInput, ImageStep, ResizeFilter } from '../task.ts'
import { framed, greyOf, type Pixels } from './pixels.ts'
import type { Placement } from './placement.ts'
import { resize } from './resize.ts'

/** Pixels of a side that a resized picture may have. */
const SIDE_MAX = 16_384
/** Pixels that it may have in all, and on the way there: columns are resized before rows. */
const PIXELS_MAX = 16 * 1024 * 1024
const PIXELS_BETWEEN_MAX = 64 * 1024 * 1024

/** A picture as a model's input takes it. */
export interface PreparedPicture {
  /** [1, channels, height, width], or [1, height, width, channels]. */
  readonly shape: readonly number[]
  readonly data: Float32Array | Float16Array | Uint8Array
  readonly placement: Placement
}

/** A picture between two steps, and where the original lies in it. */
interface Placed {
  readonly pixels: Pixels
  readonly scaleX: number
  readonly scaleY: number
  readonly offsetX: number
  readonly offsetY: number
}

/**
 * Makes a picture the input of a model.
 * @throws RangeError where a step would make it larger than any model takes
 */
export function preprocess(picture: Pixels, input: ImageInput): PreparedPicture {
  const coloured = input.channels === 'grey' ? greyOf(picture) : inColour(picture)
  let placed: Placed = { pixels: coloured, scaleX: 1, scaleY: 1, offsetX: 0, offsetY: 0 }
  /** The picture before the last step. */
  let before = placed.pixels
  for (const step of input.steps) {
    before = placed.pixels
    placed = applied(placed, step)
  }
  const { pixels, ...place } = placed
  const { width, height, channels } = pixels
  const placement = { width: picture.width, height: picture.height, ...place, inputWidth: width, inputHeight: height }
  const shape = input.layout === 'NCHW' ? [1, channels, height, width] : [1, height, width, channels]
  const data = valuesOf(pixels, input)
  const last = input.steps.at(-1)
  if (last?.kind === 'pad' && last.fill === 'zero') clearBorder(data, before, { width, height, channels, layout: input.layout })
  return { shape, data, placement }
}

function inColour({ width, height, channels, data }: Pixels): Pixels {
  if (channels === 3) return { width, height, channels, data }
  const coloured = new Uint8Array(data.length * 3)
  for (let pixel = 0; pixel < data.length; pixel += 1) coloured.fill(data[pixel] ?? 0, pixel * 3, pixel * 3 + 3)
  return { width, height, channels: 3, data: coloured }
}

/**
 * A picture after one step.
 * @throws RangeError where it would be larger than any model takes
 */
export function stepped(pixels: Pixels, step: ImageStep): Pixels {
  return applied({ pixels, scaleX: 1, scaleY: 1, offsetX: 0, offsetY: 0 }, step).pixels
}

function applied(placed: Placed, step: ImageStep): Placed {
  const { width, height } = placed.pixels
  switch (step.kind) {
    case 'warp':
      return resized(placed, { width: step.width, height: step.height }, step.filter)
    case 'shortest':
      return resized(placed, shortestSize(placed.pixels, step), step.filter)
    case 'letterbox':
      return letterboxed(placed, step)
    case 'crop': {
      const left = Math.floor((width - step.width) / 2)
      const top = Math.floor((height - step.height) / 2)
      return moved(placed, { left, top, width: step.width, height: step.height, fill: 0 })
    }
    case 'pad':
      return moved(placed, {
        left: 0,
        top: 0,
        width: step.width,
        height: step.height,
        fill: step.fill === 'zero' ? 0 : step.fill,
      })
  }
}

/** The picture in the middle of a border, or in the corner of one that was there before it was resized. */
function letterboxed(placed: Placed, step: Extract<ImageStep, { kind: 'letterbox' }>): Placed {
  const { width, height } = placed.pixels
  const scale = Math.min(step.width / width, step.height / height)
  if (step.place === 'start') {
    const outer = { width: sideOf(step.width / scale), height: sideOf(step.height / scale) }
    checkPixels(outer.width, outer.height, PIXELS_BETWEEN_MAX)
    return resized(moved(placed, { left: 0, top: 0, ...outer, fill: step.fill }), step, step.filter)
  }
  const inner = { width: sideOf(width * scale), height: sideOf(height * scale) }
  const { pixels } = resized(placed, inner, step.filter)
  const [left, top] = [smallerHalf(step.width - inner.width), smallerHalf(step.height - inner.height)]
  // Boxes are scaled by the ratio itself, which the rounded sides only come near to.
  const exact = {
    scaleX: placed.scaleX * scale,
    scaleY: placed.scaleY * scale,
    offsetX: placed.offsetX * scale,
    offsetY: placed.offsetY * scale,
  }
  return moved({ pixels, ...exact }, { ...step, left: -left, top: -top })
}

/** The size whose shorter side is as asked, with the same ratio; the other side is rounded down. */
function shortestSize(
  { width, height }: Pixels,
  { size, longestMax }: { readonly size: number; readonly longestMax?: number },
): { readonly width: number; readonly height: number } {
  const [short, long] = width < height ? [width, height] : [height, width]
  let newShort = size
  let newLong = Math.trunc((size * long) / short)
  if (longestMax !== undefined && newLong > longestMax) {
    newShort = Math.max(1, Math.trunc((longestMax * newShort) / newLong))
    newLong = longestMax
  }
  return width < height ? { width: newShort, height: newLong } : { width: newLong, height: newShort }
}

/** Pixels of a side, at least one. */
function sideOf(exact: number): number {
  return Math.max(1, Math.round(exact))
}

/** The border before a picture in the middle: of an odd number the smaller half. */
function smallerHalf(border: number): number {
  return Math.floor(border / 2)
}

function resized(placed: Placed, size: { readonly width: number; readonly height: number }, filter: ResizeFilter): Placed {
  const { pixels, scaleX, scaleY, offsetX, offsetY } = placed
  const { width, height } = size
  checkPixels(width, height, Math.max(width, height) > SIDE_MAX ? 0 : PIXELS_MAX)
  checkPixels(width, pixels.height, PIXELS_BETWEEN_MAX)
  const [across, down] = [width / pixels.width, height / pixels.height]
  return {
    pixels: resize(pixels, width, height, filter),
    scaleX: scaleX * across,
    scaleY: scaleY * down,
    offsetX: offsetX * across,
    offsetY: offsetY * down,
  }
}

/** @throws RangeError in words that complete "the picture …" */
function checkPixels(width: number, height: number, most: number): void {
  if (width * height > most)
    throw new RangeError(`would have ${width}×${height} pixels on its way to the model's size; make its sides less unequal`)
}

function moved({ pixels, offsetX, offsetY, ...scale }: Placed, frame: Parameters<typeof framed>[1]): Placed {
  return { pixels: framed(pixels, frame), ...scale, offsetX: offsetX - frame.left, offsetY: offsetY - frame.top }
}

/** Sets the values right of a picture and below it to 0. */
function clearBorder(
  data: PreparedPicture['data'],
  inner: Pixels,
  {
    width,
    height,
    channels,
    layout,
  }: { readonly width: number; readonly height: number; readonly channels: number; readonly layout: ImageInput['layout'] },
): void {
  // Planes of one value each, or one plane of pixels.
  const [planes, size] = layout === 'NCHW' ? [channels, 1] : [1, channels]
  const line = width * size
  for (let plane = 0; plane < planes; plane += 1) {
    const begin = plane * height * line
    for (let y = 0; y < height; y += 1) {
      const from = y < inner.height ? Math.min(width, inner.width) * size : 0
      data.fill(0, begin + y * line + from, begin + (y + 1) * line)
    }
  }
}

/** The values of each byte as a model takes them, computed once for all pixels. */
function valuesOf(pixels: Pixels, input: ImageInput): PreparedPicture['data'] {
  const { channels, data } = pixels
  if (input.datatype === 'UINT8' && input.layout === 'NHWC' && input.channels !== 'BGR') return data
  const values = input.datatype === 'FP32' ? new Float32Array(data.length) : emptyOf(input.datatype, data.length)
  const area = data.length / channels
  for (let channel = 0; channel < channels; channel += 1) {
    const source = input.channels === 'BGR' ? channels - 1 - channel : channel
    const table = tableOf(input, channel)
    let to = input.layout === 'NCHW' ? channel * area : channel
    const step = input.layout === 'NCHW' ? 1 : channels
    for (let from = source; from < data.length; from += channels, to += step) values[to] = table[data[from] as number] as number
  }
  return values
}

function emptyOf(datatype: 'FP16' | 'UINT8', length: number): Float16Array | Uint8Array {
  return datatype === 'FP16' ? new Float16Array(length) : new Uint8Array(length)
}

/** Each step is rounded to 32 bits, as NumPy does it. */
function tableOf({ datatype, scale, mean, std }: ImageInput, channel: number): Float32Array {
  const table = new Float32Array(256)
  const [shift, spread] = [Math.fround(channelValue(mean, channel, 0)), Math.fround(channelValue(std, channel, 1))]
  for (let byte = 0; byte < 256; byte += 1) {
    const scaled = Math.fround(byte * scale)
    table[byte] = datatype === 'UINT8' ? byte : Math.fround(scaled - shift) / spread
  }
  return table
}

/** The value of a channel: a list of one counts for all. */
function channelValue(values: readonly number[], channel: number, absent: number): number {
  return values[channel] ?? values[0] ?? absent
}
