import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { meets, TARGETS, type Target, type TargetId } from './list.ts'

const FILE = join(import.meta.dir, '../../docs/reference/evidence/benchmarks/targets.json')
/** Written by hand: for each target that is missed, where the time goes, what was tried, and what the floor is. */
const NOTES = join(import.meta.dir, 'notes.md')
/** Runs of one target that are kept, the newest first. */
const RUNS_MAX = 3

/** A target's figure in one run of its bench. */
export interface Run {
  readonly date: string
  readonly machine: string
  readonly value: number
  /** Median distance of the rounds from it; none where there was one round. */
  readonly spread?: number
}

export type Runs = Readonly<Partial<Record<TargetId, readonly Run[]>>>

/** What was recorded, with a run more of some targets. A second run of one day on one machine replaces the first. */
export function withRuns(runs: Runs, added: ReadonlyMap<TargetId, Run>): Runs {
  const next: Partial<Record<TargetId, readonly Run[]>> = { ...runs }
  for (const [id, run] of added) {
    const earlier = (runs[id] ?? []).filter(({ date, machine }) => date !== run.date || machine !== run.machine)
    next[id] = [run, ...earlier].slice(0, RUNS_MAX)
  }
  return next
}

/** Sections of the notes by the target that heads them. */
export function notesOf(text: string): ReadonlyMap<string, string> {
  const sections = text.split(/^## +/m).slice(1)
  return new Map(
    sections.map((section) => {
      const [head = '', ...lines] = section.split('\n')
      return [head.trim(), lines.join('\n').trim()]
    }),
  )
}

const shown = (value: number) => (value >= 100 ? value.toFixed(0) : value.toFixed(2))

function cell({ value, spread }: Run): string {
  return spread === undefined ? shown(value) : `${shown(value)} ± ${shown(spread)}`
}

/** The table of targets, and below it what is known of each that is missed. */
export function targetsText(runs: Runs, notes: ReadonlyMap<string, string>): string {
  const ids = Object.keys(TARGETS) as TargetId[]
  const lines = ids.map((id) => {
    const { what, rule, limit, of, bench }: Target = TARGETS[id]
    const [last, ...earlier] = runs[id] ?? []
    const before = earlier.map((run) => `${cell(run)} (${run.date})`).join(', ')
    const cells = [what, `${rule === 'at least' ? '≥' : '≤'} ${limit} ${of}`]
    if (last === undefined)
      return `| ${[...cells, bench === undefined ? 'no bench yet' : `\`bench ${bench}\` not run`, '', '—'].join(' | ')} |`
    return `| ${[...cells, `${cell(last)} (${last.date})`, before, meets(TARGETS[id], last.value) ? 'yes' : '**no**'].join(' | ')} |`
  })
  const missed = ids.filter((id) => {
    const [last] = runs[id] ?? []
    return last !== undefined && !meets(TARGETS[id], last.value)
  })
  const reasons = missed.map((id) => {
    const { what, rule, limit, of }: Target = TARGETS[id]
    return `### ${what}, ${rule} ${limit} ${of}\n\n${notes.get(id) ?? `Nothing is written in \`bench/targets/notes.md\` under \`${id}\` yet.`}`
  })
  const table = `| what | target | measured | other runs | met |\n|---|---|---|---|---|\n${lines.join('\n')}`
  const machines = new Set(ids.flatMap((id) => (runs[id] ?? []).map(({ date, machine }) => `- ${date}: ${machine}`)))
  return ['## Targets', table, [...machines].sort().join('\n'), ...reasons].filter((part) => part !== '').join('\n\n')
}

/** Adds figures to those that are kept, and gives the section that shows all. */
export function recordRuns(added: ReadonlyMap<TargetId, Run>): string {
  // The cast: this file is written here alone.
  const runs = withRuns(existsSync(FILE) ? (JSON.parse(readFileSync(FILE, 'utf8')) as Runs) : {}, added)
  writeFileSync(FILE, `${JSON.stringify(runs, null, 2)}\n`)
  return targetsText(runs, notesOf(readFileSync(NOTES, 'utf8')))
}
