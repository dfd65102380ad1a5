import { describe, expect, test } from 'bun:test'
import { createHmac, generateKeyPairSync } from 'node:crypto'
import { decodeJwt, type Jwk, type JwtPayload, KeyError, signJwt, verifyJwt } from '../../../src/index.ts'
import { generateKey } from '../../../src/jose/generate-key.ts'
import { importJwk, importSecret } from '../../../src/jose/keys.ts'
import { nativeToken } from '../../../src/jose/signature-backends/native.ts'
import { loadNative } from '../../../src/jose/signature-backends.ts'
import { SECRET } from '../../support/tokens.ts'

const NOW = { now: () => 1_800_000_000_000 }
const header = (token: string) => decodeJwt(token).header
const ecJwk = generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey.export({ format: 'jwk' }) as Jwk

describe('a token that is signed', () => {
  test('carries iat, exp and a jti of its own, and those that it is given', () => {
    const [one, other] = [0, 1].map(() => decodeJwt(signJwt({ sub: 'me' }, SECRET, NOW)).payload)
    expect(one).toEqual({ sub: 'me', iat: 1_800_000_000, exp: 1_800_000_300, jti: expect.stringMatching(/^[0-9a-f-]{36}$/) })
    expect(one?.jti).not.toBe(other?.jti)
    const given = { iat: 1, exp: 2, jti: 'mine' }
    expect(decodeJwt(signJwt(given, SECRET)).payload).toEqual(given)
  })

  test('carries its type, the algorithm of its key, and the key id where the key has one', () => {
    expect(header(signJwt({}, SECRET))).toEqual({ typ: 'JWT', alg: 'HS256' })
    expect(header(signJwt({}, SECRET, { type: 'at+jwt', algorithm: 'HS512' }))).toEqual({ typ: 'at+jwt', alg: 'HS512' })
    expect(header(signJwt({}, { ...ecJwk, kid: 'k1' }))).toEqual({ typ: 'JWT', alg: 'ES256', kid: 'k1' })
    expect(header(signJwt({}, ecJwk)).kid).toMatch(/^[\w-]{43}$/)
  })

  for (const algorithm of ['HS256', 'HS384', 'HS512', 'RS256', 'PS384', 'ES256', 'ES384', 'ES512', 'EdDSA'] as const) {
    test(`with ${algorithm} is accepted under its own key, and under no other`, () => {
      const { secret } = generateKey(algorithm)
      const token = signJwt({ sub: 'me' }, secret, { type: 'at+jwt' })
      expect(verifyJwt(token, secret).payload.sub).toBe('me')
      expect(verifyJwt(token, secret, { types: ['at+jwt'] }).header.alg).toBe(algorithm)
      expect(() => verifyJwt(token, generateKey(algorithm).secret)).toThrow()
      expect(() => verifyJwt(token, secret, { types: ['JWT'] })).toThrow('typ')
    })
  }

  test('needs a key that signs, for that algorithm', () => {
    const { d: _, ...publicJwk } = ecJwk
    expect(() => signJwt({}, publicJwk)).toThrow('none of the keys can sign')
    expect(() => signJwt({}, importJwk(ecJwk), { algorithm: 'HS256' })).toThrow(KeyError)
    expect(() => signJwt({}, importSecret(SECRET), { algorithm: 'HS512' })).toThrow('cannot be used with HS512')
    for (const lifetimeSeconds of [0, -1, Number.NaN]) expect(() => signJwt({}, SECRET, { lifetimeSeconds })).toThrow(TypeError)
    for (const payload of [null, [], 'x']) expect(() => signJwt(payload as never, SECRET)).toThrow(TypeError)
  })
})

describe('a token that Rust signs', () => {
  const claims = { iat: 1, exp: 2_000_000_000, jti: 'j' }
  const expected = (payload: object, hash = 'sha256', alg = 'HS256', kid?: string) => {
    const parts = [{ typ: 'JWT', alg, ...(kid && { kid }) }, payload].map((part) =>
      Buffer.from(JSON.stringify(part)).toString('base64url'),
    )
    return `${parts.join('.')}.${createHmac(hash, SECRET).update(parts.join('.')).digest('base64url')}`
  }

  test('is the one that node:crypto would make', () => {
    for (const [algorithm, hash] of [
      ['HS256', 'sha256'],
      ['HS384', 'sha384'],
      ['HS512', 'sha512'],
    ] as const) {
      for (const kid of [undefined, 'k1']) {
        const key = importSecret(SECRET, { algorithm, ...(kid && { kid }) })
        expect(signJwt(claims, key, { signatureBackend: 'native' })).toBe(expected(claims, hash, algorithm, kid))
      }
    }
  })

  test('is Rust’s own where it writes the same, and not where it would write another', () => {
    const { signSync } = loadNative()
    if (signSync === undefined) throw new Error('the addon is missing')
    const key = importSecret(SECRET)
    const isNative = (payload: object) => {
      const input = expected(payload).split('.').slice(0, 2).join('.')
      return nativeToken(signSync, key, { algorithm: 'HS256', kid: undefined, claims: payload, input }) !== undefined
    }
    expect(
      isNative({ ...claims, sub: 'ü<\u2028"\\', data: { permissions: ['a', 'b'], n: 1.5, z: -3, yes: true, none: null } }),
    ).toBe(true)
    // What node-rs writes in its own way: large numbers, and a member that would be a prototype.
    for (const other of [{ big: 2 ** 60 }, { huge: 1e21 }, { small: 1e-7 }, JSON.parse('{"__proto__":{"a":1}}') as object]) {
      const payload = { ...claims, data: other }
      expect(signJwt(payload as JwtPayload, key, { signatureBackend: 'native' })).toBe(expected(payload))
    }
    expect(isNative({ ...claims, big: 2 ** 60 })).toBe(false)
  })

  test('is node:crypto’s where the type is another, or the key is private', () => {
    const token = signJwt(claims, SECRET, { signatureBackend: 'native', type: 'at+jwt' })
    expect([header(token).typ, verifyJwt(token, SECRET).payload.jti]).toEqual(['at+jwt', 'j'])
    expect(verifyJwt(signJwt(claims, ecJwk, { signatureBackend: 'native' }), ecJwk).payload.jti).toBe('j')
  })
})
