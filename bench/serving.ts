import { availableParallelism } from 'node:os'
import { signJwt } from '../src/jose/sign.ts'
import { type Asked, atLeast } from './harness/asked.ts'
import { ALL_CORES, CORES, onCore } from './harness/cores.ts'
import { describeMachine, warnWhereBusy } from './harness/machine.ts'
import { figureOf } from './harness/measure.ts'
import { type Occasion, report, reportAsked } from './harness/report.ts'
import { GENERATOR, type LoadResult, putLoad } from './load/load.ts'
import { SECRET } from './servers/plan.ts'
import { familyCpuSeconds, freePort, stopGroup } from './servers/start.ts'
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

interface Deployment {
  readonly id: string
  readonly title: string
  readonly text: string
  /** Cores that a server may use, for those that must be told. */
  readonly workers: number
  /** Whether server and load are kept apart, on a core each. */
  readonly isPinned: boolean
  readonly cores: string
}

const ON_ALL: Deployment = {
  id: 'serving-digits-all',
  title: 'One row of digits under load, as deployed',
  text: 'Every server as it runs by default, with a worker for each core if its documentation recommends that.',
  workers: availableParallelism(),
  isPinned: false,
  cores: ALL_CORES,
}
const ON_ONE: Deployment = {
  id: 'serving-digits',
  title: 'One row of digits under load, on one core',
  text: 'Every server with all its threads on one core, and the load generator on the other.',
  workers: 1,
  isPinned: true,
  cores: CORES,
}

/** `bun run bench serving`: one row of `digits` as JSON, ours protected and the others not, in turns. */
export async function benchServing({ isQuick, ...rounds }: ServingRounds): Promise<void> {
  warnWhereBusy()
  const occasion = (cores: string) => ({
    machine: `${describeMachine()}; load by ${GENERATOR} on the same machine, ${cores}, ${CONNECTIONS} connections`,
    isKept: !isQuick,
  })
  if (isQuick) {
    await benchDeployment(ON_ALL, { servers: QUICK_SERVING, rounds, occasion: occasion(ON_ALL.cores) })
    return
  }
  const asked: Asked[] = []
  const best = new Map<Deployment, Best>()
  for (const deployment of [ON_ALL, ON_ONE]) {
    const parts = { servers: SERVING_SERVERS, rounds, occasion: occasion(deployment.cores) }
    best.set(deployment, await benchDeployment(deployment, parts))
  }
  const [all, one] = [best.get(ON_ALL), best.get(ON_ONE)]
  if (all !== undefined && one !== undefined) asked.push(...askedOf(all, one))
  reportAsked({ id: 'serving-asked', title: 'Targets of the serving bench' }, asked, occasion('both ways'))
}

interface Served extends LoadResult {
  /** Processor time of the server and all that it started for a request: what a busy machine changes least. */
  readonly cpuMicros: number
}

type FigureKey = 'requestsPerSecond' | 'p50Ms' | 'p99Ms' | 'cpuMicros'

/** The one of a kind that answers most requests a second; what it has of a figure, which is not a number where there is none. */
type Best = (kind: ServingServer['kind'], key: FigureKey) => number

interface Measured {
  readonly kind: ServingServer['kind']
  readonly median: (key: FigureKey) => number
}

function bestOf(servers: readonly Measured[]): Best {
  const rate = ({ median }: Measured) => median('requestsPerSecond')
  return (wanted, key) => {
    const [best] = servers.filter(({ kind }) => kind === wanted).sort((a, b) => rate(b) - rate(a))
    return best?.median(key) ?? Number.NaN
  }
}

interface Parts {
  readonly servers: readonly ServingServer[]
  readonly rounds: Omit<ServingRounds, 'isQuick'>
  readonly occasion: Occasion
}

async function benchDeployment(deployment: Deployment, { servers: wanted, rounds, occasion }: Parts): Promise<Best> {
  const servers: Running[] = []
  try {
    for (const server of wanted) {
      const running = await start(server, deployment)
      if (running !== undefined) servers.push(running)
    }
    const results = await measure(servers, { ...rounds, isPinned: deployment.isPinned })
    const medianOf = (server: ServingServer, key: FigureKey) => figureOf((results.get(server) ?? []).map((each) => each[key]))
    const { id, title } = deployment
    const rows = servers.map(({ server }) => {
      const at = (key: FigureKey) => medianOf(server, key).median.toFixed(2)
      const times = `p50 ${at('p50Ms')} ms, p99 ${at('p99Ms')} ms, ${at('cpuMicros')} µs of processor time`
      return {
        name: server.name,
        note: `${times}; ${server.note(deployment.workers)}`,
        figure: medianOf(server, 'requestsPerSecond'),
      }
    })
    const text = `\`POST ${PATH}\` with 64 numbers as JSON, ${rounds.rounds} interleaved rounds of ${rounds.seconds} s. ${deployment.text}`
    report([{ id, title, text, unit: 'requests a second', isLessBetter: false, base: 'vestal', rows }], occasion)
    return bestOf(servers.map(({ server }) => ({ kind: server.kind, median: (key) => medianOf(server, key).median })))
  } finally {
    for (const { child } of servers) await stopGroup(child)
  }
}

/** Ours as it is deployed, and beside it on one core with everything. */
function askedOf(all: Best, one: Best): Asked[] {
  const what = 'digits, one row, JSON, protected'
  const onOne = `${what}, all on one core`
  const against = (ours: Best, theirs: Best, kind: ServingServer['kind']) => ({
    ratio: ours('ours', 'requestsPerSecond') / theirs(kind, 'requestsPerSecond'),
    byProcessor: theirs(kind, 'cpuMicros') / ours('ours', 'cpuMicros'),
  })
  return [
    atLeast(what, 0.75, { ...against(all, all, 'bare'), of: 'a bare Bun.serve without the model' }),
    atLeast(what, 1.5, { ...against(all, one, 'rust'), of: 'axum + ort on one core, unprotected' }),
    atLeast(what, 10, { ...against(all, all, 'python'), of: 'the best of Python’s as deployed, unprotected' }),
    atLeast(onOne, 0.75, { ...against(one, one, 'bare'), of: 'a bare Bun.serve without the model' }),
    atLeast(onOne, 1.5, { ...against(one, one, 'rust'), of: 'axum + ort on one core, unprotected' }),
    atLeast(onOne, 10, { ...against(one, one, 'python'), of: 'the best of Python’s, unprotected' }),
  ]
}

interface Running {
  readonly server: ServingServer
  readonly child: Bun.Subprocess
  readonly url: string
}

/** Starts a server, and gives it once it has read a seven. */
async function start(server: ServingServer, { workers, isPinned }: Deployment): Promise<Running | undefined> {
  const port = freePort()
  const plan = await server.start(port, workers)
  if (plan === undefined) return undefined
  const child = Bun.spawn(isPinned ? onCore(0, plan.command) : [...plan.command], {
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
  await stopGroup(child)
  return undefined
}

async function measure(
  servers: readonly Running[],
  { rounds, seconds, isPinned }: Omit<ServingRounds, 'isQuick'> & { readonly isPinned: boolean },
): Promise<ReadonlyMap<ServingServer, Served[]>> {
  const results = new Map<ServingServer, Served[]>(servers.map(({ server }) => [server, []]))
  for (const { url } of servers) await putLoad(target(url), { seconds: Math.min(1, seconds), connections: CONNECTIONS, isPinned })
  for (let round = 0; round < rounds; round += 1) {
    for (const { server, url, child } of round % 2 === 0 ? servers : [...servers].reverse()) {
      const cpuBefore = familyCpuSeconds(child.pid)
      const result = await putLoad(target(url), { seconds, connections: CONNECTIONS, isPinned })
      const cpuMicros = ((familyCpuSeconds(child.pid) - cpuBefore) * 1e6) / result.requests
      // A busy machine lets a slow server miss the load's own deadline now and then; more than that is a broken contestant.
      if (result.failures > result.requests / 100)
        throw new Error(`${server.name} failed ${result.failures} of ${result.requests} requests`)
      results.get(server)?.push({ ...result, cpuMicros })
    }
  }
  return results
}

function target(url: string) {
  return { url, method: 'POST', headers: HEADERS, body: BODY } as const
}
