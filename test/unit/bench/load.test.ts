import { describe, expect, test } from 'bun:test'
import { distributionOf, putConstantRate, resultOf, SHARES } from '../../../bench/load/load.ts'
import { responseReader } from '../../../bench/load/response-reader.ts'

const plain = (status: number, body: string) => `HTTP/1.1 ${status} X\r\nContent-Length: ${body.length}\r\nA: b\r\n\r\n${body}`
const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n'

function statusesOf(chunks: readonly string[]): readonly number[] {
  const statuses: number[] = []
  const read = responseReader((status) => statuses.push(status))
  for (const chunk of chunks) read(Buffer.from(chunk))
  return statuses
}

describe('the reader of responses', () => {
  test('gives a status for each response that is whole', () => {
    expect(statusesOf([plain(200, 'abc'), plain(503, ''), chunked, plain(204, '')])).toEqual([200, 503, 200, 204])
  })

  test('reads responses that come byte by byte', () => {
    for (const response of [plain(200, 'abc'), chunked]) expect(statusesOf([...response, ...response])).toEqual([200, 200])
  })

  test('gives nothing before the last byte', () => {
    for (const response of [plain(200, 'abc'), chunked]) expect(statusesOf([response.slice(0, -1)])).toEqual([])
  })

  test('reads a chunked response without a body', () => {
    expect(statusesOf(['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'])).toEqual([200])
  })
})

describe('the result of a load', () => {
  test('has the times at each share', () => {
    const durations = Array.from({ length: 1000 }, (_, index) => 999 - index)
    const result = resultOf({ requests: 1000, requestsPerSecond: 1, failures: 0 }, distributionOf(durations))
    expect(result).toMatchObject({ p50Ms: 500, p99Ms: 990, p999Ms: 999 })
    expect(result.distribution).toHaveLength(SHARES.length)
  })

  test('is no number without a request', () => {
    expect(distributionOf([]).every(Number.isNaN)).toBe(true)
  })
})

describe('a constant rate', () => {
  test('asks as often as it should, and counts what fails', async () => {
    let asked = 0
    using server = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      fetch: async (request) => {
        const isRight = request.method === 'POST' && (await request.text()) === 'a body' && request.headers.get('a') === 'b'
        asked += 1
        return new Response('x', { status: isRight && asked > 10 ? 200 : 500 })
      },
    })
    const target = { url: `http://127.0.0.1:${server.port}/path`, method: 'POST', headers: { a: 'b' }, body: 'a body' } as const
    const load = { seconds: 0.2, connections: 4, requestsPerSecond: 500, isPinned: false }
    const result = await putConstantRate(target, load)
    expect(asked).toBe(100)
    expect(result).toMatchObject({ requests: 100, failures: 10 })
  })

  test('counts the time from when a request was due, and not from when it was sent', async () => {
    // One connection: the first request is held until the others are due, and they wait with it.
    const { promise, resolve } = Promise.withResolvers<void>()
    let asked = 0
    using server = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      fetch: async () => {
        asked += 1
        if (asked === 1) {
          setTimeout(resolve, 300)
          await promise
        }
        return new Response('x')
      },
    })
    const target = { url: `http://127.0.0.1:${server.port}/`, method: 'GET', headers: {} } as const
    const result = await putConstantRate(target, { seconds: 0.2, connections: 1, requestsPerSecond: 100, isPinned: false })
    expect(result.requests).toBe(20)
    // The last was due after 190 ms and answered after 300: all of them waited, though only one was slow.
    expect(result.distribution.at(0)).toBeGreaterThan(100)
  })
})
