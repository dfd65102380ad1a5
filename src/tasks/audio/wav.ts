/** Reads WAV files: what programs write, also where its lengths are wrong. Pure. */
import { VestalError } from '../../core/errors.ts'
import { breathe } from '../breath.ts'

/** One channel of sound. */
export interface Sound {
  /** Samples a second. */
  readonly rate: number
  /** -1 to 1. */
  readonly samples: Float32Array
}

interface Format {
  readonly kind: 'integer' | 'float'
  readonly bits: number
  readonly channels: number
  readonly rate: number
}

const CHANNELS_MAX = 64
const RATE_MAX = 768_000
/** Tags of formats: integers, floats, and one whose own tag is in its extension. */
const [INTEGERS, FLOATS, EXTENSIBLE] = [1, 3, 0xfffe]
const HEADER_BYTES = 12
/** Chunks that are looked at for the two that count: a file has room for millions of empty ones. */
const CHUNKS_MAX = 1000
const FORMAT_BYTES = 16
/** Where an extensible format has its own tag. */
const SUBFORMAT_AT = 24
/** Samples of all channels that are read without letting others in. */
const SAMPLES_AT_ONCE = 16_384

/**
 * The sound of a WAV file as one channel, which is the mean of all. Integers of 8, 16, 24 and 32 bits and floats of 32 and 64 are read; chunks may
 * come in any order, and a length beyond the end of the file counts up to the end.
 * @throws VestalError INPUT_INVALID in words that begin with "The sound"
 */
export async function readWav(bytes: Uint8Array, { secondsMax }: { readonly secondsMax: number }): Promise<Sound> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const { format, data } = chunksOf(view)
  const { kind, bits, channels, rate } = format
  const size = bits / 8
  const frames = Math.floor(data.byteLength / (size * channels))
  if (frames === 0) throw unreadable('has no samples')
  if (frames > secondsMax * rate)
    throw unreadable(`is ${(frames / rate).toFixed(2)} s long; the model takes at most ${secondsMax} s`)
  const sampleAt = readerOf(kind, bits, data)
  const samples = new Float32Array(frames)
  const framesAtOnce = Math.ceil(SAMPLES_AT_ONCE / channels)
  for (let frame = 0, at = 0; frame < frames; frame += 1) {
    let sum = 0
    for (let channel = 0; channel < channels; channel += 1, at += size) sum += sampleAt(at)
    if (!Number.isFinite(sum)) throw unreadable('has a sample that is no finite number')
    samples[frame] = sum / channels
    if (frame % framesAtOnce === 0) await breathe()
  }
  return { rate, samples }
}

/** The format and the samples, wherever they stand; the first of each counts. */
function chunksOf(view: DataView): { readonly format: Format; readonly data: DataView } {
  const [riff, wave] = [textAt(view, 0), textAt(view, 8)]
  if (riff !== 'RIFF' || wave !== 'WAVE') throw unreadable(`is no WAV file (RIFF, WAVE)${hintOf(view)}`)
  let format: Format | undefined
  let data: DataView | undefined
  let chunks = 0
  for (let at = HEADER_BYTES; at + 8 <= view.byteLength && (format === undefined || data === undefined); ) {
    chunks += 1
    if (chunks > CHUNKS_MAX) throw unreadable(`has more than ${CHUNKS_MAX} chunks before its samples`)
    const name = textAt(view, at)
    const begin = at + 8
    const left = view.byteLength - begin
    const said = view.getUint32(at + 4, true)
    // A program that could not go back to write the length left 0: as long as nothing follows that is a chunk.
    const isOpen = name === 'data' && said === 0 && !isChunk(view, begin)
    const length = isOpen ? left : Math.min(said, left)
    const chunk = new DataView(view.buffer, view.byteOffset + begin, length)
    if (name === 'fmt ') format ??= formatOf(chunk)
    if (name === 'data') data ??= chunk
    at = begin + length + (length % 2)
  }
  if (format === undefined) throw unreadable('has no format ("fmt " chunk)')
  if (data === undefined) throw unreadable('has no samples ("data" chunk)')
  return { format, data }
}

function isChunk(view: DataView, at: number): boolean {
  return (
    at + 8 <= view.byteLength &&
    /^[\x20-\x7e]{4}$/.test(textAt(view, at)) &&
    view.getUint32(at + 4, true) <= view.byteLength - at - 8
  )
}

function formatOf(chunk: DataView): Format {
  if (chunk.byteLength < FORMAT_BYTES) throw unreadable('has a format of too few bytes')
  const own = chunk.getUint16(0, true)
  const isExtended = own === EXTENSIBLE && chunk.byteLength >= SUBFORMAT_AT + 2
  const tag = isExtended ? chunk.getUint16(SUBFORMAT_AT, true) : own
  const [channels, rate, bits] = [chunk.getUint16(2, true), chunk.getUint32(4, true), chunk.getUint16(14, true)]
  const kind = tag === INTEGERS ? 'integer' : tag === FLOATS ? 'float' : undefined
  if (kind === undefined)
    throw unreadable(`has the format ${tag}; 1 (integers) and 3 (floats) are read: convert it to 16-bit WAV`)
  const sizes = kind === 'integer' ? [8, 16, 24, 32] : [32, 64]
  if (!sizes.includes(bits)) throw unreadable(`has ${bits} bits a sample; ${sizes.join(', ')} are read for ${kind}s`)
  if (channels < 1 || channels > CHANNELS_MAX) throw unreadable(`has ${channels} channels; 1 to ${CHANNELS_MAX} are read`)
  if (rate < 1 || rate > RATE_MAX) throw unreadable(`has ${rate} samples a second; 1 to ${RATE_MAX} are read`)
  return { kind, bits, channels, rate }
}

function readerOf(kind: Format['kind'], bits: number, data: DataView): (at: number) => number {
  if (kind === 'float') return bits === 32 ? (at) => data.getFloat32(at, true) : (at) => data.getFloat64(at, true)
  // Bytes are the one size that is unsigned.
  if (bits === 8) return (at) => (data.getUint8(at) - 128) / 128
  if (bits === 16) return (at) => data.getInt16(at, true) / 2 ** 15
  if (bits === 24) return (at) => (data.getUint16(at, true) + data.getInt8(at + 2) * 2 ** 16) / 2 ** 23
  return (at) => data.getInt32(at, true) / 2 ** 31
}

/** What other files begin with. */
const OTHERS: readonly (readonly [begin: string, name: string])[] = [
  ['RF64', 'RF64'],
  ['RIFX', 'RIFX'],
  ['fLaC', 'FLAC'],
  ['OggS', 'Ogg'],
  ['ID3', 'MP3'],
  ['FORM', 'AIFF'],
]

function hintOf(view: DataView): string {
  const begin = textAt(view, 0)
  const other = OTHERS.find(([own]) => begin.startsWith(own))
  return other === undefined ? '' : `, but ${other[1]}: convert it to WAV`
}

function textAt(view: DataView, at: number): string {
  let text = ''
  for (let index = at; index < Math.min(at + 4, view.byteLength); index += 1) text += String.fromCharCode(view.getUint8(index))
  return text
}

function unreadable(what: string): VestalError {
  return new VestalError('INPUT_INVALID', { detail: `The sound ${what}` })
}
