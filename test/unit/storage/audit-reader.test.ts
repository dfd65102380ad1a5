import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { appendFileSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AuditQuery } from '../../../src/accounts/audit.ts'
import { createAuditFile } from '../../../src/storage/audit-file.ts'
import { createAuditReader } from '../../../src/storage/audit-reader.ts'
import { stores, type TestDatabase } from '../../support/stores.ts'

const START = Date.parse('2026-11-24T00:00:00.000Z')

/** A log of either kind, written line by line, a second apart. */
interface Log {
  write(number: number, more?: object): Promise<void>
  readonly read: ReturnType<typeof createAuditReader>
}

let folder = ''
let database: TestDatabase | undefined
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'vestal-audit-'))
})
afterEach(async () => {
  rmSync(folder, { recursive: true, force: true })
  await database?.[Symbol.asyncDispose]()
  database = undefined
})

const lineOf = (number: number, more: object) => {
  const time = new Date(START + number * 1000).toISOString()
  return JSON.stringify({
    time,
    event: number % 2 === 0 ? 'sign-in' : 'sign-in-refused',
    actor: `a${number % 3}`,
    number,
    ...more,
  })
}

const LOGS: Readonly<Record<string, () => Promise<Log>>> = {
  'the files': async () => {
    // Small, so that a few lines fill one.
    const write = createAuditFile({ path: join(folder, 'audit.log'), bytesMax: 1000, filesMax: 5 })
    const read = createAuditReader({ to: 'file', folder, store: undefined as never })
    return { read, write: async (number, more = {}) => write(lineOf(number, more)) }
  },
  ...Object.fromEntries(
    stores().map((kind) => [
      kind.name,
      async (): Promise<Log> => {
        database = await kind.create()
        const store = database.open()
        await store.migrate()
        const write = (number: number, more: object = {}) =>
          store.transaction((records) =>
            records.insertAudit({ id: crypto.randomUUID(), at: START + number * 1000, line: lineOf(number, more) }),
          )
        return { write, read: createAuditReader({ to: 'database', folder, store }) }
      },
    ]),
  ),
}

/** The numbers of all events that match, page by page. */
async function all({ read }: Log, query: Omit<AuditQuery, 'limit'> & { readonly limit?: number }): Promise<readonly number[]> {
  const found: number[] = []
  for (let after: string | undefined, pages = 0; pages < 100; pages += 1) {
    const page = await read({ limit: 7, ...query, ...(after !== undefined && { after }) })
    expect(page.events.length).toBeLessThanOrEqual(query.limit ?? 7)
    found.push(...page.events.map((event) => (event as { number: number }).number))
    after = page.next
    if (after === undefined) return found
  }
  throw new Error('the pages have no end')
}

const down = (from: number, to: number, is: (number: number) => boolean = () => true) =>
  Array.from({ length: from - to + 1 }, (_, index) => from - index).filter(is)

for (const [name, make] of Object.entries(LOGS)) {
  describe(`the audit log in ${name}`, () => {
    test('is read from its end, page by page, each event once', async () => {
      const log = await make()
      expect(await all(log, {})).toEqual([])
      for (let number = 0; number < 30; number += 1) await log.write(number)
      expect(await all(log, {})).toEqual(down(29, 0))
      expect(await all(log, { limit: 1 })).toEqual(down(29, 0))
      expect(await all(log, { limit: 200 })).toEqual(down(29, 0))
    })

    test('is filtered by event, by who, by when', async () => {
      const log = await make()
      for (let number = 0; number < 30; number += 1) await log.write(number)
      expect(await all(log, { events: ['sign-in'] })).toEqual(down(29, 0, (number) => number % 2 === 0))
      expect(await all(log, { events: ['sign-in', 'sign-in-refused'], subject: 'a1' })).toEqual(
        down(29, 0, (number) => number % 3 === 1),
      )
      expect(await all(log, { since: START + 10_000, until: START + 20_000 })).toEqual(down(19, 10))
      expect(await all(log, { events: ['role-changed'] })).toEqual([])
      expect(await all(log, { subject: 'a' })).toEqual([])
    })

    test('continues where it was while others write', async () => {
      const log = await make()
      for (let number = 0; number < 20; number += 1) await log.write(number)
      const { events, next = '' } = await log.read({ limit: 5 })
      expect(events).toHaveLength(5)
      for (let number = 20; number < 30; number += 1) await log.write(number)
      expect(await all(log, { after: next })).toEqual(down(14, 0))
    })

    test('rejects a place that it did not give', async () => {
      const log = await make()
      await log.write(1)
      for (const after of ['', 'x', '1', '1.', '.1', '1.x', '-1.1', '1e3.1', `${'9'.repeat(40)}.1`])
        expect(log.read({ limit: 1, after })).rejects.toMatchObject({ code: 'BODY_INVALID', status: 400 })
    })
  })
}

describe('the files of the audit log', () => {
  const PATH = () => join(folder, 'audit.log')
  const reader = () => createAuditReader({ to: 'file', folder, store: undefined as never })

  test('may hold long lines, empty ones, and one that was cut short', async () => {
    const long = 'x'.repeat(200_000)
    appendFileSync(
      PATH(),
      `${lineOf(0, {})}\n${lineOf(1, { long })}\n\n{"time":"2026\nnull\n7\n${lineOf(2, {})}\n${lineOf(3, {}).slice(0, 30)}`,
    )
    const { events, next } = await reader()({ limit: 10 })
    expect([events.map((event) => (event as { number: number }).number), next]).toEqual([[2, 1, 0], undefined])
  })

  test('that are many are looked through in parts', async () => {
    const line = `${lineOf(1, { pad: 'x'.repeat(950) })}\n`
    appendFileSync(PATH(), `${lineOf(0, { event: 'key-rotated' })}\n${line.repeat(6000)}`)
    const query = { limit: 10, events: ['key-rotated'] }
    const first = await reader()(query)
    expect([first.events, first.next]).toEqual([[], expect.stringMatching(/^\d+\.\d+$/)])
    const second = await reader()({ ...query, ...(first.next !== undefined && { after: first.next }) })
    expect([second.events.length, second.next]).toEqual([1, undefined])
  })

  test('that were put aside since continue, and those that are gone are the end', async () => {
    for (const number of [0, 1]) appendFileSync(PATH(), `${lineOf(number, {})}\n`)
    const { next = '' } = await reader()({ limit: 1 })
    renameSync(PATH(), `${PATH()}.1`)
    appendFileSync(PATH(), `${lineOf(2, {})}\n`)
    expect((await reader()({ limit: 5, after: next })).events).toMatchObject([{ number: 0 }])
    rmSync(`${PATH()}.1`)
    expect(await reader()({ limit: 5, after: next })).toEqual({ events: [] })
  })
})
