import type { AuthenticationWatch, Authenticator } from '../auth/authenticator.ts'
import type { Change } from '../core/change.ts'
import type { VestalError } from '../core/errors.ts'
import type { SharedCounts } from '../core/shared-counts.ts'
import type { Engine } from '../inference/engine.ts'
import type { ModelStatistics } from '../inference/statistics.ts'
import { backendFor, type SignatureBackendOption } from '../jose/signature-backends.ts'
import type { Logger } from '../telemetry/log/logger.ts'
import { exposition } from '../telemetry/metrics/exposition.ts'
import type { FamilySnapshot } from '../telemetry/metrics/family.ts'
import { MetricRegistry } from '../telemetry/metrics/registry.ts'
import type { Tracer } from '../telemetry/tracing/tracer.ts'
import { type AccessLog, createAccessLog } from './access-log.ts'
import { createAddressReader } from './accounts/origin.ts'
import { collectCache, collectRemoteKeys, collectServer, countLimits, createRequestMetrics } from './app-metrics.ts'
import { collectEngine } from './engine-metrics.ts'
import { type ErrorAnswer, type ErrorsOptions, reportToStandardError } from './errors.ts'
import { createFront, type FrontOptions, type PeerOf } from './front/front.ts'
import { admitTo, createRateLimits, limitRows, type RateLimitSettings } from './front/rate-limits.ts'
import { createReadiness, type Readiness } from './readiness.ts'
import {
  type AddressOf,
  createRecorder,
  type InFlightRequests,
  type Recorder,
  type RecordReader,
  type RequestRecord,
} from './request-record.ts'
import type { RouteTable } from './route-table.ts'
import { createTracing } from './tracing.ts'
import { watchAuthentication } from './watched-authentication.ts'

/** Reads what is counted. */
export interface Gather {
  readonly metrics: () => Promise<readonly FamilySnapshot[]>
  readonly statistics: () => Promise<readonly ModelStatistics[]>
}

export interface OperationsOptions {
  /** Where metrics are counted; default one of the app's own. */
  readonly registry?: MetricRegistry
  /** What several processes counted together; default what this app counted. */
  readonly gather?: Gather
  /** Logs requests and our own bugs; by default requests are not logged, and bugs go to standard error. */
  readonly logger?: Logger
  /** Requests that are logged; default all. */
  readonly accessLog?: AccessLog
  /** Whether the server takes requests; default follows the engine. */
  readonly readiness?: Readiness
  /** Hosts, origins, proxies and addresses. */
  readonly front?: FrontOptions
  /** What the holders of each role may do; default without a limit. */
  readonly rateLimits?: readonly RateLimitSettings[]
  /** Records spans; by default nothing is traced. */
  readonly tracer?: Tracer | undefined
  /** Where limits are counted for several processes; by default each counts its own. */
  readonly sharedCounts?: SharedCounts | undefined
}

interface Parts {
  readonly engine: Engine
  readonly routes: RouteTable
  /** The signature backend that the settings name. */
  readonly signatureBackend: SignatureBackendOption | undefined
  readonly peerOf: PeerOf
  readonly inFlight: InFlightRequests
  readonly isTls: boolean
  /** Answers a failure that is met before the routes; default always JSON. */
  readonly answerError?: ErrorAnswer | undefined
}

/** What stands around the routes: it makes the record of each request, and has it logged, counted, traced and limited. */
export interface Operations {
  readonly around: Recorder['around']
  /** Writes the error that is answered into the record of its request. */
  readonly failed: (error: VestalError, request: Request) => RequestRecord | undefined
  /** Counts, notes, traces and limits authentication. */
  readonly watch: AuthenticationWatch
  /** Registers the metrics that the authenticator counts for itself. */
  readonly collect: (authenticator: Authenticator) => void
  /** The engine, with the rows of a subject counted, and traced. */
  readonly limit: (engine: Engine) => Engine
  readonly registry: MetricRegistry
  readonly readMetrics: () => Promise<string>
  readonly readiness: Readiness
  /** The client's address of a request, as far as it can be known. */
  readonly addressOf: (request: Request) => string
  readonly recordOf: Recorder['of']
  /** Writes the model that answers into the record of a request. */
  readonly noteModel: (request: Request, model: string) => void
  /** Reports our own bug, in full. */
  readonly report: ErrorsOptions['report']
  /** Checks new options; what is absent stays. Counts of limits that are given begin anew. */
  readonly prepare: (options: ChangingOperations) => Change
}

/** What of the operations may change while the server runs; what is absent stays. */
export type ChangingOperations = Pick<OperationsOptions, 'accessLog' | 'front' | 'rateLimits'>

/** Prepares the records of one app's requests, and what reads them. */
export function createOperations(options: OperationsOptions, parts: Parts): Operations {
  const { engine, routes, signatureBackend, inFlight } = parts
  const { registry = new MetricRegistry(), logger, readiness = createReadiness(engine), sharedCounts: shared } = options
  const changing = createChanging(options, { ...parts, registry })
  const tracing = options.tracer && createTracing(options.tracer, engine, changing.addressOf)
  const { around, of: recordOf } = createRecorder({
    routes,
    front: changing.front,
    inFlight,
    isLeaving: () => readiness.phase !== 'serving',
    reader: joinReaders({
      metrics: createRequestMetrics(registry, engine),
      log: logger && createAccessLog(logger, changing.accessLog, changing.addressOf),
      traces: tracing?.reader,
    }),
  })
  collectServer(registry, engine, readiness)
  // What several processes count together has the models of all of them.
  if (options.gather === undefined) collectEngine(registry, engine)
  return {
    around,
    recordOf,
    noteModel: (request, model) => {
      const record = recordOf(request)
      if (record !== undefined) record.model = model
    },
    failed: (error, request) => {
      const record = recordOf(request)
      if (record !== undefined) noteFailure(error, record)
      return record
    },
    watch: watchAuthentication({
      recordOf,
      registry,
      admit: admitTo(changing.limits),
      mayWait: shared !== undefined,
      backendOf: (algorithm) => backendFor(algorithm, signatureBackend),
      trace: tracing?.verify,
    }),
    collect: (authenticator) => {
      collectCache(authenticator, registry)
      collectRemoteKeys(authenticator, registry)
    },
    limit: (inner) => limitRows(tracing === undefined ? inner : tracing.infer(inner), changing.limits),
    registry,
    readMetrics: async () => exposition(await (options.gather?.metrics() ?? registry.snapshot())),
    readiness,
    addressOf: (request) => {
      const record = recordOf(request)
      return record === undefined ? 'unknown' : changing.addressOf(request, record)
    },
    report: (error, request) => {
      const requestId = recordOf(request)?.id
      if (logger === undefined) reportToStandardError(error, request)
      else logger.error('a request met a bug', { ...(requestId !== undefined && { requestId }), error })
    },
    prepare: changing.prepare,
  }
}

interface Readers {
  readonly metrics: RecordReader
  readonly log: RecordReader | undefined
  readonly traces: RecordReader | undefined
}

/** One reader of them all, written out: every request passes it. */
function joinReaders({ metrics, log, traces }: Readers): RecordReader {
  return {
    begun: (record) => {
      log?.begun?.(record)
      traces?.begun?.(record)
    },
    enclose: traces?.enclose,
    answered: (record) => {
      metrics.answered?.(record)
      log?.answered?.(record)
      traces?.answered?.(record)
    },
  }
}

function noteFailure(error: VestalError, record: RequestRecord): void {
  record.code = error.code
  record.reason = error.message
  record.principal ??= error.holder?.principal
  record.tokenId ??= error.holder?.tokenId
}

/** What of the operations is replaced while the server runs. */
function createChanging(
  options: OperationsOptions,
  { registry, peerOf, isTls, answerError: answer }: Parts & Pick<Operations, 'registry'>,
) {
  const { sharedCounts: shared } = options
  const refused = countLimits(registry, shared)
  const addressOf: AddressOf = (request, record) => (record.address ??= now.readAddress(request, peerOf(request)))
  const frontOf = (front: FrontOptions) =>
    createFront({ ...front, isTls }, addressOf, { shared, refused, ...(answer && { answer }) })
  const limitsOf = ({ rateLimits = [], front }: ChangingOperations) =>
    rateLimits.length === 0 ? undefined : createRateLimits(rateLimits, { now: front?.now, shared, refused })
  const readerOf = ({ trustedProxies = [] }: FrontOptions) => createAddressReader(trustedProxies)
  const { accessLog = 'all', front = {} } = options
  let now = { accessLog, readAddress: readerOf(front), front: frontOf(front), limits: limitsOf(options) }
  return {
    addressOf,
    accessLog: () => now.accessLog,
    front: () => now.front,
    limits: () => now.limits,
    prepare(changed: ChangingOperations): Change {
      const next = {
        accessLog: changed.accessLog ?? now.accessLog,
        readAddress: changed.front === undefined ? now.readAddress : readerOf(changed.front),
        front: changed.front === undefined ? now.front : frontOf(changed.front),
        limits: changed.rateLimits === undefined ? now.limits : limitsOf({ front, ...changed }),
      }
      return {
        discard: () => undefined,
        apply: () => {
          now = next
        },
      }
    },
  }
}
