import { expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Store } from '../../../src/accounts/store.ts'
import { createAuditLog } from '../../../src/storage/audit-log.ts'

/** A store whose transactions end as the test says. */
function storeThat(transaction: () => Promise<never>): Store {
  return { transaction } as unknown as Store
}

function setUp(to: 'file' | 'database', store = storeThat(() => Promise.reject(new Error('gone')))) {
  const folder = mkdtempSync(join(tmpdir(), 'vestal-audit-'))
  const clock = { ms: 0 }
  const warnings: string[] = []
  const log = createAuditLog({ to, folder, store, now: () => clock.ms, warn: (message) => warnings.push(message) })
  return { folder, clock, warnings, log, [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) }
}

test('an event that the file does not take is counted and told of once a minute, and ends nothing', () => {
  using place = setUp('file')
  const { folder, clock, warnings, log } = place
  const path = join(folder, 'audit.log')
  log.write({ event: 'sign-in' })
  expect([log.lost(), warnings]).toEqual([0, []])
  rmSync(path)
  mkdirSync(path)
  for (let index = 0; index < 50; index += 1) log.write({ event: 'sign-in-refused' })
  expect([log.lost(), warnings]).toEqual([
    50,
    ['events of the audit log are lost (1 up to now): the file cannot be written (EISDIR)'],
  ])
  clock.ms += 60_000
  log.write({ event: 'sign-in-refused' })
  expect([log.lost(), warnings.length]).toEqual([51, 2])
  expect(warnings.join()).not.toContain(folder)
  rmSync(path, { recursive: true })
  log.write({ event: 'signed-out' })
  expect([log.lost(), readFileSync(path, 'utf8')]).toEqual([51, expect.stringContaining('signed-out')])
})

test('an event that the database does not take is counted too', async () => {
  using place = setUp('database')
  for (let index = 0; index < 3; index += 1) place.log.write({ event: 'sign-in' })
  await place.log.flush()
  expect([place.log.lost(), place.warnings]).toEqual([3, ['events of the audit log are lost (1 up to now): Error: gone']])
})
