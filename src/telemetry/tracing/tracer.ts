import { AsyncLocalStorage } from 'node:async_hooks'
import { readTraceParent, readTraceState, type TraceContext, traceParentOf } from '../../core/trace-context.ts'
import type { Attributes, Span } from './span.ts'

/** The trace of an in-flight request: its span is the parent of those within. */
export interface Trace extends TraceContext {
  readonly parentId: string | undefined
  readonly traceState: string | undefined
  /** What turns the steady clock into milliseconds since 1970; one number for a request, so that its spans fit together. */
  readonly offsetMs: number
  /** Spans within it up to now. */
  count: number
}

/** A span within a request, in milliseconds of the steady clock. */
export interface Part {
  readonly name: string
  readonly startMs: number
  readonly endMs: number
  readonly attributes: Attributes
  readonly hasFailed?: boolean
}

export interface TracerOptions {
  /** Of the requests that come without a trace, the part that is recorded: 0 to 1. A caller's trace is recorded where the caller records it. */
  readonly ratio: number
  readonly record: (span: Span) => void
  /** Clock in milliseconds since 1970, and one that is never set. */
  readonly now?: () => number
  readonly steadyNow?: () => number
}

/** Spans within one request: a stream may compute a million times. */
const PARTS_MAX = 128

/** Records what becomes of requests, as spans. */
export class Tracer {
  readonly #options: Required<TracerOptions>
  readonly #current = new AsyncLocalStorage<Trace>()
  readonly #randomHex = createRandomHex()

  constructor(options: TracerOptions) {
    this.#options = { now: Date.now, steadyNow: () => performance.now(), ...options }
  }

  /** The trace of a request's `traceparent` header, or a new one. */
  begin(headers: Headers): Trace {
    const { now, steadyNow } = this.#options
    const given = readTraceParent(headers.get('traceparent'))
    const traceId = given?.traceId ?? this.#randomHex(16)
    return {
      traceId,
      spanId: this.#randomHex(8),
      parentId: given?.spanId,
      traceState: given === undefined ? undefined : readTraceState(headers.get('tracestate')),
      isSampled: given?.isSampled ?? isChosen(traceId, this.#options.ratio),
      offsetMs: now() - steadyNow(),
      count: 0,
    }
  }

  /** Does work, and all that follows from it, inside a trace. */
  inside<T>(trace: Trace, work: () => T): T {
    return this.#current.run(trace, work)
  }

  /** The trace of the current request; undefined outside of one. */
  current(): Trace | undefined {
    return this.#current.getStore()
  }

  /** Milliseconds of the steady clock. */
  steadyNow(): number {
    return this.#options.steadyNow()
  }

  /** Headers of an outgoing call made for the current request. */
  outgoing(): Readonly<Record<string, string>> {
    const trace = this.current()
    if (trace === undefined) return {}
    return { traceparent: traceParentOf(trace), ...(trace.traceState !== undefined && { tracestate: trace.traceState }) }
  }

  /** Records work within a request. */
  part(trace: Trace, part: Part): void {
    if (!trace.isSampled || trace.count >= PARTS_MAX) return
    trace.count += 1
    this.#record(trace, { ...part, kind: 'internal', spanId: this.#randomHex(8), parentId: trace.spanId })
  }

  /** Records the request itself. */
  end(trace: Trace, part: Part): void {
    if (trace.isSampled) this.#record(trace, { ...part, kind: 'server', spanId: trace.spanId, parentId: trace.parentId })
  }

  #record({ traceId, traceState, offsetMs }: Trace, part: Part & Pick<Span, 'kind' | 'spanId' | 'parentId'>): void {
    const { startMs, endMs, hasFailed = false } = part
    this.#options.record({
      ...part,
      traceId,
      traceState,
      startMs: startMs + offsetMs,
      endMs: endMs + offsetMs,
      hasFailed,
    })
  }
}

/** Whether a trace is among the part that is recorded: by its id, so that every server of a trace that asks itself decides alike. */
function isChosen(traceId: string, ratio: number): boolean {
  // 52 of the 56 bits that W3C Trace Context level 2 calls random: what a double holds.
  return Number.parseInt(traceId.slice(-13), 16) >= (1 - ratio) * 2 ** 52
}

/** Random hexadecimal digits, drawn from the system for many ids at once. */
function createRandomHex(): (bytes: number) => string {
  const pool = Buffer.alloc(4096)
  let used = pool.length
  return (bytes) => {
    if (used + bytes > pool.length) {
      crypto.getRandomValues(pool)
      used = 0
    }
    used += bytes
    return pool.toString('hex', used - bytes, used)
  }
}
