import { expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Records } from '../../../src/accounts/store.ts'
import { createAuditFile } from '../../../src/store/audit-file.ts'
import { createAuditLog, readAuditFiles } from '../../../src/store/audit-log.ts'

test('the audit log is put aside when it is full, and keeps so many files', () => {
  const folder = mkdtempSync(join(tmpdir(), 'vestal-audit-'))
  try {
    const write = createAuditFile({ path: join(folder, 'audit.log'), bytesMax: 40, filesMax: 2 })
    for (let index = 0; index < 12; index += 1) write(`{"line":${String(index).padStart(4, '0')}}`)
    expect(readdirSync(folder).sort()).toEqual(['audit.log', 'audit.log.1', 'audit.log.2'])
    for (const name of readdirSync(folder)) {
      expect(readFileSync(join(folder, name), 'utf8').length).toBeLessThanOrEqual(45)
      expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600)
    }
    const lines = readAuditFiles(folder)
    expect(lines.at(-1)).toBe('{"line":0011}')
    expect(lines).toEqual(lines.toSorted())
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

test('lines that the database does not take in time are counted, and the number is written once it answers', async () => {
  const written: string[] = []
  const warned: string[] = []
  const gate = Promise.withResolvers<void>()
  // Only the one record is asked for.
  const records = { insertAudit: async ({ line }: { line: string }) => void written.push(line) } as unknown as Records
  const store = {
    transaction: async <T>(work: (records: Records) => Promise<T>) => {
      await gate.promise
      return work(records)
    },
  }
  const log = createAuditLog({
    to: 'database',
    folder: '',
    store,
    now: () => 0,
    warn: (message) => warned.push(message),
    waitingMax: 2,
  })
  for (let number = 0; number < 5; number += 1) log.write({ event: 'sign-in', actor: String(number) })
  gate.resolve()
  await log.flush()
  const lines = written.map((line) => JSON.parse(line) as { event: string; actor?: string; count?: number })
  expect(lines.map(({ event, actor, count }) => [event, actor ?? count])).toEqual([
    ['sign-in', '0'],
    ['audit-lost', 3],
    ['sign-in', '1'],
  ])
  expect(warned).toEqual([expect.stringContaining('does not keep up')])
})
