import { describe, expect, test } from 'bun:test'
import {
  parseTextFormat,
  TextFormatError,
  type TextMessage,
  type TextValue,
} from '../../../../src/inference/repository/pbtxt/text-format.ts'

/** Fields as pairs, without lines. */
function plain({ fields }: TextMessage): unknown {
  const value = (each: TextValue): unknown => (each.kind === 'message' ? plain(each) : `${each.kind} ${each.text}`)
  return fields.map((field) => [field.name, value(field.value)])
}

describe('the protobuf text format', () => {
  const cases: readonly (readonly [what: string, text: string, fields: unknown])[] = [
    ['nothing', '  # a comment alone\n', []],
    [
      'scalars',
      'a: 1 b: -2.5e3\nc: "x" d: TYPE_FP32 e: true',
      [
        ['a', 'number 1'],
        ['b', 'number -2.5e3'],
        ['c', 'text x'],
        ['d', 'word TYPE_FP32'],
        ['e', 'word true'],
      ],
    ],
    [
      'numbers of other bases, and what is none',
      'a: 0x1F b: 017 c: 1.5f d: - 3 e: -inf f: .5',
      [
        ['a', 'number 0x1F'],
        ['b', 'number 017'],
        ['c', 'number 1.5f'],
        ['d', 'number -3'],
        ['e', 'number -inf'],
        ['f', 'number .5'],
      ],
    ],
    [
      'messages with and without a colon, and in angle brackets',
      'a { b: 1 } c: { d: 2 } e < f: 3 >',
      [
        ['a', [['b', 'number 1']]],
        ['c', [['d', 'number 2']]],
        ['e', [['f', 'number 3']]],
      ],
    ],
    [
      'lists',
      'a: [1, 2] b [ { c: 1 }, < c: 2 > ] d: []',
      [
        ['a', 'number 1'],
        ['a', 'number 2'],
        ['b', [['c', 'number 1']]],
        ['b', [['c', 'number 2']]],
      ],
    ],
    [
      'separators',
      'a: 1, b: 2; c: 3',
      [
        ['a', 'number 1'],
        ['b', 'number 2'],
        ['c', 'number 3'],
      ],
    ],
    ['comments anywhere', 'a # one\n: # two\n 1 # three', [['a', 'number 1']]],
    ['texts in a row as one, in either quotes', `a: "x" 'y' "#z"`, [['a', 'text xy#z']]],
    [
      'escapes',
      String.raw`a: "\n\t\\\"\x41\101\u00e9\U0001F600" b: '\303\251'`,
      [
        ['a', 'text \n\t\\"AA\u00e9\u{1F600}'],
        ['b', 'text \u00e9'],
      ],
    ],
    ['letters beyond ASCII', 'a: "é😀"', [['a', 'text é😀']]],
    [
      'windows line ends',
      'a: 1\r\nb: 2\r\n',
      [
        ['a', 'number 1'],
        ['b', 'number 2'],
      ],
    ],
  ]
  for (const [what, text, fields] of cases) {
    test(`has ${what}`, () => {
      expect(plain(parseTextFormat(text))).toEqual(fields)
    })
  }

  test('reports the line of every field', () => {
    const lines = parseTextFormat('a: 1\n\nb {\n  c: 2 }\n').fields.map(({ name, line }) => [name, line])
    expect(lines).toEqual([
      ['a', 1],
      ['b', 3],
    ])
  })

  const faults: readonly (readonly [text: string, line: number, message: string])[] = [
    ['a', 1, 'expected ":" or "{", got "the end"'],
    ['a: ', 1, 'expected a value, got "the end"'],
    ['a 1', 1, 'expected ":" or "{", got "1"'],
    ['\na: "x', 2, 'a string is not closed'],
    ['a: "x\ny"', 1, 'a string is not closed'],
    ['a {\n b: 1\n', 3, '"}" is missing'],
    ['a { b: 1 >', 1, 'expected the name of a field, got ">"'],
    ['a: [1, 2', 1, 'expected "]", got "the end"'],
    ['a: [1,]', 1, 'expected a value, got "]"'],
    ['}', 1, 'expected the name of a field, got "}"'],
    ['1: 2', 1, 'expected the name of a field, got "1"'],
    ['[ext]: 1', 1, 'expected the name of a field, got "["'],
    ['a: 1\nb: @', 2, '"@" has no meaning here'],
    [String.raw`a: "\q"`, 1, String.raw`"\q" is not an escape`],
    [String.raw`a: "\ud800"`, 1, 'is not a character'],
    ['a {'.repeat(40), 1, 'is nested more than 32 deep'],
    ['a: 1 '.repeat(10_001), 1, 'has more than 10000 fields'],
    [`a: [${'1,'.repeat(10_001)}1]`, 1, 'has more than 10000 elements'],
  ]
  for (const [text, line, message] of faults) {
    test(`that is wrong gets the line: ${JSON.stringify(text.slice(0, 30))}`, () => {
      let error: unknown
      try {
        parseTextFormat(text)
      } catch (thrown) {
        error = thrown
      }
      expect(error).toBeInstanceOf(TextFormatError)
      expect(error).toMatchObject({ line, message: expect.stringContaining(message) })
    })
  }
})
