import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { meets, TARGETS, type TargetId } from '../targets/list.ts'
import { recordRuns } from '../targets/record.ts'
import type { Asked } from './asked.ts'
import { distributionChart, type Line } from './distribution-chart.ts'
import type { Figure } from './measure.ts'

/** One bar of a chart, one line of a table. */
export interface Row {
  readonly name: string
  readonly note: string
  readonly figure: Figure
}

export interface Section {
  /** Name of the section's marks and of its chart. */
  readonly id: string
  readonly title: string
  readonly text: string
  readonly unit: string
  readonly isLessBetter: boolean
  /** The row that the others are compared with. */
  readonly base: string
  readonly rows: readonly Row[]
}

/** What a report is of, and whether it is worth keeping: a quick run's is not. */
export interface Occasion {
  readonly machine: string
  readonly isKept: boolean
}

const PAGE = join(import.meta.dir, '../../docs/reference/evidence/benchmarks.md')
const HEAD = `# Benchmarks

\`bun run bench all\` writes this page, and each bench that it runs replaces its own sections. Contestants are interleaved; the figures are medians of the rounds ± the median distance from them. The
machine is small and shared, so the ratios matter more than the figures. \`vestal start\` is \`bun run start\` with default settings, its log in a file that is read meanwhile; other names are parts of it or variants.
`

/** Prints sections as tables, and puts them with their charts into docs/reference/evidence/benchmarks.md. */
export function report(sections: readonly Section[], occasion: Occasion): void {
  for (const section of sections) {
    console.log(`\n${markdown(section)}`)
    if (!occasion.isKept) continue
    keep(section.id, `${markdown(section)}\n\n![${section.title}](benchmarks/${section.id}.svg)`, occasion)
    const chart = join(dirname(PAGE), 'benchmarks', `${section.id}.svg`)
    mkdirSync(dirname(chart), { recursive: true })
    writeFileSync(chart, svg(section, `${shortOf(occasion)}; ${today()}`))
  }
  console.log(`\n${occasion.machine}`)
}

/** Prints what was asked for beside what was measured, and puts it into docs/reference/evidence/benchmarks.md under that name. */
export function reportAsked(
  { id, title }: { readonly id: string; readonly title: string },
  rows: readonly Asked[],
  occasion: Occasion,
): void {
  const answer = { true: 'yes', false: '**no**', undefined: 'not measured' }
  const lines = rows.map(({ what, atLeast, measured, isMet }) => `| ${what} | ${atLeast} | ${measured} | ${answer[`${isMet}`]} |`)
  const table = `## ${title}\n\n| what | target | measured | met |\n|---|---|---|---|\n${lines.join('\n')}`
  console.log(`\n${table}`)
  keep(id, table, occasion)
}

/** Prints which targets are met, and puts them into the table that heads docs/reference/evidence/benchmarks.md. */
export function reportTargets(found: ReadonlyMap<TargetId, Figure>, occasion: Occasion): void {
  const known = [...found].filter(([, { median }]) => Number.isFinite(median))
  console.log('\n| target | | measured | met |\n|---|---|---|---|')
  for (const [id, { median, spread }] of known) {
    const { what, rule, limit, of } = TARGETS[id]
    const answer = meets(TARGETS[id], median) ? 'yes' : '**no**'
    console.log(
      `| ${what} | ${rule} ${limit} ${of} | ${format(median)}${Number.isFinite(spread) ? ` ± ${format(spread)}` : ''} | ${answer} |`,
    )
  }
  if (!occasion.isKept) return
  const machine = shortOf(occasion)
  const date = today()
  const runs = known.map(([id, { median, spread }]) => {
    const isKnown = Number.isFinite(spread)
    return [id, { date, machine, value: median, ...(isKnown && { spread }) }] as const
  })
  replaceSection('targets', recordRuns(new Map(runs)))
}

/** Prints a table of figures that are no contest, and puts it into docs/reference/evidence/benchmarks.md. */
export function reportTable(
  {
    id,
    title,
    text,
    head,
    rows,
  }: {
    readonly id: string
    readonly title: string
    readonly text: string
    readonly head: readonly string[]
    readonly rows: readonly (readonly string[])[]
  },
  occasion: Occasion,
): void {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  const table = `## ${title}\n\n${text}\n\n${[line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')}`
  console.log(`\n${table}`)
  keep(id, table, occasion)
}

/** Puts a chart of latencies into docs/reference/evidence/benchmarks.md. */
export function reportDistribution(
  { id, title, lines }: { readonly id: string; readonly title: string; readonly lines: readonly Line[] },
  occasion: Occasion,
): void {
  if (!occasion.isKept) return
  const chart = join(dirname(PAGE), 'benchmarks', `${id}.svg`)
  mkdirSync(dirname(chart), { recursive: true })
  writeFileSync(chart, distributionChart({ title, lines }, `${shortOf(occasion)}; ${today()}`))
  replaceSection(id, `![${title}](benchmarks/${id}.svg)`)
}

/** The machine without how busy it was. */
function shortOf({ machine }: Occasion): string {
  return machine.split(';').slice(0, 2).join(';')
}

function keep(id: string, text: string, { machine, isKept }: Occasion): void {
  if (isKept) replaceSection(id, `${text}\n\n${machine}; ${today()}.`)
}

function today(): string {
  return new Date().toISOString().slice(0, 10)
}

function markdown({ title, text, unit, base, rows, isLessBetter }: Section): string {
  const reference = rows.find(({ name }) => name === base)?.figure.median ?? Number.NaN
  const lines = rows.map(({ name, note, figure }) => {
    const ratio = figure.median / reference
    return `| ${name} | ${format(figure.median)} ± ${format(figure.spread)} | ${ratio.toFixed(2)} | ${note} |`
  })
  const meaning = `× ${base}, ${isLessBetter ? 'less' : 'more'} is better`
  return `## ${title}\n\n${text}\n\n| | ${unit} | ${meaning} | |\n|---|---|---|---|\n${lines.join('\n')}`
}

function replaceSection(id: string, text: string): void {
  const page = existsSync(PAGE) ? readFileSync(PAGE, 'utf8') : HEAD
  const [begin, end] = [`<!-- ${id} -->`, `<!-- end of ${id} -->`]
  const marked = `${begin}\n${text}\n${end}`
  const isThere = page.includes(begin) && page.includes(end)
  const next = isThere
    ? page.slice(0, page.indexOf(begin)) + marked + page.slice(page.indexOf(end) + end.length)
    : `${page.trimEnd()}\n\n${marked}\n`
  writeFileSync(PAGE, next)
}

function format(value: number): string {
  return value >= 100 ? String(Math.round(value)) : value.toPrecision(3)
}

const BAR = 22
const LEFT = 220
const WIDTH = 760

/** A chart of bars that is legible on light and dark pages: each with its figure and its ratio to the base, below them the machine. */
function svg({ title, unit, rows, base }: Section, machine: string): string {
  const largest = Math.max(...rows.map(({ figure }) => figure.median))
  const reference = rows.find(({ name }) => name === base)?.figure.median ?? Number.NaN
  const bars = rows.map(({ name, figure }, index) => {
    const y = 44 + index * (BAR + 8)
    const width = Math.max(1, ((WIDTH - LEFT - 130) * figure.median) / largest)
    const middle = y + BAR / 2 + 4
    return `<text x="${LEFT - 8}" y="${middle}" text-anchor="end">${Bun.escapeHTML(name)}</text>
<rect class="${name === base ? 'base' : 'bar'}" x="${LEFT}" y="${y}" width="${width.toFixed(1)}" height="${BAR}" rx="2"/>
<text x="${(LEFT + width + 6).toFixed(1)}" y="${middle}">${format(figure.median)} (${(figure.median / reference).toFixed(2)} ×)</text>`
  })
  const height = 76 + rows.length * (BAR + 8)
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" font-family="system-ui, sans-serif" font-size="13">
<title>${Bun.escapeHTML(title)}, ${Bun.escapeHTML(unit)}</title>
<style>.page{fill:#fff}.bar{fill:#8a94a0}.base{fill:#b4471b}text{fill:#1f2933}.note{fill:#52606d;font-size:11px}
@media (prefers-color-scheme:dark){.page{fill:#14181d}.bar{fill:#6b7683}.base{fill:#f08a5d}text{fill:#e6e9ec}.note{fill:#a9b4bf}}</style>
<rect class="page" width="${WIDTH}" height="${height}" rx="8"/>
<text x="12" y="24" font-size="15" font-weight="600">${Bun.escapeHTML(title)}, ${Bun.escapeHTML(unit)}</text>
${bars.join('\n')}
<text class="note" x="12" y="${height - 12}">${Bun.escapeHTML(machine)}</text>
</svg>
`
}
