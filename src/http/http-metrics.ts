import { SECONDS_BOUNDS } from '../core/distribution.ts'
import type { Engine } from '../inference/engine.ts'
import type { Histogram } from '../telemetry/metrics/histogram.ts'
import type { MetricRegistry } from '../telemetry/metrics/registry.ts'
import { nameOfModel } from './model-access.ts'
import type { Answered } from './observe.ts'
import type { FoundRoute } from './route-table.ts'

/** Methods that have a label of their own; a stranger may make up others. */
export const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

/** Routes that compute. */
const PREDICTION = /:name\/.*(?:predict|infer|generate)/

/** Counts what is answered: durations by method, route and status, of predictions by model too, and refusals by their code. */
export function createHttpMetrics(registry: MetricRegistry, engine: Engine): Answered {
  const durations = registry.histogram('vestal_http_request_duration_seconds', {
    help: 'Time from the head of a request to its response, by route and status.',
    labels: ['method', 'route', 'status'],
    bounds: SECONDS_BOUNDS,
  })
  const rejections = registry.counter('vestal_http_rejections_total', {
    help: 'Requests refused, by the reason of docs/reference/errors.md.',
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
  return ({ method }, { route, pathname, code }, { status, durationMs }) => {
    histogramOf(route, method, status).observe(durationMs / 1000)
    if (status === 200 && isComputed(route)) {
      const name = nameOfModel(route, pathname, engine)
      if (name !== undefined) predictions.of(name).observe(durationMs / 1000)
    }
    if (code !== undefined) rejections.of(code).add()
  }
}
