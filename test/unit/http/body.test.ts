import { expect, test } from 'bun:test'
import { VestalError } from '../../../src/core/errors.ts'
import { MemoryLedger } from '../../../src/core/memory-ledger.ts'
import { readBody } from '../../../src/http/body.ts'
import { createTurns } from '../../../src/http/turns.ts'

const turns = createTurns({ atOnceMax: 1, waitingMax: 1, principalWaitingMax: 1 })

/** A chunked body of these pieces, which says how many of them were asked for. */
function chunked(pieces: readonly Uint8Array[]) {
  const seen = { pulled: 0, isCancelled: false }
  const body = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const piece = pieces[seen.pulled]
        if (piece === undefined) return controller.close()
        seen.pulled += 1
        controller.enqueue(piece)
      },
      cancel() {
        seen.isCancelled = true
      },
    },
    { highWaterMark: 0 },
  )
  return { request: new Request('http://localhost/', { method: 'POST', body }), seen }
}

function read(request: Request, { bytesMax = 1_000_000, ledger = new MemoryLedger({ bytesMax: 10_000_000 }) } = {}) {
  const hold = ledger.open('ann')
  return { hold, ledger, bytes: readBody(request, { bytesMax, hold, decompression: { turns } }) }
}

const numbered = (length: number, from = 0) => Uint8Array.from({ length }, (_, index) => (from + index) % 251)

test('a chunked body loses no byte, however it is cut', async () => {
  const whole = numbered(200_000)
  for (const sizes of [[1], [199_999], [1, 1, 1], [70_000, 1], [3, 65_536, 1], [10, 65_535, 2, 65_536], [65_536, 1, 65_535, 1]]) {
    const pieces: Uint8Array[] = []
    let start = 0
    for (const size of sizes) {
      pieces.push(whole.slice(start, start + size))
      start += size
    }
    const { bytes, hold } = read(chunked(pieces).request)
    expect([sizes, Bun.deepEquals(await bytes, whole.slice(0, start)), hold.bytes]).toEqual([sizes, true, start])
  }
})

test('a chunked body of many small pieces is read whole', async () => {
  const pieces = Array.from({ length: 3000 }, (_, index) => numbered((index % 40) + 1, index))
  const { bytes } = read(chunked(pieces).request)
  expect(Bun.deepEquals(await bytes, new Uint8Array(Buffer.concat(pieces)))).toBe(true)
})

test('reading stops at the limit, and the rest of the body is not asked for', async () => {
  const { request, seen } = chunked(Array.from({ length: 100 }, () => numbered(1000)))
  const { bytes } = read(request, { bytesMax: 5000 })
  expect(await bytes.catch((error: VestalError) => error.code)).toBe('BODY_TOO_LARGE')
  expect(seen).toEqual({ pulled: 6, isCancelled: true })
})

test('reading stops where the ledger has no room, and says whose limit it was', async () => {
  const ledger = new MemoryLedger({ bytesMax: 10_000, subjectBytesMax: 4000 })
  ledger.open('ann').grow(1000)
  const { request, seen } = chunked(Array.from({ length: 100 }, () => numbered(1000)))
  const own = read(request, { ledger })
  expect(await own.bytes.catch((error: VestalError) => [error.code, error.status, error.headers])).toEqual([
    'SUBJECT_MEMORY_LIMIT',
    429,
    { 'retry-after': '1' },
  ])
  expect(seen).toEqual({ pulled: 4, isCancelled: true })
  own.hold.release()
  expect(ledger.bytes).toBe(1000)
  ledger.open('bob').grow(8500)
  const full = read(chunked([numbered(600)]).request, { ledger })
  expect(await full.bytes.catch((error: VestalError) => [error.code, error.status])).toEqual(['MEMORY_LIMIT', 503])
})

test('a declared length is charged before any of the body is read', () => {
  const ledger = new MemoryLedger({ bytesMax: 10_000, subjectBytesMax: 4000 })
  ledger.open('ann').grow(1000)
  const request = (bytes: number) =>
    new Request('http://localhost/', { method: 'POST', headers: { 'content-length': String(bytes) }, body: 'x'.repeat(bytes) })
  expect(read(request(3000), { ledger }).hold.bytes).toBe(3000)
  expect(() => read(request(1), { ledger })).toThrow(new VestalError('SUBJECT_MEMORY_LIMIT'))
})
