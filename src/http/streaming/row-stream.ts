import { VestalError } from '../../core/errors.ts'
import { inOrder } from '../../core/in-order.ts'
import { RowSplitter } from '../../tensor/row-splitter.ts'
import { vestalErrorIn } from '../errors.ts'
import type { Witness } from './witness.ts'

/** Rows that are worked on at once for one stream. */
const ROWS_AT_ONCE = 32

/** A row of the stream, or what ended it. */
type Came = { readonly row: number; readonly bytes: Uint8Array } | { readonly row: number; readonly failure: VestalError }

export type StreamForm = 'events' | 'lines'

export interface RowStreamOptions {
  readonly request: Request
  readonly rowBytesMax: number
  /** Gives the JSON of the answer to the JSON of a row. */
  readonly predict: (row: Uint8Array) => Promise<string>
  readonly stillMay: Witness
  /** Calls back when the server stops; gives what takes that back. */
  readonly whenEnding: (hear: () => void) => () => void
  /** Hears of what is our own bug. */
  readonly report: (error: unknown, request: Request) => void
  readonly abort: AbortController
}

/** Failures after which no row could be answered: the stream ends with them. */
const ENDING = new Set(['MODEL_UNKNOWN', 'MODEL_UNAVAILABLE', 'SERVER_STOPPING', 'REQUEST_ABORTED'])

/**
 * Answers a body of rows with one event a row, in their order, each as soon as it is computed. It keeps a bounded number of rows: no more
 * of the body is read while nobody reads the answer, and everything stops when the client goes.
 */
export function streamRows(options: RowStreamOptions): Response {
  const { request, abort } = options
  const form = streamForm(request)
  const rows = inOrder(rowsOf(options), (came) => answer(came, options), {
    countMax: ROWS_AT_ONCE,
    weightMax: options.rowBytesMax,
    weightOf: (came) => ('bytes' in came ? came.bytes.length : 0),
  })
  const stop = () => {
    abort.abort()
    void rows.return()
  }
  request.signal.addEventListener('abort', stop, { once: true })
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { value, done } = await rows.next()
        if (done === true || value === undefined) return controller.close()
        controller.enqueue(Buffer.from(eventOf(value, form)))
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

async function* rowsOf({ request, rowBytesMax, whenEnding }: RowStreamOptions): AsyncGenerator<Came, void> {
  const hasLines = /^application\/(?:x-)?(?:ndjson|jsonl|json-lines)\b/i.test(request.headers.get('content-type') ?? '')
  const splitter = new RowSplitter({ rowBytesMax, hasLines })
  let row = 0
  try {
    for await (const chunk of chunksOf(request.body, whenEnding)) {
      for (const bytes of splitter.push(chunk)) yield { row: row++, bytes }
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

/** A body as it comes. @throws VestalError SERVER_STOPPING as soon as the server stops, whether more has come or not */
async function* chunksOf(
  body: ReadableStream<Uint8Array> | null,
  whenEnding: RowStreamOptions['whenEnding'],
): AsyncGenerator<Uint8Array, void> {
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

interface Answered {
  readonly row: number
  readonly json: string
  readonly isFailure: boolean
  readonly isLast: boolean
}

async function answer(came: Came, { predict, stillMay, report, request }: RowStreamOptions): Promise<Answered> {
  const { row } = came
  if ('failure' in came) return failed(row, came.failure, true)
  try {
    const refusal = await stillMay()
    if (refusal !== undefined) return failed(row, refusal, true)
    return { row, json: `{"row":${row},"output":${await predict(came.bytes)}}`, isFailure: false, isLast: false }
  } catch (error) {
    const failure = vestalErrorIn(error)
    if (failure !== undefined) return failed(row, failure, ENDING.has(failure.code))
    report(error, request)
    return failed(row, new VestalError('INTERNAL'), true)
  }
}

function failed(row: number, { status, detail }: VestalError, isLast: boolean): Answered {
  return { row, json: JSON.stringify({ row, status_code: status, detail, error: null }), isFailure: true, isLast }
}

function eventOf({ row, json, isFailure }: Answered, form: StreamForm): string {
  if (form === 'lines') return `${json}\n`
  return `${isFailure ? 'event: failure\n' : ''}id: ${row}\ndata: ${json}\n\n`
}
