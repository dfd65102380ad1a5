import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { usableCores } from '../../src/platform/cores.ts'
import { onnxModel } from '../../test/support/tiny-models.ts'

export const LAYERS = 6
export const WIDTH = 1024

/**
 * A folder with a model of dense layers, 25 MB: `shared` as it is, `checked` as `models check` recommends it where there are several cores,
 * and `alone` with every request by itself.
 */
export async function writeDenseModels(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'vestal-dense-'))
  const model = denseModel()
  await Bun.write(join(folder, 'shared/1/model.onnx'), model)
  await Bun.write(join(folder, 'checked/1/model.onnx'), model)
  await Bun.write(
    join(folder, 'checked/model.toml'),
    `[serving]\ninstances = ${usableCores()}\nthreads = 1\n[batching]\nrows_max = 64`,
  )
  await Bun.write(join(folder, 'alone/1/model.onnx'), model)
  await Bun.write(join(folder, 'alone/model.toml'), '[batching]\nrows_max = 1')
  return folder
}

/** One row of its input. */
export function denseRow(rows = 1) {
  return { datatype: 'FP32', shape: [rows, WIDTH], data: new Float32Array(rows * WIDTH).fill(0.5) } as const
}

function denseModel(): Uint8Array {
  const layers = Array.from({ length: LAYERS }, (_, layer) => layer)
  const weights = (layer: number) =>
    new Float32Array(WIDTH * WIDTH).map((_, index) => ((index * 31 + layer * 7) % 101) / 1600 - 1 / 32)
  const nameOf = (layer: number) => (layer === 0 ? 'x' : layer === LAYERS ? 'y' : `hidden${layer}`)
  const shape = ['rows', WIDTH]
  return onnxModel({
    nodes: layers.flatMap((layer) => [
      { operator: 'MatMul', inputs: [nameOf(layer), `weights${layer}`], outputs: [`product${layer}`] },
      { operator: 'Relu', inputs: [`product${layer}`], outputs: [nameOf(layer + 1)] },
    ]),
    constants: layers.map((layer) => ({ name: `weights${layer}`, shape: [WIDTH, WIDTH], values: weights(layer) })),
    inputs: [{ name: 'x', datatype: 'FP32', shape }],
    outputs: [{ name: 'y', datatype: 'FP32', shape }],
  })
}
