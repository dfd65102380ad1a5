import { readTraceParent } from '../core/trace-context.ts'
import type { LogFields, Logger } from '../telemetry/log/logger.ts'
import type { Answered } from './observe.ts'
import type { AddressOf } from './request-ledger.ts'
import { nameIn } from './route-table.ts'

/** Requests that the log tells of. */
export type AccessLog = 'all' | 'failures' | 'off'

/** What a method may be made of, so that a stranger's own tells nothing else. */
const METHOD = /^[A-Z]{1,16}$/

/**
 * One line for each request of those that are told of now: who asked for what, and what became of it. Never the path or the query that
 * came: they may hold anything.
 */
export function createAccessLog(logger: Logger, whichNow: () => AccessLog, addressOf: AddressOf): Answered {
  return (request, record, { status, durationMs }) => {
    const which = whichNow()
    if (which === 'off' || (which === 'failures' && status < 400)) return
    const level = status === 500 ? 'error' : status > 500 ? 'warn' : 'info'
    if (!logger.isOn(level)) return
    const { id, route, pathname, principal, tokenId, code, reason } = record
    const fields: LogFields = {
      requestId: id,
      traceId: (record.trace ?? readTraceParent(request.headers.get('traceparent')))?.traceId,
      method: METHOD.test(request.method) ? request.method : 'other',
      route: route.path,
      status,
      durationMs,
      address: addressOf(request, record),
      issuer: principal?.issuer,
      subject: principal?.subject,
      tokenId,
      model: route.nameAt === -1 ? undefined : nameIn(route, pathname),
      code,
      reason,
    }
    logger[level]('request', fields)
  }
}
