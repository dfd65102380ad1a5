import { describe, expect, test } from 'bun:test'
import { createHmac } from 'node:crypto'
import { type ErrorCode, VestalError } from '../../../src/core/errors.ts'
import { decodeJwt } from '../../../src/jose/decode.ts'
import { type FlattenedJws, verifyCompactJws, verifyFlattenedJws } from '../../../src/jose/jws.ts'
import { KeyError } from '../../../src/jose/key-error.ts'
import { signJwt } from '../../../src/jose/sign.ts'
import { verifyJwt } from '../../../src/jose/verify.ts'
import { makeToken, SECRET } from '../../support/tokens.ts'

function codeOf(work: () => unknown): ErrorCode | 'accepted' {
  try {
    work()
    return 'accepted'
  } catch (error) {
    if (error instanceof VestalError) return error.code
    throw error
  }
}

const compact = makeToken({ header: { alg: 'HS256' }, payload: 'any bytes: \u00fc' })
const [head = '', body = '', signature = ''] = compact.split('.')
const flattened: FlattenedJws = { protected: head, payload: body, signature }

describe('a compact JWS', () => {
  test('is verified whatever its payload is', () => {
    const { header, payload } = verifyCompactJws(compact, SECRET)
    expect([header, Buffer.from(payload).toString()]).toEqual([{ alg: 'HS256' }, 'any bytes: ü'])
  })

  test('is rejected where the signature, the algorithm or the key is another', () => {
    expect(codeOf(() => verifyCompactJws(`${head}.${body}x.${signature}`, SECRET))).toBeOneOf([
      'SIGNATURE_INVALID',
      'TOKEN_MALFORMED',
    ])
    expect(codeOf(() => verifyCompactJws(compact, `${SECRET}x`))).toBe('SIGNATURE_INVALID')
    expect(codeOf(() => verifyCompactJws(compact, SECRET, { algorithms: ['HS512'] }))).toBe('ALGORITHM_REFUSED')
    expect(codeOf(() => verifyCompactJws(makeToken({ header: { alg: 'none' }, signature: '' }), SECRET))).toBe(
      'ALGORITHM_REFUSED',
    )
    expect(codeOf(() => verifyCompactJws(makeToken({ header: { alg: 'HS256', b64: false, crit: ['b64'] } }), SECRET))).toBe(
      'HEADER_PARAMETER_REFUSED',
    )
  })
})

test('a JWS that names no key is checked with each that may have signed it, and with no other', () => {
  const jwk = (secret: string, more: object = {}) => ({
    kty: 'oct',
    alg: 'HS256',
    k: Buffer.from(secret).toString('base64url'),
    ...more,
  })
  const [one, two] = [`${SECRET}1`, `${SECRET}2`]
  for (const [keys, expected] of [
    [[jwk(one), jwk(SECRET), jwk(two)], 'accepted'],
    [[jwk(SECRET), jwk(one)], 'accepted'],
    [[jwk(one), jwk(two)], 'SIGNATURE_INVALID'],
    [[jwk(one), jwk(SECRET, { alg: 'HS512' })], 'SIGNATURE_INVALID'],
    [[jwk(one, { alg: 'HS512' }), jwk(SECRET, { alg: 'HS512' })], 'ALGORITHM_REFUSED'],
  ] as const)
    expect(codeOf(() => verifyCompactJws(compact, { keys }))).toBe(expected)
})

describe('a flattened JWS', () => {
  test('is verified', () => {
    expect(Buffer.from(verifyFlattenedJws(flattened, SECRET).payload).toString()).toBe('any bytes: ü')
  })

  test('may have an unprotected header beside the protected one', () => {
    expect(verifyFlattenedJws({ ...flattened, header: { kid: 'x' } }, SECRET).header).toEqual({ alg: 'HS256', kid: 'x' })
  })

  test('may have an unprotected header alone, and no header is empty (RFC 7515 §7.2.1)', () => {
    const unprotected = { header: { alg: 'HS256' }, payload: body }
    const bare = { ...unprotected, signature: createHmac('sha256', SECRET).update(`.${body}`).digest('base64url') }
    expect(verifyFlattenedJws(bare as FlattenedJws, SECRET).header).toEqual({ alg: 'HS256' })
    for (const jws of [
      { ...bare, protected: '' },
      { ...flattened, header: {} },
    ])
      expect(codeOf(() => verifyFlattenedJws(jws as FlattenedJws, SECRET))).toBe('TOKEN_MALFORMED')
  })

  test('is rejected in any other form', () => {
    const wrong: readonly unknown[] = [
      null,
      [],
      compact,
      {},
      { ...flattened, payload: undefined },
      { ...flattened, payload: 7 },
      { ...flattened, signature: '' },
      { ...flattened, signature: `${signature}=` },
      { ...flattened, payload: `${body} ` },
      { ...flattened, protected: 'e30' },
      { ...flattened, header: { alg: 'HS256' } },
      { ...flattened, header: 7 },
      { ...flattened, header: { crit: ['exp'] } },
      { ...flattened, signatures: [] },
      { ...flattened, payload: body.replace(/^./, 'A') },
    ]
    for (const jws of wrong) {
      expect(codeOf(() => verifyFlattenedJws(jws as FlattenedJws, SECRET))).toBeOneOf([
        'TOKEN_MALFORMED',
        'SIGNATURE_INVALID',
        'ALGORITHM_REFUSED',
        'HEADER_PARAMETER_REFUSED',
      ])
    }
    expect(codeOf(() => verifyFlattenedJws({ ...flattened, payload: 'A'.repeat(9000) }, SECRET))).toBe('TOKEN_TOO_LONG')
  })

  test('is rejected with the reason', () => {
    const { payload, ...unpaid } = flattened
    const cases: readonly (readonly [jws: unknown, reason: string])[] = [
      ...[null, [], compact, 7, undefined].map((jws) => [jws, 'a flattened JWS is an object'] as const),
      [{ ...flattened, signatures: [] }, 'a JWS with several signatures is not accepted'],
      [{ ...flattened, protected: '' }, 'the member "protected" is empty'],
      [unpaid, 'the member "payload" is not a string'],
      [{ ...flattened, payload: 7 }, 'the member "payload" is not a string'],
      [{ ...flattened, protected: 7 }, 'the member "protected" is not a string'],
      [{ ...flattened, signature: null }, 'the member "signature" is not a string'],
      [{ ...flattened, payload: `${payload}=` }, 'the member "payload" is not canonical base64url'],
      [{ ...flattened, signature: `${signature}=` }, 'the member "signature" is not canonical base64url'],
      ...[null, 7, 'x', []].map((header) => [{ ...flattened, header }, '"header" is not an object'] as const),
      [{ ...flattened, header: {} }, 'the member "header" is empty'],
      [{ ...flattened, header: { alg: 'HS256' } }, 'a member is in both headers'],
      [{ ...flattened, protected: Buffer.from('[]').toString('base64url') }, 'the protected header is not a JSON object'],
      [{ ...flattened, header: { kid: 7 } }, 'the header\'s "kid" is not a string'],
    ]
    for (const [jws, reason] of cases) {
      expect(() => verifyFlattenedJws(jws as FlattenedJws, SECRET)).toThrow(reason)
      expect(codeOf(() => verifyFlattenedJws(jws as FlattenedJws, SECRET))).toBe('TOKEN_MALFORMED')
    }
  })

  test('has parts of as many characters as a token may have', () => {
    const of = (text: string) => {
      const encoded = Buffer.from(text).toString('base64url')
      const mac = createHmac('sha256', SECRET).update(`${head}.${encoded}`).digest('base64url')
      return { protected: head, payload: encoded, signature: mac }
    }
    const [fits, exceeds] = [of('x'.repeat(6144)), of('x'.repeat(6145))]
    expect([fits.payload.length, exceeds.payload.length]).toEqual([8192, 8194])
    expect(verifyFlattenedJws(fits, SECRET).payload).toHaveLength(6144)
    expect(codeOf(() => verifyFlattenedJws(exceeds, SECRET))).toBe('TOKEN_TOO_LONG')
    expect(verifyFlattenedJws(exceeds, SECRET, { tokenBytesMax: 8194 }).payload).toHaveLength(6145)
    expect(codeOf(() => verifyFlattenedJws(fits, SECRET, { tokenBytesMax: 8191 }))).toBe('TOKEN_TOO_LONG')
    expect(codeOf(() => verifyFlattenedJws(flattened, SECRET, { algorithms: ['HS512'] }))).toBe('ALGORITHM_REFUSED')
    expect(codeOf(() => verifyFlattenedJws(flattened, SECRET, { algorithms: ['HS512', 'HS256'] }))).toBe('accepted')
  })
})

describe('a token that is signed here', () => {
  const now = () => 1_800_000_000_500

  test('has iat, exp and jti, unless they are given', () => {
    const { header, payload } = verifyJwt(signJwt({ sub: 'me' }, SECRET, { now }), SECRET, { now })
    expect(header).toEqual({ alg: 'HS256', typ: 'JWT' })
    expect(payload).toEqual({ sub: 'me', iat: 1_800_000_000, exp: 1_800_000_300, jti: expect.any(String) as never })
    const given = { iat: 1_799_999_999, exp: 1_800_000_001, jti: 'x' }
    expect(verifyJwt(signJwt(given, SECRET, { now }), SECRET, { now }).payload).toEqual(given)
  })

  test('lives as long as it is given, and has the type it is given', () => {
    const token = signJwt({}, SECRET, { now, lifetimeSeconds: 10, type: 'at+jwt' })
    const { header, payload } = verifyJwt(token, SECRET, { now })
    expect([header.typ, (payload.exp ?? 0) - (payload.iat ?? 0)]).toEqual(['at+jwt', 10])
    const lives = (lifetimeSeconds: number, claims: object = {}) => {
      const { iat = 0, exp = 0 } = decodeJwt(signJwt({ ...claims }, SECRET, { now, lifetimeSeconds })).payload as Record<
        string,
        number
      >
      return [iat, exp - iat]
    }
    expect([lives(0.5), lives(1.5), lives(60, { iat: 1000 })]).toEqual([
      [1_800_000_000, 1],
      [1_800_000_000, 2],
      [1000, 60],
    ])
  })

  test('is rejected to keys that cannot sign, and to payloads that are none', async () => {
    const { generateKeyPairSync } = await import('node:crypto')
    const pem = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' }).toString()
    expect(() => signJwt({}, pem)).toThrow(KeyError)
    expect(() => signJwt({}, 'short')).toThrow(KeyError)
    for (const payload of [null, [], 'x']) expect(() => signJwt(payload as never, SECRET)).toThrow('object of claims')
    for (const lifetimeSeconds of [0, -1, Number.NaN])
      expect(() => signJwt({}, SECRET, { lifetimeSeconds })).toThrow('"lifetimeSeconds"')
  })
})

describe('a token that is only decoded', () => {
  test('is read, and said to be unverified', () => {
    expect(decodeJwt(makeToken({ payload: { sub: 'me' }, signature: 'AAAA' }))).toEqual({
      isVerified: false,
      header: { alg: 'HS256', typ: 'JWT' },
      payload: { sub: 'me' },
    })
  })

  test('is rejected where it is none', () => {
    for (const text of ['', 'a.b.c', 'a.b', makeToken({ payload: '[]' }), makeToken({ payload: '{"a":1,"a":2}' })]) {
      expect(codeOf(() => decodeJwt(text))).toBe('TOKEN_MALFORMED')
    }
  })
})
