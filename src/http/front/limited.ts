import type { AuthenticatedToken } from '../../auth/authenticator.ts'
import type { SharedCounts } from '../../core/shared-counts.ts'
import type { Engine } from '../../inference/engine.ts'
import type { MetricRegistry, Reading } from '../../telemetry/metrics/registry.ts'
import type { RequestRecord } from '../request-ledger.ts'
import { after, type Maybe } from './quotas.ts'
import type { LimitKind, RateLimits } from './rate-limits.ts'

/** The engine, with the rows of a subject counted: it is an object of functions, so one of them can be another. */
export function limitRows(engine: Engine, limitsNow: () => RateLimits | undefined): Engine {
  return {
    ...engine,
    infer: (model, version, inputs, options) => {
      const limits = limitsNow()
      if (limits === undefined) return engine.infer(model, version, inputs, options)
      const [first] = inputs.values()
      const taken = limits.takeRows(options?.subject, first?.shape[0] ?? 1)
      const infer = () => engine.infer(model, version, inputs, options)
      return taken instanceof Promise ? taken.then(infer) : infer()
    },
  }
}

/** Counts a request against the limits that its token has now, and notes what it met in its record. */
export function admitTo(
  limitsNow: () => RateLimits | undefined,
): (record: RequestRecord, token: AuthenticatedToken) => Maybe<void> {
  return (record, token) => {
    const limits = limitsNow()
    if (limits === undefined) return
    return after(limits.admit(token), ({ applied, release }) => {
      record.limit = applied ?? record.limit
      record.release = release
    })
  }
}

/** Counts what limits refuse, and whether they are shared as the settings ask. */
export function countRefusals(registry: MetricRegistry, shared: SharedCounts | undefined): (kind: LimitKind) => void {
  const refusals = registry.counter('vestal_rate_limit_refusals_total', {
    help: 'Requests over a limit of rate_limits or address_requests_per_minute, by which limit it is.',
    labels: ['limit'],
  })
  for (const kind of ['address', 'requests', 'rows', 'concurrent'] as const) refusals.of(kind)
  const sharing = (read: (counts: SharedCounts) => number) => (): readonly Reading[] => {
    return shared === undefined ? [] : [[[], read(shared)]]
  }
  registry.collected('vestal_shared_limits_reachable', {
    type: 'gauge',
    help: 'Whether limits are counted in Redis now; absent where they are not to be.',
    read: sharing(({ isReachable }) => Number(isReachable)),
  })
  registry.collected('vestal_shared_limits_failures_total', {
    type: 'counter',
    help: 'Times that Redis could not be asked for a limit.',
    read: sharing(({ failures }) => failures),
  })
  return (kind) => refusals.of(kind).add()
}
