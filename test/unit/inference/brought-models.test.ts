import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createEngine } from '../../../src/inference/create-engine.ts'
import type { NamedTensors, Tensor } from '../../../src/tensor/tensor.ts'
import {
  defaultedModel,
  externalModel,
  integerProductModel,
  madeSequenceModel,
  optionalInputModel,
  optionalModel,
  quantizingModel,
  sequenceInputModel,
  sequenceModel,
  unknownOperatorModel,
  upperCaseModel,
  zipMapModel,
} from '../../support/odd-models.ts'
import { anyShapeModel, identityModel, onnxModel } from '../../support/tiny-models.ts'

const folder = mkdtempSync(join(tmpdir(), 'vestal-brought-'))
const weights = new Uint8Array(new Float32Array([3, 4]).buffer)
const ofOpset = (opset: number) =>
  onnxModel({
    nodes: [{ operator: 'Identity', inputs: ['x'], outputs: ['y'] }],
    inputs: [{ name: 'x', datatype: 'FP32', shape: ['n'] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: ['n'] }],
    opset,
  })
const MODELS: Readonly<Record<string, Uint8Array>> = {
  sequence: sequenceModel(),
  'sequence-in': sequenceInputModel(),
  made: madeSequenceModel(),
  'made-beside': madeSequenceModel(true),
  optional: optionalModel(),
  'optional-in': optionalInputModel(),
  'any-shape': anyShapeModel(),
  'odd-name': onnxModel({
    nodes: [{ operator: 'Neg', inputs: ['__proto__'], outputs: ['constructor'] }],
    inputs: [{ name: '__proto__', datatype: 'FP32', shape: ['n'] }],
    outputs: [{ name: 'constructor', datatype: 'FP32', shape: ['n'] }],
  }),
  'upper-usual': upperCaseModel(),
  'upper-missing': upperCaseModel('en_US.of-no-machine'),
  'upper-other': upperCaseModel('tr_TR.of-no-machine'),
  'zipmap-external': zipMapModel('texts', 'weights.bin'),
  'zipmap-up': zipMapModel('texts', '../../weights.bin'),
  'zipmap-integers': zipMapModel(),
  'zipmap-packed': zipMapModel('packed'),
  'zipmap-texts': zipMapModel('texts'),
  unknown: unknownOperatorModel(),
  'no-types': onnxModel({
    nodes: [{ operator: 'Relu', inputs: ['x'], outputs: ['y'] }],
    inputs: [{ name: 'x', datatype: 'INT16', shape: ['n'] }],
    outputs: [{ name: 'y', datatype: 'INT16', shape: ['n'] }],
  }),
  bf16: identityModel('BF16'),
  'opset-7': ofOpset(7),
  'opset-26': ofOpset(26),
  'opset-99': ofOpset(99),
  external: externalModel('weights.bin'),
  'external-gone': externalModel('gone.bin'),
  'external-up': externalModel('../../weights.bin'),
  'external-root': externalModel(join(folder, 'weights.bin')),
  'external-link': externalModel('link.bin'),
  defaulted: defaultedModel(),
  quantizing: quantizingModel(),
  product: integerProductModel(),
  half: identityModel('FP16', ['n', 'm']),
  texts: identityModel('BYTES', ['n', 2]),
  sum: onnxModel({
    nodes: [{ operator: 'Add', inputs: ['a', 'b'], outputs: ['y'] }],
    inputs: [
      { name: 'a', datatype: 'FP32', shape: ['n'] },
      { name: 'b', datatype: 'FP32', shape: ['m'] },
    ],
    outputs: [{ name: 'y', datatype: 'FP32', shape: ['k'] }],
  }),
}
for (const [name, content] of Object.entries(MODELS)) await Bun.write(join(folder, name, '1/model.onnx'), content)
await Bun.write(join(folder, 'sum-of-rows/1/model.onnx'), MODELS.sum ?? '')
await Bun.write(join(folder, 'sum-of-rows/model.toml'), '[serving]\nrows_max = 4\n')
await Bun.write(join(folder, 'zipmap-named/1/model.onnx'), zipMapModel('texts'))
await Bun.write(join(folder, 'zipmap-named/model.toml'), '[outputs.y]\nlabels = ["x", "y", "z"]\n')
await Bun.write(join(folder, 'weights.bin'), weights)
await Bun.write(join(folder, 'external/1/weights.bin'), weights)
await Bun.write(join(folder, 'zipmap-external/1/weights.bin'), new Uint8Array(new Float32Array([2, 3, 4]).buffer))
symlinkSync(join(folder, 'weights.bin'), join(folder, 'external-link/1/link.bin'))
const engine = await createEngine({ modelsDirectory: folder, threads: 1, instances: 1, warn: () => undefined })
afterAll(async () => {
  await engine.stop()
  rmSync(folder, { recursive: true })
})

const run = async (name: string, inputs: Readonly<Record<string, Tensor>>) =>
  plain(await engine.infer(name, '1', new Map(Object.entries(inputs))))
const plain = (outputs: NamedTensors) =>
  Object.fromEntries([...outputs].map(([name, { shape, data }]) => [name, { shape, data: [...(data as Iterable<unknown>)] }]))
const floats = (shape: readonly number[], ...values: number[]): Tensor => ({
  datatype: 'FP32',
  shape,
  data: new Float32Array(values),
})

describe('a model that cannot be served says why, and what mends it', () => {
  const cases: readonly (readonly [name: string, reason: string])[] = [
    [
      'sequence',
      "the output 'y' is a sequence of tensors, which ONNX Runtime for JavaScript cannot hand over; put ConcatFromSequence",
    ],
    [
      'sequence-in',
      "the input 'x' is a sequence of tensors, which ONNX Runtime for JavaScript cannot hand over; take the tensors",
    ],
    [
      'optional',
      "the output 'y' is an optional, which ONNX Runtime for JavaScript cannot hand over; put OptionalGetElement behind it",
    ],
    ['optional-in', "the input 'x' is an optional, which ONNX Runtime for JavaScript cannot hand over; take the tensor itself"],
    ['upper-other', 'an operator on texts asks for a locale that this machine does not have; install it'],
    ['bf16', 'an input or output has the type BF16, which cannot be served; cast it to FP32 or FP16'],
    ['unknown', 'it has the operator Telepathy, which this ONNX Runtime does not know'],
    ['no-types', 'it has the operator Relu with types that this ONNX Runtime cannot compute'],
    ['opset-99', 'its operators are of opset 99, and this ONNX Runtime knows those up to 26'],
    ['external-gone', 'its weights are in "gone.bin" beside it, which is missing'],
    ['external-up', 'its weights are in "../../weights.bin", outside the folder of the version; put the file into that folder'],
    ['zipmap-up', 'its weights are in "../../weights.bin", outside the folder of the version'],
    ['external-root', 'its weights are in "weights.bin" at an absolute path, and must be in the folder of the version'],
    ['external-link', 'its weights are in "link.bin", which leads outside the folder of the version; put the file itself there'],
  ]
  for (const [name, reason] of cases) {
    test(`${name}: ${reason}`, () => {
      const [version] = engine.model(name)?.versions ?? []
      expect(version?.state).toBe('unavailable')
      expect(version?.reason).toContain(reason)
      expect(version?.reason).not.toContain(folder)
      expect(version?.reason).not.toContain(tmpdir())
    })
  }
})

describe('a model', () => {
  test('of the oldest and of the newest operators is served', async () => {
    for (const name of ['opset-7', 'opset-26'])
      expect(await run(name, { x: floats([1], 5) })).toEqual({ y: { shape: [1], data: [5] } })
  })

  test('of scikit-learn whose answer is a map has its classes as labels; those of its description go before them', async () => {
    const labelsOf = (name: string) => Object.fromEntries(engine.model(name)?.versions[0]?.labels ?? [])
    expect(labelsOf('zipmap-integers')).toEqual({ y: ['0', '1', '2'] })
    expect(labelsOf('zipmap-packed')).toEqual({ y: ['0', '1', '200'] })
    expect(labelsOf('zipmap-texts')).toEqual({ y: ['a', 'b', 'c'] })
    expect(labelsOf('zipmap-named')).toEqual({ y: ['x', 'y', 'z'] })
    expect(engine.model('half')?.versions[0]).not.toHaveProperty('labels')
  })

  test('whose inputs disagree on their rows computes them, unless its settings say that they are a batch', async () => {
    // What is computed is moved away, so each has its own.
    const inputs = () => ({ a: floats([1], 1), b: floats([3], 1, 2, 3) })
    expect(await run('sum', inputs())).toEqual({ y: { shape: [3], data: [2, 3, 4] } })
    expect(run('sum-of-rows', inputs())).rejects.toMatchObject({
      code: 'INPUT_INVALID',
      detail: "input 'b' batch size does not match other inputs for 'sum-of-rows'",
    })
    expect(await run('sum-of-rows', { a: floats([2], 1, 1), b: floats([2], 1, 2) })).toEqual({ y: { shape: [2], data: [2, 3] } })
  })

  test('of scikit-learn whose answer is a map gives the numbers of the classes, in their order', async () => {
    for (const name of ['zipmap-integers', 'zipmap-packed', 'zipmap-texts']) {
      expect(engine.model(name)?.versions[0]?.outputs).toEqual([
        { name: 'y', datatype: 'FP32', shape: [-1, 3] },
        { name: 'z', datatype: 'FP32', shape: [-1, 3] },
      ])
      const data = [0.5, 0.25, 0.125, 1, 2, 3]
      expect(await run(name, { x: floats([2, 3], ...data) })).toEqual({ y: { shape: [2, 3], data }, z: { shape: [2, 3], data } })
    }
  })

  test('that says nothing of its shapes takes any, and lets no requests share a run', async () => {
    const [version] = engine.model('any-shape')?.versions ?? []
    expect(version).toMatchObject({ state: 'ready' })
    for (const shape of [[], [3], [3, 1], [1, 1, 3], [0, 2]]) {
      const data = shape.includes(0) ? [] : shape.length === 0 ? [1] : [1, 2, 3]
      expect(await run('any-shape', { x: floats(shape, ...data) })).toEqual({ y: { shape, data: data.map((value) => -value) } })
    }
    expect(engine.configuration('any-shape')).toMatchObject({ max_batch_size: 0, input: [{ dims: [-1] }] })
  })

  test('may have an input with the name of what every object has', async () => {
    const inputs = new Map([['__proto__', floats([1], 5)]])
    expect(plain(await engine.infer('odd-name', '1', inputs)).constructor).toEqual({ shape: [1], data: [-5] } as never)
  })

  test('that changes the case of texts is served with or without its locale', async () => {
    for (const name of ['upper-usual', 'upper-missing']) {
      const x: Tensor = { datatype: 'BYTES', shape: [2], data: ['été', 'ж'] }
      expect(await run(name, { x })).toEqual({ y: { shape: [2], data: ['ÉTÉ', 'Ж'] } })
    }
  })

  test('whose answer is a sequence of tensors of its own gives these, under their own names', async () => {
    const spec = (name: string) => ({ name, datatype: 'FP32' as const, shape: [-1] })
    const [n, s] = [
      { shape: [2], data: [-1, 2] },
      { shape: [2], data: [1, 2] },
    ]
    for (const [name, names] of [
      ['made', ['n', 's']],
      ['made-beside', ['s', 'n']],
    ] as const) {
      expect(engine.model(name)?.versions[0]?.outputs).toEqual(names.map(spec))
      expect(await run(name, { x: floats([2], 1, -2) })).toEqual({ n, s })
    }
    expect(engine.configuration('made')).toMatchObject({ max_batch_size: 32 })
  })

  test('whose answer is a map, and whose weights stand in a file beside it, is served', async () => {
    expect(await run('zipmap-external', { x: floats([1, 3], 1, 2, 3) })).toEqual({
      y: { shape: [1, 3], data: [1, 2, 3] },
      z: { shape: [1, 3], data: [2, 6, 12] },
    })
  })

  test('whose weights stand in a file beside it is served', async () => {
    expect(await run('external', { x: floats([2], 1, 2) })).toEqual({ y: { shape: [2], data: [3, 8] } })
  })

  test('with an input that has a default is served with it', async () => {
    expect(engine.model('defaulted')?.versions[0]?.inputs.map(({ name }) => name)).toEqual(['x'])
    expect(await run('defaulted', { x: floats([2], 1, 2) })).toEqual({ y: { shape: [2], data: [11, 12] } })
  })

  test('that quantises gives integers and scalars', async () => {
    expect(await run('quantizing', { x: floats([3], 0, 127.5, 255) })).toEqual({
      q: { shape: [3], data: [0, 128, 255] },
      scale: { shape: [], data: [1] },
      zero: { shape: [], data: [0] },
    })
  })

  test('of 8-bit integers and several inputs of any size is served', async () => {
    const a: Tensor = { datatype: 'UINT8', shape: [1, 2], data: new Uint8Array([200, 3]) }
    const b: Tensor = { datatype: 'INT8', shape: [2, 1], data: new Int8Array([-2, 5]) }
    expect(await run('product', { a, b })).toEqual({ y: { shape: [1, 1], data: [-385] } })
  })

  test('of half floats keeps them', async () => {
    const x: Tensor = { datatype: 'FP16', shape: [1, 2], data: new Float16Array([1.5, -65_504]) }
    expect(await run('half', { x })).toEqual({ y: { shape: [1, 2], data: [1.5, -65_504] } })
  })

  test('of texts keeps them', async () => {
    const x: Tensor = { datatype: 'BYTES', shape: [1, 2], data: ['é😀', ''] }
    expect(await run('texts', { x })).toEqual({ y: { shape: [1, 2], data: ['é😀', ''] } })
  })
})
