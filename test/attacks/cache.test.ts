import { describe, expect, test } from 'bun:test'
import { type AuthenticatorOptions, createAuthenticator } from '../../src/auth/authenticator.ts'
import { VestalError } from '../../src/index.ts'
import { atOnce } from '../support/at-once.ts'
import { startKeyServer, testKey } from '../support/key-server.ts'
import { below, seeded } from '../support/seed.ts'
import { makeToken, SECRET } from '../support/tokens.ts'

const NOW = 1_800_000_000
const OTHER = 'another secret that is long enough to be one'

function start(options: AuthenticatorOptions = {}) {
  const clock = { seconds: NOW }
  const authenticator = createAuthenticator({ secret: SECRET, now: () => clock.seconds * 1000, ...options })
  const requestOf = (token: string) => new Request('http://localhost/', { headers: { authorization: `Bearer ${token}` } })
  const identify = (token: string) => atOnce(authenticator.authenticate(requestOf(token)))
  const send = (token: string): string => {
    try {
      return `accepted as ${identify(token).payload.sub}`
    } catch (error) {
      if (error instanceof VestalError) return error.code
      throw error
    }
  }
  return { authenticator, clock, identify, send }
}

const tokenOf = (more: object = {}, secret = SECRET) =>
  makeToken({ payload: { sub: 'me', exp: NOW + 60, jti: 'j', ...more }, secret })
const ME = 'accepted as me'

describe('R1: a token is remembered whole', () => {
  test('so that one with another signature is another', () => {
    const { send } = start()
    const token = tokenOf()
    expect(send(token)).toBe(ME)
    const end = token.lastIndexOf('.') + 1
    for (let at = end; at < token.length; at += 1) {
      const other = token.slice(0, at) + (token[at] === 'A' ? 'B' : 'A') + token.slice(at + 1)
      expect(send(other)).toBeOneOf(['SIGNATURE_INVALID', 'TOKEN_MALFORMED'])
    }
    expect(send(token)).toBe(ME)
  })
})

describe('R2: tokens that look alike', () => {
  test('are never taken for each other', () => {
    const { send, authenticator } = start({ cacheEntriesMax: 500 })
    const random = seeded('alike')
    // The same length, the same beginning, the same end of the claims, and a thousand subjects.
    const tokens = Array.from({ length: 1000 }, (_, index) => {
      const sub = `user-${String(index).padStart(4, '0')}`
      return { sub, token: makeToken({ payload: { iss: 'i', sub, exp: NOW + 60, end: 'same' } }) }
    })
    expect(new Set(tokens.map(({ token }) => token.length)).size).toBe(1)
    for (let round = 0; round < 10_000; round += 1) {
      const asked = tokens[below(random, tokens.length)]
      expect(send(asked?.token ?? '')).toBe(`accepted as ${asked?.sub}`)
    }
    expect(authenticator.cacheStatistics.hits).toBeGreaterThan(2000)
  })
})

describe('R3: a remembered token ends at the first request after', () => {
  const after = (change: (started: ReturnType<typeof start>) => void, token: string, options: AuthenticatorOptions = {}) => {
    const started = start(options)
    expect([started.send(token), started.send(token)]).toEqual([ME, ME])
    expect(started.authenticator.cacheStatistics.hits).toBe(1)
    change(started)
    return started.send(token)
  }

  test('its end, with an iat and without', () => {
    const pass = ({ clock }: { clock: { seconds: number } }) => {
      clock.seconds = NOW + 65
    }
    expect(after(pass, tokenOf())).toBe('TOKEN_EXPIRED')
    expect(after(pass, tokenOf({ iat: NOW }))).toBe('TOKEN_EXPIRED')
  })

  test('a clock that goes back before its beginning (C16)', () => {
    const back = ({ clock }: { clock: { seconds: number } }) => {
      clock.seconds = NOW - 60
    }
    expect(after(back, tokenOf({ nbf: NOW }))).toBe('TOKEN_NOT_YET_VALID')
    expect(after(back, tokenOf({ iat: NOW }))).toBe('TOKEN_ISSUED_IN_FUTURE')
    expect(after(back, tokenOf())).toBe(ME)
  })

  for (const what of ['jti', 'sid', 'sub'] as const) {
    test(`its ${what} is revoked (C10)`, () => {
      const revoked = new Set<unknown>()
      const isRevoked: AuthenticatorOptions['isRevoked'] = ({ payload }) => revoked.has(payload[what])
      const token = tokenOf({ sid: 's' })
      expect(after(() => void revoked.add({ jti: 'j', sid: 's', sub: 'me' }[what]), token, { isRevoked })).toBe('TOKEN_REVOKED')
    })
  }

  test('its key is gone', () => {
    expect(after(({ authenticator }) => authenticator.replaceKeys(OTHER), tokenOf())).toBe('SIGNATURE_INVALID')
  })

  test('its issuer publishes other keys, and its issuer’s keys are too old', async () => {
    const [a, b] = [testKey('a'), testKey('b')]
    await using server = startKeyServer(a)
    const clock = { seconds: NOW }
    const authenticator = createAuthenticator({
      issuers: [{ name: 'one', audiences: ['me'], jwksUrl: server.url, jwks: { maxAgeSeconds: 600 } }],
      now: () => clock.seconds * 1000,
      schedule: () => () => undefined,
      warn: () => undefined,
    })
    const send = async (token: string) => {
      const request = new Request('http://localhost/', { headers: { authorization: `Bearer ${token}` } })
      return Promise.resolve()
        .then(() => authenticator.authenticate(request))
        .then(({ payload }) => `accepted as ${payload.sub}`)
        .catch((error: VestalError) => error.code)
    }
    const claims = { iss: 'one', aud: 'me', sub: 'me', exp: NOW + 3600, iat: NOW }
    const token = a.sign(claims)
    expect([await send(token), await send(token)]).toEqual([ME, ME])
    server.publish(b)
    clock.seconds += 31
    expect([await send(b.sign(claims)), await send(token)]).toEqual([ME, 'KEY_UNKNOWN'])
    await server.die()
    clock.seconds += 600
    expect(await send(b.sign(claims))).toBe('KEYS_UNAVAILABLE')
    authenticator.close()
  })

  test('the handler of its route is given other permissions to ask for', () => {
    const { authenticator, identify } = start()
    const token = tokenOf({ data: { permissions: ['a'] } })
    authenticator.authorize(identify(token), ['a'])
    expect(() => authenticator.authorize(identify(token), ['a', 'b'])).toThrow('needs a, b')
  })
})

test('R4: what a handler does to claims, the next one does not see', () => {
  const { identify } = start()
  const token = tokenOf({ data: { permissions: ['a'], roles: { r: ['b'] } }, nested: { list: [{ a: 1 }] } })
  const before = structuredClone(identify(token).payload)
  const { payload, header } = identify(token)
  const changes: readonly (() => unknown)[] = [
    () => Object.assign(payload, { sub: 'admin' }),
    () => Object.defineProperty(payload, 'admin', { value: true }),
    () => Object.setPrototypeOf(payload, { admin: true }),
    () => delete (payload as { sub?: string }).sub,
    () => (payload.data as { permissions: string[] }).permissions.push('*'),
    () => Object.assign((payload.data as { roles: object }).roles, { r: ['*'] }),
    () => Object.assign((payload.nested as { list: object[] }).list[0] ?? {}, { a: 2 }),
    () => Object.assign(header, { alg: 'none' }),
  ]
  for (const change of changes) expect(change).toThrow(TypeError)
  expect(identify(token).payload).toEqual(before)
  expect(identify(token).allows(['*'])).toBe(false)
})

test('R5: a flood of tokens, right and wrong, stays within the bounds and moves no good token out', () => {
  const { send, authenticator } = start({ cacheEntriesMax: 100, cacheBytesMax: 200_000 })
  const good = tokenOf()
  for (let round = 0; round < 3; round += 1) expect(send(good)).toBe(ME)
  for (let index = 0; index < 5000; index += 1) send(tokenOf({ sub: `${index}` }, OTHER))
  const afterWrong = authenticator.cacheStatistics
  expect([afterWrong.entries, afterWrong.evictions]).toEqual([1, 0])
  for (let index = 0; index < 5000; index += 1) {
    send(tokenOf({ sub: `${index}` }))
    // Somebody who is there all the time stays, however many pass through once.
    if (index % 50 === 0) expect(send(good)).toBe(ME)
  }
  const { entries, weight, hits } = authenticator.cacheStatistics
  expect(entries).toBeLessThanOrEqual(100)
  expect(weight).toBeLessThanOrEqual(200_000)
  expect(hits).toBeGreaterThan(90)
})

test('R6: a token that was remembered for one place is judged anew at another', () => {
  const issuers = (audience: string) => [{ name: 'one', audiences: [audience], keys: SECRET, permissionClaims: ['scope'] }]
  const token = tokenOf({ iss: 'one', aud: 'a', scope: 'p1' })
  const [a, b] = [start({ issuers: issuers('a') }), start({ issuers: issuers('b') })]
  expect([a.send(token), a.send(token), b.send(token), b.send(token)]).toEqual([ME, ME, 'AUDIENCE_REFUSED', 'AUDIENCE_REFUSED'])
  const asked = a.identify(token)
  expect([asked.allows(['p1']), asked.allows(['p2']), asked.allows(['p1', 'p2'])]).toEqual([true, false, false])
})
