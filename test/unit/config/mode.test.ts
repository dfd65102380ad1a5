import { expect, test } from 'bun:test'
import { modeOf } from '../../../src/config/mode.ts'
import { isLoopback } from '../../../src/core/loopback.ts'

test('loopback addresses are those that only this machine reaches', () => {
  for (const host of ['127.0.0.1', '127.0.0.2', '127.255.255.255', '::1', '[::1]', 'localhost', 'LocalHost']) {
    expect([host, isLoopback(host)]).toEqual([host, true])
  }
  const others = [
    '0.0.0.0',
    '::',
    '[::]',
    '',
    '*',
    '10.0.0.1',
    '192.168.1.1',
    '127.0.0.1.evil.example',
    '127.evil.example',
    'localhost.evil',
  ]
  for (const host of [...others, '128.0.0.1', '1127.0.0.1', '127.0.0.256', '127.1', '::ffff:10.0.0.1', 'evil.example', '::11']) {
    expect([host, isLoopback(host)]).toEqual([host, false])
  }
})

test('production is where NODE_ENV says so, and wherever others can reach the server', () => {
  expect(modeOf({ host: '127.0.0.1' }, {})).toBe('development')
  expect(modeOf({ host: '127.0.0.1' }, { NODE_ENV: 'test' })).toBe('development')
  expect(modeOf({ host: '127.0.0.1' }, { NODE_ENV: 'production' })).toBe('production')
  expect(modeOf({ host: '0.0.0.0' }, {})).toBe('production')
  expect(modeOf({ host: '0.0.0.0' }, { NODE_ENV: 'development' })).toBe('production')
  expect(modeOf({ host: '127.0.0.1', unix: 'vestal.sock' }, {})).toBe('production')
})
