import { expect, test } from 'bun:test'
import { authorityOf } from '../../../src/core/authority.ts'

test('a host and a port are written as a URL has them, an IPv6 address in brackets', () => {
  expect([authorityOf('localhost', 8000), authorityOf('127.0.0.1', 80), authorityOf('::1', 443)]).toEqual([
    'localhost:8000',
    '127.0.0.1:80',
    '[::1]:443',
  ])
})
