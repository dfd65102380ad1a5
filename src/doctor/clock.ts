import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { inspectionOf } from './database.ts'
import { type Finding, note, orRight, type Subject, wrong } from './finding.ts'

const SET =
  'Set the clock and keep it synchronised (chrony, systemd-timesyncd): while it is wrong, tokens are rejected or live too long.'
/** Clocks of file servers may differ by so much. */
const FILE_SECONDS_MAX = 60
/** Files of a folder that are looked at. */
const FILES_MAX = 4096

/** The clock, as far as it can be known without the network: against the database's, and against files, which are not written in the future. */
export async function lookAtClock({ settings }: Subject): Promise<readonly Finding[]> {
  const findings: Finding[] = []
  const newest = newestOf([settings.data, settings.models])
  const aheadSeconds = newest === undefined ? 0 : Math.round((newest.ms - Date.now()) / 1000)
  if (newest !== undefined && aheadSeconds > FILE_SECONDS_MAX) {
    findings.push(wrong(`the clock is behind: ${newest.path} was written ${aheadSeconds} s after now`, SET))
  }
  const database = await inspectionOf(settings).catch(() => undefined)
  const difference = database?.clockMs === undefined ? undefined : Math.round((Date.now() - database.clockMs) / 1000)
  if (difference !== undefined && Math.abs(difference) > settings.leewaySeconds) {
    findings.push(wrong(`the clock differs from the database's by ${difference} s`, SET))
  }
  const known =
    difference === undefined ? 'no file here is of the future' : 'it agrees with the database, and no file here is of the future'
  return [
    ...orRight(findings, known),
    note('whether it is right by the world cannot be known from here: no time server is asked'),
  ]
}

/** The file that was written last. */
function newestOf(folders: readonly string[]): { readonly path: string; readonly ms: number } | undefined {
  const times = folders.flatMap(filesIn).map((path) => ({ path, ms: statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0 }))
  return times.reduce<(typeof times)[number] | undefined>(
    (last, each) => (last === undefined || each.ms > last.ms ? each : last),
    undefined,
  )
}

function filesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder, { recursive: true })
      .slice(0, FILES_MAX)
      .map((name) => join(folder, String(name)))
  } catch {
    // It is missing or unreadable, which the check of the folder reports.
    return []
  }
}
