import { describe, expect, test } from 'bun:test'
import { VestalError } from '../../../src/core/errors.ts'
import { decodeRows, encodeRows } from '../../../src/tensor/rows.ts'
import { ANY_SHAPE } from '../../../src/tensor/shape.ts'
import type { Tensor, TensorSpec } from '../../../src/tensor/tensor.ts'

const spec = (shape: readonly number[], name = 'x', datatype: TensorSpec['datatype'] = 'FP32'): TensorSpec => ({
  name,
  datatype,
  shape,
})

/** Shape and elements of the input `x`, or why there are none. */
function read(input: unknown, ...specs: readonly TensorSpec[]): unknown {
  try {
    const tensor = decodeRows(input, specs).get('x')
    return tensor && [tensor.shape, Array.from(tensor.data as ArrayLike<unknown>)]
  } catch (error) {
    return error instanceof VestalError && error.code === 'INPUT_INVALID' ? error.detail : error
  }
}

describe('rows of one input', () => {
  const cases: readonly (readonly [shape: readonly number[], input: unknown, read: unknown])[] = [
    [
      [-1, 2],
      [[1, 2]],
      [
        [1, 2],
        [1, 2],
      ],
    ],
    [
      [-1, 2],
      [
        [1, 2],
        [3, 4],
      ],
      [
        [2, 2],
        [1, 2, 3, 4],
      ],
    ],
    [
      [-1, -1],
      [[1], [2]],
      [
        [2, 1],
        [1, 2],
      ],
    ],
    [[2], [1, 2], [[2], [1, 2]]],
    [
      [-1, 1],
      [1, 2],
      [
        [2, 1],
        [1, 2],
      ],
    ],
    [
      [-1, 1],
      [[1], [2]],
      [
        [2, 1],
        [1, 2],
      ],
    ],
    [
      [-1, 1, 1],
      [1, 2],
      [
        [2, 1, 1],
        [1, 2],
      ],
    ],
    [[-1, 1], { x: 5 }, [[1, 1], [5]]],
    [[1, 1], { x: 5 }, [[1, 1], [5]]],
    [[-1], { x: 5 }, [[1], [5]]],
    [[], { x: 5 }, [[], [5]]],
    [[], [5], [[], [5]]],
    [ANY_SHAPE, { x: 5 }, [[], [5]]],
    [
      ANY_SHAPE,
      [
        [1, 2],
        [3, 4],
      ],
      [
        [2, 2],
        [1, 2, 3, 4],
      ],
    ],
    [[0, 2], [], [[0, 2], []]],
    [[0, -1], { x: [] }, [[0, 0], []]],
    [[-1, 2], [], "input 'x' must have at least one row"],
    [[-1, 2], { x: 5 }, "input 'x' must be a list of rows, got 5"],
    [[0], { x: 5 }, "input 'x' must be a list of rows, got 5"],
    [[-1, 2], [1, 2], "input 'x' has the shape [2], but the model takes [-1,2]; for one row, put a list around it"],
    [[-1, 2], [1, 2, 3], "input 'x' has the shape [3], but the model takes [-1,2]; put a list around each row"],
    [[-1, 2, 2], [1, 2], "input 'x' has the shape [2], but the model takes [-1,2,2]; put 2 lists around each row"],
    [[-1, 2], [[1, 2, 3]], "input 'x' has the shape [1,3], but the model takes [-1,2]"],
    [[-1, 2], [[[1, 2]]], "input 'x' has the shape [1,1,2], but the model takes [-1,2]"],
    [[], [5, 6], "input 'x' has the shape [2], but the model takes []"],
    [[], [[5]], "input 'x' has the shape [1,1], but the model takes []"],
    [[], [[5, 6]], "input 'x' has the shape [1,2], but the model takes []"],
    [[-1, 2], [[1, 2], [3]], "input 'x': row 1 must be a list of 2, got 1"],
    [[-1, 2], [[1, 2], 3], "input 'x': row 1 must be a list of 2, got 3"],
    [
      [-1, 2, 2],
      [
        [
          [1, 2],
          [3, 4],
        ],
        [[1, 2, 3], [4]],
      ],
      "input 'x': row 0 must be a list of 2, got 3",
    ],
    [
      [-1, 2, 2],
      [
        [
          [1, 2],
          [3, 4],
        ],
        [[1, 2]],
      ],
      "input 'x': row 1 must be a list of 2, got 1",
    ],
    [[-1], [1, [2]], "input 'x': element 1 must be a single value, got a list"],
    [[-1, 2], [[1, [2]]], "input 'x': element 1 must be a single value, got a list"],
    [[-1, 2], 'text', '"input" must be a list of rows, got "text"'],
    [[-1, 2], null, '"input" must be a list of rows, got null'],
    [[-1, 2], { y: [[1, 2]] }, "\"input\": the model has no input 'y'; it has 'x'"],
    [[-1, 2], {}, '"input": the input \'x\' is missing'],
    [
      [-1, 2],
      [{ x: [1, 2] }, { x: [3, 4] }],
      [
        [2, 2],
        [1, 2, 3, 4],
      ],
    ],
    [[-1, 2], [{ x: [1, 2] }, {}], 'row 1 of "input": the input \'x\' is missing'],
    [[-1, 2], [{ x: [1, 2], y: 1 }], "row 0 of \"input\": the model has no input 'y'; it has 'x'"],
    [[], [{ x: 5 }, { x: 5 }], [[], [5]]],
    [
      [],
      [{ x: 5 }, { x: 6 }],
      'row 1 of "input": the input \'x\' is one value for all rows, and differs from row 0; send the rows in requests of their own',
    ],
  ]
  for (const [shape, input, expected] of cases) {
    test(`of the shape [${shape}] from ${JSON.stringify(input)}`, () => {
      expect(read(input, spec(shape))).toEqual(expected)
    })
  }

  test('may be sixteen lists deep and no deeper', () => {
    const deep = (levels: number): unknown => (levels === 0 ? 1 : [deep(levels - 1)])
    expect(read(deep(16), spec(Array(16).fill(1)))).toEqual([Array(16).fill(1), [1]])
    expect(read(deep(17), spec(Array(16).fill(1)))).toContain('has the shape')
    expect(read(deep(40), spec(ANY_SHAPE))).toBeString()
  })

  test('have null and the words of floats for what JSON has no number for, and texts have neither', () => {
    expect(
      read(
        [
          [null, 'NaN'],
          ['Infinity', '-Infinity'],
        ],
        spec([-1, 2]),
      ),
    ).toEqual([
      [2, 2],
      [Number.NaN, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
    ])
    for (const [element, shown] of [
      ['nan', '"nan"'],
      ['+inf', '"+inf"'],
    ] as const)
      expect(read([[element, 1]], spec([-1, 2]))).toBe(
        `input 'x': element 0 must be a number of FP32 (what JSON has no number for is null, "NaN", "Infinity" or "-Infinity"), got ${shown}`,
      )
    expect(read([['other', 1]], spec([-1, 2]))).toBe('input \'x\': element 0 must be a number of FP32, got "other"')
    expect(read([[1e39, 1]], spec([-1, 2]))).toBe("input 'x': element 0 must be a number of FP32, got 1e+39")
    expect(read([null], spec([-1], 'x', 'BYTES'))).toBe("input 'x': element 0 must be a string, got null")
  })
})

describe('rows of several inputs', () => {
  const two = [spec([-1, 2]), spec([-1], 'y')]

  test('come by input, or each row with all of them', () => {
    for (const input of [
      {
        x: [
          [1, 2],
          [3, 4],
        ],
        y: [5, 6],
      },
      [
        { x: [1, 2], y: 5 },
        { y: 6, x: [3, 4] },
      ],
    ])
      expect(read(input, ...two)).toEqual([
        [2, 2],
        [1, 2, 3, 4],
      ])
  })

  test('must be as many of each, unless an input has a number of its own', () => {
    const input = {
      x: [
        [1, 2],
        [3, 4],
      ],
      y: [5],
    }
    expect(read(input, ...two)).toBe('the inputs have different numbers of rows: 2, 1')
    expect(read(input, spec([-1, 2]), spec([1], 'y'))).toEqual([
      [2, 2],
      [1, 2, 3, 4],
    ])
    expect(
      read(
        {
          x: [
            [1, 2],
            [3, 4],
          ],
          y: 5,
        },
        spec([-1, 2]),
        spec([], 'y'),
      ),
    ).toEqual([
      [2, 2],
      [1, 2, 3, 4],
    ])
  })

  test('that come as a list, or as nothing, get the form', () => {
    expect(read([[1, 2]], ...two)).toBe(
      "\"input\" must be an object with the rows of 'x', 'y', or a list of objects with a row of each, got a list",
    )
    expect(read([], ...two)).toBe(
      "\"input\" must be an object with the rows of 'x', 'y', or a list of objects with a row of each, got a list",
    )
    expect(read(7, ...two)).toBe("\"input\" must be an object with the rows of 'x', 'y', got 7")
    expect(read([1])).toBe('"input" must be {}: the model has no inputs, got a list')
    expect(decodeRows({}, []).size).toBe(0)
  })

  test('that are named by no one are shown cut', () => {
    const long = 'n'.repeat(101)
    expect(read({ [long]: 1 }, ...two)).toBe(`"input": the model has no input '${'n'.repeat(100)}'; it has 'x', 'y'`)
    expect(read([{ [long]: 1 }], ...two)).toBe(`row 0 of "input": the model has no input '${'n'.repeat(100)}'; it has 'x', 'y'`)
  })
})

describe('outputs as rows', () => {
  const floats = (shape: readonly number[], ...data: readonly number[]): Tensor => ({
    datatype: 'FP32',
    shape,
    data: new Float32Array(data),
  })
  const classes = (shape: readonly number[], ...data: readonly bigint[]): Tensor => ({
    datatype: 'INT64',
    shape,
    data: new BigInt64Array(data),
  })
  const none = new Map<string, readonly string[]>()
  const write = (
    outputs: Record<string, Tensor>,
    form: 'rows' | 'columns' = 'rows',
    labels: ReadonlyMap<string, readonly string[]> = none,
  ) =>
    encodeRows(
      new Map(Object.entries(outputs)),
      Object.entries(outputs).map(([name, { datatype, shape }]) => ({ name, datatype, shape })),
      { form, labels },
    )

  test('of one output are its values, each nested as its shape says', () => {
    expect(write({ a: floats([2, 2], 1, 2, 3, Number.NaN) })).toBe('[[1,2],[3,"NaN"]]')
    expect(write({ a: floats([2, 1, 2], 1, 2, 3, 4) })).toBe('[[[1,2]],[[3,4]]]')
    expect(write({ a: floats([2], 1, 2) })).toBe('[1,2]')
    expect(write({ a: floats([], 7) })).toBe('[7]')
    expect(write({ a: floats([0, 2]) })).toBe('[]')
    expect(write({ a: floats([2, 0]) })).toBe('[[],[]]')
    expect(write({ a: floats([2], 1, 2) }, 'columns')).toBe('{"a":[1,2]}')
    expect(write({})).toBe('{}')
  })

  test('of several outputs are objects, and columns where they have no rows in common', () => {
    const outputs = { a: floats([2, 1], 1, 2), 'b"': classes([2], 3n, 4n) }
    expect(write(outputs)).toBe('[{"a":[1],"b\\"":3},{"a":[2],"b\\"":4}]')
    expect(write(outputs, 'columns')).toBe('{"a":[[1],[2]],"b\\"":[3,4]}')
    expect(write({ a: floats([2], 1, 2), b: floats([3], 1, 2, 3) })).toBe('{"a":[1,2],"b":[1,2,3]}')
  })

  test('have labels in place of class numbers, and by the numbers of a row of one for each', () => {
    const labels = new Map([['a', ['cat', 'd"og']]])
    expect(write({ a: classes([3], 1n, 0n, 2n) }, 'rows', labels)).toBe('["d\\"og","cat",2]')
    expect(write({ a: classes([1, 2], 1n, -1n) }, 'rows', labels)).toBe('[["d\\"og",-1]]')
    expect(write({ a: floats([2, 2], 1, 2, 3, 4) }, 'rows', labels)).toBe('[{"cat":1,"d\\"og":2},{"cat":3,"d\\"og":4}]')
    expect(write({ a: floats([2, 3], 1, 2, 3, 4, 5, 6) }, 'rows', labels)).toBe('[[1,2,3],[4,5,6]]')
    expect(write({ a: floats([2], 1, 2) }, 'rows', labels)).toBe('[1,2]')
    expect(write({ a: floats([1, 1, 2], 1, 2) }, 'rows', labels)).toBe('[[[1,2]]]')
  })
})
