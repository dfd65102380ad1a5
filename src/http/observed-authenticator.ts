import type { AuthenticatedToken, Authenticator } from '../auth/authenticator.ts'
import { invariant } from '../core/invariant.ts'
import type { SignatureBackend } from '../jose/signature-backends.ts'
import type { Counter } from '../telemetry/metrics/counter.ts'
import type { MetricRegistry, Reading } from '../telemetry/metrics/registry.ts'
import { vestalErrorIn } from './errors.ts'
import type { Maybe } from './front/quotas.ts'
import type { RequestLedger, RequestRecord } from './request-ledger.ts'

export interface ObservedOptions {
  readonly ledger: RequestLedger
  readonly registry: MetricRegistry
  /** Counts a request of a verified token against its limits, and throws where one is met. It may wait where `mayWait` says so. */
  readonly admit?: (record: RequestRecord, token: AuthenticatedToken) => Maybe<void>
  readonly mayWait?: boolean
  /** The backend that checks signatures of that algorithm. */
  readonly backendOf: (algorithm: string) => SignatureBackend
}

/** The authenticator, with what it decides counted and noted in the request's record. */
export function observeAuthenticator(
  inner: Authenticator,
  { ledger, registry, backendOf, admit, mayWait = false }: ObservedOptions,
): Authenticator {
  const verifications = registry.counter('vestal_token_verifications_total', {
    help: 'Requests whose token was asked for, by outcome (accepted, or the reason of docs/reference/errors.md) and by signature backend.',
    labels: ['outcome', 'backend'],
  })
  collectCache(inner, registry)
  collectRemoteKeys(inner, registry)
  const acceptedBy = new Map<string, Counter>()
  const accepted = (request: Request, token: AuthenticatedToken): Maybe<void> => {
    const { alg } = token.header
    const { jti } = token.payload
    const record = ledger.of(request)
    if (record === undefined || record.isAuthenticated) return
    record.isAuthenticated = true
    record.principal = token.principal
    record.tokenId = jti ?? undefined
    const counter = acceptedBy.get(alg) ?? verifications.of('accepted', backendOf(alg))
    acceptedBy.set(alg, counter)
    counter.add()
    return admit?.(record, token)
  }
  const refused = (request: Request, error: unknown): void => {
    if (ledger.of(request)?.isAuthenticated === true) return
    verifications.of(vestalErrorIn(error)?.code ?? 'INTERNAL', 'none').add()
  }
  const observe = (request: Request, authenticate: (request: Request) => AuthenticatedToken): AuthenticatedToken => {
    try {
      const token = authenticate(request)
      invariant(!(accepted(request, token) instanceof Promise), 'who may have to wait does')
      return token
    } catch (error) {
      refused(request, error)
      throw error
    }
  }
  return {
    mayWait: inner.mayWait || mayWait,
    authenticate: (request) => observe(request, inner.authenticate),
    async authenticateOrWait(request) {
      try {
        const token = await inner.authenticateOrWait(request)
        const admitted = accepted(request, token)
        if (admitted !== undefined) await admitted
        return token
      } catch (error) {
        refused(request, error)
        throw error
      }
    },
    authorize: (token, required) => inner.authorize(token, required),
    replaceKeys: (keys) => inner.replaceKeys(keys),
    get cacheStatistics() {
      return inner.cacheStatistics
    },
    get remoteKeyStatistics() {
      return inner.remoteKeyStatistics
    },
    close: () => inner.close(),
  }
}

/** The keys of each issuer count for themselves; issuers come from the settings, so they are few. */
function collectRemoteKeys(authenticator: Authenticator, registry: MetricRegistry): void {
  const rows = [
    ['vestal_remote_key_fetches_total', 'counter', 'Sets of keys that were asked for.', 'fetches'],
    ['vestal_remote_key_failures_total', 'counter', 'Sets of keys that could not be had.', 'failures'],
    ['vestal_remote_keys', 'gauge', 'Keys that count now.', 'keys'],
    ['vestal_remote_key_age_seconds', 'gauge', 'Age of the set of keys; absent where there is none.', 'ageSeconds'],
  ] as const
  for (const [name, type, help, key] of rows) {
    const read = () =>
      [...authenticator.remoteKeyStatistics].flatMap(([issuer, statistics]): readonly Reading[] => {
        const value = statistics[key]
        return value === undefined ? [] : [[[issuer], value]]
      })
    registry.collected(name, { type, help, labels: ['issuer'], read })
  }
}

/** The cache of verified tokens counts for itself. */
function collectCache(authenticator: Authenticator, registry: MetricRegistry): void {
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
