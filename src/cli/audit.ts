import { AUDIT_EVENTS } from '../accounts/audit.ts'
import type { Arguments, FlagRow } from '../config/arguments.ts'
import { SettingsError } from '../config/load.ts'
import type { Settings } from '../config/settings.ts'
import { didYouMean } from '../core/nearest.ts'
import { printable } from '../core/printable.ts'
import { openDatabase } from '../server/accounts.ts'
import { readAuditFiles, readAuditTable } from '../storage/audit-log.ts'
import { table } from './table.ts'

export const AUDIT_FLAGS: readonly FlagRow[] = [
  { name: 'event', value: 'NAME', help: 'Only events of this name, such as sign-in-refused; may be given several times.' },
  { name: 'subject', value: 'TEXT', help: 'Only what this account, session, key, name or address did, or what was done to it.' },
  { name: 'since', value: 'TIME', help: 'Only what happened from this time on, such as 2026-11-24T00:00:00Z.' },
  { name: 'last', value: 'N', help: 'How many lines at most, the newest; default 100.' },
  { name: 'json', help: 'Print the lines as they are: one JSON object each.' },
]

const LAST = 100
const LAST_MAX = 100_000

interface Line {
  readonly text: string
  readonly event: Readonly<Record<string, unknown>>
}

/** `vestal audit`: the audit log, filtered. */
export async function audit(settings: Settings, { values, switches }: Arguments): Promise<void> {
  const events = values.get('event') ?? []
  const subject = values.get('subject')?.at(-1)
  const since = readSince(values.get('since')?.at(-1))
  const last = Number(values.get('last')?.at(-1) ?? LAST)
  if (!Number.isInteger(last) || last < 1 || last > LAST_MAX)
    throw new SettingsError([`--last: must be a whole number from 1 to ${LAST_MAX}`])
  const all = (await linesOf(settings)).flatMap(parsed)
  rejectUnknown(events, all)
  const lines = all.filter(({ event }) => {
    const isOne = events.length === 0 || events.includes(String(event.event))
    const isTheirs = subject === undefined || Object.values(event).includes(subject)
    return isOne && isTheirs && Date.parse(String(event.time)) >= since
  })
  const shown = lines.slice(-last)
  console.log(switches.has('json') ? shown.map(({ text }) => printable(text)).join('\n') : table([COLUMNS, ...shown.map(cells)]))
}

/** A name that is mistyped would find nothing, and look like nothing happened. What another version noted is a name too. */
function rejectUnknown(names: readonly string[], lines: readonly Line[]): void {
  const known = new Set([...AUDIT_EVENTS, ...lines.map(({ event }) => String(event.event))])
  const unknown = names.filter((name) => !known.has(name))
  if (unknown.length === 0) return
  throw new SettingsError(
    unknown.map((name) => {
      const meant = didYouMean(name, known) || `; there are ${AUDIT_EVENTS.join(', ')}`
      return `--event: there is no event ${JSON.stringify(name)}${meant}`
    }),
  )
}

async function linesOf(settings: Settings): Promise<readonly string[]> {
  if (settings.auditTo !== 'database') return readAuditFiles(settings.data)
  const store = openDatabase(settings)
  try {
    return await readAuditTable(store)
  } finally {
    await store.close()
  }
}

function readSince(text: string | undefined): number {
  const since = text === undefined ? 0 : Date.parse(text)
  if (Number.isNaN(since)) throw new SettingsError(['--since: must be a time such as 2026-11-24T00:00:00Z'])
  return since
}

/** A line that was cut short when the machine stopped is left out. */
function parsed(text: string): readonly Line[] {
  try {
    return [{ text, event: JSON.parse(text) as Line['event'] }]
  } catch {
    // What is no JSON holds no event that could be shown.
    return []
  }
}

const COLUMNS = ['TIME', 'EVENT', 'WHO', 'WHOM', 'ADDRESS', 'MORE']

function cells({ event }: Line): readonly string[] {
  const { time, event: name, actor, subject, name: account, address, sessionId, reason } = event
  return [time, name, actor ?? account ?? '-', subject ?? '-', address ?? '-', reason ?? sessionId ?? '-'].map(String)
}
