import { readdirSync } from 'node:fs'
import { SECONDS_BOUNDS } from '../core/distribution.ts'
import type { Histogram } from '../telemetry/metrics/histogram.ts'
import type { MetricRegistry } from '../telemetry/metrics/registry.ts'

/** How often the lag of the event loop is measured. */
const LAG_INTERVAL_MS = 250

export interface Lost {
  /** Log lines dropped because the reader was too slow. */
  readonly logLines: () => number
  /** Events of the audit log that could not be written; absent where there is none. */
  readonly auditEvents: (() => number) | undefined
}

/** Collects the resources that this process uses, under the names that every Prometheus client library uses, and what it dropped. */
export function collectProcess(registry: MetricRegistry, lost: Lost): void {
  const rows: readonly (readonly [name: string, type: 'counter' | 'gauge', help: string, read: () => number | undefined])[] = [
    ['process_resident_memory_bytes', 'gauge', 'Resident memory in bytes.', () => process.memoryUsage.rss()],
    ['process_cpu_seconds_total', 'counter', 'Processor time of user and system in seconds.', cpuSeconds],
    ['process_start_time_seconds', 'gauge', 'Start of the process in seconds since 1970.', startSeconds],
    ['process_open_fds', 'gauge', 'Open file handles.', openHandles],
    ['vestal_log_lines_dropped_total', 'counter', 'Log lines dropped because the reader was too slow.', lost.logLines],
    [
      'vestal_audit_events_lost_total',
      'counter',
      'Events of the audit log that could not be written.',
      () => lost.auditEvents?.(),
    ],
    ['vestal_heap_used_bytes', 'gauge', 'Memory used by JavaScript objects.', () => process.memoryUsage().heapUsed],
  ]
  for (const [name, type, help, read] of rows) {
    registry.collected(name, {
      type,
      help,
      ...(name === 'process_start_time_seconds' && { merge: 'min' }),
      read: () => {
        const value = read()
        return value === undefined ? [] : [[[], value]]
      },
    })
  }
  const lag = registry.histogram('vestal_event_loop_lag_seconds', {
    help: 'Delay of a timer: how long the event loop was blocked.',
    bounds: SECONDS_BOUNDS,
  })
  watchLag(lag.of())
}

function watchLag(histogram: Histogram): void {
  let expectedMs = performance.now() + LAG_INTERVAL_MS
  setInterval(() => {
    const nowMs = performance.now()
    histogram.observe(Math.max(0, nowMs - expectedMs) / 1000)
    expectedMs = nowMs + LAG_INTERVAL_MS
  }, LAG_INTERVAL_MS).unref()
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

function startSeconds(): number {
  return Math.round(Date.now() / 1000 - process.uptime())
}

/** On Linux only; elsewhere the metric is absent. */
function openHandles(): number | undefined {
  try {
    return readdirSync('/proc/self/fd').length
  } catch {
    return undefined
  }
}
