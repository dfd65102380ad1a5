import { expect, test } from 'bun:test'
import { pack } from '../../../src/engine/transfer.ts'
import type { Tensor } from '../../../src/tensor/tensor.ts'

const floats = (data: Float32Array): Tensor => ({ datatype: 'FP32', shape: [data.length], data })
/** Larger than a piece of a pool may be. */
const LARGE = 50_000

test('a tensor that is all of its buffer is moved as it is', () => {
  const tensor = floats(new Float32Array([1, 2]))
  const { tensors, buffers } = pack([tensor])
  expect([tensors[0], buffers[0]]).toEqual([tensor, (tensor.data as Float32Array).buffer as ArrayBuffer])
  expect(tensors[0]?.data).toBe(tensor.data)
})

test('a body with one tensor in it, or several, is moved whole, and nothing of it is copied', () => {
  const body = new ArrayBuffer(100 + LARGE * 8)
  const two = [new Float32Array(body, 100, LARGE), new Float32Array(body, 100 + LARGE * 4, LARGE)]
  const { tensors, buffers } = pack(two.map(floats))
  expect(buffers).toEqual([body])
  expect(tensors.map(({ data }) => data)).toEqual(two)
  expect(tensors[1]?.data).toBe(two[1] as Float32Array)
})

test('a small piece of a buffer is copied, and the buffer stays', () => {
  const pool = new Float32Array([1, 2, 3, 4])
  const { tensors, buffers } = pack([floats(pool.subarray(1, 3))])
  expect(tensors[0]?.data).toEqual(new Float32Array([2, 3]))
  expect(buffers.map(({ byteLength }) => byteLength)).toEqual([8])
  expect(buffers[0]).not.toBe(pool.buffer)
})

test('a small part of a large buffer is copied: the message does not take all of it along', () => {
  const large = new Float32Array(LARGE)
  const { buffers } = pack([floats(large.subarray(0, 10))])
  expect(buffers.map(({ byteLength }) => byteLength)).toEqual([40])
})

test('texts are not moved, and shared memory is copied', () => {
  const shared = new Float32Array(new SharedArrayBuffer(8))
  const { tensors, buffers } = pack([{ datatype: 'BYTES', shape: [1], data: ['a'] }, floats(shared)])
  expect(tensors[0]?.data).toEqual(['a'])
  expect(buffers.map(({ byteLength }) => byteLength)).toEqual([8])
})
