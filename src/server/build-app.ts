import type { Settings } from '../config/settings.ts'
import { isLoopback } from '../core/loopback.ts'
import { createApp } from '../http/app.ts'
import { PRIVATE_INFO_PERMISSION } from '../http/info.ts'
import type { Gather } from '../http/operations.ts'
import type { Readiness } from '../http/readiness.ts'
import type { Reloading } from '../http/reload.ts'
import type { MetricRegistry } from '../telemetry/metrics/registry.ts'
import { authenticationOf } from './authentication.ts'
import { networkOf } from './listeners.ts'
import type { Logging } from './logging.ts'
import { sharedCountsOf } from './shared-counts.ts'
import { sign } from './sign-token.ts'
import type { Announced } from './start-screen.ts'
import type { OpenTracing } from './tracing.ts'

/** What the app is built of. */
export interface AppParts extends Announced {
  readonly registry: MetricRegistry
  readonly readiness: Readiness
  readonly logging: Logging
  readonly reloading: Reloading
  readonly tracing: OpenTracing | undefined
  /** Metrics and statistics of all processes, where there are several. */
  readonly gather?: Gather
}

/**
 * Builds the app of the settings. `start.ts` reads this module, and with it all routes, while the models load.
 * @throws KeyError where the keys do not work together
 */
export function buildApp(settings: Settings, parts: AppParts) {
  const { mode, keys, issuers, engine, accounts, registry, readiness, logging, reloading, tracing, gather } = parts
  const { keys: current, signing } = keys.current()
  const hasSignIn = mode === 'development' && signing !== undefined
  return createApp({
    engine,
    authentication: { ...authenticationOf(settings, { keys: current, issuers }), ...accounts?.authentication },
    ...(accounts && { accounts: accounts.options }),
    ownKeys: keys,
    reloading,
    // With the keys of another issuer, the name is that issuer's too.
    ...(settings.issuer !== undefined && signing !== undefined && { issuer: settings.issuer }),
    title: settings.title,
    description: settings.description,
    hasHomePage: settings.homePage === 'on',
    mayBeTokenIds: settings.tokenIds === 'on',
    hasDocs: settings.docsPage === 'on',
    bodyBytesMax: settings.bodyBytesMax,
    expansionRatioMax: settings.expansionRatioMax,
    messageBytesMax: settings.messageBytesMax,
    mediaProcessesMax: settings.mediaProcessesMax,
    taskLimits: { itemsMax: settings.taskItemsMax, tokensMax: settings.taskTokensMax },
    ...networkOf(settings),
    operations: {
      registry,
      ...(gather && { gather }),
      readiness,
      logger: logging.logger,
      accessLog: settings.accessLog,
      front: settings,
      ...(settings.rateLimits.length > 0 && { rateLimits: settings.rateLimits }),
      tracer: tracing?.tracer,
      sharedCounts: sharedCountsOf(settings, (message) => logging.logger.warn(message)),
    },
    ...(hasSignIn && {
      signIn: {
        issue: (subject: string) => {
          const claims = { sub: subject, data: { permissions: [PRIVATE_INFO_PERMISSION] } }
          // The current signing key: it may have been rotated since the start.
          return sign(claims, keys.current().signing ?? signing, { settings, lifetimeSeconds: settings.accessTokenSeconds })
        },
        isLoopbackHost: isLoopback,
      },
    }),
  })
}
