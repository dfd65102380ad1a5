import { expect, test } from 'bun:test'
import { RequestMemory } from '../../../src/http/request-memory.ts'

const LARGE = 64 * 1024

function held(headers: Record<string, string>) {
  const memory = new RequestMemory({})
  return { memory, hold: memory.open(new Request('http://localhost/', { method: 'POST', headers, body: 'x' }), 'ann') }
}

test('a large body gives its memory back with the answer, and not before', () => {
  const { hold } = held({ 'content-length': String(LARGE) })
  const body = new Uint8Array(LARGE).fill(7)
  hold.handOver(body)
  expect(body[LARGE - 1]).toBe(7)
  hold.answer(new Response('done'), 4)
  expect(body.byteLength).toBe(0)
  hold.close()
})

test('a body stays where its request failed, and where it may be a caller’s own memory, and a small one is left to the collector', () => {
  const failed = held({ 'content-length': String(LARGE) })
  const pieces = held({})
  const small = held({ 'content-length': '3' })
  const bodies = [new Uint8Array(LARGE), new Uint8Array(LARGE), new Uint8Array(3)] as const
  failed.hold.handOver(bodies[0])
  pieces.hold.handOver(bodies[1])
  small.hold.handOver(bodies[2])
  pieces.hold.answer(new Response('done'), 4)
  small.hold.answer(new Response('done'), 4)
  for (const { hold } of [failed, pieces, small]) hold.close()
  expect(bodies.map(({ byteLength }) => byteLength)).toEqual([LARGE, LARGE, 3])
})

test('large outputs give their memory back with the answer or its rejection, but for what requests of one run share', () => {
  const tensor = (data: Float32Array) => ({ datatype: 'FP32', shape: [data.length], data }) as const
  const run = new Float32Array(LARGE)
  const answered = held({})
  const rejected = held({})
  const [own, shared, more] = [new Float32Array(LARGE), run.subarray(0, LARGE / 2), new Float32Array(LARGE)]
  answered.hold.computed(
    new Map([
      ['own', tensor(own)],
      ['shared', tensor(shared)],
    ]),
  )
  expect(own.length).toBe(LARGE)
  answered.hold.answer(new Response('done'), 4)
  const other = rejected.memory.open(new Request('http://localhost/'), 'ann')
  other.grow(rejected.memory.ledger.bytes + 256 * 2 ** 20 - LARGE)
  expect(() => rejected.hold.computed(new Map([['more', tensor(more)]]))).toThrow()
  expect([own.length, shared.length, run.length, more.length]).toEqual([0, LARGE / 2, LARGE, 0])
  for (const { hold } of [answered, rejected]) hold.close()
  other.close()
})
