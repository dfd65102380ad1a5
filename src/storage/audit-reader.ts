import { type FileHandle, open } from 'node:fs/promises'
import type { AuditPage, AuditQuery, AuditReader } from '../accounts/audit.ts'
import type { Store } from '../accounts/store.ts'
import { VestalError } from '../core/errors.ts'
import { auditPaths } from './audit-log.ts'

/** Bytes of the files, or rows of the database, that one page looks at: a filter that finds little gives a short page and a cursor. */
const BYTES_MAX = 4 * 1024 * 1024
const ROWS_MAX = 10_000
const WINDOW_BYTES = 64 * 1024
const BATCH_ROWS = 500
/** Lines are in the order of their writing; the clocks of processes on one file may differ by this much. */
const DISORDER_MS = 600_000

/** Prepares the reading of the log where the setting keeps it: of the database where that has it. */
export function createAuditReader({
  to,
  folder,
  store,
}: {
  readonly to: 'file' | 'database' | 'both'
  readonly folder: string
  readonly store: Store
}): AuditReader {
  if (to !== 'file') return (query) => tablePage(store, query)
  return (query) => filePage(folder, query)
}

async function tablePage(store: Store, query: AuditQuery): Promise<AuditPage> {
  const { since = 0, until, limit, after } = query
  const isWanted = matcherOf(query)
  const events: object[] = []
  const [, at, id = ''] = /^(\d{1,15})\.([0-9a-f-]{36})$/.exec(after ?? '') ?? []
  if (after !== undefined && at === undefined) throw strangePlace()
  let before = at === undefined ? undefined : { at: Number(at), id }
  for (let looked = 0; looked < ROWS_MAX; looked += BATCH_ROWS) {
    const filter = { since, ...(until !== undefined && { until }), ...(before && { before }) }
    const rows = await store.read((records) => records.audit(filter, BATCH_ROWS))
    for (const row of rows) {
      before = { at: row.at, id: row.id }
      const event = eventIn(row.line)
      if (event !== undefined && isWanted(event)) events.push(event)
      if (events.length === limit) return { events, next: `${row.at}.${row.id}` }
    }
    if (rows.length < BATCH_ROWS) return { events }
  }
  return { events, ...(before && { next: `${before.at}.${before.id}` }) }
}

/** Reads from the end; a cursor is a file, which keeps its number when it is rotated, and an offset in it. */
async function filePage(folder: string, query: AuditQuery): Promise<AuditPage> {
  const { since = 0, until = Number.POSITIVE_INFINITY, limit, after } = query
  const [, number, place] = /^(\d{1,20})\.(\d{1,15})$/.exec(after ?? '') ?? []
  const isWanted = matcherOf(query)
  const events: object[] = []
  let [looked, isFound] = [0, number === undefined]
  if (after !== undefined && number === undefined) throw strangePlace()
  const files = await openAll(folder)
  try {
    for (const { handle, name, size } of files) {
      if (!isFound && name !== number) continue
      let end = isFound ? size : Math.min(size, Number(place))
      isFound = true
      while (end > 0) {
        const { lines, start } = await linesBefore(handle, end)
        for (const { text, from } of lines.reverse()) {
          end = from
          const event = eventIn(text)
          const time = event === undefined ? Number.NaN : Date.parse(event.time)
          if (time < since - DISORDER_MS) return { events }
          if (event === undefined || time < since || time >= until || !isWanted(event)) continue
          events.push(event)
          if (events.length === limit) return { events, next: `${name}.${from}` }
        }
        looked += WINDOW_BYTES
        end = start
        if (looked >= BYTES_MAX) return { events, next: `${name}.${end}` }
      }
    }
    return { events }
  } finally {
    for (const { handle } of files) await handle.close()
  }
}

function strangePlace(): VestalError {
  return new VestalError('BODY_INVALID', { detail: { cursor: 'must be one that this list gave' } })
}

interface OpenFile {
  readonly handle: FileHandle
  /** The number that the file system has for it. */
  readonly name: string
  readonly size: number
}

/** The files, newest first. They are put aside from the end, so one that moves meanwhile is met twice, and none is missed. */
async function openAll(folder: string): Promise<readonly OpenFile[]> {
  const files = new Map<string, OpenFile>()
  for (const path of auditPaths(folder)) {
    const handle = await open(path, 'r').catch(() => undefined)
    if (handle === undefined) continue
    const { ino, size } = await handle.stat()
    const name = String(ino)
    if (files.has(name)) await handle.close()
    else files.set(name, { handle, name, size })
  }
  return [...files.values()]
}

/** The whole lines of a window that ends there, and where its first begins. A longer line makes a longer window. */
async function linesBefore(handle: FileHandle, end: number, bytes = WINDOW_BYTES): Promise<Window> {
  const begin = Math.max(0, end - bytes)
  const buffer = Buffer.alloc(end - begin)
  await handle.read(buffer, 0, buffer.length, begin)
  const first = begin === 0 ? 0 : buffer.indexOf(NEWLINE) + 1
  // The last byte ends the last line, so it begins none.
  if (begin > 0 && (first === 0 || first === buffer.length)) return linesBefore(handle, end, bytes * 2)
  const lines: { text: string; from: number }[] = []
  for (let from = first; from < buffer.length; ) {
    const newline = buffer.indexOf(NEWLINE, from)
    const to = newline === -1 ? buffer.length : newline
    if (to > from) lines.push({ text: buffer.toString('utf8', from, to), from: begin + from })
    from = to + 1
  }
  return { lines, start: begin + first }
}

interface Window {
  readonly lines: { readonly text: string; readonly from: number }[]
  readonly start: number
}

const NEWLINE = 10

interface Event {
  readonly time: string
  readonly event: string
  readonly [name: string]: unknown
}

/** A line that was cut short when the machine stopped is none. */
function eventIn(line: string): Event | undefined {
  try {
    const event: unknown = JSON.parse(line)
    return typeof event === 'object' && event !== null && 'time' in event && 'event' in event ? (event as Event) : undefined
  } catch {
    // What is no JSON holds no event that could be shown.
    return undefined
  }
}

function matcherOf({ events, subject }: AuditQuery): (event: Event) => boolean {
  const names = events === undefined ? undefined : new Set(events)
  return (event) =>
    (names === undefined || names.has(event.event)) && (subject === undefined || Object.values(event).includes(subject))
}
