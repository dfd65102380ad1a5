import { describe, expect, test } from 'bun:test'
import { generateKeyPairSync } from 'node:crypto'
import { VestalError } from '../../../src/core/errors.ts'
import type { Jwk } from '../../../src/jose/jwk-members.ts'
import { importUsableKeys, selectKey, selectKeys, selectPublishedKeys } from '../../../src/jose/key-set.ts'
import { importJwk, importSecret, type Key } from '../../../src/jose/keys.ts'
import { thumbprintOf } from '../../../src/jose/thumbprint.ts'
import { SECRET } from '../../support/tokens.ts'

const publicJwk = (namedCurve: string) => generateKeyPairSync('ec', { namedCurve }).publicKey.export({ format: 'jwk' }) as Jwk
const [one, two, long] = [publicJwk('prime256v1'), publicJwk('prime256v1'), publicJwk('secp384r1')]
const named = (jwk: Jwk, kid: string) => importJwk({ ...jwk, kid })
const [unnamed, other] = [importJwk(one), importJwk(two)]
const [a, alsoA, b, c] = [named(one, 'a'), named(two, 'a'), named(two, 'b'), named(long, 'c')]
const secrets = [importSecret(SECRET, { kid: 's' }), importSecret(`${SECRET}2`)] as const
const signsOnly = importJwk({ kty: 'oct', k: Buffer.from(SECRET).toString('base64url'), kid: 'o', key_ops: ['sign'] })

const LABELS = new Map([
  [unnamed, 'unnamed'],
  [other, 'other'],
  [a, 'a'],
  [alsoA, 'also a'],
  [b, 'b'],
  [c, 'c'],
  [secrets[0], 's'],
  [secrets[1], 'unnamed secret'],
])
const labelsOf = (keys: readonly Key[]) => keys.map((key) => LABELS.get(key) ?? 'unknown')

/** The labels of the keys that were selected, or the code of the rejection. */
function selected(work: () => Key | readonly Key[]): readonly string[] | string {
  try {
    return labelsOf([work()].flat())
  } catch (error) {
    if (error instanceof VestalError) return error.code
    throw error
  }
}

describe('the key of a token', () => {
  const cases: readonly (readonly [what: string, keys: readonly Key[], kid: string | undefined, expected: Key | string])[] = [
    ['a single key without a name answers to any', [unnamed], 'anything', unnamed],
    ['a single key without a name answers to none', [unnamed], undefined, unnamed],
    ['a single key answers to its name', [a], 'a', a],
    ['a single key answers where none is named', [a], undefined, a],
    ['a single key answers to no other name', [a], 'b', 'KEY_UNKNOWN'],
    ['of several the named one', [a, b], 'b', b],
    ['of several none where none is named', [a, b], undefined, 'KEY_UNKNOWN'],
    ['of several none where the name is unknown', [a, b], 'c', 'KEY_UNKNOWN'],
    ['of several one without a name by its thumbprint', [unnamed, other], thumbprintOf(other), other],
    ['of several one without a name by nothing else', [unnamed, b], 'x', 'KEY_UNKNOWN'],
    ['of several secrets never the one without a name', secrets, undefined, 'KEY_UNKNOWN'],
  ]
  for (const [what, keys, kid, expected] of cases) {
    test(`is ${what}`, () => {
      const algorithm = keys[0]?.algorithm ?? 'ES256'
      expect(selected(() => selectKey(keys, algorithm, kid))).toEqual(
        typeof expected === 'string' ? expected : labelsOf([expected]),
      )
    })
  }

  test('is for its algorithm and for verifying', () => {
    expect(selected(() => selectKey([a, c], 'ES384', 'a'))).toBe('ALGORITHM_REFUSED')
    expect(selected(() => selectKey([signsOnly], 'HS256', 'o'))).toBe('ALGORITHM_REFUSED')
  })
})

describe('the keys of a set that another party publishes', () => {
  const cases: readonly (readonly [what: string, keys: readonly Key[], kid: string | undefined, expected: readonly Key[]])[] = [
    ['a single one without a name answers to any', [unnamed], 'anything', [unnamed]],
    ['a single one answers to its name', [a], 'a', [a]],
    ['a single one answers where none is named', [a], undefined, [a]],
    ['a single one answers to no other name', [a], 'b', []],
    ['all of the name are tried', [a, alsoA, b], 'a', [a, alsoA]],
    ['the only one for the algorithm is tried where none is named', [a, c], undefined, [a]],
    ['none is tried where none is named and two would do', [a, b, c], undefined, []],
    ['one without a name answers to its thumbprint', [unnamed, other], thumbprintOf(other), [other]],
    ['the first without a name does not answer to an unknown one', [unnamed, b], 'x', []],
    ['one of the name for a different algorithm is not tried', [a, c], 'c', []],
    ['one that only signs is not tried', [signsOnly], 'o', []],
  ]
  for (const [what, keys, kid, expected] of cases) {
    test(what, () => {
      const algorithm = keys[0]?.algorithm ?? 'ES256'
      expect(selected(() => selectPublishedKeys(keys, algorithm, kid))).toEqual(
        expected.length > 0 ? labelsOf(expected) : 'KEY_UNKNOWN',
      )
    })
  }
})

describe('the keys of a bare JWS', () => {
  test('are the named one, or all that are for the algorithm where several are there and none is named', () => {
    expect(selected(() => selectKeys([a, b, c], 'ES256', 'b'))).toEqual(['b'])
    expect(selected(() => selectKeys([a, b, c], 'ES256', 'x'))).toBe('KEY_UNKNOWN')
    expect(selected(() => selectKeys([a, b, c], 'ES256', undefined))).toEqual(['a', 'b'])
    expect(selected(() => selectKeys([a, b, c], 'ES512', undefined))).toBe('ALGORITHM_REFUSED')
    expect(selected(() => selectKeys([a], 'ES256', undefined))).toEqual(['a'])
    expect(selected(() => selectKeys([signsOnly, ...secrets], 'HS256', undefined))).toEqual(['s', 'unnamed secret'])
  })

  test('are those of a set that can be used, and at least one', () => {
    const usable = { keys: [{ kty: 'EC' }, { ...one, kid: 'a' }, 7 as never, { ...long, use: 'enc' }] }
    expect(importUsableKeys(usable).map(({ kid }) => kid)).toEqual(['a'])
    expect(() => importUsableKeys({ keys: [{ kty: 'EC' }] })).toThrow('there is no key')
    expect(importUsableKeys([secrets[0]]).map(({ kid }) => kid)).toEqual(['s'])
    expect(() => importUsableKeys([{ kty: 'EC' }])).toThrow('"crv"')
  })
})
