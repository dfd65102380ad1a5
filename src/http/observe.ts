import { type Front, isHostlessHealthCheck } from './front/front.ts'
import { after } from './front/quotas.ts'
import type { LongRequests } from './long-requests.ts'
import type { RequestLedger, RequestRecord } from './request-ledger.ts'
import { NO_ROUTE, type RouteTable } from './route-table.ts'

export interface ObserveOptions {
  readonly ledger: RequestLedger
  readonly routes: RouteTable
  /** What stands before the routes now. */
  readonly front: () => Front
  readonly longRequests: LongRequests
  /** True where connections are to be closed, each after its answer (RFC 9112 §9.6): a client then asks elsewhere, and loses nothing. */
  readonly isLeaving: () => boolean
  /** Hears of every request before anything is asked of it. */
  readonly begun?: Begun | undefined
  /** Does what answers a request; default at once. */
  readonly enclose?: Enclose | undefined
  /** Hears of every request once it is answered; of a stream, once it begins. */
  readonly answered: Answered
  /** Milliseconds of a clock that is never set; default `performance.now`. */
  readonly steadyNow?: () => number
}

export interface Answer {
  readonly status: number
  readonly durationMs: number
}

export type Begun = (request: Request, record: RequestRecord) => void
export type Enclose = (record: RequestRecord, work: () => unknown) => unknown
export type Answered = (request: Request, record: RequestRecord, answer: Answer) => void

/** Elysia types it as any function of unknowns. */
type Handle = (...request: unknown[]) => unknown

/** A caller's own id is taken when it is short and plain, and no token: it goes into headers and logs. */
const REQUEST_ID = /^(?!.*eyJ)[\w.:=+/-]{1,128}$/

/**
 * Stands around the whole app: gives each request its id and its record, and tells what became of it. It is for `wrap`, since a hook
 * would see neither what the router refuses nor the status of a failure.
 */
export function createObserver(options: ObserveOptions) {
  const {
    ledger,
    routes,
    front,
    longRequests,
    isLeaving,
    begun,
    enclose,
    answered,
    steadyNow = () => performance.now(),
  } = options
  const nextId = createIds()
  const finish = (request: Request, record: RequestRecord, response: unknown): unknown => {
    // Nothing is returned where a WebSocket took the connection over.
    const isResponse = response instanceof Response
    if (isResponse) {
      front().after(request, record, response)
      response.headers.set('x-request-id', record.id)
      if (isLeaving()) response.headers.set('connection', 'close')
    }
    record.release?.()
    answered(request, record, { status: isResponse ? response.status : 101, durationMs: steadyNow() - record.startedMs })
    return response
  }
  const observed = (handle: Handle) => {
    const answerTo: (request: Request, record: RequestRecord) => unknown =
      enclose === undefined ? (request) => handle(request) : (request, record) => enclose(record, () => handle(request))
    return (request: Request) => {
      const given = request.headers.get('x-request-id')
      const routed = isHostlessHealthCheck(request) ? withHost(request) : request
      const pathname = pathnameOf(routed.url)
      const record: RequestRecord = {
        request,
        id: given !== null && REQUEST_ID.test(given) ? given : nextId(),
        route: routes(pathname) ?? NO_ROUTE,
        pathname,
        startedMs: steadyNow(),
        address: undefined,
        trace: undefined,
        isAuthenticated: false,
        principal: undefined,
        tokenId: undefined,
        code: undefined,
        reason: undefined,
        limit: undefined,
        release: undefined,
        index: -1,
        isLong: false,
      }
      ledger.open(request, record)
      if (routed !== request) ledger.open(routed, record)
      begun?.(request, record)
      const early = front().before(request, record)
      const answer =
        early === undefined ? answerTo(routed, record) : after(early, (response) => response ?? answerTo(routed, record))
      if (!(answer instanceof Promise)) return finish(request, record, answer)
      longRequests.begin(record)
      return answer.then((response) => {
        longRequests.end(record)
        return finish(request, record, response)
      })
    }
  }
  // Elysia asks for this again with every request.
  const known = new WeakMap<Handle, ReturnType<typeof observed>>()
  return (handle: Handle) => {
    const found = known.get(handle)
    if (found !== undefined) return found
    const made = observed(handle)
    known.set(handle, made)
    return made
  }
}

/** The same request with a URL that has a host: the router looks for the path behind one. */
function withHost({ url, method, headers, signal }: Request): Request {
  return new Request(`http://localhost${url}`, { method, headers, signal })
}

/** The path in a URL that Bun made: it has a scheme, and may have a host that is none. */
export function pathnameOf(url: string): string {
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
