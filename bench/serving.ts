import { signJwt } from '../src/jwt/sign.ts'
import { type Asked, atLeast } from './harness/asked.ts'
import { CORES, onCore } from './harness/cores.ts'
import { describeMachine, warnWhereBusy } from './harness/machine.ts'
import { figureOf } from './harness/measure.ts'
import { report, reportAsked } from './harness/report.ts'
import { GENERATOR, type LoadResult, putLoad } from './load/load.ts'
import { SECRET } from './servers/plan.ts'
import { QUICK_SERVING, SERVING_SERVERS, type ServingServer } from './serving-servers/contestants.ts'
import { BODY, isSeven } from './serving-servers/digits.ts'

export interface ServingRounds {
  readonly rounds: number
  readonly seconds: number
  /** Leaves out what has to be installed or built. */
  readonly isQuick: boolean
}

const CONNECTIONS = 64
const START_MS_MAX = 60_000
const PATH = '/v2/models/digits/infer'
const HEADERS = {
  'content-type': 'application/json',
  authorization: `Bearer ${signJwt({ sub: 'bench', data: { permissions: ['model:digits:predict'] } }, SECRET, { lifetimeSeconds: 3600 })}`,
}

/** `bun run bench serving`: one row of `digits` as JSON, ours protected and the others not, in turns. */
export async function benchServing({ isQuick, ...rounds }: ServingRounds): Promise<void> {
  warnWhereBusy()
  const occasion = {
    machine: `${describeMachine()}; load by ${GENERATOR} on the same machine, ${CORES}, ${CONNECTIONS} connections`,
    isKept: !isQuick,
  }
  const servers: Running[] = []
  try {
    for (const server of isQuick ? QUICK_SERVING : SERVING_SERVERS) {
      const running = await start(server)
      if (running !== undefined) servers.push(running)
    }
    const results = await measure(servers, rounds)
    const perSecond = (server: ServingServer) => figureOf((results.get(server) ?? []).map((result) => result.requestsPerSecond))
    report(
      [
        {
          id: 'serving-digits',
          title: 'One row of digits under load',
          text: `\`POST ${PATH}\` with 64 numbers as JSON, ${rounds.rounds} rounds of ${rounds.seconds} s in turns.`,
          unit: 'requests a second',
          isLessBetter: false,
          base: 'vestal',
          rows: servers.map(({ server }) => {
            const list = results.get(server) ?? []
            const ms = (key: 'p50Ms' | 'p99Ms') => figureOf(list.map((result) => result[key])).median.toFixed(2)
            return {
              name: server.name,
              note: `p50 ${ms('p50Ms')} ms, p99 ${ms('p99Ms')} ms; ${server.note}`,
              figure: perSecond(server),
            }
          }),
        },
      ],
      occasion,
    )
    const best = (kind: ServingServer['kind']) =>
      servers
        .filter(({ server }) => server.kind === kind)
        .reduce((most, { server }) => Math.max(most, perSecond(server).median), Number.NEGATIVE_INFINITY)
    if (!isQuick) reportAsked({ id: 'serving-asked', title: 'What the bench serving is asked to show' }, askedOf(best), occasion)
  } finally {
    for (const { child } of servers) await stop(child)
  }
}

function askedOf(best: (kind: ServingServer['kind']) => number): Asked[] {
  const ours = best('ours')
  return [
    atLeast('digits, one row, JSON, protected', 0.75, { ratio: ours / best('bare'), of: 'a bare Bun.serve without the model' }),
    atLeast('digits, one row, JSON, protected', 1.5, { ratio: ours / best('rust'), of: 'axum + ort, unprotected' }),
    atLeast('digits, one row, JSON, protected', 10, { ratio: ours / best('python'), of: 'the best of Python’s, unprotected' }),
  ]
}

interface Running {
  readonly server: ServingServer
  readonly child: Bun.Subprocess
  readonly url: string
}

/** Starts a server, and gives it once it has read a seven. */
async function start(server: ServingServer): Promise<Running | undefined> {
  const port = freePort()
  const plan = await server.start(port)
  if (plan === undefined) return undefined
  const child = Bun.spawn(onCore(0, plan.command), {
    env: { ...process.env, ...plan.env },
    ...(plan.cwd !== undefined && { cwd: plan.cwd }),
    stdout: 'ignore',
    stderr: 'ignore',
    // A group of its own: some servers leave their workers behind.
    detached: true,
  })
  const url = `http://127.0.0.1:${port}${PATH}`
  const deadline = Date.now() + START_MS_MAX
  while (Date.now() < deadline && child.exitCode === null) {
    try {
      const response = await fetch(url, { method: 'POST', headers: HEADERS, body: BODY })
      if (isSeven(await response.json())) return { server, child, url }
    } catch {
      // It does not listen yet.
    }
    await Bun.sleep(200)
  }
  console.warn(`${server.name} does not answer here, and is left out`)
  await stop(child)
  return undefined
}

/** Ends a server, and then whatever of its group is left. */
async function stop(child: Bun.Subprocess): Promise<void> {
  child.kill('SIGTERM')
  await Promise.race([child.exited, Bun.sleep(5000)])
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    // Nothing of it is left.
  }
}

function freePort(): number {
  const server = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response() })
  const { port = 0 } = server
  server.stop(true)
  return port
}

async function measure(
  servers: readonly Running[],
  { rounds, seconds }: Omit<ServingRounds, 'isQuick'>,
): Promise<ReadonlyMap<ServingServer, LoadResult[]>> {
  const results = new Map<ServingServer, LoadResult[]>(servers.map(({ server }) => [server, []]))
  for (const { url } of servers) await putLoad(target(url), { seconds: Math.min(1, seconds), connections: CONNECTIONS })
  for (let round = 0; round < rounds; round += 1) {
    for (const { server, url } of round % 2 === 0 ? servers : [...servers].reverse()) {
      const result = await putLoad(target(url), { seconds, connections: CONNECTIONS })
      // A busy machine lets a slow server miss the load's own deadline now and then; more than that is a broken contestant.
      if (result.failures > result.requests / 100)
        throw new Error(`${server.name} failed ${result.failures} of ${result.requests} requests`)
      results.get(server)?.push(result)
    }
  }
  return results
}

function target(url: string) {
  return { url, method: 'POST', headers: HEADERS, body: BODY } as const
}
