import { expect, test } from 'bun:test'
import { rejection } from '../../../../src/inference/queue/admission.ts'
import type { RejectionReason } from '../../../../src/inference/statistics.ts'

test('a request that is rejected learns why, and when to ask again where that helps', () => {
  const cases: readonly (readonly [reason: RejectionReason, hasWaited: boolean, code: string, after?: string])[] = [
    ['queue-full', false, 'QUEUE_FULL', '7'],
    ['timeout', true, 'QUEUE_TIMEOUT', '7'],
    ['timeout', false, 'REQUEST_TIMEOUT'],
    ['aborted', true, 'REQUEST_ABORTED'],
    ['aborted', false, 'REQUEST_ABORTED'],
    ['subject-limit', false, 'SUBJECT_LIMIT', '1'],
    ['subject-bytes', false, 'SUBJECT_MEMORY_LIMIT', '1'],
    ['worker-lost', false, 'WORKER_LOST', '1'],
    ['worker-lost', true, 'WORKER_LOST', '1'],
    ['stopping', false, 'SERVER_STOPPING', '1'],
  ]
  for (const [reason, hasWaited, code, after] of cases) {
    const error = rejection(reason, { queueSeconds: 7, hasWaited })
    expect([reason, hasWaited, error.code as string, error.headers]).toEqual([
      reason,
      hasWaited,
      code,
      after === undefined ? {} : { 'retry-after': after },
    ])
  }
})
