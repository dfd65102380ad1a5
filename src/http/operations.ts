import type { Authenticator } from '../auth/authenticator.ts'
import type { Change } from '../core/change.ts'
import type { SharedCounts } from '../core/shared-counts.ts'
import { VERSION } from '../core/version.ts'
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
import { collectEngine } from './engine-metrics.ts'
import type { ErrorAnswer, ErrorsOptions } from './errors.ts'
import { createFront, type FrontOptions, type PeerOf } from './front/front.ts'
import { admitTo, countRefusals, limitRows } from './front/limited.ts'
import { createRateLimits, type RateLimitSettings } from './front/rate-limits.ts'
import { createHttpMetrics } from './http-metrics.ts'
import type { LongRequests } from './long-requests.ts'
import { type Answered, createObserver } from './observe.ts'
import { observeAuthenticator } from './observed-authenticator.ts'
import { createReadiness, type Readiness } from './readiness.ts'
import { reportToStandardError } from './report.ts'
import { type AddressOf, RequestLedger, type RequestRecord } from './request-ledger.ts'
import type { RouteTable } from './route-table.ts'
import { createTracing } from './tracing.ts'

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
  /** Hears of requests and of our own bugs; by default requests are told nowhere, and bugs to the standard error. */
  readonly logger?: Logger
  /** Requests that the log tells of; default all. */
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
  readonly longRequests: LongRequests
  readonly isTls: boolean
  /** Answers a failure that is met before the routes; default always JSON. */
  readonly answerError?: ErrorAnswer | undefined
}

/** What stands around the routes: it sees every request, counts it, and knows what became of it. */
export interface Operations {
  readonly around: ReturnType<typeof createObserver>
  readonly refused: NonNullable<ErrorsOptions['refused']>
  readonly observe: (authenticator: Authenticator) => Authenticator
  /** The engine, with the rows of a subject counted, and traced. */
  readonly limit: (engine: Engine) => Engine
  readonly registry: MetricRegistry
  readonly readMetrics: () => Promise<string>
  readonly readiness: Readiness
  /** The client's address of a request, as far as it can be known. */
  readonly addressOf: (request: Request) => string
  /** What is known of a request at hand. */
  readonly recordOf: (request: Request) => RequestRecord | undefined
  /** Tells of our own bug, in full. */
  readonly report: ErrorsOptions['report']
  /** Checks what is given of the options in the place of what was. Counts of limits that are given begin anew. */
  readonly prepare: (options: ChangingOperations) => Change
}

/** What of the operations may change while the server runs; what is absent stays. */
export type ChangingOperations = Pick<OperationsOptions, 'accessLog' | 'front' | 'rateLimits'>

/** Prepares counting and noting for one app. */
export function createOperations(options: OperationsOptions, parts: Parts): Operations {
  const { engine, routes, signatureBackend, peerOf, longRequests, isTls } = parts
  const { registry = new MetricRegistry(), logger, accessLog = 'all', readiness = createReadiness(engine) } = options
  const ledger = new RequestLedger()
  let readAddress = createAddressReader(options.front?.trustedProxies ?? [])
  const addressOf: AddressOf = (request, record) => (record.address ??= readAddress(request, peerOf(request)))
  const count = createHttpMetrics(registry, engine)
  let which = accessLog
  const tell = logger === undefined ? undefined : createAccessLog(logger, () => which, addressOf)
  const tracing = options.tracer && createTracing(options.tracer, engine)
  // Asked at the begin where each request is told of: a connection that is gone, or a WebSocket's, has no address any more.
  const begun = (request: Request, record: RequestRecord) => {
    if (tell !== undefined && which === 'all') addressOf(request, record)
    tracing?.begun(request, record)
  }
  const answered: Answered = (request, record, answer) => {
    count(request, record, answer)
    tell?.(request, record, answer)
    tracing?.answered(request, record, answer)
  }
  const { sharedCounts: shared } = options
  const refused = countRefusals(registry, shared)
  const { answerError: answer } = parts
  const frontOf = (next: FrontOptions) =>
    createFront({ ...next, isTls }, addressOf, { shared, refused, ...(answer && { answer }) })
  let front = frontOf(options.front ?? {})
  const limitsOf = ({ rateLimits = [], front }: ChangingOperations) =>
    rateLimits.length === 0 ? undefined : createRateLimits(rateLimits, { now: front?.now, shared, refused })
  let limits = limitsOf(options)
  collectServer(registry, engine, readiness)
  // What several processes count together has the models of all of them.
  if (options.gather === undefined) collectEngine(registry, engine)
  return {
    around: createObserver({
      ledger,
      routes,
      front: () => front,
      longRequests,
      isLeaving: () => readiness.phase !== 'serving',
      begun,
      enclose: tracing?.enclose,
      answered,
    }),
    refused: (error, request) => {
      const record = ledger.of(request)
      if (record === undefined) return
      record.code = error.code
      record.reason = error.message
      record.principal ??= error.holder?.principal
      record.tokenId ??= error.holder?.tokenId
    },
    observe: (authenticator) =>
      observeAuthenticator(tracing === undefined ? authenticator : tracing.verify(authenticator), {
        ledger,
        registry,
        admit: admitTo(() => limits),
        mayWait: shared !== undefined,
        backendOf: (algorithm) => backendFor(algorithm, signatureBackend),
      }),
    limit: (inner) => limitRows(tracing === undefined ? inner : tracing.infer(inner), () => limits),
    registry,
    readMetrics: async () => exposition(await (options.gather?.metrics() ?? registry.snapshot())),
    readiness,
    addressOf: (request) => {
      const record = ledger.of(request)
      return record === undefined ? 'unknown' : addressOf(request, record)
    },
    recordOf: (request) => ledger.of(request),
    report: (error, request) => {
      const requestId = ledger.of(request)?.id
      if (logger === undefined) reportToStandardError(error, request)
      else logger.error('a request met a bug', { ...(requestId !== undefined && { requestId }), error })
    },
    prepare(changed) {
      const next = {
        which: changed.accessLog ?? which,
        readAddress: changed.front === undefined ? readAddress : createAddressReader(changed.front.trustedProxies ?? []),
        front: changed.front === undefined ? front : frontOf(changed.front),
        limits: changed.rateLimits === undefined ? limits : limitsOf({ front: options.front ?? {}, ...changed }),
      }
      return {
        discard: () => undefined,
        apply: () => {
          which = next.which
          readAddress = next.readAddress
          front = next.front
          limits = next.limits
        },
      }
    },
  }
}

function collectServer(registry: MetricRegistry, engine: Engine, readiness: Readiness): void {
  registry.collected('vestal_build_info', {
    type: 'gauge',
    help: 'Always 1; its labels say what runs.',
    labels: ['version', 'bun'],
    read: () => [[[VERSION, Bun.version], 1]],
  })
  registry.collected('vestal_ready', {
    type: 'gauge',
    help: 'Whether the server takes predictions.',
    read: () => [[[], Number(readiness.isReady())]],
  })
  registry.collected('vestal_model_ready', {
    type: 'gauge',
    help: 'Whether a version of a model answers.',
    labels: ['model', 'version'],
    read: () =>
      engine
        .models()
        .flatMap(({ name, versions }) =>
          versions.map(({ version, state }) => [[name, version], Number(state === 'ready' && engine.isReady())] as const),
        ),
  })
}
