import { expect, test } from 'bun:test'
import { chownSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isSealed, isSealing, newSealing } from '../../../src/keys/sealing.ts'
import { watchFile } from '../../../src/platform/watch-file.ts'
import { writeWhole } from '../../../src/platform/write-whole.ts'
import { until } from '../../support/until.ts'

/** A folder of a test's own. */
class Folder implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), 'vestal-keys-'));
  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true })
  }
}

/** A time at which a file system would have told of a change; the poll then has not had its turn. */
const HOUR_MS = 3_600_000

test('what is no object is neither parameters of sealing nor a sealed secret', () => {
  expect([isSealing(newSealing()), isSealed({ iv: 'AAAAAAAAAAAAAAAA', sealed: 'A'.repeat(24) })]).toEqual([true, true])
  for (const value of [null, undefined, 'text', 1, [], {}])
    expect([value, isSealing(value), isSealed(value)]).toEqual([value, false, false])
})

test('a sealed secret has an IV of 12 bytes and more than a tag, in canonical base64url', () => {
  const of = (iv: number, sealed: number) => ({
    iv: Buffer.alloc(iv).toString('base64url'),
    sealed: Buffer.alloc(sealed).toString('base64url'),
  })
  expect([isSealed(of(12, 17)), isSealed(of(12, 400))]).toEqual([true, true])
  for (const value of [
    of(11, 17),
    of(13, 17),
    of(12, 16),
    of(12, 0),
    of(0, 17),
    { ...of(12, 17), iv: 7 },
    { ...of(12, 17), sealed: 7 },
  ])
    expect([value, isSealed(value)]).toEqual([value, false])
  const { iv, sealed } = of(12, 17)
  for (const value of [
    { iv: `${iv}=`, sealed },
    { iv, sealed: `${sealed}=` },
    { iv: iv.replace(/^A/, '+'), sealed },
    { sealed },
    { iv },
  ])
    expect([value, isSealed(value)]).toEqual([value, false])
})

test('parameters of sealing that are weaker or dearer than ours are not taken', () => {
  const right = newSealing()
  for (const change of [
    { kdf: 'pbkdf2' },
    { cost: 2 ** 13 },
    { cost: 2 ** 21 },
    { cost: 2 ** 17 + 1 },
    { cost: '131072' },
    { blockSize: 4 },
    { parallelization: 0 },
    { parallelization: 5 },
    { parallelization: 1.5 },
    { parallelization: '1' },
    { salt: 'AAAA' },
    { salt: Buffer.alloc(15).toString('base64url') },
    { salt: 'A' },
    { salt: 1 },
  ])
    expect([change, isSealing({ ...right, ...change })]).toEqual([change, false])
  for (const change of [{ cost: 2 ** 14 }, { cost: 2 ** 20 }, { parallelization: 4 }])
    expect([change, isSealing({ ...right, ...change })]).toEqual([change, true])
})

test('a change of a file is heard of from the system, long before the poll, and no more once no one listens', async () => {
  using folder = new Folder()
  const path = join(folder.path, 'keys.json')
  const heard = { first: 0, second: 0 }
  let text = 0
  const change = () => {
    text += 1
    writeFileSync(path, String(text))
  }
  const listen = (name: keyof typeof heard) =>
    watchFile(
      path,
      (isChanged) => {
        if (isChanged) heard[name] += 1
      },
      { pollMs: HOUR_MS },
    )
  const untilHeard = (name: keyof typeof heard, times: number) =>
    until(async () => {
      // A file that changes all the time is never looked at.
      change()
      for (let waits = 0; waits < 50 && heard[name] < times; waits += 1) await Bun.sleep(10)
      return heard[name] >= times
    }, `${name} hears of a change`)
  const stopFirst = listen('first')
  await untilHeard('first', 1)
  stopFirst()
  const before = heard.first
  const stopSecond = listen('second')
  await untilHeard('second', 3)
  stopSecond()
  expect(heard.first).toBe(before)
})

test('a file is looked at as often as it is said, where the system reports nothing, and no more once no one listens', async () => {
  using folder = new Folder()
  const path = join(folder.path, 'keys.json')
  const looks = { first: 0, second: 0, changes: 0 }
  const stopFirst = watchFile(
    path,
    () => {
      looks.first += 1
    },
    { pollMs: 1 },
  )
  await until(() => looks.first >= 3, 'the first looks')
  stopFirst()
  const before = looks.first
  const stopSecond = watchFile(
    path,
    (isChanged) => {
      looks.second += 1
      if (isChanged) looks.changes += 1
    },
    { pollMs: 1 },
  )
  await until(() => looks.second >= 20, 'the second looks')
  expect([looks.first, looks.changes]).toEqual([before, 0])
  writeFileSync(path, 'new')
  await until(() => looks.changes === 1, 'the change is seen')
  stopSecond()
})

test('a file that is written whole leaves no open file and nothing beside it', () => {
  using folder = new Folder()
  const path = join(folder.path, 'keys.json')
  const handles = () => readdirSync('/proc/self/fd').length
  writeWhole(path, 'first')
  const before = process.platform === 'linux' ? handles() : 0
  for (let index = 0; index < 20; index += 1) writeWhole(path, `text ${index}`)
  expect([readFileSync(path, 'utf8'), readdirSync(folder.path)]).toEqual(['text 19', ['keys.json']])
  if (process.platform === 'linux') expect(handles()).toBeLessThan(before + 10)
})

test.skipIf(process.getuid?.() !== 0)('a file that is written whole keeps its owner and its group', () => {
  using folder = new Folder()
  const path = join(folder.path, 'keys.json')
  for (const [uid, gid] of [
    [1234, 0],
    [0, 1234],
    [1234, 1234],
    [0, 0],
  ] as const) {
    writeFileSync(path, 'old')
    chownSync(path, uid, gid)
    writeWhole(path, 'new')
    expect([statSync(path).uid, statSync(path).gid]).toEqual([uid, gid])
  }
})
