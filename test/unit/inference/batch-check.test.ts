import { afterAll, describe, expect, test } from 'bun:test'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createEngine } from '../../../src/inference/create-engine.ts'
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
fixture('function_in_branch.onnx', 'function_in_branch')
fixture('function_named_softmax.onnx', 'function_named_softmax')
fixture('fused_batches.onnx', 'fused_batches')
const whole = (name: string, ...values: number[]) => ({
  name,
  shape: [values.length],
  values: BigInt64Array.from(values, BigInt),
})
/** The number of rows as a list of one, then these nodes; none of them is told apart by the rows that a trial makes up. */
const countingModel = (nodes: readonly Node[], constants: Parameters<typeof onnxModel>[0]['constants'] = []) =>
  rowModel(
    [
      { operator: 'Shape', inputs: ['x'], outputs: ['shape'] },
      { operator: 'Gather', inputs: ['shape', 'zero'], outputs: ['count'] },
      ...nodes,
    ],
    [whole('zero', 0), whole('one', 1), ...constants],
  )
const sumAdded: readonly Node[] = [
  { operator: 'ReduceSum', inputs: ['part', 'one'], outputs: ['sum'] },
  { operator: 'Add', inputs: ['x', 'sum'], outputs: ['y'] },
]
const constantAdded: readonly Node[] = [
  { operator: 'ReduceSum', inputs: ['part', 'zero'], outputs: ['sum'] },
  { operator: 'Add', inputs: ['x', 'sum'], outputs: ['y'] },
]
const table = { name: 'table', shape: [60], values: new Float32Array(60).fill(1) }
const float = { name: 'float', shape: [], values: new Float32Array([1]) }
const minusCount: Node = { operator: 'Mul', inputs: ['count', 'minus'], outputs: ['negative'] }
await put(
  'columns_by_count/1/model.onnx',
  countingModel([{ operator: 'Slice', inputs: ['x', 'zero', 'count', 'one'], outputs: ['part'] }, ...sumAdded]),
)
await put(
  'constant_by_count/1/model.onnx',
  countingModel(
    [{ operator: 'Slice', inputs: ['table', 'zero', 'count', 'zero'], outputs: ['part'] }, ...constantAdded],
    [table],
  ),
)
await put(
  'padded_by_count/1/model.onnx',
  countingModel(
    [
      { operator: 'Concat', inputs: ['nothing', 'count'], outputs: ['pads'], axis: 0 },
      { operator: 'Pad', inputs: ['x', 'pads', 'float'], outputs: ['part'] },
      ...sumAdded,
    ],
    [whole('nothing', 0, 0, 0), float],
  ),
)
await put(
  'resized_by_count/1/model.onnx',
  countingModel(
    [
      { operator: 'Concat', inputs: ['count', 'count'], outputs: ['sizes'], axis: 0 },
      { operator: 'Resize', inputs: ['x', '', '', 'sizes'], outputs: ['part'] },
      ...sumAdded,
    ],
    [],
  ),
)
await put(
  'cut_by_count/1/model.onnx',
  countingModel(
    [
      { operator: 'Concat', inputs: ['count', 'minus'], outputs: ['target'], axis: 0 },
      { operator: 'Reshape', inputs: ['table', 'target'], outputs: ['lines'] },
      { operator: 'Slice', inputs: ['lines', 'zero', 'one', 'zero'], outputs: ['line'] },
      { operator: 'ReduceSum', inputs: ['line', 'one'], outputs: ['part'] },
      { operator: 'Mul', inputs: ['x', 'part'], outputs: ['little'] },
      { operator: 'Add', inputs: ['x', 'little'], outputs: ['y'] },
    ],
    // So small that the trial sees no difference.
    [{ ...table, values: new Float32Array(60).fill(1e-9) }, whole('minus', -1)],
  ),
)
await put(
  'count_compared/1/model.onnx',
  countingModel(
    [
      minusCount,
      { operator: 'Equal', inputs: ['negative', 'many'], outputs: ['isMany'] },
      { operator: 'Where', inputs: ['isMany', 'float', 'other'], outputs: ['sum'] },
      { operator: 'Add', inputs: ['x', 'sum'], outputs: ['y'] },
    ],
    [whole('minus', -1), whole('many', -9), float, { ...float, name: 'other', values: new Float32Array([2]) }],
  ),
)
const sequences = { datatype: 'FP32', shape: ['n', 'words', 4] } as const
const blocksOf = (size: number) =>
  onnxModel({
    nodes: [
      { operator: 'Reshape', inputs: ['x', 'blocks'], outputs: ['flat'] },
      { operator: 'Softmax', inputs: ['flat'], outputs: ['share'], axis: 1 },
      { operator: 'Shape', inputs: ['x'], outputs: ['shape'] },
      { operator: 'Reshape', inputs: ['share', 'shape'], outputs: ['y'] },
    ],
    constants: [whole('blocks', -1, size)],
    inputs: [{ name: 'x', ...sequences }],
    outputs: [{ name: 'y', ...sequences }],
  })
await put('blocks_of_rows/1/model.onnx', blocksOf(8))
await put('blocks_in_rows/1/model.onnx', blocksOf(2))
await put('words_in_rows/1/model.onnx', blocksOf(4))
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
    ['plain', 'shared', /^the graph keeps rows apart, and \d made-up rows had the same answers separately and together$/],
    ['digits_fp32', 'shared', /^the graph keeps rows apart/],
    ['lgb_clf', 'shared', /^the graph keeps rows apart/],
    ['lgb_declared', 'shared', /^the graph keeps rows apart/],
    ['softmax_last', 'shared', /^the graph keeps rows apart/],
    ['digits_int8', 'separate', /DynamicQuantizeLinear "image_QuantizeLinear" takes its scale from all rows/],
    ['asked', 'shared', /settings ask for it \(allow_dependent_rows\), although .*takes its scale from all rows/],
    ['softmax_first', 'separate', /Softmax "y" computes over the axis of the rows/],
    // Nothing says how many tokens it takes, and made-up rows cannot show enough.
    ['tokens', 'separate', /\[\[warmup\]\] or \[\[examples\]\]/],
    ['tokens_recorded', 'shared', /\d recorded rows had the same answers separately and together/],
    ['scatter', 'separate', /./],
    // In a function's branch the attribute of the call counts, not the operator's default.
    ['function_in_branch', 'separate', /Softmax "o1" computes over the axis of the rows/],
    ['function_named_softmax', 'separate', /Softmax "k" has the name of an operator, and is a function of the model/],
    ['fused_batches', 'separate', /FusedMatMul "f" moves the dimensions of its batches/],
    // Sizes that are taken from the number of rows, on other axes than theirs and of constants.
    ['columns_by_count', 'separate', /Slice "part" takes a size of its output from the number of rows/],
    ['constant_by_count', 'separate', /Slice "part" takes a size of its output from the number of rows/],
    ['padded_by_count', 'separate', /Pad "part" takes a size of its output from the number of rows/],
    ['resized_by_count', 'separate', /Resize "part" takes a size of its output from the number of rows/],
    ['cut_by_count', 'separate', /Reshape "lines" cuts a constant by the number of rows/],
    ['count_compared', 'separate', /Equal "isMany" computes with the number of rows/],
    // A row of one word is half a block, which would be filled up with the row of another caller.
    ['blocks_of_rows', 'separate', /Reshape "flat" may cut rows in the middle/],
    ['blocks_in_rows', 'shared', /^the graph keeps rows apart/],
    ['words_in_rows', 'shared', /^the graph keeps rows apart/],
    // What the graph does not say, the trial sees: the first row of a run is written over.
    ['scatter_recorded', 'separate', /the output "y" of .* is .* separately and .* beside other rows/],
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
