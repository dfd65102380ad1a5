import { describe, expect, test } from 'bun:test'
import { generateKeyPairSync } from 'node:crypto'
import { decodeJwt, signJwt, verifyJwt } from '../../../src/index.ts'
import type { Jwk } from '../../../src/jose/jwk-members.ts'
import { importKeys } from '../../../src/jose/key-set.ts'
import { importJwk, importPem, importSecret } from '../../../src/jose/keys.ts'
import { keyIdOf, thumbprintOf } from '../../../src/jose/thumbprint.ts'
import { SECRET } from '../../support/tokens.ts'

/** RFC 7638 §3.1. */
const RFC7638: Jwk = {
  kty: 'RSA',
  n: '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw',
  e: 'AQAB',
  alg: 'RS256',
  kid: '2011-04-29',
}
/** RFC 8037 A.3. */
const RFC8037: Jwk = { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' }

describe('a thumbprint', () => {
  test('is that of RFC 7638 §3.1 and of RFC 8037 A.3', () => {
    expect(thumbprintOf(importJwk(RFC7638))).toBe('NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs')
    expect(thumbprintOf(importJwk(RFC8037))).toBe('kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k')
  })

  test('is the same for the private and the public form, in a PEM and in a JWK', () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'secp384r1' })
    const forms = [
      importJwk(privateKey.export({ format: 'jwk' }) as Jwk),
      importJwk(publicKey.export({ format: 'jwk' }) as Jwk),
      importPem(privateKey.export({ type: 'sec1', format: 'pem' }).toString()),
      importPem(publicKey.export({ type: 'spki', format: 'pem' }).toString()),
    ]
    expect(new Set(forms.map(thumbprintOf)).size).toBe(1)
  })

  test('is nothing that a shared secret has', () => {
    expect(thumbprintOf(importSecret(SECRET))).toBeUndefined()
    expect(keyIdOf(importSecret(SECRET))).toBeUndefined()
  })

  test('is what a key without a name is called, and a name goes first', () => {
    expect(keyIdOf(importJwk(RFC8037))).toBe('kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k')
    expect(keyIdOf(importJwk({ ...RFC8037, kid: 'named' }))).toBe('named')
  })

  test('reports the keys of a set apart that have no name', () => {
    const pairs = [generateKeyPairSync('ed25519'), generateKeyPairSync('ec', { namedCurve: 'prime256v1' })]
    const set = { keys: pairs.map(({ publicKey }) => publicKey.export({ format: 'jwk' }) as Jwk) }
    for (const { privateKey } of pairs) {
      const jwk = privateKey.export({ format: 'jwk' }) as Jwk
      const token = signJwt({ sub: 'me' }, jwk)
      expect(decodeJwt(token).header.kid).toBe(thumbprintOf(importJwk(jwk)) as string)
      expect(verifyJwt(token, set).payload.sub).toBe('me')
      expect(() => verifyJwt(token, { keys: set.keys.filter(({ kty }) => kty !== jwk.kty).concat({ ...RFC8037 }) })).toThrow()
    }
    expect(() => importKeys({ keys: [RFC8037, RFC8037] })).toThrow('the same "kid"')
  })
})

test('a thumbprint is made once for a key', () => {
  const key = importJwk(generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).publicKey.export({ format: 'jwk' }) as Jwk)
  const thumbprint = thumbprintOf(key)
  key.verifying.export = () => {
    throw new Error('the key is exported again')
  }
  expect(thumbprintOf(key)).toBe(thumbprint as string)
})
