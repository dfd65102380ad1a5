import type { ErrorCode, VestalError } from '../core/errors.ts'
import { type IndexedItem, IndexedSet } from '../core/indexed-set.ts'
import { after, type Maybe } from '../core/maybe.ts'
import type { Principal } from '../core/principal.ts'
import type { Trace } from '../telemetry/tracing/tracer.ts'
import type { LimitedRecord } from './front/rate-limits.ts'
import { type FoundRoute, NO_ROUTE, type RouteTable } from './route-table.ts'

/** What is known of a request. Access log, metrics, traces and audit read it. */
export interface RequestRecord extends InFlight, LimitedRecord {
  /** The caller's own `X-Request-Id` where it is well-formed, or one of ours. */
  readonly id: string
  readonly route: FoundRoute
  /** As it came, without the query. */
  readonly pathname: string
  /** Milliseconds of the steady clock. */
  readonly startedMs: number
  /** The model that answers, where a dialect names it elsewhere than other routes; set once the caller may ask it. */
  model: string | undefined
  /** The client's address as far as it can be known; set once it was looked up. */
  address: string | undefined
  /** Absent where nothing is traced. */
  trace: Trace | undefined
  /** Set once the token is verified. */
  isAuthenticated: boolean
  /** Whose token it is, once its signature is right. */
  principal: Principal | undefined
  tokenId: string | undefined
  /** Set where the request is rejected. */
  code: ErrorCode | undefined
  /** Which check rejected it; for the log only. */
  reason: string | undefined
  /** Status of the response, 101 of a socket; 0 until there is one. */
  status: number
  /** Time from the head of the request to its response; of a stream, to its beginning. */
  durationMs: number
}

/** A request without an answer. */
export interface InFlight extends IndexedItem {
  readonly request: Request
  /** Set once its connection may be silent for as long as it takes. */
  isLong: boolean
}

/** Reads the records of all requests. */
export interface RecordReader {
  /** Called before anything of the request is checked. */
  readonly begun?: ((record: RequestRecord) => void) | undefined
  /** Runs what answers the request; at most one reader has it. */
  readonly enclose?: ((record: RequestRecord, work: () => unknown) => unknown) | undefined
  /** Called with each error that is answered, before it is. */
  readonly failed?: ((error: VestalError, record: RequestRecord) => void) | undefined
  /** Called once the request is answered; of a stream, once it begins. */
  readonly answered?: ((record: RequestRecord) => void) | undefined
}

/** The client's address of a request, `unknown` where there is no connection. */
export type AddressOf = (request: Request, record: RequestRecord) => string

/** What stands before the routes: it sees a request before anything reads it, and a response last. */
export interface Front {
  /** A rejection, or the answer to a preflight; undefined where the request continues. */
  before(request: Request, record: RequestRecord): Maybe<Response | undefined>
  after(request: Request, record: RequestRecord, response: Response): void
}

export interface RecorderOptions {
  readonly routes: RouteTable
  /** What stands before the routes now. */
  readonly front: () => Front
  readonly inFlight: InFlightRequests
  /** True where connections are to be closed, each after its answer (RFC 9112 §9.6): a client then asks elsewhere, and loses nothing. */
  readonly isLeaving: () => boolean
  readonly reader: RecordReader
  /** Milliseconds of a clock that is never set; default `performance.now`. */
  readonly steadyNow?: () => number
}

/** Makes the record of each request. */
export interface Recorder {
  /** For Elysia's `wrap`: a hook would see neither what the router rejects nor the status of a failure. */
  readonly around: (handle: Handle) => (request: Request) => unknown
  /** The record of a request; undefined for a request that did not come through `around`. */
  readonly of: (request: Request) => RequestRecord | undefined
}

/** Elysia types it as any function of unknowns. */
type Handle = (...request: unknown[]) => unknown

/** Prepares the records of one app's requests. */
export function createRecorder(options: RecorderOptions): Recorder {
  const { routes, front, inFlight, reader, steadyNow = () => performance.now() } = options
  const { begun, enclose } = reader
  const records = new WeakMap<Request, RequestRecord>()
  const nextId = createIds()
  const finish = createFinish(options, steadyNow)
  const recorded = (handle: Handle) => {
    const answerTo: (request: Request, record: RequestRecord) => unknown =
      enclose === undefined ? (request) => handle(request) : (request, record) => enclose(record, () => handle(request))
    return (request: Request) => {
      const routed = isHostlessHealthCheck(request) ? withHost(request) : request
      const pathname = pathnameOf(routed.url)
      const record: RequestRecord = {
        request,
        id: idOf(request) ?? nextId(),
        route: routes(pathname) ?? NO_ROUTE,
        pathname,
        startedMs: steadyNow(),
        model: undefined,
        address: undefined,
        trace: undefined,
        isAuthenticated: false,
        principal: undefined,
        tokenId: undefined,
        code: undefined,
        reason: undefined,
        limit: undefined,
        release: undefined,
        status: 0,
        durationMs: 0,
        index: -1,
        isLong: false,
      }
      records.set(request, record)
      if (routed !== request) records.set(routed, record)
      begun?.(record)
      const early = front().before(request, record)
      const answer =
        early === undefined ? answerTo(routed, record) : after(early, (response) => response ?? answerTo(routed, record))
      if (!(answer instanceof Promise)) return finish(record, answer)
      inFlight.begin(record)
      return answer.then((response) => {
        inFlight.end(record)
        return finish(record, response)
      })
    }
  }
  // Elysia asks for this again with every request.
  const known = new WeakMap<Handle, ReturnType<typeof recorded>>()
  return {
    around: (handle) => {
      const found = known.get(handle)
      if (found !== undefined) return found
      const made = recorded(handle)
      known.set(handle, made)
      return made
    },
    of: (request) => records.get(request),
  }
}

/** Completes response and record. */
function createFinish({ front, isLeaving, reader: { answered } }: RecorderOptions, steadyNow: () => number) {
  return (record: RequestRecord, response: unknown): unknown => {
    // Nothing is returned where a WebSocket took the connection over.
    const isResponse = response instanceof Response
    if (isResponse) {
      front().after(record.request, record, response)
      response.headers.set('x-request-id', record.id)
      if (isLeaving()) response.headers.set('connection', 'close')
    }
    record.release?.()
    record.status = isResponse ? response.status : 101
    record.durationMs = steadyNow() - record.startedMs
    answered?.(record)
    return response
  }
}

/** A caller's own id is taken when it is short and plain, and no token: it goes into headers and logs. */
const REQUEST_ID = /^(?!.*eyJ)[\w.:=+/-]{1,128}$/

function idOf({ headers }: Request): string | undefined {
  const given = headers.get('x-request-id')
  return given !== null && REQUEST_ID.test(given) ? given : undefined
}

/** The routes that load balancers ask, by default with HTTP/1.0 and no `Host`. */
const HEALTH_PATH = /^\/v2\/health\/(?:live|ready)\/?(?:\?|$)/

/** True for a health check without `Host`: HTTP/1.0 allows it, and the answer depends on no name. Bun's URL is then only the request target. */
export function isHostlessHealthCheck({ url, headers }: Request): boolean {
  return url.startsWith('/') && HEALTH_PATH.test(url) && headers.get('host') === null
}

/** The same request with a URL that has a host: the router looks for the path behind one. */
function withHost({ url, method, headers, signal }: Request): Request {
  return new Request(`http://localhost${url}`, { method, headers, signal })
}

/** The path in a URL that Bun made: it has a scheme, and may have a host that is none. */
function pathnameOf(url: string): string {
  const start = url.indexOf('/', url.indexOf('://') + 3)
  if (start === -1) return '/'
  const query = url.indexOf('?', start)
  return query === -1 ? url.slice(start) : url.slice(start, query)
}

/** Ids that no other process gives: a random beginning, and a count. */
function createIds(): () => string {
  const beginning = Buffer.from(crypto.getRandomValues(new Uint8Array(9))).toString('base64url')
  let count = 0
  return () => `${beginning}-${(count++).toString(36)}`
}

/** What there is of Bun's server here: the time that a request's connection may be silent, 0 for any. */
export interface Connections {
  timeout(request: Request, seconds: number): void
}

export interface InFlightOptions {
  /** The server that listens; undefined in memory. */
  readonly server: () => Connections | null | undefined
  /** How long a connection may be silent, which holds again once its request is answered. */
  readonly idleSeconds: number
  /** Milliseconds between two looks at what is in flight; default 1000. */
  readonly everyMs?: number
}

/** The requests without an answer. */
export interface InFlightRequests {
  readonly begin: (one: InFlight) => void
  readonly end: (one: InFlight) => void
}

const EVERY_MS = 1000

/**
 * Keeps Bun from closing the connection of a request that takes long: to Bun it is silent, and its limit would cut it off without an
 * answer. What a request may take is limited where it is worked on. Most are answered before the first look.
 */
export function createInFlightRequests({ server, idleSeconds, everyMs = EVERY_MS }: InFlightOptions): InFlightRequests {
  const inFlight = new IndexedSet<InFlight>()
  let timer: ReturnType<typeof setInterval> | undefined
  const look = () => {
    if (inFlight.size === 0) {
      clearInterval(timer)
      timer = undefined
    }
    for (const one of inFlight.all()) {
      if (one.isLong) continue
      one.isLong = true
      server()?.timeout(one.request, 0)
    }
  }
  return {
    begin: (one) => {
      inFlight.add(one)
      if (timer !== undefined) return
      timer = setInterval(look, everyMs)
      timer.unref()
    },
    end: (one) => {
      inFlight.remove(one)
      if (one.isLong) server()?.timeout(one.request, idleSeconds)
    },
  }
}
