import { describe, expect, test } from 'bun:test'
import { createFreshnessCheck, isAdministrative, type StalePolicy } from '../../../src/accounts/revocation-sync.ts'
import { type AuthenticatedToken, type AuthenticatorOptions, createAuthenticator } from '../../../src/auth/authenticator.ts'
import { VestalError } from '../../../src/core/errors.ts'
import { atOnce } from '../../support/at-once.ts'
import { makeToken, SECRET } from '../../support/tokens.ts'

const TOKEN = makeToken({ payload: { sub: 'token', exp: 4_000_000_000, data: { permissions: ['*'] } } })
const byKey = { principal: { subject: 'key' } } as AuthenticatedToken

function setUp({ find, ...options }: { find?: (text: string) => never } & Omit<AuthenticatorOptions, 'apiKeys'> = {}) {
  const found: string[] = []
  const apiKeys = {
    find: (text: string) => {
      found.push(text)
      return find === undefined ? { token: byKey } : find(text)
    },
  }
  const authenticator = createAuthenticator({ secret: SECRET, apiKeys, ...options })
  const ask = (headers: Record<string, string>) =>
    atOnce(authenticator.authenticate(new Request('http://localhost/', { headers }))).principal.subject
  return { authenticator, found, ask }
}

function rejection(work: () => unknown): unknown {
  try {
    return work()
  } catch (error) {
    return error instanceof VestalError ? [error.code, error.detail, error.headers] : error
  }
}

describe('an API key', () => {
  test('is read from its own header, or as a bearer, and all else is a token', () => {
    const cases: readonly (readonly [headers: Record<string, string>, who: string, text?: string])[] = [
      [{ authorization: `Bearer ${TOKEN}` }, 'token'],
      [{ cookie: `access_token=${TOKEN}` }, 'token'],
      [{ 'x-api-key': 'vst_a' }, 'key', 'vst_a'],
      [{ 'x-api-key': 'anything' }, 'key', 'anything'],
      [{ 'x-api-key': 'vst_a', cookie: `access_token=${TOKEN}` }, 'key', 'vst_a'],
      [{ authorization: 'Bearer vst_a' }, 'key', 'vst_a'],
      [{ authorization: 'bearer   vst_' }, 'key', 'vst_'],
    ]
    for (const [headers, who, text] of cases) {
      const { ask, found } = setUp()
      expect<unknown>([headers, ask(headers), found]).toEqual([headers, who, text === undefined ? [] : [text]])
    }
    const rejected: readonly (readonly [headers: Record<string, string>, code: string])[] = [
      [{}, 'TOKEN_MISSING'],
      [{ authorization: 'Bearer xvst_a' }, 'TOKEN_MALFORMED'],
      [{ authorization: 'Bearer vst_a b' }, 'AUTHORIZATION_MALFORMED'],
      [{ authorization: 'Basic vst_a' }, 'AUTHORIZATION_MALFORMED'],
    ]
    for (const [headers, code] of rejected) {
      const { ask, found } = setUp()
      expect([headers, rejection(() => ask(headers)), found]).toEqual([headers, [code, expect.anything(), expect.anything()], []])
    }
  })

  test('is nothing where none are accepted', () => {
    const authenticator = createAuthenticator({ secret: SECRET })
    for (const headers of [{ 'x-api-key': 'vst_a' }, { authorization: 'Bearer vst_a' }] as Record<string, string>[])
      expect(() => authenticator.authenticate(new Request('http://localhost/', { headers }))).toThrow(VestalError)
  })

  test('is not sent beside a token, also where that is cached', () => {
    const { ask, found } = setUp()
    const authorization = `Bearer ${TOKEN}`
    expect([ask({ authorization }), ask({ authorization })]).toEqual(['token', 'token'])
    expect(rejection(() => ask({ 'x-api-key': 'vst_a', authorization }))).toEqual([
      'AUTHORIZATION_MALFORMED',
      'Send Authorization or X-API-Key, not both',
      { 'www-authenticate': 'Bearer realm="vestal", error="invalid_request"' },
    ])
    expect(found).toEqual([])
  })

  test('that is rejected is answered with a challenge, which says why only to those who have the key', () => {
    const throwing = (error: unknown) =>
      setUp({
        find: () => {
          throw error
        },
      })
    const plain = throwing(new VestalError('API_KEY_REFUSED', { reason: 'there is no such key' }))
    const described = throwing(new VestalError('API_KEY_REFUSED', { detail: 'The API key expired', reason: 'it is over' }))
    const headersOf = (result: unknown) => (result as [string, string, Record<string, string>])[2]['www-authenticate']
    expect(headersOf(rejection(() => plain.ask({ 'x-api-key': 'vst_a' })))).toBe('Bearer realm="vestal", error="invalid_token"')
    expect(headersOf(rejection(() => described.ask({ 'x-api-key': 'vst_a' })))).toBe(
      'Bearer realm="vestal", error="invalid_token", error_description="The API key expired"',
    )
    const broken = new TypeError('broken')
    expect(rejection(() => throwing(broken).ask({ 'x-api-key': 'vst_a' }))).toBe(broken)
  })
})

test('a token that lacks a permission is rejected whatever else holds', () => {
  const { authenticator } = setUp({ checkFreshness: () => undefined })
  const token = { allows: () => false } as unknown as AuthenticatedToken
  expect(() => authenticator.authorize(token, ['a'])).toThrow('needs a')
})

describe('while what is revoked is not known', () => {
  const stale = ['STORE_UNAVAILABLE', expect.any(String), { 'retry-after': '1' }]
  const cases: readonly (readonly [whenStale: StalePolicy, required: readonly string[], isRejected: boolean])[] = [
    ['open', ['users:write'], false],
    ['open', ['model:iris:predict'], false],
    ['closed', ['model:iris:predict'], true],
    ['closed', [], true],
    ['administration', ['model:iris:predict'], false],
    ['administration', ['model:iris:predict', 'users:read'], true],
    ['administration', ['model:iris:admin'], true],
    ['administration', [], false],
  ]
  for (const [whenStale, required, isRejected] of cases) {
    test(`${whenStale} ${isRejected ? 'rejects' : 'passes on'} ${JSON.stringify(required)}`, () => {
      for (const isFresh of [true, false]) {
        const { authenticator } = setUp({ checkFreshness: createFreshnessCheck({ isFresh: () => isFresh, whenStale }) })
        const asked: (readonly string[])[] = []
        const token = { allows: (list: readonly string[]) => asked.push(list) > 0 } as unknown as AuthenticatedToken
        expect(rejection(() => authenticator.authorize(token, required))).toEqual(isRejected && !isFresh ? stale : undefined)
        expect(asked).toEqual(isRejected && !isFresh ? [] : [required])
      }
    })
  }

  test('administration is what changes the server, or shows who may', () => {
    for (const permission of [
      '*',
      'users:read',
      'roles:read',
      'api-keys:write',
      'audit:read',
      'keys:x',
      'tokens:introspect',
      'server:reload',
      'model:a:admin',
      'other:write',
    ])
      expect([permission, isAdministrative(permission)]).toEqual([permission, true])
    for (const permission of [
      'model:a:predict',
      'metrics:read',
      'model:users:read',
      'a*',
      'model:a:administer',
      'my-permission-name',
    ])
      expect([permission, isAdministrative(permission)]).toEqual([permission, false])
  })
})
