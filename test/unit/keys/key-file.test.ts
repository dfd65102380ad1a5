import { describe, expect, test } from 'bun:test'
import { generateKey } from '../../../src/jose/generate-key.ts'
import { addKey, type KeyRing, revoke, rotate } from '../../../src/jose/key-ring.ts'
import { formatKeyFile, isKeyFile, openKeys, parseKeyFile, type StoredSecret } from '../../../src/keys/key-file.ts'
import { createSealer, isSealing, newSealing, type Sealed } from '../../../src/keys/sealing.ts'

const NOW = 1_795_500_000
const never = (): never => {
  throw new Error('nothing is to be opened')
}
const fresh = (algorithm: 'ES256' | 'EdDSA' | 'HS256' = 'ES256') => ({ ...generateKey(algorithm), createdAt: NOW })
const single: KeyRing<StoredSecret> = addKey({ keys: [] }, fresh(), { now: NOW })
const read = (text: string) => parseKeyFile(JSON.parse(text))

/** Cheap, so that the tests are quick; the parameters of real files are checked below. */
const CHEAP = { ...newSealing(), cost: 2 ** 14 }

describe('a key file', () => {
  test('comes back as it was written', () => {
    const ring = revoke(
      addKey(rotate(addKey(single, fresh('EdDSA'), { now: NOW }), { now: NOW + 1 }), fresh(), { now: NOW + 2 }),
      single.keys[0]?.kid ?? '',
      {
        now: NOW + 3,
      },
    )
    expect(read(formatKeyFile({ ring }))).toStrictEqual({ ring })
    expect(read(formatKeyFile({ ring: single, sealing: CHEAP }))).toStrictEqual({ ring: single, sealing: CHEAP })
    expect(isKeyFile(JSON.parse(formatKeyFile({ ring })))).toBe(true)
    // Readable where it is looked at, and a file of text to its end.
    expect(formatKeyFile({ ring })).toMatch(/^\{\n {2}"format": .*\}\n$/s)
  })

  test('opens to the keys that verify and the one that signs', () => {
    const ring = addKey(rotate(addKey(single, fresh('EdDSA'), { now: NOW }), { now: NOW, keepSeconds: 10 }), fresh(), {
      now: NOW,
    })
    const { keys, signing, dropTimes } = openKeys({ ring }, NOW + 9, never)
    expect(keys.map(({ kid }) => kid)).toEqual(ring.keys.map(({ kid }) => kid))
    expect([signing?.algorithm, signing?.canSign, [...dropTimes]]).toEqual([
      'EdDSA',
      true,
      [[single.keys[0]?.kid ?? '', NOW + 10]],
    ])
    // The one that waits has no use for its private part yet.
    expect(keys.filter(({ canSign }) => canSign)).toHaveLength(1)
    expect(openKeys({ ring }, NOW + 10, never).keys).toHaveLength(2)
  })

  const good = JSON.parse(formatKeyFile({ ring: single })) as { keys: Record<string, unknown>[] }
  const other = fresh()
  const edits: readonly (readonly [what: string, edit: Readonly<Record<string, unknown>>, message: string])[] = [
    ['of a later version', { version: 2 }, 'another version'],
    ['with an unknown member', { extra: 1 }, 'unknown member "extra"'],
    ['with a long one, which is shown in part', { ['x'.repeat(80)]: 1 }, `unknown member "${'x'.repeat(60)}"`],
    ['without a list', { keys: {} }, '"keys" is not a list'],
    ['with a sealing that is none', { sealing: { kdf: 'md5' } }, '"sealing"'],
    ['with a key that is none', { keys: [7] }, 'key 1 is not an object'],
  ]
  const keyEdits: readonly (readonly [what: string, edit: Readonly<Record<string, unknown>>, message: string])[] = [
    ['without a name', { kid: undefined }, '"kid" of key 1'],
    ['with an empty name', { kid: '' }, '"kid" of key 1'],
    ['with a name of two lines', { kid: 'a\nb' }, '"kid" of key 1'],
    ['with a name of 129 characters', { kid: 'a'.repeat(129) }, '"kid" of key 1'],
    ['for no algorithm', { alg: 'none' }, '"alg"'],
    ['in no state', { state: 'asleep' }, '"state"'],
    ['with a misspelt member', { private: {} }, 'unknown member "private"'],
    ['without a time of its making', { created_at: undefined }, '"created_at"'],
    ['with a time that is none', { created_at: 'yesterday' }, '"created_at"'],
    ['with a time on no day', { activated_at: '2026-13-01T00:00:00Z' }, '"activated_at"'],
    ['with a time as a number', { activated_at: 7 }, '"activated_at"'],
    ['with a secret that is a string', { secret: 'hunter2' }, '"secret"'],
    ['with a secret that is null', { secret: null }, '"secret"'],
    ['with a public part that is a list', { public: [] }, '"public"'],
    ['that is sealed where the file is not', { secret: { iv: 'A'.repeat(16), sealed: 'A'.repeat(40) } }, '"sealing" is missing'],
  ]
  for (const [what, edit, message] of edits) {
    test(`${what} is rejected`, () => {
      expect(() => parseKeyFile({ ...good, ...edit })).toThrow(message)
    })
  }
  for (const [what, edit, message] of keyEdits) {
    test(`with a key ${what} is rejected`, () => {
      expect(() => parseKeyFile({ ...good, keys: [{ ...good.keys[0], ...edit }] })).toThrow(message)
    })
  }

  test('whose second key alone is sealed where the file is not is rejected, and a wrong one is counted from 1', () => {
    const [key] = good.keys
    const sealed = { ...key, kid: 'b', state: 'next', secret: { iv: 'A'.repeat(16), sealed: 'A'.repeat(40) } }
    expect(() => parseKeyFile({ ...good, keys: [key, sealed] })).toThrow('"sealing" is missing')
    expect(() => parseKeyFile({ ...good, keys: [key, 7] })).toThrow('key 2 is not an object')
    expect(() => parseKeyFile({ ...good, keys: [key, { ...key, kid: '' }] })).toThrow('"kid" of key 2')
    expect(parseKeyFile({ ...good, keys: [{ ...key, kid: 'a'.repeat(128) }] }).ring.keys[0]?.kid).toHaveLength(128)
  })

  const opens: readonly (readonly [what: string, edit: Readonly<Record<string, unknown>>, message: string])[] = [
    ['of another pair', { public: other.publicJwk }, 'two keys'],
    ['for another algorithm', { alg: 'ES384' }, 'is for ES256, not for ES384'],
    ['that is private in its public place', { public: good.keys[0]?.secret }, 'a private key is where'],
    ['that is too weak', { public: { kty: 'RSA', n: 'AQAB', e: 'AQAB' }, alg: 'RS256' }, 'the JWK is for ES256'],
  ]
  for (const [what, edit, message] of opens) {
    test(`with a key ${what} does not open`, () => {
      const file = parseKeyFile({ ...good, keys: [{ ...good.keys[0], ...edit }] })
      expect(() => openKeys(file, NOW, never)).toThrow(message)
      expect(() => openKeys(file, NOW, never)).toThrow(`the key ${String(good.keys[0]?.kid)}: `)
    })
  }

  test('says of an error that is none of the key what it is', () => {
    const ring = { keys: [{ ...fresh(), state: 'active' as const, secret: { iv: 'A'.repeat(16), sealed: 'A'.repeat(40) } }] }
    expect(() => openKeys({ ring }, NOW, never)).toThrow(/^nothing is to be opened$/)
  })

  test('is reported from a JWK, a JWK Set and nothing', () => {
    for (const value of [good.keys[0]?.public, { keys: [good.keys[0]?.public] }, [], null, 'x', 7])
      expect(isKeyFile(value)).toBe(false)
    for (const value of [null, [], {}, 'x']) expect(() => parseKeyFile(value)).toThrow('is not a key file')
  })
})

describe('a sealed key', () => {
  const sealer = createSealer(CHEAP, 'correct horse battery')
  const secret = single.keys[0]?.secret as Readonly<Record<string, unknown>>

  test('is opened by its passphrase, under its own name', () => {
    const sealed = sealer.seal('a', secret)
    expect(createSealer(CHEAP, 'correct horse battery').open('a', sealed)).toEqual(secret)
    expect(JSON.stringify(sealed)).not.toContain(String(secret.d))
    expect(() => createSealer(CHEAP, 'correct horse batterz').open('a', sealed)).toThrow('the passphrase is not the one')
    expect(() => sealer.open('b', sealed)).toThrow('the passphrase is not the one')
  })

  test('that was changed in any byte does not open', () => {
    const sealed = sealer.seal('a', secret)
    for (const name of ['iv', 'sealed'] as const) {
      const bytes = Buffer.from(sealed[name], 'base64url')
      for (const index of [0, bytes.length >> 1, bytes.length - 1]) {
        const changed = Buffer.from(bytes)
        changed[index] = (changed[index] ?? 0) ^ 1
        expect(() => sealer.open('a', { ...sealed, [name]: changed.toString('base64url') })).toThrow('has been changed')
      }
    }
  })

  test('is sealed anew each time, and by scrypt as OWASP asks', () => {
    expect(sealer.seal('a', secret)).not.toEqual(sealer.seal('a', secret))
    const { salt, ...rest } = newSealing()
    expect(rest).toEqual({ kdf: 'scrypt', cost: 131_072, blockSize: 8, parallelization: 1 })
    expect(salt).not.toBe(newSealing().salt)
  })

  test('is the same passphrase however its accents are composed', () => {
    const sealed = createSealer(CHEAP, 'caf\u00e9 caf\u00e9 caf\u00e9').seal('a', secret)
    expect(createSealer(CHEAP, 'cafe\u0301 cafe\u0301 cafe\u0301').open('a', sealed)).toEqual(secret)
  })

  test('is read with parameters alone that neither open the door nor cost too much', () => {
    expect(isSealing(newSealing())).toBe(true)
    for (const edit of [
      { kdf: 'pbkdf2' },
      { cost: 2 },
      { cost: 2 ** 13 },
      { cost: 2 ** 21 },
      { cost: 100_000 },
      { cost: '16384' },
      { blockSize: 1 },
      { parallelization: 0 },
      { parallelization: 5 },
      { salt: '' },
      { salt: 'AAAA' },
      { salt: 7 },
    ]) {
      expect([edit, isSealing({ ...newSealing(), ...edit })]).toEqual([edit, false])
    }
  })

  test('is opened for signing and for secrets, and for nothing else', () => {
    const seal = (ring: KeyRing<StoredSecret>) => ({
      keys: ring.keys.map((key) =>
        key.secret === undefined ? key : { ...key, secret: sealer.seal(key.kid, key.secret as typeof secret) },
      ),
    })
    const opened: string[] = []
    const open = (kid: string, sealed: Sealed) => {
      opened.push(kid)
      return sealer.open(kid, sealed)
    }
    const ring = seal(addKey(single, fresh(), { now: NOW }))
    const file = parseKeyFile(JSON.parse(formatKeyFile({ ring, sealing: CHEAP })))
    expect(openKeys(file, NOW, open).signing?.canSign).toBe(true)
    expect(opened).toEqual([single.keys[0]?.kid ?? ''])
    const secrets = seal(
      addKey(addKey({ keys: [] } as KeyRing<StoredSecret>, fresh('HS256'), { now: NOW }), fresh('HS256'), { now: NOW }),
    )
    expect(openKeys({ ring: secrets, sealing: CHEAP }, NOW, open).keys.map(({ kind }) => kind)).toEqual(['oct', 'oct'])
  })
})
