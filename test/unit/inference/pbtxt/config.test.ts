import { describe, expect, test } from 'bun:test'
import { interpretConfig } from '../../../../src/inference/repository/pbtxt/interpret.ts'
import { readConfigJson, readConfigText } from '../../../../src/inference/repository/pbtxt/typed-config.ts'

const read = (text: string) => interpretConfig(readConfigText(text), 'fraud')

const WHOLE = `
# What Triton's users write.
name: "fraud"
platform: "onnxruntime_onnx"
max_batch_size: 8
default_model_filename: "net.onnx"
version_policy: { specific { versions: [1, 3] } }
input [
  { name: "x" data_type: TYPE_FP32 dims: [ 4 ] },
  { name: "text" data_type: TYPE_STRING dims: [ -1 ] }
]
output { name: "label" data_type: TYPE_INT64 dims: 1 label_filename: "labels.txt" }
instance_group [ { count: 2 kind: KIND_CPU }, { kind: KIND_GPU count: 1 gpus: [ 0 ] } ]
dynamic_batching {
  preferred_batch_size: [ 4, 8 ]
  max_queue_delay_microseconds: 100
  priority_levels: 3
  default_priority_level: 2
  default_queue_policy { timeout_action: REJECT default_timeout_microseconds: 1500000 allow_timeout_override: true max_queue_size: 32 }
}
response_cache { enable: true }
optimization { graph { level: 1 } cuda { graphs: true } }
parameters { key: "intra_op_thread_count" value: { string_value: "2" } }
parameters: { key: "enable_mem_arena" value { string_value: "0" } }
parameters { key: "own" value { string_value: "x" } }
model_warmup {
  name: "two rows"
  batch_size: 2
  inputs { key: "x" value { data_type: TYPE_FP32 dims: 4 random_data: true } }
  inputs { key: "text" value { data_type: TYPE_STRING dims: 3 input_data_file: "texts" } }
}
`

describe('a config.pbtxt', () => {
  test('is read whole', () => {
    expect(read(WHOLE)).toMatchObject({
      batchSizeMax: 8,
      fileName: 'net.onnx',
      versions: { kind: 'specific', versions: ['1', '3'] },
      inputs: [
        { name: 'x', datatype: 'FP32', dims: [4], isOptional: false },
        { name: 'text', datatype: 'BYTES', dims: [-1] },
      ],
      outputs: [{ name: 'label', datatype: 'INT64', dims: [1], labelFile: 'labels.txt' }],
      settings: {
        instances: 3,
        threads: 2,
        arena: false,
        optimization: 'extended',
        rowsMax: 8,
        batchRowsMax: 8,
        batchDelayMs: 0.1,
        queueMax: 32,
        priorityLevels: 3,
        priorityDefault: 2,
        timeoutMs: 1500,
        isCached: true,
      },
      warmups: [
        {
          name: 'two rows',
          rows: 2,
          count: 1,
          inputs: [
            { name: 'x', datatype: 'FP32', dims: [4], data: 'random' },
            { name: 'text', datatype: 'BYTES', dims: [3], data: { file: 'texts' } },
          ],
        },
      ],
    })
  })

  test('reports what has no effect, with the line', () => {
    expect(read(WHOLE).warnings).toEqual([
      'config.pbtxt line 13: instance_group[1].gpus: has no effect: models are computed on the CPU',
      'config.pbtxt line 15: dynamic_batching.preferred_batch_size: has no effect: a batch takes all queued requests, up to max_batch_size',
      'config.pbtxt line 22: optimization.cuda: has no effect: models are computed on the CPU',
      'config.pbtxt line 13: instance_group[1].kind: has no effect: models are computed on the CPU',
      'config.pbtxt line 25: parameters["own"]: has no effect',
    ])
  })

  test('that says nothing loads the latest version, as there', () => {
    expect(read('')).toEqual({
      inputs: [],
      outputs: [],
      settings: {},
      versions: { kind: 'latest', count: 1 },
      warmups: [],
      table: {},
      warnings: [],
    })
  })

  test('with max_batch_size and without dynamic_batching joins no requests', () => {
    expect(read('max_batch_size: 4').settings).toEqual({ rowsMax: 4, batchRowsMax: 1 })
    expect(read('max_batch_size: 0').settings).toEqual({ batchRowsMax: 1 })
  })

  test('has the same meaning as the JSON of a request, where numbers may be texts', () => {
    const json = {
      max_batch_size: '8',
      input: [{ name: 'x', data_type: 'TYPE_FP32', dims: ['4'] }],
      version_policy: { all: {} },
      dynamic_batching: {},
      parameters: { intra_op_thread_count: { string_value: '2' } },
      model_warmup: [{ name: 'a', inputs: { x: { data_type: 'TYPE_FP32', dims: [4], zero_data: true } } }],
    }
    expect(interpretConfig(readConfigJson(json), 'fraud')).toMatchObject({
      batchSizeMax: 8,
      inputs: [{ name: 'x', datatype: 'FP32', dims: [4] }],
      versions: { kind: 'all' },
      settings: { rowsMax: 8, batchRowsMax: 8, threads: 2 },
      warmups: [{ inputs: [{ name: 'x', data: 'zero' }] }],
    })
    for (const wrong of [null, [], 7, { max_batch_size: 'x' }, { input: [[1]] }, { colour: 'red' }]) {
      expect(() => interpretConfig(readConfigJson(wrong), 'fraud')).toThrow()
    }
  })

  const faults: readonly (readonly [text: string, message: string])[] = [
    ['\nmax_batch: 4', 'config.pbtxt line 2: max_batch: is not a field of a model configuration'],
    ['max_batch_size: "4"', 'line 1: max_batch_size: must be a whole number'],
    ['max_batch_size: 1.5', 'line 1: max_batch_size: must be a whole number'],
    ['max_batch_size: -1', 'max_batch_size: must be from 0 to'],
    ['max_batch_size: 1\nmax_batch_size: 2', 'line 2: max_batch_size: is there twice'],
    ['name: "other"', 'name: must be the name of the folder, fraud'],
    ['name: fraud', 'name: must be a string in quotes'],
    ['platform: "tensorrt_plan"', 'platform: must be onnxruntime_onnx or ensemble'],
    ['backend: "python"', 'backend: must be onnxruntime'],
    ['sequence_batching {}', 'sequence_batching: models with a state between requests are not supported'],
    ['model_transaction_policy { decoupled: true }', 'model_transaction_policy.decoupled: '],
    ['input { data_type: TYPE_FP32 }', 'input[0]: must have a name'],
    ['input { name: "x" data_type: FP32 }', 'input[0].data_type: must be one of TYPE_INVALID, TYPE_BOOL'],
    ['input { name: "x" data_type: TYPE_BF16 }', 'input[0].data_type: TYPE_BF16 cannot be served'],
    ['input { name: "x" dims: [-2] }', 'input[0].dims: must be -1 or from 0 up'],
    ['input [{ name: "x" },\n{ name: "x" }]', 'line 2: input[1].name: is there twice'],
    ['input { name: "x" dims: [2] reshape { shape: [3] } }', 'input[0].reshape: must have as many elements as dims'],
    ['input { name: "x" dims: [-1] reshape { shape: [3] } }', 'input[0].reshape: must have as many sizes of -1 as dims'],
    ['input { name: "x" dims: [-1, -1] reshape { shape: [-1, -1] } }', 'input[0].reshape: must have as many sizes of -1 as dims'],
    ['input { name: "x" dims: [1] reshape { shape: [-2] } }', 'input[0].reshape: must have sizes of -1 or from 0 up'],
    ['input { name: "x" allow_ragged_batch: true }', 'input[0].allow_ragged_batch: '],
    ['output { name: "y" label_filename: "../labels" }', 'output[0].label_filename: must be a path inside'],
    ['default_model_filename: "../x.onnx"', 'default_model_filename: must be the name of a file'],
    ['default_model_filename: "a/x.onnx"', 'default_model_filename: must be the name of a file'],
    ['version_policy { latest {} all {} }', 'version_policy: must have one of'],
    ['version_policy { latest { num_versions: 0 } }', 'num_versions: must be from 1 to 64'],
    ['version_policy { specific {} }', 'version_policy.specific: must have 1 to 64 versions'],
    ['instance_group { count: 0 }', 'instance_group[0].count: must be from 1 up'],
    ['instance_group { count: 65 }', 'instance_group: must have at most 64'],
    ['dynamic_batching {}', 'dynamic_batching: needs a max_batch_size'],
    ['max_batch_size: 4 dynamic_batching { priority_levels: 2 }', 'default_priority_level: must be from 1 to 2'],
    ['max_batch_size: 4 dynamic_batching { default_queue_policy { timeout_action: DELAY } }', 'DELAY is not supported'],
    ['optimization { graph { level: 7 } }', 'optimization.graph.level: must be -1, 0, 1 or 2'],
    ['parameters { key: "a" }', 'parameters: must have one key and one value'],
    ['parameters { key: "intra_op_thread_count" value { string_value: "many" } }', 'must be from 1 to 256, or 0'],
    ['model_warmup { inputs { key: "x" value { data_type: TYPE_FP32 dims: 1 } } }', 'must have one of zero_data'],
    ['model_warmup { inputs { key: "x" value { dims: 1 zero_data: true } } }', 'must have a data_type'],
    [
      'model_warmup { inputs { key: "x" value { data_type: TYPE_FP32 dims: 1 input_data_file: "/etc/passwd" } } }',
      'must be a path inside',
    ],
    ['model_warmup { count: 2000 }', 'model_warmup[0].count: must be from 0 to 1000'],
  ]
  for (const [text, message] of faults) {
    test(`that is wrong gets the line, the field and the rule: ${text.replaceAll('\n', ' ').slice(0, 60)}`, () => {
      expect(() => read(text)).toThrow(message)
    })
  }
})
