import { availableParallelism } from 'node:os'
import { ALL_CORES, CORES, onCore } from './harness/cores.ts'
import { describeMachine, warnWhereBusy } from './harness/machine.ts'
import { type Figure, figureOf, ratioByRound } from './harness/measure.ts'
import { type Occasion, report, reportDistribution, reportTargets } from './harness/report.ts'
import { GENERATOR, type Load, type LoadResult, putConstantRate, putLoad, SHARES } from './load/load.ts'
import { bearer, startAsUser, type UserPlace, userPlace } from './servers/as-users.ts'
import { familyCpuSeconds, freePort, stopGroup } from './servers/start.ts'
import { FAST_SERVING, QUICK_SERVING, SERVING_SERVERS, type ServingServer } from './serving-servers/contestants.ts'
import { BODY, isSeven } from './serving-servers/digits.ts'
import type { TargetId } from './targets/list.ts'

/** Which peers take part: all, those that start and install in a minute, or none but a bare server. */
export const PEERS = { all: SERVING_SERVERS, fast: FAST_SERVING, none: QUICK_SERVING } as const

export interface ServingSizes {
  readonly rounds: number
  readonly seconds: number
  readonly peers: keyof typeof PEERS
}

const CONNECTIONS = 64
const START_MS_MAX = 120_000
const PATH = '/v2/models/digits/infer'
/** Part of a server's own peak at which it is asked at a constant rate. */
const PART_OF_PEAK = 0.7
/** More than this the generator of constant rates does not send on time. */
const RATE_MAX = 20_000

interface Running {
  readonly server: ServingServer
  readonly pid: number
  readonly url: string
  readonly versions: string
  readonly stop: () => Promise<void>
}

interface Served extends LoadResult {
  /** Processor time of the server and all that it started for a request: what a busy machine changes least. */
  readonly cpuMicros: number
}

type FigureKey = 'requestsPerSecond' | 'p50Ms' | 'p99Ms' | 'p999Ms' | 'cpuMicros'
type Results = ReadonlyMap<Running, readonly Served[]>

/** One table: how the load is put, and which figure counts. */
interface Table {
  readonly id: string
  readonly title: string
  readonly text: string
  readonly unit: string
  readonly key: FigureKey
  readonly ask: (running: Running, seconds: number) => Promise<LoadResult>
}

/** `bun run bench serving`: one row of `digits` as JSON, ours protected and the others not, in turns; three loads, and all on one core. */
export async function benchServing(sizes: ServingSizes, isKept: boolean): Promise<void> {
  warnWhereBusy()
  using place = await userPlace()
  const occasion = (cores: string): Occasion => ({
    machine: `${describeMachine()}; load by ${GENERATOR} on the same machine, ${cores}`,
    isKept,
  })
  const all = await withServers(sizes, { place, isPinned: false }, async (servers, missing) => {
    const part = { sizes, missing, occasion: occasion(ALL_CORES) }
    const one = await benchTable(ONE_CALLER, servers, part)
    const many = await benchTable(MANY_CALLERS, servers, part)
    const constant = await benchTable(constantRate(many), servers, part)
    return { one, many, constant }
  })
  if (sizes.peers === 'none') return
  const pinned = await withServers(sizes, { place, isPinned: true }, (servers, missing) =>
    benchTable(ON_ONE_CORE, servers, { sizes, missing, occasion: occasion(CORES) }),
  )
  reportTargets(targetsOf({ ...all, pinned }), occasion(ALL_CORES))
}

const closed = (connections: number, isPinned: boolean) => (running: Running, seconds: number) =>
  putLoad(target(running), { seconds, connections, isPinned })

const ONE_CALLER: Table = {
  id: 'serving-one',
  title: 'One caller, one row of digits',
  text: 'The next request goes out when the answer is there.',
  unit: 'ms (p50)',
  key: 'p50Ms',
  ask: closed(1, false),
}
const MANY_CALLERS: Table = {
  id: 'serving-digits-all',
  title: 'One row of digits under load, as deployed',
  text: `${CONNECTIONS} callers, each of whom asks again when the answer is there.`,
  unit: 'requests a second',
  key: 'requestsPerSecond',
  ask: closed(CONNECTIONS, false),
}
const ON_ONE_CORE: Table = {
  ...MANY_CALLERS,
  id: 'serving-digits',
  title: 'One row of digits under load, on one core',
  text: `${CONNECTIONS} callers; every server with all its threads and processes on one core, and the load on the other.`,
  ask: closed(CONNECTIONS, true),
}

function constantRate(peaks: Results): Table {
  const rateOf = (running: Running) => Math.min(RATE_MAX, PART_OF_PEAK * median(peaks, running, 'requestsPerSecond'))
  return {
    id: 'serving-rate',
    title: 'One row of digits at a constant rate',
    text:
      `${CONNECTIONS} connections, ${PART_OF_PEAK * 100} % of the requests that a server answered in the table before, at most ${RATE_MAX} a second, sent whether or not the answers keep up: ` +
      'the time of a request counts from when it was due, so that no wait is left out.',
    unit: 'ms (p99)',
    key: 'p99Ms',
    ask: (running, seconds) => {
      const load: Load = { seconds, connections: CONNECTIONS, isPinned: false }
      return putConstantRate(target(running), { ...load, requestsPerSecond: Math.max(1, Math.floor(rateOf(running))) })
    },
  }
}

function target({ url }: Pick<Running, 'url'>) {
  const headers = { 'content-type': 'application/json', authorization: bearer() }
  return { url, method: 'POST', headers, body: BODY } as const
}

function median(results: Results, running: Running, key: FigureKey): number {
  return figureOf((results.get(running) ?? []).map((each) => each[key])).median
}

interface Missing {
  readonly name: string
  readonly reason: string
}

interface Part {
  readonly sizes: ServingSizes
  /** Contestants that do not take part. */
  readonly missing: readonly Missing[]
  readonly occasion: Occasion
}

async function benchTable(table: Table, servers: readonly Running[], { sizes, missing, occasion }: Part): Promise<Results> {
  const results = await measure(table, servers, sizes)
  const rows = servers.map((running) => {
    const at = (key: FigureKey) => median(results, running, key).toFixed(2)
    const times = `p50 ${at('p50Ms')}, p99 ${at('p99Ms')}, p99.9 ${at('p999Ms')} ms; ${median(results, running, 'requestsPerSecond').toFixed(0)} a second, ${at('cpuMicros')} µs of processor time`
    const { name, note } = running.server
    const figure = figureOf((results.get(running) ?? []).map((each) => each[table.key]))
    return { name, note: [times, note, running.versions].filter(Boolean).join('; '), figure }
  })
  const turns = `${sizes.rounds} interleaved rounds of ${sizes.seconds} s`
  const reasons = [...Map.groupBy(missing, ({ reason }) => reason)]
  const notRun = reasons
    .map(([reason, list]) => ` Not run, since ${reason}: ${list.map(({ name }) => name).join('; ')}.`)
    .join('')
  const { id, title, unit, key } = table
  const text = `\`POST ${PATH}\` with 64 numbers as JSON, ${turns}. ${table.text}${notRun}`
  report([{ id, title, text, unit, isLessBetter: key !== 'requestsPerSecond', base: 'vestal start', rows }], occasion)
  const lines = servers.map((running) => {
    const all = results.get(running) ?? []
    // Of a hundred requests nothing is known about one in a thousand.
    const isKnown = (share: number) => all.every(({ requests }) => requests * (1 - share / 100) >= 1)
    const middle = (index: number) => figureOf(all.map(({ distribution }) => distribution[index] ?? Number.NaN)).median
    return {
      name: running.server.name,
      distribution: SHARES.map((share, index) => (isKnown(share) ? middle(index) : Number.NaN)),
    }
  })
  reportDistribution({ id: `${id}-latency`, title: `${title}: latency`, lines }, occasion)
  return results
}

async function measure(table: Table, servers: readonly Running[], { rounds, seconds }: ServingSizes): Promise<Results> {
  const results = new Map<Running, Served[]>(servers.map((running) => [running, []]))
  for (const running of servers) await table.ask(running, Math.min(1, seconds))
  for (let round = 0; round < rounds; round += 1) {
    for (const running of round % 2 === 0 ? servers : [...servers].reverse()) {
      const cpuBefore = familyCpuSeconds(running.pid)
      const result = await table.ask(running, seconds)
      const cpuMicros = ((familyCpuSeconds(running.pid) - cpuBefore) * 1e6) / result.requests
      // A busy machine lets a slow server miss the load's own deadline now and then; more than that is a broken contestant.
      if (result.failures > result.requests / 100)
        throw new Error(`${running.server.name} failed ${result.failures} of ${result.requests} requests`)
      results.get(running)?.push({ ...result, cpuMicros })
    }
  }
  return results
}

interface Where {
  readonly place: UserPlace
  /** Whether server and load are kept apart, on a core each. */
  readonly isPinned: boolean
}

async function withServers<T>(
  { peers }: ServingSizes,
  where: Where,
  work: (servers: readonly Running[], missing: readonly Missing[]) => Promise<T>,
): Promise<T> {
  const servers: Running[] = []
  const missing: Missing[] = []
  try {
    for (const server of SERVING_SERVERS) {
      // On one core more workers are only more to switch between.
      if (where.isPinned && ((server.workers ?? 1) > 1 || server.flags?.includes('--processes'))) continue
      const running = PEERS[peers].includes(server) ? await start(server, where) : `--peers is ${peers}`
      if (typeof running === 'string') missing.push({ name: server.name, reason: running })
      else servers.push(running)
    }
    return await work(servers, missing)
  } finally {
    for (const running of servers) await running.stop()
  }
}

/** Starts a server, and gives it once it has read a seven; else why it does not take part. */
async function start(server: ServingServer, { place, isPinned }: Where): Promise<Running | string> {
  if (server.flags !== undefined) {
    const { base, pid, stop } = await startAsUser(server.name, place, { flags: server.flags, isPinned })
    return { server, pid, url: base + PATH, versions: '', stop }
  }
  if (server.needs !== undefined && Bun.which(server.needs) === null) return `${server.needs} is missing`
  const port = freePort()
  const plan = await server.start?.(port)
  if (plan === undefined) return 'it cannot be installed or built here'
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
    if (await readsSeven(url)) return { server, pid: child.pid, url, versions: plan.versions ?? '', stop: () => stopGroup(child) }
    await Bun.sleep(200)
  }
  await stopGroup(child)
  return 'it does not answer here'
}

async function readsSeven(url: string): Promise<boolean> {
  try {
    const { method, headers, body } = target({ url })
    const response = await fetch(url, { method, headers, body, signal: AbortSignal.timeout(10_000) })
    return isSeven(await response.json())
  } catch {
    // It does not listen yet.
    return false
  }
}

interface Tables {
  readonly one: Results
  readonly many: Results
  readonly constant: Results
  readonly pinned: Results
}

/** Our defaults beside the best of each kind, round by round; not a number where the other is missing. */
function targetsOf({ one, many, constant, pinned }: Tables): ReadonlyMap<TargetId, Figure> {
  const values = (results: Results, kind: ServingServer['kind'], key: FigureKey): readonly number[] => {
    const rate = (running: Running) => median(results, running, 'requestsPerSecond')
    const [best] = [...results.keys()].filter(({ server }) => server.kind === kind).sort((a, b) => rate(b) - rate(a))
    return best === undefined ? [] : (results.get(best) ?? []).map((each) => each[key])
  }
  const beside = (results: Results, kind: ServingServer['kind'], key: FigureKey) =>
    ratioByRound(values(results, 'ours', key), values(results, kind, key))
  const ours = (key: FigureKey) => values(constant, 'ours', key)
  const workers = availableParallelism() >= 2
  return new Map<TargetId, Figure>([
    ['one-p50', beside(one, 'fastapi', 'p50Ms')],
    ['one-p99', beside(one, 'fastapi', 'p99Ms')],
    ['one-echo', beside(one, 'bare', 'p50Ms')],
    ['many-echo', beside(many, 'bare', 'requestsPerSecond')],
    ['many-axum', ratioByRound(values(many, 'ours', 'requestsPerSecond'), values(pinned, 'rust', 'requestsPerSecond'))],
    ['many-fastapi', workers ? beside(many, 'fastapi', 'requestsPerSecond') : figureOf([])],
    ['tail-p99', ratioByRound(ours('p99Ms'), ours('p50Ms'))],
    ['tail-p999', figureOf(ours('p999Ms'))],
  ])
}
