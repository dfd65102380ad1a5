/** How a WAV file is written. */
export interface WavOptions {
  /** Of the format: 1 integers, 3 floats. */
  readonly tag?: number
  readonly bits?: number
  readonly channels?: number
  readonly rate?: number
  /** Writes the format as WAVE_FORMAT_EXTENSIBLE. */
  readonly isExtensible?: boolean
  /** What the chunk of samples says of its length; default the right one. */
  readonly length?: number
  /** Chunks before and after the others, and whether the samples stand before the format. */
  readonly before?: Uint8Array
  readonly after?: Uint8Array
  readonly isReversed?: boolean
}

/** A WAV file of samples from -1 to 1, those of one moment one after the other. */
export function wavOf(samples: ArrayLike<number>, options: WavOptions = {}): Uint8Array<ArrayBuffer> {
  const { tag = 1, bits = 16, channels = 1, rate = 16_000, isExtensible = false } = options
  const size = bits / 8
  const data = Buffer.alloc(samples.length * size)
  for (let index = 0; index < samples.length; index += 1) {
    const value = samples[index] ?? 0
    const at = index * size
    if (tag === 3) bits === 32 ? data.writeFloatLE(value, at) : data.writeDoubleLE(value, at)
    else if (bits === 8) data.writeUInt8(Math.max(0, Math.min(255, Math.round(value * 128) + 128)), at)
    else {
      const top = 2 ** (bits - 1)
      data.writeIntLE(Math.max(-top, Math.min(top - 1, Math.round(value * top))), at, size)
    }
  }
  const format = Buffer.alloc(isExtensible ? 40 : 16)
  format.writeUInt16LE(isExtensible ? 0xfffe : tag, 0)
  format.writeUInt16LE(channels, 2)
  format.writeUInt32LE(rate, 4)
  format.writeUInt32LE(rate * channels * size, 8)
  format.writeUInt16LE(channels * size, 12)
  format.writeUInt16LE(bits, 14)
  if (isExtensible) {
    format.writeUInt16LE(22, 16)
    format.writeUInt16LE(bits, 18)
    format.writeUInt16LE(tag, 24)
    Buffer.from('000000001000800000aa00389b71', 'hex').copy(format, 26)
  }
  const parts = [chunkOf('fmt ', format), chunkOf('data', data, options.length)]
  if (options.isReversed) parts.reverse()
  const body = Buffer.concat([options.before ?? Buffer.alloc(0), ...parts, options.after ?? Buffer.alloc(0)])
  const head = Buffer.from('RIFF\0\0\0\0WAVE', 'latin1')
  head.writeUInt32LE(body.length + 4, 4)
  return new Uint8Array(Buffer.concat([head, body]))
}

/** A chunk, padded to an even length. */
export function chunkOf(name: string, content: Uint8Array, length = content.length): Buffer {
  const head = Buffer.from(`${name}\0\0\0\0`, 'latin1')
  head.writeUInt32LE(length, 4)
  return Buffer.concat([head, content, Buffer.alloc(content.length % 2)])
}
