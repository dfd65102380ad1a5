import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { picture } from './compare/rows.ts'
import { ALL_CORES } from './harness/cores.ts'
import { describeMachine, warnWhereBusy } from './harness/machine.ts'
import { type Figure, figureOf, ratioByRound } from './harness/measure.ts'
import { report, reportTargets } from './harness/report.ts'
import { GENERATOR, type LoadResult, putLoad } from './load/load.ts'
import { bearer, startAsUser, type UserPlace, userPlace } from './servers/as-users.ts'
import { freePort, stopGroup } from './servers/start.ts'
import { FASTAPI } from './serving-servers/contestants.ts'
import { pythonWith, versionsOf } from './serving-servers/python.ts'
import type { TargetId } from './targets/list.ts'

export interface JsonSizes {
  readonly rounds: number
  readonly seconds: number
  /** Whether only our own server takes part. */
  readonly isAlone: boolean
}

const CALLERS = 8
const ELEMENTS = 2_000_000
const START_MS_MAX = 30_000

interface Running {
  readonly name: string
  readonly note: string
  readonly base: string
  readonly stop: () => Promise<void>
}

interface Served extends LoadResult {
  readonly healthP99Ms: number
}

/** `bun run bench json`: pictures as numbers in JSON, health meanwhile, and 8 MB both ways. */
export async function benchJson({ isAlone, ...sizes }: JsonSizes, isKept: boolean): Promise<void> {
  warnWhereBusy()
  const occasion = { machine: `${describeMachine()}; load by ${GENERATOR}, ${ALL_CORES}`, isKept }
  using place = await userPlace()
  const ours = await startAsUser('vestal start', place)
  const servers: Running[] = [{ ...ours, note: '`bun run start` as it is; protected' }]
  try {
    const counts = isAlone ? [] : [...new Set([1, availableParallelism()])]
    for (const workers of counts) servers.push(...(await fastApi(place, workers)))
    const pictures = await benchPictures(servers, sizes)
    const large = await large8Mb(ours.base, sizes.rounds * 2)
    const rows = servers.map(({ name, note }) => ({
      name,
      note: noteOf(pictures.get(name) ?? [], note),
      figure: rateOf(pictures.get(name)),
    }))
    const text = `\`POST /v2/models/picture/infer\` with ${3 * 224 * 224} numbers, ${CALLERS} callers, ${sizes.rounds} interleaved rounds of ${sizes.seconds} s; \`GET /v2/health/live\` meanwhile by one more.`
    const title = 'A picture of 224×224 as JSON, 3 MB'
    report(
      [{ id: 'json-picture', title, text, unit: 'requests a second', isLessBetter: false, base: 'vestal start', rows }],
      occasion,
    )
    const [mine = [], ...others] = servers.map(({ name }) => pictures.get(name) ?? [])
    const best = others.sort((a, b) => rateOf(b).median - rateOf(a).median)[0] ?? []
    const rates = (list: readonly Served[]) => list.map(({ requestsPerSecond }) => requestsPerSecond)
    const found: [TargetId, Figure][] = [
      ['json-rate', ratioByRound(rates(mine), rates(best))],
      ['json-health', figureOf(mine.map(({ healthP99Ms }) => healthP99Ms))],
      ['json-8mb', large],
    ]
    reportTargets(new Map(found), occasion)
  } finally {
    for (const { stop } of servers) await stop()
  }
}

const rateOf = (list: readonly Served[] = []) => figureOf(list.map(({ requestsPerSecond }) => requestsPerSecond))

function noteOf(list: readonly Served[], note: string): string {
  const at = (key: 'p50Ms' | 'p99Ms' | 'healthP99Ms') => figureOf(list.map((each) => each[key])).median.toFixed(1)
  return `p50 ${at('p50Ms')} ms, p99 ${at('p99Ms')} ms, p99 of health ${at('healthP99Ms')} ms; ${note}`
}

async function fastApi(place: UserPlace, workers: number): Promise<Running[]> {
  const python = await pythonWith('fastapi', FASTAPI)
  if (python === undefined) return []
  const port = freePort()
  const folder = join(import.meta.dir, 'serving-servers')
  const model = (name: string) => join(place.models, name, '1/model.onnx')
  const child = Bun.spawn([python, join(folder, 'fastapi_app.py'), String(port), model('digits'), String(workers)], {
    cwd: folder,
    env: { ...process.env, PICTURE_MODEL: model('picture') },
    stdout: 'ignore',
    stderr: 'ignore',
    detached: true,
  })
  const base = `http://127.0.0.1:${port}`
  const deadline = Date.now() + START_MS_MAX
  const stop = () => stopGroup(child)
  while (Date.now() < deadline && child.exitCode === null) {
    const response = await fetch(`${base}/v2/health/live`).catch(() => undefined)
    const note = `orjson; unprotected; ${await versionsOf(python, FASTAPI)}`
    if (response?.ok === true) return [{ name: `FastAPI, ${workers} ${workers === 1 ? 'worker' : 'workers'}`, note, base, stop }]
    await Bun.sleep(200)
  }
  await stop()
  console.warn('FastAPI does not answer here, and is left out')
  return []
}

async function benchPictures(
  servers: readonly Running[],
  { rounds, seconds }: Omit<JsonSizes, 'isAlone'>,
): Promise<ReadonlyMap<string, readonly Served[]>> {
  const headers = { 'content-type': 'application/json', authorization: bearer() }
  const body = picture()
  const results = new Map<string, Served[]>(servers.map(({ name }) => [name, []]))
  // The first round warms all up.
  for (let round = 0; round <= rounds; round += 1) {
    for (const { name, base } of round % 2 === 0 ? servers : [...servers].reverse()) {
      const target = { url: `${base}/v2/models/picture/infer`, method: 'POST', headers, body } as const
      const health = { url: `${base}/v2/health/live`, method: 'GET', headers: {} } as const
      const [result, { p99Ms: healthP99Ms, failures }] = await Promise.all([
        putLoad(target, { seconds, connections: CALLERS, isPinned: false }),
        putLoad(health, { seconds, connections: 1, isPinned: false }),
      ])
      if (result.failures + failures > 0) throw new Error(`${name} failed ${result.failures + failures} requests`)
      if (round > 0) results.get(name)?.push({ ...result, healthP99Ms })
    }
  }
  return results
}

/** Milliseconds of one request with 8 MB of FP32 as JSON, which is answered with as many. */
async function large8Mb(base: string, requests: number): Promise<Figure> {
  const data = Array.from({ length: ELEMENTS }, (_, index) => Math.fround(Math.sin(index) * 10).toPrecision(8))
  const body = `{"inputs":[{"name":"x","datatype":"FP32","shape":[${ELEMENTS}],"data":[${data.join(',')}]}]}`
  const headers = { 'content-type': 'application/json', authorization: bearer(), 'accept-encoding': 'identity' }
  const times: number[] = []
  for (let request = 0; request <= requests; request += 1) {
    const begun = performance.now()
    const response = await fetch(`${base}/v2/models/same/infer`, { method: 'POST', headers, body })
    const bytes = await response.bytes()
    if (response.status !== 200 || bytes.length < ELEMENTS * 2) throw new Error(`8 MB were answered with ${response.status}`)
    if (request > 0) times.push(performance.now() - begun)
  }
  return figureOf(times)
}
