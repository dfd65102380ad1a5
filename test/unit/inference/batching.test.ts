import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { VestalError } from '../../../src/core/errors.ts'
import { createEngine } from '../../../src/inference/create-engine.ts'
import type { Datatype } from '../../../src/tensor/datatypes.ts'
import type { NamedTensors, Tensor, TensorData } from '../../../src/tensor/tensor.ts'
import { failingModel, identityModel, onnxModel, twoOutputModel } from '../../support/tiny-models.ts'

const vector = { datatype: 'FP32', shape: ['n'] } as const
/** Row i of the output is the sum of the rows up to it: a model that must not be given rows of several requests. */
const sumModel = onnxModel({
  nodes: [{ operator: 'CumSum', inputs: ['x', 'axis'], outputs: ['y'] }],
  inputs: [{ name: 'x', ...vector }],
  outputs: [{ name: 'y', ...vector }],
  constants: [{ name: 'axis', shape: [1], values: new BigInt64Array([0n]) }],
})
/** Leaves out what is not above a large negative number: as many rows as its inputs until one of them is not. */
const filterModel = onnxModel({
  nodes: [
    { operator: 'Greater', inputs: ['x', 'zero'], outputs: ['isAbove'] },
    { operator: 'Compress', inputs: ['x', 'isAbove'], outputs: ['y'] },
  ],
  inputs: [{ name: 'x', ...vector }],
  outputs: [{ name: 'y', datatype: 'FP32', shape: ['k'] }],
  constants: [{ name: 'zero', shape: [1], values: new Float32Array([-1e6]) }],
})

const folder = mkdtempSync(join(tmpdir(), 'vestal-batching-'))
const DATATYPES = ['FP32', 'FP16', 'INT64', 'BOOL', 'BYTES'] as const
for (const datatype of DATATYPES) await Bun.write(join(folder, `${datatype}/1/model.onnx`), identityModel(datatype, ['n', 2]))
await Bun.write(join(folder, 'vector/1/model.onnx'), identityModel('FP32'))
await Bun.write(join(folder, 'ragged/1/model.onnx'), identityModel('FP32', ['n', 'width']))
await Bun.write(join(folder, 'fixed/1/model.onnx'), identityModel('FP32', [1, 2]))
await Bun.write(join(folder, 'sum/1/model.onnx'), sumModel)
await Bun.write(join(folder, 'filter/1/model.onnx'), filterModel)
await Bun.write(join(folder, 'filter/model.toml'), '[batching]\nallow_dependent_rows = true')
await Bun.write(join(folder, 'sizes/1/model.onnx'), identityModel('FP32'))
await Bun.write(join(folder, 'sizes/model.toml'), '[batching]\nrows_max = 64')
await Bun.write(join(folder, 'failing/1/model.onnx'), failingModel())
await Bun.write(join(folder, 'two/1/model.onnx'), twoOutputModel())
await Bun.write(join(folder, 'single/1/model.onnx'), identityModel('FP32'))
await Bun.write(join(folder, 'single/model.toml'), '[batching]\nrows_max = 1')

const warnings: string[] = []
const warn = (text: string) => void warnings.push(text)
const engine = await createEngine({ modelsDirectory: folder, instances: 1, threads: 1, warn })
afterAll(async () => {
  await engine.stop()
  rmSync(folder, { recursive: true })
})

const x = (datatype: Datatype, shape: readonly number[], data: TensorData): NamedTensors =>
  new Map([['x', { datatype, shape, data }]])
const floats = (...values: number[]) => x('FP32', [values.length], new Float32Array(values))

async function outputOf(model: string, inputs: NamedTensors, output = 'y'): Promise<Tensor | string> {
  try {
    const outputs = await engine.infer(model, '1', inputs)
    return outputs.get(output) ?? 'no output'
  } catch (error) {
    if (error instanceof VestalError) return error.code
    throw error
  }
}

/** Requests and runs of a model so far. */
function countsOf(model: string) {
  const [own] = engine.statistics(model)
  return { requests: own?.success.count, runs: own?.executionCount, rows: own?.inferenceCount }
}

function valuesFor(datatype: (typeof DATATYPES)[number], index: number): TensorData {
  if (datatype === 'FP32') return new Float32Array([index, -index])
  if (datatype === 'FP16') return new Float16Array([index, -index])
  if (datatype === 'INT64') return new BigInt64Array([BigInt(index), 2n ** 62n + BigInt(index)])
  return datatype === 'BOOL' ? new Uint8Array([index % 2, 1]) : [`text ${index}`, 'é漢😀']
}

describe('requests that wait for a model that takes rows', () => {
  for (const datatype of DATATYPES) {
    test(`share a run and get their own rows: ${datatype}`, async () => {
      const inputs = Array.from({ length: 20 }, (_, index) => valuesFor(datatype, index))
      const answers = await Promise.all(inputs.map((data) => outputOf(datatype, x(datatype, [1, 2], data))))
      const expected = Array.from({ length: 20 }, (_, index) => ({ datatype, shape: [1, 2], data: valuesFor(datatype, index) }))
      expect(answers).toEqual(expected)
      expect(countsOf(datatype)).toEqual({ requests: 20, runs: 1, rows: 20 })
    })
  }

  test('may have any number of rows, up to the limit in one run', async () => {
    const sizes = [1, 3, 60, 2, 70, 5]
    const asked = sizes.map((size) => floats(...Array.from({ length: size }, (_, index) => size * 100 + index)))
    const answers = await Promise.all(asked.map((inputs) => outputOf('sizes', inputs)))
    expect(answers.map((answer) => (answer as Tensor).data.length)).toEqual(sizes)
    for (const [index, size] of sizes.entries()) expect((answers[index] as Tensor).data[0]).toBe(size * 100)
    const [own] = engine.statistics('sizes')
    expect(own?.batches.map(({ rows }) => rows)).toEqual([7, 64, 70])
    expect(own?.inferenceCount).toBe(141)
  })

  test('share none where their shapes behind the rows or their outputs differ', async () => {
    const wide = (width: number) => x('FP32', [1, width], new Float32Array(width).fill(width))
    const answers = await Promise.all([1, 2, 3, 2, 3].map((width) => outputOf('ragged', wide(width))))
    expect(answers.map((answer) => (answer as Tensor).shape)).toEqual([
      [1, 1],
      [1, 2],
      [1, 3],
      [1, 2],
      [1, 3],
    ])
    expect(countsOf('ragged')).toEqual({ requests: 5, runs: 3, rows: 5 })
    const two = () => x('FP32', [1, 2], new Float32Array([1, 2]))
    const both = await Promise.all([
      engine.infer('two', '1', two()),
      engine.infer('two', '1', two(), { outputs: ['negative'] }),
      engine.infer('two', '1', two(), { outputs: ['double'] }),
      engine.infer('two', '1', two(), { outputs: ['negative'] }),
    ])
    expect(both.map((outputs) => [...outputs.keys()])).toEqual([['double', 'negative'], ['negative'], ['double'], ['negative']])
    expect(countsOf('two').runs).toBe(3)
  })

  test('run alone where the settings of the model say so', async () => {
    await Promise.all([1, 2, 3, 4].map((value) => outputOf('single', floats(value))))
    expect(countsOf('single')).toEqual({ requests: 4, runs: 4, rows: 4 })
  })
})

describe('a model that must not be given rows of several requests', () => {
  test('is found at its load, by computing two rows together', async () => {
    const answers = await Promise.all([1, 2, 3].map((value) => outputOf('sum', floats(value))))
    expect(answers.map((answer) => (answer as Tensor).data[0])).toEqual([1, 2, 3])
    expect(countsOf('sum').runs).toBe(3)
  })

  test('is known by a first dimension that is fixed', async () => {
    const answers = [1, 2, 3].map((value) => outputOf('fixed', x('FP32', [1, 2], new Float32Array([value, 0]))))
    expect((await Promise.all(answers)).map((answer) => (answer as Tensor).data[0])).toEqual([1, 2, 3])
    expect(countsOf('fixed').runs).toBe(3)
  })

  test('and passed for one that may is caught by its outputs, and given no more', async () => {
    const ask = () => Promise.all([[1, 1], [1], [-1e7, 1], [1]].map((values) => outputOf('filter', floats(...values))))
    const shapes = (await ask()).map((answer) => (answer as Tensor).shape)
    expect(shapes).toEqual([[2], [1], [1], [1]])
    expect(warnings).toContain('filter/1: its outputs had not the rows of its inputs; requests share no run any more')
    const { runs = 0 } = countsOf('filter')
    await ask()
    expect(countsOf('filter').runs).toBe(runs + 4)
  })
})

describe('inputs', () => {
  test('that are not what the model takes are rejected before they reach a worker or a batch', async () => {
    const wrong: readonly NamedTensors[] = [
      new Map(),
      x('FP64', [1], new Float64Array(1)),
      x('FP32', [1, 1], new Float32Array(1)),
      x('FP32', [2], new Float32Array(1)),
      new Map([...floats(1), ['other', { datatype: 'FP32', shape: [1], data: new Float32Array(1) }]]),
    ]
    for (const inputs of wrong) expect(await outputOf('vector', inputs)).toBe('INPUT_INVALID')
    const unknown = async () => engine.infer('vector', '1', floats(1), { outputs: ['z'] })
    expect(unknown()).rejects.toThrow("the model has no output 'z'")
  })

  test('that cannot be computed are rejected alone', async () => {
    const answers = await Promise.all([[1, 2, 3, 4], [1], [5, 6, 7, 8]].map((values) => outputOf('failing', floats(...values))))
    expect(answers).toEqual([
      expect.objectContaining({ shape: [2, 2] }),
      'INFERENCE_FAILED',
      expect.objectContaining({ shape: [2, 2] }),
    ])
  })

  test('of no rows are computed', async () => {
    const answers = await Promise.all([floats(1), floats(), floats(2)].map((inputs) => outputOf('vector', inputs)))
    expect(answers.map((answer) => (answer as Tensor).shape)).toEqual([[1], [0], [1]])
  })

  test('keep their memory where they are a piece of what others use', async () => {
    const shared = new Float32Array([1, 2, 3, 4])
    const answer = await outputOf('vector', x('FP32', [2], shared.subarray(1, 3)))
    expect([(answer as Tensor).data, shared]).toEqual([new Float32Array([2, 3]), new Float32Array([1, 2, 3, 4])])
  })
})
