import type { ErrorCode } from '../core/errors.ts'
import type { Principal } from '../core/principal.ts'
import type { Trace } from '../telemetry/tracing/tracer.ts'
import type { AppliedLimit } from './front/rate-limits.ts'
import type { AtHand } from './long-requests.ts'
import type { FoundRoute } from './route-table.ts'

/** What is known of a request while it is answered, for its log line and its metrics. */
export interface RequestRecord extends AtHand {
  /** The caller's own `X-Request-Id` where it is well-formed, or one of ours. */
  readonly id: string
  readonly route: FoundRoute
  /** As it came, without the query. */
  readonly pathname: string
  /** Milliseconds of the steady clock. */
  readonly startedMs: number
  /** The client's address as far as it can be known; set once somebody asked for it. */
  address: string | undefined
  /** Absent where nothing is traced. */
  trace: Trace | undefined
  /** Set once the token is verified. */
  isAuthenticated: boolean
  /** Whose token it is, once its signature is right. */
  principal: Principal | undefined
  tokenId: string | undefined
  /** Set where the request is refused. */
  code: ErrorCode | undefined
  /** Which check refused; for the log alone. */
  reason: string | undefined
  /** The limit that the response tells of. */
  limit: AppliedLimit | undefined
  /** To be called once the request is answered. */
  release: (() => void) | undefined
}

/** The client's address of a request at hand, `unknown` where there is no connection. */
export type AddressOf = (request: Request, record: RequestRecord) => string

/** The records of the requests at hand. A request that is gone takes its record with it. */
export class RequestLedger {
  readonly #records = new WeakMap<Request, RequestRecord>()

  open(request: Request, record: RequestRecord): void {
    this.#records.set(request, record)
  }

  of(request: Request): RequestRecord | undefined {
    return this.#records.get(request)
  }
}
