import { join } from 'node:path'
import { signJwt } from '../src/jose/sign.ts'
import { CORES } from './harness/cores.ts'
import { describeMachine, warnWhereBusy } from './harness/machine.ts'
import { figureOf } from './harness/measure.ts'
import { report, type Section } from './harness/report.ts'
import { GENERATOR, type LoadResult, putLoad, type Target } from './load/load.ts'
import { PERMISSION, PREDICT, SECRET } from './servers/plan.ts'
import { type StartedServer, startServer } from './servers/start.ts'

export interface HttpRounds {
  readonly rounds: number
  readonly seconds: number
}

const CONNECTIONS = 32
const SERVERS = { vestal: 'Elysia, strict checks', 'bare Bun.serve': 'by hand: node-rs, no checks of the input' } as const
type ServerName = keyof typeof SERVERS
const FILES: Readonly<Record<ServerName, string>> = { vestal: 'vestal.ts', 'bare Bun.serve': 'bare.ts' }

const authorization = `Bearer ${signJwt({ sub: 'bench', data: { permissions: [PERMISSION, PREDICT] } }, SECRET, { lifetimeSeconds: 3600 })}`
const SCENARIOS: readonly {
  readonly id: string
  readonly title: string
  readonly path: string
  readonly target: Omit<Target, 'url'>
}[] = [
  { id: 'http-public', title: 'A public route under load', path: '/public/info/', target: { method: 'GET', headers: {} } },
  {
    id: 'http-protected',
    title: 'A protected route under load',
    path: '/private/info/',
    target: { method: 'GET', headers: { authorization } },
  },
  {
    id: 'http-refused',
    title: 'A protected route without a token',
    path: '/private/info/',
    target: { method: 'GET', headers: {} },
  },
  {
    id: 'http-predict',
    title: 'A prediction under load',
    path: '/models/iris/predict/',
    target: { method: 'POST', headers: { authorization }, body: '{"input":[[5.1,3.5,1.4,0.2]]}' },
  },
]

/** `bun run bench http`: requests a second, ours and a bare server's, in turns. */
export async function benchHttp({ rounds, seconds }: HttpRounds, isKept: boolean): Promise<void> {
  warnWhereBusy()
  const machine = `${describeMachine()}; load by ${GENERATOR} on the same machine, ${CORES}, ${CONNECTIONS} connections`
  const servers = await Promise.all(
    (Object.keys(SERVERS) as ServerName[]).map((name) =>
      startServer(name, [process.execPath, join(import.meta.dir, 'servers', FILES[name])]),
    ),
  )
  try {
    const sections: Section[] = []
    for (const scenario of SCENARIOS) sections.push(await measure(scenario, servers, { rounds, seconds }))
    report(sections, { machine, isKept })
  } finally {
    for (const server of servers) await server.stop()
  }
}

async function measure(
  { id, title, path, target }: (typeof SCENARIOS)[number],
  servers: readonly StartedServer[],
  { rounds, seconds }: HttpRounds,
): Promise<Section> {
  const results = new Map<string, LoadResult[]>(servers.map(({ name }) => [name, []]))
  for (let round = 0; round < rounds; round += 1) {
    for (const { name, base } of round % 2 === 0 ? servers : [...servers].reverse()) {
      const result = await putLoad({ url: base + path, ...target }, { seconds, connections: CONNECTIONS })
      const isRefusal = id === 'http-refused'
      if (!isRefusal && result.failures > 0) throw new Error(`${name} failed ${result.failures} requests of ${path}`)
      results.get(name)?.push(result)
    }
  }
  const medianOf = (list: readonly LoadResult[], key: 'p50Ms' | 'p99Ms') =>
    figureOf(list.map((result) => result[key])).median.toFixed(2)
  return {
    id,
    title,
    text: `\`${target.method} ${path}\`, ${rounds} interleaved rounds of ${seconds} s.`,
    unit: 'requests a second',
    isLessBetter: false,
    base: 'vestal',
    rows: [...results].map(([name, list]) => ({
      name,
      note: `p50 ${medianOf(list, 'p50Ms')} ms, p99 ${medianOf(list, 'p99Ms')} ms; ${SERVERS[name as ServerName]}`,
      figure: figureOf(list.map(({ requestsPerSecond }) => requestsPerSecond)),
    })),
  }
}
