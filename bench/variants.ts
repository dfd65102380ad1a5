import { availableParallelism } from 'node:os'
import { MEASURES, type PairSizes, type Pairs, pairsOf, shownRatios, usableRows, withSides } from './compare/pairs.ts'
import { type Row, rowsOf } from './compare/rows.ts'
import { ratioOf } from './harness/loss.ts'
import { describeMachine, warnWhereBusy } from './harness/machine.ts'
import type { Figure } from './harness/measure.ts'
import { reportTable, reportTargets } from './harness/report.ts'
import { GENERATOR } from './load/load.ts'
import { userPlace } from './servers/as-users.ts'
import type { TargetId } from './targets/list.ts'

/** A server with default settings, and the same with flags, in turns. */
interface Variant {
  readonly id: string
  readonly title: string
  readonly text: string
  /** The server that is measured, and the one that it is a part of. */
  readonly flags: { readonly here: readonly string[]; readonly base: readonly string[] }
  readonly rows: readonly Row['id'][]
  readonly targets: Readonly<Partial<Record<Row['id'], TargetId>>>
}

const ACCESS_LOG: Variant = {
  id: 'access-log',
  title: 'With the access log, as a part of without',
  text: '`bun run start` with its defaults, whose log goes to a file that is read meanwhile, and the same with `--access-log off`.',
  flags: { here: [], base: ['--access-log', 'off'] },
  rows: ['one', 'infer', 'rows', 'public', 'protected', 'fresh'],
  targets: { infer: 'log-infer', rows: 'log-rows', public: 'log-public', protected: 'log-protected' },
}
const TWO_PROCESSES: Variant = {
  id: 'processes',
  title: 'Two HTTP processes, as a part of one',
  text: '`bun run start --processes 2`, and `bun run start`; the load is on the same cores.',
  flags: { here: ['--processes', '2'], base: [] },
  rows: ['one', 'infer', 'public', 'protected', 'fresh'],
  targets: { protected: 'processes-two' },
}

/** `bun run bench access-log`: what the access log costs each route. */
export function benchAccessLog(sizes: PairSizes, isKept: boolean): Promise<void> {
  return benchVariant(ACCESS_LOG, sizes, isKept)
}

/** `bun run bench processes`: two HTTP processes beside one. */
export function benchProcesses(sizes: PairSizes, isKept: boolean): Promise<void> {
  return benchVariant(TWO_PROCESSES, sizes, isKept)
}

async function benchVariant(
  { id, title, text, flags, rows, targets }: Variant,
  sizes: PairSizes,
  isKept: boolean,
): Promise<void> {
  warnWhereBusy()
  const machine = `${describeMachine()}; load by ${GENERATOR}, servers and load share ${availableParallelism()} cores`
  using place = await userPlace()
  const options = { here: { flags: flags.here }, base: { flags: flags.base } }
  const measured = await withSides(place, options, async (sides) => {
    const all = new Map<Row, Pairs>()
    const wanted = rowsOf(place).filter((row) => rows.includes(row.id))
    for (const row of await usableRows(wanted, sides)) all.set(row, await pairsOf(row, sides, sizes))
    return all
  })
  const head = ['', ...MEASURES]
  const lines = [...measured].map(([row, pairs]) => [row.name, ...MEASURES.map((measure) => shownRatios(pairs[measure]))])
  const rounds = `Medians of ${sizes.pairs} pairs of ${sizes.seconds} s ± their spread.`
  reportTable({ id, title, text: `${text} ${rounds}`, head, rows: lines }, { machine, isKept })
  const found = new Map<TargetId, Figure>()
  for (const [row, pairs] of measured) {
    const target = targets[row.id]
    if (target !== undefined) found.set(target, ratioOf(pairs['requests a second']))
  }
  reportTargets(found, { machine, isKept })
}
