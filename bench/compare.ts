import { availableParallelism } from 'node:os'
import { type Base, checkOut, describeHere, recordedBase } from './compare/base.ts'
import { isSound, loadOf, type Row, rowsOf } from './compare/rows.ts'
import { confirmLoss, LOSS_MAX, type Ratios, ratioOf, showsLoss, type Verdict } from './harness/loss.ts'
import { describeMachine, warnWhereBusy } from './harness/machine.ts'
import { GENERATOR, type LoadResult, putLoad } from './load/load.ts'
import { bearer, startAsUser, type UserPlace, type UserServer, userPlace } from './servers/as-users.ts'
import { familyCpuSeconds } from './servers/start.ts'

export interface CompareSizes {
  /** Runs of each row beside each other. */
  readonly pairs: number
  readonly seconds: number
  /** How often what seems lost is measured again. */
  readonly attempts: number
  /** No attempt begins after this time. */
  readonly secondsMax: number
}

const MEASURES = ['cpu', 'p50', 'p99', 'throughput'] as const
type Measure = (typeof MEASURES)[number]
/** Of one row: what this checkout has as a part of what its base has, for each pair. */
type Pairs = Readonly<Record<Measure, Ratios>>

interface Sides {
  readonly place: UserPlace
  readonly here: UserServer
  readonly base: UserServer
}

/** `bun run bench compare [BASE]`: this checkout and another commit in turns. Gives whether nothing was lost. */
export async function benchCompare(commit: string | undefined, sizes: CompareSizes): Promise<boolean> {
  if (process.platform !== 'linux') {
    console.log('not compared: processor time is read as Linux tells it')
    return true
  }
  warnWhereBusy()
  const begun = performance.now()
  using place = await userPlace()
  const base = await startable(await checkOut(commit ?? recordedBase(), place.folder), place)
  if (base.kind === 'none') {
    console.log(`not compared: ${base.reason}`)
    // A commit that somebody named must be there; the recorded one may be missing in a shallow clone.
    return commit === undefined
  }
  const rows = rowsOf(place)
  const measured = await withSides(place, base, async (sides) => {
    const all = new Map<Row, Pairs>()
    for (const row of await usableRows(rows, sides)) {
      all.set(row, await pairsOf(row, sides, sizes))
      console.log(lineOf(row, all.get(row)))
    }
    return all
  })
  const hasTime = () => performance.now() - begun < sizes.secondsMax * 1000
  const verdicts = new Map<Row, Verdict>()
  for (const [row, pairs] of worstFirst(measured)) {
    const again = () =>
      withSides(place, base, async (sides) => (await pairsOf(row, sides, { ...sizes, pairs: sizes.pairs + 2 })).cpu)
    verdicts.set(row, await confirmLoss(pairs.cpu, again, { attempts: sizes.attempts, hasTime }))
    // One that is lost is enough.
    if (verdicts.get(row) === 'lost') break
  }
  await print(measured, { verdicts, base, seconds: (performance.now() - begun) / 1000 })
  return ![...verdicts.values()].includes('lost')
}

/** A base that cannot start here, though it once did, is no fault of this checkout. */
async function startable(base: Base, place: UserPlace): Promise<Base> {
  if (base.kind === 'none') return base
  try {
    await (await startAsUser('base', place, { root: base.root })).stop()
    return base
  } catch (error) {
    return { kind: 'none', reason: `${base.commit} does not start: ${error instanceof Error ? error.message : error}` }
  }
}

function worstFirst(measured: ReadonlyMap<Row, Pairs>): [Row, Pairs][] {
  const medianOf = ([, { cpu }]: [Row, Pairs]) => ratioOf(cpu).median
  return [...measured].filter(([, { cpu }]) => showsLoss(cpu)).sort((a, b) => medianOf(b) - medianOf(a))
}

/** Starts a server of each commit, and stops them after the work. */
async function withSides<T>(
  place: UserPlace,
  base: Extract<Base, { kind: 'checkout' }>,
  work: (sides: Sides) => Promise<T>,
): Promise<T> {
  const servers: UserServer[] = []
  try {
    for (const [name, root] of [['base', base.root] as const, ['here', undefined] as const])
      servers.push(await startAsUser(name, place, root === undefined ? {} : { root }))
    const [theirs, ours] = servers as [UserServer, UserServer]
    return await work({ place, base: theirs, here: ours })
  } finally {
    await Promise.all(servers.map((server) => server.stop()))
  }
}

/** Rows that both sides answer rightly; what only this checkout gets wrong is an error. */
async function usableRows(rows: readonly Row[], { here, base, place }: Sides): Promise<readonly Row[]> {
  const usable: Row[] = []
  for (const row of rows) {
    const right = await Promise.all([base, here].map((server) => answersRightly(row, server, place)))
    if (right[0] === true && right[1] === true) usable.push(row)
    else if (right[0] === true) throw new Error(`this checkout gives a wrong answer to: ${row.name}`)
    else console.log(`${row.name}: left out, since the base does not answer it`)
  }
  return usable
}

async function answersRightly({ target, isRight }: Row, { base }: UserServer, place: UserPlace): Promise<boolean> {
  const { path, body, tokens, method, headers } = target
  const response = await fetch(base + path, {
    method,
    headers: tokens === undefined ? headers : { authorization: bearer(place) },
    ...(body !== undefined && { body: typeof body === 'string' ? body : new Uint8Array(body) }),
  })
  const bytes = await response.bytes()
  return response.status === 200 && isRight(bytes)
}

interface Side extends LoadResult {
  /** Processor time of the server's processes for a request. */
  readonly cpuMicros: number
}

/** Runs of a row in pairs, after one that warms both up; who is first changes from pair to pair. */
async function pairsOf(
  row: Row,
  { here, base }: Sides,
  { pairs, seconds }: Pick<CompareSizes, 'pairs' | 'seconds'>,
): Promise<Pairs> {
  const ratios: Record<Measure, number[]> = { cpu: [], p50: [], p99: [], throughput: [] }
  row.renew?.(seconds)
  await Promise.all([here, base].map((server) => putLoad(...loadOf(row, server.base, seconds))))
  for (let pair = 0; pair < pairs; pair += 1) {
    row.renew?.(seconds)
    const sides = new Map<UserServer, Side>()
    for (const server of pair % 2 === 0 ? [base, here] : [here, base]) sides.set(server, await runOf(row, server, seconds))
    const [ours, theirs] = [sides.get(here), sides.get(base)]
    if (ours === undefined || theirs === undefined || ![ours, theirs].every((side) => isSound(row, side, seconds))) continue
    ratios.cpu.push(ours.cpuMicros / theirs.cpuMicros)
    ratios.p50.push(ours.p50Ms / theirs.p50Ms)
    ratios.p99.push(ours.p99Ms / theirs.p99Ms)
    ratios.throughput.push(ours.requestsPerSecond / theirs.requestsPerSecond)
  }
  return ratios
}

async function runOf(row: Row, { base, pid }: UserServer, seconds: number): Promise<Side> {
  const before = familyCpuSeconds(pid)
  const result = await putLoad(...loadOf(row, base, seconds))
  return { ...result, cpuMicros: ((familyCpuSeconds(pid) - before) * 1e6) / result.requests }
}

const shown = (ratios: Ratios) => {
  const { median, spread } = ratioOf(ratios)
  return Number.isFinite(median) ? `${median.toFixed(2)} ± ${spread.toFixed(2)}` : 'none'
}

function lineOf({ name }: Row, pairs: Pairs | undefined): string {
  return `| ${name} | ${MEASURES.map((measure) => shown(pairs?.[measure] ?? [])).join(' | ')} |`
}

interface Found {
  readonly verdicts: ReadonlyMap<Row, Verdict>
  readonly base: Extract<Base, { kind: 'checkout' }>
  readonly seconds: number
}

async function print(measured: ReadonlyMap<Row, Pairs>, { verdicts, base, seconds }: Found): Promise<void> {
  const answers = { kept: 'no: not seen again', lost: '**yes**', unconfirmed: 'perhaps: no time to measure it again' }
  console.log(`\n${await describeHere()} as a part of ${base.commit}; median ± spread of the pairs\n`)
  console.log('| row | processor time | p50 | p99 | requests a second | lost |\n|---|---|---|---|---|---|')
  for (const [row, pairs] of measured) {
    const verdict = verdicts.get(row)
    const answer = verdict === undefined ? (showsLoss(pairs.cpu) ? 'not looked at again' : 'no') : answers[verdict]
    console.log(`${lineOf(row, pairs)} ${answer} |`)
  }
  const load = `load by ${GENERATOR}; servers and load share ${availableParallelism()} cores; ${seconds.toFixed(0)} s`
  console.log(`\nLost: more than ${LOSS_MAX * 100} % more processor time for a request.\n${describeMachine()}; ${load}`)
}
