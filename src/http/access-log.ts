import { readTraceParent } from '../core/trace-context.ts'
import type { LogFields, Logger } from '../telemetry/log/logger.ts'
import type { AddressOf, RecordReader, RequestRecord } from './request-record.ts'
import { nameIn } from './route-table.ts'

/** Requests that the log has a line for. */
export type AccessLog = 'all' | 'failures' | 'off'

/** What a method may be made of: a client may make up others. */
const METHOD = /^[A-Z]{1,16}$/

/**
 * One line for each request that the setting names now: who asked for what, and the outcome. Never the path or the query, which may
 * hold anything.
 */
export function createAccessLog(logger: Logger, whichNow: () => AccessLog, addressOf: AddressOf): RecordReader {
  const hasAddress = logger.shows('address')
  const hasTrace = logger.shows('traceId')
  const answered = (record: RequestRecord) => {
    const which = whichNow()
    const { request, status, durationMs } = record
    if (which === 'off' || (which === 'failures' && status < 400)) return
    const level = status === 500 ? 'error' : status > 500 ? 'warn' : 'info'
    if (!logger.isOn(level)) return
    const { id, route, pathname, model, principal, tokenId, code, reason } = record
    const fields: LogFields = {
      requestId: id,
      traceId: hasTrace ? (record.trace ?? readTraceParent(request.headers.get('traceparent')))?.traceId : undefined,
      method: METHOD.test(request.method) ? request.method : 'other',
      route: route.path,
      status,
      durationMs,
      address: hasAddress ? addressOf(request, record) : undefined,
      issuer: principal?.issuer,
      subject: principal?.subject,
      tokenId,
      model: model ?? (route.nameAt === -1 ? undefined : nameIn(route, pathname)),
      code,
      reason,
    }
    logger[level]('request', fields)
  }
  return {
    // Read at the beginning: a connection that is gone, or a WebSocket's, has no address any more.
    begun: (record) => {
      if (hasAddress && whichNow() === 'all') addressOf(record.request, record)
    },
    answered,
  }
}
