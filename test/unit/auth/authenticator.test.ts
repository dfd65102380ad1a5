import { describe, expect, test } from 'bun:test'
import { generateKeyPairSync } from 'node:crypto'
import { CompactEncrypt } from 'jose'
import { type AuthenticatorOptions, createAuthenticator } from '../../../src/auth/authenticator.ts'
import { type ErrorCode, VestalError } from '../../../src/core/errors.ts'
import { atOnce } from '../../support/at-once.ts'
import { makeToken, SECRET } from '../../support/tokens.ts'

const NOW = 1_800_000_000
const OTHER = 'another secret that is long enough to be one'

/** An authenticator with a clock that the test moves, and a count of the tokens that it had to verify. */
function start(options: AuthenticatorOptions = {}) {
  const clock = { seconds: NOW }
  const authenticator = createAuthenticator({ secret: SECRET, now: () => clock.seconds * 1000, ...options })
  const ask = (headers: Record<string, string>): ErrorCode | 'accepted' => {
    try {
      atOnce(authenticator.authenticate(new Request('http://localhost/', { headers })))
      return 'accepted'
    } catch (error) {
      if (error instanceof VestalError) return error.code
      throw error
    }
  }
  return { authenticator, clock, ask, send: (token: string) => ask({ authorization: `Bearer ${token}` }) }
}

const good = (more: object = {}) => makeToken({ payload: { sub: 'me', exp: NOW + 60, ...more } })

describe('the cache of verified tokens', () => {
  test('remembers a token, however it is sent', () => {
    const { authenticator, ask, send } = start()
    const token = good()
    const ways = [
      { authorization: `Bearer ${token}` },
      { authorization: `bearer   ${token}` },
      { cookie: `access_token=${token}` },
    ]
    expect(send(token)).toBe('accepted')
    for (const headers of ways) expect(ask(headers)).toBe('accepted')
    expect(authenticator.cacheStatistics).toMatchObject({ hits: 3, entries: 1 })
  })

  test('remembers a success alone: a flood of bad tokens leaves it as it was', () => {
    const { authenticator, send } = start({ cacheEntriesMax: 4 })
    const token = good()
    send(token)
    for (let index = 0; index < 100; index += 1) {
      expect(send(makeToken({ payload: { sub: `${index}`, exp: NOW + 60 }, secret: OTHER }))).toBe('SIGNATURE_INVALID')
    }
    const before = authenticator.cacheStatistics
    expect([before.entries, before.evictions]).toEqual([1, 0])
    expect(send(token)).toBe('accepted')
    expect(authenticator.cacheStatistics.hits).toBe(before.hits + 1)
  })

  test('never accepts a token that is another by one character', () => {
    const { send } = start()
    const token = good()
    expect(send(token)).toBe('accepted')
    for (const other of [
      `${token.slice(0, -1)}${token.endsWith('A') ? 'E' : 'A'}`,
      `${token}A`,
      token.slice(1),
      token.toLowerCase(),
    ]) {
      expect(send(other)).not.toBe('accepted')
    }
    expect(send(token)).toBe('accepted')
  })

  test('does not mistake a cookie for a header, or one scheme for another', () => {
    const { ask, send } = start()
    const token = good()
    expect(send(token)).toBe('accepted')
    expect(ask({ cookie: `access_token=Bearer ${token}` })).toBe('TOKEN_MALFORMED')
    expect(ask({ authorization: token })).toBe('AUTHORIZATION_MALFORMED')
    expect(ask({ authorization: `Basic ${token}` })).toBe('AUTHORIZATION_MALFORMED')
  })

  test('checks the time at each request: a token ends when it ends', () => {
    const { clock, send } = start()
    const token = good()
    expect(send(token)).toBe('accepted')
    clock.seconds = NOW + 64
    expect(send(token)).toBe('accepted')
    clock.seconds = NOW + 65
    expect(send(token)).toBe('TOKEN_EXPIRED')
    expect(send(token)).toBe('TOKEN_EXPIRED')
  })

  test('checks it too where the clock goes back', () => {
    const { clock, send } = start()
    const token = good({ nbf: NOW, iat: NOW })
    expect(send(token)).toBe('accepted')
    clock.seconds = NOW - 6
    expect(send(token)).toBe('TOKEN_NOT_YET_VALID')
    clock.seconds = NOW
    expect(send(token)).toBe('accepted')
  })

  test('says at every moment what a check without it says', () => {
    const cached = start()
    const plain = start({ cacheEntriesMax: 0 })
    const tokens = [good(), good({ nbf: NOW + 20 }), good({ iat: NOW + 30 }), good({ exp: NOW + 10.5 }), good({ exp: NOW - 3 })]
    tokens.push(good({ nbf: NOW + 30, iat: NOW + 10 }), good({ nbf: NOW + 10, iat: NOW + 30 }))
    const times = Array.from({ length: 300 }, (_, index) => NOW - 70 + index / 2)
    for (const seconds of [...times, ...times.toReversed()]) {
      cached.clock.seconds = seconds
      plain.clock.seconds = seconds
      for (const token of tokens) expect([seconds, cached.send(token)]).toEqual([seconds, plain.send(token)])
    }
    expect(cached.authenticator.cacheStatistics.hits).toBeGreaterThan(500)
    expect(plain.authenticator.cacheStatistics.hits).toBe(0)
  })

  test('forgets all at once when the keys are replaced: a token of an old key is rejected at its next request', () => {
    const { authenticator, send } = start()
    const [old, next] = [good(), makeToken({ payload: { exp: NOW + 60 }, secret: OTHER })]
    expect([send(old), send(next)]).toEqual(['accepted', 'SIGNATURE_INVALID'])
    authenticator.replaceKeys(OTHER)
    expect([send(old), send(next)]).toEqual(['SIGNATURE_INVALID', 'accepted'])
    expect(() => authenticator.replaceKeys('short')).toThrow('at least 32')
    expect(send(next)).toBe('accepted')
  })

  test('asks at each request whether the token is revoked', () => {
    const revoked = new Set<string>()
    const { send } = start({ isRevoked: ({ payload }) => revoked.has(payload.jti ?? '') })
    const token = good({ jti: 'a' })
    expect([send(token), send(token)]).toEqual(['accepted', 'accepted'])
    revoked.add('a')
    expect([send(token), send(good({ jti: 'b' }))]).toEqual(['TOKEN_REVOKED', 'accepted'])
    revoked.delete('a')
    expect(send(token)).toBe('accepted')
  })

  test('hands out claims that no one can change', () => {
    const { authenticator } = start()
    const request = new Request('http://localhost/', {
      headers: { authorization: `Bearer ${good({ data: { permissions: ['a'] } })}` },
    })
    const token = atOnce(authenticator.authenticate(request))
    expect(() => Object.assign(token.payload, { sub: 'admin' })).toThrow(TypeError)
    expect(() => (token.payload.data as { permissions: string[] }).permissions.push('b')).toThrow(TypeError)
    expect(() => Object.assign(token, { allows: () => true })).toThrow(TypeError)
    expect(() => Object.assign(token.header, { alg: 'none' })).toThrow(TypeError)
    const another = new Request('http://localhost/', {
      headers: { authorization: `Bearer ${good({ list: [[{ a: { b: null } }]], c: { d: {} } })}` },
    })
    const nested = atOnce(authenticator.authenticate(another)).payload as unknown as { list: { a: object }[][]; c: { d: object } }
    for (const inside of [nested.list, nested.list[0], nested.list[0]?.[0], nested.list[0]?.[0]?.a, nested.c, nested.c.d])
      expect(Object.isFrozen(inside)).toBe(true)
    expect(authenticator.authenticate(request)).toBe(token)
  })

  test('is bounded in entries and in bytes, and takes no long token', () => {
    const few = start({ cacheEntriesMax: 2 })
    for (const sub of ['a', 'b', 'c', 'd']) few.send(good({ sub }))
    expect(few.authenticator.cacheStatistics.entries).toBe(2)
    const small = start({ cacheBytesMax: 4000 })
    for (let index = 0; index < 50; index += 1) small.send(good({ sub: `${index}` }))
    expect(small.authenticator.cacheStatistics.weight).toBeLessThanOrEqual(4000)
    const long = start()
    expect(long.send(good({ pad: 'x'.repeat(5000) }))).toBe('accepted')
    expect(long.authenticator.cacheStatistics.entries).toBe(0)
  })

  test('holds 10 000 tokens and 64 MiB by default, and counts eight bytes for each character of a header', () => {
    const sized = (length: number, sub: string) => {
      const short = good({ sub, pad: '' }).length
      for (let size = Math.floor(((length - short) * 3) / 4) - 3; ; size += 1) {
        const token = good({ sub, pad: 'x'.repeat(size) })
        if (token.length >= length) return token
      }
    }
    const many = start()
    for (let index = 0; index < 10_010; index += 1) many.send(good({ sub: `${index}` }))
    expect(many.authenticator.cacheStatistics.entries).toBe(10_000)
    const large = start()
    const one = sized(4000, 'a')
    const weight = ('Bearer '.length + one.length) * 8
    expect(large.send(one)).toBe('accepted')
    expect(large.authenticator.cacheStatistics).toMatchObject({ entries: 1, weight })
    const room = Math.floor((64 * 1024 * 1024) / weight)
    for (let index = 0; index < room + 9; index += 1) large.send(sized(one.length, String(1_000_000 + index).slice(0, 7)))
    const { entries, weight: full } = large.authenticator.cacheStatistics
    expect(full).toBeLessThanOrEqual(64 * 1024 * 1024)
    expect(full).toBeGreaterThan(64 * 1024 * 1024 - 2 * weight)
    expect(entries).toBeGreaterThan(1000)
    const [longest, longer] = [sized(4096, 'b'), sized(4097, 'b')]
    const few = start()
    expect([longest.length, longer.length > 4096]).toEqual([4096, true])
    few.send(longest)
    expect(few.authenticator.cacheStatistics.entries).toBe(1)
    few.send(longer)
    expect(few.authenticator.cacheStatistics.entries).toBe(1)
  })

  test('that is full keeps a token for another only when it comes again', () => {
    const { authenticator, send } = start({ cacheEntriesMax: 2 })
    const [one, two, late] = [good({ sub: 'one' }), good({ sub: 'two' }), good({ sub: 'late' })]
    for (const token of [one, two]) send(token)
    for (let index = 0; index < 50; index += 1) expect(send(good({ sub: `once ${index}` }))).toBe('accepted')
    expect(authenticator.cacheStatistics).toMatchObject({ entries: 2, evictions: 0, hits: 0 })
    expect([send(one), send(two)]).toEqual(['accepted', 'accepted'])
    expect(authenticator.cacheStatistics.hits).toBe(2)
    expect([send(late), send(late), send(late)]).toEqual(['accepted', 'accepted', 'accepted'])
    expect(authenticator.cacheStatistics).toMatchObject({ entries: 2, evictions: 1, hits: 3 })
  })

  test('with limits that are none is rejected at the start', () => {
    for (const options of [{ cacheEntriesMax: -1 }, { cacheEntriesMax: 1.5 }, { cacheBytesMax: Number.NaN }]) {
      expect(() => createAuthenticator({ secret: SECRET, ...options })).toThrow(TypeError)
    }
  })
})

test('a hundred thousand bad tokens leave no more in memory than they found', () => {
  const { send } = start()
  const bad = makeToken({ payload: { exp: NOW + 60 }, secret: OTHER })
  const flood = (count: number) => {
    for (let index = 0; index < count; index += 1) send(`${bad.slice(0, -9)}${(index + 1e8).toString(36).padStart(8, 'A')}A`)
  }
  flood(20_000)
  Bun.gc(true)
  const before = process.memoryUsage().heapUsed
  flood(100_000)
  Bun.gc(true)
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(5_000_000)
})

describe('a token that stands alone', () => {
  const codeOf = (verified: Promise<unknown>) =>
    verified.then(
      () => 'accepted',
      (error: unknown) => (error instanceof VestalError ? error.code : String(error)),
    )

  test('is verified as one that a request carries, whatever the header and prefix are', async () => {
    for (const options of [{}, { headerKey: 'X-Token', headerPrefix: '' }, { headerPrefix: 'Token', cookieKey: '' }]) {
      const { authenticator, clock } = start(options)
      const token = good()
      expect((await authenticator.verifyText(token)).payload.sub).toBe('me')
      expect(await codeOf(authenticator.verifyText(`${token}x`))).toBe('SIGNATURE_INVALID')
      expect(await codeOf(authenticator.verifyText(makeToken({ payload: { exp: NOW + 60 }, secret: OTHER })))).toBe(
        'SIGNATURE_INVALID',
      )
      clock.seconds += 120
      expect(await codeOf(authenticator.verifyText(token))).toBe('TOKEN_EXPIRED')
    }
  })

  test('is rejected with a code, never with a bug, where the text can be no token', async () => {
    const { authenticator } = start()
    for (const text of ['', ' ', '🙂', '\0', '\r\n', 'é', 'a b', 'Bearer x', 'a.b.c\n', '\ud800'])
      expect([text, await codeOf(authenticator.verifyText(text))]).toEqual([text, 'TOKEN_MALFORMED'])
    expect(await codeOf(authenticator.verifyText('x'.repeat(1_000_000)))).toBe('TOKEN_TOO_LONG')
  })

  test('is asked about with what is revoked, and with a key that opens encrypted ones', async () => {
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const decryptionKey = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    let isRevoked = false
    const { authenticator } = start({ decryptionKey, isRevoked: () => isRevoked })
    const encrypted = await new CompactEncrypt(Buffer.from(good()))
      .setProtectedHeader({ alg: 'RSA-OAEP-256', enc: 'A256GCM', cty: 'JWT' })
      .encrypt(publicKey)
    for (const text of [good(), encrypted]) {
      isRevoked = false
      expect([text, await codeOf(authenticator.verifyText(text))]).toEqual([text, 'accepted'])
      isRevoked = true
      expect([text, await codeOf(authenticator.verifyText(text))]).toEqual([text, 'TOKEN_REVOKED'])
    }
  })
})
