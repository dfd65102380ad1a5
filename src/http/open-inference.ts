import { Elysia } from 'elysia'
import type { ModelStatistics } from '../inference/statistics.ts'
import { guard } from './authentication.ts'
import { health } from './health.ts'
import { permissionTo } from './model-access.ts'
import type { ModelRoutesOptions } from './models.ts'
import { descriptions } from './open-inference/descriptions.ts'
import { infer } from './open-inference/infer.ts'
import { type RepositoryRoutesOptions, repository } from './open-inference/repository.ts'
import { statistics } from './open-inference/statistics.ts'
import { unsupported } from './open-inference/unsupported.ts'
import { INFER_DETAIL } from './openapi/open-inference.ts'
import { createReadiness } from './readiness.ts'

export interface OpenInferenceOptions extends Omit<ModelRoutesOptions, 'report' | 'upgrade'> {
  /** What the models of several processes have done together; default those of the engine. */
  readonly gatherStatistics?: (() => Promise<readonly ModelStatistics[]>) | undefined
  /** Hears of every load and unload. */
  readonly noteModelChange?: RepositoryRoutesOptions['note']
  /** Where a request came from, for the audit log. */
  readonly originOf?: RepositoryRoutesOptions['originOf']
}

/** The Open Inference Protocol, version 2, with Triton's extensions: everything under `/v2`. */
export function openInference({
  engine,
  authenticator,
  memory,
  readiness = createReadiness(engine),
  gatherStatistics = async () => engine.statistics(),
  noteModelChange: note,
  originOf,
}: OpenInferenceOptions) {
  return new Elysia({ name: 'open-inference' })
    .use(health({ readiness, authenticator }))
    .use(descriptions(engine, authenticator))
    .use(statistics(engine, authenticator, gatherStatistics))
    .use(repository({ engine, authenticator, memory, note, originOf }))
    .use(unsupported(authenticator))
    .use(inference({ engine, authenticator, memory }))
}

function inference({ engine, authenticator, memory }: OpenInferenceOptions) {
  const guarded = { permissions: permissionTo('predict', engine), parse: 'none', detail: INFER_DETAIL } as const
  return new Elysia()
    .use(guard(authenticator))
    .post(
      '/v2/models/:name/infer',
      ({ params, request, token }) =>
        infer(engine, params, { request, memory, subject: token.principal.key, allows: token.allows }),
      guarded,
    )
    .post(
      '/v2/models/:name/versions/:version/infer',
      ({ params, request, token }) =>
        infer(engine, params, { request, memory, subject: token.principal.key, allows: token.allows }),
      guarded,
    )
}
