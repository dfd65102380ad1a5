import type { AuthenticatedToken, Authenticator } from '../../auth/authenticator.ts'
import type { VestalError } from '../../core/errors.ts'
import type { Engine } from '../../inference/engine.ts'
import type { TaskLimits } from '../../tasks/call.ts'
import { vestalErrorIn } from '../errors.ts'
import { permissionTo } from '../model-access.ts'
import type { LongLived, Readiness } from '../readiness.ts'
import type { RequestMemory } from '../request-memory.ts'

/** What streams and sockets are served with. */
export interface LongLivedOptions {
  readonly engine: Engine
  readonly authenticator: Authenticator
  readonly memory: RequestMemory
  /** How much a row or a message for a task may bring. */
  readonly taskLimits?: TaskLimits | undefined
  /** Whether the server takes requests; without one, streams and sockets end with their clients. */
  readonly readiness?: Readiness
  /** Reports our own bugs where no response can: in a stream that has begun. */
  readonly report: (error: unknown, request: Request) => void
}

/** A request that opens a stream or a socket, after its token was checked. */
export interface Opening {
  /** The model's name. */
  readonly name: string
  readonly request: Request
  readonly token: AuthenticatedToken
}

/** Calls back when the server ends streams or sockets; returns what cancels that. */
export type WhenEnding = (callback: () => void) => () => void

/** The end of streams, or of sockets, as the server announces it. */
export function endOf(what: LongLived, readiness: Readiness | undefined): WhenEnding {
  return (callback) => readiness?.whenEnding(what, callback) ?? (() => undefined)
}

/** Says whether the caller that opened a connection may still use it: undefined, or why not. */
export type Recheck = () => Promise<VestalError | undefined>

/**
 * Keeps the credential of a request, to check it again as long as its connection is open: a token that expired or was revoked, an API key
 * that was removed and a permission that a model requires since then count from the next row or message.
 */
export function createRecheck({ engine, authenticator }: LongLivedOptions, { name, request }: Opening): Recheck {
  const required = permissionTo('predict', engine)
  // Its own copy: what Bun keeps of a request ends with the request. A host that is none makes an address that is none.
  const address = URL.canParse(request.url) ? request.url : 'http://localhost/'
  const shown = new Request(address, { headers: new Headers(request.headers) })
  return async () => {
    try {
      authenticator.authorize(await authenticator.authenticate(shown), required({ name }))
      return undefined
    } catch (error) {
      const rejection = vestalErrorIn(error)
      if (rejection === undefined) throw error
      return rejection
    }
  }
}
