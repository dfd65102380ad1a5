import type { Authenticator } from '../auth/authenticator.ts'
import { VERSION } from '../core/version.ts'
import type { Engine } from '../engine/engine.ts'
import { type EngineName, engineFor } from '../jwt/signature-engines.ts'
import type { Logger } from '../log/logger.ts'
import { exposition } from '../metrics/exposition.ts'
import { MetricRegistry } from '../metrics/registry.ts'
import { type AccessLog, createAccessLog } from './access-log.ts'
import { collectEngine } from './engine-metrics.ts'
import type { ErrorsOptions } from './errors.ts'
import { createHttpMetrics } from './http-metrics.ts'
import { type Answered, createObserver } from './observe.ts'
import { observeAuthenticator } from './observed-authenticator.ts'
import { createReadiness, type Readiness } from './readiness.ts'
import { reportToStandardError } from './report.ts'
import { RequestLedger } from './request-ledger.ts'
import type { RouteTable } from './route-table.ts'

export interface OperationsOptions {
  /** Where metrics are counted; default one of the app's own. */
  readonly registry?: MetricRegistry
  /** Hears of requests and of our own bugs; by default requests are told nowhere, and bugs to the standard error. */
  readonly logger?: Logger
  /** Requests that the log tells of; default all. */
  readonly accessLog?: AccessLog
  /** Whether the server takes requests; default follows the engine. */
  readonly readiness?: Readiness
}

interface Parts {
  readonly engine: Engine
  readonly routes: RouteTable
  /** Who checks signatures, as the settings say. */
  readonly signatureEngine: EngineName | undefined
}

/** What stands around the routes: it sees every request, counts it, and knows what became of it. */
export interface Operations {
  readonly around: ReturnType<typeof createObserver>
  readonly refused: NonNullable<ErrorsOptions['refused']>
  readonly observe: (authenticator: Authenticator) => Authenticator
  readonly readMetrics: () => string
  readonly readiness: Readiness
  /** Tells of our own bug, in full. */
  readonly report: ErrorsOptions['report']
}

/** Prepares counting and noting for one app. */
export function createOperations(options: OperationsOptions, { engine, routes, signatureEngine }: Parts): Operations {
  const { registry = new MetricRegistry(), logger, accessLog = 'all', readiness = createReadiness(engine) } = options
  const ledger = new RequestLedger()
  const count = createHttpMetrics(registry, engine)
  const tell = logger === undefined ? undefined : createAccessLog(logger, accessLog)
  const answered: Answered = (request, record, answer) => {
    count(request, record, answer)
    tell?.(request, record, answer)
  }
  collectServer(registry, engine, readiness)
  collectEngine(registry, engine)
  return {
    around: createObserver({ ledger, routes, answered }),
    refused: (error, request) => {
      const record = ledger.of(request)
      if (record === undefined) return
      record.code = error.code
      record.reason = error.message
    },
    observe: (authenticator) =>
      observeAuthenticator(authenticator, { ledger, registry, engineOf: (algorithm) => engineFor(algorithm, signatureEngine) }),
    readMetrics: () => exposition(registry.snapshot()),
    readiness,
    report: (error, request) => {
      const requestId = ledger.of(request)?.id
      if (logger === undefined) reportToStandardError(error, request)
      else logger.error('a request met a bug', { ...(requestId !== undefined && { requestId }), error })
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
          versions.map(({ version, state }) => [[name, version], Number(state === 'ready')] as const),
        ),
  })
}
