import { type Ratios, ratioOf } from '../harness/loss.ts'
import { type LoadResult, putLoad } from '../load/load.ts'
import { bearer, startAsUser, type UserOptions, type UserPlace, type UserServer } from '../servers/as-users.ts'
import { familyCpuSeconds } from '../servers/start.ts'
import { isSound, loadOf, type Row } from './rows.ts'

/** What is compared of one row. */
export const MEASURES = ['processor time', 'p50', 'p99', 'requests a second'] as const
type Measure = (typeof MEASURES)[number]
/** Of one row: what one server has as a part of what its base has, for each pair. */
export type Pairs = Readonly<Record<Measure, Ratios>>

/** Two servers of one place that are compared. */
export interface Sides {
  readonly here: UserServer
  readonly base: UserServer
}

/** Starts both servers, and stops them after the work. */
export async function withSides<T>(
  place: UserPlace,
  options: { readonly base: UserOptions; readonly here: UserOptions },
  work: (sides: Sides) => Promise<T>,
): Promise<T> {
  const base = await startAsUser('base', place, options.base)
  try {
    const here = await startAsUser('here', place, options.here)
    try {
      return await work({ base, here })
    } finally {
      await here.stop()
    }
  } finally {
    await base.stop()
  }
}

/** Rows that both sides answer rightly; what only the compared one gets wrong is an error. */
export async function usableRows(rows: readonly Row[], { here, base }: Sides): Promise<readonly Row[]> {
  const usable: Row[] = []
  for (const row of rows) {
    const right = await Promise.all([base, here].map((server) => answersRightly(row, server)))
    if (right[0] === true && right[1] === true) usable.push(row)
    else if (right[0] === true) throw new Error(`${here.name} gives a wrong answer to: ${row.name}`)
    else console.log(`${row.name}: left out, since the base does not answer it`)
  }
  return usable
}

async function answersRightly({ target, isRight }: Row, { base }: UserServer): Promise<boolean> {
  const { path, body, tokens, method, headers } = target
  const response = await fetch(base + path, {
    method,
    headers: tokens === undefined ? headers : { authorization: bearer() },
    ...(body !== undefined && { body: typeof body === 'string' ? body : new Uint8Array(body) }),
  })
  const bytes = await response.bytes()
  return response.status === 200 && isRight(bytes)
}

export interface PairSizes {
  readonly pairs: number
  readonly seconds: number
}

interface Side extends LoadResult {
  /** Processor time of the server's processes for a request. */
  readonly cpuMicros: number
}

/** Runs of a row in pairs, after one that warms both up; who is first changes from pair to pair. */
export async function pairsOf(row: Row, { here, base }: Sides, { pairs, seconds }: PairSizes): Promise<Pairs> {
  const ratios: Record<Measure, number[]> = { 'processor time': [], p50: [], p99: [], 'requests a second': [] }
  row.renew?.(seconds)
  await Promise.all([here, base].map((server) => putLoad(...loadOf(row, server.base, seconds))))
  for (let pair = 0; pair < pairs; pair += 1) {
    row.renew?.(seconds)
    const sides = new Map<UserServer, Side>()
    for (const server of pair % 2 === 0 ? [base, here] : [here, base]) sides.set(server, await runOf(row, server, seconds))
    const [ours, theirs] = [sides.get(here), sides.get(base)]
    if (ours === undefined || theirs === undefined || ![ours, theirs].every((side) => isSound(row, side, seconds))) continue
    ratios['processor time'].push(ours.cpuMicros / theirs.cpuMicros)
    ratios.p50.push(ours.p50Ms / theirs.p50Ms)
    ratios.p99.push(ours.p99Ms / theirs.p99Ms)
    ratios['requests a second'].push(ours.requestsPerSecond / theirs.requestsPerSecond)
  }
  return ratios
}

async function runOf(row: Row, { base, pid }: UserServer, seconds: number): Promise<Side> {
  const before = familyCpuSeconds(pid)
  const result = await putLoad(...loadOf(row, base, seconds))
  return { ...result, cpuMicros: ((familyCpuSeconds(pid) - before) * 1e6) / result.requests }
}

/** The median of ratios and their spread, as a table shows them. */
export const shownRatios = (ratios: Ratios) => {
  const { median, spread } = ratioOf(ratios)
  return Number.isFinite(median) ? `${median.toFixed(2)} ± ${spread.toFixed(2)}` : 'none'
}

/** A line of a table: the row and the ratios of its pairs. */
export function lineOf({ name }: Row, pairs: Pairs | undefined): string {
  return `| ${name} | ${MEASURES.map((measure) => shownRatios(pairs?.[measure] ?? [])).join(' | ')} |`
}
