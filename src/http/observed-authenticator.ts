import type { AuthenticatedToken, Authenticator } from '../auth/authenticator.ts'
import { invariant } from '../core/invariant.ts'
import type { SignatureBackend } from '../jose/signature-backends.ts'
import type { Counter } from '../telemetry/metrics/counter.ts'
import type { MetricRegistry } from '../telemetry/metrics/registry.ts'
import { collectCache, collectRemoteKeys } from './app-metrics.ts'
import { vestalErrorIn } from './errors.ts'
import type { Maybe } from './front/rate-limits.ts'
import type { Recorder, RequestRecord } from './request-record.ts'

export interface ObservedOptions {
  readonly recordOf: Recorder['of']
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
  { recordOf, registry, backendOf, admit, mayWait = false }: ObservedOptions,
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
    const record = recordOf(request)
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
    if (recordOf(request)?.isAuthenticated === true) return
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
