import { afterAll, describe, expect, test } from 'bun:test'
import { networkInterfaces } from 'node:os'
import { jsonLine } from '../../src/telemetry/log/json-line.ts'
import { createLogger } from '../../src/telemetry/log/logger.ts'
import { startAccounts } from '../support/accounts.ts'
import { answerOf, DOORS, failure } from '../support/doors.ts'
import { bundledEngine, createServer } from '../support/server.ts'
import { STORES } from '../support/stores.ts'

const ID = '497f6eca-6276-4993-bfeb-53cbbbba6f08'
const engine = await bundledEngine()
afterAll(() => engine.stop())

/** What shows that a request did not begin on this machine, and what the log says of it. */
const ELSEWHERE: readonly (readonly [header: string, value: string, reason: string])[] = [
  ...[
    'X-Forwarded-For',
    'X-Forwarded-Host',
    'X-Forwarded-Proto',
    'X-Forwarded-Anything',
    'X-Forwarded',
    'Forwarded-For',
    'Forwarded',
    'Via',
    'Max-Forwards',
    'X-Real-IP',
    'X-Client-IP',
    'Client-IP',
    'X-Cluster-Client-IP',
    'True-Client-IP',
    'X-Original-URL',
    'CF-Connecting-IP',
    'CF-Ray',
    'CDN-Loop',
    'Fastly-Client-IP',
    'X-Amzn-Trace-Id',
    'X-Envoy-External-Address',
    'X-Azure-ClientIP',
    'X-Vercel-Id',
    'Tailscale-User-Login',
  ].map((name) => [name, '127.0.0.1', `the header ${name.toLowerCase()} shows a proxy`] as const),
  ...['cross-site', 'same-site', 'Cross-Site', 'unheard-of'].map(
    (site) => ['Sec-Fetch-Site', site, 'Sec-Fetch-Site shows a page of another site'] as const,
  ),
  ...['https://evil.example', 'http://localhost:1', 'http://localhost.evil.example', 'null', 'file://', 'nonsense'].map(
    (origin) => ['Origin', origin, 'Origin names a page of another site'] as const,
  ),
]

const post = (headers: Record<string, string>): RequestInit => ({ method: 'POST', headers, body: JSON.stringify({ id: ID }) })

for (const open of DOORS) {
  const lines: string[] = []
  const logger = createLogger({ level: 'info', format: jsonLine, write: (line) => void lines.push(line) })
  const app = createServer(engine, { operations: { logger } })
  const door = open(app)
  afterAll(door.close)

  describe(`the sign-in of development mode, ${door.name}`, () => {
    for (const [header, value, reason] of ELSEWHERE) {
      test(`answers 404 to ${header}: ${value}, and the log says why`, async () => {
        lines.length = 0
        expect(await answerOf(door.fetch('/auth/', post({ [header]: value })))).toEqual(failure(404, 'Not Found'))
        expect(lines.map((line) => JSON.parse(line))).toEqual([
          expect.objectContaining({
            status: 404,
            route: '/auth/',
            reason: `the sign-in of development mode is for this machine only: ${reason}`,
          }),
        ])
      })
    }

    test('answers 200 to the server’s own page, to a user who typed the address and to programs', async () => {
      const own = door.base
      for (const headers of [
        {},
        { 'sec-fetch-site': 'same-origin', origin: own },
        { 'sec-fetch-site': 'none' },
        { origin: own },
        {
          'user-agent': 'curl/8.5.0',
          'x-request-id': 'mine',
          traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
        },
      ])
        expect([headers, (await door.fetch('/auth/', post(headers))).status]).toEqual([headers, 200])
    })
  })
}

const [sqlite] = STORES
test('the sign-in of development mode is for this machine only where there are accounts to come, too', async () => {
  if (sqlite === undefined) throw new Error('SQLite is always there')
  const demonstration = { issue: () => 'demonstration', isLoopbackHost: (host: string) => host === 'localhost' }
  await using place = await startAccounts(sqlite, { demonstration })
  const ask = async (headers: Record<string, string>) =>
    (await place.server.ask('POST', '/auth/', { body: { id: ID }, headers })).status
  for (const [header, value] of ELSEWHERE) expect([header, value, await ask({ [header]: value })]).toEqual([header, value, 404])
  expect(await ask({})).toBe(200)
})

const address = Object.values(networkInterfaces())
  .flatMap((each) => each ?? [])
  .find(({ family, internal }) => family === 'IPv4' && !internal)?.address
test.skipIf(address === undefined)(
  'the sign-in of development mode answers 404 to a connection from elsewhere, whatever its Host',
  async () => {
    const app = createServer(engine)
    app.listen({ port: 0, hostname: '0.0.0.0' })
    const port = app.server?.port
    const statusAt = async (host: string) => (await fetch(`http://${host}:${port}/auth/`, post({ host: 'localhost' }))).status
    expect([await statusAt(address ?? ''), await statusAt('127.0.0.1')]).toEqual([404, 200])
    await app.stop(true)
  },
)
