import type { Pixels } from '../../src/tasks/image/pixels.ts'

/** Noise beside hard edges and slopes; `test/unit/tasks/image/golden.py` has the same. */
export function pixelsOf(width: number, height: number, channels: 1 | 3): Pixels {
  let state = 12_345
  const data = new Uint8Array(width * height * channels)
  for (let index = 0; index < data.length; index += 1) {
    const channel = index % channels
    const x = Math.floor(index / channels) % width
    const y = Math.floor(index / channels / width)
    state = Number((BigInt(state) * 1_103_515_245n + 12_345n) & 0x7fffffffn)
    const kind = (Math.floor(x / 9) + Math.floor(y / 7)) % 3
    data[index] = kind === 0 ? state >> 16 : kind === 1 ? 255 * ((x + channel) % 2) : x * 5 + y * 3 + channel * 40
  }
  return { width, height, channels, data }
}
