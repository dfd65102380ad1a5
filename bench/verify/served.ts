import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { signJwt } from '../../src/jose/sign.ts'
import { badTokens } from '../contestants/contestant.ts'
import { type Figure, figureOf, ratioByRound } from '../harness/measure.ts'
import type { Section } from '../harness/report.ts'
import { type LoadResult, putLoad, type Target } from '../load/load.ts'
import { startAsUser, type UserPlace, userPlace } from '../servers/as-users.ts'
import { PERMISSION, SECRET } from '../servers/plan.ts'
import { familyCpuSeconds, type StartedServer, startServer } from '../servers/start.ts'
import type { TargetId } from '../targets/list.ts'
import { QUICK_SERVERS, TOKEN_SERVERS, type TokenServer } from '../token-servers/contestants.ts'

export interface ServedRounds {
  readonly rounds: number
  readonly seconds: number
  /** Leaves out what has to be built or is there twice. */
  readonly isQuick: boolean
}

const CONNECTIONS = 64
/** More than any server here answers in a second, so that none sees a token twice. */
const FRESH_TOKENS_A_SECOND = 100_000
const PATH = '/private/info/'
const unprotected = (name: string) => `${name}, unprotected`
const headerAlone = (name: string) => `${name}, header`

const tokenWith = (more: object, lifetimeSeconds = 3600) =>
  signJwt({ sub: 'bench', data: { permissions: [PERMISSION, 'model:iris:predict'] }, ...more }, SECRET, { lifetimeSeconds })

/** A protected route under load: the same token each time, and a new one each time. */
export async function servedSections({ isQuick, ...rounds }: ServedRounds): Promise<{ sections: Section[]; found: Found }> {
  const servers: Running[] = []
  using place = await userPlace()
  try {
    for (const server of isQuick ? QUICK_SERVERS : TOKEN_SERVERS) {
      const started = await start(server, place)
      if (started === undefined) continue
      servers.push({ server, started })
      await checkServer(started)
    }
    const file = join(place.folder, 'tokens')
    const cached = await measureCached(servers, rounds)
    const fresh = await measureFresh(servers, { ...rounds, file })
    return { sections: [cached.section, fresh.section], found: new Map([...cached.found, ...fresh.found]) }
  } finally {
    for (const { started } of servers) await started.stop()
  }
}

interface Running {
  readonly server: TokenServer
  readonly started: StartedServer
}

/** As users do where it is `vestal start`, else by its command; undefined where that is missing here. */
async function start({ name, command }: TokenServer, place: UserPlace): Promise<StartedServer | undefined> {
  if (command === undefined) return startAsUser(name, place, { isPinned: true })
  const words = await command()
  return words === undefined ? undefined : startServer(name, words)
}

/** Proves that a server checks tokens: a good one gets the answer, bad ones and none get a refusal. */
async function checkServer({ name, base }: StartedServer): Promise<void> {
  const ask = (token?: string) => fetch(base + PATH, token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } })
  const good = tokenWith({})
  for (let time = 0; time < 2; time += 1) {
    const answer = await ask(good)
    const text = await answer.text()
    if (answer.status !== 200 || !text.includes('"public":false')) throw new Error(`${name} refuses a good token`)
  }
  const past = Math.floor(Date.now() / 1000) - 3600
  const bad = {
    ...badTokens(good, tokenWith({ sub: 'other' }), tokenWith({ iat: past, exp: past + 60 }, 60)),
    'no permission': tokenWith({ data: { permissions: ['other'] } }),
    'no token': undefined,
  }
  for (const [fault, token] of Object.entries(bad)) {
    const { status } = await ask(token)
    if (status !== 401 && status !== 403) throw new Error(`${name} answers ${status} to a request with ${fault}`)
  }
}

/** What targets got. */
type Found = ReadonlyMap<TargetId, Figure>

interface Measured {
  readonly section: Section
  readonly found: readonly (readonly [TargetId, Figure])[]
}

type Timing = Pick<ServedRounds, 'rounds' | 'seconds'>

async function measureCached(servers: readonly Running[], timing: Timing): Promise<Measured> {
  const headers = { authorization: `Bearer ${tokenWith({})}` }
  const runs = servers.flatMap((running) => {
    const target = (path: string): Target => ({ url: running.started.base + path, method: 'GET', headers })
    const own = {
      name: running.server.name,
      note: running.server.note,
      kind: running.server.kind,
      pid: running.started.pid,
      ask: () => target(PATH),
    }
    const { kind, name } = running.server
    if (kind !== 'ours' && kind !== 'whole' && kind !== 'bare') return [own]
    const open = { name: unprotected(name), note: 'the same headers, a route for everybody', kind: 'open' as const }
    const others = [{ ...own, ...open, ask: () => target('/public/info/') }]
    if (kind !== 'bare') return [own, ...others]
    const read = { name: headerAlone(name), note: 'asks for the header, and checks nothing', kind: 'open' as const }
    return [own, ...others, { ...own, ...read, ask: () => target('/header/') }]
  })
  const results = await inTurns(runs, timing)
  const against = comparison(results)
  const section = sectionOf('verify-served-cached', 'The same token in each request', runs, results)
  const best = bestOf(namesOf(runs, 'javascript'), results)
  return {
    section: {
      ...section,
      text: `\`GET ${PATH}\`, ${CONNECTIONS} connections, ${spent(timing)}. Each server first had to reject eight requests.`,
    },
    found: [
      ['cached-public', against('vestal start', unprotected('vestal start'))],
      ['cached-javascript', against('vestal start', best)],
      ['cached-axum', against('vestal start', 'axum')],
    ],
  }
}

async function measureFresh(
  servers: readonly Running[],
  { file, ...timing }: Timing & { readonly file: string },
): Promise<Measured> {
  const count = FRESH_TOKENS_A_SECOND * timing.seconds
  const runs = servers.map((running) => ({
    name: running.server.name,
    note: running.server.note,
    kind: running.server.kind,
    pid: running.started.pid,
    ask: (): Target => ({
      url: running.started.base + PATH,
      method: 'GET',
      headers: {},
      tokens: { kind: 'list', file, first: 0 },
    }),
    told: ({ requests }: LoadResult) => {
      if (requests > count) throw new Error(`${running.server.name} answered so many requests that tokens came again`)
    },
  }))
  const results = await inTurns(runs, timing, (round) => {
    const token = (_: unknown, index: number) => tokenWith({ jti: `token-${round}-${index}` })
    writeFileSync(file, Array.from({ length: count }, token).join('\n'))
  })
  const against = comparison(results)
  const section = sectionOf('verify-served-fresh', 'A new token in each request', runs, results)
  const best = bestOf(namesOf(runs, 'javascript'), results)
  return {
    section: {
      ...section,
      text: `HS256 tokens that are new to each server, ${count} in each round; ${CONNECTIONS} connections, ${spent(timing)}.`,
    },
    found: [
      ['fresh-javascript', against('vestal start', best)],
      ['fresh-boring', against('vestal, boring', 'axum')],
    ],
  }
}

interface Served extends LoadResult {
  /** Processor time of the server for a request: what a busy machine changes least. */
  readonly cpuMicros: number
}

interface Run {
  readonly pid: number
  readonly name: string
  readonly note: string
  readonly kind: TokenServer['kind'] | 'open'
  readonly ask: () => Target
  readonly told?: (result: LoadResult) => void
}

async function inTurns(
  runs: readonly Run[],
  { rounds, seconds }: Timing,
  prepare: (round: number) => void = () => {},
): Promise<ReadonlyMap<string, Served[]>> {
  const results = new Map<string, Served[]>(runs.map(({ name }) => [name, []]))
  // The first round warms everybody up.
  for (let round = 0; round <= rounds; round += 1) {
    prepare(round)
    for (let offset = 0; offset < runs.length; offset += 1) {
      const run = runs[(round + offset) % runs.length] as Run
      const cpuBefore = familyCpuSeconds(run.pid)
      const result = await putLoad(run.ask(), { seconds, connections: CONNECTIONS })
      const cpuMicros = ((familyCpuSeconds(run.pid) - cpuBefore) * 1e6) / result.requests
      run.told?.(result)
      if (result.failures > 0) throw new Error(`${run.name} failed ${result.failures} of ${result.requests} requests`)
      if (round > 0) results.get(run.name)?.push({ ...result, cpuMicros })
    }
  }
  return results
}

/** How many times the requests of another server one answers. */
function comparison(results: ReadonlyMap<string, readonly Served[]>) {
  const rates = (name: string) => (results.get(name) ?? []).map(({ requestsPerSecond }) => requestsPerSecond)
  return (ours: string, other: string) => ratioByRound(rates(ours), rates(other))
}

const namesOf = (runs: readonly Run[], kind: Run['kind']) => runs.filter((run) => run.kind === kind).map(({ name }) => name)

function bestOf(names: readonly string[], results: ReadonlyMap<string, readonly Served[]>): string {
  const rate = (name: string) => figureOf((results.get(name) ?? []).map(({ requestsPerSecond }) => requestsPerSecond)).median
  return [...names].sort((a, b) => rate(b) - rate(a))[0] ?? ''
}

const spent = ({ rounds, seconds }: Timing) => `${rounds} interleaved rounds of ${seconds} s`

function sectionOf(
  id: string,
  title: string,
  runs: readonly Run[],
  results: ReadonlyMap<string, Served[]>,
): Omit<Section, 'text'> {
  const rows = runs.map(({ name, note }) => {
    const list = results.get(name) ?? []
    const at = (key: 'p50Ms' | 'p99Ms' | 'cpuMicros') => figureOf(list.map((result) => result[key])).median.toFixed(2)
    const figure = figureOf(list.map(({ requestsPerSecond }) => requestsPerSecond))
    return {
      name,
      note: `p50 ${at('p50Ms')} ms, p99 ${at('p99Ms')} ms, ${at('cpuMicros')} µs of processor time; ${note}`,
      figure,
    }
  })
  return { id, title, unit: 'requests a second', isLessBetter: false, base: 'vestal', rows }
}
