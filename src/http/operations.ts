import type { Authenticator } from '../auth/authenticator.ts'
import { VERSION } from '../core/version.ts'
import type { Engine } from '../engine/engine.ts'
import { type EngineName, engineFor } from '../jwt/signature-engines.ts'
import { exposition } from '../metrics/exposition.ts'
import { MetricRegistry } from '../metrics/registry.ts'
import { collectEngine } from './engine-metrics.ts'
import type { ErrorsOptions } from './errors.ts'
import { createHttpMetrics } from './http-metrics.ts'
import { createObserver } from './observe.ts'
import { observeAuthenticator } from './observed-authenticator.ts'
import { RequestLedger } from './request-ledger.ts'
import type { RouteTable } from './route-table.ts'

export interface OperationsOptions {
  /** Where metrics are counted; default one of the app's own. */
  readonly registry?: MetricRegistry
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
}

/** Prepares counting and noting for one app. */
export function createOperations(options: OperationsOptions, { engine, routes, signatureEngine }: Parts): Operations {
  const { registry = new MetricRegistry() } = options
  const ledger = new RequestLedger()
  const count = createHttpMetrics(registry, engine)
  collectModels(registry, engine)
  collectEngine(registry, engine)
  return {
    around: createObserver({ ledger, routes, answered: count }),
    refused: (error, request) => {
      const record = ledger.of(request)
      if (record !== undefined) record.code = error.code
    },
    observe: (authenticator) =>
      observeAuthenticator(authenticator, { ledger, registry, engineOf: (algorithm) => engineFor(algorithm, signatureEngine) }),
    readMetrics: () => exposition(registry.snapshot()),
  }
}

function collectModels(registry: MetricRegistry, engine: Engine): void {
  registry.collected('vestal_build_info', {
    type: 'gauge',
    help: 'Always 1; its labels say what runs.',
    labels: ['version', 'bun'],
    read: () => [[[VERSION, Bun.version], 1]],
  })
  registry.collected('vestal_ready', {
    type: 'gauge',
    help: 'Whether the server takes predictions.',
    read: () => [[[], Number(engine.isReady())]],
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
