import { describe, expect, test } from 'bun:test'
import { greyOf } from '../../../../src/tasks/image/pixels.ts'
import { resize } from '../../../../src/tasks/image/resize.ts'
import type { ResizeFilter } from '../../../../src/tasks/task.ts'
import { pixelsOf } from '../../../support/pictures.ts'
import golden from './golden.json'

const digestOf = (data: Uint8Array) => new Bun.CryptoHasher('sha256').update(data).digest('hex').slice(0, 32)

describe(`gives the bytes of Pillow ${golden.pillow} and of OpenCV ${golden.opencv}`, () => {
  for (const line of golden.resized) {
    const [from = '', to = '', channels, filter, sha256 = ''] = line.replaceAll(/(\d+) (\d+) (?=\d)/g, '$1×$2 ').split(' ')
    test(`${filter}, ${channels} channels, ${from} to ${to}`, () => {
      const [width = 0, height = 0] = from.split('×').map(Number)
      const [toWidth = 0, toHeight = 0] = to.split('×').map(Number)
      // The casts: a file of JSON has no types as narrow as these.
      const resized = resize(pixelsOf(width, height, Number(channels) as 1 | 3), toWidth, toHeight, filter as ResizeFilter)
      expect([resized.width, resized.height]).toEqual([toWidth, toHeight])
      expect(digestOf(resized.data)).toBe(sha256)
    })
  }

  test('grey of colours', () => {
    expect(digestOf(greyOf(pixelsOf(64, 48, 3)).data)).toBe(golden.grey)
  })
})

test('a different filter gives different bytes', () => {
  const picture = pixelsOf(160, 120, 3)
  const digests = new Set(
    (['nearest', 'box', 'bilinear', 'hamming', 'bicubic', 'lanczos', 'opencv-linear'] as const).map((filter) =>
      digestOf(resize(picture, 37, 28, filter).data),
    ),
  )
  expect(digests.size).toBe(7)
})
