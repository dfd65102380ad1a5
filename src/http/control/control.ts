import { Elysia } from 'elysia'
import type { Authenticator } from '../../auth/authenticator.ts'
import { VestalError } from '../../core/errors.ts'
import type { Engine } from '../../inference/engine.ts'
import type { ModelStatistics } from '../../inference/statistics.ts'
import { guard } from '../authentication.ts'
import { createReadiness, type Readiness } from '../readiness.ts'
import type { RequestMemory } from '../request-memory.ts'
import { health } from './health.ts'
import { metadata } from './metadata.ts'
import { models } from './models.ts'
import { type RepositoryRoutesOptions, repository } from './repository.ts'
import { statistics } from './statistics.ts'

export interface ControlOptions {
  readonly engine: Engine
  readonly authenticator: Authenticator
  readonly memory: RequestMemory
  /** Whether the server takes requests; default follows the engine. */
  readonly readiness?: Readiness
  /** What the models of several processes have done together; default those of the engine. */
  readonly gatherStatistics?: (() => Promise<readonly ModelStatistics[]>) | undefined
  /** Notes every load and unload. */
  readonly noteModelChange?: RepositoryRoutesOptions['note']
  /** Where a request came from, for the audit log. */
  readonly originOf?: RepositoryRoutesOptions['originOf']
}

/**
 * What surrounds predictions: the models in rows, and under `/v2` health, metadata, statistics and the repository, as the Open Inference
 * Protocol 2 and Triton's extensions have them.
 */
export function control(options: ControlOptions) {
  const { engine, authenticator, memory, readiness = createReadiness(engine), noteModelChange: note, originOf } = options
  const { gatherStatistics = async () => engine.statistics() } = options
  return new Elysia({ name: 'control' })
    .use(models(engine, authenticator))
    .use(health({ readiness, authenticator }))
    .use(metadata(engine, authenticator))
    .use(statistics(engine, authenticator, gatherStatistics))
    .use(repository({ engine, authenticator, memory, note, originOf }))
    .use(unsupported(authenticator))
}

const SHARED_MEMORY =
  'Shared memory is not supported: a client and this server need not be on one machine, and binary tensor data is copied at most twice'
const TRACE = 'Trace settings are not supported: tracing is set where the server is started'
const LOGGING = 'Log settings are not supported: logging is set where the server is started'
const REPOSITORY = 'A repository name is not supported: there is one repository'

const PATHS: readonly (readonly [method: 'GET' | 'POST', path: string, text: string])[] = [
  ...['systemsharedmemory', 'cudasharedmemory'].flatMap(
    (memory) =>
      [
        ['GET', `/v2/${memory}/status`, SHARED_MEMORY],
        ['GET', `/v2/${memory}/region/:region/status`, SHARED_MEMORY],
        ['POST', `/v2/${memory}/region/:region/register`, SHARED_MEMORY],
        ['POST', `/v2/${memory}/region/:region/unregister`, SHARED_MEMORY],
        ['POST', `/v2/${memory}/unregister`, SHARED_MEMORY],
      ] as const,
  ),
  ['GET', '/v2/trace/setting', TRACE],
  ['POST', '/v2/trace/setting', TRACE],
  ['GET', '/v2/models/:name/trace/setting', TRACE],
  ['POST', '/v2/models/:name/trace/setting', TRACE],
  ['GET', '/v2/logging', LOGGING],
  ['POST', '/v2/logging', LOGGING],
  ['POST', '/v2/repository/:repository/index', REPOSITORY],
  ['POST', '/v2/repository/:repository/models/:name/load', REPOSITORY],
  ['POST', '/v2/repository/:repository/models/:name/unload', REPOSITORY],
]

/** The document leaves them out: a client that is generated from it has no use for them. */
const HIDDEN = { hide: true }

/** Routes of Triton that this server does not have: a valid token gets the reason. */
function unsupported(authenticator: Authenticator) {
  const app = new Elysia().use(guard(authenticator))
  for (const [method, path, detail] of PATHS) {
    const reject = () => {
      throw new VestalError('UNSUPPORTED', { detail })
    }
    const options = { permissions: [], parse: 'none', detail: HIDDEN } as const
    if (method === 'GET') app.get(path, reject, options)
    else app.post(path, reject, options)
  }
  return app
}
