import { join } from 'node:path'
import type { NamedTensors } from '../../src/tensor/tensor.ts'
import { onnxModel } from './tiny-models.ts'

/** A model that multiplies its input, so that its answers tell which one gave them: `x` → `y`. */
export function factorModel(factor: number): Uint8Array {
  return onnxModel({
    nodes: [{ operator: 'Mul', inputs: ['x', 'factor'], outputs: ['y'] }],
    inputs: [{ name: 'x', datatype: 'FP32', shape: ['n'] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: ['n'] }],
    constants: [{ name: 'factor', shape: [1], values: new Float32Array([factor]) }],
  })
}

/** Its input; a new one each time, since its buffer moves to the worker. */
export function inputOf(...values: number[]): NamedTensors {
  return new Map([['x', { datatype: 'FP32', shape: [values.length], data: new Float32Array(values) }]])
}

/** Writes a file below a folder. */
export async function put(folder: string, path: string, content: Uint8Array | string): Promise<void> {
  await Bun.write(join(folder, path), content)
}
