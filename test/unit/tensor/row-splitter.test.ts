import { describe, expect, test } from 'bun:test'
import { RowSplitter } from '../../../src/tensor/row-splitter.ts'
import { below, seeded } from '../../support/seed.ts'

function split(body: string, { pieces = [body], hasLines = false, rowBytesMax = 1000 } = {}): readonly string[] {
  const splitter = new RowSplitter({ rowBytesMax, hasLines })
  const rows = [...pieces.flatMap((piece) => splitter.push(Buffer.from(piece))), ...splitter.end()]
  return rows.map((row) => Buffer.from(row).toString())
}

describe('rows of a body', () => {
  const cases: readonly (readonly [body: string, rows: readonly string[]])[] = [
    ['[]', []],
    [' [ ] ', []],
    ['[1]', ['1']],
    ['[[1,2],[3,4]]', ['[1,2]', '[3,4]']],
    [' [ [1, 2] ,\n[3] ]\n', ['[1, 2]', '[3]']],
    ['["a","b]","c\\"],","\\\\"]', ['"a"', '"b]"', '"c\\"],"', '"\\\\"']],
    ['[{"a":[1,{"b":"}"}]},null,true,-1.5e3]', ['{"a":[1,{"b":"}"}]}', 'null', 'true', '-1.5e3']],
    ['{"input":[[1],[2]]}', ['[1]', '[2]']],
    [' { "input" : [ 1 , 2 ] } ', ['1', '2']],
    ['{"a":1}\n{"a":2}', ['{"a":1}', '{"a":2}']],
    ['{"a":1}\r\n\r\n  {"a":2}  \n', ['{"a":1}', '{"a":2}']],
    ['"a"\n"b"\n', ['"a"', '"b"']],
    ['{"input2":[1]}\n', ['{"input2":[1]}']],
    ['1\n2', ['1', '2']],
    ['\t[\t1\t,\t2\t]\t', ['1', '2']],
    ['\t{"a":1}\t\n\t{"a":2}\t', ['{"a":1}', '{"a":2}']],
  ]
  for (const [body, rows] of cases) {
    test(`are found in ${JSON.stringify(body)}, however it is cut`, () => {
      expect(split(body)).toEqual(rows)
      expect(split(body, { pieces: [...body] })).toEqual(rows)
      for (let at = 1; at < body.length; at += 1) {
        expect(split(body, { pieces: [body.slice(0, at), body.slice(at)] })).toEqual(rows)
      }
    })
  }

  test('that are lines may begin with a bracket', () => {
    expect(split('[1,2]\n[3,4]\n', { hasLines: true })).toEqual(['[1,2]', '[3,4]'])
    expect(split('\n\n', { hasLines: true })).toEqual([])
  })

  test('are given as soon as their end has come', () => {
    const splitter = new RowSplitter({ rowBytesMax: 100, hasLines: false })
    const push = (text: string) => splitter.push(Buffer.from(text)).map((row) => Buffer.from(row).toString())
    expect([push('[[1'), push(',2]'), push(','), push('7'), push(']')]).toEqual([[], ['[1,2]'], [], [], ['7']])
  })

  test('come back from any array of JSON, however it is cut', () => {
    const random = seeded('rows')
    const draw = (depth: number): unknown => {
      const kind = below(random, depth > 3 ? 4 : 6)
      if (kind === 0) return random() * 1e6
      if (kind === 1) return ['a', '"', '\\', '[', ']}', ',', '漢😀\n', ''][below(random, 8)]
      if (kind === 2) return null
      if (kind === 3) return random() < 0.5
      const members = Array.from({ length: below(random, 4) }, () => draw(depth + 1))
      return kind === 4 ? members : Object.fromEntries(members.map((member, index) => [`k${index}"]`, member]))
    }
    for (let round = 0; round < 300; round += 1) {
      const rows = Array.from({ length: below(random, 5) }, () => draw(0))
      const bytes = Buffer.from(JSON.stringify(rows, null, below(random, 3)))
      const splitter = new RowSplitter({ rowBytesMax: 100_000, hasLines: false })
      const found: Uint8Array[] = []
      for (let position = 0; position < bytes.length; ) {
        const length = 1 + below(random, 20)
        found.push(...splitter.push(bytes.subarray(position, position + length)))
        position += length
      }
      found.push(...splitter.end())
      expect([found.map((row) => JSON.parse(Buffer.from(row).toString())), random.seed]).toEqual([rows, random.seed])
    }
  })
})

describe('a body that is no rows', () => {
  const cases: readonly (readonly [body: string, error: string])[] = [
    ['', 'the body ended before its rows began'],
    ['  ', 'the body ended before its rows began'],
    ['{"input":', 'the body ended before its rows began'],
    ['[', 'the body ended before its array of rows did'],
    ['[1', 'the body ended before its array of rows did'],
    ['[1,', 'the body ended before its array of rows did'],
    ['["a]', 'the body ended before its array of rows did'],
    ['{"input":[1]', 'the body ended before its array of rows did'],
    ['[1 2]', 'rows of the array must be separated by commas'],
    ['[,1]', 'a row of the array is no JSON'],
    ['[1,]', 'a row of the array is no JSON'],
    ['[1,,2]', 'a row of the array is no JSON'],
    ['[1]x', 'there is something behind the array of rows; lines need the media type application/x-ndjson'],
    ['[1,2]\n[3,4]', 'there is something behind the array of rows; lines need the media type application/x-ndjson'],
    ['{"input":[1]}}', 'there is something behind the array of rows; lines need the media type application/x-ndjson'],
    ['{"input":[1],"a":1}', 'there is something behind the array of rows; lines need the media type application/x-ndjson'],
    [' '.repeat(5000), 'the body does not begin with rows'],
  ]
  for (const [body, error] of cases) {
    test(`${JSON.stringify(body.slice(0, 30))} gets an error that says so`, () => {
      expect(() => split(body)).toThrow(error)
      expect(() => split(body, { pieces: [...body] })).toThrow(error)
    })
  }

  test('has a limit for each row, and none for all of them', () => {
    const row = '1'.repeat(50)
    expect(split(`[${Array(100).fill(row).join(',')}]`, { rowBytesMax: 50 })).toHaveLength(100)
    for (const body of [`[${row}1]`, `[${row}1`]) {
      expect(() => split(body, { rowBytesMax: 50 })).toThrow('a row is larger than 50 bytes')
      expect(() => split(body, { rowBytesMax: 50, pieces: [...body] })).toThrow('a row is larger than 50 bytes')
    }
    expect(() => split(`${row}1\n`, { rowBytesMax: 50, hasLines: true })).toThrow('a row is larger than 50 bytes')
    expect(() => split(`${row}1`, { rowBytesMax: 50, hasLines: true, pieces: [...row, '1'] })).toThrow(
      'a row is larger than 50 bytes',
    )
  })
})
