import { Elysia } from 'elysia'
import { VestalError } from '../../core/errors.ts'
import { inOrder } from '../../core/in-order.ts'
import type { Hold } from '../../core/memory-ledger.ts'
import { withPatience } from '../../core/patience.ts'
import { RowSplitter } from '../../tensor/row-splitter.ts'
import { guard } from '../authentication.ts'
import { type Coding, contentCoding, decodeChunks } from '../encodings.ts'
import { vestalErrorIn } from '../errors.ts'
import { findModel, findReadyVersion, permissionTo } from '../model-access.ts'
import { STREAMING_DETAIL } from '../openapi/streaming.ts'
import { createRecheck, endOf, type LongLivedOptions, type Opening, type Recheck, type WhenEnding } from './long-lived.ts'
import { type PartCaller, predictOutputs, predictPart } from './predict.ts'
import { row as rowCodec } from './rows.ts'

/** Longest row of a stream in bytes, where a body may be as long. */
const ROW_BYTES_MAX = 16 * 1024 * 1024
/** Rows that are worked on at once for one stream. */
const ROWS_AT_ONCE = 32
/** What a stream holds beside its rows: what was shown to open it, and what reads and decompresses it. */
const STREAM_BYTES = 64 * 1024

/** A row of the stream, or what ended it. */
type Came = { readonly row: number; readonly bytes: Uint8Array } | { readonly row: number; readonly failure: VestalError }

type StreamForm = 'events' | 'lines'

interface RowStream {
  readonly request: Request
  /** The model yields outputs: each row may have several, and is answered before the next. */
  readonly isStream: boolean
  readonly rowBytesMax: number
  /** Rows and answers that are not read yet are charged to it. */
  readonly hold: Hold
  /** How many times its size a compressed body may expand to; default 100. */
  readonly expansionRatioMax: number | undefined
  readonly caller: PartCaller
  readonly recheck: Recheck
  readonly whenEnding: WhenEnding
  /** Reports our own bugs. */
  readonly report: (error: unknown, request: Request) => void
  readonly abort: AbortController
}

/** Failures after which no row could be answered: the stream ends with them. */
const ENDING = new Set(['MODEL_UNKNOWN', 'MODEL_UNAVAILABLE', 'SERVER_STOPPING', 'REQUEST_ABORTED'])

/** Predictions row by row, `/models/{name}/stream/`: as rows come, in memory that does not grow with their number. */
export function stream(options: LongLivedOptions) {
  return new Elysia({ name: 'stream' }).use(guard(options.authenticator)).post(
    '/models/:name/stream/',
    ({ params, request, token }) => {
      const response = predictStream({ name: params.name, request, token }, options)
      return response
    },
    { permissions: permissionTo('predict', options.engine), parse: 'none', detail: STREAMING_DETAIL.stream },
  )
}

/**
 * Answers a body of rows with one event a row, in their order, each as soon as it is computed. It keeps a bounded number of rows: no more
 * of the body is read while the answer is not read, and everything stops when the client disconnects.
 * @throws VestalError MODEL_UNKNOWN, MODEL_UNAVAILABLE, CODING_UNSUPPORTED, MEMORY_LIMIT, SUBJECT_MEMORY_LIMIT
 */
function predictStream(opening: Opening, options: LongLivedOptions): Response {
  const { name, request, token } = opening
  const { engine, memory, report, readiness, taskLimits } = options
  const { code } = findReadyVersion(findModel(engine, name))
  const abort = new AbortController()
  const subject = token.principal.key
  return streamRows({
    request,
    isStream: code?.isStream === true,
    rowBytesMax: Math.min(ROW_BYTES_MAX, memory.bodyBytesMax),
    hold: memory.ledger.open(subject),
    expansionRatioMax: memory.expansionRatioMax,
    caller: { engine, name, subject, allows: token.allows, signal: abort.signal, request, taskLimits },
    recheck: createRecheck(options, opening),
    whenEnding: endOf('stream', readiness),
    report,
    abort,
  })
}

function streamRows(options: RowStream): Response {
  const { request, abort } = options
  const form = streamForm(request)
  const coding = contentCoding(request)
  options.hold.grow(STREAM_BYTES)
  const memory = new StreamMemory(options.hold)
  const came = rowsOf(options, { coding, memory })
  const rows = options.isStream
    ? outputsOf(came, options, memory)
    : inOrder(came, (each) => answer(each, options, memory), {
        countMax: ROWS_AT_ONCE,
        weightMax: options.rowBytesMax,
        weightOf: (each) => ('bytes' in each ? each.bytes.length : 0),
      })
  const stop = () => {
    abort.abort()
    options.hold.release()
    void rows.return()
  }
  request.signal.addEventListener('abort', stop, { once: true })
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { value, done } = await rows.next()
        if (done === true || value === undefined) {
          options.hold.release()
          return controller.close()
        }
        controller.enqueue(Buffer.from(eventOf(value, form)))
        memory.answered(value)
        if (!value.isLast) return
        stop()
        controller.close()
      },
      cancel: stop,
    },
    { highWaterMark: 0 },
  )
  const type = form === 'events' ? 'text/event-stream; charset=utf-8' : 'application/x-ndjson'
  // The third header keeps proxies from gathering events.
  return new Response(body, { headers: { 'content-type': type, 'cache-control': 'no-store', 'x-accel-buffering': 'no' } })
}

/** Server-sent events for who asks for them, lines of JSON for all others. */
function streamForm(request: Request): StreamForm {
  return request.headers.get('accept')?.toLowerCase().includes('text/event-stream') === true ? 'events' : 'lines'
}

interface Reading {
  readonly coding: Coding | undefined
  readonly memory: StreamMemory
}

async function* rowsOf(options: RowStream, { coding, memory }: Reading): AsyncGenerator<Came, void> {
  const { request, rowBytesMax, expansionRatioMax: ratioMax, whenEnding, abort } = options
  const hasLines = /^application\/(?:x-)?(?:ndjson|jsonl|json-lines)\b/i.test(request.headers.get('content-type') ?? '')
  const splitter = new RowSplitter({ rowBytesMax, hasLines })
  let row = 0
  try {
    const received = chunksOf(request.body, whenEnding)
    const chunks = coding === undefined ? received : decodeChunks(received, coding, { ratioMax })
    for await (const chunk of chunks) {
      // Nothing more is read while there is no room for what came.
      await withPatience(async () => memory.receive(chunk.byteLength), abort.signal)
      const rows = splitter.push(chunk)
      memory.split(rows, splitter.pendingBytes)
      for (const bytes of rows) yield { row: row++, bytes }
    }
    for (const bytes of splitter.end()) yield { row: row++, bytes }
  } catch (error) {
    const failure =
      error instanceof VestalError
        ? error
        : new VestalError('BODY_INVALID', { detail: 'The body could not be read to its end', cause: error })
    yield { row, failure }
  }
}

/** A body as it arrives. @throws VestalError SERVER_STOPPING as soon as the server stops */
async function* chunksOf(body: ReadableStream<Uint8Array> | null, whenEnding: WhenEnding): AsyncGenerator<Uint8Array, void> {
  if (body === null) return
  const reader = body.getReader()
  let isEnding = false
  let giveUp: () => void = () => undefined
  const forget = whenEnding(() => {
    isEnding = true
    giveUp()
  })
  try {
    while (!isEnding) {
      const { promise, resolve, reject } = Promise.withResolvers<Awaited<ReturnType<typeof reader.read>>>()
      giveUp = () => reject(new VestalError('SERVER_STOPPING'))
      reader.read().then(resolve, reject)
      const { value, done } = await promise
      if (done) return
      yield value
    }
    throw new VestalError('SERVER_STOPPING')
  } finally {
    forget()
    // Nothing is left to be read where the body ended or broke.
    await reader.cancel().catch(() => undefined)
  }
}

/** What a row holds beside its bytes. */
const ROW_BYTES = 128

/** The memory of one stream: bytes that are no row yet, pending rows, and unread answers. */
class StreamMemory {
  readonly #hold: Hold
  readonly #base: number
  #coming = 0
  #rows = 0
  #answers = 0

  constructor(hold: Hold) {
    this.#hold = hold
    this.#base = hold.bytes
  }

  /** Charges bytes that came. @throws VestalError MEMORY_LIMIT, SUBJECT_MEMORY_LIMIT, REQUEST_ABORTED */
  receive(bytes: number): void {
    this.#hold.grow(bytes)
    this.#coming += bytes
  }

  /** What came was split into rows, with so much left for the next. */
  split(rows: readonly Uint8Array[], pendingBytes: number): void {
    for (const { byteLength } of rows) this.#rows += byteLength + ROW_BYTES
    this.#coming = pendingBytes
    this.#update()
  }

  /** A row has an answer. @throws VestalError where there is no room for it */
  computed(json: string): void {
    this.#hold.grow(json.length)
    this.#answers += json.length
  }

  /** A row is not needed any more. */
  finished(row: Uint8Array): void {
    this.#rows -= row.byteLength + ROW_BYTES
    this.#update()
  }

  /** An answer was read, or at least handed to the connection. */
  answered({ json, isFailure }: Answered): void {
    if (isFailure) return
    this.#answers -= json.length
    this.#update()
  }

  #update(): void {
    this.#hold.set(this.#base + this.#coming + this.#rows + this.#answers)
  }
}

interface Answered {
  readonly row: number
  readonly json: string
  readonly isFailure: boolean
  readonly isLast: boolean
}

/** The outputs of each row, one row after the other. */
async function* outputsOf(rows: AsyncIterable<Came>, options: RowStream, memory: StreamMemory): AsyncGenerator<Answered, void> {
  const { caller, recheck } = options
  for await (const came of rows) {
    const { row } = came
    if ('failure' in came) return yield failed(row, came.failure, true)
    try {
      const rejection = await recheck()
      if (rejection !== undefined) return yield failed(row, rejection, true)
      for await (const output of predictOutputs(rowCodec, came.bytes, caller)) {
        yield computed(row, output.json, memory)
      }
    } catch (error) {
      yield failureOf(error, row, options)
    } finally {
      memory.finished(came.bytes)
    }
  }
}

async function answer(came: Came, options: RowStream, memory: StreamMemory): Promise<Answered> {
  const { caller, recheck } = options
  const { row } = came
  if ('failure' in came) return failed(row, came.failure, true)
  try {
    const rejection = await recheck()
    if (rejection !== undefined) return failed(row, rejection, true)
    const output = await predictPart(rowCodec, came.bytes, caller)
    return computed(row, output.json, memory)
  } catch (error) {
    return failureOf(error, row, options)
  } finally {
    memory.finished(came.bytes)
  }
}

function computed(row: number, output: string, memory: StreamMemory): Answered {
  const json = `{"row":${row},"output":${output}}`
  memory.computed(json)
  return { row, json, isFailure: false, isLast: false }
}

function failureOf(error: unknown, row: number, { report, request }: RowStream): Answered {
  const failure = vestalErrorIn(error)
  if (failure !== undefined) return failed(row, failure, ENDING.has(failure.code))
  report(error, request)
  return failed(row, new VestalError('INTERNAL'), true)
}

function failed(row: number, { status, detail }: VestalError, isLast: boolean): Answered {
  return { row, json: JSON.stringify({ row, status_code: status, detail, error: null }), isFailure: true, isLast }
}

function eventOf({ row, json, isFailure }: Answered, form: StreamForm): string {
  if (form === 'lines') return `${json}\n`
  return `${isFailure ? 'event: failure\n' : ''}id: ${row}\ndata: ${json}\n\n`
}
