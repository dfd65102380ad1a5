import { expect, test } from 'bun:test'
import { createPrincipal, keyOfAddress } from '../../../src/core/principal.ts'

const ISSUER = 'https://idp.example'
const local = (subject?: string) => createPrincipal({ isLocal: true, issuer: undefined, subject }).key
const foreign = (issuer: string | undefined, subject?: string) => createPrincipal({ isLocal: false, issuer, subject }).key

test('the key of a local principal is its subject, and that of another issuer names the issuer too', () => {
  expect([local('497f6eca-6276-4993-bfeb-53cbbbba6f08'), local('key:AbC'), local('command-line')]).toEqual([
    '497f6eca-6276-4993-bfeb-53cbbbba6f08',
    'key:AbC',
    'command-line',
  ])
  expect(foreign(ISSUER, 'auth0|anna@example.org')).toBe('https://idp.example auth0|anna@example.org')
  // What separates its parts is written as in a URL: a key is stored, so its form stays.
  expect(foreign(ISSUER, '50% (Ann Lee)')).toBe('https://idp.example 50%25%20%28Ann%20Lee)')
})

test('a token without a subject is the principal of its issuer’s tokens without one', () => {
  expect([foreign(ISSUER), local(), foreign(undefined, 'bob'), foreign(undefined)]).toEqual([
    'https://idp.example (no subject)',
    '(no subject)',
    '(no issuer) bob',
    '(no issuer) (no subject)',
  ])
})

test('no two principals share a key, whatever their issuers and subjects contain', () => {
  const parts = [
    undefined,
    'a',
    'a b',
    ' a',
    'a ',
    'b',
    ' ',
    '%',
    '%20',
    'a%20b',
    '(no',
    'subject)',
    '(no subject)',
    '(no issuer)',
    'address',
    '(address)',
    '192.0.2.1',
  ]
  const keys = parts.flatMap((subject) => [local(subject), ...parts.map((issuer) => foreign(issuer, subject))])
  const addresses = [keyOfAddress('192.0.2.1'), keyOfAddress('unknown'), keyOfAddress('a')]
  expect(new Set([...keys, ...addresses]).size).toBe(parts.length * (parts.length + 1) + addresses.length)
})
