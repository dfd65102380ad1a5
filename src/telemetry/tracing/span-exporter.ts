import { setTimeout as setTimeoutAsync } from 'node:timers/promises'
import type { Attributes, Span } from './span.ts'

export interface SpanExporterOptions {
  /** The whole address, with `/v1/traces`. */
  readonly url: string
  /** Headers that a collector asks for; they may hold a secret. */
  readonly headers?: Readonly<Record<string, string>>
  /** What is said of this process. */
  readonly resource: Attributes
  readonly version: string
  /** Hears that spans are lost, once a minute at most. */
  readonly warn: (message: string) => void
  /** Spans that wait; more are dropped. Default 2048. */
  readonly queueMax?: number
  /** Spans of one request; default 512. */
  readonly batchMax?: number
  /** How long spans are gathered; default 1000 ms. */
  readonly gatherMs?: number
  /** How long an answer may take; default 5000 ms. */
  readonly timeoutMs?: number
  /** First wait before a batch is sent again; default 1000 ms, doubled each time. */
  readonly retryMs?: number
  /** Clock in milliseconds, for the warnings; default `performance.now`. */
  readonly now?: () => number
}

/** Sends spans to a collector, beside the requests: nothing waits for it. */
export interface SpanExporter {
  add(span: Span): void
  readonly statistics: SpanStatistics
  /** Sends what is left, once, for as long as that; what cannot be sent then is dropped. */
  stop(deadlineMs: number): Promise<void>
}

export interface SpanStatistics {
  readonly sent: number
  readonly dropped: number
  readonly waiting: number
}

/** Times that a batch is sent. */
const ATTEMPTS_MAX = 4
const WARNING_EVERY_MS = 60_000
/** Statuses after which OTLP asks a client to try again. */
const RETRYABLE = new Set([429, 502, 503, 504])

type Outcome = 'sent' | 'again' | 'rejected'

/** Prepares the sending. The queue is bounded, one request is in flight at a time, and a failure is logged once a minute. */
export function createSpanExporter(options: SpanExporterOptions): SpanExporter {
  const { warn, queueMax = 2048, batchMax = 512, gatherMs = 1000, retryMs = 1000, now = () => performance.now() } = options
  const queue: Span[] = []
  const ended = new AbortController()
  let sending: Promise<void> | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  let sent = 0
  let dropped = 0
  let warnedMs = Number.NEGATIVE_INFINITY
  let isStopping = false

  const lose = (count: number, reason: string): void => {
    dropped += count
    if (now() - warnedMs < WARNING_EVERY_MS) return
    warnedMs = now()
    warn(`spans are lost (${dropped} up to now): ${reason}`)
  }
  const deliver = async (batch: readonly Span[]): Promise<void> => {
    let reason = ''
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      if (attempt > 0) await pause(retryMs * 2 ** (attempt - 1), ended.signal)
      const answer = await send(batch, options, ended.signal)
      if (answer.outcome === 'sent') {
        sent += batch.length
        return
      }
      reason = answer.reason
      if (answer.outcome === 'rejected' || isStopping) break
    }
    lose(batch.length, reason)
  }
  const sendAll = async (): Promise<void> => {
    while (queue.length > 0 && !ended.signal.aborted) await deliver(queue.splice(0, batchMax))
  }
  const begin = (): Promise<void> => {
    clearTimeout(timer)
    timer = undefined
    sending ??= sendAll().finally(() => {
      sending = undefined
    })
    return sending
  }
  return {
    add(span) {
      if (queue.length >= queueMax) return lose(1, 'more come than can be sent')
      queue.push(span)
      if (sending !== undefined) return
      if (queue.length >= batchMax) void begin()
      else if (timer === undefined) {
        timer = setTimeout(() => void begin(), gatherMs)
        timer.unref()
      }
    },
    get statistics() {
      return { sent, dropped, waiting: queue.length }
    },
    async stop(deadlineMs) {
      isStopping = true
      const cut = setTimeout(() => ended.abort(), deadlineMs)
      while (queue.length > 0 || sending !== undefined) {
        await begin()
        if (!ended.signal.aborted) continue
        lose(queue.splice(0).length, 'the server ends')
      }
      clearTimeout(cut)
      ended.abort()
    },
  }
}

async function send(
  batch: readonly Span[],
  { url, headers, resource, version, timeoutMs = 5000 }: SpanExporterOptions,
  ended: AbortSignal,
): Promise<{ readonly outcome: Outcome; readonly reason: string }> {
  try {
    const response = await fetch(url, {
      method: 'POST',
      redirect: 'manual',
      headers: { ...headers, 'content-type': 'application/json' },
      body: otlpRequest(batch, resource, version),
      signal: AbortSignal.any([AbortSignal.timeout(timeoutMs), ended]),
    })
    await response.body?.cancel()
    if (response.ok) return { outcome: 'sent', reason: '' }
    return {
      outcome: RETRYABLE.has(response.status) ? 'again' : 'rejected',
      reason: `the collector answers ${response.status}`,
    }
  } catch {
    return {
      outcome: 'again',
      reason: ended.aborted ? 'the server ends' : 'the collector cannot be reached, or does not answer in time',
    }
  }
}

/** A pause that a signal ends. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await setTimeoutAsync(ms, undefined, { signal, ref: false }).catch(() => undefined)
}

/** Characters of a text in an attribute. */
const TEXT_MAX = 300
const KINDS = { internal: 1, server: 2 } as const
const STATUS_ERROR = 2

/** Spans as a request of OTLP/HTTP in its JSON form (opentelemetry-proto 1.x, `ExportTraceServiceRequest`): ids in hexadecimal, times as texts. */
function otlpRequest(spans: readonly Span[], resource: Attributes, scopeVersion: string): string {
  return JSON.stringify({
    resourceSpans: [
      {
        resource: { attributes: attributesOf(resource) },
        scopeSpans: [{ scope: { name: 'vestal', version: scopeVersion }, spans: spans.map(spanOf) }],
      },
    ],
  })
}

function spanOf({ name, kind, traceId, spanId, parentId, traceState, startMs, endMs, attributes, hasFailed }: Span) {
  return {
    traceId,
    spanId,
    parentSpanId: parentId,
    traceState,
    name,
    kind: KINDS[kind],
    startTimeUnixNano: nanosecondsOf(startMs),
    endTimeUnixNano: nanosecondsOf(Math.max(startMs, endMs)),
    attributes: attributesOf(attributes),
    status: hasFailed ? { code: STATUS_ERROR } : {},
  }
}

/** A number of nanoseconds is too long for a double; one of microseconds is not. */
function nanosecondsOf(ms: number): string {
  return `${Math.round(ms * 1000)}000`
}

function attributesOf(attributes: Attributes) {
  return Object.entries(attributes).flatMap(([key, value]) => (value === undefined ? [] : [{ key, value: anyValue(value) }]))
}

function anyValue(value: string | number) {
  if (typeof value === 'string') return { stringValue: value.slice(0, TEXT_MAX) }
  return Number.isSafeInteger(value) ? { intValue: String(value) } : { doubleValue: value }
}
