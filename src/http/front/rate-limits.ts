import type { AuthenticatedToken } from '../../auth/authenticator.ts'
import { VestalError } from '../../core/errors.ts'
import { after, type Maybe } from '../../core/maybe.ts'
import { RateLimiter, type RateState } from '../../core/rate-limiter.ts'
import { ownShare, type Release, type SharedCounts } from '../../core/shared-counts.ts'
import type { Engine } from '../../inference/engine.ts'

/** What the holders of a role may do; what is absent is without a limit. */
export interface RateLimitSettings {
  /** A role of the token; `default` is for tokens with none of the others. */
  readonly role: string
  readonly requestsPerMinute?: number
  readonly rowsPerMinute?: number
  readonly concurrent?: number
}

/** The state of a limit, for the headers of a response. */
export interface AppliedLimit {
  readonly name: string
  readonly perMinute: number
  readonly state: RateState
}

/** An admitted request. */
export interface Admitted {
  readonly applied: AppliedLimit | undefined
  /** To be called when the request is answered. */
  readonly release: Release | undefined
}

/** Rate limits of a request. */
export type LimitKind = 'address' | 'requests' | 'rows' | 'concurrent'

export interface RateLimitsOptions {
  /** Milliseconds of a clock that is never set; default `performance.now`. */
  readonly now?: (() => number) | undefined
  /** Counts that other processes share; those of this one where it is absent. */
  readonly shared?: SharedCounts | undefined
  /** Called for every rejection. */
  readonly refused?: (kind: LimitKind) => void
}

export interface RateLimits {
  /**
   * Counts a request of a token's principal; it waits only where counts are shared.
   * @throws VestalError RATE_LIMITED, SUBJECT_LIMIT
   */
  admit(token: AuthenticatedToken): Maybe<Admitted>
  /**
   * Counts rows of a principal whose token was admitted, by its key.
   * @throws VestalError RATE_LIMITED
   */
  takeRows(subject: string | undefined, rows: number): Maybe<void>
}

interface Limits {
  readonly role: string
  readonly requests?: Quota
  readonly rows?: Quota
  readonly concurrent?: number
}

/** Subjects whose rows are counted at once; what comes after pushes the oldest out. */
const SUBJECTS_MAX = 10_000

/** Prepares the limits by role. A token with several roles has the widest of each kind. */
export function createRateLimits(settings: readonly RateLimitSettings[], options: RateLimitsOptions = {}): RateLimits {
  const { now, shared, refused = () => undefined } = options
  const quota = (name: string, perMinute: number) => createQuota({ name, perMinute, now, shared })
  const byRole = new Map(
    settings.map(({ role, requestsPerMinute, rowsPerMinute, concurrent }): [string, Limits] => [
      role,
      {
        role,
        ...(requestsPerMinute !== undefined && { requests: quota(`requests:${role}`, requestsPerMinute) }),
        ...(rowsPerMinute !== undefined && { rows: quota(`rows:${role}`, rowsPerMinute) }),
        ...(concurrent !== undefined && { concurrent }),
      },
    ]),
  )
  const concurrency = createConcurrency(shared)
  const rowLimits = new Map<string, Quota | undefined>()
  const chosen = new WeakMap<AuthenticatedToken, Limits>()
  const limitsOf = (token: AuthenticatedToken): Limits => {
    const known = chosen.get(token)
    if (known !== undefined) return known
    const limits = widest(
      token.roles.flatMap((role) => byRole.get(role) ?? []),
      byRole.get('default'),
    )
    chosen.set(token, limits)
    return limits
  }
  const rejection = (kind: LimitKind, applied: AppliedLimit): VestalError => {
    refused(kind)
    return limited(applied)
  }
  const enter = (subject: string, max: number | undefined, applied: AppliedLimit | undefined): Maybe<Admitted> => {
    if (max === undefined) return { applied, release: undefined }
    return after(concurrency.enter(subject, max), (release) => {
      if (release !== 'full') return { applied, release }
      refused('concurrent')
      throw new VestalError('SUBJECT_LIMIT', { headers: { 'retry-after': '1' } })
    })
  }
  return {
    admit(token) {
      const limits = limitsOf(token)
      const subject = token.principal.key
      if (limits.rows !== undefined) remember(rowLimits, subject, limits.rows)
      if (limits.requests === undefined) return enter(subject, limits.concurrent, undefined)
      return after(applyTo(limits.role, limits.requests, subject), (applied) => {
        if (!applied.state.isAllowed) throw rejection('requests', applied)
        return enter(subject, limits.concurrent, applied)
      })
    },
    takeRows(subject = '', rows) {
      const limiter = rowLimits.get(subject)
      if (limiter === undefined) return
      return after(limiter.take(subject, rows), (state) => {
        if (!state.isAllowed) throw rejection('rows', { name: 'rows', perMinute: limiter.perMinute, state })
      })
    },
  }
}

/** `RateLimit-Policy` and `RateLimit` of draft-ietf-httpapi-ratelimit-headers. */
export function rateLimitHeaders({ name, perMinute, state }: AppliedLimit): Readonly<Record<string, string>> {
  return {
    'ratelimit-policy': `"${name}";q=${perMinute};w=60`,
    ratelimit: `"${name}";r=${state.remaining};t=${state.resetSeconds}`,
  }
}

/** The error of an exceeded limit. */
export function limited(applied: AppliedLimit): VestalError {
  const { perMinute, name, state } = applied
  return new VestalError('RATE_LIMITED', {
    reason: `more than ${perMinute} a minute (${name})`,
    headers: { 'retry-after': String(state.retrySeconds), ...rateLimitHeaders(applied) },
  })
}

/** Takes a unit, and says under which name. */
export function applyTo(name: string, quota: Quota, key: string): Maybe<AppliedLimit> {
  return after(quota.take(key), (state) => ({ name, perMinute: quota.perMinute, state }))
}

function widest(held: readonly Limits[], fallback: Limits | undefined): Limits {
  const [first = fallback, ...others] = held
  if (first === undefined) return { role: 'none' }
  return others.reduce((left, right): Limits => {
    const requests = wider(left.requests, right.requests)
    const rows = wider(left.rows, right.rows)
    const concurrent =
      left.concurrent === undefined || right.concurrent === undefined ? undefined : Math.max(left.concurrent, right.concurrent)
    return {
      role: requests === left.requests ? left.role : right.role,
      ...(requests !== undefined && { requests }),
      ...(rows !== undefined && { rows }),
      ...(concurrent !== undefined && { concurrent }),
    }
  }, first)
}

function wider(left: Quota | undefined, right: Quota | undefined): Quota | undefined {
  if (left === undefined || right === undefined) return undefined
  return left.perMinute >= right.perMinute ? left : right
}

function remember(limits: Map<string, Quota | undefined>, subject: string, limiter: Quota): void {
  limits.delete(subject)
  const oldest = limits.size >= SUBJECTS_MAX ? limits.keys().next() : undefined
  if (oldest?.done === false) limits.delete(oldest.value)
  limits.set(subject, limiter)
}

/** The engine, with the rows of a subject counted: it is an object of functions, so one of them can be replaced. */
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

/** What the record of a request says of its limits. */
export interface LimitedRecord {
  /** The limit that the response reports. */
  limit: AppliedLimit | undefined
  /** To be called once the request is answered. */
  release: Release | undefined
}

/** Counts a request against the limits that its token has now, and writes the limit that applied into its record. */
export function admitTo(
  limitsNow: () => RateLimits | undefined,
): (record: LimitedRecord, token: AuthenticatedToken) => Maybe<void> {
  return (record, token) => {
    const limits = limitsNow()
    if (limits === undefined) return
    return after(limits.admit(token), ({ applied, release }) => {
      record.limit = applied ?? record.limit
      record.release = release
    })
  }
}

/** So many units a minute for each key. */
interface Quota {
  readonly perMinute: number
  take(key: string, units?: number): Maybe<RateState>
}

interface QuotaOptions {
  /** Which quota it is, where processes share it. */
  readonly name: string
  readonly perMinute: number
  readonly now?: (() => number) | undefined
  readonly shared?: SharedCounts | undefined
}

/** Units that are counted here, or together with other processes as long as they can be reached. */
export function createQuota({ name, perMinute, now, shared }: QuotaOptions): Quota {
  const own = new RateLimiter({ perMinute: ownShare(perMinute, shared), ...(now && { now }) })
  if (shared === undefined) return own
  return {
    perMinute,
    // A line break is in no name of a role and in no key, so that no two quotas can meet in one count.
    take: async (key, units = 1) => (await shared.take(`${name}\n${key}`, { perMinute, units })) ?? own.take(key, units),
  }
}

/** Requests of a key that may run at once. */
interface Concurrency {
  /** Counts a request, and returns what ends that. */
  enter(key: string, max: number): Maybe<Release | 'full'>
}

/** Requests that are counted here, or together with other processes as long as they can be reached. */
function createConcurrency(shared: SharedCounts | undefined): Concurrency {
  const running = new Map<string, number>()
  const enterHere = (key: string, max: number): Release | 'full' => {
    const count = running.get(key) ?? 0
    if (count >= max) return 'full'
    running.set(key, count + 1)
    return () => {
      const left = (running.get(key) ?? 1) - 1
      if (left === 0) running.delete(key)
      else running.set(key, left)
    }
  }
  if (shared === undefined) return { enter: enterHere }
  return { enter: async (key, max) => (await shared.enter(key, max)) ?? enterHere(key, ownShare(max, shared)) }
}
