import { describe, expect, test } from 'bun:test'
import { createHmac, generateKeyPairSync, sign } from 'node:crypto'
import { CompactEncrypt } from 'jose'
import { type AuthenticatorOptions, createAuthenticator } from '../../../src/auth/authenticator.ts'
import type { TrustedIssuer } from '../../../src/auth/issuers.ts'
import { type ErrorCode, VestalError } from '../../../src/core/errors.ts'
import type { Algorithm } from '../../../src/jose/algorithms.ts'
import type { JwtPayload } from '../../../src/jose/claims.ts'
import type { KeyInput } from '../../../src/jose/key-set.ts'
import { importJwk, importSecret } from '../../../src/jose/keys.ts'
import { signJwt } from '../../../src/jose/sign.ts'
import { readKeySet } from '../../../src/jwks/read-key-set.ts'
import { atOnce } from '../../support/at-once.ts'
import { ManualSchedule, startKeyServer, testKey } from '../../support/key-server.ts'
import { makeToken, SECRET } from '../../support/tokens.ts'
import { until } from '../../support/until.ts'

const NOW = 1_800_000_000
const [A, B, OWN] = [testKey('a'), testKey('b'), testKey('own')]
const ISSUER: TrustedIssuer = { name: 'https://one.example', keys: { keys: [A.jwk] }, audiences: ['vestal'] }
const CLAIMS = { iss: 'https://one.example', aud: 'vestal', exp: NOW + 60, iat: NOW, sub: 'me' }

/** An authenticator with a clock and a timer that the test moves. */
function start(issuers: AuthenticatorOptions['issuers'], { keys, ...options }: AuthenticatorOptions & { keys?: KeyInput } = {}) {
  const clock = { seconds: NOW }
  const timer = new ManualSchedule()
  const heard: string[] = []
  const authenticator = createAuthenticator({
    ...(keys !== undefined && { keys }),
    issuers: issuers ?? [],
    now: () => clock.seconds * 1000,
    schedule: timer.schedule,
    warn: (message) => void heard.push(message),
    ...options,
  })
  const request = (token: string) => new Request('http://localhost/', { headers: { authorization: `Bearer ${token}` } })
  const codeOf = (error: unknown): ErrorCode => {
    if (error instanceof VestalError) return error.code
    throw error
  }
  /** What becomes of a token at once. */
  const send = (token: string): ErrorCode | 'accepted' | 'waits' => {
    try {
      const found = authenticator.authenticate(request(token))
      if (!(found instanceof Promise)) return 'accepted'
      found.catch(() => undefined)
      return 'waits'
    } catch (error) {
      return codeOf(error)
    }
  }
  const sendAndWait = async (token: string): Promise<ErrorCode | 'accepted'> => {
    try {
      await authenticator.authenticate(request(token))
      return 'accepted'
    } catch (error) {
      return codeOf(error)
    }
  }
  const allows = (token: string, permission: string) => atOnce(authenticator.authenticate(request(token))).allows([permission])
  return { authenticator, clock, timer, heard, request, send, sendAndWait, allows, [Symbol.dispose]: () => authenticator.close() }
}

describe('the tokens of a trusted issuer', () => {
  test('are accepted where the issuer, its key and the audience are right', () => {
    using vestal = start([ISSUER])
    expect(vestal.send(A.sign(CLAIMS))).toBe('accepted')
    expect(vestal.authenticator.mayWait).toBe(false)
  })

  test('are rejected where anything of that is not', () => {
    using vestal = start([ISSUER])
    expect(vestal.send(B.sign(CLAIMS))).toBe('KEY_UNKNOWN')
    const { iss: _, ...anonymous } = CLAIMS
    expect(vestal.send(A.sign(anonymous))).toBe('ISSUER_REFUSED')
    for (const iss of ['https://one.example/', 'https://two.example', '__proto__', 'constructor'])
      expect(vestal.send(A.sign({ ...CLAIMS, iss }))).toBe('ISSUER_REFUSED')
    expect(vestal.send(A.sign({ ...CLAIMS, aud: 'another' }))).toBe('AUDIENCE_REFUSED')
    expect(vestal.send(A.sign({ ...CLAIMS, aud: undefined }))).toBe('AUDIENCE_REFUSED')
    expect(vestal.send(A.sign({ ...CLAIMS, exp: NOW - 60, iat: NOW - 90 }))).toBe('TOKEN_EXPIRED')
    expect(vestal.send(A.sign(CLAIMS, 'rt+jwt'))).toBe('TOKEN_TYPE_REFUSED')
    for (const token of ['', 'a.b', 'a.b.c', `${A.sign(CLAIMS)}.`])
      expect(vestal.send(token)).toBeOneOf(['TOKEN_MALFORMED', 'AUTHORIZATION_MALFORMED'])
  })

  test('are checked with the keys of that issuer alone, though another has a key of the same name (A16)', () => {
    const twin = testKey('a')
    const two: TrustedIssuer = { name: 'https://two.example', keys: { keys: [twin.jwk] }, audiences: ['vestal'] }
    using vestal = start([ISSUER, two])
    const claims = { ...CLAIMS, iss: 'https://two.example' }
    expect([vestal.send(A.sign(CLAIMS)), vestal.send(twin.sign(claims))]).toEqual(['accepted', 'accepted'])
    expect([vestal.send(A.sign(claims)), vestal.send(twin.sign(CLAIMS))]).toEqual(['SIGNATURE_INVALID', 'SIGNATURE_INVALID'])
  })

  test('stand beside one’s own, and neither passes for the other', () => {
    using vestal = start(['https://own.example', ISSUER], { keys: { keys: [OWN.jwk] }, audiences: ['self'] })
    const own = { ...CLAIMS, iss: 'https://own.example', aud: 'self' }
    expect([vestal.send(OWN.sign(own)), vestal.send(A.sign(CLAIMS))]).toEqual(['accepted', 'accepted'])
    expect(vestal.send(OWN.sign(CLAIMS))).toBe('KEY_UNKNOWN')
    expect(vestal.send(A.sign(own))).toBe('KEY_UNKNOWN')
    expect(vestal.send(OWN.sign({ ...own, iss: 'https://third.example' }))).toBe('ISSUER_REFUSED')
    expect(vestal.send(OWN.sign({ ...own, aud: 'vestal' }))).toBe('AUDIENCE_REFUSED')
  })

  test('have the rules of their issuer', () => {
    const strict: TrustedIssuer = {
      ...ISSUER,
      types: ['at+jwt'],
      requiredClaims: ['jti', 'client_id'],
      requiredValues: { token_use: 'access' },
      lifetimeSecondsMax: 60,
    }
    using vestal = start([strict])
    const good = { ...CLAIMS, client_id: 'app', token_use: 'access' }
    expect(vestal.send(A.sign(good))).toBe('accepted')
    expect(vestal.send(A.sign(good, 'JWT'))).toBe('TOKEN_TYPE_REFUSED')
    expect(vestal.send(A.sign({ ...good, token_use: 'id' }))).toBe('CLAIM_INVALID')
    expect(vestal.send(A.sign({ ...good, client_id: undefined }))).toBe('CLAIM_MISSING')
    expect(vestal.send(A.sign({ ...good, exp: NOW + 61 }))).toBe('TOKEN_LIFETIME_TOO_LONG')
  })

  test('have the shared rules where their issuer has none', () => {
    using vestal = start([ISSUER], { types: ['JWT'], lifetimeSecondsMax: 60, leewaySeconds: 0, tokenBytesMax: 500 })
    expect(vestal.send(A.sign(CLAIMS, 'JWT'))).toBe('accepted')
    expect(vestal.send(A.sign(CLAIMS, 'at+jwt'))).toBe('TOKEN_TYPE_REFUSED')
    expect(vestal.send(A.sign({ ...CLAIMS, exp: NOW + 61 }, 'JWT'))).toBe('TOKEN_LIFETIME_TOO_LONG')
    expect(vestal.send(A.sign({ ...CLAIMS, exp: NOW, iat: NOW - 9 }, 'JWT'))).toBe('TOKEN_EXPIRED')
    expect(vestal.send(A.sign({ ...CLAIMS, pad: 'x'.repeat(200) }, 'JWT'))).toBe('TOKEN_TOO_LONG')
  })

  test('leave one’s own as loose and as long as they may be', () => {
    const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')
    const signed = (pad: (part: string) => string) => {
      const payload = { sub: 'me', exp: NOW + 60, pad: 'x'.repeat(9002) }
      const input = [{ alg: 'HS256' }, payload].map((part) => pad(encode(part))).join('.')
      return `${input}.${createHmac('sha256', SECRET).update(input).digest('base64url')}`
    }
    const bare = signed((part) => part)
    const padded = signed((part) => part.padEnd(Math.ceil(part.length / 4) * 4, '='))
    expect(padded === bare).toBe(false)
    const issuer: TrustedIssuer = { ...ISSUER, keys: `${SECRET}2` }
    using loose = start([issuer], { keys: SECRET, interop: 'flama', tokenBytesMax: 20_000 })
    expect([loose.send(padded), loose.send(bare)]).toEqual(['accepted', 'accepted'])
    using long = start([issuer], { keys: SECRET, tokenBytesMax: 20_000 })
    expect([long.send(padded), long.send(bare)]).toEqual(['TOKEN_MALFORMED', 'accepted'])
    using strict = start([issuer], { keys: SECRET })
    expect(strict.send(bare)).toBe('TOKEN_TOO_LONG')
  })

  test('are not given the looseness of one’s own', () => {
    using vestal = start([ISSUER], { interop: 'flama' })
    expect(vestal.send(A.sign(CLAIMS))).toBe('accepted')
    expect(vestal.send(A.sign({ ...CLAIMS, sub: null }))).toBe('CLAIM_INVALID')
    expect(vestal.allows(A.sign({ ...CLAIMS, permissions: ['a'] }), 'a')).toBe(false)
  })

  test('grant what the rules of their issuer read from their claims', () => {
    using vestal = start([{ ...ISSUER, permissionClaims: ['scope'], mayGrant: ['model:iris:*'] }])
    const token = A.sign({ ...CLAIMS, scope: 'model:iris:predict model:digits:predict', data: { permissions: ['*'] } })
    expect([vestal.allows(token, 'model:iris:predict'), vestal.allows(token, 'model:digits:predict')]).toEqual([true, false])
  })

  test('are remembered by the whole token, however alike they are (R1, R2)', () => {
    const two: TrustedIssuer = { name: 'https://two.example', keys: { keys: [B.jwk] }, audiences: ['vestal'] }
    using vestal = start([
      { ...ISSUER, permissionClaims: ['scope'] },
      { ...two, permissionClaims: ['scope'] },
    ])
    const token = A.sign({ ...CLAIMS, scope: 'p' })
    expect(vestal.allows(token, 'p')).toBe(true)
    const [head, body, signature = ''] = token.split('.')
    const flipped = signature.startsWith('A') ? `B${signature.slice(1)}` : `A${signature.slice(1)}`
    expect(vestal.send(`${head}.${body}.${flipped}`)).toBe('SIGNATURE_INVALID')
    expect(vestal.allows(token, 'p')).toBe(true)
  })
})

describe('the principal of a token', () => {
  const pem = (key: typeof OWN) => key.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const own = { exp: NOW + 60, sub: 'me' }
  const principalOf = async (vestal: ReturnType<typeof start>, token: string) =>
    (await vestal.authenticator.authenticate(vestal.request(token))).principal

  test('is local where this server can sign, and the issuer is the one that it names in its tokens', async () => {
    using nameless = start([], { keys: pem(OWN) })
    const sign = (claims: JwtPayload) => signJwt(claims, pem(OWN))
    expect(await principalOf(nameless, sign(own))).toMatchObject({ isLocal: true, issuer: undefined, subject: 'me' })
    expect(await principalOf(nameless, sign({ ...own, iss: 'x' }))).toMatchObject({ isLocal: false, issuer: 'x' })
    using named = start(['me', 'x'], { keys: pem(OWN), localIssuer: 'me' })
    expect(await principalOf(named, sign({ ...own, iss: 'me' }))).toMatchObject({ isLocal: true, issuer: 'me' })
    expect(await principalOf(named, sign({ ...own, iss: 'x' }))).toMatchObject({ isLocal: false, issuer: 'x' })
    using both = start([], { keys: [B.jwk, { ...OWN.privateKey.export({ format: 'jwk' }), kid: 'own' }] })
    expect(await principalOf(both, OWN.sign(own))).toMatchObject({ isLocal: true, subject: 'me' })
    using secret = start([], { keys: SECRET })
    expect(await principalOf(secret, makeToken({ payload: own }))).toMatchObject({ isLocal: true, subject: 'me' })
  })

  test('is not local where this server only verifies', async () => {
    using vestal = start([], { keys: { keys: [OWN.jwk] } })
    expect(await principalOf(vestal, OWN.sign(own))).toMatchObject({ isLocal: false, subject: 'me' })
  })

  test('is never local for the token of an issuer with keys of its own, though it has the name of the local one', async () => {
    await using server = startKeyServer(A)
    const { keys: _, ...bare } = ISSUER
    const published = readKeySet(Buffer.from(JSON.stringify({ keys: [A.jwk] }))).keys
    const secret = { ...bare, keys: SECRET }
    const byName = { localIssuer: ISSUER.name }
    for (const issuer of [ISSUER, { ...bare, keys: published }, { ...bare, jwksUrl: server.url }]) {
      using vestal = start([issuer], { keys: pem(OWN), ...byName })
      expect(await principalOf(vestal, A.sign(CLAIMS))).toMatchObject({ isLocal: false, issuer: ISSUER.name, subject: 'me' })
    }
    using symmetric = start([secret], { keys: `${SECRET}2`, ...byName })
    expect(await principalOf(symmetric, makeToken({ payload: CLAIMS }))).toMatchObject({ isLocal: false, issuer: ISSUER.name })
  })
})

describe('issuers that cannot work are rejected at the start', () => {
  const refuse = (issuers: unknown, options: object = {}) =>
    expect(() => createAuthenticator({ issuers: issuers as readonly TrustedIssuer[], ...options }))

  test('without a name, an audience, or keys', () => {
    refuse([{ ...ISSUER, name: '' }]).toThrow('"name"')
    refuse([{ ...ISSUER, audiences: [] }]).toThrow('"audiences"')
    refuse([{ ...ISSUER, keys: undefined }]).toThrow('"keys" or "jwksUrl"')
    refuse([{ ...ISSUER, jwksUrl: 'https://one.example/jwks' }]).toThrow('"keys" or "jwksUrl"')
    refuse([{ ...ISSUER, keys: undefined, jwksUrl: 'http://one.example/jwks' }]).toThrow('https')
    refuse([{ ...ISSUER, algorithms: ['none'] }]).toThrow('"algorithms"')
    for (const algorithms of [['HS256'], ['RS256', 'HS256']] as const)
      refuse([{ ...ISSUER, keys: undefined, jwksUrl: 'https://one.example/jwks', algorithms }]).toThrow('HMAC')
    refuse([{ ...ISSUER, permissionClaims: [''] }]).toThrow('"permissionClaims"')
  })

  test('with a key that can sign in the name of the issuer', () => {
    const privateJwk = { ...A.privateKey.export({ format: 'jwk' }), kid: 'a' }
    const pem = A.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    for (const keys of [privateJwk, pem, { keys: [B.jwk, privateJwk] }, [importJwk(privateJwk)], importJwk(privateJwk)])
      refuse([{ ...ISSUER, keys }]).toThrow('is a private one')
  })

  test('with a name that is no text, or audiences that are no list', () => {
    for (const name of [7, undefined, null, '']) refuse([{ ...ISSUER, name }]).toThrow('an issuer needs a "name"')
    for (const audiences of ['vestal', undefined, []]) refuse([{ ...ISSUER, audiences }]).toThrow('needs "audiences"')
    refuse([{ ...ISSUER, audiences: [''] }]).toThrow('"audiences" is a list of strings')
  })

  test('with one name for two, or too many', () => {
    refuse([ISSUER, ISSUER]).toThrow('two issuers')
    refuse(Array.from({ length: 64 }, (_, index) => ({ ...ISSUER, name: `i${index}` }))).not.toThrow()
    refuse(Array.from({ length: 65 }, (_, index) => ({ ...ISSUER, name: `i${index}` }))).toThrow('at most 64')
  })

  test('where one has the name of one’s own tokens', () => {
    const keys = { keys: [OWN.jwk] }
    expect(() => createAuthenticator({ keys, issuers: ['https://one.example', ISSUER] })).toThrow('two issuers have the name')
    expect(() => createAuthenticator({ keys, issuers: ['https://own.example', ISSUER] })).not.toThrow()
  })

  test('and leave nothing behind that fetches', async () => {
    await using server = startKeyServer(A)
    const timer = new ManualSchedule()
    const remote = { name: 'remote', audiences: ['vestal'], jwksUrl: server.url }
    const options = { schedule: timer.schedule, warn: () => undefined }
    expect(() => createAuthenticator({ issuers: [remote, { ...ISSUER, audiences: [] }], ...options })).toThrow('"audiences"')
    expect(() => createAuthenticator({ secret: SECRET, issuers: [remote], ...options })).toThrow('mixed')
    expect(() => createAuthenticator({ issuers: [remote], decryptionKey: 'x', ...options })).toThrow('private key')
    using other = start([remote])
    await other.sendAndWait(A.sign({ ...CLAIMS, iss: 'remote' }))
    expect(timer.delays).toEqual([])
  })

  test('where shared secrets stand beside public keys (A7)', () => {
    refuse([ISSUER, { ...ISSUER, name: 'two', keys: SECRET }]).toThrow('mixed')
    expect(() => createAuthenticator({ secret: SECRET, issuers: [ISSUER] })).toThrow('mixed')
    expect(() => createAuthenticator({ secret: SECRET, issuers: [{ ...ISSUER, keys: `${SECRET}2` }] })).not.toThrow()
  })
})

describe('an issuer whose keys are at an address', () => {
  const remote = (url: string, more: Partial<TrustedIssuer> = {}): TrustedIssuer => {
    const { keys: _, ...issuer } = ISSUER
    return { ...issuer, jwksUrl: url, ...more }
  }

  test('makes the first request wait for them, and no other', async () => {
    await using server = startKeyServer(A)
    let asked = 0
    const isRevoked = () => {
      asked += 1
      return false
    }
    using vestal = start([remote(server.url)], { isRevoked })
    expect(vestal.authenticator.mayWait).toBe(true)
    expect(vestal.send(A.sign(CLAIMS))).toBe('waits')
    expect(await vestal.sendAndWait(A.sign(CLAIMS))).toBe('accepted')
    expect(asked).toBe(2)
    expect(vestal.send(A.sign({ ...CLAIMS, sub: 'another' }))).toBe('accepted')
    expect(server.requests()).toBe(1)
  })

  test('answers 503 and not 401 where they cannot be had, and says when to ask again', async () => {
    await using server = startKeyServer()
    using vestal = start([remote(server.url)])
    expect(await vestal.sendAndWait(A.sign(CLAIMS))).toBe('KEYS_UNAVAILABLE')
    const refusal = await Promise.resolve()
      .then(() => vestal.authenticator.authenticate(vestal.request(A.sign(CLAIMS))))
      .catch((error: unknown) => error as VestalError)
    expect(refusal).toMatchObject({ status: 503, headers: { 'retry-after': '1' } })
    server.publish(A)
    vestal.clock.seconds += 1
    expect(await vestal.sendAndWait(A.sign(CLAIMS))).toBe('accepted')
  })

  test('that rotates has its new key fetched, once in a while', async () => {
    await using server = startKeyServer(A)
    using vestal = start([remote(server.url)])
    const next = { ...CLAIMS, exp: NOW + 3600, iat: NOW }
    expect(await vestal.sendAndWait(A.sign(next))).toBe('accepted')
    server.publish(B)
    // Within the cool-down a new name is a stranger's.
    expect(await vestal.sendAndWait(B.sign(next))).toBe('KEY_UNKNOWN')
    vestal.clock.seconds += 31
    expect(await vestal.sendAndWait(B.sign(next))).toBe('accepted')
    // The set was replaced: the old key's tokens end at their next request, remembered or not (A13).
    expect(vestal.send(A.sign(next))).toBe('KEY_UNKNOWN')
    expect(server.requests()).toBe(2)
  })

  test('is not asked again for tokens that name no key, or are wrong in another way', async () => {
    await using server = startKeyServer(A, B)
    using vestal = start([remote(server.url)])
    await vestal.sendAndWait(A.sign(CLAIMS))
    vestal.clock.seconds += 31
    const [head = '', ...rest] = A.sign(CLAIMS).split('.')
    const header = (value: object) => `${Buffer.from(JSON.stringify(value)).toString('base64url')}.${rest.join('.')}`
    expect(head).not.toBe('')
    expect(await vestal.sendAndWait(header({ alg: 'ES256' }))).toBe('KEY_UNKNOWN')
    expect(await vestal.sendAndWait(header({ alg: 'none', kid: 'x' }))).toBe('ALGORITHM_REFUSED')
    expect(await vestal.sendAndWait(header({ alg: 'ES256', kid: 7 }))).toBe('TOKEN_MALFORMED')
    expect(await vestal.sendAndWait(A.sign({ ...CLAIMS, iss: 'https://stranger.example' }))).toBe('ISSUER_REFUSED')
    expect(server.requests()).toBe(1)
  })

  test('is asked once for a thousand tokens that name unknown keys', async () => {
    await using server = startKeyServer(A)
    using vestal = start([remote(server.url)])
    await vestal.sendAndWait(A.sign(CLAIMS))
    vestal.clock.seconds += 31
    const signature = A.sign(CLAIMS).split('.').slice(1).join('.')
    const tokens = Array.from({ length: 1000 }, (_, index) => {
      return `${Buffer.from(JSON.stringify({ alg: 'ES256', kid: `k${index}` })).toString('base64url')}.${signature}`
    })
    const answers = new Set(await Promise.all(tokens.map(vestal.sendAndWait)))
    expect([[...answers], server.requests()]).toEqual([['KEY_UNKNOWN'], 2])
  })

  test('may publish keys of two kinds, and two of one kind, under one name: the one that signed is used', async () => {
    await using server = startKeyServer()
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const twin = testKey('a')
    server.answer(() =>
      Response.json({ keys: [{ ...rsa.publicKey.export({ format: 'jwk' }), kid: 'a' }, A.jwk, A.jwk, twin.jwk] }),
    )
    using vestal = start([remote(server.url)])
    const pem = rsa.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    const byRsa = (kid: string, algorithm: Algorithm = 'RS256') => signJwt(CLAIMS, pem, { kid, algorithm, type: 'at+jwt' })
    for (const token of [A.sign(CLAIMS), twin.sign(CLAIMS), byRsa('a')]) expect(await vestal.sendAndWait(token)).toBe('accepted')
    expect(await vestal.sendAndWait(testKey('a').sign(CLAIMS))).toBe('SIGNATURE_INVALID')
    // A key has one algorithm: what the set says, or the commonest of its kind.
    expect(await vestal.sendAndWait(byRsa('a', 'PS256'))).toBe('KEY_UNKNOWN')
    expect(await vestal.sendAndWait(byRsa('other'))).toBe('KEY_UNKNOWN')
  })

  test('may have keys in any form that a verifier takes', () => {
    const forms: readonly KeyInput[] = [
      A.jwk,
      [A.jwk],
      { keys: [A.jwk, B.jwk] },
      [A.jwk, importJwk(B.jwk)],
      [importJwk(A.jwk), importJwk(B.jwk)],
      importJwk(A.jwk),
    ]
    for (const keys of forms) {
      using vestal = start([{ ...ISSUER, keys }])
      expect(vestal.send(A.sign(CLAIMS))).toBe('accepted')
    }
    for (const keys of [[importSecret(SECRET)], importSecret(SECRET), SECRET, Buffer.from(SECRET)]) {
      using vestal = start([{ ...ISSUER, keys }])
      expect(vestal.send(makeToken({ payload: CLAIMS }))).toBe('accepted')
    }
    const many = Array.from({ length: 65 }, (_, index) => importJwk({ ...A.jwk, kid: `k${index}` }))
    for (const [keys, message] of [
      [[], 'there is no key'],
      [many, 'at most 64'],
      [[null], 'a JWK is a JSON object'],
      [[importSecret(SECRET), importJwk(A.jwk)], 'mixed'],
    ] as const)
      expect(() => start([{ ...ISSUER, keys: keys as unknown as KeyInput }])).toThrow(message)
  })

  test('may have such a set in a file, too', () => {
    const twin = testKey('a')
    const { keys } = readKeySet(Buffer.from(JSON.stringify({ keys: [A.jwk, A.jwk, twin.jwk, { ...B.jwk, use: 'enc' }] })))
    using vestal = start([{ ...ISSUER, keys }])
    expect([A, twin, B].map((key) => vestal.send(key.sign(CLAIMS)))).toEqual(['accepted', 'accepted', 'KEY_UNKNOWN'])
  })

  test('may have tokens that name no key where one alone is for their algorithm', async () => {
    await using server = startKeyServer()
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const rsaJwk = rsa.publicKey.export({ format: 'jwk' })
    server.answer(() => Response.json({ keys: [rsaJwk, A.jwk, { ...rsaJwk, use: 'enc' }] }))
    using vestal = start([remote(server.url)])
    const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')
    const input = `${encode({ alg: 'ES256', typ: 'at+jwt' })}.${encode(CLAIMS)}`
    const signature = sign('sha256', Buffer.from(input), { key: A.privateKey, dsaEncoding: 'ieee-p1363' })
    const nameless = `${input}.${signature.toString('base64url')}`
    expect(await vestal.sendAndWait(nameless)).toBe('accepted')
    await using several = startKeyServer(A, B)
    using other = start([remote(several.url)])
    expect(await other.sendAndWait(nameless)).toBe('KEY_UNKNOWN')
  })

  test('that adds a key of another kind under a known name has it fetched', async () => {
    await using server = startKeyServer(A)
    using vestal = start([remote(server.url)])
    expect(await vestal.sendAndWait(A.sign(CLAIMS))).toBe('accepted')
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
    server.answer(() => Response.json({ keys: [A.jwk, { ...rsa.publicKey.export({ format: 'jwk' }), kid: 'a' }] }))
    vestal.clock.seconds += 31
    const pem = rsa.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    expect(await vestal.sendAndWait(signJwt({ ...CLAIMS, exp: NOW + 3600 }, pem, { kid: 'a', type: 'at+jwt' }))).toBe('accepted')
    expect(server.requests()).toBe(2)
  })

  test('has a revoked key’s remembered tokens rejected at the next request after the refresh (R3)', async () => {
    await using server = startKeyServer(A, B)
    using vestal = start([remote(server.url)])
    const token = A.sign(CLAIMS)
    expect([await vestal.sendAndWait(token), vestal.send(token)]).toEqual(['accepted', 'accepted'])
    server.publish(B)
    vestal.timer.run()
    await vestal.sendAndWait(B.sign({ ...CLAIMS, sub: 'x' }))
    await until(() => vestal.authenticator.remoteKeyStatistics.get(ISSUER.name)?.keys === 1)
    expect(vestal.send(token)).toBe('KEY_UNKNOWN')
  })

  test('that is gone has its keys no longer than they count, also for remembered tokens', async () => {
    await using server = startKeyServer(A)
    using vestal = start([remote(server.url, { jwks: { maxAgeSeconds: 100 } })])
    const token = A.sign({ ...CLAIMS, exp: NOW + 3600 })
    expect(await vestal.sendAndWait(token)).toBe('accepted')
    await server.die()
    vestal.clock.seconds += 99
    expect(vestal.send(token)).toBe('accepted')
    vestal.clock.seconds += 1
    expect(await vestal.sendAndWait(token)).toBe('KEYS_UNAVAILABLE')
    expect(vestal.heard).toHaveLength(1)
  })

  test('that is gone has its keys longer where that is asked for', async () => {
    await using server = startKeyServer(A)
    using vestal = start([remote(server.url, { jwks: { maxAgeSeconds: 100, staleSeconds: 200 } })])
    const token = A.sign({ ...CLAIMS, exp: NOW + 3600 })
    expect(await vestal.sendAndWait(token)).toBe('accepted')
    await server.die()
    vestal.clock.seconds += 200
    expect(await vestal.sendAndWait(token)).toBe('accepted')
    // Whether an unknown key is right cannot be known now.
    vestal.clock.seconds += 60
    expect(await vestal.sendAndWait(B.sign({ ...CLAIMS, exp: NOW + 3600 }))).toBe('KEYS_UNAVAILABLE')
    vestal.clock.seconds += 40
    expect(await vestal.sendAndWait(token)).toBe('KEYS_UNAVAILABLE')
  })

  test('makes a token wait as often as it needs: for its decryption, the first keys and a new key, and no more often', async () => {
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const encrypted = await new CompactEncrypt(Buffer.from(B.sign({ ...CLAIMS, exp: NOW + 3600 })))
      .setProtectedHeader({ alg: 'RSA-OAEP-256', enc: 'A256GCM', cty: 'JWT' })
      .encrypt(publicKey)
    for (const [published, ...expected] of [
      [B, 'accepted', 2],
      // The fourth attempt begins a third fetch, and gives the request up.
      [A, 'KEYS_UNAVAILABLE', 3],
    ] as const) {
      await using server = startKeyServer()
      // The first keys come once they are looked for, which is after the decryption.
      const looked = Promise.withResolvers<void>()
      server.answer(async () => {
        server.publish(published)
        await looked.promise
        return Response.json({ keys: [A.jwk] })
      })
      // The clock runs ahead of the cool-down at each look, so that whatever may be fetched again is.
      let seconds = NOW
      let look: () => void = () => undefined
      let asked = 0
      const authenticator = createAuthenticator({
        issuers: [remote(server.url)],
        decryptionKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
        now: () => {
          look()
          seconds += 31
          return seconds * 1000
        },
        schedule: new ManualSchedule().schedule,
        leewaySeconds: 300,
        isRevoked: () => {
          asked += 1
          return false
        },
      })
      look = looked.resolve
      const answer = await Promise.resolve(authenticator.verifyText(encrypted)).then(
        () => 'accepted',
        (error: VestalError) => error.code,
      )
      expect([answer, authenticator.remoteKeyStatistics.get(ISSUER.name)?.fetches]).toEqual(expected)
      // Once it is verified nothing is done again.
      expect(asked).toBe(answer === 'accepted' ? 1 : 0)
      authenticator.close()
    }
  })

  test('has a revoked token rejected that had to wait', async () => {
    await using server = startKeyServer(A)
    using vestal = start([remote(server.url)], { isRevoked: ({ payload }) => payload.sub === 'revoked' })
    expect(await vestal.sendAndWait(A.sign({ ...CLAIMS, sub: 'revoked' }))).toBe('TOKEN_REVOKED')
    expect(await vestal.sendAndWait(A.sign(CLAIMS))).toBe('accepted')
  })

  test('has a token that had to wait checked with the rules of then, and does not cache what the old ones accept', async () => {
    await using server = startKeyServer(A)
    const answer = Promise.withResolvers<void>()
    server.answer(async () => {
      await answer.promise
      return Response.json({ keys: [A.jwk] })
    })
    using vestal = start([remote(server.url)])
    const token = A.sign(CLAIMS)
    const waiting = vestal.sendAndWait(token)
    ;(await vestal.authenticator.prepareRules({ issuers: [{ ...ISSUER, requiredClaims: ['client_id'] }] })).apply()
    answer.resolve()
    expect([await waiting, vestal.send(token)]).toEqual(['CLAIM_MISSING', 'CLAIM_MISSING'])
  })

  test('is rejected with 503 where routes were made that do not wait: the issuer came with other rules', async () => {
    await using server = startKeyServer(A)
    const answer = Promise.withResolvers<void>()
    server.answer(async () => {
      await answer.promise
      return Response.json({ keys: [A.jwk] })
    })
    using vestal = start([], { keys: OWN.jwk })
    expect(vestal.authenticator.mayWait).toBe(false)
    const change = vestal.authenticator.prepareRules({ issuers: [remote(server.url, { jwks: { timeoutMs: 100 } })] })
    ;(await change).apply()
    expect([vestal.send(A.sign(CLAIMS)), await vestal.sendAndWait(A.sign(CLAIMS))]).toEqual([
      'KEYS_UNAVAILABLE',
      'KEYS_UNAVAILABLE',
    ])
    answer.resolve()
  })

  test('does not hold up the tokens of another', async () => {
    await using hanging = startKeyServer()
    hanging.answer(() => new Promise<Response>(() => undefined))
    const two: TrustedIssuer = { name: 'https://two.example', keys: { keys: [B.jwk] }, audiences: ['vestal'] }
    using vestal = start([remote(hanging.url, { jwks: { timeoutMs: 60_000 } }), two])
    expect(vestal.send(B.sign({ ...CLAIMS, iss: two.name }))).toBe('accepted')
    expect(vestal.send(A.sign(CLAIMS))).toBe('waits')
  })
})

test('a token made with a public key of the issuer as the secret is rejected (A3)', () => {
  using vestal = start([ISSUER])
  const secret = JSON.stringify(A.jwk)
  expect(vestal.send(makeToken({ header: { alg: 'HS256', kid: 'a' }, payload: CLAIMS, secret }))).toBe('ALGORITHM_REFUSED')
})

describe('other rules', () => {
  test('leave the keys of issuers that stay as they are, also while these cannot be fetched', async () => {
    await using keyServer = startKeyServer(A)
    const issuer = { name: 'https://one.example', audiences: ['vestal'], jwksUrl: keyServer.url }
    const authenticator = createAuthenticator({ issuers: [issuer], now: () => NOW * 1000, warn: () => undefined })
    const request = () => new Request('http://localhost/', { headers: { authorization: `Bearer ${A.sign(CLAIMS)}` } })
    const may = async () => (await authenticator.authenticate(request())).allows(['p1'])
    expect(await may()).toBe(false)
    await keyServer.die()
    const change = await authenticator.prepareRules({
      issuers: [{ ...issuer, permissionClaims: ['sub'], grants: { me: ['p1'] } }],
    })
    expect(await may()).toBe(false)
    change.apply()
    expect(await may()).toBe(true)
    authenticator.close()
  })

  test('have the keys of issuers that stay fetched as before, and those of others no more', async () => {
    await using one = startKeyServer(A)
    await using two = startKeyServer(B)
    const { keys: _, ...bare } = ISSUER
    const [staying, leaving] = [
      { ...bare, jwksUrl: one.url },
      { ...bare, name: 'two', jwksUrl: two.url },
    ]
    using vestal = start([staying, leaving])
    expect(await vestal.sendAndWait(A.sign(CLAIMS))).toBe('accepted')
    expect(await vestal.sendAndWait(B.sign({ ...CLAIMS, iss: 'two' }))).toBe('accepted')
    expect(vestal.timer.delays).toEqual([300_000, 300_000])
    const change = await vestal.authenticator.prepareRules({ issuers: [{ ...staying, mayGrant: [] }] })
    change.apply()
    expect([vestal.timer.delays, one.requests(), two.requests()]).toEqual([[300_000], 1, 1])
    one.publish(B)
    vestal.clock.seconds += 31
    expect(await vestal.sendAndWait(B.sign(CLAIMS))).toBe('accepted')
    // Other limits are other keys.
    const slower = await vestal.authenticator.prepareRules({ issuers: [{ ...staying, jwks: { maxAgeSeconds: 1000 } }] })
    slower.apply()
    expect(vestal.timer.delays).toEqual([500_000])
  })

  test('that name no issuer any more reject every token', async () => {
    using vestal = start([ISSUER])
    const token = A.sign(CLAIMS)
    expect([vestal.send(token), vestal.send(token)]).toEqual(['accepted', 'accepted'])
    ;(await vestal.authenticator.prepareRules({ issuers: [] })).apply()
    // A token that is remembered is not an exception.
    expect([vestal.send(token), vestal.send(A.sign(CLAIMS))]).toEqual(['ISSUER_REFUSED', 'ISSUER_REFUSED'])
  })

  test('change at once what a remembered token grants, and what it must have', async () => {
    using vestal = start([{ ...ISSUER, permissionClaims: ['scope'] }])
    const token = A.sign({ ...CLAIMS, scope: 'p q' })
    expect([vestal.allows(token, 'p'), vestal.allows(token, 'q')]).toEqual([true, true])
    ;(await vestal.authenticator.prepareRules({ issuers: [{ ...ISSUER, permissionClaims: ['scope'], mayGrant: ['q'] }] })).apply()
    expect([vestal.allows(token, 'p'), vestal.allows(token, 'q')]).toEqual([false, true])
    ;(await vestal.authenticator.prepareRules({ issuers: [{ ...ISSUER, requiredClaims: ['client_id'] }] })).apply()
    expect(vestal.send(token)).toBe('CLAIM_MISSING')
    const own = start([], { keys: SECRET })
    const local = makeToken({ payload: { sub: 'me', exp: NOW + 60 } })
    expect(own.send(local)).toBe('accepted')
    ;(await own.authenticator.prepareRules({ requiredClaims: ['client_id'] })).apply()
    expect(own.send(local)).toBe('CLAIM_MISSING')
  })

  test('that are given up change nothing, and fetch no more', async () => {
    await using keyServer = startKeyServer(B)
    const timer = new ManualSchedule()
    const authenticator = createAuthenticator({
      keys: OWN.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      now: () => NOW * 1000,
      schedule: timer.schedule,
    })
    const change = await authenticator.prepareRules({ issuers: [{ name: 'b', audiences: ['vestal'], jwksUrl: keyServer.url }] })
    expect(timer.delays).toHaveLength(1)
    change.discard()
    expect(timer.delays).toEqual([])
    const request = new Request('http://localhost/', { headers: { authorization: `Bearer ${B.sign({ ...CLAIMS, iss: 'b' })}` } })
    expect(() => authenticator.authenticate(request)).toThrow()
  })

  test('that cannot be used are rejected, and the old ones stay', async () => {
    const authenticator = createAuthenticator({ secret: SECRET, now: () => NOW * 1000 })
    const twice = { ...ISSUER, keys: 'another secret of at least thirty-two bytes' }
    await expect(authenticator.prepareRules({ issuers: [twice, twice] })).rejects.toThrow('two issuers have the name')
    await expect(authenticator.prepareRules({ issuers: [ISSUER] })).rejects.toThrow('shared secrets and public keys are mixed')
    const token = makeToken({ payload: { sub: 'me', exp: NOW + 60 } })
    const request = new Request('http://localhost/', { headers: { authorization: `Bearer ${token}` } })
    expect(atOnce(authenticator.authenticate(request)).payload.sub).toBe('me')
  })

  test('are checked with the keys that one has when they are applied', async () => {
    const authenticator = createAuthenticator({ secret: SECRET, now: () => NOW * 1000 })
    const change = await authenticator.prepareRules({ requiredClaims: ['exp'] })
    const other = 'another secret of at least thirty-two bytes'
    authenticator.replaceKeys(other)
    change.apply()
    const of = (secret: string) => {
      const token = makeToken({ payload: { sub: 'me', exp: NOW + 60 }, secret })
      return new Request('http://localhost/', { headers: { authorization: `Bearer ${token}` } })
    }
    expect(atOnce(authenticator.authenticate(of(other))).payload.sub).toBe('me')
    expect(() => authenticator.authenticate(of(SECRET))).toThrow()
  })
})
