import { VestalError } from '../../core/errors.ts'
import { TRITON_TEXTS } from '../../tensor/triton-texts.ts'
import type { TooLargeText } from '../encodings.ts'
import type { RequestHold } from '../request-memory.ts'

/** Says how long the JSON of a body is that has binary tensor data behind it. */
export const HEADER_LENGTH = 'inference-header-content-length'
const INT32_MAX = 2 ** 31 - 1

const REMEDY = 'Use --body-bytes-max to increase the limit.'

/** What is told of a body of JSON that is larger than `body_bytes_max`. */
export const jsonTooLarge: TooLargeText = (...sizes) => `${TRITON_TEXTS.jsonTooLarge(...sizes)} ${REMEDY}`
const rawTooLarge: TooLargeText = (...sizes) => `${TRITON_TEXTS.rawTooLarge(...sizes)} ${REMEDY}`

/** The body of an inference request, whole and without its coding. */
export interface InferBody {
  /** Memory of this request alone. */
  readonly bytes: Uint8Array
  /** Length of the JSON that begins it; 0 for a raw request, which has none. */
  readonly jsonLength: number
  readonly isRaw: boolean
}

/**
 * Reads the body of an inference request. What it says of itself is checked before it is read. Its media type is not looked at: clients
 * of this protocol send none, or a wrong one.
 * @throws VestalError as `readBody`
 */
export async function readInferBody(request: Request, held: RequestHold): Promise<InferBody> {
  const jsonLength = headerLength(request)
  const bytes = await held.read(jsonLength === undefined ? jsonTooLarge : jsonLength === 0 ? rawTooLarge : undefined)
  if (jsonLength === undefined) return { bytes, jsonLength: bytes.length, isRaw: false }
  if (jsonLength > bytes.length) throw invalid(TRITON_TEXTS.headerRange(bytes.length, jsonLength))
  return { bytes, jsonLength, isRaw: jsonLength === 0 }
}

function headerLength(request: Request): number | undefined {
  const header = request.headers.get(HEADER_LENGTH)
  if (header === null) return undefined
  const length = /^\d{1,10}$/.test(header) ? Number(header) : Number.NaN
  if (length <= INT32_MAX) return length
  throw invalid(TRITON_TEXTS.headerLength(header.replaceAll(/[^\w.+-]/g, '?').slice(0, 40)))
}

function invalid(detail: string): VestalError {
  return new VestalError('BODY_INVALID', { detail })
}
