import { VestalError } from '../core/errors.ts'

/** Bytes of a request body by default; a larger one is refused with 413. */
export const BODY_BYTES_MAX = 64 * 1024 * 1024

/** Pieces of a body smaller than this are gathered, so that a body of many small ones takes no more memory than its bytes. */
const PIECE_BYTES_MIN = 64 * 1024
const NO_BYTES = new Uint8Array(0)

/**
 * Reads a request's body up to a limit. A declared length over it is refused unread; one that is not declared, at the limit. The
 * memory of what is given belongs to the caller alone.
 * @throws VestalError BODY_TOO_LARGE, BODY_INVALID
 */
export function readBody(request: Request, bytesMax: number): Promise<Uint8Array> {
  const declared = request.headers.get('content-length')
  if (declared !== null && Number(declared) > bytesMax) return Promise.reject(bodyTooLarge(bytesMax))
  // Bun reads no further than a declared length, so that path needs no counting.
  const bytes = declared === null ? readCounted(request, bytesMax) : request.bytes()
  return bytes.catch(refuseUnreadable)
}

function refuseUnreadable(error: unknown): never {
  if (error instanceof VestalError) throw error
  throw new VestalError('BODY_INVALID', { detail: 'The body could not be read to its end', cause: error })
}

async function readCounted(request: Request, bytesMax: number): Promise<Uint8Array> {
  if (request.body === null) return NO_BYTES
  const pieces: Uint8Array[] = []
  let gathered = NO_BYTES
  let used = 0
  let length = 0
  const flush = () => {
    if (used > 0) pieces.push(gathered.slice(0, used))
    used = 0
  }
  for await (const chunk of request.body) {
    length += chunk.byteLength
    if (length > bytesMax) throw bodyTooLarge(bytesMax)
    if (used + chunk.byteLength > PIECE_BYTES_MIN) flush()
    // Most bodies are one piece, which needs nothing around it.
    if (pieces.length === 0 || chunk.byteLength >= PIECE_BYTES_MIN) pieces.push(chunk)
    else {
      if (gathered.length === 0) gathered = new Uint8Array(PIECE_BYTES_MIN)
      gathered.set(chunk, used)
      used += chunk.byteLength
    }
  }
  flush()
  return join(pieces, length)
}

function join(pieces: readonly Uint8Array[], length: number): Uint8Array {
  const [only] = pieces
  if (pieces.length === 1 && only !== undefined && only.byteLength === only.buffer.byteLength) return only
  const bytes = new Uint8Array(length)
  let position = 0
  for (const piece of pieces) {
    bytes.set(piece, position)
    position += piece.byteLength
  }
  return bytes
}

/** A refusal of a body over the limit. */
export function bodyTooLarge(bytesMax: number): VestalError {
  return new VestalError('BODY_TOO_LARGE', { detail: `The body is larger than ${bytesMax} bytes, the most this route takes` })
}
