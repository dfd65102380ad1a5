import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Pixels } from '../../../../src/tasks/image/pixels.ts'
import { columnsOf, rowsOf } from '../../../../src/tasks/image/resize.ts'
import { columnsBySimd, rowsBySimd } from '../../../../src/tasks/image/simd-resize.ts'
import { type WeighedFilter, type Weights, weigh } from '../../../../src/tasks/image/weights.ts'
import { RESIZE_MODULE } from '../../../../src/wasm/resize-module.ts'
import { pixelsOf } from '../../../support/pictures.ts'

const WASM = join(import.meta.dir, '../../../../src/wasm')
const FILTERS: readonly WeighedFilter[] = ['box', 'bilinear', 'hamming', 'bicubic', 'lanczos']

test('the module is the one whose checksum is recorded, and imports nothing', () => {
  const module = Uint8Array.fromBase64(RESIZE_MODULE)
  const sum = new Bun.CryptoHasher('sha256').update(module).digest('hex')
  expect(readFileSync(join(WASM, 'resize.wasm.sha256'), 'utf8')).toBe(`${sum}  resize.wasm\n`)
  expect(new Uint8Array(readFileSync(join(WASM, 'resize.wasm')))).toEqual(module)
  expect(WebAssembly.Module.imports(new WebAssembly.Module(module))).toEqual([])
})

/** Sizes that end in each place of a vector, and some of which one band holds a part. */
const SIZES: readonly (readonly [width: number, height: number, to: number])[] = [
  [1, 1, 1],
  [1, 1, 7],
  [2, 3, 1],
  [3, 2, 2],
  [5, 5, 4],
  [16, 17, 15],
  [31, 33, 64],
  [257, 9, 13],
  [9, 257, 13],
  [320, 241, 224],
  [200, 901, 96],
  [2, 9000, 3],
  [9000, 2, 3],
]

for (const filter of FILTERS) {
  test(`adds the same as the sums in JavaScript: ${filter}`, () => {
    for (const [width, height, to] of SIZES) {
      const colours = pixelsOf(width, height, 3)
      expect(columnsBySimd(colours, weigh(filter, width, to)), `${width}×${height} to ${to} columns`).toEqual(
        columnsOf(colours, weigh(filter, width, to)),
      )
      for (const pixels of [colours, pixelsOf(width, height, 1)])
        expect(rowsBySimd(pixels, weigh(filter, height, to)), `${width}×${height} to ${to} rows`).toEqual(
          rowsOf(pixels, weigh(filter, height, to)),
        )
    }
  })
}

test('sums that leave 0 to 255, or 32 bits, are clipped as those in JavaScript', () => {
  const pixels = pixelsOf(40, 40, 3)
  const weights = Int32Array.from({ length: 10 * 40 }, (_, index) => [2 ** 22, -(2 ** 22), 2 ** 21 + 1, -1, 7][index % 5] ?? 0)
  const side: Weights = { count: 10, ranges: Int32Array.from({ length: 20 }, (_, at) => (at % 2) * 40), stride: 40, weights }
  expect(columnsBySimd(pixels, side)).toEqual(columnsOf(pixels, side))
  expect(rowsBySimd(pixels, side)).toEqual(rowsOf(pixels, side))
})

test('leaves what its memory does not hold to the sums in JavaScript', () => {
  // Each line that is made needs all lines of the picture, 9 MB; and weights of a side may be as large.
  const large: Pixels = { width: 3000, height: 1000, channels: 3, data: new Uint8Array(9_000_000) }
  expect(rowsBySimd(large, weigh('bilinear', 1000, 1))).toBeUndefined()
  expect(columnsBySimd(pixelsOf(3, 3, 3), weigh('lanczos', 3, 400_000))).toBeUndefined()
  expect(columnsBySimd(pixelsOf(8, 8, 1), weigh('box', 8, 4))).toBeUndefined()
})
