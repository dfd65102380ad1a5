import type { AuthenticationWatch } from '../auth/authenticator.ts'
import { after, orElse } from '../core/maybe.ts'
import type { Engine, RunTimes } from '../inference/engine.ts'
import type { Trace, Tracer } from '../telemetry/tracing/tracer.ts'
import { METHODS } from './app-metrics.ts'
import { vestalErrorIn } from './errors.ts'
import { nameOfModel } from './model-access.ts'
import type { AddressOf, RecordReader } from './request-record.ts'
import { NO_ROUTE } from './route-table.ts'

/** What a tracer sees of an app; none of it is there where nothing is traced. */
export interface Tracing {
  /** Gives a request its trace, which all that the request does can find, and ends it. */
  readonly reader: RecordReader
  readonly verify: AuthenticationWatch['around']
  readonly infer: (engine: Engine) => Engine
}

/** Prepares the spans of one app: the request, the check of its token, and what each run waited and took. */
export function createTracing(tracer: Tracer, engine: Engine, addressOf: AddressOf): Tracing {
  return {
    reader: {
      begun: (record) => {
        record.trace = tracer.begin(record.request.headers)
        // Read at the beginning: a connection that is gone has no address any more.
        addressOf(record.request, record)
      },
      enclose: (record, work) => (record.trace === undefined ? work() : tracer.inside(record.trace, work)),
      answered({ request: { method }, trace, route, pathname, model, startedMs, id, address, code, status, durationMs }) {
        if (trace === undefined) return
        const known = METHODS.has(method) ? method : '_OTHER'
        tracer.end(trace, {
          name: route === NO_ROUTE ? known : `${known} ${route.path}`,
          startMs: startedMs,
          endMs: startedMs + durationMs,
          hasFailed: status >= 500,
          attributes: {
            'http.request.method': known,
            'http.route': route === NO_ROUTE ? undefined : route.path,
            'http.response.status_code': status,
            'error.type': status >= 500 ? (code ?? String(status)) : undefined,
            'client.address': address,
            'vestal.request.id': id,
            'vestal.refusal': status >= 400 && status < 500 ? code : undefined,
            'vestal.model.name': model ?? nameOfModel(route, pathname, engine),
          },
        })
      },
    },
    verify: traceVerification(tracer),
    infer: (inner) => inferTraced(tracer, inner),
  }
}

/** Records a span of the first verification of a request's token. */
function traceVerification(tracer: Tracer): AuthenticationWatch['around'] {
  const seen = new WeakSet<Trace>()
  return (request, authenticate) => {
    const trace = tracer.current()
    if (trace === undefined || !trace.isSampled || seen.has(trace)) return authenticate(request)
    seen.add(trace)
    const startMs = tracer.steadyNow()
    const record = (outcome: string) => {
      const attributes = { 'vestal.verification': outcome }
      tracer.part(trace, { name: 'verify', startMs, endMs: tracer.steadyNow(), attributes, hasFailed: outcome === 'INTERNAL' })
    }
    return orElse(
      request,
      (traced) =>
        after(authenticate(traced), (token) => {
          record('accepted')
          return token
        }),
      (error) => {
        record(vestalErrorIn(error)?.code ?? 'INTERNAL')
        throw error
      },
    )
  }
}

function inferTraced(tracer: Tracer, inner: Engine): Engine {
  return {
    ...inner,
    infer(model, version, inputs, options) {
      const trace = tracer.current()
      if (trace === undefined || !trace.isSampled) return inner.infer(model, version, inputs, options)
      return inner.infer(model, version, inputs, { ...options, watch: (times) => tellRun(tracer, trace, times) })
    },
  }
}

/** Spans of its wait and of its run; only the wait for a request that never reached a worker. */
function tellRun(tracer: Tracer, trace: Trace, { key, takenMs, sentMs, endMs, run, error }: RunTimes): void {
  const failure = error === undefined ? undefined : (vestalErrorIn(error)?.code ?? 'INTERNAL')
  const [name, version] = key.split('/')
  const attributes = { 'vestal.model.name': name, 'vestal.model.version': version }
  const hasFailed = failure !== undefined
  const wasSent = sentMs > 0
  tracer.part(trace, {
    name: 'queue',
    startMs: takenMs,
    endMs: wasSent ? sentMs : endMs,
    attributes: { ...attributes, 'error.type': wasSent ? undefined : failure },
    hasFailed: hasFailed && !wasSent,
  })
  if (!wasSent) return
  tracer.part(trace, {
    name: 'infer',
    startMs: sentMs,
    endMs,
    attributes: {
      ...attributes,
      'vestal.batch.requests': run?.requests,
      'vestal.compute.duration_ms': run?.computeMs,
      'error.type': failure,
    },
    hasFailed,
  })
}
