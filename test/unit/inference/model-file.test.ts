import { describe, expect, test } from 'bun:test'
import { EMPTY_MODEL_FILE, readModelFile } from '../../../src/inference/repository/model-file.ts'

describe('model.toml', () => {
  test('is read whole', () => {
    const text = `
description = "Names a flower"
[permissions]
predict = "flowers:ask"
[outputs.label]
labels = ["a", "b"]
[[examples]]
input = [[1, 2.5]]
[[examples]]
[examples.input]
x = ["y"]
[versions]
latest = 2
[serving]
instances = 2
threads = 1
arena = false
optimization = "basic"
rows_max = 100
queue_max = 7
priority_levels = 3
priority_default = 2
timeout_ms = 500
cache = true
[batching]
rows_max = 16
delay_ms = 0.5
[sha256]
"1/model.onnx" = "${'AB'.repeat(32)}"
[[warmup]]
input = [[1]]
output = [1]
tolerance = 0.5
count = 3
[[warmup]]
input = [[2]]
`
    expect(readModelFile(text)).toEqual({
      versions: { kind: 'latest', count: 2 },
      settings: {
        instances: 2,
        threads: 1,
        arena: false,
        optimization: 'basic',
        rowsMax: 100,
        queueMax: 7,
        priorityLevels: 3,
        priorityDefault: 2,
        timeoutMs: 500,
        isCached: true,
        batchRowsMax: 16,
        batchDelayMs: 0.5,
      },
      checksums: new Map([['1/model.onnx', 'ab'.repeat(32)]]),
      warmups: [
        { kind: 'rows', input: [[1]], output: [1], tolerance: 0.5, count: 3 },
        { kind: 'rows', input: [[2]], tolerance: 1e-4, count: 1 },
      ],
      description: 'Names a flower',
      permissions: { predict: 'flowers:ask' },
      labels: new Map([['label', ['a', 'b']]]),
      examples: [[[1, 2.5]], { x: ['y'] }],
    })
  })

  test('may be empty', () => {
    expect(readModelFile('')).toEqual(EMPTY_MODEL_FILE)
  })

  const faults: readonly (readonly [text: string, message: string])[] = [
    ['a = ', 'model.toml is not valid TOML'],
    ['colour = "red"', '"colour" is not a key that is known'],
    ['description = 7', '"description" must be a string'],
    ['permissions = "x"', '"permissions" must be a table'],
    ['[permissions]\nload = "x"', '"permissions.load" is not a key that is known'],
    ['[permissions]\nadmin = "flowers:rule"', '"permissions.admin" must end with :admin or :write'],
    ['[permissions]\nadmin = "a b:admin"', '"permissions.admin" must be a string without spaces'],
    ['[permissions]\npredict = 7', '"permissions.predict" must be a string without spaces'],
    ['[permissions]\npredict = ""', '"permissions.predict" must be a string without spaces'],
    ['[permissions]\npredict = "a b"', '"permissions.predict" must be a string without spaces'],
    ['[permissions]\npredict = "model:*:predict"', '"permissions.predict" must be a string without spaces'],
    ['outputs = []', '"outputs" must be a table'],
    ['[outputs.y]', '"outputs.y.labels" must be a list of strings'],
    ['[outputs.y]\nlabels = []', '"outputs.y.labels" must be a list of strings'],
    ['[outputs.y]\nlabels = [1]', '"outputs.y.labels" must be a list of strings'],
    ['[outputs.y]\nlabels = ["a", "a"]', '"outputs.y.labels" has a label twice'],
    ['[outputs.y]\nlabels = ["a"]\nother = 1', '"outputs.y.other" is not a key that is known'],
    ['examples = {}', '"examples" must be a list of tables'],
    ['examples = [1]', '"examples[0]" must be a table'],
    ['[versions]', '"versions.latest" (or "only", or "all = true") must be there, one of them'],
    ['[versions]\nlatest = 0', '"versions.latest" must be a whole number from 1 to 64'],
    ['[versions]\nlatest = 1\nall = true', '"versions.latest" (or "only", or "all = true") must be there, one of them'],
    ['[versions]\nall = false', '"versions.latest" (or'],
    ['[versions]\nonly = []', '"versions.only" must be a list of 1 to 64 whole numbers'],
    ['[versions]\nonly = ["1"]', '"versions.only" must be a list of 1 to 64 whole numbers'],
    ['[versions]\nnewest = 1', '"versions.newest" is not a key that is known'],
    ['[serving]\ninstances = 0', '"serving.instances" must be a whole number from 1 to 64'],
    ['[serving]\nthreads = 1.5', '"serving.threads" must be a whole number'],
    ['[serving]\nisolation = "thread"', '"serving.isolation" must be one of process, shared'],
    ['[serving]\narena = 1', '"serving.arena" must be true or false'],
    ['[serving]\noptimization = "most"', '"serving.optimization" must be one of disabled, basic, extended, all'],
    ['[serving]\npriority_default = 2', '"serving.priority_default" must be one of the priority_levels'],
    ['[batching]\ndelay_ms = -1', '"batching.delay_ms" must be a number from 0'],
    ['[batching]\nsize = 4', '"batching.size" is not a key that is known'],
    ['[sha256]\n"1/model.onnx" = "abc"', '"sha256.1/model.onnx" must be a SHA-256 of 64 hexadecimal digits'],
    ['[sha256]\n"a\\nb" = 7', 'must be a SHA-256 of 64 hexadecimal digits'],
    ['[serving]\nthread = 1', '"serving.thread" is not a key that is known; did you mean threads?'],
    ['permissions = {}\n[__proto__]\npredict = 1', '"__proto__" is not a key that is known'],
    ['[[warmup]]', '"warmup[0].input" is missing'],
    ['[[warmup]]\ninput = 1\ncount = 0', '"warmup[0].count" must be a whole number from 1 to 1000'],
    ['[[examples]]', '"examples[0].input" is missing'],
    ['[[examples]]\ninput = 1\noutput = 2', '"examples[0].output" is not a key that is known'],
  ]
  for (const [text, message] of faults) {
    test(`that is wrong gets the key and the rule: ${text.replaceAll('\n', ' ')}`, () => {
      expect(() => readModelFile(text)).toThrow(message)
    })
  }
})
