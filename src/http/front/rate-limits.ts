import type { AuthenticatedToken } from '../../auth/authenticator.ts'
import { VestalError } from '../../core/errors.ts'
import { RateLimiter, type RateState } from '../../core/rate-limiter.ts'

/** What the holders of a role may do; what is absent is without a limit. */
export interface RateLimitSettings {
  /** A key of the token's `data.roles`; `default` is for tokens with none of the others. */
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

export interface RateLimits {
  /**
   * Counts a request of a token's subject; what it gives is to be called when the request is answered.
   * @throws VestalError RATE_LIMITED, SUBJECT_LIMIT
   */
  admit(token: AuthenticatedToken): { readonly applied: AppliedLimit | undefined; readonly release: (() => void) | undefined }
  /**
   * Counts rows of a subject whose token was admitted.
   * @throws VestalError RATE_LIMITED
   */
  takeRows(subject: string | undefined, rows: number): void
}

interface Limits {
  readonly role: string
  readonly requests?: RateLimiter
  readonly rows?: RateLimiter
  readonly concurrent?: number
}

/** Subjects whose rows are counted at once; what comes after pushes the oldest out. */
const SUBJECTS_MAX = 10_000

/** Prepares the limits by role. A token with several roles has the widest of each kind. */
export function createRateLimits(settings: readonly RateLimitSettings[], now?: () => number): RateLimits {
  const clock = now === undefined ? {} : { now }
  const byRole = new Map(
    settings.map(({ role, requestsPerMinute, rowsPerMinute, concurrent }): [string, Limits] => [
      role,
      {
        role,
        ...(requestsPerMinute !== undefined && { requests: new RateLimiter({ perMinute: requestsPerMinute, ...clock }) }),
        ...(rowsPerMinute !== undefined && { rows: new RateLimiter({ perMinute: rowsPerMinute, ...clock }) }),
        ...(concurrent !== undefined && { concurrent }),
      },
    ]),
  )
  const running = new Map<string, number>()
  const rowLimits = new Map<string, RateLimiter | undefined>()
  const chosen = new WeakMap<AuthenticatedToken, Limits>()
  const limitsOf = (token: AuthenticatedToken): Limits => {
    const known = chosen.get(token)
    if (known !== undefined) return known
    const limits = widest(
      rolesOf(token).flatMap((role) => byRole.get(role) ?? []),
      byRole.get('default'),
    )
    chosen.set(token, limits)
    return limits
  }
  return {
    admit(token) {
      const limits = limitsOf(token)
      const subject = token.payload.sub ?? ''
      if (limits.rows !== undefined) remember(rowLimits, subject, limits.rows)
      const applied = limits.requests && applyTo(limits.role, limits.requests, subject)
      if (applied?.state.isAllowed === false) throw limited(applied)
      const release = limits.concurrent === undefined ? undefined : enter(running, subject, limits.concurrent)
      return { applied, release }
    },
    takeRows(subject = '', rows) {
      const limiter = rowLimits.get(subject)
      if (limiter === undefined) return
      const state = limiter.take(subject, rows)
      if (!state.isAllowed) throw limited({ name: 'rows', perMinute: limiter.perMinute, state })
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

/** The refusal of a limit that was met. */
export function limited(applied: AppliedLimit): VestalError {
  const { perMinute, name, state } = applied
  return new VestalError('RATE_LIMITED', {
    reason: `more than ${perMinute} a minute (${name})`,
    headers: { 'retry-after': String(state.retrySeconds), ...rateLimitHeaders(applied) },
  })
}

/** Takes a unit, and says under which name. */
export function applyTo(name: string, limiter: RateLimiter, key: string): AppliedLimit {
  return { name, perMinute: limiter.perMinute, state: limiter.take(key) }
}

function rolesOf({ payload }: AuthenticatedToken): readonly string[] {
  const { roles } = (payload.data ?? {}) as { readonly roles?: unknown }
  return typeof roles === 'object' && roles !== null && !Array.isArray(roles) ? Object.keys(roles) : []
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

function wider(left: RateLimiter | undefined, right: RateLimiter | undefined): RateLimiter | undefined {
  if (left === undefined || right === undefined) return undefined
  return left.perMinute >= right.perMinute ? left : right
}

function enter(running: Map<string, number>, subject: string, concurrentMax: number): () => void {
  const count = running.get(subject) ?? 0
  if (count >= concurrentMax) throw new VestalError('SUBJECT_LIMIT', { headers: { 'retry-after': '1' } })
  running.set(subject, count + 1)
  return () => {
    const left = (running.get(subject) ?? 1) - 1
    if (left === 0) running.delete(subject)
    else running.set(subject, left)
  }
}

function remember(limits: Map<string, RateLimiter | undefined>, subject: string, limiter: RateLimiter): void {
  limits.delete(subject)
  const oldest = limits.size >= SUBJECTS_MAX ? limits.keys().next() : undefined
  if (oldest?.done === false) limits.delete(oldest.value)
  limits.set(subject, limiter)
}
