import type { Reloaded } from '../../http/reload.ts'
import type { JournalEntry } from '../../inference/remote/journal.ts'
import type { FamilySnapshot } from '../../telemetry/metrics/family.ts'

/** What the supervisor requests of one of its processes. */
export type ChildMethod = 'ping' | 'metrics' | 'prepare' | 'apply' | 'discard'
/** What a process requests of the supervisor. */
export type SupervisorMethod = 'metrics' | 'reload'

/** The outcome of reading the settings again, in one process or in all of them. */
export type ReloadOutcome =
  | { readonly kind: 'right'; readonly reloaded: Reloaded }
  | { readonly kind: 'wrong'; readonly faults: readonly string[] }

/** Results by method. */
export interface Results {
  readonly ping: null
  readonly metrics: readonly FamilySnapshot[]
  readonly prepare: ReloadOutcome
  readonly apply: null
  readonly discard: null
  readonly reload: ReloadOutcome
}

/** What a process has counted when it exits. */
export type FinalMetrics = Pick<Results, 'metrics'>

/** What a replacement of the engine process needs to serve what its predecessor served. */
export interface EngineState {
  /** Models that the first start has loaded; absent before. */
  readonly started?: readonly string[]
  /** An engine process has served before. */
  readonly hasServed?: true
  /** What requests have loaded and unloaded since. */
  readonly entries: readonly JournalEntry[]
}

interface RpcRequest<M> {
  readonly kind: 'request'
  readonly id: number
  readonly method: M
}
interface RpcResponse {
  readonly kind: 'response'
  readonly id: number
  readonly result: unknown
}

/** From the supervisor to one of its processes. */
export type ToChild =
  | RpcRequest<ChildMethod>
  | RpcResponse
  /** To the engine process, first of all; the folder is for files that requests bring. */
  | { readonly kind: 'restore'; readonly state: EngineState; readonly folder: string | undefined }
  /** The descriptors of a link between an HTTP process and the engine process were sent before it: a socket, and so many files. */
  | { readonly kind: 'engine-link'; readonly files: number }
  /** The descriptor of the replica's listening socket was sent before it: accept from there. */
  | { readonly kind: 'listen'; readonly base: string; readonly port: number; readonly isAnnounced: boolean }
  /** The descriptor of another replica's listening socket was sent before it: accept from there too, until `release`. */
  | { readonly kind: 'accept-for'; readonly replica: number }
  | { readonly kind: 'release'; readonly replica: number }
  /** A replacement accepts: stop accepting, and exit once every connection is closed. */
  | { readonly kind: 'drain' }
  | { readonly kind: 'stop' }
  /** SIGHUP made every process read the settings again: one process logs the outcome. */
  | { readonly kind: 'reloaded'; readonly outcome: ReloadOutcome }

/** From a process to its supervisor. */
export type FromChild =
  | RpcRequest<SupervisorMethod>
  | RpcResponse
  /** The process receives messages. */
  | { readonly kind: 'connected' }
  /** The HTTP process has had no link to the engine process for a while. */
  | { readonly kind: 'engine-link-lost' }
  /** What a replacement of the engine process needs. */
  | { readonly kind: 'engine-state'; readonly state: EngineState }
  /** The models are loaded. */
  | { readonly kind: 'ready' }
  | { readonly kind: 'listening' }
  /** The process received a stop signal of its own, and soon stops accepting. */
  | { readonly kind: 'stopping' }
  | ({ readonly kind: 'final-metrics' } & FinalMetrics)

/** Requests to another process, matched with its responses. */
export interface RpcClient<M extends keyof Results> {
  /** Rejects where no response comes in time, or the other process ends. */
  request<N extends M>(method: N, timeoutMs: number): Promise<Results[N]>
  respond(response: RpcResponse): void
  /** Rejects all pending requests: the other process has ended. */
  close(): void
}

interface Pending {
  readonly resolve: (result: unknown) => void
  readonly reject: (error: Error) => void
  readonly timer: ReturnType<typeof setTimeout>
}

/** Creates a client whose requests are sent by a function. */
export function createRpcClient<M extends keyof Results>(send: (request: RpcRequest<M>) => void): RpcClient<M> {
  const pending = new Map<number, Pending>()
  let count = 0
  let isClosed = false
  const take = (id: number): Pending | undefined => {
    const found = pending.get(id)
    pending.delete(id)
    clearTimeout(found?.timer)
    return found
  }
  return {
    request(method, timeoutMs) {
      if (isClosed) return Promise.reject(new Error('the process has ended'))
      const id = count++
      const { promise, resolve, reject } = Promise.withResolvers<unknown>()
      const timer = setTimeout(() => take(id)?.reject(new Error('the process does not respond')), timeoutMs)
      pending.set(id, { resolve, reject, timer })
      send({ kind: 'request', id, method })
      // The cast: a result has the type of its method.
      return promise as Promise<never>
    },
    respond: ({ id, result }) => take(id)?.resolve(result),
    close() {
      isClosed = true
      for (const id of [...pending.keys()]) take(id)?.reject(new Error('the process has ended'))
    },
  }
}
