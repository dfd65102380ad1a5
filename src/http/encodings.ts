import { promisify } from 'node:util'
import { constants, deflate, gunzip, gzip, inflate } from 'node:zlib'
import { VestalError } from '../core/errors.ts'
import { bodyTooLarge } from './body.ts'

/** The codings of a body that this server reads and writes; `deflate` is the zlib format (RFC 9110 §8.4.1.2). */
export type Coding = 'gzip' | 'deflate'

const ACCEPTED = 'gzip, deflate'
const decompress = { gzip: promisify(gunzip), deflate: promisify(inflate) }
const compress = { gzip: promisify(gzip), deflate: promisify(deflate) }

/**
 * The coding that a request's body is in; undefined for none.
 * @throws VestalError UNSUPPORTED for others, with `Accept-Encoding` as RFC 9110 §12.5.3 has it
 */
export function contentCoding(request: Request): Coding | undefined {
  const header = request.headers.get('content-encoding')
  if (header === null) return undefined
  const coding = header.trim().toLowerCase()
  if (coding === '' || coding === 'identity') return undefined
  if (coding === 'gzip' || coding === 'x-gzip') return 'gzip'
  if (coding === 'deflate') return 'deflate'
  throw new VestalError('UNSUPPORTED', {
    detail: `The content encoding ${JSON.stringify(coding.slice(0, 40))} is not supported; ${ACCEPTED} are`,
    headers: { 'accept-encoding': ACCEPTED },
  })
}

/**
 * Undoes a coding, away from this thread, and stops where the result grows over the limit.
 * @throws VestalError BODY_TOO_LARGE, BODY_INVALID
 */
export async function decode(bytes: Uint8Array, coding: Coding, bytesMax: number): Promise<Uint8Array> {
  try {
    return await decompress[coding](bytes, { maxOutputLength: bytesMax })
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE') throw bodyTooLarge(bytesMax)
    throw new VestalError('BODY_INVALID', { detail: `The body is not valid ${coding}`, cause: error })
  }
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
