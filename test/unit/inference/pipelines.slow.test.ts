import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { VestalError } from '../../../src/core/errors.ts'
import { createEngine, type EngineOptions } from '../../../src/inference/create-engine.ts'
import type { Engine, InferOptions } from '../../../src/inference/engine.ts'
import type { NamedTensors } from '../../../src/tensor/tensor.ts'
import { factorModel, inputOf, put as write } from '../../support/factor-model.ts'
import { identityModel, onnxModel, slowModel } from '../../support/tiny-models.ts'

let folder = ''
let engine: Engine | undefined

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'vestal-pipelines-'))
})
afterEach(async () => {
  await engine?.stop()
  rmSync(folder, { recursive: true })
})

const put = (path: string, content: Uint8Array | string) => write(folder, path, content)
const step = (model: string, input: string, output: string, more = '') =>
  `[[steps]]\nmodel = "${model}"\n${more}\ninputs = { x = "${input}" }\noutputs = { y = "${output}" }\n`

async function start(options: EngineOptions = {}): Promise<Engine> {
  engine = await createEngine({
    modelsDirectory: folder,
    threads: 1,
    instances: 1,
    modelControl: 'explicit',
    warn: () => undefined,
    ...options,
  })
  return engine
}

/** Doubles, then trebles: `raw` → `twice` → `answer`. */
async function putChain(): Promise<void> {
  await put('double/1/model.onnx', factorModel(2))
  await put('treble/1/model.onnx', factorModel(3))
  // The steps stand the wrong way round: the names say which comes first.
  await put('chain/pipeline.toml', step('treble', 'twice', 'answer') + step('double', 'raw', 'twice'))
}

async function ask(served: Engine, options: InferOptions = {}, values: readonly number[] = [1, 5]): Promise<unknown> {
  const inputs: NamedTensors = new Map([['raw', inputOf(...values).get('x') as never]])
  const outputs = await served.infer('chain', '1', inputs, options)
  return Object.fromEntries([...outputs].map(([name, { data }]) => [name, [...(data as Iterable<number>)]]))
}

async function codeOf(work: () => unknown): Promise<unknown> {
  try {
    return await work()
  } catch (error) {
    return error instanceof VestalError ? error.code : error
  }
}

describe('a pipeline', () => {
  test('is served like a model, with what its models take and give', async () => {
    await putChain()
    await put('chain/model.toml', 'description = "Six times"\n[permissions]\npredict = "six"')
    const served = await start()
    expect(served.model('chain')).toMatchObject({
      description: 'Six times',
      permissions: { predict: 'six', read: 'model:chain:read', admin: 'model:chain:admin' },
      versions: [
        {
          version: '1',
          state: 'ready',
          inputs: [{ name: 'raw', datatype: 'FP32', shape: [-1] }],
          outputs: [{ name: 'answer', datatype: 'FP32', shape: [-1] }],
        },
      ],
    })
    expect(await ask(served)).toEqual({ answer: [6, 30] })
    expect(served.statistics('chain')[0]).toMatchObject({ inferenceCount: 2, executionCount: 1, success: { count: 1 } })
    expect(served.index().map(({ name, state }) => [name, state])).toEqual([
      ['chain', 'READY'],
      ['double', 'READY'],
      ['treble', 'READY'],
    ])
  })

  test('may name its outputs, and give one tensor to several', async () => {
    await putChain()
    const fork = step('double', 'raw', 'twice') + step('treble', 'raw', 'thrice') + step('treble', 'twice', 'answer')
    await put('chain/pipeline.toml', `outputs = ["thrice", "twice", "answer"]\n${fork}`)
    const served = await start()
    expect(await ask(served)).toEqual({ thrice: [3, 15], twice: [2, 10], answer: [6, 30] })
    expect(await ask(served, { outputs: ['twice'] })).toEqual({ twice: [2, 10] })
  })

  test('may be part of another', async () => {
    await putChain()
    await put(
      'outer/pipeline.toml',
      `[[steps]]\nmodel = "chain"\ninputs = { raw = "a" }\noutputs = { answer = "b" }\n${step('double', 'b', 'c')}`,
    )
    const served = await start()
    const outputs = await served.infer('outer', '1', new Map([['a', inputOf(1).get('x') as never]]))
    expect(outputs.get('c')?.data[0]).toBe(12)
  })

  test('of a Triton configuration is the same', async () => {
    await putChain()
    rmSync(join(folder, 'chain/pipeline.toml'))
    await put('chain/1/.keep', '')
    await put(
      'chain/config.pbtxt',
      `platform: "ensemble"
       input { name: "raw" data_type: TYPE_FP32 dims: [ -1 ] }
       output { name: "answer" data_type: TYPE_FP32 dims: [ -1 ] }
       ensemble_scheduling { step [
         { model_name: "double" model_version: -1 input_map { key: "x" value: "raw" } output_map { key: "y" value: "twice" } },
         { model_name: "treble" model_version: 1 input_map { key: "x" value: "twice" } output_map { key: "y" value: "answer" } }
       ] }`,
    )
    const served = await start()
    expect(await ask(served)).toEqual({ answer: [6, 30] })
    expect(served.configuration('chain')).toMatchObject({
      platform: 'ensemble',
      ensemble_scheduling: { step: [{ model_name: 'double' }, {}] },
    })
  })

  const faults: readonly (readonly [what: string, text: string, reason: string])[] = [
    ['is no TOML', 'steps = ', 'pipeline.toml is not valid TOML'],
    ['has no steps', 'steps = []', 'pipeline.toml: "steps" must be a list of 1 to 64 tables'],
    ['has a step without a model', '[[steps]]\ninputs = { x = "a" }\noutputs = { y = "b" }', '"steps[0].model" is missing'],
    ['has a step without inputs', '[[steps]]\nmodel = "double"\noutputs = { y = "b" }', '"steps[0].inputs" is missing'],
    ['has a key that is not known', `colour = "red"\n${step('double', 'a', 'b')}`, '"colour" is not a key'],
    ['names a model that is not there', step('gone', 'a', 'b'), 'step 1 (gone): there is no such model'],
    ['names a version that is not there', step('double', 'a', 'b', 'version = 7'), 'step 1 (double): version 7 is not ready'],
    ['names a model that is broken', step('broken', 'a', 'b'), 'step 1 (broken): it is not ready'],
    [
      'names an input that is not there',
      '[[steps]]\nmodel = "double"\ninputs = { z = "a" }\noutputs = { y = "b" }',
      "it has no input 'z'; it has 'x'",
    ],
    [
      'names an output that is not there',
      '[[steps]]\nmodel = "double"\ninputs = { x = "a" }\noutputs = { z = "b" }',
      "it has no output 'z'",
    ],
    [
      'leaves an input out',
      '[[steps]]\nmodel = "two"\ninputs = { a = "a" }\noutputs = { y = "b" }',
      "its input 'b' gets nothing",
    ],
    ['makes a name twice', step('double', 'a', 'b') + step('treble', 'a', 'b'), '"b" is made by two steps'],
    ['answers a name that nobody makes', `outputs = ["c"]\n${step('double', 'a', 'b')}`, 'no step makes the output "c"'],
    [
      'goes round in a circle',
      step('double', 'a', 'b') + step('treble', 'b', 'a'),
      'its steps go round in a circle: double, treble',
    ],
    ['is part of itself', step('chain', 'a', 'b'), 'it goes round in a circle: chain → chain'],
    [
      'joins datatypes that differ',
      step('double', 'a', 'b') + step('texts', 'b', 'c'),
      `"b" is FP32[-1], but the input 'x' of texts takes BYTES[-1]`,
    ],
    [
      'joins shapes that differ',
      step('double', 'a', 'b') + step('square', 'b', 'c'),
      `"b" is FP32[-1], but the input 'x' of square takes FP32[-1,-1]`,
    ],
    [
      'joins sizes that differ',
      step('three', 'a', 'b') + step('four', 'b', 'c'),
      `"b" is FP32[3], but the input 'x' of four takes FP32[4]`,
    ],
    [
      'gives one input to sizes that differ',
      step('three', 'a', 'b') + step('four', 'a', 'c'),
      `"a" is FP32[3], but the input 'x' of four takes FP32[4]`,
    ],
  ]
  for (const [what, text, reason] of faults) {
    test(`that ${what} is unavailable, with the reason`, async () => {
      await putChain()
      await put('broken/1/model.onnx', 'broken')
      await put('texts/1/model.onnx', identityModel('BYTES'))
      await put('square/1/model.onnx', slowModel(1))
      await put('three/1/model.onnx', identityModel('FP32', [3]))
      await put('four/1/model.onnx', identityModel('FP32', [4]))
      await put('two/1/model.onnx', sumModel())
      await put('chain/pipeline.toml', text)
      const version = (await start()).model('chain')?.versions[0]
      expect(version?.state).toBe('unavailable')
      expect(version?.reason).toContain(reason)
    })
  }

  test('of two that are made of each other is unavailable', async () => {
    await put('a/pipeline.toml', step('b', 'x', 'y'))
    await put('b/pipeline.toml', step('a', 'x', 'y'))
    const served = await start()
    expect(served.model('a')?.versions[0]?.reason).toContain('it goes round in a circle: a → b → a')
    expect(served.model('b')?.versions[0]?.reason).toContain('it goes round in a circle: b → a → b')
  })
})

describe('a pipeline whose models change', () => {
  test('takes the new one, and is unavailable while they do not fit', async () => {
    await putChain()
    const served = await start()
    await put('treble/1/model.onnx', factorModel(7))
    await served.load('treble')
    expect(await ask(served)).toEqual({ answer: [14, 70] })
    await put('treble/1/model.onnx', identityModel('BYTES'))
    await served.load('treble')
    expect(served.model('chain')?.versions[0]?.reason).toContain("the input 'x' of treble takes BYTES[-1]")
    expect(await codeOf(() => ask(served))).toBe('MODEL_UNAVAILABLE')
    await put('treble/1/model.onnx', factorModel(3))
    await served.load('treble')
    expect(await ask(served)).toEqual({ answer: [6, 30] })
    await served.unload('double')
    expect(served.model('chain')?.versions[0]?.reason).toContain('step 2 (double): it is not ready')
    await served.load('double')
    expect(await ask(served)).toEqual({ answer: [6, 30] })
  })

  test('keeps a version that it names, and takes the newest where it names none', async () => {
    await putChain()
    await put('chain/pipeline.toml', step('double', 'raw', 'twice', 'version = 1') + step('treble', 'twice', 'answer'))
    const served = await start()
    await put('double/2/model.onnx', factorModel(100))
    await put('treble/2/model.onnx', factorModel(10))
    await served.load('double')
    await served.load('treble')
    expect(await ask(served)).toEqual({ answer: [20, 100] })
  })

  test('under load fails no request', async () => {
    await putChain()
    const served = await start()
    let isDone = false
    const client = async () => {
      while (!isDone) expect(await ask(served)).toEqual({ answer: [6, 30] })
    }
    const clients = Array.from({ length: 4 }, client)
    for (let round = 0; round < 10; round += 1) await served.load(round % 2 === 0 ? 'double' : 'treble')
    await served.load('chain')
    isDone = true
    await Promise.all(clients)
  })

  test('is loaded with those that it needs, and unloaded with them when that is asked for', async () => {
    await putChain()
    const served = await start({ loadAtStart: new Set() })
    expect(served.index()).toEqual([{ name: 'chain' }, { name: 'double' }, { name: 'treble' }])
    await served.load('chain')
    expect(await ask(served)).toEqual({ answer: [6, 30] })
    await served.unload('chain')
    expect(served.model('double')?.versions[0]?.state).toBe('ready')
    expect(served.model('chain')?.versions[0]?.reason).toBe('unloaded')
    await served.load('chain')
    await served.unload('chain', { dependents: true })
    expect(served.index().every(({ reason }) => reason === 'unloaded')).toBe(true)
  })
})

describe('a request to a pipeline', () => {
  test('passes its deadline, its end and its subject on', async () => {
    await put('slow/1/model.onnx', slowModel(200))
    await put('chain/pipeline.toml', step('slow', 'raw', 'a') + step('slow', 'a', 'answer'))
    const served = await start({ subjectRequestsMax: 1 })
    const matrix = (): NamedTensors => new Map([['raw', { datatype: 'FP32', shape: [300, 300], data: new Float32Array(90_000) }]])
    const infer = (options: InferOptions) => codeOf(() => served.infer('chain', '1', matrix(), options))
    expect(await infer({ timeoutMs: 1 })).toBe('REQUEST_TIMEOUT')
    const controller = new AbortController()
    const aborted = infer({ signal: controller.signal })
    controller.abort()
    expect(await aborted).toBe('REQUEST_ABORTED')
    const both = await Promise.all([infer({ subject: 'me' }), infer({ subject: 'me' })])
    expect(both).toContain('SUBJECT_LIMIT')
    expect(served.statistics('chain')[0]?.fail.count).toBe(3)
  })

  test('that a step rejects gets its reason', async () => {
    await putChain()
    const served = await start()
    expect(await codeOf(() => served.infer('chain', '1', inputOf(1)))).toBe('INPUT_INVALID')
  })
})

/** `a` + `b` → `y`. */
function sumModel(): Uint8Array {
  return onnxModel({
    nodes: [{ operator: 'Add', inputs: ['a', 'b'], outputs: ['y'] }],
    inputs: ['a', 'b'].map((name) => ({ name, datatype: 'FP32' as const, shape: ['n'] })),
    outputs: [{ name: 'y', datatype: 'FP32', shape: ['n'] }],
  })
}
