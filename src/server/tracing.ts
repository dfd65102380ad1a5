import type { Settings } from '../config/settings.ts'
import { VERSION } from '../core/version.ts'
import type { MetricRegistry } from '../telemetry/metrics/registry.ts'
import type { SpanExporter } from '../telemetry/tracing/span-exporter.ts'
import type { Tracer } from '../telemetry/tracing/tracer.ts'

/** Tracing as the settings have it. */
export interface OpenTracing {
  readonly tracer: Tracer
  readonly exporter: SpanExporter
  /** Sends pending spans, for a short time. */
  stop(): Promise<void>
}

/** How long a shutdown waits for pending spans. */
const STOP_MS = 2000

/** Opens tracing where a collector is configured; otherwise its code is not even loaded. */
export async function openTracing(settings: Settings, warn: (message: string) => void): Promise<OpenTracing | undefined> {
  const { otlpEndpoint, otlpHeaders, otlpServiceName, traceRatio } = settings
  if (otlpEndpoint === undefined) return undefined
  const [{ createSpanExporter }, { Tracer }] = await Promise.all([
    import('../telemetry/tracing/span-exporter.ts'),
    import('../telemetry/tracing/tracer.ts'),
  ])
  const exporter = createSpanExporter({
    url: `${otlpEndpoint.replace(/\/+$/, '')}/v1/traces`,
    headers: Object.fromEntries(otlpHeaders.map((text) => [text.slice(0, text.indexOf('=')), text.slice(text.indexOf('=') + 1)])),
    resource: {
      'service.name': otlpServiceName,
      'service.version': VERSION,
      'service.instance.id': crypto.randomUUID(),
      'process.pid': process.pid,
      'telemetry.sdk.name': 'vestal',
      'telemetry.sdk.language': 'nodejs',
      'telemetry.sdk.version': VERSION,
    },
    version: VERSION,
    warn,
  })
  const tracer = new Tracer({ ratio: traceRatio, record: exporter.add })
  return { tracer, exporter, stop: () => exporter.stop(STOP_MS) }
}

/** Collects metrics of spans; none without tracing. */
export function collectTracing(registry: MetricRegistry, tracing: OpenTracing | undefined): void {
  const rows = [
    ['vestal_spans_sent_total', 'counter', 'Spans that the collector accepted.', 'sent'],
    [
      'vestal_spans_dropped_total',
      'counter',
      'Spans dropped because the queue was full or the collector rejected them.',
      'dropped',
    ],
    ['vestal_spans_waiting', 'gauge', 'Pending spans.', 'waiting'],
  ] as const
  for (const [name, type, help, key] of rows) {
    registry.collected(name, { type, help, read: () => (tracing === undefined ? [] : [[[], tracing.exporter.statistics[key]]]) })
  }
}
