import { type ErrorCode, VestalError } from '../../core/errors.ts'
import type { RejectionReason } from '../statistics.ts'

const CODES: Readonly<Record<RejectionReason, ErrorCode>> = {
  'queue-full': 'QUEUE_FULL',
  'subject-limit': 'SUBJECT_LIMIT',
  timeout: 'REQUEST_TIMEOUT',
  aborted: 'REQUEST_ABORTED',
  'worker-lost': 'WORKER_LOST',
  stopping: 'SERVER_STOPPING',
}

/**
 * Seconds after which to ask again where the server could not take or finish a request; one that took too long is not asked to. A full
 * queue says when it will have been worked off; a subject's own limit has room as soon as one of its requests is done.
 */
const RETRY_AFTER: Readonly<Partial<Record<RejectionReason, string>>> = {
  'subject-limit': '1',
  'worker-lost': '1',
  stopping: '1',
}

/** What the caller of a request is told that was refused, with the seconds in which the queue will be worked off. */
export function refusal(reason: RejectionReason, queueSeconds: number): VestalError {
  const after = reason === 'queue-full' ? String(queueSeconds) : RETRY_AFTER[reason]
  return new VestalError(CODES[reason], after === undefined ? {} : { headers: { 'retry-after': after } })
}
