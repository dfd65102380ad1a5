import { describe, expect, test } from 'bun:test'
import { generateKeyPairSync, sign } from 'node:crypto'
import { type ErrorCode, VestalError } from '../../../src/core/errors.ts'
import type { Jwk } from '../../../src/jose/jwk-members.ts'
import type { KeyInput } from '../../../src/jose/key-set.ts'
import { importJwk, importSecret } from '../../../src/jose/keys.ts'
import type { SignatureBackendOption } from '../../../src/jose/signature-backends.ts'
import { createPublishedVerifier, createVerifier, type VerifyOptions, verifyJwt } from '../../../src/jose/verify.ts'
import { makeToken, type Parts, SECRET } from '../../support/tokens.ts'

const NOW = 1_800_000_000
const GOOD = { exp: NOW + 60, sub: 'me' }

function outcome(token: string, options: VerifyOptions = {}, keys: KeyInput = SECRET): ErrorCode | 'accepted' {
  try {
    verifyJwt(token, keys, { now: () => NOW * 1000, ...options })
    return 'accepted'
  } catch (error) {
    if (error instanceof VestalError) return error.code
    throw error
  }
}

const token = (parts: Parts = {}) => makeToken({ payload: GOOD, ...parts })
const header = (more: object, base: object = { alg: 'HS256' }) => token({ header: { ...base, ...more } })

for (const signatureBackend of ['auto', 'native', 'boring', 'wasm'] satisfies SignatureBackendOption[]) {
  const check = (text: string, options: VerifyOptions = {}) => outcome(text, { signatureBackend, ...options })

  // node-rs reads the claims too, and calls what it cannot read a bad signature.
  const UNREADABLE: ErrorCode[] =
    signatureBackend === 'boring' || signatureBackend === 'wasm' ? ['TOKEN_MALFORMED'] : ['TOKEN_MALFORMED', 'SIGNATURE_INVALID']

  describe(`a token checked by the signature backend ${signatureBackend}`, () => {
    test('is accepted where everything is right, and its parts are given', () => {
      const text = token({ payload: { ...GOOD, data: { permissions: ['a'] } } })
      const { payload, header: read } = verifyJwt(text, SECRET, { signatureBackend, now: () => NOW * 1000 })
      expect(payload).toEqual({ ...GOOD, data: { permissions: ['a'] } })
      expect(read).toEqual({ alg: 'HS256', typ: 'JWT' })
    })

    test('may have spaces in its JSON, which RFC 8259 allows', () => {
      expect(check(token({ header: '{ "alg" : "HS256" ,\n"typ":"JWT" }', payload: `{"exp" : ${GOOD.exp} }` }))).toBe('accepted')
    })

    for (const alg of [
      'none',
      'None',
      'NONE',
      'nOnE',
      ' none',
      '',
      'hs256',
      'HS256 ',
      null,
      7,
      ['HS256'],
      {},
      'x'.repeat(5000),
    ]) {
      test(`is rejected with the alg ${JSON.stringify(alg).slice(0, 20)}, signed or not (A1, A2)`, () => {
        expect(check(token({ header: { alg } }))).toBe('ALGORITHM_REFUSED')
        expect(check(token({ header: { alg }, signature: '' }))).toBe('ALGORITHM_REFUSED')
      })
    }

    test('is rejected without an alg, or with the member in another case (A2, H8)', () => {
      expect(check(token({ header: {} }))).toBe('ALGORITHM_REFUSED')
      expect(check(token({ header: { ALG: 'HS256' } }))).toBe('ALGORITHM_REFUSED')
    })

    test('is rejected with an algorithm that is not the key’s (A5, A6)', () => {
      expect(check(token({ header: { alg: 'HS512' }, hash: 'sha512' }))).toBe('ALGORITHM_REFUSED')
      expect(check(token({ header: { alg: 'RS256' } }))).toBe('ALGORITHM_REFUSED')
      expect(check(token(), { algorithms: ['HS512'] })).toBe('ALGORITHM_REFUSED')
      expect(check(token({ header: { alg: 'HS512' }, hash: 'sha512' }), { algorithms: ['HS512'] })).toBe('accepted')
    })

    test('is rejected with another signature, or a part of one (S1, S2, S8)', () => {
      const [head, body, signature = ''] = token().split('.')
      const other = token({ payload: { ...GOOD, sub: 'you' } }).split('.')[2]
      for (const wrong of [other, '', signature.slice(0, 2), signature.slice(0, 40), `${signature}AA`, signature.toLowerCase()]) {
        expect(check(`${head}.${body}.${wrong}`)).toBeOneOf(['SIGNATURE_INVALID', 'TOKEN_MALFORMED'])
      }
      expect(check(token({ hash: 'sha384' }))).toBe('SIGNATURE_INVALID')
      expect(check(token({ secret: `${SECRET}x` }))).toBe('SIGNATURE_INVALID')
    })

    test('is rejected with another number of parts (S1)', () => {
      const good = token()
      for (const text of [
        '',
        '.',
        '..',
        '...',
        'a',
        good.split('.')[0] ?? '',
        good.slice(0, good.lastIndexOf('.')),
        `${good}.`,
        `.${good}`,
      ]) {
        expect(check(text)).toBe('TOKEN_MALFORMED')
      }
      expect(check(`${good}.${good.split('.').slice(0, 2).join('.')}`)).toBe('TOKEN_ENCRYPTED')
    })

    test('is rejected in any but the one canonical encoding (E1 to E6)', () => {
      const good = token({ payload: { ...GOOD, pad: 'ü?>~' } })
      const [head = '', body = '', signature = ''] = good.split('.')
      const wrong = [
        `${good}=`,
        `${head}=.${body}.${signature}`,
        `${head}.${body}==.${signature}`,
        good
          .replaceAll('-', '+')
          .replaceAll('_', '/')
          .replace(signature, `${signature.slice(0, -1)}+`),
        ` ${good}`,
        `${good} `,
        `${good}\n`,
        `${head}. ${body}.${signature}`,
        `${head}.${body}\u200b.${signature}`,
        `${head}.${body}\u0000.${signature}`,
        `${head}.${body}%20.${signature}`,
        `${head}.${body}\u00e9.${signature}`,
        `${head}.${body}\ud800.${signature}`,
        `${head}.${body.slice(0, -1)}.${signature}`,
      ]
      for (const text of wrong) expect(check(text)).toBeOneOf(['TOKEN_MALFORMED', 'SIGNATURE_INVALID'])
    })

    test('is rejected where unused bits of the signature are set: other text, same bytes (E3)', () => {
      const good = token()
      const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
      const last = alphabet.indexOf(good.at(-1) ?? '')
      for (const bits of [1, 2, 3]) expect(check(good.slice(0, -1) + alphabet[last + bits])).toBe('TOKEN_MALFORMED')
    })

    test('is rejected with parameters that choose a key or change the rules (A12, H1, H2, H5)', () => {
      const values: Readonly<Record<string, readonly unknown[]>> = {
        crit: [['exp'], ['foo'], [], 'exp', 1, ['b64'], null],
        b64: [false, true],
        zip: ['DEF'],
        enc: ['A128GCM'],
        jwk: [{ kty: 'oct', k: 'AAAA' }, null],
        jku: ['http://127.0.0.1/keys'],
        x5u: ['http://127.0.0.1/cert'],
        x5c: [['MIIB']],
      }
      for (const [name, list] of Object.entries(values)) {
        for (const value of list)
          expect([name, value, check(header({ [name]: value }))]).toEqual([name, value, 'HEADER_PARAMETER_REFUSED'])
      }
    })

    test('is rejected where it holds another token (H7)', () => {
      for (const cty of ['JWT', 'jwt', 'application/jwt', 7]) expect(check(header({ cty }))).toBe('HEADER_PARAMETER_REFUSED')
      expect(check(header({ cty: 'text/plain' }))).toBe('accepted')
    })

    test('is rejected with another type (A15, H6)', () => {
      for (const typ of ['rt+jwt', 'JOSE', 'id_token', ' JWT', 'dpop+jwt', ''])
        expect(check(header({ typ }))).toBe('TOKEN_TYPE_REFUSED')
      for (const typ of ['JWT', 'jwt', 'at+jwt', 'AT+JWT', 'application/at+jwt']) expect(check(header({ typ }))).toBe('accepted')
      for (const typ of [7, null, ['JWT']]) expect(check(header({ typ }))).toBe('TOKEN_MALFORMED')
      expect(check(token({ header: { alg: 'HS256' } }))).toBe('accepted')
      for (const typ of ['text/jwt', 'application/application/jwt', 'application/text/jwt', 'application/'])
        expect(check(header({ typ }))).toBe('TOKEN_TYPE_REFUSED')
      for (const [asked, typ] of [
        ['text/plain', 'application/text/plain'],
        ['application/text/plain', 'text/plain'],
        ['plain', 'text/plain'],
        ['text/plain', 'plain'],
      ] as const)
        expect(check(header({ typ }), { types: [asked] })).toBe('TOKEN_TYPE_REFUSED')
      for (const [asked, typ] of [
        ['text/plain', 'Text/Plain'],
        ['application/example', 'EXAMPLE'],
        ['example', 'application/example'],
      ] as const)
        expect(check(header({ typ }), { types: [asked] })).toBe('accepted')
      expect(check(header({ typ: 'JWT' }), { types: ['at+jwt'] })).toBe('TOKEN_TYPE_REFUSED')
      expect(check(token({ header: { alg: 'HS256' } }), { types: ['at+jwt'] })).toBe('TOKEN_TYPE_REFUSED')
    })

    test('is rejected where a member is there twice, at any depth (H3, C11)', () => {
      const heads = ['{"alg":"none","alg":"HS256"}', '{"alg":"HS256","alg":"none"}', '{"alg":"HS256","\\u0061lg":"HS256"}']
      for (const text of heads) expect(check(token({ header: text }))).toBe('TOKEN_MALFORMED')
      const bodies = [`{"exp":1,"exp":${GOOD.exp}}`, `{"exp":${GOOD.exp},"exp":1}`, `{"exp":${GOOD.exp},"data":{"a":1,"a":2}}`]
      for (const text of [...bodies, `{"exp":${GOOD.exp},"data":[{"a":1,"a":2}]}`])
        expect(check(token({ payload: text }))).toBeOneOf(UNREADABLE)
      expect(check(token({ payload: `{"exp":${GOOD.exp},"a":"\\"a\\":1,","b":{"a":1},"c":{"a":2}}` }))).toBe('accepted')
    })

    test('may have quotes and backslashes in its names and values, in any number', () => {
      const [quote, backslash] = ['"', '\\']
      const texts = [
        '',
        quote,
        `${quote}${quote}`,
        backslash,
        `${backslash}${quote}`,
        `${backslash}${backslash}${quote}`,
        `${quote}:`,
      ]
      for (const text of [...texts, `${backslash}${quote}:${quote}`, `${quote}a${quote}:1`, '[', ']', `[${quote}`, `]${quote}`]) {
        expect([text, check(token({ payload: { ...GOOD, a: text, b: { [text]: 1, c: text } } }))]).toEqual([text, 'accepted'])
        const name = JSON.stringify(text)
        const twice = `{"exp":${GOOD.exp},"a":{${name}:${name},"b":1,${name}:${name}}}`
        expect([text, check(token({ payload: twice }))]).toEqual([text, 'TOKEN_MALFORMED'])
      }
    })

    test('is rejected where a part is no JSON object (H4, C13)', () => {
      const texts = ['[]', 'null', '1', '"x"', '', '{', '{}x', '\ufeff{}', '{"a":\u0001}', '{"exp":NaN}', `{"exp":1e999}`]
      for (const text of texts) {
        expect(check(token({ header: text }))).toBeOneOf(['TOKEN_MALFORMED', 'ALGORITHM_REFUSED'])
        expect(check(token({ payload: text }))).toBeOneOf([...UNREADABLE, 'CLAIM_MISSING', 'CLAIM_INVALID'])
      }
      expect(check(token({ payload: `{"exp":${GOOD.exp},"a":"\\ud800"}` }))).toBeOneOf(UNREADABLE)
    })

    test('is rejected where a claim would change a prototype (C12)', () => {
      expect(check(token({ payload: `{"exp":${GOOD.exp},"__proto__":{"admin":true}}` }))).toBe('TOKEN_MALFORMED')
      const { payload } = verifyJwt(token({ payload: { ...GOOD, constructor: 1, toString: 2 } }), SECRET, {
        signatureBackend,
        now: () => NOW * 1000,
      })
      expect(Object.getPrototypeOf(payload)).toBe(Object.prototype)
      expect('admin' in {}).toBe(false)
    })

    test('is rejected where it is deep or long (C14)', () => {
      const deep = (levels: number) => token({ payload: `{"exp":${GOOD.exp},"a":${'['.repeat(levels)}${']'.repeat(levels)}}` })
      expect(check(deep(31))).toBe('accepted')
      expect(check(deep(32))).toBe('TOKEN_MALFORMED')
      expect(check(deep(2500))).toBeOneOf(UNREADABLE)
      expect(check(token({ payload: { ...GOOD, a: 'x'.repeat(7000) } }))).toBe('TOKEN_TOO_LONG')
      expect(check(token({ payload: { ...GOOD, a: 'x'.repeat(7000) } }), { tokenBytesMax: 16_384 })).toBe('accepted')
    })

    test('is accepted with the claims that custom names, of any type', () => {
      expect(check(token({ payload: { ...GOOD, data: null, scope: 7, roles: [] } }))).toBe('accepted')
    })
  })
}

describe('a key id', () => {
  const jwk = (kid: string, secret: string) => ({ kty: 'oct', alg: 'HS256', kid, k: Buffer.from(secret).toString('base64url') })
  const set = { keys: [jwk('a', SECRET), jwk('b', `${SECRET}2`)] }

  test('selects its key, and no other is tried', () => {
    expect(outcome(header({ kid: 'a' }), {}, set)).toBe('accepted')
    expect(outcome(header({ kid: 'b' }), {}, set)).toBe('SIGNATURE_INVALID')
  })

  test('that no key has, or that is missing among several, is rejected (A10)', () => {
    for (const kid of ['c', '', '../../dev/null', "' OR 1=1--", '\u0000', '__proto__', 'constructor', 'x'.repeat(3000)]) {
      expect(outcome(header({ kid }), {}, set)).toBe('KEY_UNKNOWN')
    }
    expect(outcome(token(), {}, set)).toBe('KEY_UNKNOWN')
    for (const kid of [7, null, {}, ['a']]) expect(outcome(header({ kid }), {}, set)).toBe('TOKEN_MALFORMED')
  })
})

describe('algorithm confusion', () => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const ec = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })

  test('with a public key as the secret is rejected, in every form of the key (A3, A4)', () => {
    for (const { publicKey } of [rsa, ec]) {
      const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString()
      const der = publicKey.export({ type: 'spki', format: 'der' })
      const jwk = JSON.stringify(publicKey.export({ format: 'jwk' }))
      for (const secret of [pem, pem.trim(), pem.replaceAll('\n', '\r\n'), ` ${pem}`, der, jwk, der.toString('base64')]) {
        expect(outcome(token({ secret: secret as string }), {}, pem)).toBe('ALGORITHM_REFUSED')
      }
    }
  })

  test('is not made possible by handing a PEM over as the bytes of a secret (A3)', () => {
    const pem = rsa.publicKey.export({ type: 'spki', format: 'pem' }).toString()
    expect(() => createVerifier(Buffer.from(pem))).toThrow('PEM')
  })

  test('within a family is rejected (A5)', async () => {
    const { signJwt } = await import('../../../src/jose/sign.ts')
    const pem = rsa.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    const ps = signJwt(GOOD, pem, { algorithm: 'PS256', now: () => NOW * 1000 })
    expect(outcome(ps, { algorithms: ['RS256'] }, pem)).toBe('ALGORITHM_REFUSED')
    expect(outcome(ps, { algorithms: ['PS256'] }, pem)).toBe('accepted')
  })
})

describe('a verifier', () => {
  test('takes the time from its clock', () => {
    let now = NOW
    const verify = createVerifier(SECRET, { now: () => now * 1000 })
    const text = token()
    expect(verify(text).payload.sub).toBe('me')
    now = NOW + 64
    expect(verify(text).payload.sub).toBe('me')
    now = NOW + 65
    expect(() => verify(text)).toThrow('expired')
    now = NOW
    expect(verify(text).payload.sub).toBe('me')
  })

  test('remembers headers, and only so many', () => {
    const verify = createVerifier(SECRET, { now: () => NOW * 1000 })
    for (let index = 0; index < 200; index += 1) expect(verify(header({ kid: `k${index}` })).header.kid).toBe(`k${index}`)
  })

  test('prepares the check of a key once, however many headers there are', () => {
    const key = importSecret(SECRET)
    let reads = 0
    key.verifying.export = (() => {
      reads += 1
      return Buffer.from(SECRET)
    }) as typeof key.verifying.export
    const verify = createVerifier(key, { now: () => NOW * 1000, signatureBackend: 'boring' })
    for (let index = 0; index < 100; index += 1) expect(verify(header({ kid: `k${index}` })).payload.sub).toBe('me')
    expect(reads).toBe(1)
  })

  test('takes the least and the largest value of each option', () => {
    for (const leewaySeconds of [0, 300]) expect(outcome(token(), { leewaySeconds })).toBe('accepted')
    expect(outcome(token(), { tokenBytesMax: 65_536 })).toBe('accepted')
    expect(outcome(token(), { tokenBytesMax: 64 })).toBe('TOKEN_TOO_LONG')
    expect(outcome(token({ payload: { ...GOOD, iat: GOOD.exp } }), { lifetimeSecondsMax: 0.5, leewaySeconds: 60 })).toBe(
      'accepted',
    )
    expect(outcome(token(), { issuers: [], audiences: [] })).toBe('ISSUER_REFUSED')
  })

  test('takes a token of 8192 characters, and of as many as it is given, and none that is longer', () => {
    // A payload of 9 digits more is 12 characters more; the header gives the rest.
    const sized = (length: number) => {
      for (let kid = 0; kid < 4; kid += 1) {
        const short = header({ kid: 'k'.repeat(kid) })
        const fill = Math.floor(((length - short.length) * 3) / 4)
        for (let size = fill - 12; size <= fill; size += 1) {
          const text = token({
            header: { alg: 'HS256', kid: 'k'.repeat(kid) },
            payload: { ...GOOD, a: 'x'.repeat(Math.max(0, size)) },
          })
          if (text.length === length) return text
        }
      }
      throw new Error('no token has that length')
    }
    expect([outcome(sized(8192)), outcome(sized(8193))]).toEqual(['accepted', 'TOKEN_TOO_LONG'])
    expect([outcome(sized(1000), { tokenBytesMax: 1000 }), outcome(sized(1001), { tokenBytesMax: 1000 })]).toEqual([
      'accepted',
      'TOKEN_TOO_LONG',
    ])
  })

  test('rejects options that cannot work', () => {
    const cases: readonly (readonly [options: object, message: string])[] = [
      [{ algorithms: [] }, '"algorithms"'],
      [{ algorithms: ['none'] }, '"algorithms"'],
      [{ algorithms: ['HS256', 'none'] }, '"algorithms"'],
      [{ audiences: ['me', ''] }, '"audiences"'],
      [{ leewaySeconds: -1 }, '"leewaySeconds"'],
      [{ leewaySeconds: 301 }, '"leewaySeconds"'],
      [{ tokenBytesMax: 63 }, '"tokenBytesMax"'],
      [{ tokenBytesMax: 65_537 }, '"tokenBytesMax"'],
      [{ leewaySeconds: Number.NaN }, '"leewaySeconds"'],
      [{ requiredClaims: 'exp' }, '"requiredClaims"'],
      [{ requiredValues: { a: '' } }, '"requiredValues"'],
      [{ lifetimeSecondsMax: 0 }, '"lifetimeSecondsMax"'],
      [{ interop: 'django' }, '"interop"'],
      [{ issuers: 'me' }, '"issuers"'],
      [{ audiences: [''] }, '"audiences"'],
      [{ types: [7] }, '"types"'],
      [{ types: [] }, '"types"'],
      [{ audienceClaim: '' }, '"audienceClaim"'],
      [{ requiredValues: { a: 1 } }, '"requiredValues"'],
    ]
    for (const [options, message] of cases) expect(() => createVerifier(SECRET, options)).toThrow(message)
  })
})

describe('interop flama', () => {
  const flama = (text: string, options: VerifyOptions = {}) => outcome(text, { interop: 'flama', ...options })
  const padded = (text: string) =>
    text
      .split('.')
      .map((part) => part.padEnd(Math.ceil(part.length / 4) * 4, '='))
      .join('.')

  test('loosens padding, short secrets, a missing exp and null claims', async () => {
    const { createHmac } = await import('node:crypto')
    const input = `${padded(Buffer.from('{"alg":"HS256"}').toString('base64url'))}.${padded(Buffer.from('{"exp":null}').toString('base64url'))}`
    const text = `${input}.${padded(createHmac('sha256', 'short').update(input).digest('base64url'))}`
    expect(outcome(text, { interop: 'flama' }, 'short')).toBe('accepted')
    expect(() => outcome(text, {}, 'short')).toThrow('at least 32')
  })

  test('loosens nothing else', () => {
    const good = token()
    const [head = '', body = '', signature = ''] = good.split('.')
    expect(flama(`${head}=.${body}.${signature}`)).toBe('TOKEN_MALFORMED')
    expect(flama(`${head}.${body}.${signature}==`)).toBe('TOKEN_MALFORMED')
    expect(flama(`${head}.${body}.${signature.slice(0, -2)}==`)).toBeOneOf(['SIGNATURE_INVALID', 'TOKEN_MALFORMED'])
    expect(flama(token({ header: { alg: 'none' }, signature: '' }))).toBe('ALGORITHM_REFUSED')
    expect(flama(header({ crit: ['exp'] }))).toBe('HEADER_PARAMETER_REFUSED')
    expect(flama(header({ typ: 'rt+jwt' }))).toBe('TOKEN_TYPE_REFUSED')
    expect(flama(token({ payload: { exp: NOW - 60 } }))).toBe('TOKEN_EXPIRED')
    expect(flama(token({ payload: { exp: String(GOOD.exp) } }))).toBe('CLAIM_INVALID')
    expect(flama(token({ payload: { nbf: NOW + 60 } }))).toBe('TOKEN_NOT_YET_VALID')
    expect(flama(token({ payload: { aud: 'x' } }))).toBe('AUDIENCE_REFUSED')
    expect(flama(token({ payload: '{"exp":1,"exp":2}' }))).toBe('TOKEN_MALFORMED')
    expect(flama(token({ payload: '[]' }))).toBe('TOKEN_MALFORMED')
    expect(flama(token({ secret: `${SECRET}x` }))).toBe('SIGNATURE_INVALID')
  })
})

test('a token is accepted under any of several published keys of one name, and under no other', () => {
  const pairs = Array.from({ length: 4 }, () => generateKeyPairSync('ed25519'))
  const keys = pairs.slice(0, 3).map(({ publicKey }) => importJwk({ ...(publicKey.export({ format: 'jwk' }) as Jwk), kid: 'a' }))
  const verify = createPublishedVerifier({ now: () => NOW * 1000 })(keys)
  const signed = [{ alg: 'EdDSA', kid: 'a' }, GOOD]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.')
  const outcomes = pairs.map(({ privateKey }) => {
    try {
      return verify(`${signed}.${sign(null, Buffer.from(signed), privateKey).toString('base64url')}`).payload.sub
    } catch (error) {
      return (error as VestalError).code
    }
  })
  expect(outcomes).toEqual(['me', 'me', 'me', 'SIGNATURE_INVALID'])
})
