/** Sums of weighed pixels in WebAssembly, with instructions of 128 bits: the bytes are those of `resize.ts`, in a third of the time. */
import { RESIZE_MODULE } from '../../wasm/resize-module.ts'
import type { Pixels } from './pixels.ts'
import type { Weights } from './weights.ts'

interface Exports {
  readonly memory: WebAssembly.Memory
  readonly __heap_base: WebAssembly.Global
  readonly columns: (
    ...parts: [source: number, line: number, lines: number, to: number, count: number, ...side: PlacedSide]
  ) => void
  readonly rows: (
    ...parts: [source: number, line: number, skipped: number, to: number, begin: number, count: number, ...side: PlacedSide]
  ) => void
}

type PlacedSide = readonly [ranges: number, weights: number, stride: number]

/** All memory that is ever used; what needs more is computed by `resize.ts`. */
const MEMORY_BYTES = 8 * 1024 * 1024
const PAGE_BYTES = 64 * 1024
/** Bytes of a picture that are copied in and worked on before the next: they are still in the processor's cache then. */
const BAND_BYTES = 256 * 1024
/** What the module may touch behind a region, and where regions begin. */
const SLACK_BYTES = 16
const ALIGNMENT = 64
const LOW_BITS = 15
const LOW_MASK = (1 << LOW_BITS) - 1

class SimdResize {
  readonly #exports: Exports
  readonly #memory: ArrayBuffer
  readonly #begin: number

  constructor() {
    const module = new WebAssembly.Module(Uint8Array.fromBase64(RESIZE_MODULE))
    // The cast: the module is built from wasm/crate/resize.
    this.#exports = new WebAssembly.Instance(module, {}).exports as unknown as Exports
    const { memory, __heap_base } = this.#exports
    memory.grow((MEMORY_BYTES - memory.buffer.byteLength) / PAGE_BYTES)
    this.#memory = memory.buffer
    this.#begin = aligned(__heap_base.value)
  }

  columns({ width, height, data }: Pixels, side: Weights): Pixels | undefined {
    const [line, resizedLine] = [width * 3, side.count * 3]
    const placed = this.#place(side)
    if (placed === undefined) return undefined
    // At least two lines: that many are resized at once.
    const lines = Math.min(height, Math.max(2, Math.floor(BAND_BYTES / line)))
    const source = placed.end
    const to = behind(source, lines * line)
    if (behind(to, lines * resizedLine) > MEMORY_BYTES) return undefined
    const resized = new Uint8Array(height * resizedLine)
    for (let y = 0; y < height; y += lines) {
      const count = Math.min(lines, height - y)
      this.#write(data.subarray(y * line, (y + count) * line), source)
      this.#exports.columns(source, line, count, to, side.count, ...placed.side)
      resized.set(this.#read(to, count * resizedLine), y * resizedLine)
    }
    return { width: side.count, height, channels: 3, data: resized }
  }

  rows({ width, channels, data }: Pixels, side: Weights): Pixels | undefined {
    const line = width * channels
    const placed = this.#place(side)
    if (placed === undefined) return undefined
    const resized = new Uint8Array(line * side.count)
    for (let y = 0; y < side.count; ) {
      const band = bandFrom(side, y, Math.max(1, Math.floor(BAND_BYTES / line)))
      const source = placed.end
      const to = behind(source, (band.end - band.first) * line)
      if (behind(to, band.count * line) > MEMORY_BYTES) return undefined
      this.#write(data.subarray(band.first * line, band.end * line), source)
      this.#exports.rows(source, line, band.first, to, y, band.count, ...placed.side)
      resized.set(this.#read(to, band.count * line), y * line)
      y += band.count
    }
    return { width, height: side.count, channels, data: resized }
  }

  /** Puts ranges and weights to the beginning of memory; undefined where there is no room. */
  #place(side: Weights): { readonly side: PlacedSide; readonly end: number } | undefined {
    const stride = Math.ceil(side.stride / 4) * 4
    const weightsAt = behind(this.#begin, side.ranges.byteLength)
    const bytes = side.count * stride * Int32Array.BYTES_PER_ELEMENT
    const end = behind(weightsAt, bytes)
    if (end > MEMORY_BYTES) return undefined
    new Int32Array(this.#memory, this.#begin, side.ranges.length).set(side.ranges)
    writeHalves(new Int32Array(this.#memory, weightsAt, side.count * stride), side, stride)
    return { side: [this.#begin, weightsAt, stride], end }
  }

  #write(bytes: Uint8Array, at: number): void {
    new Uint8Array(this.#memory, at, bytes.length).set(bytes)
  }

  #read(at: number, length: number): Uint8Array {
    return new Uint8Array(this.#memory, at, length)
  }
}

/** For every two weights their low halves in one integer, and their high halves in the next. */
function writeHalves(to: Int32Array, { count, stride: from, weights }: Weights, stride: number): void {
  for (let index = 0; index < count; index += 1) {
    for (let at = 0; at < stride; at += 2) {
      const one = at < from ? (weights[index * from + at] as number) : 0
      const two = at + 1 < from ? (weights[index * from + at + 1] as number) : 0
      to[index * stride + at] = (one & LOW_MASK) | ((two & LOW_MASK) << 16)
      to[index * stride + at + 1] = ((one >> LOW_BITS) & 0xffff) | ((two >> LOW_BITS) << 16)
    }
  }
}

/** Resized lines from `y` on that need at most so many lines together, but at least one; and which these are. */
function bandFrom({ count, ranges }: Weights, y: number, linesMax: number) {
  const first = ranges[y * 2] as number
  const endOf = (line: number) => (ranges[line * 2] as number) + (ranges[line * 2 + 1] as number)
  let next = y + 1
  let end = endOf(y)
  while (next < count && next - y < linesMax && endOf(next) - first <= linesMax) {
    end = Math.max(end, endOf(next))
    next += 1
  }
  return { first, end, count: next - y }
}

/** Where the next region begins. */
function behind(begin: number, length: number): number {
  return aligned(begin + length + SLACK_BYTES)
}

function aligned(place: number): number {
  return Math.ceil(place / ALIGNMENT) * ALIGNMENT
}

let loaded: SimdResize | undefined
/** False where the processor, or this process, runs no such module. */
let isThere = true

function simd(): SimdResize | undefined {
  if (loaded !== undefined || !isThere) return loaded
  try {
    loaded = new SimdResize()
  } catch {
    isThere = false
  }
  return loaded
}

/** Resizes a picture of colours along its width; undefined where that is for `resize.ts`: no such instructions, grey, a width beyond its memory. */
export function columnsBySimd(pixels: Pixels, side: Weights): Pixels | undefined {
  return pixels.channels === 3 ? simd()?.columns(pixels, side) : undefined
}

/** Resizes a picture along its height; undefined as `columnsBySimd`. */
export function rowsBySimd(pixels: Pixels, side: Weights): Pixels | undefined {
  return simd()?.rows(pixels, side)
}
