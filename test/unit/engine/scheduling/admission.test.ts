import { expect, test } from 'bun:test'
import { Admission } from '../../../../src/engine/scheduling/admission.ts'

test('other limits count from the next request on, and what is in stays in', () => {
  const admission = new Admission({ requestsMax: 2, subjectRequestsMax: 2, bytesMax: 100 })
  expect([admission.enter('a', 10), admission.enter('a', 10), admission.enter('b', 10)]).toEqual([
    'entered',
    'entered',
    'queue-full',
  ])
  admission.limit({ requestsMax: 4, subjectRequestsMax: 1, bytesMax: 40 })
  expect([admission.enter('a', 1), admission.enter('b', 10), admission.enter('c', 11)]).toEqual([
    'subject-limit',
    'entered',
    'queue-full',
  ])
  expect([admission.requests, admission.bytes]).toEqual([3, 30])
})
