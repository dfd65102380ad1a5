import { Elysia } from 'elysia'
import { guard } from '../authentication.ts'
import { findModel, findReadyVersion, permissionTo } from '../model-access.ts'
import type { ModelRoutesOptions } from '../models.ts'
import { STREAMING_DETAIL } from '../openapi/streaming.ts'
import { createRowPredictor } from './row-predictor.ts'
import { streamRows } from './row-stream.ts'
import { createWitness } from './witness.ts'

/** Longest row of a stream in bytes, where a body may be as long. */
export const ROW_BYTES_MAX = 16 * 1024 * 1024

/** Predictions row by row, `/models/{name}/stream/`: as rows come, in memory that does not grow with their number. */
export function stream({ engine, authenticator, memory, report, readiness }: ModelRoutesOptions) {
  const predict = permissionTo('predict', engine)
  return new Elysia().use(guard(authenticator)).post(
    '/models/:name/stream/',
    ({ params, request, token }) => {
      const model = findModel(engine, params.name)
      findReadyVersion(model)
      const abort = new AbortController()
      const response = streamRows({
        request,
        expansionRatioMax: memory.expansionRatioMax,
        hold: memory.ledger.open(token.principal.key),
        rowBytesMax: Math.min(ROW_BYTES_MAX, memory.bodyBytesMax),
        predict: createRowPredictor({ engine, model, request, subject: token.principal.key, signal: abort.signal }),
        stillMay: createWitness(authenticator, request, () => predict(params)),
        whenEnding: (hear) => readiness?.whenEnding('stream', hear) ?? (() => undefined),
        report,
        abort,
      })
      return response
    },
    { permissions: predict, parse: 'none', detail: STREAMING_DETAIL.stream },
  )
}
