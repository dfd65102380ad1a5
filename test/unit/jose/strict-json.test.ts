import { describe, expect, test } from 'bun:test'
import { readStrictObject, readStrictText } from '../../../src/jose/strict-json.ts'

const nested = (levels: number, open = '[', close = ']') => `{"a":${open.repeat(levels)}1${close.repeat(levels)}}`

describe('a JSON object that two parsers read alike', () => {
  test('is given as it was parsed', () => {
    for (const text of [
      '{}',
      ' {\n"a" : 1 , "b":{"a":2,"c":[{"a":3},{"a":4}]}}\t',
      '{"a":"\\"a\\":1","b":"\\\\","c":"\\\\\\""}',
      '{"":0,"a:":":","\\"":1}',
      '{"constructor":1,"toString":null,"a":[null,true,false,-0,1e308]}',
      '{"\\u00e9":1,"\u00e9e":2,"🙂":"🙂"}',
      '{"a":"x:\\"y\\":","a\\"":1}',
      nested(31),
      nested(15, '{"a":[', ']}'),
    ])
      expect([text, readStrictText(text)]).toEqual([text, JSON.parse(text)])
  })

  const broken: readonly (readonly [text: string, rule: string])[] = [
    ['', 'not JSON'],
    ['{', 'not JSON'],
    ['{"a":1}x', 'not JSON'],
    ['{"a":NaN}', 'not JSON'],
    ['\ufeff{}', 'not JSON'],
    ...['null', '1', '"x"', 'true', '[]', '[{"a":1}]'].map((text) => [text, 'not a JSON object'] as const),
    ['{"a":1,"a":1}', 'a member is there twice'],
    ['{"a":1,"\\u0061":1}', 'a member is there twice'],
    ['{"b":[{"a":1},{"a":1,"a":2}]}', 'a member is there twice'],
    ['{"a":1 , "b":{"c":{},"c"\n:{}}}', 'a member is there twice'],
    ['{"a\\\\":1,"a\\\\":2}', 'a member is there twice'],
    ['{"__proto__":{}}', 'a member is called __proto__'],
    ['{"a":[{"\\u005f_proto__":1}]}', 'a member is called __proto__'],
    ['{"a":"\\ud800"}', 'a lone surrogate'],
    ['{"a":["\\udc00x"]}', 'a lone surrogate'],
    ['{"\\ud800":1}', 'a lone surrogate'],
    ['{"a":1e999}', 'a number is too large'],
    ['{"a":[-1e999]}', 'a number is too large'],
    [nested(32), 'deeper than 32 levels'],
    [nested(16, '{"a":[', ']}'), 'deeper than 32 levels'],
  ]
  for (const [text, rule] of broken) {
    test(`is not ${text.slice(0, 40)}: ${rule}`, () => {
      expect(readStrictText(text)).toBe(rule)
    })
  }

  test('is valid UTF-8 where it comes as bytes', () => {
    expect(readStrictObject(Buffer.from('{"a":"é"}'))).toEqual({ a: 'é' })
    for (const bytes of [
      [0x7b, 0xff, 0x7d],
      [0xc0, 0x80],
    ])
      expect(readStrictObject(Buffer.from(bytes))).toBe('not UTF-8')
    expect(readStrictObject(Buffer.from('{"__proto__":1}'))).toBe('a member is called __proto__')
  })

  test('has none of the names that are forbidden, in their place or hidden', () => {
    const forbidden = ['__proto__', 'secret']
    expect(readStrictText('{"a":"secret","b":["secret"]}', forbidden)).toEqual({ a: 'secret', b: ['secret'] })
    for (const text of ['{"secret":1}', '{"a":[{"secret":1}]}', '{"s\\u0065cret":1}'])
      expect([text, readStrictText(text, forbidden)]).toEqual([text, 'a member is called secret'])
    expect(readStrictObject(Buffer.from('{"secret":1}'), forbidden)).toBe('a member is called secret')
    expect(readStrictText('{"secret":1}')).toEqual({ secret: 1 })
  })

  test('is found in time, whatever stands in its texts', () => {
    for (const text of ['"'.repeat(500), '\\'.repeat(501), '\\"'.repeat(300), ':'.repeat(500), '":"'.repeat(200)]) {
      const value = { [text]: text, list: [text] }
      expect(readStrictText(JSON.stringify(value))).toEqual(value)
    }
  })
})
