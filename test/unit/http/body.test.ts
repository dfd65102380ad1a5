import { expect, test } from 'bun:test'
import { connect } from 'node:net'
import { gzipSync } from 'node:zlib'
import { VestalError } from '../../../src/core/errors.ts'
import { MemoryLedger } from '../../../src/core/memory-ledger.ts'
import { BODY_BYTES_MAX, BODY_TIMES, type BodyTimes, readBody } from '../../../src/http/body.ts'
import { createTurns } from '../../../src/http/turns.ts'
import { until } from '../../support/until.ts'

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

interface ReadOptions {
  readonly bytesMax?: number
  readonly ledger?: MemoryLedger
  readonly times?: BodyTimes
}

function read(
  request: Request,
  { bytesMax = 1_000_000, ledger = new MemoryLedger({ bytesMax: 10_000_000 }), times }: ReadOptions = {},
) {
  const hold = ledger.open('ann')
  return { hold, ledger, bytes: readBody(request, { bytesMax, times, hold, decompression: { turns } }) }
}

function posted(body: Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}, signal?: AbortSignal): Request {
  return new Request('http://localhost/', { method: 'POST', headers, body, ...(signal && { signal }) })
}

const numbered = (length: number, from = 0) => Uint8Array.from({ length }, (_, index) => (from + index) % 251)

test('a chunked body loses no byte, however it is cut', async () => {
  const whole = numbered(200_000)
  for (const sizes of [
    [1],
    [199_999],
    [1, 1, 1],
    [70_000, 1],
    [3, 65_536, 1],
    [10, 65_535, 2, 65_536],
    [65_536, 1, 65_535, 1],
    [1, 70_000, 1],
    [1, 65_537, 65_536, 1],
    [1, 40_000, 40_000, 1],
  ]) {
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

test('a body that is not compressed is charged what it has, whatever its length says it in', async () => {
  for (const length of [undefined, '3', '3, 3', '+3', '0x3', '3.0', '']) {
    const request = posted(numbered(3), length === undefined ? {} : { 'content-length': length })
    const { bytes, hold } = read(request)
    expect([length, [...(await bytes)], hold.bytes]).toEqual([length, [0, 1, 2], 3])
  }
  const { bytes, hold } = read(new Request('http://localhost/', { method: 'POST' }))
  expect([[...(await bytes)], hold.bytes]).toEqual([[], 0])
})

test('a declared length may be the limit, and no more', async () => {
  const ask = (length: number) => read(posted(numbered(length), { 'content-length': String(length) }), { bytesMax: 100 })
  expect((await ask(100).bytes).length).toBe(100)
  expect(() => ask(101)).toThrow('The body exceeds the maximum allowed value of 100 bytes')
  const counted = (length: number) => read(chunked([numbered(length)]).request, { bytesMax: 100 }).bytes
  expect((await counted(100)).length).toBe(100)
  expect(await counted(101).catch((error: VestalError) => error.code)).toBe('BODY_TOO_LARGE')
})

test('a compressed body is charged what it expands to, and may expand to the limit, be it small or large', async () => {
  const zipped = (length: number) => posted(Bun.gzipSync(numbered(length)), { 'content-encoding': 'gzip' })
  for (const length of [5000, 200_000]) {
    const { bytes, hold } = read(zipped(length), { bytesMax: length })
    expect([Bun.deepEquals(await bytes, numbered(length)), hold.bytes]).toEqual([true, length])
    const refused = await read(zipped(length + 1), { bytesMax: length }).bytes.catch((error: VestalError) => error.code)
    expect([length, refused]).toEqual([length, 'BODY_TOO_LARGE'])
  }
})

test('a small compressed body waits for no turn, and a large one does', async () => {
  const zipped = (length: number) => posted(Bun.gzipSync(numbered(length)), { 'content-encoding': 'gzip' })
  const busy = Promise.withResolvers<void>()
  const running = turns.run('bob', () => busy.promise)
  const large = read(zipped(200_000)).bytes
  expect((await read(zipped(5000)).bytes).length).toBe(5000)
  busy.resolve()
  await running
  expect((await large).length).toBe(200_000)
})

test('the memory of a body is its own, whatever its pieces were a view of', async () => {
  for (const pieces of [
    [numbered(100).subarray(10, 20)],
    [numbered(20).subarray(0, 10), numbered(20).subarray(10, 20)],
    [numbered(10)],
  ]) {
    const bytes = await read(chunked(pieces).request).bytes
    expect([bytes.length, bytes.byteOffset, bytes.buffer.byteLength]).toEqual([bytes.length, 0, bytes.length])
    expect([...bytes]).toEqual(pieces.flatMap((piece) => [...piece]))
  }
})

test('a compressed body whose client has gone is not expanded', async () => {
  const gone = new AbortController()
  const request = posted(Bun.gzipSync(numbered(200_000)), { 'content-encoding': 'gzip' }, gone.signal)
  const busy = Promise.withResolvers<void>()
  const running = turns.run('bob', () => busy.promise)
  const { bytes, hold } = read(request)
  const refused = bytes.catch((error: VestalError) => error.code)
  gone.abort()
  busy.resolve()
  await running
  expect(await refused).toBe('REQUEST_ABORTED')
  expect(hold.bytes).toBeLessThan(200_000)
})

test('a body that does not come in time is given up, and its connection with it', async () => {
  const times = { wholeMs: 20, graceMs: 10, bytesPerSecondMin: 1 }
  const stalled = (headers: Record<string, string>) => {
    let isCancelled = false
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(numbered(1)),
      cancel: () => {
        isCancelled = true
      },
    })
    const request = new Request('http://localhost/', { method: 'POST', body, headers })
    return { request, isCancelled: () => isCancelled }
  }
  const counted = stalled({})
  for (const { request } of [counted, stalled({ 'content-length': '2' })]) {
    const error = await read(request, { times }).bytes.catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'BODY_TIMEOUT', status: 408, headers: { connection: 'close' } })
  }
  expect(counted.isCancelled()).toBe(true)
})

test('a body that breaks off gets an error that says so', async () => {
  const body = new ReadableStream<Uint8Array>({ pull: (controller) => controller.error(new Error('the connection broke')) })
  for (const headers of [{}, { 'content-length': '2' }] as Record<string, string>[]) {
    const request = new Request('http://localhost/', { method: 'POST', body: headers['content-length'] ? 'x' : body, headers })
    if (headers['content-length']) await request.text()
    expect(await read(request).bytes.catch((error: VestalError) => [error.code, error.detail])).toEqual([
      'BODY_INVALID',
      'The body could not be read to its end',
    ])
  }
})

test('a compressed body is whole, also where it expands to one piece', async () => {
  for (const length of [65_536, 65_537, 131_072, 200_000]) {
    const whole = crypto.getRandomValues(new Uint8Array(65_536))
    const plain = Buffer.alloc(length, whole)
    // Stored and not compressed, so that what comes is never a small body.
    const body = new Uint8Array(gzipSync(plain, { level: 0 }))
    const { bytes, hold } = read(posted(body, { 'content-encoding': 'gzip', 'content-length': String(body.length) }))
    expect(Buffer.compare(await bytes, plain)).toBe(0)
    expect(hold.bytes).toBe(length)
  }
})

/** A server that reads what it is sent as large bodies are read, and says what came of it. */
function largeBodies(times?: BodyTimes) {
  const outcomes: Promise<unknown>[] = []
  const ledger = new MemoryLedger({ bytesMax: 100_000_000 })
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    async fetch(request) {
      const hold = ledger.open('ann')
      const options = { bytesMax: 64 * 2 ** 20, times, hold, decompression: { turns }, isReceived: () => true }
      const outcome = readBody(request, options).catch((error: VestalError) => error.code)
      outcomes.push(outcome)
      const bytes = await outcome
      return bytes instanceof Uint8Array ? new Response(bytes) : new Response(String(bytes), { status: 400 })
    },
  })
  return { server, outcomes, port: server.port ?? 0, [Symbol.dispose]: () => void server.stop(true) }
}

const LARGE = 17 * 2 ** 20

test('a large body comes whole, in pieces of any size', async () => {
  using reader = largeBodies()
  const whole = new Uint8Array(LARGE)
  for (let begin = 0; begin < LARGE; begin += 65_536) crypto.getRandomValues(whole.subarray(begin, begin + 65_536))
  const answers = [0, 1].map(async () => {
    const response = await fetch(reader.server.url, { method: 'POST', body: whole })
    return Buffer.compare(await response.bytes(), whole)
  })
  expect(await Promise.all(answers)).toEqual([0, 0])
})

test('a large body whose connection breaks, or that stalls, is given up', async () => {
  using patient = largeBodies()
  using quick = largeBodies({ wholeMs: 50, graceMs: 50, bytesPerSecondMin: 2 ** 40 })
  for (const { port } of [patient, quick]) {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => undefined)
    socket.write(`POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${LARGE}\r\n\r\n`)
    socket.write(Buffer.alloc(2 ** 20))
    if (port === patient.port) await until(() => patient.outcomes.length === 1)
    if (port === patient.port) socket.destroy()
  }
  await until(() => quick.outcomes.length === 1)
  expect(await patient.outcomes[0]).toBe('BODY_INVALID')
  expect(await quick.outcomes[0]).toBe('BODY_TIMEOUT')
})

test('a body may have 64 MiB and five minutes, at 16 KiB a second once ten seconds are over', () => {
  expect(BODY_BYTES_MAX).toBe(67_108_864)
  expect(BODY_TIMES).toEqual({ wholeMs: 300_000, graceMs: 10_000, bytesPerSecondMin: 16_384 })
})

test('bytes that came and were rejected are reported, and none of a body that is whole', async () => {
  const reported = async (request: Request, { bytesMax = 1000, times = BODY_TIMES }: ReadOptions = {}) => {
    const counts: number[] = []
    const hold = new MemoryLedger({ bytesMax: 10_000_000 }).open('ann')
    const discarded = (bytes: number) => void counts.push(bytes)
    await readBody(request, { bytesMax, times, hold, decompression: { turns }, discarded }).catch(() => undefined)
    return counts
  }
  expect(await reported(chunked([numbered(400), numbered(600)]).request)).toEqual([])
  expect(await reported(chunked([]).request)).toEqual([])
  expect(await reported(chunked([numbered(400), numbered(601)]).request)).toEqual([1001])
  const gzip = (length: number) => {
    const body = new Uint8Array(gzipSync(crypto.getRandomValues(new Uint8Array(length))))
    return posted(body, { 'content-encoding': 'gzip' })
  }
  expect(await reported(gzip(100_000), { bytesMax: 200_000 })).toEqual([])
  expect((await reported(gzip(300_000), { bytesMax: 200_000 })).every((bytes) => bytes > 200_000)).toBe(true)
})
