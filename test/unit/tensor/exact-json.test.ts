import { describe, expect, test } from 'bun:test'
import { VestalError } from '../../../src/core/errors.ts'
import { integerOf, JSON_DEPTH_MAX, parseJson } from '../../../src/tensor/exact-json.ts'

const parse = (text: string, exactIntegers = false) => parseJson(Buffer.from(text), { exactIntegers })
const nested = (levels: number) => '['.repeat(levels) + ']'.repeat(levels)

function detailOf(work: () => unknown): unknown {
  try {
    return work()
  } catch (error) {
    return error instanceof VestalError && error.code === 'BODY_INVALID' ? error.detail : error
  }
}

describe('a JSON body', () => {
  test('is read', () => {
    expect(parse('{"a":[1,"x",null,true]}')).toEqual({ a: [1, 'x', null, true] })
  })

  test('keeps long integers exact where it is asked to', () => {
    expect(parse('[9007199254740993, -9223372036854775808, 1, 1.5, 1e30]', true)).toEqual([
      9007199254740993n,
      -9223372036854775808n,
      1,
      1.5,
      1e30,
    ])
    expect(parse('[9007199254740993]')).toEqual([9007199254740992])
  })

  test('with __proto__ changes no prototype', () => {
    const value = parse('{"__proto__":{"polluted":1},"a":1}') as Record<string, unknown>
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype)
    expect(({} as Record<string, unknown>).polluted).toBeUndefined()
  })

  test(`may be ${JSON_DEPTH_MAX} levels deep and no deeper`, () => {
    expect(parse(nested(JSON_DEPTH_MAX))).toBeArray()
    expect(detailOf(() => parse(nested(JSON_DEPTH_MAX + 1)))).toBe('JSON nesting depth exceeds maximum allowed limit (100)')
    expect(detailOf(() => parse(`${`{"a":`.repeat(101)}1${'}'.repeat(101)}`))).toBe(
      'JSON nesting depth exceeds maximum allowed limit (100)',
    )
    expect(detailOf(() => parse(nested(1_000_000)))).toBe('JSON nesting depth exceeds maximum allowed limit (100)')
  })

  test('may hold anything but a list or an object at its deepest level', () => {
    const around = (inner: string) => `${'['.repeat(JSON_DEPTH_MAX)}${inner}${']'.repeat(JSON_DEPTH_MAX)}`
    const within = (inner: string) => `${'{"a":'.repeat(JSON_DEPTH_MAX)}${inner}${'}'.repeat(JSON_DEPTH_MAX)}`
    for (const inner of ['null', '1', '"x"', 'true', 'NaN', '-Infinity'])
      for (const text of [around(inner), within(inner)])
        expect([text.slice(98, 110), typeof parseJson(Buffer.from(text), { hasBareFloats: true })]).toEqual([
          text.slice(98, 110),
          'object',
        ])
    for (const inner of ['[]', '{}', 'NaN,[]'])
      expect(detailOf(() => parseJson(Buffer.from(around(inner)), { hasBareFloats: true }))).toBe(
        'JSON nesting depth exceeds maximum allowed limit (100)',
      )
    for (const text of ['null', '"x"', '7']) expect(parse(text)).toEqual(JSON.parse(text))
  })

  test('that is none is rejected without a word of what it holds', () => {
    for (const text of ['{', '{"secret":"hunter2"', "{'a':1}", '[1,]', 'NaN', '01', '"\t"', '\ufeff{}', '{} {}']) {
      expect(detailOf(() => parse(text))).toBe('The body is not valid JSON')
    }
    expect(detailOf(() => parse(''))).toBe('The body is empty; it must be JSON')
    expect(detailOf(() => parseJson(new Uint8Array([0x22, 0xc3, 0x28, 0x22])))).toBe('The body is not UTF-8')
    expect(detailOf(() => parseJson(new Uint8Array([0x22, 0xed, 0xa0, 0x80, 0x22])))).toBe('The body is not UTF-8')
  })
})

test('a number whose text is an integer that it may round is that integer, and no other number is', () => {
  const cases: readonly (readonly [text: string, integer: bigint | undefined])[] = [
    ['9007199254740993', 9007199254740993n],
    ['-9007199254740993', -9007199254740993n],
    ['9007199254740993.0', 9007199254740993n],
    ['9007199254740993.00', 9007199254740993n],
    ['900719925474099.3e1', 9007199254740993n],
    ['-90071992547409930e-1', -9007199254740993n],
    ['1e16', 10n ** 16n],
    ['1.25e17', 125n * 10n ** 15n],
    ['9007199254740993.5', undefined],
    ['90071992547409935e-1', undefined],
    ['1.5', undefined],
    ['5', undefined],
    ['5.0', undefined],
    ['2e19', 2n * 10n ** 19n],
    ['2.0000001e19', undefined],
    ['1e300', undefined],
    ['', undefined],
  ]
  for (const [text, integer] of cases) expect([text, integerOf(text === '' ? 1e16 : Number(text), text)]).toEqual([text, integer])
  expect(integerOf(1e16)).toBeUndefined()
})
