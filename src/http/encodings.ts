import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import { constants, createGunzip, createInflate, deflate, gunzipSync, gzip, inflateSync } from 'node:zlib'
import { VestalError } from '../core/errors.ts'

/** The codings of a body that this server reads and writes; `deflate` is the zlib format (RFC 9110 §8.4.1.2). */
export type Coding = 'gzip' | 'deflate'

const ACCEPTED = 'gzip, deflate'
const openAtOnce = { gzip: gunzipSync, deflate: inflateSync }
const createOpener = { gzip: createGunzip, deflate: createInflate }
const compress = { gzip: promisify(gzip), deflate: promisify(deflate) }
/** What decompression gives at a time: small enough to be charged as it comes, large enough to be quick. */
const CHUNK_BYTES = 64 * 1024

/** How many times its size a compressed body may expand to, by default. */
const EXPANSION_RATIO_MAX = 100
/** A body may always expand to this: a tensor of zeros is small, and its ratio is as high as that of an attack. */
const EXPANSION_BYTES_MIN = 8 * 1024 * 1024

/**
 * The coding that a request's body is in; undefined for none.
 * @throws VestalError CODING_UNSUPPORTED for others, with `Accept-Encoding` as RFC 9110 §12.5.3 has it
 */
export function contentCoding(request: Request): Coding | undefined {
  const header = request.headers.get('content-encoding')
  if (header === null) return undefined
  const coding = header.trim().toLowerCase()
  if (coding === '' || coding === 'identity') return undefined
  if (coding === 'gzip' || coding === 'x-gzip') return 'gzip'
  if (coding === 'deflate') return 'deflate'
  throw new VestalError('CODING_UNSUPPORTED', {
    detail: `The content encoding ${JSON.stringify(coding.slice(0, 40))} is not supported; ${ACCEPTED} are`,
    headers: { 'accept-encoding': ACCEPTED },
  })
}

export interface DecodeOptions {
  /** How many times its size the body may expand to; default 100. */
  readonly ratioMax?: number | undefined
  /** Called with the length of each chunk before it is given; what it throws ends the decompression. */
  readonly charge?: ((bytes: number) => void) | undefined
}

/**
 * Decompresses a small body at once, on this thread: it takes a twentieth of the time of `decodeChunks`, whose stream costs more than its work
 * where there is little of it.
 * @returns undefined where the body, or what it expands to, is larger than 64 KiB
 * @throws VestalError BODY_INVALID
 */
export function decodeSmall(bytes: Uint8Array, coding: Coding): Uint8Array | undefined {
  if (bytes.byteLength > CHUNK_BYTES) return undefined
  try {
    return new Uint8Array(openAtOnce[coding](bytes, { maxOutputLength: CHUNK_BYTES }))
  } catch (error) {
    if (codeOf(error) === 'ERR_BUFFER_TOO_LARGE') return undefined
    throw invalidCoding(coding, error)
  }
}

/**
 * Decompresses a body as it comes, away from this thread. Each chunk is memory of its own and no `Buffer`, whose `slice` would not copy.
 * @throws VestalError BODY_TOO_LARGE where it expands too much, BODY_INVALID; what the source or `charge` throws
 */
export async function* decodeChunks(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  coding: Coding,
  { ratioMax = EXPANSION_RATIO_MAX, charge }: DecodeOptions = {},
): AsyncGenerator<Uint8Array, void> {
  let received = 0
  let produced = 0
  async function* counted() {
    for await (const chunk of source) {
      received += chunk.byteLength
      yield chunk
    }
  }
  const opener = createOpener[coding]({ chunkSize: CHUNK_BYTES })
  // Its failure is that of the loop below: it destroys the stream that is read there.
  pipeline(Readable.from(counted(), { objectMode: true, highWaterMark: 1 }), opener).catch(() => undefined)
  try {
    for await (const chunk of opener as AsyncIterable<Buffer>) {
      produced += chunk.byteLength
      if (produced > EXPANSION_BYTES_MIN && produced > received * ratioMax) throw expandsTooMuch(ratioMax)
      charge?.(chunk.byteLength)
      // A chunk that fills its buffer is the stream's no more; of another one it goes on to fill the rest.
      yield chunk.byteLength === chunk.buffer.byteLength ? new Uint8Array(chunk.buffer) : new Uint8Array(chunk)
    }
  } catch (error) {
    throw /^(?:Z_|ERR_)/.test(codeOf(error)) ? invalidCoding(coding, error) : error
  } finally {
    opener.destroy()
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}

function invalidCoding(coding: Coding, cause: unknown): VestalError {
  return new VestalError('BODY_INVALID', { detail: `The body is not valid ${coding}`, cause })
}

function expandsTooMuch(ratioMax: number): VestalError {
  return new VestalError('BODY_TOO_LARGE', {
    detail: `The body expands to more than ${ratioMax} times its compressed size, the most that expansion_ratio_max allows`,
  })
}

/** What a body over the limit is called; `bytes` are its own, where it declares them, or that they are more than the limit. */
export type TooLargeText = (bytes: string, bytesMax: number) => string

/** The rejection of a body over the limit, of the length that it declares if any. */
export function bodyTooLarge(bytesMax: number, text?: TooLargeText, declared?: number): VestalError {
  const bytes = declared === undefined ? `more than ${bytesMax}` : String(declared)
  const detail = text?.(bytes, bytesMax) ?? `The body exceeds the maximum allowed value of ${bytesMax} bytes`
  return new VestalError('BODY_TOO_LARGE', { detail })
}

/** Applies a coding, away from this thread; quickly, since an answer is read once. */
export function encode(bytes: Uint8Array | string, coding: Coding): Promise<Uint8Array> {
  return compress[coding](bytes, { level: constants.Z_BEST_SPEED })
}

/** The coding that an `Accept-Encoding` header likes best of those there are (RFC 9110 §12.5.3); undefined for none. */
export function preferredCoding(header: string | null): Coding | undefined {
  if (header === null) return undefined
  const weights = new Map(header.split(',').map(weightOf))
  const [gzipped = 0, deflated = 0, plain = 0] = [
    weights.get('gzip') ?? weights.get('x-gzip'),
    weights.get('deflate'),
    weights.get('identity'),
  ]
  const best = Math.max(gzipped, deflated)
  if (best === 0 || plain > best) return undefined
  return gzipped === best ? 'gzip' : 'deflate'
}

/** A coding and how much it is liked, from 0 to 1; a weight that is none counts as 0. */
function weightOf(part: string): readonly [coding: string, weight: number] {
  const [coding = '', ...parameters] = part.split(';').map((text) => text.trim().toLowerCase())
  const parameter = parameters.find((text) => text.startsWith('q='))
  if (parameter === undefined) return [coding, 1]
  return [coding, /^q=(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/.test(parameter) ? Number(parameter.slice(2)) : 0]
}
