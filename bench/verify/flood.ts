import { readFileSync } from 'node:fs'
import { signJwt } from '../../src/jose/sign.ts'
import { type Asked, atMost } from '../harness/asked.ts'
import { type Occasion, reportTable } from '../harness/report.ts'
import { type LoadResult, putLoad, type Target } from '../load/load.ts'
import { PERMISSION, SECRET } from '../servers/plan.ts'
import { type StartedServer, startServer } from '../servers/start.ts'
import { APP } from '../token-servers/contestants.ts'

export interface FloodSize {
  readonly requests: number
  /** One measurement takes this long. */
  readonly seconds: number
}

const CONNECTIONS = 63
const token = signJwt({ sub: 'bench', data: { permissions: [PERMISSION] } }, SECRET, { lifetimeSeconds: 3600 })
/** The token with eight characters of its signature to be numbered: another one each time, and never a right one. */
const pattern = `${token.slice(0, -20)}#${token.slice(-12)}`

/** Invalid tokens, another each time, and one who comes with a good one meanwhile. */
export async function flood(size: FloodSize, occasion: Occasion): Promise<Asked[]> {
  const server = await startServer(APP.name, (await APP.command?.()) ?? [])
  try {
    const good: Target = { url: `${server.base}/private/info/`, method: 'GET', headers: { authorization: `Bearer ${token}` } }
    const probe = (seconds: number) => putLoad(good, { seconds, connections: 1 })
    await putLoad(good, { seconds: size.seconds, connections: CONNECTIONS })
    const memoryAtFirst = residentMegabytes(server)
    const alone = await probe(size.seconds)
    const [among] = await Promise.all([probe(size.seconds), putLoad(good, { seconds: size.seconds, connections: CONNECTIONS })])
    const before = residentMegabytes(server)
    const { sent, probes } = await pour(good, probe, size)
    const after = residentMegabytes(server)
    const during = middleOf(probes.map(({ p99Ms }) => p99Ms))
    const rows = [
      ['resident memory, warm', `${memoryAtFirst.toFixed(1)} MB`],
      ['resident memory before the flood', `${before.toFixed(1)} MB`],
      ['resident memory after it', `${after.toFixed(1)} MB`],
      ['p99 of a valid token, no other load', `${alone.p99Ms.toFixed(2)} ms`],
      [`p99 of a valid token among ${CONNECTIONS} connections with valid tokens`, `${among.p99Ms.toFixed(2)} ms`],
      [`p99 of a valid token among ${CONNECTIONS} connections with invalid tokens`, `${during.toFixed(2)} ms`],
      ['invalid tokens', `${sent}, all rejected`],
    ]
    const text = 'The whole server receives invalid tokens, each different, while one connection sends a valid one.'
    reportTable({ id: 'verify-flood', title: 'A flood of invalid tokens', text, head: ['', ''], rows }, occasion)
    const what = `${sent} distinct invalid tokens`
    return [
      atMost(`${what}: memory`, 20, { value: after - before, unit: 'MB more' }),
      atMost(`${what}: a good token's p99`, 3, { value: during / among.p99Ms, unit: '× that in the same load of good ones' }),
    ]
  } finally {
    await server.stop()
  }
}

async function pour(good: Target, probe: (seconds: number) => Promise<LoadResult>, { requests, seconds }: FloodSize) {
  const probes: LoadResult[] = []
  let sent = 0
  while (sent < requests) {
    const target: Target = { ...good, headers: {}, tokens: { kind: 'counted', pattern, first: sent } }
    const [bad, one] = await Promise.all([putLoad(target, { seconds, connections: CONNECTIONS }), probe(seconds)])
    if (bad.requests === 0 || bad.failures !== bad.requests)
      throw new Error(`${bad.requests - bad.failures} invalid tokens were accepted`)
    if (one.failures > 0) throw new Error('a good token was refused')
    probes.push(one)
    // Some were sent and not answered when the time was up.
    sent += bad.requests + CONNECTIONS
  }
  return { sent, probes }
}

function middleOf(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

/** What the server's process holds in memory, where the system tells it as Linux does. */
function residentMegabytes({ pid }: StartedServer): number {
  try {
    const pages = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    return Number(pages) / 1024
  } catch {
    // Another system: the figure is told as not measured.
    return Number.NaN
  }
}
