import { expect, test } from 'bun:test'
import { VestalError } from '../../../src/core/errors.ts'
import { bytesOf, checkInputs, createBucketOf, isInRows, joinRows, rowsOf, splitOutputs } from '../../../src/inference/batches.ts'
import type { Tensor } from '../../../src/tensor/tensor.ts'

const spec = (name: string) => ({ name, datatype: 'FP32' as const, shape: [-1] })
const tensor = { datatype: 'FP32' as const, shape: [1], data: new Float32Array(1) }

test('inputs are those of the model, and the one that is not is named', () => {
  const specs = [spec('x'), spec('y')]
  const inputs = (...names: readonly string[]) => new Map(names.map((name) => [name, tensor]))
  expect(() => checkInputs(specs, inputs('x', 'y'))).not.toThrow()
  expect(() => checkInputs(specs, inputs('x', 'y', 'z'))).toThrow(
    new VestalError('INPUT_INVALID', { detail: "the model has no input 'z'" }),
  )
  expect(() => checkInputs(specs, inputs('x'))).toThrow(new VestalError('INPUT_INVALID', { detail: "the input 'y' is missing" }))
})

const floats = (shape: readonly number[], data: readonly number[]): Tensor => ({
  datatype: 'FP32',
  shape,
  data: Float32Array.from(data),
})

test('the rows of a request are those that all its inputs have', () => {
  const rows = (...shapes: readonly (readonly number[])[]) =>
    rowsOf(new Map(shapes.map((shape, index) => [`${index}`, floats(shape, [])])))
  expect([rows([3]), rows([3, 2], [3]), rows([0, 2])]).toEqual([3, 3, 0])
  expect([rows(), rows([]), rows([], [3]), rows([3], []), rows([3], [2])]).toEqual([
    undefined,
    undefined,
    undefined,
    undefined,
    undefined,
  ])
})

test('a model takes rows where all that it takes and gives begins with any number of them', () => {
  const of = (...shapes: readonly (readonly number[])[]) => isInRows(shapes.map((shape) => ({ ...spec('x'), shape })))
  expect([of([-1]), of([-1, 2], [-1])]).toEqual([true, true])
  expect([of(), of([1]), of([-1], [2, -1]), of([])]).toEqual([false, false, false, false])
})

test('requests share a run where their shapes behind the rows and their outputs are the same', () => {
  const inputs = (...shape: readonly number[]) => new Map([['x', floats(shape, [])]])
  const free = createBucketOf([{ ...spec('x'), shape: [-1, -1] }])
  const fixed = createBucketOf([{ ...spec('x'), shape: [-1, 2] }])
  expect(free({ inputs: inputs(1, 5) })).toBe(free({ inputs: inputs(3, 5) }))
  expect(free({ inputs: inputs(1, 5) })).not.toBe(free({ inputs: inputs(1, 6) }))
  expect(fixed({ inputs: inputs(1, 2) })).toBe(fixed({ inputs: inputs(4, 2) }))
  expect(fixed({ inputs: inputs(1, 2), outputs: ['a'] })).not.toBe(fixed({ inputs: inputs(1, 2), outputs: ['b'] }))
  expect(fixed({ inputs: inputs(1, 2), outputs: ['a'] })).toBe(fixed({ inputs: inputs(7, 2), outputs: ['a'] }))
})

test('rows are joined in their order, and each request gets its own of what was computed', () => {
  const joined = joinRows([floats([1, 2], [1, 2]), floats([2, 2], [3, 4, 5, 6])])
  expect(joined).toEqual(floats([3, 2], [1, 2, 3, 4, 5, 6]))
  const one = floats([1, 2], [1, 2])
  expect(joinRows([one])).toBe(one)
  expect(
    joinRows([
      { datatype: 'BYTES', shape: [1], data: ['a'] },
      { datatype: 'BYTES', shape: [2], data: ['b', 'c'] },
    ]),
  ).toEqual({
    datatype: 'BYTES',
    shape: [3],
    data: ['a', 'b', 'c'],
  })
  expect(
    joinRows([
      { datatype: 'BOOL', shape: [1], data: new Uint8Array([1]) },
      { datatype: 'BOOL', shape: [1], data: new Uint8Array(1) },
    ]),
  ).toEqual({
    datatype: 'BOOL',
    shape: [2],
    data: new Uint8Array([1, 0]),
  })
  const outputs = new Map<string, Tensor>([
    ['y', joined],
    ['z', { datatype: 'BYTES', shape: [3], data: ['a', 'b', 'c'] }],
  ])
  expect(splitOutputs(outputs, [1, 2])?.map((part) => Object.fromEntries(part))).toEqual([
    { y: floats([1, 2], [1, 2]), z: { datatype: 'BYTES', shape: [1], data: ['a'] } },
    { y: floats([2, 2], [3, 4, 5, 6]), z: { datatype: 'BYTES', shape: [2], data: ['b', 'c'] } },
  ])
  expect(splitOutputs(outputs, [7])).toEqual([outputs])
  expect(splitOutputs(outputs, [1, 1])).toBeUndefined()
})

test('what a request holds is counted by the bytes of its tensors, and by the characters of its texts', () => {
  const inputs = new Map<string, Tensor>([
    ['x', floats([3], [1, 2, 3])],
    ['t', { datatype: 'BYTES', shape: [2], data: ['abc', ''] }],
  ])
  expect(bytesOf(inputs)).toBe(12 + 16 + 6 + 16)
})
