import { Elysia } from 'elysia'
import type { Authenticator } from '../../auth/authenticator.ts'
import type { Engine } from '../../inference/engine.ts'
import type { ModelStatistics } from '../../inference/statistics.ts'
import { guard } from '../authentication.ts'
import { jsonResponse } from '../json.ts'
import { findModel, findVersion, mayReadName, permissionTo } from '../model-access.ts'
import { STATISTICS_DETAIL } from '../openapi/open-inference-control.ts'

/** The statistics extension: what each version of a model has done. */
export function statistics(engine: Engine, authenticator: Authenticator, gather: () => Promise<readonly ModelStatistics[]>) {
  const read = permissionTo('read', engine)
  const one = async (name: string, version?: string) =>
    statisticsOf((await gather()).filter((row) => row.model === name && (version === undefined || row.version === version)))
  return new Elysia()
    .use(guard(authenticator))
    .get(
      '/v2/models/stats',
      async ({ token }) => {
        const mayRead = mayReadName(token, engine)
        return statisticsOf((await gather()).filter(({ model }) => mayRead(model)))
      },
      { permissions: [], detail: STATISTICS_DETAIL.all },
    )
    .get('/v2/models/:name/stats', async ({ params }) => one(findModel(engine, params.name).name), {
      permissions: read,
      detail: STATISTICS_DETAIL.one,
    })
    .get(
      '/v2/models/:name/versions/:version/stats',
      async ({ params }) => {
        const { version } = findVersion(findModel(engine, params.name), params.version)
        return one(params.name, version)
      },
      { permissions: read, detail: STATISTICS_DETAIL.one },
    )
}

function statisticsOf(models: readonly ModelStatistics[]): Response {
  return jsonResponse({ model_stats: models.map(entryOf) })
}

/** One version as Triton's clients read it: they expect every one of the eight durations. */
function entryOf(model: ModelStatistics) {
  return {
    name: model.model,
    version: model.version,
    last_inference: model.lastInferenceMs,
    inference_count: model.inferenceCount,
    execution_count: model.executionCount,
    inference_stats: {
      success: model.success,
      fail: model.fail,
      queue: model.queue,
      compute_input: model.computeInput,
      compute_infer: model.computeInfer,
      compute_output: model.computeOutput,
      cache_hit: model.cacheHit,
      cache_miss: model.cacheMiss,
    },
    response_stats: {},
    batch_stats: model.batches.map(({ rows, computeInput, computeInfer, computeOutput }) => ({
      batch_size: rows,
      compute_input: computeInput,
      compute_infer: computeInfer,
      compute_output: computeOutput,
    })),
    memory_usage: [],
  }
}
