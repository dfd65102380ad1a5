import { describe, expect, test } from 'bun:test'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { signJwt, verifyJwt } from '../../../src/index.ts'
import type { Jwk } from '../../../src/jose/jwk-members.ts'
import { KeyError } from '../../../src/jose/key-error.ts'
import { importKeys } from '../../../src/jose/key-set.ts'
import { importJwk, importPem, importSecret } from '../../../src/jose/keys.ts'
import { SECRET } from '../../support/tokens.ts'

const spki = (key: KeyObject) => key.export({ type: 'spki', format: 'pem' }).toString()
const pkcs8 = (key: KeyObject) => key.export({ type: 'pkcs8', format: 'pem' }).toString()
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const ec = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
const ed = generateKeyPairSync('ed25519')
const rsa2 = generateKeyPairSync('rsa', { modulusLength: 2048 })
const ec2 = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
const ed2 = generateKeyPairSync('ed25519')
const octet = (more: object = {}): Jwk => ({ kty: 'oct', k: Buffer.from(SECRET).toString('base64url'), ...more })
const ecJwk = ec.publicKey.export({ format: 'jwk' }) as Jwk

describe('a shared secret', () => {
  test('must be as long as its hash (A9)', () => {
    expect(importSecret('x'.repeat(32)).algorithms).toEqual(['HS256'])
    expect(() => importSecret('x'.repeat(31))).toThrow('31 bytes; HS256 needs at least 32')
    expect(() => importSecret('x'.repeat(47), { algorithm: 'HS384' })).toThrow('HS384 needs at least 48')
    expect(() => importSecret('x'.repeat(63), { algorithm: 'HS512' })).toThrow('HS512 needs at least 64')
    expect(importSecret('x'.repeat(64), { algorithm: 'HS512' }).algorithms).toEqual(['HS512'])
    const bytes = (length: number) => importJwk({ kty: 'oct', k: Buffer.alloc(length, 7).toString('base64url') }).algorithms
    expect([47, 48, 63, 64].map((length) => bytes(length).length)).toEqual([1, 2, 2, 3])
    expect(importSecret('ü'.repeat(16)).canSign).toBe(true)
  })

  test('is never empty, with interop flama neither (A8)', () => {
    expect(() => importSecret('')).toThrow('empty')
    expect(() => importSecret('', { interop: 'flama' })).toThrow('empty')
    expect(importSecret('short', { interop: 'flama' }).algorithms).toEqual(['HS256', 'HS384', 'HS512'])
    expect(importSecret('short', { interop: 'flama', algorithm: 'HS384' }).algorithms).toEqual(['HS384'])
  })

  test('is never a key of another kind, in whatever form it is handed over (A3)', () => {
    for (const { publicKey } of [rsa, ec, ed]) {
      const pem = spki(publicKey)
      const der = publicKey.export({ type: 'spki', format: 'der' })
      const jwk = JSON.stringify(publicKey.export({ format: 'jwk' }))
      const forms = [pem, pem.trimEnd(), `\n  ${pem}`, pem.replaceAll('\n', '\r\n'), `x${pem}`, Buffer.from(pem), der]
      for (const form of [...forms, der.toString('base64'), der.toString('base64url'), jwk, ` ${jwk}`, `{"keys":[${jwk}]}`]) {
        expect(() => importSecret(form)).toThrow(/^the secret is a (?:PEM|JWK|key in DER)/)
      }
    }
    const pkcs1 = rsa.publicKey.export({ type: 'pkcs1', format: 'der' })
    expect(() => importSecret(pkcs1)).toThrow('key in DER')
    expect(() => importSecret(`ssh-ed25519 ${'A'.repeat(60)} me`)).toThrow('SSH key')
    const sequence = Buffer.concat([Buffer.from('3082010a', 'hex'), Buffer.alloc(60, 7)])
    for (const secret of [`{"not":"a key"${' '.repeat(40)}}`, `0${'x'.repeat(60)}`, sequence]) {
      expect(importSecret(secret).kind).toBe('oct')
    }
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
    const privates = [pkcs8(rsa.privateKey), pkcs8(ec.privateKey), pkcs8(ed.privateKey)]
    const sec1 = ec.privateKey.export({ type: 'sec1', format: 'pem' }).toString()
    const parameters = '-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n'
    const pkcs1 = rsa.privateKey.export({ type: 'pkcs1', format: 'pem' }).toString()
    for (const pem of [...privates, sec1, `${parameters}${sec1}`, pkcs1, sec1.replaceAll('\n', '\r\n')]) {
      expect([importPem(pem).canSign, importPem(pem).verifying.type]).toEqual([true, 'public'])
      expect(() => importPem(pem, { isPublicOnly: true })).toThrow('private key is where a public one belongs')
    }
    for (const pem of [spki(ec.publicKey), rsa.publicKey.export({ type: 'pkcs1', format: 'pem' }).toString()]) {
      expect([importPem(pem, { isPublicOnly: true }).canSign, importPem(pem).canVerify]).toEqual([false, true])
    }
  })

  test('that is encrypted, a certificate, several keys or something else is rejected by what it is', () => {
    const encrypted = rsa.privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' }).toString()
    const old = '-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----'
    const block = (label: string) => `-----BEGIN ${label}-----\nAAAA\n-----END ${label}-----\n`
    expect(() => importPem(encrypted)).toThrow('encrypted')
    expect(() => importPem(old)).toThrow('encrypted')
    expect(() => importPem(block('CERTIFICATE'))).toThrow('certificate')
    expect(() => importPem(`${spki(rsa.publicKey)}${spki(ec.publicKey)}`)).toThrow('holds one key')
    expect(() => importPem(block('EC PARAMETERS'))).toThrow('holds one key')
    for (const label of ['DSA PRIVATE KEY', 'OPENSSH PRIVATE KEY', 'PKCS7']) {
      expect(() => importPem(block(label))).toThrow('neither a public nor a private key')
    }
  })

  test('with a weak or an unsupported key is rejected (A9)', () => {
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

  test('that is no key is rejected', () => {
    const wrong: readonly (readonly [jwk: unknown, message: string])[] = [
      ...[undefined, null, [], 'x', 7].map((jwk) => [jwk, 'a JWK is a JSON object'] as const),
      [{}, '"kty"'],
      [{ kty: 'XYZ' }, '"kty"'],
      ...[{ kty: 'oct' }, { kty: 'oct', k: 7 }, { kty: 'oct', k: 'a+b=' }].map((jwk) => [jwk, '"k" is not base64url'] as const),
      [{ kty: 'oct', k: '' }, 'empty'],
      [{ kty: 'oct', k: 'AAAA' }, 'has 3 bytes'],
      [{ ...ecJwk, crv: 'P-384' }, '"x" has 32 bytes'],
      [{ ...ecJwk, crv: 7 }, '"crv"'],
      [{ ...ecJwk, crv: 'Ed25519' }, '"crv"'],
      [{ ...ecJwk, kty: 'OKP' }, '"crv"'],
      [{ ...ecJwk, x: ecJwk.y, y: ecJwk.x }, 'not a usable public key'],
      [{ ...ecJwk, y: 7 }, '"y" is not canonical base64url'],
      [{ ...ecJwk, kty: 'RSA' }, '"n" is not canonical base64url'],
    ]
    for (const [jwk, message] of wrong) {
      expect(() => importJwk(jwk as Jwk)).toThrow(KeyError)
      expect(() => importJwk(jwk as Jwk)).toThrow(message)
    }
  })

  test('that is wrong is reported without a piece of it', () => {
    try {
      importJwk({ kty: 'oct', k: 'hunter2hunter2!!' })
    } catch (error) {
      expect(String(error)).not.toContain('hunter2')
      expect((error as Error).cause).toBeUndefined()
    }
  })

  test('that is private signs, and verifies with its public part', () => {
    for (const { privateKey } of [rsa, ec, ed]) {
      const jwk = privateKey.export({ format: 'jwk' }) as Jwk
      expect([importJwk(jwk).canSign, importJwk(jwk).verifying.type]).toEqual([true, 'public'])
    }
  })

  test('that is private, or a secret, is rejected where others publish keys (A14)', () => {
    for (const { privateKey, publicKey } of [rsa, ec, ed]) {
      expect(() => importJwk(privateKey.export({ format: 'jwk' }) as Jwk, { isPublicOnly: true })).toThrow('private key is where')
      expect(importJwk(publicKey.export({ format: 'jwk' }) as Jwk, { isPublicOnly: true }).canSign).toBe(false)
    }
    expect(() => importJwk(octet(), { isPublicOnly: true })).toThrow('a shared secret is not a public key')
  })

  test('whose parts are of two keys is rejected', () => {
    const others = { RSA: rsa2, EC: ec2, OKP: ed2 } as const
    for (const { privateKey } of [rsa, ec, ed]) {
      const jwk = privateKey.export({ format: 'jwk' }) as Record<string, string>
      const other = others[jwk.kty as keyof typeof others].privateKey.export({ format: 'jwk' }) as Record<string, string>
      for (const name of ['d', 'x', 'n', 'p', 'dp', 'qi'].filter((member) => jwk[member] !== undefined)) {
        expect(() => importJwk({ ...jwk, [name]: other[name] })).toThrow(KeyError)
      }
      expect(() => importJwk({ ...jwk, d: '' })).toThrow('"d" is not canonical')
    }
  })

  test('does what its key_ops leave: sign, verify, or both', () => {
    const privateJwk = ec.privateKey.export({ format: 'jwk' }) as Jwk
    const uses = (jwk: Jwk) => [importJwk(jwk).canSign, importJwk(jwk).canVerify]
    expect(uses(octet({ key_ops: ['sign'] }))).toEqual([true, false])
    expect(uses(octet({ key_ops: ['verify'] }))).toEqual([false, true])
    expect(uses(octet({ key_ops: ['sign', 'verify'] }))).toEqual([true, true])
    // A private key as WebCrypto exports it: its public part is another key, which verifies.
    expect(uses({ ...privateJwk, key_ops: ['sign'] })).toEqual([true, true])
    expect(uses({ ...privateJwk, key_ops: ['verify'] })).toEqual([false, true])
    expect(() => importJwk({ ...ecJwk, key_ops: ['sign'] })).toThrow('no use')
    // A private key that may only verify is not kept.
    expect(importJwk({ ...privateJwk, key_ops: ['verify'] })).not.toHaveProperty('signing')
    expect(importJwk(octet({ key_ops: ['verify'] }))).not.toHaveProperty('signing')
    expect(importJwk({ ...privateJwk, key_ops: ['sign', 'verify'] })).toHaveProperty('signing')
    const token = signJwt({ sub: 'me' }, octet({ key_ops: ['sign'] }))
    expect(() => verifyJwt(token, octet({ key_ops: ['sign'] }))).toThrow('only for signing')
    expect(() => signJwt({ sub: 'me' }, octet({ key_ops: ['verify'] }))).toThrow('none of the keys can sign')
    expect(verifyJwt(token, octet({ key_ops: ['verify'] })).payload.sub).toBe('me')
  })

  test('may be left one algorithm, and one that it names is that (RFC 8725 §3.1)', () => {
    const options = { isOneAlgorithm: true }
    expect(importJwk(octet(), options).algorithms).toEqual(['HS256'])
    expect(importJwk(octet({ alg: 'HS512' }), options).algorithms).toEqual(['HS512'])
    expect(importPem(spki(rsa.publicKey), options).algorithms).toEqual(['RS256'])
    expect(importPem(spki(rsa.publicKey), { ...options, algorithm: 'PS384' }).algorithms).toEqual(['PS384'])
    expect(importJwk(ecJwk, options).algorithms).toEqual(['ES256'])
  })
})

test('a key has the name in its JWK, or the one that it is given, or none', () => {
  expect(importJwk({ ...ecJwk, kid: 'own' }, { kid: 'given' }).kid).toBe('own')
  expect(importJwk(ecJwk, { kid: 'given' }).kid).toBe('given')
  expect(importPem(spki(ec.publicKey), { kid: 'given' }).kid).toBe('given')
  expect(importSecret(SECRET, { kid: 'given' }).kid).toBe('given')
  for (const key of [importJwk(ecJwk), importPem(spki(ec.publicKey)), importSecret(SECRET), importJwk(octet())])
    expect(key).not.toHaveProperty('kid')
  expect(Object.isFrozen(importJwk(octet({ key_ops: ['verify'] })))).toBe(true)
})

test('a short secret in a JWK is for every HMAC with interop flama alone', () => {
  const short = { kty: 'oct', k: 'c2hvcnQ' }
  expect(importJwk(short, { interop: 'flama' }).algorithms).toEqual(['HS256', 'HS384', 'HS512'])
  expect(() => importJwk(short)).toThrow('has 5 bytes')
})

describe('a set of keys', () => {
  test('may hold a JWK with members of its own', () => {
    const [key] = importKeys([octet({ algorithm: 'HS512', kid: 'a' })])
    expect(importKeys([octet({ verifying: 'x', kid: 'a' })])[0]?.verifying.type as string).toBe('secret')
    expect([key?.kid, key?.algorithm, key?.verifying.type as string]).toEqual(['a', 'HS256', 'secret'])
  })

  test('may hold several that are distinguished', () => {
    expect(importKeys({ keys: [octet({ kid: 'a' }), octet({ kid: 'b' })] })).toHaveLength(2)
    expect(importKeys([importSecret(SECRET, { kid: 'a' }), octet({ kid: 'b' })])).toHaveLength(2)
  })

  test('is rejected where two have one name, or it mixes secrets with public keys (A7, A11)', () => {
    expect(() => importKeys({ keys: [octet({ kid: 'a' }), octet({ kid: 'a' })] })).toThrow('the same "kid"')
    expect(() => importKeys({ keys: [octet(), octet()] })).toThrow('the same "kid"')
    expect(() => importKeys({ keys: [octet({ kid: 'a' }), { ...ecJwk, kid: 'b' }] })).toThrow('mixed')
  })

  test('is neither empty nor endless', () => {
    expect(() => importKeys({ keys: [] })).toThrow('no key')
    expect(() => importKeys([])).toThrow('no key')
    const many = (count: number) => Array.from({ length: count }, (_, index) => octet({ kid: String(index) }))
    expect(importKeys(many(64))).toHaveLength(64)
    expect(() => importKeys(many(65))).toThrow('at most 64')
    for (const input of [undefined, null, 7, {}, { keys: 'x' }, [null], [7], ['x'], { keys: [null] }, [{ algorithm: 'HS256' }]])
      expect(() => importKeys(input as never)).toThrow(KeyError)
  })
})
