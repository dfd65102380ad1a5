import { expect, test } from 'bun:test'
import { createInFlightRequests } from '../../../src/http/request-record.ts'
import { until } from '../../support/until.ts'

const inFlight = (path: string) => ({ request: new Request(`http://localhost${path}`), index: -1, isLong: false })

function connections() {
  const calls: (readonly [url: string, seconds: number])[] = []
  return { calls, timeout: ({ url }: Request, seconds: number) => void calls.push([new URL(url).pathname, seconds]) }
}

test('a request that takes long is not cut off, and its connection may be idle as long as any other afterwards', async () => {
  const server = connections()
  const { begin, end } = createInFlightRequests({ server: () => server, idleSeconds: 30, everyMs: 1 })
  const request = inFlight('/long')
  begin(request)
  await until(() => server.calls.length > 0)
  expect(server.calls).toEqual([['/long', 0]])
  end(request)
  expect(server.calls).toEqual([
    ['/long', 0],
    ['/long', 30],
  ])
})

test('a request that is answered before the first look costs its connection nothing', async () => {
  const server = connections()
  const { begin, end } = createInFlightRequests({ server: () => server, idleSeconds: 30, everyMs: 1 })
  const short = inFlight('/short')
  begin(short)
  end(short)
  const long = inFlight('/long')
  begin(long)
  await until(() => server.calls.length > 0)
  end(long)
  expect(server.calls.map(([path]) => path)).not.toContain('/short')
})

test('in memory there is no connection', async () => {
  let asked = 0
  const server = () => {
    asked += 1
    return null
  }
  const { begin, end } = createInFlightRequests({ server, idleSeconds: 30, everyMs: 1 })
  const request = inFlight('/')
  begin(request)
  await until(() => asked > 0)
  end(request)
})
