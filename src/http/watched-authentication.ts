import type { AuthenticatedToken, AuthenticationWatch } from '../auth/authenticator.ts'
import type { Maybe } from '../core/maybe.ts'
import type { SignatureBackend } from '../jose/signature-backends.ts'
import type { Counter } from '../telemetry/metrics/counter.ts'
import type { MetricRegistry } from '../telemetry/metrics/registry.ts'
import { vestalErrorIn } from './errors.ts'
import type { Recorder, RequestRecord } from './request-record.ts'

interface WatchOptions {
  readonly recordOf: Recorder['of']
  readonly registry: MetricRegistry
  /** Counts a request of a verified token against its limits, and throws where one is met. */
  readonly admit: (record: RequestRecord, token: AuthenticatedToken) => Maybe<void>
  /** True where `admit` may have to wait. */
  readonly mayWait: boolean
  /** The backend that checks signatures of that algorithm. */
  readonly backendOf: (algorithm: string) => SignatureBackend
  /** Records a span of the verification; absent where nothing is traced. */
  readonly trace: AuthenticationWatch['around'] | undefined
}

/** Counts what authentication decides, notes it in the request's record, and counts accepted requests against their limits. */
export function watchAuthentication({ recordOf, registry, admit, mayWait, backendOf, trace }: WatchOptions): AuthenticationWatch {
  const verifications = registry.counter('vestal_token_verifications_total', {
    help: 'Requests whose token was asked for, by outcome (accepted, or the reason of docs/reference/errors.md) and by signature backend.',
    labels: ['outcome', 'backend'],
  })
  const acceptedBy = new Map<string, Counter>()
  const accepted = (request: Request, token: AuthenticatedToken): Maybe<AuthenticatedToken> => {
    const { alg } = token.header
    const record = recordOf(request)
    if (record === undefined || record.isAuthenticated) return token
    record.isAuthenticated = true
    record.principal = token.principal
    record.tokenId = token.payload.jti ?? undefined
    const counter = acceptedBy.get(alg) ?? verifications.of('accepted', backendOf(alg))
    acceptedBy.set(alg, counter)
    counter.add()
    const admitted = admit(record, token)
    return admitted instanceof Promise ? admitted.then(() => token) : token
  }
  const rejected = (request: Request, error: unknown): never => {
    if (recordOf(request)?.isAuthenticated !== true) verifications.of(vestalErrorIn(error)?.code ?? 'INTERNAL', 'none').add()
    throw error
  }
  return {
    mayWait,
    // Written out, not `orElse` and `after`: every request comes here, and most need no closure.
    around(request, authenticate) {
      try {
        const found = trace === undefined ? authenticate(request) : trace(request, authenticate)
        if (!(found instanceof Promise)) return accepted(request, found)
        return found.then((token) => accepted(request, token)).catch((error: unknown) => rejected(request, error))
      } catch (error) {
        return rejected(request, error)
      }
    },
  }
}
