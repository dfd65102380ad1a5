import { describe, expect, test } from 'bun:test'
import { compileGrants, grantsOf } from '../../../src/auth/permissions.ts'

describe('grants', () => {
  test('are the permissions and every list of the roles', () => {
    const data = { permissions: ['a'], roles: { analyst: ['b', 'c'], empty: [] } }
    expect(grantsOf({ data })).toEqual(['a', 'b', 'c'])
  })

  test('of any other shape are none, and never an error', () => {
    const shapes = [
      undefined,
      null,
      'p',
      7,
      true,
      ['p'],
      { permissions: 'p' },
      { permissions: null },
      { permissions: { p: true } },
    ]
    for (const data of [...shapes, { roles: ['p'] }, { roles: 'p' }, { roles: null }, { roles: { a: 'p' } }]) {
      expect(grantsOf({ data })).toEqual([])
    }
  })

  test('that are no texts are left out', () => {
    expect(grantsOf({ data: { permissions: ['a', 7, null, ['b'], { c: 1 }] } })).toEqual(['a'])
  })

  test('at the top of the claims count with interop flama alone', () => {
    const claims = { permissions: ['a'], roles: { r: ['b'] }, data: { permissions: ['c'] } }
    expect(grantsOf(claims)).toEqual(['c'])
    expect(grantsOf(claims, { interop: 'flama' })).toEqual(['c', 'a', 'b'])
  })
})

describe('a grant', () => {
  const cases: readonly (readonly [grant: string, permission: string, isCovered: boolean])[] = [
    ['model:iris:predict', 'model:iris:predict', true],
    ['model:iris:predict', 'model:iris:read', false],
    ['model:*:predict', 'model:iris:predict', true],
    ['model:*:predict', 'model:iris:read', false],
    ['model:*:*', 'model:iris:read', true],
    ['*:iris:read', 'model:iris:read', true],
    ['*', 'model:iris:read', true],
    ['*', 'anything', true],
    ['model:*', 'model:iris:read', false],
    ['model:*:*:*', 'model:iris:read', false],
    ['*:*', 'model:iris:read', false],
    ['model:ir*:read', 'model:iris:read', false],
    ['model:**:read', 'model:iris:read', false],
    ['model:*:predict', 'model::predict', true],
    ['MODEL:*:predict', 'model:iris:predict', false],
    ['', 'model:iris:predict', false],
    ['model:iris', 'model:iris:predict', false],
    ['a.b', 'axb', false],
    ['a', '*', false],
    ['a:b', 'a:*', false],
    ['a:*', 'a:*', true],
  ]
  for (const [grant, permission, isCovered] of cases) {
    test(`"${grant}" ${isCovered ? 'covers' : 'does not cover'} "${permission}"`, () => {
      expect(compileGrants([grant])([permission])).toBe(isCovered)
    })
  }
})

test('of several grants one is enough, however many there are', () => {
  for (const count of [1, 15, 16, 17, 40]) {
    const others = Array.from({ length: count - 1 }, (_, index) => (index % 2 === 0 ? `other:${index}` : `other:*:${index}`))
    for (const grants of [
      [...others, 'model:iris:predict'],
      ['model:*:predict', ...others],
      [...others, '*'],
    ]) {
      const allows = compileGrants(grants)
      expect([grants.length, allows(['model:iris:predict'])]).toEqual([count, true])
      expect([grants.length, allows(['model:iris:predict', 'model:iris:predict'])]).toEqual([count, true])
    }
    expect([count, compileGrants(others)(['model:iris:predict'])]).toEqual([count, false])
    expect([count, compileGrants([...others, 'a'])(['a', 'model:iris:predict'])]).toEqual([count, false])
  }
})

describe('a requirement', () => {
  test('of several permissions asks for all of them', () => {
    expect(compileGrants(['a', 'b'])(['a', 'b'])).toBe(true)
    expect(compileGrants(['a'])(['a', 'b'])).toBe(false)
    expect(compileGrants([])(['a'])).toBe(false)
  })

  test('of none is met by anyone', () => {
    expect(compileGrants([])([])).toBe(true)
  })
})
