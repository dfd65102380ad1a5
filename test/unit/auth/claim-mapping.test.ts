import { describe, expect, test } from 'bun:test'
import { createClaimReaders, createGrantReader, type GrantRules } from '../../../src/auth/permissions.ts'

const grants = (rules: GrantRules, claims: Readonly<Record<string, unknown>>) => createGrantReader(rules)(claims)

describe('permissions in claims', () => {
  test('are those of data where no claim is named', () => {
    expect(grants({}, { data: { permissions: ['a'], roles: { r: ['b'] } }, scope: 'c' })).toEqual(['a', 'b'])
  })

  test('are read from the claims that are named, and from no other', () => {
    const claims = { scope: 'a  b', permissions: ['c', 'd e'], data: { permissions: ['no'] } }
    expect(grants({ permissionClaims: ['scope', 'permissions'] }, claims)).toEqual(['a', 'b', 'c', 'd e'])
    expect(grants({ permissionClaims: ['scp'] }, claims)).toEqual([])
  })

  test('are found through dots, unless a claim has the whole name', () => {
    const claims = { realm_access: { roles: ['a'] }, 'https://example.org/roles': ['b'], 'x.y': ['c'], x: { y: ['d'] } }
    const permissionClaims = ['realm_access.roles', 'https://example.org/roles', 'x.y']
    expect(grants({ permissionClaims }, claims)).toEqual(['a', 'b', 'c'])
  })

  test('of another shape grant nothing (C15)', () => {
    const shapes = [null, 7, true, { a: 'b' }, [['a']], [7], '', '   ']
    for (const scope of shapes) expect(grants({ permissionClaims: ['scope', 'scope.a.b'] }, { scope })).toEqual([])
    for (const name of ['constructor', '__proto__', 'toString.name', 'list.0', 'list.length'])
      expect(grants({ permissionClaims: [name] }, { list: ['a'] })).toEqual([])
  })

  test('are what a value stands for, where a table says so', () => {
    const rules = { permissionClaims: ['groups'], grants: { analysts: ['model:*:predict', 'model:*:read'], none: [] } }
    expect(grants(rules, { groups: ['analysts', 'others', 'none', 'model:iris:admin'] })).toEqual([
      'model:*:predict',
      'model:*:read',
    ])
    expect(grants(rules, { groups: ['toString', '__proto__'] })).toEqual([])
  })

  test('never go beyond what the issuer may grant', () => {
    const rules = { permissionClaims: ['scope'], mayGrant: ['model:iris:*', 'metrics:read'] }
    const scope = 'model:iris:predict model:iris:* model:*:predict model:digits:read metrics:read metrics:* * model:iris'
    expect(grants(rules, { scope })).toEqual(['model:iris:predict', 'model:iris:*', 'metrics:read'])
    expect(grants({ ...rules, mayGrant: [] }, { scope })).toEqual([])
  })

  test('name roles: those of data, or where claims are named, what these grant', () => {
    const rolesOf = (rules: GrantRules, claims: Readonly<Record<string, unknown>>, options = {}) => {
      const readers = createClaimReaders(rules, options)
      return readers.rolesOf(claims, readers.grantsOf(claims))
    }
    const data = { permissions: ['x'], roles: { gold: ['a:b'], silver: [], odd: 'a:b' } }
    expect(rolesOf({}, { data, roles: { top: ['a:b'] } })).toEqual(['gold', 'silver', 'odd'])
    expect(rolesOf({}, { data, roles: { top: ['a:b'] } }, { interop: 'flama' })).toEqual(['top', 'gold', 'silver', 'odd'])
    for (const roles of [undefined, null, 'gold', ['gold'], 7]) expect(rolesOf({}, { data: { roles } })).toEqual([])
    expect(rolesOf({ mayGrant: ['a:*'] }, { data })).toEqual(['gold'])
    expect(rolesOf({ mayGrant: ['c:*'] }, { data })).toEqual([])
    expect(rolesOf({ grants: { 'a:b': ['c'] } }, { data })).toEqual(['gold'])
    expect(rolesOf({ permissionClaims: ['groups'] }, { data, groups: ['bronze'] })).toEqual(['bronze'])
    expect(rolesOf({ permissionClaims: ['groups'], grants: { bronze: ['tin'] } }, { data, groups: ['bronze'] })).toEqual(['tin'])
    expect(rolesOf({ permissionClaims: ['groups'], mayGrant: ['a:*'] }, { data, groups: ['gold', 'a:b'] })).toEqual(['a:b'])
  })

  test('with rules that cannot work are rejected at the start', () => {
    for (const rules of [{ permissionClaims: 'scope' }, { permissionClaims: [''] }, { mayGrant: [7] }, { grants: { a: 'b' } }])
      expect(() => createGrantReader(rules as never)).toThrow('list of strings')
  })
})
