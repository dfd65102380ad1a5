import { expect, test } from 'bun:test'
import { loadSettings } from '../../../src/config/load.ts'
import { lookAtSettings } from '../../../src/doctor/settings.ts'
import { HAS_PROCESSES } from '../../support/processes.ts'

const look = (flags: Readonly<Record<string, readonly string[]>>) => {
  const { settings } = loadSettings({ flags, environment: {}, directory: '/' })
  return lookAtSettings({ settings, mode: 'development', environment: {}, faults: [], warnings: [] })
}

test.skipIf(!HAS_PROCESSES)('settings that several processes cannot keep are faults, and what they share is told', () => {
  const limits = { unix: ['a.sock'], inputBytesMax: ['1'] }
  expect(look({ processes: ['2'], ...limits }).map(({ level, message }) => [level, message])).toEqual([
    ['wrong', 'unix: one process alone listens on a unix socket; with several take a port'],
    ['note', 'input_bytes_max: each of 2 processes counts its own share, which is 1 at least: 2 in all'],
  ])
  expect(look(limits).map(({ level }) => level)).toEqual(['right'])
})
