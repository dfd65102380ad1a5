import { expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createAuditFile } from '../../../src/store/audit-file.ts'
import { readAuditFiles } from '../../../src/store/audit-log.ts'

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
