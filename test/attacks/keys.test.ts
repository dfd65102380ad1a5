import { describe, expect, test } from 'bun:test'
import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { createAuthenticator } from '../../src/auth/authenticator.ts'
import { guard } from '../../src/http/authentication.ts'
import {
  authentication,
  type JwkSet,
  KeyError,
  type KeyInput,
  type TrustedIssuer,
  VestalError,
  verifyCompactJws,
  verifyJwt,
} from '../../src/index.ts'
import { DOORS } from '../support/doors.ts'
import { forge, keysOf, ORDER_OF_P256, PAIRS } from '../support/forge.ts'
import { startKeyServer, testKey } from '../support/key-server.ts'
import { ownApp } from '../support/own-app.ts'
import { nowSeconds, SECRET } from '../support/tokens.ts'

const oct = (kid: string, secret = SECRET) => ({ kty: 'oct', alg: 'HS256', kid, k: Buffer.from(secret).toString('base64url') })
const ecJwk = (kid: string) => ({ ...PAIRS.ES256.publicKey.export({ format: 'jwk' }), alg: 'ES256', kid })
const rsaJwk = (kid: string) => ({ ...PAIRS.RS256.publicKey.export({ format: 'jwk' }), alg: 'RS256', kid })

function codeOf(work: () => unknown): string {
  try {
    work()
    return 'accepted'
  } catch (error) {
    if (error instanceof VestalError) return `${error.code} ${error.status}`
    if (error instanceof KeyError || error instanceof TypeError) return 'refused at the start'
    throw error
  }
}

/** The status of a route that asks for p1, at each door. */
async function statusesOf(plugin: unknown, token: string): Promise<readonly number[]> {
  const statuses: number[] = []
  for (const open of DOORS) {
    const door = open(ownApp(plugin, ['p1']))
    statuses.push((await door.fetch('/p1', { headers: { authorization: `Bearer ${token}` } })).status)
    await door.close()
  }
  return statuses
}

describe('keys that cannot be trusted are rejected at the start, at the library and by the plugin', () => {
  const weak = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey
  const { n } = PAIRS.RS256.publicKey.export({ format: 'jwk' })
  const { x, y } = PAIRS.ES256.publicKey.export({ format: 'jwk' })
  const flip = (text = '') => `${text.slice(0, -2)}${text.at(-2) === 'A' ? 'B' : 'A'}${text.at(-1)}`
  const cases: Readonly<Record<string, readonly [row: string, keys: unknown]>> = {
    'an empty secret': ['A8', ''],
    'an empty secret in a JWK': ['A8', { kty: 'oct', k: '' }],
    'no bytes': ['A8', new Uint8Array()],
    nothing: ['A8', undefined],
    null: ['A8', null],
    'an empty set': ['A8', { keys: [] }],
    'a secret of 31 bytes': ['A9', 'x'.repeat(31)],
    'RSA of 1024 bits': ['A9', weak.export({ type: 'spki', format: 'pem' }).toString()],
    'RSA of 1024 bits as a JWK': ['A9', weak.export({ format: 'jwk' })],
    'RSA with the exponent 1': ['A9', { kty: 'RSA', n, e: 'AQ' }],
    'RSA with the exponent 3': ['A9', { kty: 'RSA', n, e: 'Aw' }],
    'RSA with an even exponent': ['A9', { kty: 'RSA', n, e: 'AQAA' }],
    'an RSA modulus of the chips of ROCA': ['A9', { kty: 'RSA', n: rocaModulus(), e: 'AQAB' }],
    'a point off its curve': ['A9', { kty: 'EC', crv: 'P-256', x, y: flip(y) }],
    'a point of another curve': ['A9', { kty: 'EC', crv: 'P-384', x, y }],
    'a curve that is not known': ['A9', { kty: 'EC', crv: 'P-256K', x, y }],
    'a kty that is not known': ['A9', { kty: 'EC2', crv: 'P-256', x, y }],
    'a kty that does not fit': ['A9', { kty: 'OKP', crv: 'P-256', x, y }],
    'a key for encryption': ['A9', { ...ecJwk('a'), use: 'enc' }],
    'a key that may encrypt': ['A9', { ...ecJwk('a'), key_ops: ['encrypt'] }],
    'an algorithm that does not fit': ['A9', { ...ecJwk('a'), alg: 'ES384' }],
    'the algorithm none': ['A9', { ...ecJwk('a'), alg: 'none' }],
    'two keys of one name': ['A11', { keys: [ecJwk('a'), rsaJwk('a')] }],
    'a secret beside a public key': ['A11', { keys: [oct('a'), ecJwk('b')] }],
  }
  for (const [what, [row, keys]] of Object.entries(cases)) {
    test(`${row}: ${what}`, () => {
      expect(codeOf(() => verifyJwt(forge(), keys as KeyInput))).toBe('refused at the start')
      expect(codeOf(() => verifyCompactJws(forge(), keys as KeyInput))).toBe('refused at the start')
      expect(codeOf(() => authentication({ keys: keys as KeyInput }))).toBe('refused at the start')
    })
  }

  test('A7: HMAC beside public-key algorithms, in a set or among issuers', () => {
    const issuer: TrustedIssuer = { name: 'one', audiences: ['me'], keys: { keys: [ecJwk('a')] } }
    expect(codeOf(() => authentication({ keys: [oct('a'), ecJwk('b')] as KeyInput }))).toBe('refused at the start')
    expect(codeOf(() => authentication({ secret: SECRET, issuers: [issuer] }))).toBe('refused at the start')
    expect(codeOf(() => authentication({ secret: SECRET, algorithm: 'RS256' }))).toBe('refused at the start')
    expect(codeOf(() => authentication({ keys: keysOf('RS256'), algorithm: 'HS256' }))).toBe('refused at the start')
  })

  test('A14: a private key where another’s public one belongs', async () => {
    const pem = PAIRS.ES256.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    const jwk = PAIRS.ES256.privateKey.export({ format: 'jwk' })
    for (const keys of [pem, jwk, { keys: [jwk] }] as readonly KeyInput[]) {
      expect(codeOf(() => authentication({ issuers: [{ name: 'one', audiences: ['me'], keys }] }))).toBe('refused at the start')
    }
    for (const secret of [Buffer.from(pem), JSON.stringify(jwk)])
      expect(codeOf(() => authentication({ secret }))).toBe('refused at the start')
    await using server = startKeyServer()
    server.answer(() => Response.json({ keys: [{ ...jwk, kid: 'a' }] }))
    const plugin = authentication({ issuers: [{ name: 'one', audiences: ['me'], jwksUrl: server.url }], warn: () => undefined })
    const token = forge({
      header: { alg: 'ES256', kid: 'a' },
      target: 'ES256',
      payload: { iss: 'one', aud: 'me', exp: nowSeconds() + 60 },
    })
    expect(await statusesOf(plugin, token)).toEqual([503, 503])
  })
})

test('A3: a certificate taken for a secret', async () => {
  const certificate = new X509Certificate(CERTIFICATE)
  const keys = certificate.publicKey.export({ type: 'spki', format: 'pem' }).toString()
  for (const secret of [CERTIFICATE, CERTIFICATE.trim(), certificate.raw]) {
    const token = forge({ header: { alg: 'HS256' }, secret: new Uint8Array(Buffer.from(secret)) })
    expect(codeOf(() => verifyJwt(token, keys))).toBe('ALGORITHM_REFUSED 401')
    expect(await statusesOf(authentication({ keys }), token)).toEqual([401, 401])
  }
  expect(codeOf(() => authentication({ secret: CERTIFICATE }))).toBe('refused at the start')
})

describe('A key id', () => {
  const set: JwkSet = { keys: [oct('a'), oct('b', `${SECRET}2`)] }
  const kids = [
    'c',
    '',
    'A',
    'a ',
    '../../dev/null',
    '/etc/passwd',
    "' OR 1=1--",
    'a\u0000',
    '__proto__',
    'constructor',
    'toString',
    'x'.repeat(4000),
    'http://127.0.0.1:9/a',
    'аa',
  ]

  test('A10: that no key has, or that is missing among several', async () => {
    const plugin = authentication({ keys: set })
    expect(await statusesOf(plugin, forge({ header: { alg: 'HS256', kid: 'a' } }))).toEqual([200, 200])
    for (const header of [{ alg: 'HS256' }, ...kids.map((kid) => ({ alg: 'HS256', kid }))]) {
      expect(codeOf(() => verifyJwt(forge({ header }), set))).toBe('KEY_UNKNOWN 401')
      expect(await statusesOf(plugin, forge({ header }))).toEqual([401, 401])
    }
  })

  test('A6: of a key with another algorithm that is accepted too', async () => {
    const keys: JwkSet = { keys: [rsaJwk('rsa'), ecJwk('ec')] }
    const right = forge({ header: { alg: 'ES256', kid: 'ec' }, target: 'ES256' })
    const wrong = [
      forge({ header: { alg: 'ES256', kid: 'rsa' }, target: 'ES256' }),
      forge({ header: { alg: 'RS256', kid: 'ec' }, target: 'RS256' }),
    ]
    expect(await statusesOf(authentication({ keys }), right)).toEqual([200, 200])
    for (const token of wrong) {
      expect(codeOf(() => verifyJwt(token, keys))).toBe('ALGORITHM_REFUSED 401')
      expect(await statusesOf(authentication({ keys }), token)).toEqual([401, 401])
    }
  })

  test('A16: that another issuer has too', async () => {
    const [one, two] = [testKey('shared'), testKey('shared')]
    const issuers: readonly TrustedIssuer[] = [
      { name: 'one', audiences: ['me'], keys: { keys: [one.jwk] } },
      { name: 'two', audiences: ['me'], keys: { keys: [two.jwk] } },
    ]
    const claims = (iss: string) => ({ iss, aud: 'me', exp: nowSeconds() + 60, data: { permissions: ['p1'] } })
    const plugin = authentication({ issuers })
    expect(await statusesOf(plugin, two.sign(claims('two')))).toEqual([200, 200])
    expect(await statusesOf(plugin, two.sign(claims('one')))).toEqual([401, 401])
    expect(await statusesOf(plugin, one.sign(claims('two')))).toEqual([401, 401])
  })
})

test('A12: no request is made to an address that a token names', async () => {
  await using listener = startKeyServer(testKey('k'))
  const { url } = listener
  const stranger = generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey
  const plugins = [
    authentication({ keys: keysOf('ES256') }),
    authentication({ issuers: [{ name: 'one', audiences: ['me'], keys: { keys: [ecJwk('k')] } }] }),
  ]
  for (const name of ['jku', 'x5u', 'jwks_uri', 'iss', 'kid']) {
    const claims = { iss: url, aud: url, exp: nowSeconds() + 60, jwks_uri: url }
    for (const key of [stranger, PAIRS.ES256.privateKey]) {
      const token = forge({ header: { alg: 'ES256', [name]: url }, target: 'ES256', key, payload: claims })
      expect(codeOf(() => verifyJwt(token, keysOf('ES256')))).toEndWith('401')
      for (const plugin of plugins) expect(await statusesOf(plugin, token)).toEqual([401, 401])
    }
  }
  expect(listener.requests()).toBe(0)
})

test('A13: a key that is dropped, with its tokens remembered', async () => {
  const authenticator = createAuthenticator({ keys: { keys: [ecJwk('a'), rsaJwk('b')] } })
  const token = forge({ header: { alg: 'ES256', kid: 'a' }, target: 'ES256' })
  const doors = DOORS.map((open) => open(ownApp(guard(authenticator), ['p1'])))
  const ask = () =>
    Promise.all(doors.map(async (door) => (await door.fetch('/p1', { headers: { authorization: `Bearer ${token}` } })).status))
  expect([await ask(), await ask()]).toEqual([
    [200, 200],
    [200, 200],
  ])
  authenticator.replaceKeys({ keys: [rsaJwk('b')] })
  expect(await ask()).toEqual([401, 401])
  for (const door of doors) await door.close()
})

test('S6: a signature of ES256 that was turned over is right, and revokes nothing and renews nothing', async () => {
  const revoked = new Set<string>()
  const options = { isRevoked: ({ payload }: { payload: { jti?: string } }) => revoked.has(payload.jti ?? '') }
  const token = forge({ target: 'ES256' })
  const end = token.lastIndexOf('.') + 1
  const raw = Buffer.from(token.slice(end), 'base64url')
  const s = (ORDER_OF_P256 - BigInt(`0x${raw.subarray(32).toString('hex')}`)).toString(16).padStart(64, '0')
  const twin = token.slice(0, end) + Buffer.concat([raw.subarray(0, 32), Buffer.from(s, 'hex')]).toString('base64url')
  const plugin = () => authentication({ keys: keysOf('ES256'), ...options })
  expect(twin).not.toBe(token)
  expect([await statusesOf(plugin(), token), await statusesOf(plugin(), twin)]).toEqual([
    [200, 200],
    [200, 200],
  ])
  revoked.add('j')
  expect([await statusesOf(plugin(), token), await statusesOf(plugin(), twin)]).toEqual([
    [401, 401],
    [401, 401],
  ])
})

test('S9: no MAC is compared but in constant time', async () => {
  const files = [...new Bun.Glob('src/jose/**/*.ts').scanSync(`${import.meta.dir}/../..`)]
  const users = await Promise.all(
    files.map(async (file) => {
      const text = await Bun.file(`${import.meta.dir}/../../${file}`).text()
      return { file, makesMacs: /createHmac\(/.test(text) || /CryptoHasher\('sha\d+', /.test(text), text }
    }),
  )
  const macs = users.filter(({ makesMacs, text }) => makesMacs && /verif|check/i.test(text))
  expect(macs.length).toBeGreaterThan(0)
  for (const { file, text } of macs) {
    expect([file, /timingSafeEqual\(/.test(text)]).toEqual([file, true])
    expect([file, /\.equals\(|digest\([^)]*\)\s*[!=]==?/.test(text)]).toEqual([file, false])
  }
})

/** A modulus as the chips of CVE-2017-15361 make them: a power of 65537 modulo each small prime. Nobody knows its factors. */
function rocaModulus(): string {
  const primes: bigint[] = []
  for (let candidate = 2n; candidate <= 167n; candidate += 1n)
    if (primes.every((prime) => candidate % prime !== 0n)) primes.push(candidate)
  const product = primes.reduce((left, right) => left * right, 1n)
  let residue = 1n
  for (let round = 0; round < 123_457; round += 1) residue = (residue * 65_537n) % product
  const top = 1n << 2047n
  const modulus = top - (top % product) + product + residue
  return Buffer.from(modulus.toString(16), 'hex').toString('base64url')
}

// A certificate that nobody uses; its private key is gone.
const CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIDATCCAemgAwIBAgIUQSE85qKG4Em5btYqcOKAkVEBuLIwDQYJKoZIhvcNAQEL
BQAwDzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMjQwODQ2NDBaGA8yMTI2MTAzMTA4
NDY0MFowDzENMAsGA1UEAwwEdGVzdDCCASIwDQYJKoZIhvcNAQEBBQADggEPADCC
AQoCggEBAN9AbHc5qGW9ApngLvwlTXW9uPXGz22UyDRAvL/2E1/kI8Hv3q1G/P2z
NByi0+m3FaiNSO5w43kOU4zQybuNXIFugvNWL7UGeG2NJTxP/r7OZI0bIbuu59Ny
qdJEtJx3rY7VmxENs6ijsmZQu+t3bPlYWDcqb7VjP3Fe9guyMdDuoG9X0xzvf8T9
P2K2Nl9W7QwTsESLDdwgGB3wBcOXE75zM76Lzr1TXu4Gn8X+2DpeaYwjDJHGJmhM
zrn+ifAbqHyKi1LchcLByDyLVByxrSf9ssVX5FzztVS4hABwC0KpAteqo7KhRGOl
/wsQdUdIu3AbkT9tRAeldyXxCFuf9OUCAwEAAaNTMFEwHQYDVR0OBBYEFFevNCXI
Ylt1IA1McLuCIGOvCMg+MB8GA1UdIwQYMBaAFFevNCXIYlt1IA1McLuCIGOvCMg+
MA8GA1UdEwEB/wQFMAMBAf8wDQYJKoZIhvcNAQELBQADggEBAAXW6hEz0eDa03Zn
4mJvIFT1rBnadEH7VrWwXiEKg7E4/hPcOK1REj3LYf6ywulNlf44XXlcPJHv5WsQ
9/2m/y1oLDFg5DinQtDWke061Kl7Ybh2El/zR47JDTmVawZ/HRy/RMfTOXb5cnZw
o3bS8XFuEPiBLRLtsiFpmuinh9wPjCAM7x1jrnjP5x87uc4iK6U1eNQHDrMNtNBc
+b9cHFO85FPo2RDf3EOVFuv9zkc+UOHlD2HKggRdoKOb897FqpADJ/HemDI6PRJC
fmEwnaBcz/m2YpMCbcq4s9tqo2J1z2GkcLNsRziXi6rL0+h4wYLct9VVYt8BzRts
UlXNuoo=
-----END CERTIFICATE-----
`
