import type { Authenticator } from '../auth/authenticator.ts'
import { SECONDS_BOUNDS } from '../core/distribution.ts'
import type { SharedCounts } from '../core/shared-counts.ts'
import { VERSION } from '../core/version.ts'
import type { Engine } from '../inference/engine.ts'
import type { Histogram } from '../telemetry/metrics/histogram.ts'
import type { MetricRegistry, Reading } from '../telemetry/metrics/registry.ts'
import type { LimitKind } from './front/rate-limits.ts'
import { nameOfModel } from './model-access.ts'
import type { Readiness } from './readiness.ts'
import type { RecordReader } from './request-record.ts'
import type { FoundRoute } from './route-table.ts'

/** Methods that have a label of their own; a client may make up others. */
export const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

/** Routes that compute. */
const PREDICTION = /:name\/.*(?:predict|infer|generate)/

/** Counts what is answered: durations by method, route and status, of predictions by model too, and rejections by their code. */
export function createRequestMetrics(registry: MetricRegistry, engine: Engine): RecordReader {
  const durations = registry.histogram('vestal_http_request_duration_seconds', {
    help: 'Time from the head of a request to its response, by route and status.',
    labels: ['method', 'route', 'status'],
    bounds: SECONDS_BOUNDS,
  })
  const rejections = registry.counter('vestal_http_rejections_total', {
    help: 'Requests rejected, by the code of docs/reference/errors.md.',
    labels: ['reason'],
  })
  const predictions = registry.histogram('vestal_prediction_duration_seconds', {
    help: 'Time from the head of a prediction to its response, by model: reading, waiting, computing and writing.',
    labels: ['model'],
    bounds: SECONDS_BOUNDS,
  })
  // The one series that most requests of a route are for is found without building its labels again.
  const goodOnes = new Map<FoundRoute, Map<string, Histogram>>()
  const histogramOf = (route: FoundRoute, given: string, status: number): Histogram => {
    const known = status === 200 ? goodOnes.get(route)?.get(given) : undefined
    if (known !== undefined) return known
    const method = METHODS.has(given) ? given : 'other'
    const histogram = durations.of(method, route.path, status)
    if (status !== 200 || method === 'other') return histogram
    const byMethod = goodOnes.get(route) ?? new Map<string, Histogram>()
    goodOnes.set(route, byMethod.set(method, histogram))
    return histogram
  }
  const areComputed = new Map<FoundRoute, boolean>()
  const isComputed = (route: FoundRoute): boolean => {
    const known = areComputed.get(route)
    if (known !== undefined) return known
    const found = PREDICTION.test(route.path)
    areComputed.set(route, found)
    return found
  }
  return {
    answered: ({ request: { method }, route, pathname, model, code, status, durationMs }) => {
      histogramOf(route, method, status).observe(durationMs / 1000)
      if (status === 200) {
        const name = model ?? (isComputed(route) ? nameOfModel(route, pathname, engine) : undefined)
        if (name !== undefined) predictions.of(name).observe(durationMs / 1000)
      }
      if (code !== undefined) rejections.of(code).add()
    },
  }
}

/** Counts what limits reject, and whether they are shared as the settings ask. */
export function countLimits(registry: MetricRegistry, shared: SharedCounts | undefined): (kind: LimitKind) => void {
  const rejections = registry.counter('vestal_rate_limit_refusals_total', {
    help: 'Requests over a limit of rate_limits or address_requests_per_minute, by which limit it is.',
    labels: ['limit'],
  })
  for (const kind of ['address', 'requests', 'rows', 'concurrent'] as const) rejections.of(kind)
  const sharing = (read: (counts: SharedCounts) => number) => (): readonly Reading[] => {
    return shared === undefined ? [] : [[[], read(shared)]]
  }
  registry.collected('vestal_shared_limits_reachable', {
    type: 'gauge',
    merge: 'min',
    help: 'Whether limits are counted in Redis now; absent where they are not to be.',
    read: sharing(({ isReachable }) => Number(isReachable)),
  })
  registry.collected('vestal_shared_limits_failures_total', {
    type: 'counter',
    help: 'Times that Redis could not be asked for a limit.',
    read: sharing(({ failures }) => failures),
  })
  return (kind) => rejections.of(kind).add()
}

/** What runs, and whether it is ready. */
export function collectServer(registry: MetricRegistry, engine: Engine, readiness: Readiness): void {
  registry.collected('vestal_build_info', {
    type: 'gauge',
    merge: 'max',
    help: 'Always 1; its labels say what runs.',
    labels: ['version', 'bun'],
    read: () => [[[VERSION, Bun.version], 1]],
  })
  registry.collected('vestal_ready', {
    type: 'gauge',
    merge: 'min',
    help: 'Whether the server takes predictions.',
    read: () => [[[], Number(readiness.isReady())]],
  })
  registry.collected('vestal_model_ready', {
    type: 'gauge',
    merge: 'min',
    help: 'Whether a version of a model answers.',
    labels: ['model', 'version'],
    read: () =>
      engine
        .models()
        .flatMap(({ name, versions }) =>
          versions.map(({ version, state }) => [[name, version], Number(state === 'ready' && engine.isReady())] as const),
        ),
  })
}

/** The keys of each issuer count for themselves; issuers come from the settings, so they are few. */
export function collectRemoteKeys(authenticator: Authenticator, registry: MetricRegistry): void {
  const rows = [
    ['vestal_remote_key_fetches_total', 'counter', 'sum', 'Fetches of key sets.', 'fetches'],
    ['vestal_remote_key_failures_total', 'counter', 'sum', 'Failed fetches of key sets.', 'failures'],
    ['vestal_remote_keys', 'gauge', 'min', 'Keys in use.', 'keys'],
    ['vestal_remote_key_age_seconds', 'gauge', 'max', 'Age of the key set; absent where there is none.', 'ageSeconds'],
  ] as const
  for (const [name, type, merge, help, key] of rows) {
    const read = () =>
      [...authenticator.remoteKeyStatistics].flatMap(([issuer, statistics]): readonly Reading[] => {
        const value = statistics[key]
        return value === undefined ? [] : [[[issuer], value]]
      })
    registry.collected(name, { type, merge, help, labels: ['issuer'], read })
  }
}

/** The cache of verified tokens counts for itself. */
export function collectCache(authenticator: Authenticator, registry: MetricRegistry): void {
  const rows = [
    ['vestal_token_cache_hits_total', 'counter', 'Tokens found among those verified before.', 'hits'],
    ['vestal_token_cache_misses_total', 'counter', 'Tokens that had to be verified.', 'misses'],
    ['vestal_token_cache_evictions_total', 'counter', 'Verified tokens pushed out by others.', 'evictions'],
    ['vestal_token_cache_entries', 'gauge', 'Verified tokens remembered.', 'entries'],
    ['vestal_token_cache_bytes', 'gauge', 'Memory that remembered tokens are counted with.', 'weight'],
  ] as const
  for (const [name, type, help, key] of rows) {
    registry.collected(name, { type, help, read: () => [[[], authenticator.cacheStatistics[key]]] })
  }
}
