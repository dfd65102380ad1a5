import { describe, expect, test } from 'bun:test'
import { generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import { CompactEncrypt, importJWK } from 'jose'
import { type ErrorCode, VestalError } from '../../../src/core/errors.ts'
import { createDecryptor, isEncrypted } from '../../../src/jose/decrypt.ts'
import { type DecryptionKeyInput, importDecryptionKey } from '../../../src/jose/decryption-key.ts'
import { KeyError } from '../../../src/jose/key-error.ts'

type Jwk = Readonly<Record<string, unknown>>
interface Pair {
  readonly encrypting: Jwk
  readonly decrypting: Jwk
}

const pair = ({ publicKey, privateKey }: { readonly publicKey: KeyObject; readonly privateKey: KeyObject }): Pair => ({
  encrypting: publicKey.export({ format: 'jwk' }) as Jwk,
  decrypting: privateKey.export({ format: 'jwk' }) as Jwk,
})
const shared = (bytes: number, alg: string): Pair => {
  const jwk = { kty: 'oct', k: randomBytes(bytes).toString('base64url'), alg }
  return { encrypting: jwk, decrypting: jwk }
}
const rsa = pair(generateKeyPairSync('rsa', { modulusLength: 2048 }))
const ec = pair(generateKeyPairSync('ec', { namedCurve: 'prime256v1' }))
const PAIRS: Readonly<Record<string, Pair>> = {
  'RSA-OAEP-256': rsa,
  'RSA-OAEP-512': { ...rsa, decrypting: { ...rsa.decrypting, alg: 'RSA-OAEP-512', use: 'enc' } },
  'ECDH-ES': ec,
  'ECDH-ES+A256KW': pair(generateKeyPairSync('ec', { namedCurve: 'secp521r1' })),
  'ECDH-ES+A128KW': pair(generateKeyPairSync('x25519')),
  A256KW: shared(32, 'A256KW'),
  A128GCMKW: shared(16, 'A128GCMKW'),
}
const INNER = 'aGVhZGVy.cGF5bG9hZA.c2lnbmF0dXJl'

/** A JWE that jose made; nothing keeps jose from what we refuse. */
async function encrypt(header: Readonly<Record<string, unknown>>, key: Jwk, content = INNER): Promise<string> {
  const encrypter = new CompactEncrypt(Buffer.from(content)).setProtectedHeader({
    cty: 'JWT',
    enc: 'A256GCM',
    ...header,
  } as never)
  return encrypter.encrypt((await importJWK({ ...key, use: undefined } as never, header.alg as string)) as CryptoKey)
}

async function outcome(token: string, key: DecryptionKeyInput): Promise<ErrorCode | string> {
  try {
    return await createDecryptor(key)(token)
  } catch (error) {
    if (error instanceof VestalError) return error.code
    throw error
  }
}

/** The token with another header; its content is then authenticated no more. */
const withHeader = (token: string, header: unknown) =>
  `${Buffer.from(typeof header === 'string' ? header : JSON.stringify(header)).toString('base64url')}${token.slice(token.indexOf('.'))}`

describe('an encrypted token', () => {
  for (const [alg, { encrypting, decrypting }] of Object.entries(PAIRS)) {
    for (const enc of ['A128GCM', 'A256GCM', 'A128CBC-HS256', 'A256CBC-HS512']) {
      test(`of ${alg} and ${enc} gives the signed one inside, and no other key opens it`, async () => {
        const token = await encrypt({ alg, enc }, encrypting)
        expect(isEncrypted(token)).toBe(true)
        expect(await outcome(token, decrypting)).toBe(INNER)
        const last = token.at(-1) === 'A' ? 'Q' : 'A'
        expect(await outcome(token.slice(0, -1) + last, decrypting)).toBeOneOf(['DECRYPTION_FAILED', 'TOKEN_MALFORMED'])
      })
    }
  }

  test('for a shared key without wrapping is opened with the one encryption that fits it', async () => {
    const { encrypting, decrypting } = shared(32, 'dir')
    expect(await outcome(await encrypt({ alg: 'dir', enc: 'A256GCM' }, encrypting), decrypting)).toBe(INNER)
    expect(await outcome(await encrypt({ alg: 'dir', enc: 'A128CBC-HS256' }, encrypting), decrypting)).toBe(INNER)
    const short = shared(16, 'dir')
    expect(await outcome(await encrypt({ alg: 'dir', enc: 'A128GCM' }, short.encrypting), decrypting)).toBe('ALGORITHM_REFUSED')
  })

  test('for another key is rejected', async () => {
    const other = pair(generateKeyPairSync('rsa', { modulusLength: 2048 }))
    expect(await outcome(await encrypt({ alg: 'RSA-OAEP-256' }, other.encrypting), rsa.decrypting)).toBe('DECRYPTION_FAILED')
    expect(await outcome(await encrypt({ alg: 'RSA-OAEP-256', kid: 'a' }, rsa.encrypting), { ...rsa.decrypting, kid: 'a' })).toBe(
      INNER,
    )
    expect(await outcome(await encrypt({ alg: 'RSA-OAEP-256', kid: 'a' }, rsa.encrypting), rsa.decrypting)).toBe(INNER)
    const numbered = withHeader(await encrypt({ alg: 'RSA-OAEP-256' }, rsa.encrypting), {
      alg: 'RSA-OAEP-256',
      enc: 'A256GCM',
      cty: 'JWT',
      kid: 7,
    })
    for (const key of [rsa.decrypting, { ...rsa.decrypting, kid: 'a' }]) expect(await outcome(numbered, key)).toBe('KEY_UNKNOWN')
    expect(await outcome(await encrypt({ alg: 'RSA-OAEP-256', kid: 'b' }, rsa.encrypting), { ...rsa.decrypting, kid: 'a' })).toBe(
      'KEY_UNKNOWN',
    )
  })

  test('names an algorithm that the key is for, or is rejected unread (H5)', async () => {
    const token = await encrypt({ alg: 'RSA-OAEP-256' }, rsa.encrypting)
    for (const alg of [
      'RSA1_5',
      'RSA-OAEP',
      'RSA-OAEP-512',
      'dir',
      'A256KW',
      'ECDH-ES',
      'PBES2-HS256+A128KW',
      'none',
      '',
      null,
      7,
    ])
      expect(await outcome(withHeader(token, { alg, enc: 'A256GCM', cty: 'JWT' }), rsa.decrypting)).toBe('ALGORITHM_REFUSED')
    for (const enc of ['A192GCM', 'A192CBC-HS384', 'none', '', null, 7])
      expect(await outcome(withHeader(token, { alg: 'RSA-OAEP-256', enc, cty: 'JWT' }), rsa.decrypting)).toBe('ALGORITHM_REFUSED')
  })

  test('with parameters that cost, unpack or choose is rejected before any of it is done (H5)', async () => {
    const token = await encrypt({ alg: 'RSA-OAEP-256' }, rsa.encrypting)
    const more = {
      zip: 'DEF',
      crit: ['exp'],
      p2c: 2 ** 31,
      p2s: 'AA',
      jku: 'http://127.0.0.1/',
      x5u: 'http://127.0.0.1/',
      jwk: {},
      x5c: [],
    }
    for (const [name, value] of Object.entries(more)) {
      const header = { alg: 'RSA-OAEP-256', enc: 'A256GCM', cty: 'JWT', [name]: value }
      expect([name, await outcome(withHeader(token, header), rsa.decrypting)]).toEqual([name, 'HEADER_PARAMETER_REFUSED'])
    }
  })

  test('that holds claims and no signed token is rejected: anyone can make one with the public key (H7)', async () => {
    for (const cty of [undefined, 'json', 7]) {
      const token = await encrypt({ alg: 'RSA-OAEP-256', cty }, rsa.encrypting, '{"sub":"admin"}')
      expect(await outcome(token, rsa.decrypting)).toBe('HEADER_PARAMETER_REFUSED')
    }
  })

  test('of another form is rejected', async () => {
    const token = await encrypt({ alg: 'RSA-OAEP-256' }, rsa.encrypting)
    const header = { alg: 'RSA-OAEP-256', enc: 'A256GCM', cty: 'JWT' }
    const wrong = [
      withHeader(token, '{"alg":"none","alg":"RSA-OAEP-256","enc":"A256GCM","cty":"JWT"}'),
      withHeader(token, '[]'),
      withHeader(token, '{'),
      `${token}=`,
      `${token}.`,
      ` ${token}`,
      token.slice(token.indexOf('.')),
      token.replace('.', '. '),
    ]
    for (const text of wrong) expect(await outcome(text, rsa.decrypting)).toBe('TOKEN_MALFORMED')
    expect(await outcome(`${token}${'A'.repeat(9000)}`, rsa.decrypting)).toBe('TOKEN_TOO_LONG')
    const [head, ...rest] = withHeader(token, header).split('.')
    for (let at = 0; at < rest.length; at += 1) {
      const emptied = [head, ...rest.map((part, index) => (index === at ? '' : part))].join('.')
      expect(await outcome(emptied, rsa.decrypting)).toBe('DECRYPTION_FAILED')
    }
  })

  test('has as many characters as it is given, and no more', async () => {
    const token = await encrypt({ alg: 'RSA-OAEP-256' }, rsa.encrypting)
    const of = (tokenBytesMax: number) => createDecryptor(rsa.decrypting, { tokenBytesMax })(token).catch((error) => error.code)
    expect([await of(token.length), await of(token.length - 1)]).toEqual([INNER, 'TOKEN_TOO_LONG'])
  })

  test('is one of so many that are opened at once', async () => {
    const decrypt = createDecryptor(rsa.decrypting)
    const token = await encrypt({ alg: 'RSA-OAEP-256' }, rsa.encrypting)
    const answers = await Promise.allSettled(Array.from({ length: 69 }, () => decrypt(token)))
    const refused = answers.filter(({ status }) => status === 'rejected') as PromiseRejectedResult[]
    expect(refused.map(({ reason }) => [reason.code, reason.headers])).toEqual(
      Array(5).fill(['QUEUE_FULL', { 'retry-after': '1' }]),
    )
    expect(await decrypt(token)).toBe(INNER)
  })
})

test('what has no five parts is not encrypted', () => {
  for (const text of ['', 'a', '....a.', 'a.b.c', 'a.b.c.d', 'a.b.c.d.e.f', '.'.repeat(9000)])
    expect(isEncrypted(text)).toBe(false)
  expect(isEncrypted('a..c.d.e')).toBe(true)
})

describe('a decryption key', () => {
  test('is the PEM of a private key, or a JWK', () => {
    const pem = generateKeyPairSync('ec', { namedCurve: 'secp384r1' })
      .privateKey.export({ type: 'pkcs8', format: 'pem' })
      .toString()
    expect(importDecryptionKey(pem).wrappings).toEqual(['ECDH-ES', 'ECDH-ES+A128KW', 'ECDH-ES+A256KW'])
    expect(importDecryptionKey(rsa.decrypting).wrappings).toEqual(['RSA-OAEP-256'])
    expect(importDecryptionKey({ ...rsa.decrypting, alg: 'RSA-OAEP-384' }).wrappings).toEqual(['RSA-OAEP-384'])
  })

  test('says by its kind, its curve and its length what it opens', () => {
    const all = ['A128GCM', 'A256GCM', 'A128CBC-HS256', 'A256CBC-HS512']
    const wrapped = ['ECDH-ES', 'ECDH-ES+A128KW', 'ECDH-ES+A256KW']
    const uses = (key: DecryptionKeyInput) => {
      const { wrappings, encryptions } = importDecryptionKey(key)
      return { wrappings, encryptions }
    }
    for (const namedCurve of ['prime256v1', 'secp384r1', 'secp521r1']) {
      const { decrypting } = pair(generateKeyPairSync('ec', { namedCurve }))
      expect(uses(decrypting)).toEqual({ wrappings: wrapped, encryptions: all })
      expect(uses({ ...decrypting, alg: 'ECDH-ES' })).toEqual({ wrappings: ['ECDH-ES'], encryptions: all })
    }
    expect(uses(pair(generateKeyPairSync('x25519')).decrypting)).toEqual({ wrappings: wrapped, encryptions: all })
    expect(uses(rsa.decrypting)).toEqual({ wrappings: ['RSA-OAEP-256'], encryptions: all })
    for (const [bytes, alg] of [
      [16, 'A128KW'],
      [32, 'A256KW'],
      [16, 'A128GCMKW'],
      [32, 'A256GCMKW'],
    ] as const) {
      expect(uses(shared(bytes, alg).decrypting)).toEqual({ wrappings: [alg], encryptions: all })
      for (const wrong of [15, 17, 24, 31, 33, 48 - bytes])
        expect(() => importDecryptionKey(shared(wrong, alg).decrypting)).toThrow(`has ${wrong} bytes, which ${alg} does not take`)
    }
    for (const [bytes, encryptions] of [
      [16, ['A128GCM']],
      [32, ['A256GCM', 'A128CBC-HS256']],
      [64, ['A256CBC-HS512']],
    ] as const)
      expect(uses(shared(bytes, 'dir').decrypting)).toEqual({ wrappings: ['dir'], encryptions: [...encryptions] })
    for (const wrong of [15, 17, 31, 33, 63, 65])
      expect(() => importDecryptionKey(shared(wrong, 'dir').decrypting)).toThrow(`has ${wrong} bytes, which dir does not take`)
  })

  test('has the name that its JWK gives it, or none', () => {
    expect(importDecryptionKey({ ...rsa.decrypting, kid: 'a' }).kid).toBe('a')
    expect(importDecryptionKey({ ...shared(32, 'dir').decrypting, kid: 'b' }).kid).toBe('b')
    expect(importDecryptionKey(rsa.decrypting)).not.toHaveProperty('kid')
  })

  test('that is none, or too weak, is rejected', () => {
    const weak = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey
    const wrong: readonly unknown[] = [
      '',
      'a shared secret that is long enough to be one',
      null,
      [],
      {},
      rsa.encrypting,
      { ...rsa.decrypting, use: 'sig' },
      { ...rsa.decrypting, kid: 7 },
      { ...rsa.decrypting, alg: 'RSA1_5' },
      { ...rsa.decrypting, alg: 'RSA-OAEP' },
      { ...ec.decrypting, alg: 'RSA-OAEP-256' },
      weak.export({ type: 'pkcs8', format: 'pem' }).toString(),
      generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' }),
      { kty: 'oct', k: 'AAAA' },
      { kty: 'oct', k: randomBytes(16).toString('base64url'), alg: 'A256KW' },
      { kty: 'oct', k: randomBytes(24).toString('base64url'), alg: 'dir' },
      { kty: 'oct', k: `${randomBytes(32).toString('base64url')}=`, alg: 'dir' },
      { kty: 'oct', k: randomBytes(32).toString('base64url'), alg: 'PBES2-HS256+A128KW' },
    ]
    for (const key of wrong) expect(() => importDecryptionKey(key as DecryptionKeyInput)).toThrow(KeyError)
  })
})
