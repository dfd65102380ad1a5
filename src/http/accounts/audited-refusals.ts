import type { VestalError } from '../../core/errors.ts'
import { RateLimiter } from '../../core/rate-limiter.ts'
import type { PeerOf } from '../front/front.ts'
import type { RequestRecord } from '../request-ledger.ts'
import type { AccountsOptions } from './context.ts'

/** Lines a minute for one subject, and for all together: who asks in a loop must not push out what others did. */
const SUBJECT_LINES = 60
const LINES = 600
const TEXT_LENGTH_MAX = 200

interface Parts {
  readonly recordOf: (request: Request) => RequestRecord | undefined
  readonly peerOf: PeerOf
}

/** The same options, with the id of the request, as its answer has it, in all that is noted. */
export function withRequestIds(options: AccountsOptions, { recordOf }: Pick<Parts, 'recordOf'>): AccountsOptions {
  const originOf: AccountsOptions['originOf'] = (request, peer) => {
    const requestId = recordOf(request)?.id
    return { ...options.originOf(request, peer), ...(requestId !== undefined && { requestId }) }
  }
  return { ...options, originOf }
}

/** Notes each request whose token is valid and lacks a permission. */
export function createRefusalAudit({ context, originOf }: AccountsOptions, { recordOf, peerOf }: Parts) {
  const bySubject = new RateLimiter({ perMinute: SUBJECT_LINES })
  const all = new RateLimiter({ perMinute: LINES })
  return ({ code, message }: VestalError, request: Request): void => {
    const record = recordOf(request)
    if (code !== 'PERMISSION_MISSING' || record === undefined) return
    const actor = record.subject?.slice(0, TEXT_LENGTH_MAX)
    if (!bySubject.take(actor ?? '').isAllowed || !all.take('').isAllowed) return
    const tokenId = record.tokenId?.slice(0, TEXT_LENGTH_MAX)
    context.audit({
      event: 'permission-refused',
      ...(actor !== undefined && { actor }),
      ...(tokenId !== undefined && { tokenId }),
      reason: message.slice(0, TEXT_LENGTH_MAX),
      route: `${request.method} ${record.route.path}`,
      origin: originOf(request, peerOf(request)),
    })
  }
}
