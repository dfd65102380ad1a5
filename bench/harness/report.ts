import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Asked } from './asked.ts'
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

Written by \`bun run bench verify\`, \`http\`, \`engine\`, \`serving\`, \`tensor\`, \`memory\` and \`sign-in\`; each replaces its own sections. Contestants run in turns in one run; the
figures are medians of the rounds with the median distance from them. The machine is small and shared: the ratios are worth more than
the figures.
`

/** Prints sections as tables, and puts them with their charts into docs/reference/evidence/benchmarks.md. */
export function report(sections: readonly Section[], occasion: Occasion): void {
  for (const section of sections) {
    console.log(`\n${markdown(section)}`)
    if (!occasion.isKept) continue
    keep(section.id, `${markdown(section)}\n\n![${section.title}](benchmarks/${section.id}.svg)`, occasion)
    const chart = join(dirname(PAGE), 'benchmarks', `${section.id}.svg`)
    mkdirSync(dirname(chart), { recursive: true })
    writeFileSync(chart, svg(section))
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
  const table = `## ${title}\n\n| what | asked | measured | met |\n|---|---|---|---|\n${lines.join('\n')}`
  console.log(`\n${table}`)
  keep(id, table, occasion)
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

function keep(id: string, text: string, { machine, isKept }: Occasion): void {
  if (isKept) replaceSection(id, `${text}\n\n${machine}; ${new Date().toISOString().slice(0, 10)}.`)
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
const LEFT = 190
const WIDTH = 760

function svg({ title, unit, rows, base }: Section): string {
  const largest = Math.max(...rows.map(({ figure }) => figure.median))
  const bars = rows.map(({ name, figure }, index) => {
    const y = 44 + index * (BAR + 8)
    const width = Math.max(1, ((WIDTH - LEFT - 110) * figure.median) / largest)
    const middle = y + BAR / 2 + 4
    return `<text x="${LEFT - 8}" y="${middle}" text-anchor="end">${Bun.escapeHTML(name)}</text>
<rect x="${LEFT}" y="${y}" width="${width.toFixed(1)}" height="${BAR}" rx="2" fill="${name === base ? '#b4471b' : '#8a94a0'}"/>
<text x="${(LEFT + width + 6).toFixed(1)}" y="${middle}">${format(figure.median)}</text>`
  })
  const height = 56 + rows.length * (BAR + 8)
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="system-ui, sans-serif" font-size="13" fill="#20262c">
<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>
<text x="12" y="24" font-size="15" font-weight="600">${Bun.escapeHTML(title)}, ${Bun.escapeHTML(unit)}</text>
${bars.join('\n')}
</svg>
`
}
