import { expect, test } from 'bun:test'
import { Admission } from '../../../../src/inference/queue/admission.ts'

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

test('a place that is given back is there for the next, of its subject and of all, and so are its bytes', () => {
  const admission = new Admission({ requestsMax: 3, subjectRequestsMax: 2, bytesMax: 100 })
  for (let times = 0; times < 5; times += 1) {
    expect([admission.enter('a', 10), admission.enter('a', 20), admission.enter('a', 1)]).toEqual([
      'entered',
      'entered',
      'subject-limit',
    ])
    expect([admission.enter('b', 0), admission.enter('c', 1), admission.requests, admission.bytes]).toEqual([
      'entered',
      'queue-full',
      3,
      31,
    ])
    admission.leave('a', 10)
    expect([admission.enter('a', 10), admission.enter('a', 1)]).toEqual(['entered', 'subject-limit'])
    for (const [subject, bytes] of [
      ['a', 20],
      ['a', 10],
      ['b', 0],
    ] as const)
      admission.leave(subject, bytes)
    expect([admission.requests, admission.bytes]).toEqual([0, 0])
  }
})

test('requests of no particular principal have the limits of the server alone, and one alone may be larger than all', () => {
  const admission = new Admission({ requestsMax: 3, subjectRequestsMax: 1, bytesMax: 100, subjectBytesMax: 10 })
  expect([admission.enter('', 500), admission.enter('', 1), admission.requests]).toEqual(['entered', 'queue-full', 1])
  admission.leave('', 500)
  expect([admission.enter('', 60), admission.enter('', 40), admission.enter('a', 0)]).toEqual([
    'entered',
    'entered',
    'queue-full',
  ])
  admission.leave('', 60)
  expect([admission.enter('a', 10), admission.enter('b', 5), admission.enter('b', 1)]).toEqual([
    'entered',
    'entered',
    'subject-limit',
  ])
  admission.leave('b', 5)
  admission.limit({ requestsMax: 3, subjectRequestsMax: 9, bytesMax: 100, subjectBytesMax: 10 })
  expect([admission.enter('a', 1), admission.enter('b', 1)]).toEqual(['subject-bytes', 'entered'])
})
