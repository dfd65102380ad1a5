import { describe, expect, test } from 'bun:test'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { importKeys, KEYS_MAX } from '../../../src/jwt/key-set.ts'
import { importJwk, importPem, importSecret, type Jwk, KeyError } from '../../../src/jwt/keys.ts'
import { SECRET } from '../../support/tokens.ts'

const spki = (key: KeyObject) => key.export({ type: 'spki', format: 'pem' }).toString()
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const ec = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
const ed = generateKeyPairSync('ed25519')
const octet = (more: object = {}): Jwk => ({ kty: 'oct', k: Buffer.from(SECRET).toString('base64url'), ...more })
const ecJwk = ec.publicKey.export({ format: 'jwk' }) as Jwk

describe('a shared secret', () => {
  test('must be as long as its hash (A9)', () => {
    expect(importSecret('x'.repeat(32)).algorithms).toEqual(['HS256'])
    expect(() => importSecret('x'.repeat(31))).toThrow('31 bytes; HS256 needs at least 32')
    expect(() => importSecret('x'.repeat(47), { algorithm: 'HS384' })).toThrow('HS384 needs at least 48')
    expect(importSecret('ü'.repeat(16)).canSign).toBe(true)
  })

  test('is never empty, with interop flama neither (A8)', () => {
    expect(() => importSecret('')).toThrow('empty')
    expect(() => importSecret('', { interop: 'flama' })).toThrow('empty')
    expect(importSecret('short', { interop: 'flama' }).algorithms).toEqual(['HS256', 'HS384', 'HS512'])
  })

  test('is never a PEM (A3)', () => {
    expect(() => importSecret(spki(rsa.publicKey))).toThrow('PEM')
    expect(() => importSecret(Buffer.from(spki(rsa.publicKey)))).toThrow('PEM')
  })

  test('is not used with an algorithm of public keys', () => {
    expect(() => importSecret(SECRET, { algorithm: 'RS256' })).toThrow('cannot be used with RS256')
  })
})

describe('a PEM', () => {
  test('says by its key which algorithms it is for', () => {
    expect(importPem(spki(rsa.publicKey)).algorithms).toEqual(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'])
    expect(importPem(spki(ec.publicKey)).algorithms).toEqual(['ES256'])
    expect(importPem(spki(ed.publicKey)).algorithms).toEqual(['EdDSA'])
    expect(importPem(spki(rsa.publicKey), { algorithm: 'PS256' }).algorithms).toEqual(['PS256'])
    expect(() => importPem(spki(ec.publicKey), { algorithm: 'ES384' })).toThrow('cannot be used with ES384')
  })

  test('that is private can sign, and one that is public cannot', () => {
    expect(importPem(ec.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()).canSign).toBe(true)
    expect(importPem(ec.privateKey.export({ type: 'sec1', format: 'pem' }).toString()).canSign).toBe(true)
    expect(importPem(spki(ec.publicKey)).canSign).toBe(false)
  })

  test('with a weak or an unsupported key is refused (A9)', () => {
    const weak = generateKeyPairSync('rsa', { modulusLength: 1024 })
    const exponent = generateKeyPairSync('rsa', { modulusLength: 2048, publicExponent: 3 })
    expect(() => importPem(spki(weak.publicKey))).toThrow('1024 bits')
    expect(() => importPem(spki(exponent.publicKey))).toThrow('exponent')
    expect(() => importPem(spki(generateKeyPairSync('x25519').publicKey))).toThrow('not supported')
    for (const text of [
      '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----',
      '-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----',
    ]) {
      expect(() => importPem(text)).toThrow(KeyError)
    }
  })
})

describe('a JWK', () => {
  test('is obeyed in alg, use and key_ops (A9)', () => {
    expect(importJwk(octet()).algorithms).toEqual(['HS256', 'HS384', 'HS512'])
    expect(importJwk(octet({ alg: 'HS384' })).algorithms).toEqual(['HS384'])
    expect(importJwk(octet({ use: 'sig', key_ops: ['verify'] })).kind).toBe('oct')
    expect(() => importJwk(octet({ use: 'enc' }))).toThrow('"use"')
    expect(() => importJwk(octet({ key_ops: ['encrypt'] }))).toThrow('"key_ops"')
    expect(() => importJwk(octet({ key_ops: ['verify', 'verify'] }))).toThrow('"key_ops"')
    expect(() => importJwk(octet({ alg: 'none' }))).toThrow('"alg"')
    expect(() => importJwk(octet({ alg: 'HS256' }), { algorithm: 'HS512' })).toThrow('is for HS256')
    expect(() => importJwk(octet({ kid: 7 }))).toThrow('"kid"')
  })

  test('that is no key is refused', () => {
    const wrong: readonly unknown[] = [
      null,
      [],
      'x',
      {},
      { kty: 'oct' },
      { kty: 'oct', k: 'a+b=' },
      { kty: 'oct', k: 'AAAA' },
      { kty: 'XYZ' },
    ]
    for (const jwk of [...wrong, { ...ecJwk, crv: 'P-384' }, { ...ecJwk, x: ecJwk.y, y: ecJwk.x }, { ...ecJwk, kty: 'RSA' }]) {
      expect(() => importJwk(jwk as Jwk)).toThrow(KeyError)
    }
  })

  test('that is wrong is told without a piece of it', () => {
    try {
      importJwk({ kty: 'oct', k: 'hunter2hunter2!!' })
    } catch (error) {
      expect(String(error)).not.toContain('hunter2')
      expect((error as Error).cause).toBeUndefined()
    }
  })

  test('that is private signs, and verifies with its public part', () => {
    const jwk = ec.privateKey.export({ format: 'jwk' }) as Jwk
    expect([importJwk(jwk).canSign, importJwk(jwk).verifying.type]).toEqual([true, 'public'])
  })
})

describe('a set of keys', () => {
  test('may hold several that are told apart', () => {
    expect(importKeys({ keys: [octet({ kid: 'a' }), octet({ kid: 'b' })] })).toHaveLength(2)
    expect(importKeys([importSecret(SECRET, { kid: 'a' }), octet({ kid: 'b' })])).toHaveLength(2)
  })

  test('is refused where two have one name, or it mixes secrets with public keys (A7, A11)', () => {
    expect(() => importKeys({ keys: [octet({ kid: 'a' }), octet({ kid: 'a' })] })).toThrow('the same "kid"')
    expect(() => importKeys({ keys: [octet(), octet()] })).toThrow('the same "kid"')
    expect(() => importKeys({ keys: [octet({ kid: 'a' }), { ...ecJwk, kid: 'b' }] })).toThrow('mixed')
  })

  test('is neither empty nor endless', () => {
    expect(() => importKeys({ keys: [] })).toThrow('no key')
    expect(() => importKeys([])).toThrow('no key')
    const many = Array.from({ length: KEYS_MAX + 1 }, (_, index) => octet({ kid: String(index) }))
    expect(() => importKeys(many)).toThrow(`at most ${KEYS_MAX}`)
    for (const input of [undefined, null, 7, {}, { keys: 'x' }]) expect(() => importKeys(input as never)).toThrow(KeyError)
  })
})
