import { SYSTEM_CLOCK } from '../core/clock.ts'
import { VestalError } from '../core/errors.ts'
import { freeBytes } from '../core/free-bytes.ts'
import type { IndexedItem } from '../core/indexed-set.ts'
import type { Hold } from '../core/memory-ledger.ts'
import { Deadlines } from '../inference/queue/deadlines.ts'
import { bodyTooLarge, type Coding, contentCoding, decodeChunks, decodeSmall, type TooLargeText } from './encodings.ts'
import type { Turns } from './turns.ts'

/** Bytes of a request body by default; a larger one is rejected with 413. */
export const BODY_BYTES_MAX = 64 * 1024 * 1024

/** Pieces of a body smaller than this are gathered, so that a body of many small ones takes no more memory than its bytes. */
const PIECE_BYTES_MIN = 64 * 1024
/** Bodies from this length on are read piece by piece. */
const PIECEWISE_BYTES_MIN = 16 * 1024 * 1024
const NO_BYTES = new Uint8Array(0)

/** How long a body may take to come. */
export interface BodyTimes {
  /** Most for the whole body, in milliseconds. */
  readonly wholeMs: number
  /** What it may take whatever its pace is, in milliseconds. */
  readonly graceMs: number
  /** Bytes a second that it must keep beyond that: those declared, or where none are, those that came. */
  readonly bytesPerSecondMin: number
}

export const BODY_TIMES: BodyTimes = { wholeMs: 300_000, graceMs: 10_000, bytesPerSecondMin: 16_384 }

export interface BodyOptions {
  /** Longest body, and what a compressed one may expand to. */
  readonly bytesMax: number
  readonly times?: BodyTimes | undefined
  /** What holds the body's bytes: a declared length before any of it is read, the rest as it comes. It holds the body's length afterwards. */
  readonly hold: Hold
  readonly decompression: Decompression
  /** Called with the number of bytes that were received or decompressed and then rejected. */
  readonly discarded?: ((bytes: number) => void) | undefined
  /** The error text of a body over the limit. */
  readonly tooLarge?: TooLargeText | undefined
  /** Whether the request came over a connection, so that only the server has the memory of its body. Default: none did. */
  readonly isReceived?: ((request: Request) => boolean) | undefined
}

/** How compressed bodies are read. */
export interface Decompression {
  /** How many times its size a body may expand to; default 100. */
  readonly ratioMax?: number | undefined
  /** Runs so many decompressions at once. */
  readonly turns: Turns
}

/**
 * Reads a request's body up to a limit and in time, and decompresses it: the one way for every route. A declared length over a limit is
 * rejected unread; one that is not declared, at the limit. The caller owns the memory of the result, which is no `Buffer`.
 * @throws VestalError BODY_TOO_LARGE, BODY_INVALID, BODY_TIMEOUT, CODING_UNSUPPORTED, MEMORY_LIMIT, SUBJECT_MEMORY_LIMIT
 */
export function readBody(request: Request, options: BodyOptions): Promise<Uint8Array> {
  const coding = contentCoding(request)
  return coding === undefined ? readReceived(request, options) : readCoded(request, coding, options)
}

function readReceived(request: Request, options: BodyOptions): Promise<Uint8Array> {
  const { bytesMax, times = BODY_TIMES, hold, tooLarge, isReceived } = options
  const declared = declaredLength(request)
  if (declared === undefined) {
    return readCounted(request, options).catch((error) => {
      throw rejectionOf(error)
    })
  }
  if (declared > bytesMax) throw bodyTooLarge(bytesMax, tooLarge, declared)
  hold.grow(declared)
  const isLarge = declared >= PIECEWISE_BYTES_MIN && isReceived?.(request) === true
  // Bun reads no further than a declared length, so that path needs no counting.
  const whole = isLarge && request.body !== null ? readPieces(request.body, declared) : request.bytes()
  return inTime(whole, allowedMs(declared, times))
}

/**
 * Reads a body of that length into memory of its own, piece by piece. Bun would let it grow: each time it copies all that came before, and
 * no other request is answered meanwhile.
 */
async function readPieces(body: ReadableStream<Uint8Array>, length: number): Promise<Uint8Array> {
  const reader = body.getReader()
  let bytes = NO_BYTES
  let at = 0
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    // Taken with the first piece: who declares a length and sends nothing gets no memory. Each byte of it is written below.
    if (at === 0) bytes = new Uint8Array(Buffer.allocUnsafeSlow(length).buffer)
    bytes.set(piece.value, at)
    at += piece.value.byteLength
    freeBytes(piece.value)
  }
  if (at < length) throw new Error(`the body ended after ${at} of ${length} bytes`)
  return bytes
}

async function readCoded(request: Request, coding: Coding, options: BodyOptions): Promise<Uint8Array> {
  const { bytesMax, hold, decompression, tooLarge } = options
  const received = await readReceived(request, options)
  const small = decodeSmall(received, coding)
  if (small !== undefined) {
    if (small.byteLength > bytesMax) throw bodyTooLarge(bytesMax, tooLarge)
    hold.set(small.byteLength)
    return small
  }
  return decompression.turns.run(hold.principal, async () => {
    if (request.signal.aborted) throw new VestalError('REQUEST_ABORTED')
    const pieces: Uint8Array[] = []
    let body: Uint8Array | undefined
    let length = 0
    const charge = (bytes: number) => {
      length += bytes
      if (length > bytesMax) throw bodyTooLarge(bytesMax, tooLarge)
      hold.grow(bytes)
    }
    try {
      for await (const piece of decodeChunks([received], coding, { ratioMax: decompression.ratioMax, charge })) pieces.push(piece)
      body = join(pieces, length)
      hold.set(length)
      return body
    } finally {
      // Joined, or rejected: of an attack, more would come before the collector does.
      for (const piece of pieces) if (piece !== body) freeBytes(piece)
    }
  })
}

function rejectionOf(error: unknown): VestalError {
  if (error instanceof VestalError) return error
  return new VestalError('BODY_INVALID', { detail: 'The body could not be read to its end', cause: error })
}

/** Two equal lengths come as one text, `3, 3`: such a body is counted like one of none. */
function declaredLength({ headers }: Request): number | undefined {
  const text = headers.get('content-length')
  return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : undefined
}

function allowedMs(bytes: number, { wholeMs, graceMs, bytesPerSecondMin }: BodyTimes): number {
  return Math.min(wholeMs, graceMs + (bytes / bytesPerSecondMin) * 1000)
}

/** The connection ends with the answer: what still comes on it belongs to this body. */
function bodyTooSlow(): VestalError {
  return new VestalError('BODY_TIMEOUT', { headers: { connection: 'close' } })
}

interface Expected extends IndexedItem {
  readonly deadlineMs: number
  readonly reject: (error: unknown) => void
}

/** One timer for all bodies that are on their way: nearly all come in time, and a timer each would cost more than a small one. */
const EXPECTED = new Deadlines<Expected>(SYSTEM_CLOCK, ({ reject }) => reject(bodyTooSlow()))

function inTime(whole: Promise<Uint8Array>, ms: number): Promise<Uint8Array> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>()
  const expected = { deadlineMs: performance.now() + ms, reject, index: -1 }
  EXPECTED.add(expected)
  whole.then(
    (bytes) => {
      EXPECTED.remove(expected)
      resolve(bytes)
    },
    (error) => {
      EXPECTED.remove(expected)
      reject(rejectionOf(error))
    },
  )
  return promise
}

async function readCounted(request: Request, options: BodyOptions): Promise<Uint8Array> {
  const { bytesMax, times = BODY_TIMES, hold, discarded, tooLarge } = options
  if (request.body === null) return new Uint8Array(0)
  const reader = request.body.getReader()
  const pieces: Uint8Array[] = []
  let gathered = NO_BYTES
  let used = 0
  let length = 0
  const flush = () => {
    if (used > 0) pieces.push(gathered.slice(0, used))
    used = 0
  }
  let isWhole = false
  let isLate = false
  // A pending read then resolves without a chunk.
  const stopClock = startClock(times, {
    bytes: () => length,
    onLate: () => {
      isLate = true
      void reader.cancel().catch(() => undefined)
    },
  })
  try {
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
      const chunk = piece.value
      length += chunk.byteLength
      if (length > bytesMax) throw bodyTooLarge(bytesMax, tooLarge)
      hold.grow(chunk.byteLength)
      if (used + chunk.byteLength > PIECE_BYTES_MIN) flush()
      // Most bodies are one piece, which needs nothing around it.
      if (pieces.length === 0 || chunk.byteLength >= PIECE_BYTES_MIN) pieces.push(chunk)
      else {
        if (gathered.length === 0) gathered = new Uint8Array(PIECE_BYTES_MIN)
        gathered.set(chunk, used)
        used += chunk.byteLength
      }
    }
    isWhole = true
  } finally {
    stopClock()
    if (!isWhole) {
      void reader.cancel().catch(() => undefined)
      discarded?.(length)
    }
  }
  if (isLate) throw bodyTooSlow()
  flush()
  return join(pieces, length)
}

interface Late {
  /** How many came up to now. */
  readonly bytes: () => number
  readonly onLate: () => void
}

/** Calls back once the time allowed for the received bytes has passed; returns a function that stops that. */
function startClock(times: BodyTimes, { bytes, onLate }: Late): () => void {
  const begun = performance.now()
  const look = () => {
    const leftMs = allowedMs(bytes(), times) - (performance.now() - begun)
    if (leftMs <= 0) return onLate()
    timer = setTimeout(look, leftMs)
  }
  let timer = setTimeout(look, allowedMs(0, times))
  return () => clearTimeout(timer)
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
