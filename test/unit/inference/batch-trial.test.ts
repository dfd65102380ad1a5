import { describe, expect, spyOn, test } from 'bun:test'
import { type BatchCheckOptions, type Computes, checkBatches } from '../../../src/inference/batching/batch-check.ts'
import { recordedTrials, trialsOfMadeUpRows } from '../../../src/inference/batching/trial-rows.ts'
import type { NamedTensors, Tensor, TensorSpec } from '../../../src/tensor/tensor.ts'

const X: TensorSpec = { name: 'x', datatype: 'FP32', shape: [-1, 2] }
const Y: TensorSpec = { name: 'y', datatype: 'FP32', shape: [-1, 2] }

const floats = (shape: readonly number[], data: readonly number[], datatype: 'FP32' | 'FP16' = 'FP32'): Tensor => ({
  datatype,
  shape,
  data: datatype === 'FP32' ? new Float32Array(data) : new Float16Array(data),
})
const valuesOf = ({ data }: Tensor) => Array.from(data as Float32Array)
const rowsIn = ({ shape }: Tensor) => shape[0] ?? 0

/** A model that answers `y` with what is computed of the numbers and the rows of `x`. */
function model(
  compute: (values: readonly number[], rows: number) => readonly number[],
  { inputs = [X], outputs = [Y], datatype = 'FP32' as 'FP32' | 'FP16' } = {},
) {
  const runs: number[] = []
  const computes: Computes = {
    inputs,
    outputs,
    run: async ([x]) => {
      if (x === undefined) throw new Error('there is no input')
      runs.push(rowsIn(x))
      const data = compute(valuesOf(x), rowsIn(x))
      return { outputs: [floats([rowsIn(x), data.length / rowsIn(x)], data, datatype)] }
    },
  }
  return { computes, runs }
}

const check = (computes: Computes, options: Partial<BatchCheckOptions> = {}) =>
  checkBatches(computes, { dependence: { kind: 'independent' }, samples: [], mayMixRows: false, mayMakeUp: true, ...options })

const recorded = (...rows: readonly (readonly number[])[]): NamedTensors =>
  new Map([['x', floats([rows.length, 2], rows.flat())]])
const double = (values: readonly number[]) => values.map((value) => value * 2)
/** Adds to a number of each row but the only one, measured by the largest of the row. */
const shifted =
  (by: number, at = 0) =>
  (values: readonly number[], rows: number) =>
    values.map((value, index) => {
      const row = values.slice(index - (index % 2), index - (index % 2) + 2)
      return rows > 1 && index % 2 === at ? value + by * Math.max(...row.map(Math.abs)) : value
    })

describe('a trial of made-up rows', () => {
  test('finds rows apart that are answered alone as together, in two orders', async () => {
    const { computes, runs } = model(double)
    expect(await check(computes)).toEqual({
      isSafe: true,
      reason: 'the graph keeps rows apart, and 6 made-up rows had the same answers separately and together',
      rowOutputs: ['y'],
    })
    expect(runs).toEqual([1, 1, 1, 1, 1, 1, 6, 5])
  })

  test('allows for additions in another order, by the largest of the row, and for no more', async () => {
    for (const [by, isSafe] of [
      [0.0009, true],
      [-0.0009, true],
      [0.0011, false],
      [-0.0011, false],
    ] as const)
      expect([by, (await check(model(shifted(by)).computes)).isSafe]).toEqual([by, isSafe])
    const half = { outputs: [{ ...Y, datatype: 'FP16' as const }], datatype: 'FP16' as const }
    for (const [by, isSafe] of [
      [0.006, true],
      [0.012, false],
    ] as const)
      expect([by, (await check(model(shifted(by), half).computes)).isSafe]).toEqual([by, isSafe])
  })

  test('says which output differs, in which row, and by what', async () => {
    const mixing = model((values, rows) =>
      rows === 1 ? values : values.map((value, index) => (index === 2 ? value + 1e6 : value)),
    )
    const { isSafe, reason, rowOutputs } = await check(mixing.computes)
    expect([isSafe, rowOutputs]).toEqual([false, ['y']])
    expect(reason).toMatch(/^the output "y" of a row of large numbers is -?\d+\.\d+ separately and \S+ beside other rows$/)
  })

  test('takes NaN, infinities and zeros for the same where they are', async () => {
    const odd = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0]
    for (const value of odd) expect((await check(model((values) => values.map(() => value)).computes)).isSafe).toBe(true)
    const cases: readonly (readonly [alone: number, together: number])[] = [
      [Number.NaN, 0],
      [0, Number.NaN],
      [Number.POSITIVE_INFINITY, 1e38],
      [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
      [0, 1e-20],
    ]
    for (const [alone, together] of cases) {
      const { isSafe } = await check(model((values, rows) => values.map(() => (rows === 1 ? alone : together))).computes)
      expect([alone, together, isSafe]).toEqual([alone, together, false])
    }
    expect((await check(model((values, rows) => values.map(() => (rows === 1 ? 0 : 1e-31))).computes)).isSafe).toBe(true)
    expect((await check(model((values, rows) => values.map(() => (rows === 1 ? 0 : -0))).computes)).isSafe).toBe(true)
  })

  test('says where an output has not one row for each, or another shape beside others', async () => {
    const summed = await check(model((values) => [values.reduce((sum, value) => sum + value, 0)], {}).computes)
    expect(summed.isSafe).toBe(false)
    const fixed: Computes = { inputs: [X], outputs: [Y], run: async () => ({ outputs: [floats([1, 2], [1, 2])] }) }
    expect(await check(fixed)).toEqual({
      isSafe: false,
      reason: 'the output "y" has the shape [1,2] for 6 rows and [1,2] for one',
      rowOutputs: [],
    })
    const double: Computes = {
      inputs: [X],
      outputs: [Y],
      run: async ([x]) => ({ outputs: [floats([rowsIn(x as Tensor) * 2, 1], valuesOf(x as Tensor))] }),
    }
    expect(await check(double)).toMatchObject({ reason: 'the output "y" has the shape [12,1] for 6 rows and [2,1] for one' })
    const scalar: Computes = { inputs: [X], outputs: [Y], run: async () => ({ outputs: [floats([], [1])] }) }
    expect(await check(scalar)).toMatchObject({ reason: 'the output "y" has the shape [] for 6 rows and [] for one' })
    const padded = model((values, rows) => (rows === 1 ? values : [...values, ...values]))
    expect(await check(padded.computes)).toMatchObject({ reason: 'the output "y" has another shape for a row beside others' })
    const turned: Computes = {
      inputs: [X],
      outputs: [Y],
      run: async ([x]) => {
        const rows = rowsIn(x as Tensor)
        return { outputs: [floats(rows === 1 ? [1, 1, 2] : [rows, 2, 1], valuesOf(x as Tensor))] }
      },
    }
    expect(await check(turned)).toMatchObject({ reason: 'the output "y" has another shape for a row beside others' })
  })

  test('names the outputs that have rows, whatever the others do', async () => {
    const two: Computes = {
      inputs: [X],
      outputs: [{ ...Y, name: 'whole' }, Y],
      run: async ([x]) => ({ outputs: [floats([1], [7]), x as Tensor] }),
    }
    expect(await check(two)).toMatchObject({ isSafe: false, rowOutputs: ['y'] })
    expect(await check(two, { mayMixRows: true })).toMatchObject({ isSafe: false, rowOutputs: ['y'] })
    const none: Computes = { inputs: [X], outputs: [Y], run: async () => ({ outputs: [] }) }
    expect(await check(none)).toEqual({
      isSafe: false,
      reason: 'the output "y" has the shape [] for 6 rows and [] for one',
      rowOutputs: [],
    })
  })

  test('is not made where the inputs are not in rows, or may not be made up, or cannot be computed', async () => {
    const remedy = 'record inputs as [[warmup]] or [[examples]] in model.toml'
    expect(await check(model(double, { inputs: [{ ...X, shape: [2, 2] }] }).computes)).toMatchObject({
      isSafe: false,
      reason: 'an input does not begin with a dimension of any size',
    })
    expect(await check(model(double).computes, { mayMakeUp: false })).toMatchObject({
      reason: `synthetic_inputs is off, and no inputs are recorded; ${remedy}`,
    })
    const failing = (compute: (rows: number) => boolean): Computes => ({
      inputs: [X],
      outputs: [Y],
      run: async ([x]) => {
        if (compute(rowsIn(x as Tensor))) throw new Error(`no: ${'x'.repeat(200)}`)
        return { outputs: [x as Tensor] }
      },
    })
    const cut = `no: ${'x'.repeat(116)}`
    expect(await check(failing(() => true))).toEqual({
      isSafe: false,
      reason: `the model does not compute the made-up inputs (${cut}); ${remedy}`,
      rowOutputs: [],
    })
    expect(await check(failing((rows) => rows > 1))).toEqual({
      isSafe: false,
      reason: `the model computes rows one by one, but not together (${cut}); ${remedy}`,
      rowOutputs: [],
    })
    expect(await check(failing((rows) => rows === 5))).toMatchObject({ isSafe: false })
  })

  test('has three rows, and one order of them, where a row takes longer than a quarter of a second', async () => {
    let nowMs = 1000
    const clock = spyOn(performance, 'now').mockImplementation(() => nowMs)
    try {
      const taking = async (ms: number) => {
        const { computes, runs } = model((values) => {
          nowMs += ms
          return values
        })
        expect(await check(computes)).toMatchObject({ isSafe: true })
        return runs
      }
      expect([await taking(250), await taking(251)]).toEqual([
        [1, 1, 1, 1, 1, 1, 6, 5],
        [1, 1, 1, 3],
      ])
    } finally {
      clock.mockRestore()
    }
  })

  test('counts with two rows that can be computed, and not with one', async () => {
    const some = (count: number): Computes => {
      let calls = 0
      return {
        inputs: [X],
        outputs: [Y],
        run: async ([x]) => {
          calls += 1
          if (calls > count && calls <= 6) throw new Error('no')
          return { outputs: [x as Tensor] }
        },
      }
    }
    expect(await check(some(2))).toMatchObject({ isSafe: true, reason: expect.stringContaining('2 made-up rows') })
    expect((await check(some(1))).isSafe).toBe(false)
  })

  test('tries other sizes of open dimensions until one can be computed', async () => {
    const sizes: number[] = []
    const open: Computes = {
      inputs: [{ ...X, shape: [-1, -1] }],
      outputs: [Y],
      run: async ([x]) => {
        const [, size = 0] = (x as Tensor).shape
        if (sizes.at(-1) !== size) sizes.push(size)
        if (size !== 32) throw new Error('another size')
        return { outputs: [x as Tensor] }
      },
    }
    expect(await check(open)).toMatchObject({ isSafe: true })
    expect(sizes).toEqual([8, 1, 32])
  })
})

describe('what the graph says', () => {
  const causes = ['first', 'second']

  test('keeps rows that depend on one another apart, untried, unless the settings ask for them', async () => {
    const dependence = { kind: 'dependent' as const, causes }
    const { computes, runs } = model(double)
    expect(await check(computes, { dependence })).toEqual({
      isSafe: false,
      reason: 'rows depend on one another: first; second',
      rowOutputs: [],
    })
    expect(runs).toEqual([])
    expect(await check(computes, { dependence, mayMixRows: true })).toEqual({
      isSafe: true,
      reason: "the model's settings ask for it (allow_dependent_rows), although first; second",
      rowOutputs: ['y'],
    })
    expect(await check(model(shifted(1)).computes, { mayMixRows: true })).toMatchObject({
      isSafe: true,
      reason: expect.stringContaining('although the output "y" of '),
    })
    expect(await check(model(double).computes, { mayMixRows: true })).toMatchObject({
      isSafe: true,
      reason: expect.stringContaining('the graph keeps rows apart'),
    })
  })

  test('is decided by recorded inputs only, where it is undecided', async () => {
    const dependence = { kind: 'undecided' as const, causes }
    expect(await check(model(double).computes, { dependence })).toEqual({
      isSafe: false,
      reason:
        'first; second; only recorded inputs can show that rows are independent: record inputs as [[warmup]] or [[examples]] in model.toml',
      rowOutputs: ['y'],
    })
    expect(await check(model(double).computes, { dependence, samples: [recorded([1, 2], [3, 4])] })).toEqual({
      isSafe: true,
      reason: '6 recorded rows had the same answers separately and together',
      rowOutputs: ['y'],
    })
    expect(await check(model(shifted(1)).computes, { dependence, samples: [recorded([1, 2], [3, 4])] })).toMatchObject({
      isSafe: false,
      reason: expect.stringContaining('beside other rows'),
    })
  })
})

describe('a trial of recorded rows', () => {
  test('has rows of other magnitudes beside them, unless none may be made up', async () => {
    const shown = async (mayMakeUp: boolean) => {
      const rows: (readonly number[])[] = []
      const { computes } = model((values, count) => {
        if (count === 1) rows.push(values)
        return values
      })
      const { isSafe } = await check(computes, { samples: [recorded([1, 2], [3, 4])], mayMakeUp })
      expect(isSafe).toBe(true)
      return rows
    }
    expect((await shown(false)).slice(0, 2)).toEqual([
      [1, 2],
      [3, 4],
    ])
    const [tiny, tinier] = [Math.fround(1e-4), Math.fround(2e-4)]
    expect((await shown(true)).map((row) => row.map((value) => value + 0))).toEqual([
      [1, 2],
      [3, 4],
      [10_000, 20_000],
      [-1, -2],
      [tiny, tinier],
      [0, 0],
    ])
  })

  test('counts only where a recorded row can be computed', async () => {
    const picky = model((values, rows) => {
      if (rows === 1 && values[0] === 1) throw new Error('not this one')
      return values
    })
    expect(await check(picky.computes, { samples: [recorded([1, 2])] })).toMatchObject({
      isSafe: false,
      reason: expect.stringContaining('the model does not compute the recorded inputs (not this one)'),
    })
    expect(await check(picky.computes, { samples: [recorded([1, 2], [3, 4])] })).toMatchObject({ isSafe: true })
  })

  test('of two shapes counts both, and one that cannot be computed says nothing', async () => {
    const open = [{ ...X, shape: [-1, -1] }]
    const of = (size: number): NamedTensors => new Map([['x', floats([2, size], Array(2 * size).fill(1))]])
    expect(await check(model(double, { inputs: open }).computes, { samples: [of(2), of(3)], mayMakeUp: false })).toMatchObject({
      isSafe: true,
      reason: expect.stringContaining('4 recorded rows'),
    })
    const refuses = (size: number) =>
      model(
        (values, rows) => {
          if (values.length / rows === size) throw new Error('no')
          return values
        },
        { inputs: open },
      ).computes
    for (const size of [2, 3])
      expect(await check(refuses(size), { samples: [of(2), of(3)], mayMakeUp: false })).toMatchObject({
        isSafe: true,
        reason: expect.stringContaining('2 recorded rows'),
      })
    const mixes = model((values, rows) => (rows > 1 && values.length / rows === 3 ? values.map((value) => value + 1) : values), {
      inputs: open,
    })
    expect(await check(mixes.computes, { samples: [of(2), of(3)], mayMakeUp: false })).toMatchObject({ isSafe: false })
  })

  test('has four rows of a shape and four shapes, of samples that fit the inputs', () => {
    const x = (rows: number, size: number) => floats([rows, size], Array(rows * size).fill(1))
    const samples = [1, 2, 3, 4, 5].flatMap((size) => [new Map([['x', x(3, size)]]), new Map([['x', x(3, size)]])])
    const trials = recordedTrials([X], samples, false)
    expect(trials.map(({ rows, isRecorded }) => [rows.length, isRecorded, rows[3]?.name])).toEqual(
      Array(4).fill([4, true, 'recorded row 4']),
    )
    expect(recordedTrials([X], [new Map([['x', x(9, 2)]])], false)[0]?.rows).toHaveLength(4)
    const second = { ...X, name: 'z' }
    for (const sample of [
      new Map([['x', x(2, 2)]]),
      new Map([
        ['x', x(2, 2)],
        ['z', x(3, 2)],
      ]),
      new Map<string, Tensor>(),
    ])
      expect(recordedTrials([X, second], [sample], false)).toEqual([])
    expect(
      recordedTrials(
        [X, second],
        [
          new Map([
            ['x', x(2, 2)],
            ['z', x(2, 1)],
          ]),
        ],
        false,
      )[0]?.rows,
    ).toHaveLength(2)
  })

  test('without floats has made-up rows of their shape beside them', () => {
    const integers: Tensor = { datatype: 'INT64', shape: [1, 64], data: new BigInt64Array(64).fill(7n) }
    const [trial] = recordedTrials([{ name: 'x', datatype: 'INT64', shape: [-1, 64] }], [new Map([['x', integers]])], true)
    expect(trial?.rows.map(({ isRecorded, name }) => [isRecorded, name])).toEqual([
      [true, 'recorded row 1'],
      [false, 'a made-up row'],
      [false, 'a made-up row'],
    ])
    const [, one, two] = (trial?.rows ?? []).map(({ inputs }) => inputs[0] as Tensor)
    for (const row of [one, two]) {
      expect([row?.datatype, row?.shape]).toEqual(['INT64', [1, 64]])
      expect(new Set(row?.data as BigInt64Array)).toEqual(new Set([0n, 1n]))
    }
    expect(one?.data).not.toEqual(two?.data)
  })
})

describe('rows that are made up', () => {
  const kinds = (datatype: TensorSpec['datatype']) => {
    const [trial] = trialsOfMadeUpRows([{ name: 'x', datatype, shape: [-1, 64] }], undefined)
    return (trial?.rows ?? []).map(({ inputs }) => Array.from((inputs[0] as Tensor).data as ArrayLike<unknown>))
  }

  test('are of six magnitudes, each with numbers of its own', () => {
    const [one, large, negative, tiny, other, zeros] = kinds('FP64') as number[][]
    const range = (row: readonly number[] | undefined) => [Math.min(...(row ?? [])), Math.max(...(row ?? []))]
    const within = (row: readonly number[] | undefined, from: number, to: number) => {
      const [least = 0, most = 0] = range(row)
      expect([least >= from, most <= to, most - least > (to - from) / 2]).toEqual([true, true, true])
    }
    within(one, 0, 1)
    within(large, -10_000, 10_000)
    within(negative, -1, 0)
    within(tiny, 0, 1e-4)
    within(other, 0, 1)
    expect([new Set(zeros), one?.length]).toEqual([new Set([0]), 64])
    expect(one).not.toEqual(other)
  })

  test('are 0 and 1 for integers, true and false, and letters for texts', () => {
    for (const [datatype, values] of [
      ['INT32', [0, 1]],
      ['UINT8', [0, 1]],
      ['INT64', [0n, 1n]],
      ['BOOL', [0, 1]],
      ['BYTES', ['a', 'b']],
    ] as const)
      for (const row of kinds(datatype)) expect([datatype, new Set(row)]).toEqual([datatype, new Set<unknown>(values)])
  })

  test('have the shapes that are given, and are tried in one size where nothing is open', () => {
    const open = { name: 'x', datatype: 'FP32' as const, shape: [-1, -1, 3] }
    const shapesOf = (shapes?: ReadonlyMap<string, readonly number[]>) =>
      trialsOfMadeUpRows([open], shapes).map(({ rows }) => rows[0]?.inputs[0]?.shape)
    expect(shapesOf()).toEqual([
      [1, 8, 3],
      [1, 1, 3],
      [1, 32, 3],
      [1, 224, 3],
    ])
    expect(shapesOf(new Map([['x', [-1, 5, 3]]]))).toEqual([[1, 5, 3]])
    expect(trialsOfMadeUpRows([X], undefined)).toHaveLength(1)
    expect(trialsOfMadeUpRows([X, { ...open, name: 'z' }], undefined)).toHaveLength(4)
  })
})
