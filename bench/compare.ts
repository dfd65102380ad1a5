import { availableParallelism } from 'node:os'
import { type Base, checkOut, describeHere, recordedBase } from './compare/base.ts'
import { lineOf, MEASURES, type Pairs, pairsOf, usableRows, withSides } from './compare/pairs.ts'
import { type Row, rowsOf } from './compare/rows.ts'
import { confirmLoss, LOSS_MAX, ratioOf, showsLoss, type Verdict } from './harness/loss.ts'
import { describeMachine, warnWhereBusy } from './harness/machine.ts'
import { GENERATOR } from './load/load.ts'
import { startAsUser, type UserPlace, userPlace } from './servers/as-users.ts'

export interface CompareSizes {
  /** Runs of each row beside each other. */
  readonly pairs: number
  readonly seconds: number
  /** How often what seems lost is measured again. */
  readonly attempts: number
  /** Time for that, after which no attempt begins. */
  readonly confirmSecondsMax: number
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
  const commits = { base: { root: base.root }, here: {} }
  const measured = await withSides(place, commits, async (sides) => {
    const all = new Map<Row, Pairs>()
    for (const row of await usableRows(rows, sides)) {
      all.set(row, await pairsOf(row, sides, sizes))
      console.log(lineOf(row, all.get(row)))
    }
    return all
  })
  const confirmBegun = performance.now()
  const hasTime = () => performance.now() - confirmBegun < sizes.confirmSecondsMax * 1000
  const verdicts = new Map<Row, Verdict>()
  for (const [row, pairs] of worstFirst(measured)) {
    const again = () =>
      withSides(place, commits, async (sides) => {
        const { 'processor time': ratios } = await pairsOf(row, sides, { ...sizes, pairs: sizes.pairs + 2 })
        return ratios
      })
    verdicts.set(row, await confirmLoss(pairs['processor time'], again, { attempts: sizes.attempts, hasTime }))
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
  const medianOf = ([, pairs]: [Row, Pairs]) => ratioOf(pairs['processor time']).median
  return [...measured].filter(([, pairs]) => showsLoss(pairs['processor time'])).sort((a, b) => medianOf(b) - medianOf(a))
}

interface Found {
  readonly verdicts: ReadonlyMap<Row, Verdict>
  readonly base: Extract<Base, { kind: 'checkout' }>
  readonly seconds: number
}

async function print(measured: ReadonlyMap<Row, Pairs>, { verdicts, base, seconds }: Found): Promise<void> {
  const answers = { kept: 'no: not seen again', lost: '**yes**', unconfirmed: 'perhaps: no time to measure it again' }
  console.log(`\n${await describeHere()} as a part of ${base.commit}; median ± spread of the pairs\n`)
  console.log(`| row | ${MEASURES.join(' | ')} | lost |\n|---|---|---|---|---|---|`)
  for (const [row, pairs] of measured) {
    const verdict = verdicts.get(row)
    const answer = verdict === undefined ? (showsLoss(pairs['processor time']) ? 'not looked at again' : 'no') : answers[verdict]
    console.log(`${lineOf(row, pairs)} ${answer} |`)
  }
  const load = `load by ${GENERATOR}; servers and load share ${availableParallelism()} cores; ${seconds.toFixed(0)} s`
  console.log(`\nLost: more than ${LOSS_MAX * 100} % more processor time for a request.\n${describeMachine()}; ${load}`)
}
