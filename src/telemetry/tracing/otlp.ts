import type { Attributes, Span } from './span.ts'

/** Characters of a text in an attribute. */
const TEXT_MAX = 300
const KINDS = { internal: 1, server: 2 } as const
const STATUS_ERROR = 2

/** Spans as a request of OTLP/HTTP in its JSON form (opentelemetry-proto 1.x, `ExportTraceServiceRequest`): ids in hexadecimal, times as texts. */
export function otlpRequest(spans: readonly Span[], resource: Attributes, scopeVersion: string): string {
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
