/** With which weights Pillow's `Image.resize` adds pixels: what it computes in doubles is rounded to integers of 22 bits. */
import type { ResizeFilter } from '../task.ts'

/** Bits of a weight behind the point. */
export const WEIGHT_BITS = 22

interface Kernel {
  /** How far it reaches to each side, in pixels of the smaller of the two pictures. */
  readonly support: number
  readonly weight: (distance: number) => number
}

/** Those that give each value of a resized side a sum of weighed ones. */
export type WeighedFilter = Exclude<ResizeFilter, 'nearest' | 'opencv-linear'>

const KERNELS: Readonly<Record<WeighedFilter, Kernel>> = {
  box: { support: 0.5, weight: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  hamming: {
    support: 1,
    weight(x) {
      const distance = Math.abs(x)
      // Pillow has these two numbers as floats of 32 bits, and some weight's last bit shows it.
      const [constant, share] = [Math.fround(0.54), Math.fround(0.46)]
      return distance >= 1 ? 0 : sinc(distance) * (constant + share * Math.cos(Math.PI * distance))
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

/** Which values of a line are added for each value of the resized line, and with which weights. */
export interface Weights {
  readonly count: number
  /** For each: the first value, and how many. */
  readonly ranges: Int32Array
  /** Weights of each begin at a multiple of this. */
  readonly stride: number
  readonly weights: Int32Array
}

/** The weights that make `count` values of a side of `from` values. */
export function weigh(filter: WeighedFilter, from: number, count: number): Weights {
  const { support, weight } = KERNELS[filter]
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
