import { VestalError } from '../core/errors.ts'

/** Bytes of a request body by default; a larger one is refused with 413. */
export const BODY_BYTES_MAX = 64 * 1024 * 1024

/**
 * Reads a request's body up to a limit. A declared length over it is refused unread; one that is not declared, at the limit.
 * @throws VestalError BODY_TOO_LARGE, BODY_INVALID
 */
export async function readBody(request: Request, bytesMax: number): Promise<Uint8Array> {
  const declared = request.headers.get('content-length')
  if (declared !== null && Number(declared) > bytesMax) throw tooLarge(bytesMax)
  try {
    // Bun reads no further than a declared length, so that path needs no counting.
    return declared === null ? await readCounted(request, bytesMax) : await request.bytes()
  } catch (error) {
    if (error instanceof VestalError) throw error
    throw new VestalError('BODY_INVALID', { detail: 'The body could not be read to its end', cause: error })
  }
}

async function readCounted(request: Request, bytesMax: number): Promise<Uint8Array> {
  if (request.body === null) return new Uint8Array(0)
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of request.body) {
    length += chunk.byteLength
    if (length > bytesMax) throw tooLarge(bytesMax)
    chunks.push(chunk)
  }
  return new Uint8Array(Buffer.concat(chunks))
}

function tooLarge(bytesMax: number): VestalError {
  return new VestalError('BODY_TOO_LARGE', { detail: `The body is larger than ${bytesMax} bytes, the most this route takes` })
}
