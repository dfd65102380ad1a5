import { describe, expect, test } from 'bun:test'
import { generateKey, partsOf } from '../../../src/jose/generate-key.ts'
import type { Jwk } from '../../../src/jose/jwk-members.ts'
import {
  addKey,
  checkRing,
  type KeyRing,
  prune,
  type RingKey,
  retire,
  revoke,
  rotate,
  stateIn,
  verifyingIn,
} from '../../../src/jose/key-ring.ts'
import { importJwk } from '../../../src/jose/keys.ts'

/** How long a retired key verifies by default: a day and an hour (docs/reference/key-files.md). */
const KEEP_SECONDS = 90_000
const EMPTY: KeyRing = { keys: [] }
const publicJwk: Jwk = { kty: 'OKP', crv: 'Ed25519', x: 'x' }
const secret: Jwk = { ...publicJwk, d: 'd' }
const fresh = (kid: string) => ({ kid, algorithm: 'EdDSA' as const, createdAt: 1, publicJwk, secret })
const freshSecret = (kid: string) => ({ kid, algorithm: 'HS256' as const, createdAt: 1, secret })
const states = (ring: KeyRing) => Object.fromEntries(ring.keys.map(({ kid, state }) => [kid, state]))
const at = (now: number) => ({ now })
const two = addKey(addKey(EMPTY, fresh('a'), at(10)), fresh('b'), at(20))

describe('a key ring', () => {
  test('lets its first key sign, and the second one wait', () => {
    expect(states(two)).toEqual({ a: 'active', b: 'next' })
    expect(stateIn(two, 'active')).toMatchObject({ kid: 'a', activatedAt: 10 })
    expect(() => addKey(two, fresh('c'), at(30))).toThrow('the key b is next already')
  })

  test('rotated lets the next key sign and the active one verify for a while', () => {
    const rotated = rotate(two, at(100))
    expect(states(rotated)).toEqual({ a: 'retired', b: 'active' })
    expect(rotated.keys[0]).toMatchObject({ retiredAt: 100, dropAt: 100 + KEEP_SECONDS })
    expect(verifyingIn(rotated, 100 + KEEP_SECONDS - 1).map(({ kid }) => kid)).toEqual(['a', 'b'])
    expect(verifyingIn(rotated, 100 + KEEP_SECONDS).map(({ kid }) => kid)).toEqual(['b'])
    expect(states(prune(rotated, 100 + KEEP_SECONDS))).toEqual({ b: 'active' })
    expect(() => rotate(rotated, at(200))).toThrow('there is no next key')
    expect(() => rotate(EMPTY, at(200))).toThrow('there is no next key')
  })

  test('keeps a retired key as long as it is given', () => {
    expect(rotate(two, { now: 100, keepSeconds: 5 }).keys[0]?.dropAt).toBe(105)
    expect(verifyingIn(rotate(two, { now: 100, keepSeconds: 0 }), 100).map(({ kid }) => kid)).toEqual(['b'])
  })

  test('forgets a private key that will not sign again, and keeps a secret that must still verify', () => {
    expect(rotate(two, at(100)).keys[0]).not.toHaveProperty('secret')
    const secrets = addKey(addKey(EMPTY, freshSecret('a'), at(1)), freshSecret('b'), at(1))
    expect(rotate(secrets, at(100)).keys[0]).toHaveProperty('secret')
    for (const ring of [two, secrets]) expect(revoke(ring, 'a', at(100)).keys[0]).not.toHaveProperty('secret')
  })

  test('verifies with all keys but the revoked', () => {
    const ring = revoke(addKey(rotate(two, at(100)), fresh('c'), at(101)), 'a', at(102))
    expect(states(ring)).toEqual({ a: 'revoked', b: 'active', c: 'next' })
    expect(verifyingIn(ring, 102).map(({ kid }) => kid)).toEqual(['b', 'c'])
    expect(ring.keys[0]).toMatchObject({ revokedAt: 102, dropAt: 102 + KEEP_SECONDS })
  })

  test('that loses its active key lets the next one sign', () => {
    for (const [ring, state] of [
      [revoke(two, 'a', at(100)), 'revoked'],
      [retire(two, 'a', at(100)), 'retired'],
    ] as const) {
      expect(states(ring)).toEqual({ a: state, b: 'active' } as never)
    }
    const single = addKey(EMPTY, fresh('a'), at(1))
    for (const change of [revoke, retire]) expect(() => change(single, 'a', at(2))).toThrow('there is no next key')
  })

  test('may withdraw the key that waits', () => {
    expect(states(retire(two, 'b', at(30)))).toEqual({ a: 'active', b: 'retired' })
    expect(states(revoke(two, 'b', at(30)))).toEqual({ a: 'active', b: 'revoked' })
  })

  test('goes in one direction alone', () => {
    const retired = rotate(two, at(30))
    expect(() => retire(retired, 'a', at(40))).toThrow('the key a is retired already')
    const revoked = revoke(retired, 'a', at(40))
    expect(() => retire(revoked, 'a', at(50))).toThrow('the key a is revoked already')
    expect(() => revoke(revoked, 'a', at(50))).toThrow('the key a is revoked already')
    for (const change of [retire, revoke]) {
      expect(() => change(two, 'c', at(50))).toThrow('there is no key "c"')
      // What somebody asks for is told back no longer than a name may be.
      expect(() => change(two, 'x'.repeat(129), at(50))).toThrow(`there is no key "${'x'.repeat(128)}"`)
    }
  })

  test('changes no ring that it was given', () => {
    const before = JSON.stringify(two)
    rotate(two, at(100))
    revoke(two, 'a', at(100))
    expect(JSON.stringify(two)).toBe(before)
  })

  const active: RingKey = { ...fresh('a'), state: 'active' }
  const many = (count: number) =>
    Array.from({ length: count }, (_, i) => ({ ...active, state: 'retired' as const, dropAt: 5, kid: `${i}` }))

  test('holds as many as 64 keys', () => {
    expect(checkRing(many(64)).keys).toHaveLength(64)
  })

  const broken: readonly (readonly [what: string, keys: readonly RingKey[], message: string])[] = [
    ['two active keys', [active, { ...active, kid: 'b' }], 'more than one key is active'],
    [
      'two next keys',
      [
        { ...active, state: 'next' },
        { ...active, kid: 'b', state: 'next' },
      ],
      'more than one key is next',
    ],
    ['one name twice', [active, { ...active, state: 'next' }], 'the same "kid"'],
    ['secrets beside public keys', [active, { ...freshSecret('b'), state: 'next' }], 'mixed'],
    [
      'an active key without a private part',
      [{ kid: 'a', algorithm: 'EdDSA', createdAt: 1, publicJwk, state: 'active' }],
      'no private',
    ],
    [
      'a public key without its public part',
      [{ kid: 'a', algorithm: 'EdDSA', createdAt: 1, secret, state: 'next' }],
      'no public part',
    ],
    ['a secret with a public part', [{ ...fresh('a'), algorithm: 'HS256', state: 'next' }], 'has a public part'],
    ['a retired key for ever', [{ ...active, state: 'retired' }], 'no time at which it is dropped'],
    [
      'a retired secret without it',
      [{ kid: 'a', algorithm: 'HS256', createdAt: 1, state: 'retired', dropAt: 5 }],
      'has no secret',
    ],
    ['a revoked key without its time', [{ ...active, state: 'revoked', dropAt: 5 }], 'no time of it'],
    ['too many keys', many(65), 'at most 64'],
  ]
  for (const [what, keys, message] of broken) {
    test(`with ${what} is rejected`, () => {
      expect(() => checkRing(keys)).toThrow(message)
    })
  }
})

describe('a generated key', () => {
  for (const algorithm of ['ES256', 'ES384', 'ES512', 'EdDSA', 'RS256', 'PS512'] as const) {
    test(`for ${algorithm} has a public part without a private member`, () => {
      const { kid, publicJwk: seen, secret: kept } = generateKey(algorithm)
      expect(Object.keys(seen ?? {}).filter((name) => ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k'].includes(name))).toEqual([])
      expect([kept.kid, kept.alg, kept.use, kept.d === undefined]).toEqual([kid, algorithm, 'sig', false])
      expect(kid).toMatch(/^[\w][\w-]{42}$/)
    })
  }

  test('that is a secret has no public part, is as long as its hash, and a name that reveals nothing of it', () => {
    for (const [algorithm, bytes] of [
      ['HS256', 32],
      ['HS384', 48],
      ['HS512', 64],
    ] as const) {
      const { publicJwk: seen, secret: kept, kid } = generateKey(algorithm)
      expect([seen, Buffer.from(String(kept.k), 'base64url').length]).toEqual([undefined, bytes])
      expect(kid).toMatch(/^\w[\w-]{21}$/)
    }
  })
})

describe('the parts of a key that was made elsewhere', () => {
  test('are its private part and, of a key pair, its public one, under one name', () => {
    for (const algorithm of ['ES256', 'EdDSA', 'PS256'] as const) {
      const { publicJwk: madePublic, secret: made } = generateKey(algorithm)
      const { kid: _, ...nameless } = made
      const parts = partsOf(importJwk(nameless))
      expect(parts).toStrictEqual({ kid: String(made.kid), algorithm, publicJwk: madePublic ?? {}, secret: made })
      expect(partsOf(importJwk({ ...made, kid: 'mine' }))).toMatchObject({ kid: 'mine', publicJwk: { kid: 'mine' } })
    }
  })

  test('of a secret are the secret alone, under a random name', () => {
    const { secret: made } = generateKey('HS384')
    const parts = partsOf(importJwk({ kty: 'oct', k: made.k, alg: 'HS384' }))
    expect(parts).toStrictEqual({ kid: parts.kid, algorithm: 'HS384', secret: { ...made, kid: parts.kid } })
    expect(parts.kid).toMatch(/^\w[\w-]{21}$/)
  })

  test('are not those of a public key', () => {
    expect(() => partsOf(importJwk(generateKey('ES256').publicJwk ?? {}))).toThrow('the key is public')
  })
})
