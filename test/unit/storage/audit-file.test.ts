import { expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Records } from '../../../src/accounts/store.ts'
import { createAuditFile } from '../../../src/storage/audit-file.ts'
import { createAuditLog, readAuditFiles } from '../../../src/storage/audit-log.ts'

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

test('several processes put it aside together, and no line is lost', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'vestal-audit-'))
  try {
    const script = `
      const { createAuditFile } = await import(${JSON.stringify(join(import.meta.dir, '../../../src/storage/audit-file.ts'))})
      const write = createAuditFile({ path: ${JSON.stringify(join(folder, 'audit.log'))}, bytesMax: 2000, filesMax: 500 })
      for (let line = 0; line < 500; line += 1) write(JSON.stringify({ who: process.pid, line, text: 'x'.repeat(50) }))
    `
    const ended = Array.from({ length: 4 }, () => Bun.spawn([process.execPath, '-e', script], { stderr: 'inherit' }).exited)
    expect(await Promise.all(ended)).toEqual([0, 0, 0, 0])
    const names = readdirSync(folder)
    expect(names).not.toContain('audit.log.lock')
    const lines = names.flatMap((name) => readFileSync(join(folder, name), 'utf8').trim().split('\n'))
    expect([lines.length, new Set(lines).size]).toEqual([2000, 2000])
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}, 60_000)

test('it is put aside by one process at a time, unless that one was killed at it', () => {
  const folder = mkdtempSync(join(tmpdir(), 'vestal-audit-'))
  try {
    const write = createAuditFile({ path: join(folder, 'audit.log'), bytesMax: 10 })
    const lock = join(folder, 'audit.log.lock')
    writeFileSync(lock, '')
    for (const line of ['one', 'two', 'three', 'four']) write(line)
    expect(readFileSync(join(folder, 'audit.log'), 'utf8')).toBe('one\ntwo\nthree\nfour\n')
    const longAgo = new Date(Date.now() - 60_000)
    utimesSync(lock, longAgo, longAgo)
    for (const line of ['five', 'six']) write(line)
    expect(readFileSync(join(folder, 'audit.log.1'), 'utf8')).toBe('one\ntwo\nthree\nfour\nfive\n')
    expect(readdirSync(folder).sort()).toEqual(['audit.log', 'audit.log.1'])
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
