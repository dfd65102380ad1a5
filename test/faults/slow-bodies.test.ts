import { afterAll, describe, expect, test } from 'bun:test'
import type { AppOptions } from '../../src/index.ts'
import { exchangeRaw } from '../support/raw-socket.ts'
import { bundledEngine, createServer } from '../support/server.ts'
import { bearer } from '../support/tokens.ts'

type Times = NonNullable<AppOptions['bodyTimes']>

const BODY = '{"input":{"X":[[5.1,3.5,1.4,0.2]]}}'
const { authorization } = bearer('*')
/** Longer than any test takes. */
const NEVER_MS = 600_000
const engine = await bundledEngine()
afterAll(() => engine.stop())

/** A server that waits so long for a body, on a socket. */
class Patient implements AsyncDisposable {
  readonly #app
  readonly port: number

  constructor(bodyTimes: Times) {
    this.#app = createServer(engine, { bodyTimes })
    this.#app.listen({ port: 0, hostname: '127.0.0.1' })
    this.port = this.#app.server?.port ?? 0
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#app.stop(true)
  }
}

const head = (path: string, framing: string) =>
  `POST ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: ${authorization}\r\n${framing}\r\n\r\n`
const declared = `Content-Length: ${BODY.length}`
const chunked = 'Transfer-Encoding: chunked'
const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`

const LIMITS: readonly (readonly [what: string, times: Times])[] = [
  ['the time of a whole body', { wholeMs: 100, graceMs: NEVER_MS, bytesPerSecondMin: 1 }],
  ['the pace of a body', { wholeMs: NEVER_MS, graceMs: 100, bytesPerSecondMin: 1_000_000_000 }],
]

for (const [what, times] of LIMITS) {
  describe(`${what} is limited`, () => {
    for (const path of [
      '/models/iris/predict/',
      '/v2/models/iris/infer',
      '/v2/repository/index',
      '/v2/repository/models/iris/load',
    ]) {
      test(`so ${path} rejects one that stays away with 408, and closes the connection`, async () => {
        await using server = new Patient(times)
        const half = BODY.slice(0, 10)
        for (const pieces of [
          [head(path, declared)],
          [head(path, declared), half],
          [head(path, chunked)],
          [head(path, chunked), chunk(half)],
          [head(path, chunked), '20\r\n', half],
        ]) {
          const answer = await exchangeRaw(server.port, pieces)
          expect([pieces.length, answer.slice(0, 12)]).toEqual([pieces.length, 'HTTP/1.1 408'])
          expect(answer).toContain('The body did not arrive in time')
          expect(answer.match(/HTTP\/1\.1/g)).toHaveLength(1)
        }
      })
    }

    test('and what comes after it on the connection is not taken for a request', async () => {
      await using server = new Patient(times)
      const smuggled = 'GET /public/info/ HTTP/1.1\r\nHost: localhost\r\n\r\n'
      const answer = await exchangeRaw(server.port, [head('/models/iris/predict/', 'Content-Length: 10000'), smuggled])
      expect(answer.slice(0, 12)).toBe('HTTP/1.1 408')
      expect(answer.match(/HTTP\/1\.1/g)).toHaveLength(1)
    })
  })
}

test('a body earns time by its length, and one in pieces is read', async () => {
  await using server = new Patient({ wholeMs: NEVER_MS, graceMs: 10_000, bytesPerSecondMin: 1 })
  const closing = `${declared}\r\nConnection: close`
  for (const pieces of [
    [head('/models/iris/predict/', closing), BODY.slice(0, 10), BODY.slice(10)],
    [
      head('/models/iris/predict/', `${chunked}\r\nConnection: close`),
      chunk(BODY.slice(0, 10)),
      chunk(BODY.slice(10)),
      '0\r\n\r\n',
    ],
  ]) {
    const answer = await exchangeRaw(server.port, pieces)
    expect(answer.slice(0, 12)).toBe('HTTP/1.1 200')
    expect(answer).toContain('setosa')
  }
})

test('good clients are answered while a hundred bodies stay away', async () => {
  await using server = new Patient({ wholeMs: 2000, graceMs: 2000, bytesPerSecondMin: 1 })
  const silent = Array.from({ length: 100 }, () => exchangeRaw(server.port, [head('/models/iris/predict/', declared)]))
  const init = { method: 'POST', headers: { authorization }, body: BODY }
  expect((await fetch(`http://127.0.0.1:${server.port}/models/iris/predict/`, init)).status).toBe(200)
  for (const answer of await Promise.all(silent)) expect(answer.slice(0, 12)).toBe('HTTP/1.1 408')
})
