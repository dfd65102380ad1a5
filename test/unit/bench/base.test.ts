import { expect, test } from 'bun:test'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { checkOut, recordedBase } from '../../../bench/compare/base.ts'

test('the recorded base is a whole commit', () => {
  expect(recordedBase()).toMatch(/^[0-9a-f]{40}$/)
})

test('a commit that is not in this clone is no base, and the reason says so', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'vestal-base-'))
  try {
    const isClone = existsSync(join(import.meta.dir, '../../../.git'))
    for (const commit of ['0123456789012345678901234567890123456789', '--output=x']) {
      const base = await checkOut(commit, folder)
      expect(base.kind).toBe('none')
      if (base.kind === 'none')
        expect(base.reason).toStartWith(isClone ? `${commit} is not in this clone` : 'this is no checkout')
    }
    expect(readdirSync(folder)).toEqual([])
  } finally {
    rmSync(folder, { recursive: true })
  }
})
