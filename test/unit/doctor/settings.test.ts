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
    ['wrong', 'unix: only one process can listen on a Unix socket; set processes to 1, or listen on a port'],
    ['note', 'input_bytes_max: each of 2 processes enforces its own share, which is at least 1, so the server allows 2'],
  ])
  expect(look(limits).map(({ level }) => level)).toEqual(['right'])
})
