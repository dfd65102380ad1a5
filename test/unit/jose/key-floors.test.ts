import { describe, expect, test } from 'bun:test'
import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import type { Jwk } from '../../../src/jose/jwk-members.ts'
import { KeyError } from '../../../src/jose/key-error.ts'
import { isSoundEd25519Point } from '../../../src/jose/key-floors.ts'
import { importJwk, importPem } from '../../../src/jose/keys.ts'

const base64url = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url')
const rsaJwk = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ format: 'jwk' }) as Record<string, string>

/** A number as base64url of its bytes, big end first. */
function numberOf(value: bigint): string {
  const hex = value.toString(16)
  return base64url(Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex'))
}

describe('an RSA key (A9)', () => {
  const cases: readonly (readonly [what: string, change: Readonly<Record<string, string>>, message: string])[] = [
    ['with the exponent 1', { e: 'AQ' }, 'exponent'],
    ['with the exponent 2', { e: 'Ag' }, 'exponent'],
    ['with the exponent 3', { e: 'Aw' }, 'exponent'],
    ['with an even exponent', { e: numberOf(65_538n) }, 'exponent'],
    ['with an exponent of 34 bits', { e: numberOf(2n ** 33n + 1n) }, 'exponent'],
    ['with an even modulus', { n: numberOf(2n ** 2047n) }, 'small factor'],
    ['with a modulus that 7 divides', { n: numberOf((2n ** 2047n / 14n) * 14n + 7n) }, 'small factor'],
    ['of 2040 bits', { n: numberOf(2n ** 2039n + 1n) }, '2040 bits'],
    ['of 2047 bits', { n: numberOf(numberWithout(2047)) }, '2047 bits'],
    ['of 16385 bits', { n: numberOf(numberWithout(16_385)) }, '16385 bits'],
    ['of 32768 bits', { n: numberOf(numberWithout(32_768)) }, ''],
    [
      'with a zero in front of its modulus',
      { n: base64url(Buffer.from(`00${hexOf(rsaJwk.n)}`, 'hex')) },
      '"n" begins with a zero',
    ],
    ['with a zero in front of its exponent', { e: 'AAEAAQ' }, '"e" begins with a zero'],
    ['with padding', { e: 'AQAB====' }, '"e" is not canonical base64url'],
    ['of more than two primes', { oth: 'x' }, '"oth"'],
  ]
  for (const [what, change, message] of cases) {
    test(`${what} is rejected`, () => {
      expect(() => importJwk({ ...rsaJwk, ...change })).toThrow(message)
    })
  }

  test('with a modulus that any prime below 168 divides is rejected', () => {
    for (const prime of Array.from({ length: 168 }, (_, number) => number).filter((number) => number > 2 && isPrime(number))) {
      const modulus = BigInt(prime) * numberWithout(2048 - Math.floor(Math.log2(prime)))
      expect([prime, modulus.toString(2).length >= 2048]).toEqual([prime, true])
      expect(() => importJwk({ ...rsaJwk, n: numberOf(modulus) })).toThrow('small factor')
    }
  })

  test('is taken with 2048 to 16384 bits', () => {
    for (const bits of [2048, 2049, 16_383, 16_384])
      expect([bits, importJwk({ ...rsaJwk, n: numberOf(numberWithout(bits)) }).kind]).toEqual([bits, 'RSA'])
  })

  test('is taken with the longest exponent that BoringSSL checks with', () => {
    expect(importJwk({ ...rsaJwk, e: numberOf(2n ** 33n - 1n) }).kind).toBe('RSA')
  })

  test('of the form that a chip made (ROCA) is rejected', () => {
    // Numbers of the form k · M + 65537^a mod M, M the product of the first primes: what CVE-2017-15361 describes. Whether they are prime
    // does not matter for being recognised.
    const primes = Array.from({ length: 702 }, (_, number) => number).filter((n) => n > 1 && isPrime(n))
    const product = primes.slice(0, 126).reduce((all, prime) => all * BigInt(prime), 1n)
    const factor = (k: bigint, exponent: number) => k * product + powerOf(65_537n, exponent, product)
    const size = 2n ** 1024n / product
    const modulus = factor(size - 12_345n, 7) * factor(size - size / 4n, 1_001)
    expect(modulus.toString(2).length).toBe(2048)
    expect(() => importJwk({ ...rsaJwk, n: numberOf(modulus) })).toThrow('ROCA')
  })
})

/** A number of so many bits that no small prime divides. */
function numberWithout(bits: number): bigint {
  let number = 2n ** BigInt(bits - 1) + 1n
  const primes = Array.from({ length: 168 }, (_, prime) => prime).filter((prime) => prime > 1 && isPrime(prime))
  while (primes.some((prime) => number % BigInt(prime) === 0n)) number += 2n
  return number
}

function hexOf(text = ''): string {
  return Buffer.from(text, 'base64url').toString('hex')
}
function isPrime(number: number): boolean {
  for (let divisor = 2; divisor * divisor <= number; divisor++) if (number % divisor === 0) return false
  return true
}
function powerOf(base: bigint, exponent: number, modulus: bigint): bigint {
  let result = 1n
  for (let step = 0; step < exponent; step++) result = (result * base) % modulus
  return result
}

describe('a point of a NIST curve (A9)', () => {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const jwk = publicKey.export({ format: 'jwk' }) as Record<string, string>
  const zeros = base64url(Buffer.alloc(32))

  for (const [what, change] of Object.entries({
    'that is off the curve': { y: jwk.x },
    'at zero, where some put the identity': { x: zeros, y: zeros },
    'with a coordinate above the field': { x: base64url(Buffer.alloc(32, 255)) },
    'with a long coordinate': { x: base64url(Buffer.from(`00${hexOf(jwk.x)}`, 'hex')) },
    'with a short coordinate': { x: base64url(Buffer.from(hexOf(jwk.x), 'hex').subarray(1)) },
    'with padding': { x: `${jwk.x}=` },
    'with a space': { x: ` ${jwk.x}` },
    'without y': { y: undefined },
    'of another curve by name': { crv: 'P-384' },
    'of no curve': { crv: undefined },
    'of a curve by a name of Object': { crv: 'constructor' },
    'of the curve of Bitcoin': { crv: 'secp256k1' },
  })) {
    test(`${what} is rejected`, () => {
      expect(() => importJwk({ ...jwk, ...change } as Jwk)).toThrow(KeyError)
    })
  }

  test('off the curve, or the identity, is rejected in a PEM too', () => {
    const der = publicKey.export({ type: 'spki', format: 'der' })
    const offCurve = Buffer.from(der)
    offCurve[offCurve.length - 1] = (offCurve.at(-1) ?? 0) ^ 1
    const identity = Buffer.from('3019301306072a8648ce3d020106082a8648ce3d03010703020000', 'hex')
    for (const bytes of [offCurve, identity]) expect(() => importPem(pem('PUBLIC KEY', bytes))).toThrow(KeyError)
    expect(importPem(pem('PUBLIC KEY', der)).algorithms).toEqual(['ES256'])
  })
})

function pem(label: string, der: Uint8Array): string {
  return `-----BEGIN ${label}-----\n${Buffer.from(der).toString('base64')}\n-----END ${label}-----\n`
}

describe('an Ed25519 key', () => {
  const P = 2n ** 255n - 19n
  const bytesOf = (y: bigint) => Buffer.from(y.toString(16).padStart(64, '0'), 'hex').reverse()
  const sound = Buffer.from(hexOf(generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }).x), 'hex')
  // The encodings of the points whose order divides 8, as RFC 8032 and Chalkias et al. ("Taming the many EdDSAs", table 2) have them.
  const smallOrder = [
    '0000000000000000000000000000000000000000000000000000000000000000',
    '0000000000000000000000000000000000000000000000000000000000000080',
    '0100000000000000000000000000000000000000000000000000000000000000',
    '0100000000000000000000000000000000000000000000000000000000000080',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
    'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
    'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
    '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
    '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85',
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa',
  ].map((hex) => Buffer.from(hex, 'hex'))

  test('of small order is rejected in a JWK and in a PEM, since one signature would be right for any message', () => {
    for (const point of smallOrder) {
      expect(() => importJwk({ kty: 'OKP', crv: 'Ed25519', x: base64url(point) })).toThrow('small order')
      const der = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), point])
      // BoringSSL itself takes it.
      expect(createPublicKey({ key: der, format: 'der', type: 'spki' }).asymmetricKeyType).toBe('ed25519')
      expect(() => importPem(pem('PUBLIC KEY', der))).toThrow('small order')
    }
  })

  test('that is no point, or is written in two ways, is rejected', () => {
    expect(isSoundEd25519Point(bytesOf(2n))).toBe(false)
    expect(isSoundEd25519Point(bytesOf(P + 3n))).toBe(false)
    expect(isSoundEd25519Point(sound.subarray(1))).toBe(false)
    expect(isSoundEd25519Point(Buffer.concat([sound, Buffer.alloc(1)]))).toBe(false)
    expect(() => importJwk({ kty: 'OKP', crv: 'Ed25519', x: base64url(sound.subarray(1)) })).toThrow('31 bytes')
  })

  test('that someone made is taken', () => {
    for (let round = 0; round < 50; round++) {
      const { x } = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' })
      expect(isSoundEd25519Point(Buffer.from(x ?? '', 'base64url'))).toBe(true)
    }
    expect(importJwk({ kty: 'OKP', crv: 'Ed25519', x: base64url(sound) }).algorithms).toEqual(['EdDSA'])
  })

  test('of another curve is rejected', () => {
    for (const crv of ['X25519', 'Ed448', 'P-256', undefined]) {
      expect(() => importJwk({ kty: 'OKP', crv, x: base64url(sound) } as Jwk)).toThrow(KeyError)
    }
  })
})
