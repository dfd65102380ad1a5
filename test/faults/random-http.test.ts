import { afterAll, expect, test } from 'bun:test'
import { MetricRegistry } from '../../src/telemetry/metrics/registry.ts'
import { sendRaw } from '../support/raw-socket.ts'
import { below, type Random, seeded } from '../support/seed.ts'
import { bundledEngine, createServer } from '../support/server.ts'
import { bearer } from '../support/tokens.ts'

/** Requests that are drawn; by hand, with `VESTAL_TEST_LONG=1`, as many as docs/reference/evidence/reliability.md tells of. */
const COUNT = process.env.VESTAL_TEST_LONG === undefined ? 1500 : 100_000
const AT_ONCE = 32
/** What is no whole request is answered by nothing. */
const PATIENCE_MS = 300
/** 5xx that the document has: not supported here, not ready, too late; and what Bun says to another version of HTTP. */
const FINE = new Set([501, 503, 504, 505])

const engine = await bundledEngine()
const bugs: unknown[] = []
const registry = new MetricRegistry()
const app = createServer(engine, {
  report: (error) => bugs.push(error),
  operations: { registry },
  bodyBytesMax: 1_000_000,
})
app.listen({ port: 0, hostname: '127.0.0.1' })
const port = app.server?.port ?? 0
afterAll(async () => {
  await engine.stop()
  await app.stop(true)
})

const routes = app.routes.map(({ method, path }) => ({ method, path: path.replace(':name', 'iris').replace(':version', '1') }))
const pick = <T>(random: Random, list: readonly T[]): T => list[below(random, list.length)] as T

const BODIES = [
  '{"input":[[5.1,3.5,1.4,0.2]]}',
  '{"inputs":[{"name":"X","datatype":"FP32","shape":[1,4],"data":[1,2,3,4]}]}',
  '{"name":"ada","password":"x"}',
  '[[1,2,3,4]]\n[[5,6,7,8]]\n',
  '',
]
const VALUES = ['', '0', '-1', '1e9', 'x', '\u0000', '%00', '../..', 'a,b', '"', '{', 'chunked', 'gzip', 'close', '9'.repeat(400)]
const NAMES = [
  'Content-Length',
  'Transfer-Encoding',
  'Content-Encoding',
  'Content-Type',
  'Host',
  'Connection',
  'Expect',
  'Upgrade',
  'Inference-Header-Content-Length',
  'Vestal-Timeout-Ms',
  'X-Forwarded-For',
  'X-Request-Id',
  'Traceparent',
  'Tracestate',
  'Cookie',
  'Accept',
  'Range',
  'X-API-Key',
]
const MARKS = ['?', '#', '%', '%2e%2e/', '//', '\\', '*', ':name', '\u00e4', ';', '&a=1', '?a[]=1']

/** A request that is nearly right: a route of ours, with a few things about it that are not. */
function draw(random: Random): Uint8Array {
  const { method, path } = pick(random, routes)
  const body = pick(random, BODIES)
  const line = [random() < 0.9 ? method : pick(random, ['BREW', '', 'get', 'GET GET', 'OPTIONS', 'TRACE']), path, 'HTTP/1.1']
  if (random() < 0.3)
    line[1] = `${path.slice(0, below(random, path.length + 1))}${pick(random, MARKS)}${path.slice(below(random, path.length))}`
  if (random() < 0.1) line[2] = pick(random, ['HTTP/1.0', 'HTTP/2', 'HTTP/9.9', 'http/1.1', ''])
  const headers = ['Host: localhost', `Content-Length: ${Buffer.byteLength(body)}`]
  if (random() < 0.7) headers.push(`Authorization: ${bearer('*').authorization}`)
  for (let more = below(random, 5); more > 0; more -= 1) {
    const header = `${pick(random, NAMES)}${pick(random, [':', ': ', ' : ', ''])}${pick(random, VALUES)}`
    headers.splice(below(random, headers.length + 1), random() < 0.3 ? 1 : 0, header)
  }
  const end = pick(random, ['\r\n', '\r\n', '\r\n', '\n'])
  const bytes = Buffer.from(`${line.join(' ')}${end}${headers.join(end)}${end}${end}${body}`)
  // Now and then a byte is another, or the end is missing.
  for (let flips = random() < 0.3 ? below(random, 6) : 0; flips > 0; flips -= 1)
    bytes[below(random, bytes.length)] = below(random, 256)
  return random() < 0.1 ? bytes.subarray(0, below(random, bytes.length)) : bytes
}

/** What the message of a test may show: a token is a secret. */
function shown(request: Uint8Array): string {
  return Buffer.from(request)
    .toString('latin1')
    .replace(/eyJ[\w.-]+/g, '[token]')
}

test(`${COUNT} requests that are nearly right meet no bug, no undocumented 5xx, and delay no one`, async () => {
  const random = seeded('random http')
  const seen = new Map<number, number>()
  let sent = 0
  const lane = async () => {
    while (sent < COUNT) {
      sent += 1
      const request = draw(random)
      const status = await sendRaw(port, { pieces: [request], patienceMs: PATIENCE_MS })
      seen.set(status, (seen.get(status) ?? 0) + 1)
      const isRight = status < 500 || FINE.has(status)
      if (!isRight) expect([random.seed, status, shown(request)]).toEqual([])
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, lane))
  expect([random.seed, bugs]).toEqual([random.seed, []])
  // The other way round: many were understood, many refused.
  for (const status of [200, 400, 401, 404])
    expect([random.seed, status, (seen.get(status) ?? 0) > 0]).toEqual([random.seed, status, true])
  const good = await fetch(`http://127.0.0.1:${port}/models/iris/predict/`, {
    method: 'POST',
    headers: bearer('*'),
    body: BODIES[0],
  })
  expect(good.status).toBe(200)
  console.log(
    `${sent} requests drawn: ${[...seen]
      .sort(([a], [b]) => a - b)
      .map(([status, count]) => `${status} ${count}`)
      .join(', ')}`,
  )
}, 3_600_000)
