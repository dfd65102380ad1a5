import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { VestalError } from '../../../../src/core/errors.ts'
import { createEngine } from '../../../../src/inference/create-engine.ts'
import type { Engine } from '../../../../src/inference/engine.ts'
import type { NamedTensors, Tensor } from '../../../../src/tensor/tensor.ts'
import { identityModel, twoOutputModel } from '../../../support/tiny-models.ts'

let folder = ''
let engine: Engine | undefined
let warnings: string[] = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'vestal-pbtxt-'))
  warnings = []
})
afterEach(async () => {
  await engine?.stop()
  rmSync(folder, { recursive: true })
})

const put = (path: string, content: Uint8Array | string) => Bun.write(join(folder, 'two', path), content)

/** Serves one model, `x` FP32[-1,2] → `double`, `negative`, with that configuration. */
async function serve(config: string, file = 'model.onnx'): Promise<Engine> {
  await put(`1/${file}`, twoOutputModel())
  await put('config.pbtxt', config)
  engine = await createEngine({ modelsDirectory: folder, threads: 1, warn: (text) => warnings.push(text) })
  return engine
}

const rows = (count: number): NamedTensors =>
  new Map([['x', { datatype: 'FP32', shape: [count, 2], data: new Float32Array(count * 2) }]])

describe('a model with a config.pbtxt', () => {
  test('is served as it declares', async () => {
    const served = await serve(
      `max_batch_size: 2
       default_model_filename: "net.onnx"
       input { name: "x" data_type: TYPE_FP32 dims: [ 2 ] }
       output { name: "negative" data_type: TYPE_FP32 dims: 2 label_filename: "labels.txt" }
       dynamic_batching { max_queue_delay_microseconds: 50 preserve_ordering: true }
       metric_tags { key: "team" value: "a" }
      `,
      'net.onnx',
    )
    // The first start has no label file: that is told, and mended by a second.
    expect(served.model('two')?.versions[0]?.reason).toBe("the label file labels.txt of the output 'negative' is missing")
    await put('labels.txt', 'left\r\nright\n')
    await served.stop()
    engine = await createEngine({ modelsDirectory: folder, threads: 1, warn: (text) => warnings.push(text) })
    expect(engine.model('two')?.versions).toMatchObject([{ state: 'ready', inputs: [{ name: 'x', shape: [-1, 2] }] }])
    expect(engine.model('two')?.labels).toEqual(new Map([['negative', ['left', 'right']]]))
    expect(engine.configuration('two')).toMatchObject({
      max_batch_size: 2,
      input: [{ name: 'x', data_type: 'TYPE_FP32', dims: [2] }],
      output: [
        { name: 'double', dims: [2] },
        { name: 'negative', dims: [2], label_filename: 'labels.txt' },
      ],
      dynamic_batching: { max_queue_delay_microseconds: 50 },
      version_policy: { latest: { num_versions: 1 } },
    })
    expect(warnings).toEqual([
      'two: config.pbtxt line 5: dynamic_batching.preserve_ordering: has no effect: every answer goes to its own request',
      'two: config.pbtxt line 6: metric_tags: has no effect: metrics have their own labels',
    ])
  })

  test('rejects more rows than max_batch_size', async () => {
    const served = await serve('max_batch_size: 2')
    expect((await served.infer('two', '1', rows(2))).size).toBe(2)
    let error: unknown
    try {
      await served.infer('two', '1', rows(3))
    } catch (thrown) {
      error = thrown
    }
    expect(error).toBeInstanceOf(VestalError)
    expect(error).toMatchObject({
      code: 'INPUT_INVALID',
      detail: "inference request batch-size must be <= 2 for 'two', and is 3",
    })
  })

  const faults: readonly (readonly [config: string, reason: string])[] = [
    ['max_batch_size: ', 'config.pbtxt line 1: expected a value, got "the end"'],
    ['input { name: "z" }', "config.pbtxt: the model has no input 'z'; it has 'x'"],
    ['input { name: "x" data_type: TYPE_INT64 }', "config.pbtxt: the input 'x' is INT64, but the model has FP32"],
    ['input { name: "x" dims: [ 2 ] }', "config.pbtxt: the input 'x' has dims [2], but the model has [-1,2]"],
    ['max_batch_size: 4 input { name: "x" dims: [ 3 ] }', "the input 'x' has dims [3], but the model has [-1,2] (its first"],
    ['input { name: "x" dims: [ -1, -1 ] }', "the input 'x' has dims [-1,-1], but the model has [-1,2]"],
    ['input { name: "x" optional: true }', "the input 'x' is optional there, and the model needs it"],
    ['output { name: "y" }', "config.pbtxt: the model has no output 'y'; it has 'double', 'negative'"],
    ['default_model_filename: "net.onnx"', 'its net.onnx is missing'],
  ]
  for (const [config, reason] of faults) {
    test(`that does not fit is unavailable: ${config}`, async () => {
      const served = await serve(config)
      expect(served.model('two')?.versions[0]).toMatchObject({ state: 'unavailable', reason: expect.stringContaining(reason) })
    })
  }

  test('may have other shapes outside than the model has', async () => {
    const served = await serve(
      `max_batch_size: 4
       input { name: "x" data_type: TYPE_FP32 dims: [ 1, 2, 1 ] reshape { shape: [ 2 ] } }
       output { name: "double" data_type: TYPE_FP32 dims: [ 2, 1 ] reshape { shape: [ 2 ] } }`,
    )
    expect(served.model('two')?.versions[0]).toMatchObject({
      state: 'ready',
      inputs: [{ name: 'x', shape: [-1, 1, 2, 1] }],
      outputs: [
        { name: 'double', shape: [-1, 2, 1] },
        { name: 'negative', shape: [-1, 2] },
      ],
    })
    const x: Tensor = { datatype: 'FP32', shape: [2, 1, 2, 1], data: new Float32Array([1, 2, 3, 4]) }
    const outputs = await served.infer('two', '1', new Map([['x', x]]))
    expect(outputs.get('double')).toEqual({ datatype: 'FP32', shape: [2, 2, 1], data: new Float32Array([2, 4, 6, 8]) })
    expect(outputs.get('negative')?.shape).toEqual([2, 2])
  })

  test('of one dimension is served in batches with a reshape to none, as there', async () => {
    await put('1/model.onnx', identityModel('BYTES'))
    const side = (name: string) => `{ name: "${name}" data_type: TYPE_STRING dims: [ 1 ] reshape { shape: [] } }`
    await put('config.pbtxt', `max_batch_size: 8 input ${side('x')} output ${side('y')}`)
    engine = await createEngine({ modelsDirectory: folder, threads: 1, warn: () => undefined })
    const x: Tensor = { datatype: 'BYTES', shape: [2, 1], data: ['a', 'b'] }
    const outputs = await engine.infer('two', '1', new Map([['x', x]]))
    expect(outputs.get('y')).toEqual({ datatype: 'BYTES', shape: [2, 1], data: ['a', 'b'] })
  })

  test('of a scalar has dims of 1, as there, in its warm-up too', async () => {
    await put('1/model.onnx', identityModel('FP32', []))
    const side = (name: string, dims: string) => `{ name: "${name}" data_type: TYPE_FP32 dims: ${dims} }`
    const warmup =
      'model_warmup { name: "w" batch_size: 1 inputs { key: "x" value { data_type: TYPE_FP32 dims: 1 zero_data: true } } }'
    await put('config.pbtxt', `max_batch_size: 0 input ${side('x', '[ 1 ]')} output ${side('y', '[ 1 ]')} ${warmup}`)
    engine = await createEngine({ modelsDirectory: folder, threads: 1, warn: () => undefined })
    expect(engine.model('two')?.versions[0]).toMatchObject({ state: 'ready', inputs: [{ shape: [] }] })
    expect(engine.configuration('two')).toMatchObject({ input: [{ dims: [1] }], output: [{ dims: [1] }] })
    await engine.stop()
    await put('config.pbtxt', `max_batch_size: 0 input ${side('x', '[ 2 ]')}`)
    engine = await createEngine({ modelsDirectory: folder, threads: 1, warn: () => undefined })
    expect(engine.model('two')?.versions[0]?.reason).toContain("the input 'x' has dims [2], but the model has []")
  })

  test('in batches needs a first dimension of any size', async () => {
    await put('1/model.onnx', identityModel('FP32', [3]))
    await put('config.pbtxt', 'max_batch_size: 4')
    engine = await createEngine({ modelsDirectory: folder, threads: 1, warn: () => undefined })
    expect(engine.model('two')?.versions[0]?.reason).toContain("the input 'x' is [3]")
  })

  test('is warmed up with what it records', async () => {
    const warmup = (data: string) =>
      `max_batch_size: 4 model_warmup { name: "one" batch_size: 1 inputs { key: "x" value { data_type: TYPE_FP32 dims: 2 ${data} } } }`
    await put('warmup/good', new Uint8Array(new Float32Array([1, 2]).buffer))
    await put('warmup/short', new Uint8Array(4))
    Bun.spawnSync(['mkfifo', join(folder, 'two', 'warmup', 'pipe')])
    for (const [data, reason] of [
      ['zero_data: true', undefined],
      ['random_data: true', undefined],
      ['input_data_file: "good"', undefined],
      ['input_data_file: "short"', 'model_warmup "one": input byte size mismatch for input \'x\''],
      ['input_data_file: "pipe"', 'model_warmup "one": warmup/pipe is not a file'],
      ['input_data_file: "none"', 'model_warmup "one": warmup/none is missing'],
    ] as const) {
      const served = await serve(warmup(data))
      const fault = served.model('two')?.versions[0]?.reason
      expect(fault).toEqual(reason === undefined ? undefined : expect.stringContaining(reason))
      await served.stop()
    }
  })

  test('of no batches is warmed up with what its batch size of 1 does not change', async () => {
    for (const size of ['max_batch_size: 0', '']) {
      const served = await serve(
        `${size} model_warmup { name: "one" batch_size: 1 inputs { key: "x" value { data_type: TYPE_FP32 dims: [3, 2] zero_data: true } } }`,
      )
      expect(served.model('two')?.versions[0]).toMatchObject({ state: 'ready' })
      await served.stop()
    }
  })

  test('is also what model.toml says, which goes first', async () => {
    await put('model.toml', '[versions]\nall = true\n[serving]\nrows_max = 1')
    await put('2/model.onnx', twoOutputModel())
    const served = await serve('max_batch_size: 4')
    expect(served.model('two')?.versions.map(({ state }) => state)).toEqual(['ready', 'ready'])
    expect(() => served.infer('two', '1', rows(2))).toThrow('batch-size must be <= 1')
  })
})
