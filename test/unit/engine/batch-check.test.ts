import { afterAll, describe, expect, test } from 'bun:test'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createEngine } from '../../../src/engine/create-engine.ts'
import type { NamedTensors, Tensor } from '../../../src/tensor/tensor.ts'
import { identityModel, type Node, onnxModel } from '../../support/tiny-models.ts'

const FIXTURES = join(import.meta.dir, '../../models')
const folder = mkdtempSync(join(tmpdir(), 'vestal-batch-check-'))
const put = (path: string, content: string | Uint8Array) => Bun.write(join(folder, path), content)
const fixture = (file: string, name: string) => cpSync(join(FIXTURES, file), join(folder, name, '1/model.onnx'))

/** A model of FP32 [n,3] with these nodes, from `x` to `y`. */
function rowModel(
  nodes: readonly Node[],
  constants: Parameters<typeof onnxModel>[0]['constants'] = [],
  width: number | string = 3,
) {
  const value = { datatype: 'FP32', shape: ['n', width] } as const
  return onnxModel({ nodes, constants, inputs: [{ name: 'x', ...value }], outputs: [{ name: 'y', ...value }] })
}

fixture('digits_int8.onnx', 'digits_int8')
fixture('digits_int8.onnx', 'asked')
await put('asked/model.toml', '[batching]\nallow_dependent_rows = true')
fixture('digits_fp32.onnx', 'digits_fp32')
fixture('lgb_clf.onnx', 'lgb_clf')
fixture('lgb_clf.onnx', 'lgb_declared')
await put('lgb_declared/config.pbtxt', 'max_batch_size: 8 dynamic_batching { }')
fixture('tok_old_seq7.onnx', 'tokens')
const seven = `[[${[1, 2, 3, 4, 5, 6, 7]}]]`
fixture('tok_old_seq7.onnx', 'tokens_recorded')
await put(
  'tokens_recorded/model.toml',
  `[[warmup]]\ninput = {input_ids = ${seven}, attention_mask = [[1,1,1,1,1,1,1]]}\n[[examples]]\ninput = {input_ids = [[3,3,9,4,4,2,1]], attention_mask = [[1,1,1,1,1,0,0]]}`,
)
await put('softmax_last/1/model.onnx', rowModel([{ operator: 'Softmax', inputs: ['x'], outputs: ['y'], axis: 1 }]))
await put('softmax_first/1/model.onnx', rowModel([{ operator: 'Softmax', inputs: ['x'], outputs: ['y'], axis: 0 }]))
const scatter = rowModel(
  [{ operator: 'ScatterND', inputs: ['x', 'places', 'values'], outputs: ['y'] }],
  [
    { name: 'places', shape: [1, 1], values: new BigInt64Array([0n]) },
    { name: 'values', shape: [1, 3], values: new Float32Array(3) },
  ],
)
await put('scatter/1/model.onnx', scatter)
await put('scatter_recorded/1/model.onnx', scatter)
await put('scatter_recorded/model.toml', '[[examples]]\ninput = [[1.0, 2.0, 3.0]]')
await put('unknown/1/model.onnx', rowModel([{ operator: 'Det', inputs: ['x'], outputs: ['y'] }]))
await put('plain/1/model.onnx', identityModel('FP32', ['n', 3]))

const notes: string[] = []
const engine = await createEngine({
  modelsDirectory: folder,
  instances: 1,
  threads: 1,
  warn: () => undefined,
  note: (message) => void notes.push(message),
})
afterAll(async () => {
  await engine.stop()
  rmSync(folder, { recursive: true })
})

const batchingOf = (name: string) => engine.model(name)?.versions[0]?.batching

describe('the decision whether requests share runs', () => {
  const cases: readonly (readonly [name: string, runs: 'shared' | 'separate', reason: RegExp])[] = [
    ['plain', 'shared', /^the graph keeps rows apart, and 6 made-up rows had the same answers alone and together$/],
    ['digits_fp32', 'shared', /^the graph keeps rows apart/],
    ['lgb_clf', 'shared', /^the graph keeps rows apart/],
    ['lgb_declared', 'shared', /^the graph keeps rows apart/],
    ['softmax_last', 'shared', /^the graph keeps rows apart/],
    ['digits_int8', 'separate', /DynamicQuantizeLinear "image_QuantizeLinear" takes its scale from all rows/],
    ['asked', 'shared', /settings ask for it \(allow_dependent_rows\), although .*takes its scale from all rows/],
    ['softmax_first', 'separate', /Softmax "y" computes over the axis of the rows/],
    // Nothing says how many tokens it takes, and made-up rows cannot show enough.
    ['tokens', 'separate', /\[\[warmup\]\] or \[\[examples\]\]/],
    ['tokens_recorded', 'shared', /\d recorded rows had the same answers alone and together/],
    ['scatter', 'separate', /./],
    // What the graph does not say, the trial sees: the first row of a run is written over.
    ['scatter_recorded', 'separate', /the output "y" of .* is .* alone and .* beside other rows/],
  ]
  for (const [name, runs, reason] of cases) {
    test(`of ${name}: ${runs}`, () => {
      expect(engine.model(name)?.versions[0]?.state).toBe('ready')
      expect(batchingOf(name)).toEqual({ runs, reason: expect.stringMatching(reason) })
      const { parameters } = engine.configuration(name) as { parameters: Readonly<Record<string, { string_value: string }>> }
      expect(parameters.batching?.string_value).toBe(runs)
      expect(parameters.batching_reason?.string_value).toMatch(reason)
      expect(notes.some((note) => note.startsWith(`${name}/1: `) && reason.test(note.replace(/^[^:]*: [^:]*: /, '')))).toBe(true)
    })
  }

  test('counts what a run gave more than what the file declares', () => {
    const shapes = engine.model('lgb_declared')?.versions[0]?.outputs.map(({ shape }) => shape[0])
    expect(shapes).toEqual([-1, -1])
    expect(engine.configuration('lgb_declared')).toMatchObject({ max_batch_size: 8 })
  })
})

describe('the answers of one caller', () => {
  test('do not depend on the rows of another, where rows would share a scale', async () => {
    const image = (value: number): NamedTensors =>
      new Map([
        [
          'image',
          { datatype: 'FP32', shape: [1, 64], data: Float32Array.from({ length: 64 }, (_, i) => ((i * 7) % 16) * value) },
        ],
      ])
    const ask = async (value: number) => (await engine.infer('digits_int8', '1', image(value))).get('probabilities') as Tensor
    const alone = await ask(1)
    const together = await Promise.all([1, 170_000, 1, 170_000, 1].map(ask))
    expect(together[0]?.data).toEqual(alone.data)
    expect(together[2]?.data).toEqual(alone.data)
    expect(together[4]?.data).toEqual(alone.data)
  })
})
