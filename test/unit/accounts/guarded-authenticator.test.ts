import { describe, expect, test } from 'bun:test'
import { guardAuthenticator, isAdministrative, type StalePolicy } from '../../../src/accounts/guarded-authenticator.ts'
import type { AuthenticatedToken, Authenticator } from '../../../src/auth/authenticator.ts'
import { VestalError } from '../../../src/core/errors.ts'

const byToken = { principal: { key: 'token' } } as AuthenticatedToken
const byKey = { principal: { key: 'key' } } as AuthenticatedToken

function setUp({
  isFresh = true,
  whenStale = 'open' as StalePolicy,
  find,
}: {
  isFresh?: boolean
  whenStale?: StalePolicy
  find?: (text: string) => never
} = {}) {
  const found: string[] = []
  const authorized: (readonly string[])[] = []
  const inner = {
    mayWait: true,
    authenticate: () => byToken,
    authenticateOrWait: () => byToken,
    authorize: (_token: AuthenticatedToken, required: readonly string[]) => void authorized.push(required),
  } as unknown as Authenticator
  const apiKeys = {
    find: (text: string) => {
      found.push(text)
      return find === undefined ? { key: {} as never, token: byKey } : find(text)
    },
  }
  const guarded = guardAuthenticator(inner, { apiKeys, isFresh: () => isFresh, whenStale })
  const ask = (headers: Record<string, string>) => {
    const request = new Request('http://localhost/', { headers })
    const answers = [guarded.authenticate(request), guarded.authenticateOrWait(request)] as AuthenticatedToken[]
    return answers.map(({ principal }) => principal.key)
  }
  return { guarded, found, authorized, ask }
}

function refusal(work: () => unknown): unknown {
  try {
    return work()
  } catch (error) {
    return error instanceof VestalError ? [error.code, error.detail, error.headers] : error
  }
}

describe('an API key', () => {
  test('is taken from its own header, or as a bearer, and all else is a token', () => {
    const cases: readonly (readonly [headers: Record<string, string>, who: string, text?: string])[] = [
      [{}, 'token'],
      [{ 'x-api-key': 'vst_a' }, 'key', 'vst_a'],
      [{ 'x-api-key': 'anything' }, 'key', 'anything'],
      [{ authorization: 'Bearer vst_a' }, 'key', 'vst_a'],
      [{ authorization: 'bearer   vst_' }, 'key', 'vst_'],
      [{ authorization: 'Bearer a.b.c' }, 'token'],
      [{ authorization: 'Bearer xvst_a' }, 'token'],
      [{ authorization: 'Bearer vst_a b' }, 'token'],
      [{ authorization: 'Basic vst_a' }, 'token'],
    ]
    for (const [headers, who, text] of cases) {
      const { ask, found } = setUp()
      expect([headers, ask(headers), found]).toEqual([headers, [who, who], text === undefined ? [] : [text, text]])
    }
  })

  test('is not sent beside a token', () => {
    const { ask } = setUp()
    expect(refusal(() => ask({ 'x-api-key': 'vst_a', authorization: 'Bearer a.b.c' }))).toEqual([
      'AUTHORIZATION_MALFORMED',
      'Send Authorization or X-API-Key, not both',
      {},
    ])
  })

  test('that is rejected is answered with a challenge, which says why only to those who have the key', () => {
    const throwing = (error: unknown) =>
      setUp({
        find: () => {
          throw error
        },
      })
    const plain = throwing(new VestalError('API_KEY_REFUSED', { reason: 'there is no such key' }))
    const told = throwing(new VestalError('API_KEY_REFUSED', { detail: 'The API key expired', reason: 'it has expired' }))
    const headersOf = (result: unknown) => (result as [string, string, Record<string, string>])[2]['www-authenticate']
    expect(headersOf(refusal(() => plain.ask({ 'x-api-key': 'vst_a' })))).toBe('Bearer realm="vestal", error="invalid_token"')
    expect(headersOf(refusal(() => told.ask({ 'x-api-key': 'vst_a' })))).toBe(
      'Bearer realm="vestal", error="invalid_token", error_description="The API key expired"',
    )
    const broken = new TypeError('broken')
    expect(refusal(() => throwing(broken).ask({ 'x-api-key': 'vst_a' }))).toBe(broken)
  })
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
      const { guarded, authorized } = setUp({ isFresh: false, whenStale })
      expect(refusal(() => guarded.authorize(byToken, required))).toEqual(isRejected ? stale : undefined)
      expect(authorized).toEqual(isRejected ? [] : [required])
      const fresh = setUp({ isFresh: true, whenStale })
      fresh.guarded.authorize(byToken, required)
      expect(fresh.authorized).toEqual([required])
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
