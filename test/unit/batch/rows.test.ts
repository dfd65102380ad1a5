import { describe, expect, test } from 'bun:test'
import { csvCell, csvLayout, recordsOf } from '../../../src/batch/csv.ts'
import { exactJson } from '../../../src/batch/exact.ts'
import { linesOf, textOf } from '../../../src/batch/lines.ts'
import { inRowOrder, npyHeader, npyRows, readNpyHeader } from '../../../src/batch/npy.ts'
import { Progress } from '../../../src/cli/models/run.ts'
import type { TensorSpec } from '../../../src/tensor/tensor.ts'

async function* pieces(...texts: readonly string[]): AsyncGenerator<string> {
  yield* texts
}

/** The text in pieces of one character, and whole. */
async function recordsBothWays(text: string): Promise<unknown> {
  const collect = async (texts: AsyncIterable<string>) =>
    (await Array.fromAsync(recordsOf(texts, 'x.csv'))).map(({ cells, line }) => [line, ...cells])
  const whole = await collect(pieces(text))
  expect(await collect(pieces(...text))).toEqual(whole)
  return whole
}

async function messageOf(work: () => unknown): Promise<unknown> {
  try {
    return await work()
  } catch (error) {
    return error instanceof Error ? error.message : error
  }
}

describe('CSV', () => {
  const cases: readonly (readonly [text: string, records: unknown])[] = [
    ['', []],
    [
      'a,b\n1,2\n',
      [
        [1, 'a', 'b'],
        [2, '1', '2'],
      ],
    ],
    [
      'a,b\r\n1,2',
      [
        [1, 'a', 'b'],
        [2, '1', '2'],
      ],
    ],
    [
      'a\n\n\nb\n',
      [
        [1, 'a'],
        [4, 'b'],
      ],
    ],
    [',\n', [[1, '', '']]],
    [',,x\n', [[1, '', '', 'x']]],
    [
      '"a,""b""\nc",d\ne,f',
      [
        [1, 'a,"b"\nc', 'd'],
        [3, 'e', 'f'],
      ],
    ],
    [
      '""\n"",""\n',
      [
        [1, ''],
        [2, '', ''],
      ],
    ],
    ['é,😀\n', [[1, 'é', '😀']]],
  ]
  for (const [text, records] of cases) {
    test(`is read: ${JSON.stringify(text)}`, async () => {
      expect(await recordsBothWays(text)).toEqual(records)
    })
  }

  const faults: readonly (readonly [text: string, message: string])[] = [
    ['a\n"b', 'x.csv line 2, column 1: the quotes are not closed'],
    ['a,b"c\n', 'x.csv line 1, column 2: a quote stands inside a cell that is not quoted'],
    ['"a"b\n', 'x.csv line 1, column 1: something stands behind the quotes'],
  ]
  for (const [text, message] of faults) {
    test(`that is wrong is reported line and column: ${JSON.stringify(text)}`, async () => {
      expect(await messageOf(() => recordsBothWays(text))).toBe(message)
    })
  }

  test('cells are written so that they are read as they were', async () => {
    const cells = ['a', 'a,b', '"', 'a\nb', '', ' x ']
    const [record] = await Array.fromAsync(recordsOf(pieces(cells.map(csvCell).join(',')), 'x'))
    expect(record?.cells).toEqual(cells)
  })

  const layout = (header: readonly string[], specs: readonly TensorSpec[], ...cells: readonly string[]) =>
    csvLayout({ cells: header, line: 1 }, specs, 'x.csv').rowOf({ cells, line: 7 })
  const spec = (name: string, datatype: TensorSpec['datatype'], ...shape: readonly number[]): TensorSpec => ({
    name,
    datatype,
    shape,
  })

  test('columns become rows of the inputs', () => {
    expect(layout(['p', 'q'], [spec('x', 'FP32', -1, 2)], ' nan', '-INF')).toEqual(['["NaN","-Infinity"]'])
    expect(layout(['p', 'q'], [spec('x', 'FP32', -1, 2)], '1', '-.5e3')).toEqual(['[1,-500]'])
    expect(layout(['p', 'q'], [spec('x', 'FP32', -1, 2)], '-0', '-0.0')).toEqual(['[-0,-0]'])
    for (const datatype of ['FP16', 'FP32', 'FP64'] as const)
      expect(layout(['p', 'q'], [spec('x', datatype, -1, 2)], '', ' ')).toEqual(['[null,null]'])
    expect(layout(['p'], [spec('x', 'BYTES', -1)], '')).toEqual(['""'])
    expect(layout(['k', 'x'], [spec('x', 'FP32', -1), spec('k', 'INT64')], '16000', '1')).toEqual(['1', '16000'])
    expect(layout(['0', '1'], [spec('x', 'FP32', -1, 2)], '1', '2')).toEqual(['[1,2]'])
    expect(layout(['a', 'b'], [spec('x', 'FP32', -2)], '1', '2')).toEqual(['[1,2]'])
    expect(layout(['a'], [spec('x', 'FP32', -2)], '1')).toEqual(['1'])
    expect(layout(['1'], [spec('x', 'BYTES', -1)], 'a')).toEqual(['"a"'])
    expect(layout(['anything'], [spec('x', 'BYTES', -1)], ' "é" ')).toEqual(['" \\"é\\" "'])
    expect(
      layout(['b[1]', 'a', 'b[0]'], [spec('a', 'BOOL', -1), spec('b', 'INT64', -1, 2)], '9223372036854775807', 'TRUE', '-1'),
    ).toEqual(['true', '[-1,9223372036854775807]'])
  })

  test('columns or cells that do not fit are reported by line, column and rule', async () => {
    const x = [spec('x', 'FP32', -1, 2)]
    const cases: readonly (readonly [work: () => unknown, message: string])[] = [
      [() => layout(['a'], x), "line 1: the input 'x' takes 2 columns, and there are 1"],
      [() => layout(['a', 'c'], [spec('a', 'FP32', -1), spec('b', 'FP32', -1)]), "line 1: no column is of the input 'b'"],
      [() => layout(['a', 'b', 'c'], [spec('a', 'FP32', -1), spec('b', 'FP32', -1)]), 'line 1: the column "c" is of no input'],
      [() => layout(['a'], [spec('x', 'FP32', -1, 2, 2)]), "line 1: the input 'x' has 3 dimensions, which CSV cannot hold"],
      [() => layout(['1', '2.5'], x), 'line 1: has only numbers, and must be a header'],
      [() => layout(['a\tb'], x), 'and there are 1; cells must have commas between them'],
      [() => layout(['a', 'b'], x, '1'), 'line 7: has 1 cells, and the header has 2'],
      [() => layout(['a', 'b'], x, '1', 'n/a'), 'line 7, column 2 (b): must be a number, got "n/a"'],
      [() => layout(['a', 'b'], x, '1', '1e999'), 'line 7, column 2 (b): must be a number, got "1e999"'],
      [() => layout(['a'], [spec('x', 'INT8', -1)], ''), 'line 7, column 1 (a): must be a whole number, got ""'],
      [() => layout(['a'], [spec('x', 'BOOL', -1)], ' '), 'line 7, column 1 (a): must be true or false, got " "'],
      [() => layout(['a', 'b'], x, 'none', '1'), 'line 7, column 1 (a): must be a number, got "none"'],
      [() => layout(['a'], [spec('x', 'INT8', -1)], '1.5'), 'line 7, column 1 (a): must be a whole number, got "1.5"'],
      [() => layout(['a'], [spec('x', 'BOOL', -1)], 'yes'), 'line 7, column 1 (a): must be true or false, got "yes"'],
    ]
    for (const [work, message] of cases) expect(await messageOf(work)).toContain(message)
  })
})

describe('lines', () => {
  test('are reported by their numbers, and empty ones are none', async () => {
    const lines = await Array.fromAsync(linesOf(pieces('a\n', '\n b', 'c\r\n\nd'), 'x'))
    expect(lines.map(({ text, number }) => [number, text.trim()])).toEqual([
      [1, 'a'],
      [3, 'bc'],
      [5, 'd'],
    ])
  })

  test('of bytes that are no UTF-8 are rejected', async () => {
    const bytes = async function* () {
      yield new Uint8Array([0xc3])
      yield new Uint8Array([0x28])
    }
    expect(await messageOf(() => Array.fromAsync(textOf(bytes(), 'x')))).toBe('x: is not UTF-8')
  })
})

describe('JSON', () => {
  test('keeps every integer, however long', () => {
    const text = '[9223372036854775807,-18446744073709551615,1.5,"9223372036854775807",{"a":12345678901234567890}]'
    expect(JSON.stringify(exactJson(text, () => 'x'))).toBe(text)
    expect(JSON.stringify(exactJson('[9007199254740993.0,1.8446744073709551615e19,9007199254740993.5,1e2]', () => 'x'))).toBe(
      '[9007199254740993,18446744073709551615,9007199254740994,100]',
    )
  })

  test('keeps the sign of zero, and what is too large for a number, which is no missing value', () => {
    expect(JSON.stringify(exactJson('[-0,-0.0,1e400,-1e999]', () => 'x'))).toBe('[-0,-0,1e400,-1e999]')
  })
})

describe('.npy', () => {
  test('is read as it was written', () => {
    const header = npyHeader('INT64', [2, 3])
    expect([header.length, header.subarray(0, 6).toString('latin1')]).toEqual([192, '\x93NUMPY'])
    const read = readNpyHeader(header, 'x')
    expect(read).toEqual({ datatype: 'INT64', shape: [2, 3], offset: 192, isFortran: false })
    const data = new Uint8Array(new BigInt64Array([1n, 2n, 3n, 4n, 5n, 2n ** 62n]).buffer)
    expect(npyRows(data, read)).toEqual(['[1,2,3]', '[4,5,4611686018427387904]'])
    expect(npyRows(new Uint8Array([0, 1]), { datatype: 'BOOL', shape: [2] })).toEqual(['false', 'true'])
    const large = new Float64Array([2 ** 63 + 2048, 1.5, -0])
    expect(npyRows(new Uint8Array(large.buffer), { datatype: 'FP64', shape: [3] })).toEqual(['9223372036854777856', '1.5', '-0'])
    expect(npyRows(new Uint8Array(new Float32Array([Number.NaN]).buffer), { datatype: 'FP32', shape: [1] })).toEqual(['"NaN"'])
  })

  test('as numpy writes it is read, and what cannot be is reported', async () => {
    const numpy = (dict: string) => {
      const text = Buffer.from(`${dict}\n`)
      return Buffer.concat([Buffer.from('\x93NUMPY\x01\x00', 'latin1'), Buffer.from([text.length, 0]), text])
    }
    expect(readNpyHeader(numpy("{'descr': '<f4', 'fortran_order': False, 'shape': (10, 4), }"), 'x')).toMatchObject({
      datatype: 'FP32',
      shape: [10, 4],
    })
    expect(readNpyHeader(numpy("{'descr': '|b1', 'fortran_order': True, 'shape': (10,), }"), 'x')).toMatchObject({
      datatype: 'BOOL',
      shape: [10],
    })
    const faults: readonly (readonly [bytes: Uint8Array, message: string])[] = [
      [Buffer.from('PK\x03\x04 and so on'), 'x: is no .npy file'],
      [numpy("{'descr': '<f4', 'fortran_order': False, 'shape': (10, 4), }").subarray(0, 40), 'x: its header is cut off'],
      [numpy("{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }"), "are big-endian; save it with array.astype('<f4')"],
      [
        numpy("{'descr': '<U5', 'fortran_order': False, 'shape': (1,), }"),
        'cannot be read: a .npy holds numbers here; write texts as CSV or NDJSON',
      ],
      [numpy("{'descr': '<f4', 'shape': (2, 2), }"), 'does not say the order of its elements'],
      [numpy("{'descr': '<f4', 'fortran_order': False, 'shape': (), }"), 'has no rows'],
    ]
    for (const [bytes, message] of faults) expect(await messageOf(() => readNpyHeader(bytes, 'x'))).toContain(message)
  })
})

describe('elements in Fortran order', () => {
  const order = (shape: readonly number[], ...values: number[]) => [
    ...new Int16Array(inRowOrder(new Uint8Array(new Int16Array(values).buffer), { datatype: 'INT16', shape }).buffer),
  ]

  test('are put into that of the rows', () => {
    expect(order([2, 3], 1, 4, 2, 5, 3, 6)).toEqual([1, 2, 3, 4, 5, 6])
    expect(order([2, 2, 2], 1, 5, 3, 7, 2, 6, 4, 8)).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
    expect(order([3], 1, 2, 3)).toEqual([1, 2, 3])
    expect(order([0, 3])).toEqual([])
    expect(order([1, 4], 1, 2, 3, 4)).toEqual([1, 2, 3, 4])
  })
})

describe('progress', () => {
  test('reports the rows, and the part of the input where that is known', () => {
    const known = new Progress(200)
    known.add({ rows: 10, readBytes: 100 })
    expect(known.line(performance.now())).toMatch(/^\[#{12}\.{12}\] 50 %, 10 rows, \d+ a second$/)
    const unknown = new Progress(undefined)
    unknown.add({ rows: 3, readBytes: 9 })
    expect(unknown.line(performance.now())).toMatch(/^3 rows, \d+ a second$/)
  })
})
