import { describe, expect, test } from 'bun:test'
import { constants, createHmac, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import {
  type Algorithm,
  type Jwk,
  KeyError,
  type KeyInput,
  VestalError,
  verifyCompactJws,
  verifyFlattenedJws,
} from '../../src/index.ts'
import type { SignatureBackendOption } from '../../src/jose/signature-backends.ts'
import { ALGORITHM_NAMES, keyPairOf } from '../support/key-pairs.ts'

const SECRET = randomBytes(64)
const encode = (part: string | Uint8Array) => Buffer.from(part as Uint8Array).toString('base64url')

/** A signature by node:crypto alone. */
function signatureOf(input: string, alg: string): Buffer {
  const hash = `sha${alg.slice(2)}`
  if (alg.startsWith('HS')) return createHmac(hash, SECRET).update(input).digest()
  const key = keyPairOf(alg as Algorithm)?.privateKey as KeyObject
  if (alg === 'EdDSA') return sign(null, Buffer.from(input), key)
  if (alg.startsWith('ES')) return sign(hash, Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' })
  const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: Number(alg.slice(2)) / 8 }
  return sign(hash, Buffer.from(input), { key, ...(alg.startsWith('PS') && pss) })
}

/** A compact JWS; the header may be JSON as it is written. */
function jws(alg: string, header: object | string = {}, payload: string | Uint8Array = 'any bytes'): string {
  const text = typeof header === 'string' ? header : JSON.stringify({ alg, ...header })
  const input = `${encode(text)}.${encode(payload)}`
  return `${input}.${encode(signatureOf(input, alg))}`
}

function jwkOf(alg: string, more: object = {}): Jwk {
  const material = alg.startsWith('HS')
    ? { kty: 'oct', k: encode(SECRET) }
    : keyPairOf(alg as Algorithm)?.publicKey.export({ format: 'jwk' })
  return { ...(material as Jwk), ...more }
}

const BACKENDS: readonly SignatureBackendOption[] = ['auto', 'native', 'boring', 'wasm']

/** One answer of all backends. */
function judge(token: string, keys: unknown, options: { readonly algorithms?: readonly Algorithm[] } = {}): string {
  const answers = new Set(
    BACKENDS.map((signatureBackend) => {
      try {
        verifyCompactJws(token, keys as KeyInput, { signatureBackend, ...options })
        return 'valid'
      } catch (error) {
        if (error instanceof VestalError || error instanceof KeyError) return 'invalid'
        return `failed: ${String(error)}`
      }
    }),
  )
  return [...answers].join(' or ')
}

for (const alg of ALGORITHM_NAMES) {
  describe(`a compact JWS of ${alg}`, () => {
    test('is valid with its key: bare, with alg, use, key_ops and kid, or in a set', () => {
      expect(judge(jws(alg), jwkOf(alg))).toBe('valid')
      expect(judge(jws(alg), jwkOf(alg), { algorithms: [alg] })).toBe('valid')
      expect(judge(jws(alg), jwkOf(alg, { alg, use: 'sig', key_ops: ['verify'] }))).toBe('valid')
      expect(judge(jws(alg, { kid: 'a' }), jwkOf(alg, { kid: 'a' }))).toBe('valid')
      expect(judge(jws(alg, { kid: 'a' }), { keys: [jwkOf(alg, { kid: 'a' })] })).toBe('valid')
      expect(judge(jws(alg), { keys: [jwkOf(alg, { kid: 'a' })] })).toBe('valid')
    })

    test('is valid whatever its payload is', () => {
      const payloads = [
        '',
        '{}',
        'x',
        '\u0000',
        'ü',
        '{"a":1,"a":2}',
        '[1',
        Buffer.from([0xff, 0xfe, 0x00]),
        randomBytes(1000),
        'x'.repeat(5000),
      ]
      for (const payload of payloads) {
        const token = jws(alg, {}, payload)
        expect(judge(token, jwkOf(alg))).toBe('valid')
        expect(Buffer.from(verifyCompactJws(token, jwkOf(alg)).payload)).toEqual(Buffer.from(payload as Uint8Array))
      }
    })

    test('is invalid with one bit of anything changed', () => {
      const [head = '', body = '', signature = ''] = jws(alg).split('.')
      const bytes = Buffer.from(signature, 'base64url')
      const flip = (index: number) => encode(bytes.map((byte, at) => (at === index ? byte ^ 1 : byte)))
      for (const index of [0, 1, bytes.length >> 1, bytes.length - 1])
        expect(judge(`${head}.${body}.${flip(index)}`, jwkOf(alg))).toBe('invalid')
      expect(judge(`${head}.${encode('any bytez')}.${signature}`, jwkOf(alg))).toBe('invalid')
      expect(judge(`${encode(JSON.stringify({ alg, a: 1 }))}.${body}.${signature}`, jwkOf(alg))).toBe('invalid')
      for (const other of [
        bytes.subarray(1),
        bytes.subarray(0, -1),
        Buffer.concat([bytes, Buffer.from([0])]),
        Buffer.concat([Buffer.from([0]), bytes]),
        Buffer.alloc(bytes.length),
        Buffer.alloc(0),
      ])
        expect(judge(`${head}.${body}.${encode(other)}`, jwkOf(alg))).toBe('invalid')
    })

    test('is invalid with a key for another algorithm, use or operation, or with another name', () => {
      const other = ALGORITHM_NAMES.filter((name) => name !== alg)
      for (const name of other) expect(judge(jws(alg), jwkOf(alg, { alg: name }))).toBe('invalid')
      expect(judge(jws(alg), jwkOf(alg), { algorithms: other })).toBe('invalid')
      for (const more of [
        { use: 'enc' },
        { use: 'SIG' },
        { use: 7 },
        { key_ops: ['encrypt'] },
        { key_ops: [] },
        { key_ops: 'verify' },
        { key_ops: ['verify', 'verify'] },
        { key_ops: ['VERIFY'] },
        { use: 'enc', key_ops: ['verify'] },
        { alg: 'none' },
        { alg: alg.toLowerCase() },
        { alg: '' },
        { alg: 7 },
        { kid: 7 },
      ])
        expect([more, judge(jws(alg), jwkOf(alg, more))]).toEqual([more, 'invalid'])
      expect(judge(jws(alg, { kid: 'a' }), jwkOf(alg, { kid: 'b' }))).toBe('invalid')
      expect(judge(jws(alg, { kid: 'A' }), jwkOf(alg, { kid: 'a' }))).toBe('invalid')
      expect(judge(jws(alg, { kid: '' }), jwkOf(alg, { kid: 'a' }))).toBe('invalid')
    })

    test('is invalid where its header names another algorithm than it was signed with', () => {
      for (const name of [
        ...ALGORITHM_NAMES.filter((other) => other !== alg),
        'none',
        'ES256K',
        'HS1',
        alg.toLowerCase(),
        ` ${alg}`,
        '',
      ]) {
        const input = `${encode(JSON.stringify({ alg: name }))}.${encode('any bytes')}`
        expect([name, judge(`${input}.${encode(signatureOf(input, alg))}`, jwkOf(alg))]).toEqual([name, 'invalid'])
        expect([name, judge(`${input}.`, jwkOf(alg))]).toEqual([name, 'invalid'])
      }
    })
  })
}

describe('the encoding of a compact JWS', () => {
  const signedAs = (head: string, body: string) => `${head}.${body}.${encode(signatureOf(`${head}.${body}`, 'HS256'))}`
  const [head, body] = [encode('{"alg":"HS256"}'), encode('any bytes')]

  test('is base64url without padding, line breaks and other letters, also where it was signed so', () => {
    expect(judge(signedAs(head, body), jwkOf('HS256'))).toBe('valid')
    const wrong = [
      `${body}=`,
      `${body}==`,
      `${body} `,
      ` ${body}`,
      `${body}\n`,
      `${body.slice(0, 4)}\r\n${body.slice(4)}`,
      `${body.slice(0, 4)}\t${body.slice(4)}`,
      `${body}A`,
      `${body}+AAA`,
      `${body}/AAA`,
      `${body}!AAA`,
      `${body}ÄAAA`,
      `${body}\u0000`,
    ]
    for (const part of wrong) {
      expect([part, judge(signedAs(head, part), jwkOf('HS256'))]).toEqual([part, 'invalid'])
    }
    for (const part of [`${head}=`, `${head} `, ` ${head}`, `${head}\n`])
      expect(judge(signedAs(part, body), jwkOf('HS256'))).toBe('invalid')
    const token = signedAs(head, body)
    for (const text of [`${token}=`, `${token} `, ` ${token}`, `${token}\n`, `${token}\u0000`])
      expect(judge(text, jwkOf('HS256'))).toBe('invalid')
  })

  test('has no unused bit that is set', () => {
    const [one, two] = [encode('a'), encode('ab')]
    expect([judge(signedAs(head, one), jwkOf('HS256')), judge(signedAs(head, two), jwkOf('HS256'))]).toEqual(['valid', 'valid'])
    const next = (part: string) => part.slice(0, -1) + String.fromCharCode(part.charCodeAt(part.length - 1) + 1)
    expect([judge(signedAs(head, next(one)), jwkOf('HS256')), judge(signedAs(head, next(two)), jwkOf('HS256'))]).toEqual([
      'invalid',
      'invalid',
    ])
  })

  test('has three parts, and is a string', () => {
    const token = signedAs(head, body)
    for (const text of [
      '',
      '.',
      '..',
      '...',
      head,
      `${head}.${body}`,
      `${token}.`,
      `.${token}`,
      `${token}.${body}`,
      `${token}.${token}`,
      token.replaceAll('.', ','),
      token.replaceAll('.', ''),
    ])
      expect([text, judge(text, jwkOf('HS256'))]).toEqual([text, 'invalid'])
    for (const value of [null, undefined, 7, {}, [token], Buffer.from(token)])
      expect(judge(value as never, jwkOf('HS256'))).toBe('invalid')
  })

  test('is not the JSON serialisation', () => {
    const [, , signature] = signedAs(head, body).split('.')
    const flattened = { protected: head, payload: body, signature }
    expect(judge(JSON.stringify(flattened), jwkOf('HS256'))).toBe('invalid')
    expect(judge(JSON.stringify({ payload: body, signatures: [flattened] }), jwkOf('HS256'))).toBe('invalid')
    expect(judge(flattened as never, jwkOf('HS256'))).toBe('invalid')
  })
})

describe('the header of a compact JWS', () => {
  const withHeader = (header: object | string) => judge(jws('HS256', header), jwkOf('HS256'))

  test('is a JSON object with no member twice', () => {
    for (const header of [
      '{"alg":"HS256"}',
      ' {"alg" :\r\n"HS256"}\t',
      '{"alg":"\\u0048S256"}',
      '{"typ":"x","alg":"HS256","ü":[{}]}',
    ])
      expect([header, withHeader(header)]).toEqual([header, 'valid'])
    for (const header of [
      '',
      '{}',
      '[]',
      '"HS256"',
      'null',
      '{"alg":"HS256"',
      '{"alg":"HS256"}}',
      '{"alg":"HS256",}',
      '\ufeff{"alg":"HS256"}',
      '{"alg":"HS256","alg":"HS256"}',
      '{"alg":"none","alg":"HS256"}',
      '{"alg":["HS256"]}',
      '{"alg":null}',
      '{"ALG":"HS256"}',
      "{'alg':'HS256'}",
      '{"alg":"HS256","a":NaN}',
      '{"alg":"HS256","a":"\\ud800"}',
    ])
      expect([header, withHeader(header)]).toEqual([header, 'invalid'])
  })

  test('asks for nothing that is not understood (crit, b64)', () => {
    for (const more of [
      { crit: ['exp'], exp: 1 },
      { crit: ['foo'], foo: 1 },
      { crit: ['foo'] },
      { crit: [] },
      { crit: 'exp' },
      { crit: null },
      { crit: ['alg'] },
      { crit: ['b64'], b64: false },
      { crit: ['b64'], b64: true },
      { b64: false },
      { crit: ['http://example.invalid/UNDEFINED'], 'http://example.invalid/UNDEFINED': true },
    ])
      expect([more, withHeader({ ...more })]).toEqual([more, 'invalid'])
  })

  test('may have members that are not used, and no key or address in it is', () => {
    const stranger = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
    const jwk = stranger.publicKey.export({ format: 'jwk' })
    for (const more of [
      { foo: 1 },
      { typ: 'anything' },
      { cty: 'JWT' },
      { jwk },
      { jku: 'http://127.0.0.1:9/' },
      { x5u: 'http://127.0.0.1:9/' },
      { x5c: ['MIIB'] },
      { x5t: 'AA' },
      { exp: 1 },
    ])
      expect([more, withHeader({ ...more })]).toEqual([more, 'valid'])
    const input = `${encode(JSON.stringify({ alg: 'ES256', jwk }))}.${encode('any bytes')}`
    const forged = `${input}.${encode(sign('sha256', Buffer.from(input), { key: stranger.privateKey, dsaEncoding: 'ieee-p1363' }))}`
    expect([judge(forged, jwk), judge(forged, jwkOf('ES256')), judge(forged, jwkOf('HS256'))]).toEqual([
      'valid',
      'invalid',
      'invalid',
    ])
  })

  test('has texts where RFC 7515 §4.1 says so', () => {
    for (const name of ['kid', 'typ', 'cty', 'jku', 'x5u', 'x5t'])
      for (const value of [7, null, ['a'], {}, true])
        expect([name, value, withHeader({ [name]: value })]).toEqual([name, value, 'invalid'])
  })
})

describe('a set of keys', () => {
  const [one, two] = [jwkOf('ES256', { kid: '1' }), jwkOf('ES384', { kid: '2' })]

  test('gives the member with the name in the header, and no other is tried', () => {
    expect(judge(jws('ES256', { kid: '1' }), { keys: [one, two] })).toBe('valid')
    expect(judge(jws('ES256', { kid: '2' }), { keys: [one, two] })).toBe('invalid')
    expect(judge(jws('ES256', { kid: '3' }), { keys: [one, two] })).toBe('invalid')
    expect(judge(jws('ES256', { kid: '__proto__' }), { keys: [one, two] })).toBe('invalid')
  })

  test('gives every member that fits where the header names none', () => {
    const stranger = generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).publicKey.export({ format: 'jwk' })
    expect(judge(jws('ES256'), { keys: [two, one] })).toBe('valid')
    expect(judge(jws('ES256'), { keys: [stranger, jwkOf('ES256')] })).toBe('valid')
    expect(judge(jws('ES256'), { keys: [stranger, two] })).toBe('invalid')
    expect(judge(jws('RS256'), { keys: [one, two] })).toBe('invalid')
    const secret = { kty: 'oct', k: encode(randomBytes(64)) }
    expect([judge(jws('HS256'), { keys: [secret, jwkOf('HS256')] }), judge(jws('HS256'), { keys: [secret] })]).toEqual([
      'valid',
      'invalid',
    ])
  })

  test('is rejected with two of one name, or with secrets beside public keys', () => {
    expect(judge(jws('ES256', { kid: '1' }), { keys: [one, { ...two, kid: '1' }] })).toBe('invalid')
    expect(judge(jws('ES256', { kid: '1' }), { keys: [one, one] })).toBe('invalid')
    expect(judge(jws('ES256', { kid: '1' }), { keys: [one, jwkOf('HS256', { kid: '2' })] })).toBe('invalid')
    expect(judge(jws('HS256', { kid: '2' }), { keys: [one, jwkOf('HS256', { kid: '2' })] })).toBe('invalid')
  })

  test('may have members that are for something else, which are left out (RFC 7517 §5)', () => {
    const others = [
      { ...two, use: 'enc' },
      { kty: 'AKP', kid: 'x' },
      { kty: 'RSA', kid: 'y' },
      { kty: 'EC', crv: 'P-256K', kid: 'z', x: 'AA', y: 'AA' },
    ]
    expect(judge(jws('ES256', { kid: '1' }), { keys: [...others, one] })).toBe('valid')
    expect(judge(jws('ES384', { kid: '2' }), { keys: [...others, one] })).toBe('invalid')
    expect(judge(jws('ES256', { kid: '1' }), { keys: [{ ...one, use: 'enc' }] })).toBe('invalid')
    expect([judge(jws('ES256'), { keys: [] }), judge(jws('ES256'), { keys: [null] }), judge(jws('ES256'), {})]).toEqual([
      'invalid',
      'invalid',
      'invalid',
    ])
  })
})

describe('a key', () => {
  const es = jwkOf('ES256') as { x: string; y: string }
  const rs = jwkOf('RS256') as { n: string }

  test('that is weak, bent or of another curve verifies nothing', () => {
    const flipped = `${es.y.slice(0, -2)}${es.y.at(-2) === 'A' ? 'B' : 'A'}${es.y.at(-1)}`
    const wrong: readonly (readonly [alg: string, key: unknown])[] = [
      ['ES256', { kty: 'EC', crv: 'P-256', x: es.x, y: flipped }],
      ['ES256', { kty: 'EC', crv: 'P-256', x: es.x }],
      ['ES256', { kty: 'EC', crv: 'P-384', x: es.x, y: es.y }],
      ['ES256', { kty: 'EC', crv: 'p-256', x: es.x, y: es.y }],
      ['ES256', { kty: 'ec', crv: 'P-256', x: es.x, y: es.y }],
      ['ES256', { kty: 'EC', crv: 'P-256', x: `${es.x}=`, y: es.y }],
      ['ES256', { kty: 'EC', crv: 'P-256', x: `AA${es.x}`, y: es.y }],
      ['ES256', { crv: 'P-256', x: es.x, y: es.y }],
      ['RS256', { kty: 'RSA', n: rs.n, e: 'AQ' }],
      ['RS256', { kty: 'RSA', n: rs.n, e: 'Aw' }],
      ['RS256', { kty: 'RSA', n: rs.n, e: 'AQAA' }],
      ['RS256', { kty: 'RSA', n: rs.n, e: 'AAEAAQ' }],
      ['RS256', { kty: 'RSA', n: rs.n }],
      ['RS256', { kty: 'RSA', n: encode(Buffer.concat([Buffer.from([0]), Buffer.from(rs.n, 'base64url')])), e: 'AQAB' }],
      ['RS256', generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' })],
      ['EdDSA', { ...jwkOf('EdDSA'), crv: 'X25519' }],
      ['EdDSA', { ...jwkOf('EdDSA'), x: encode(Buffer.alloc(32)) }],
      ['EdDSA', { ...jwkOf('EdDSA'), x: encode(Buffer.concat([Buffer.from([1]), Buffer.alloc(31)])) }],
      ['HS256', { kty: 'oct', k: '' }],
      ['HS256', { kty: 'oct', k: encode(SECRET.subarray(0, 31)) }],
      ['HS256', { kty: 'oct', k: `${encode(SECRET)}=` }],
      ['HS512', { kty: 'oct', k: encode(SECRET.subarray(0, 63)) }],
      ['HS256', { kty: 'oct' }],
      ['HS256', { k: encode(SECRET) }],
    ]
    for (const [alg, key] of wrong) expect([key, judge(jws(alg), key)]).toEqual([key, 'invalid'])
  })

  test('may have members that are not known (RFC 7517 §4)', () => {
    expect(judge(jws('ES256'), jwkOf('ES256', { x5t: 'AA', foo: { bar: 1 }, ext: true, iss: 'me' }))).toBe('valid')
  })
})

describe('a flattened JWS', () => {
  const [head = '', body = '', signature = ''] = jws('ES256').split('.')
  const flattened = (value: object) => {
    try {
      verifyFlattenedJws(value as never, jwkOf('ES256', { kid: 'a' }) as KeyInput)
      return 'valid'
    } catch (error) {
      if (error instanceof VestalError || error instanceof KeyError) return 'invalid'
      throw error
    }
  }

  test('is as the compact one, with an unprotected header that shares no member and asks for nothing', () => {
    const good = { protected: head, payload: body, signature }
    expect([flattened(good), flattened({ ...good, header: { kid: 'a' } }), flattened({ ...good, foo: 1 })]).toEqual([
      'valid',
      'valid',
      'valid',
    ])
    for (const more of [
      { header: { kid: 'b' } },
      { header: { alg: 'ES256' } },
      { header: { crit: ['x'] } },
      { header: [] },
      { header: null },
      { signature: '' },
      { payload: `${body}=` },
      { protected: encode('{}') },
      { protected: undefined },
      { payload: undefined },
      { signatures: [] },
    ])
      expect([more, flattened({ ...good, ...more })]).toEqual([more, 'invalid'])
  })
})
