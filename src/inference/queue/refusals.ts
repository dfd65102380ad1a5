import { type ErrorCode, VestalError } from '../../core/errors.ts'
import type { RejectionReason } from '../statistics.ts'

const CODES: Readonly<Record<RejectionReason, ErrorCode>> = {
  'queue-full': 'QUEUE_FULL',
  'subject-limit': 'SUBJECT_LIMIT',
  'subject-bytes': 'SUBJECT_MEMORY_LIMIT',
  timeout: 'REQUEST_TIMEOUT',
  aborted: 'REQUEST_ABORTED',
  'worker-lost': 'WORKER_LOST',
  stopping: 'SERVER_STOPPING',
}

/**
 * Seconds after which to ask again where the server could not take or finish a request; one whose run took too long is not asked to.
 * A queue that is full, or too slow for a request's time, says when it will have been worked off; a subject's own limit has room as
 * soon as one of its requests is done.
 */
const RETRY_AFTER: Readonly<Partial<Record<RejectionReason, string>>> = {
  'subject-limit': '1',
  'subject-bytes': '1',
  'worker-lost': '1',
  stopping: '1',
}

export interface RefusalOptions {
  /** Seconds in which the queue will be worked off. */
  readonly queueSeconds: number
  /** True for a request that left the queue without a run. */
  readonly hasWaited: boolean
}

/** What the caller of a request is told that was refused. */
export function refusal(reason: RejectionReason, { queueSeconds, hasWaited }: RefusalOptions): VestalError {
  const isOfQueue = reason === 'queue-full' || (reason === 'timeout' && hasWaited)
  const after = isOfQueue ? String(queueSeconds) : RETRY_AFTER[reason]
  const code = reason === 'timeout' && hasWaited ? 'QUEUE_TIMEOUT' : CODES[reason]
  return new VestalError(code, after === undefined ? {} : { headers: { 'retry-after': after } })
}
