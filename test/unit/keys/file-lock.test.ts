import { afterAll, describe, expect, test } from 'bun:test'
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { withFileLock } from '../../../src/keys/file-lock.ts'
import { writeWhole } from '../../../src/platform/write-whole.ts'

const folder = mkdtempSync(join(tmpdir(), 'vestal-lock-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('a lock beside a file', () => {
  test('lets one work at a time, and the next one once it is done', () => {
    const path = join(folder, 'one')
    const inside = withFileLock(path, () => {
      expect(() => withFileLock(path, () => 'second', 0)).toThrow('another process is changing the keys')
      return 'first'
    })
    expect([inside, withFileLock(path, () => 'second', 0)]).toEqual(['first', 'second'])
    expect(statSync(`${path}.lock`).mode & 0o777).toBe(0o600)
  })

  test('is let go of where the work fails', () => {
    const path = join(folder, 'two')
    expect(() =>
      withFileLock(path, () => {
        throw new Error('the work failed')
      }),
    ).toThrow('the work failed')
    expect(withFileLock(path, () => 'again', 0)).toBe('again')
  })

  test('makes the writers of several processes wait for each other', async () => {
    const path = join(folder, 'counted')
    writeFileSync(path, '0')
    const program = `const { withFileLock } = await import(${JSON.stringify(join(import.meta.dir, '../../../src/keys/file-lock.ts'))})
      const { readFileSync, writeFileSync } = await import('node:fs')
      const path = ${JSON.stringify(path)}
      for (let round = 0; round < 50; round += 1) withFileLock(path, () => writeFileSync(path, String(Number(readFileSync(path, 'utf8')) + 1)))`
    const writers = [0, 1, 2].map(() => Bun.spawn([process.execPath, '-e', program], { stderr: 'inherit' }).exited)
    expect(await Promise.all(writers)).toEqual([0, 0, 0])
    expect(readFileSync(path, 'utf8')).toBe('150')
  })

  test('is let go of where its owner is killed', async () => {
    const path = join(folder, 'three')
    const program = `const { withFileLock } = await import(${JSON.stringify(join(import.meta.dir, '../../../src/keys/file-lock.ts'))})
      withFileLock(${JSON.stringify(path)}, () => { console.log('held'); for (;;) Bun.sleepSync(50) })`
    const owner = Bun.spawn([process.execPath, '-e', program], { stdout: 'pipe' })
    for await (const _ of owner.stdout) break
    expect(() => withFileLock(path, () => 'mine', 0)).toThrow('another process')
    owner.kill('SIGKILL')
    await owner.exited
    expect(withFileLock(path, () => 'mine', 0)).toBe('mine')
  })
})

describe('a file that is written whole', () => {
  test('is closed to others, whatever it was before, and leaves nothing beside it', () => {
    const path = join(folder, 'whole')
    writeFileSync(path, 'old')
    chmodSync(path, 0o644)
    writeFileSync(`${path}.tmp`, 'of a writer that was killed')
    writeWhole(path, 'new')
    expect([readFileSync(path, 'utf8'), statSync(path).mode & 0o777, existsSync(`${path}.tmp`)]).toEqual(['new', 0o600, false])
  })

  test('is as it was where it cannot be written', () => {
    const path = join(folder, 'no-such-folder', 'whole')
    expect(() => writeWhole(path, 'new')).toThrow('ENOENT')
    expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([])
  })
})
