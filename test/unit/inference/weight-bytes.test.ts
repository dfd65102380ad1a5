import { afterAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bytesWithWeights } from '../../../src/inference/runtime/weight-bytes.ts'

const folder = mkdtempSync(join(tmpdir(), 'vestal-weights-'))
afterAll(() => rmSync(folder, { recursive: true }))

test('a model is as large as its file and its weights beside it, without other models and texts', () => {
  const sizes = { 'model.onnx': 10, 'model.onnx_data': 200, 'model_quantized.onnx': 4000, 'tokenizer.json': 50_000 }
  for (const [name, size] of Object.entries(sizes)) writeFileSync(join(folder, name), Buffer.alloc(size))
  expect(bytesWithWeights(join(folder, 'model.onnx'))).toBe(210)
  expect(bytesWithWeights(join(folder, 'nowhere/model.onnx'))).toBe(0)
})
