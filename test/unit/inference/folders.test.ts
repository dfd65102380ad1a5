import { afterAll, describe, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, rmSync, utimesSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createEngine } from '../../../src/inference/create-engine.ts'
import type { ModelVersion } from '../../../src/inference/engine.ts'
import { fingerprintOf, watchFiles } from '../../../src/inference/repository/fingerprint.ts'
import { findModels } from '../../../src/inference/repository/scan.ts'
import { factorModel } from '../../support/factor-model.ts'
import {
  type ModelFiles,
  scoreFolder,
  sentenceFolder,
  textModel,
  tokenizerJson,
  writeFolder,
} from '../../support/text-folders.ts'
import { identityModel, onnxModel } from '../../support/tiny-models.ts'

const folders: string[] = []
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true })
})

/** The versions of a model with these files, by number. */
async function served(files: ModelFiles): Promise<Readonly<Record<string, ModelVersion>>> {
  const folder = await placed(files)
  await using engine = await createEngine({ modelsDirectory: folder, warn: () => undefined })
  return Object.fromEntries((engine.model('m')?.versions ?? []).map((version) => [version.version, version]))
}

/** A new folder of models with these files in that of one, `m`. */
async function placed(files: ModelFiles): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'vestal-folders-'))
  folders.push(folder)
  await writeFolder(join(folder, 'm'), files)
  return folder
}

/** What is found in a model's folder: its file of each version, or why there is none. */
async function found(files: ModelFiles) {
  const folder = await placed(files)
  const warnings: string[] = []
  const [model] = findModels({ modelsDirectory: folder, warn: (message) => warnings.push(message) })
  const versions = model?.versions.map(({ version, path, reason }) => [version, reason ?? path.slice(`${folder}/m/`.length)])
  return { versions, reason: model?.reason, warnings: model?.warnings }
}

async function task(files: ModelFiles) {
  const { '1': version } = await served(files)
  return version?.task ?? version?.reason
}

describe('a folder of sentence-transformers', () => {
  test('is an embedding, as its files say', async () => {
    const { '1': version } = await served(sentenceFolder())
    expect(version?.batching?.runs).toBe('shared')
    expect(version?.task).toMatchObject({
      task: 'embedding',
      text: { tokensMax: 32, padId: 0, isStripped: true, inputs: { ids: 'input_ids', mask: 'attention_mask' } },
      vector: { output: 'last_hidden_state', form: 'tokens', pooling: ['mean'], isNormalized: true, dimensions: 4 },
      sources: { task: 'modules.json', tokensMax: 'sentence_bert_config.json max_seq_length', pooling: '1_Pooling/config.json' },
    })
  })
})

describe('a folder of Hugging Face', () => {
  test('is a classifier, with the labels in the order of their numbers', async () => {
    const labels = Array.from({ length: 11 }, (_, index) => `class ${index}`)
    expect(await task(scoreFolder('BertForSequenceClassification', labels))).toMatchObject({
      task: 'classify',
      text: { tokensMax: 16, truncationSide: 'left' },
      scores: { output: 'logits', labels, activation: 'softmax' },
    })
  })

  test('with a tokenizer that is none is unavailable, and says so', async () => {
    const files = sentenceFolder({ 'tokenizer.json': '{"version": 1}' })
    expect(await task(files)).toMatch(/^its tokenizer\.json cannot be used: /)
  })
})

describe('the file of a version', () => {
  const cases: readonly (readonly [
    name: string,
    files: Readonly<Record<string, string>>,
    versions: readonly (readonly string[])[],
  ])[] = [
    ['is model.onnx in the folder of the model', { 'model.onnx': 'x', 'other.onnx': 'x' }, [['1', 'model.onnx']]],
    ['is that in onnx/', { 'onnx/model.onnx': 'x', 'onnx/model_quantized.onnx': 'x' }, [['1', 'onnx/model.onnx']]],
    ['is model.onnx before that in onnx/', { 'model.onnx': 'x', 'onnx/model.onnx': 'x' }, [['1', 'model.onnx']]],
    ['is the only one', { 'net.onnx': 'x', 'net.onnx.data': 'x' }, [['1', 'net.onnx']]],
    ['is the only one in onnx/', { 'onnx/net.onnx': 'x' }, [['1', 'onnx/net.onnx']]],
    [
      'is so in the folder of a version too',
      { '3/onnx/model.onnx': 'x', '7/net.onnx': 'x' },
      [
        ['7', '7/net.onnx'],
        ['3', '3/onnx/model.onnx'],
      ],
    ],
    [
      'is that of the model beside those of other versions',
      { 'model.onnx': 'x', '2/onnx/model.onnx': 'x' },
      [
        ['2', '2/onnx/model.onnx'],
        ['1', 'model.onnx'],
      ],
    ],
    ['is not any file beside versions', { 'draft.onnx': 'x', '2/model.onnx': 'x' }, [['2', '2/model.onnx']]],
    [
      'is the one that model.toml names',
      { 'onnx/model.onnx': 'x', 'onnx/model_int8.onnx': 'x', 'model.toml': '[huggingface]\nfile = "onnx/model_int8.onnx"' },
      [['1', 'onnx/model_int8.onnx']],
    ],
    [
      'is the one that MLmodel names in quotes',
      { MLmodel: 'flavors:\n  onnx:\n    data: "net.onnx"\n', 'net.onnx': 'x', 'a.onnx': 'x' },
      [['1', 'net.onnx']],
    ],
    [
      'is the one that MLmodel names',
      { MLmodel: 'flavors:\n  onnx:\n    data: net.onnx\n', 'net.onnx': 'x', 'model.onnx': 'x' },
      [['1', 'net.onnx']],
    ],
  ]
  for (const [name, files, versions] of cases)
    test(name, async () => {
      expect(await found(files)).toEqual({ versions, reason: undefined, warnings: undefined } as never)
    })

  const faults: readonly (readonly [name: string, files: Readonly<Record<string, string>>, reason: string])[] = [
    [
      'two of other names',
      { 'a.onnx': 'x', 'b.onnx': 'x' },
      'it has a.onnx, b.onnx, and none of them is model.onnx; in model.toml, [huggingface] file = "a.onnx" would name it',
    ],
    [
      'only a quantised one',
      { 'onnx/model_quantized.onnx': 'x' },
      'its only model, onnx/model_quantized.onnx, is quantised, and answers differently; in model.toml, [huggingface] file = "onnx/model_quantized.onnx" would name it',
    ],
    ['only one of integers', { 'model_qint8_avx512.onnx': 'x' }, 'its only model, model_qint8_avx512.onnx, is quantised'],
    [
      'an encoder and a decoder',
      { 'encoder_model.onnx': 'x', 'decoder_model.onnx': 'x', 'decoder_with_past_model.onnx': 'x' },
      'a model of an encoder and a decoder',
    ],
    [
      'a named one that is not there',
      { 'model.onnx': 'x', 'model.toml': '[huggingface]\nfile = "other.onnx"' },
      'its other.onnx is missing; in model.toml, [huggingface] file = "model.onnx" would name its model',
    ],
    [
      'an MLmodel that leads out',
      { MLmodel: 'flavors:\n  onnx:\n    data: ../net.onnx\n', 'model.onnx': 'x' },
      'its MLmodel names a file that is not inside its folder',
    ],
    ['an empty one', { 'onnx/model.onnx': '' }, 'its onnx/model.onnx is empty; copy it again'],
  ]
  for (const [name, files, reason] of faults)
    test(`is not there for ${name}`, async () => {
      expect((await found(files)).versions).toEqual([['1', expect.stringContaining(reason)]])
    })

  test('is that of the folder 1, and the one beside it is warned of', async () => {
    expect(await found({ 'model.onnx': 'x', '1/model.onnx': 'x' })).toMatchObject({
      versions: [['1', '1/model.onnx']],
      warnings: ['model.onnx beside its versions is not served: the folder 1 is version 1'],
    })
  })
})

describe('folders of models', () => {
  test('serve a bare file with its weights beside it', async () => {
    const model = onnxModel({
      nodes: [{ operator: 'Mul', inputs: ['x', 'w'], outputs: ['y'] }],
      inputs: [{ name: 'x', datatype: 'FP32', shape: ['n'] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: ['n'] }],
      constants: [{ name: 'w', shape: [1], values: Float32Array.of(2), location: 'model.onnx_data' }],
    })
    const { '1': version } = await served({
      'onnx/model.onnx': model,
      'onnx/model.onnx_data': new Uint8Array(Float32Array.of(2).buffer),
    })
    expect(version).toMatchObject({ state: 'ready', outputs: [{ name: 'y' }] })
    const { '1': lost } = await served({ 'onnx/model.onnx': model })
    expect(lost?.reason).toContain('its weights are in "model.onnx_data" beside it, which is missing')
  })

  test('have versions that are other folders, each with a task of its own', async () => {
    const second = Object.entries(scoreFolder('BertForSequenceClassification', ['no', 'yes']))
    const versions = await served({
      ...sentenceFolder(),
      ...Object.fromEntries(second.map(([path, content]) => [`2/${path}`, content])),
      '3/model.onnx': factorModel(2),
    })
    expect(Object.values(versions).map(({ version, state, task: own }) => [version, state, own?.task])).toEqual([
      ['1', 'ready', 'embedding'],
      ['2', 'ready', 'classify'],
      ['3', 'ready', undefined],
    ])
  })

  test('with checksums need one of each file that decides what is answered', async () => {
    const files = sentenceFolder()
    const sum = (path: string) => {
      const content = files[path]
      const bytes = typeof content === 'object' && !(content instanceof Uint8Array) ? JSON.stringify(content) : (content ?? '')
      return new Bun.CryptoHasher('sha256').update(bytes as string).digest('hex')
    }
    const toml = (paths: readonly string[]) => `[sha256]\n${paths.map((path) => `"${path}" = "${sum(path)}"`).join('\n')}`
    const all = Object.keys(files)
    expect(await task({ ...files, 'model.toml': toml(all) })).toMatchObject({ task: 'embedding' })
    for (const path of all) {
      const open = toml(all.filter((each) => each !== path))
      expect(await task({ ...files, 'model.toml': open })).toBe(`model.toml: "sha256" has no checksum of ${path}`)
    }
    const changed = { ...files, 'model.toml': toml(all), 'tokenizer.json': `${files['tokenizer.json']} ` }
    expect(await task(changed)).toBe('tokenizer.json is not the file whose SHA-256 model.toml names')
  })

  test('may come with a load request, in the folder of a version', async () => {
    const folder = await placed({})
    mkdirSync(join(folder, 'm'), { recursive: true })
    await using engine = await createEngine({
      modelsDirectory: folder,
      warn: () => undefined,
      modelControl: 'explicit',
      mayOverride: true,
    })
    const files = Object.entries(sentenceFolder()).map(([path, content]): readonly [string, Uint8Array] => {
      const isJson = typeof content === 'object' && !(content instanceof Uint8Array)
      return [`1/${path}`, Buffer.from(isJson ? JSON.stringify(content) : (content as string))]
    })
    await engine.load('m', { config: '{"backend": "onnxruntime"}', files: new Map(files) })
    expect(engine.model('m')?.versions[0]?.task).toMatchObject({ task: 'embedding', vector: { dimensions: 4 } })
  })

  test('are tensors where model.toml says so', async () => {
    const { '1': version } = await served(sentenceFolder({ 'model.toml': 'task = "tensors"', 'tokenizer.json': 'broken' }))
    expect([version?.state, version?.task]).toEqual(['ready', undefined])
  })

  test('whose rows depend on each other say that each text is computed alone', async () => {
    const files = sentenceFolder({ 'model.toml': '[batching]\nrows_max = 1' })
    expect(await task(files)).toMatchObject({ aloneReason: 'its settings let no requests share a run' })
  })

  const hostile = {
    'that is a Git LFS pointer': [
      'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n',
      /^its tokenizer\.json cannot be used: it is a Git LFS pointer, .*git lfs pull$/,
    ],
    'that is no tokenizer': ['['.repeat(200_000), /^its tokenizer\.json cannot be used: /],
    // Read without a complaint, it ends the process that encodes a text with it.
    'that ends its process': [
      tokenizerJson({
        normalizer: {
          type: 'Precompiled',
          precompiled_charsmap: Buffer.from([4, 0, 0, 0, 255, 255, 255, 255, 1]).toString('base64'),
        },
      }),
      /^the worker process ended before the model and its tokenizer were loaded \(/,
    ],
  } as const
  for (const [what, [tokenizer, reason]] of Object.entries(hostile))
    test(`with a file ${what} are unavailable, and leave the others alone`, async () => {
      const folder = await placed(sentenceFolder({ 'tokenizer.json': tokenizer }))
      await Bun.write(join(folder, 'other/model.onnx'), identityModel('FP32'))
      await using engine = await createEngine({ modelsDirectory: folder, warn: () => undefined })
      expect(engine.models().map(({ name, versions: [version] }) => [name, version?.state])).toEqual([
        ['m', 'unavailable'],
        ['other', 'ready'],
      ])
      expect(engine.model('m')?.versions[0]?.reason).toMatch(reason)
    })
})

describe('a folder of pictures or sound', () => {
  /** The means of each channel as logits. */
  const means = onnxModel({
    nodes: [
      { operator: 'GlobalAveragePool', inputs: ['pixel_values'], outputs: ['means'] },
      { operator: 'Flatten', inputs: ['means'], outputs: ['logits'], axis: 1 },
    ],
    inputs: [{ name: 'pixel_values', datatype: 'FP32', shape: ['batch', 3, 'height', 'width'] }],
    outputs: [{ name: 'logits', datatype: 'FP32', shape: ['batch', 3] }],
  })
  const pictures = {
    'onnx/model.onnx': means,
    'config.json': {
      architectures: ['ViTForImageClassification'],
      model_type: 'vit',
      id2label: { 0: 'red', 1: 'green', 2: 'blue' },
    },
    'preprocessor_config.json': {
      size: { height: 8, width: 8 },
      do_normalize: true,
      image_mean: [0.5, 0.5, 0.5],
      image_std: [0.5, 0.5, 0.5],
    },
  }

  test('is tried and warmed up with pictures of its size, and requests share runs', async () => {
    const folder = await placed(pictures)
    const warnings: string[] = []
    await using engine = await createEngine({ modelsDirectory: folder, warn: (message) => warnings.push(message) })
    const [version] = engine.model('m')?.versions ?? []
    expect(warnings).toEqual([])
    expect(version?.batching).toEqual({ runs: 'shared', reason: expect.stringContaining('recorded rows had the same answers') })
    expect(version?.task).toMatchObject({ task: 'image-classify', image: { steps: [{ kind: 'warp', width: 8, height: 8 }] } })
  })

  test('of a graph for one picture says why each is computed alone', async () => {
    const model = onnxModel({
      nodes: [{ operator: 'Flatten', inputs: ['x'], outputs: ['y'], axis: 1 }],
      inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 1, 2, 2] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: [1, 4] }],
    })
    const toml = 'task = "image-classify"\n[image]\nmean = 0\n[scores]\nactivation = "softmax"'
    expect(await task({ 'model.onnx': model, 'model.toml': toml })).toMatchObject({
      image: { channels: 'grey', steps: [{ kind: 'warp', width: 2, height: 2 }] },
      scores: { labels: ['LABEL_0', 'LABEL_1', 'LABEL_2', 'LABEL_3'] },
      aloneReason: 'an input does not begin with a dimension of any size',
    })
  })

  test('of sound is tried with a second of it', async () => {
    const model = onnxModel({
      nodes: [
        { operator: 'ReduceSum', inputs: ['input_values', 'one'], outputs: ['sum'] },
        { operator: 'MatMul', inputs: ['sum', 'weights'], outputs: ['logits'] },
      ],
      constants: [
        { name: 'one', shape: [1], values: new BigInt64Array([1n]) },
        { name: 'weights', shape: [1, 2], values: Float32Array.of(1, -1) },
      ],
      inputs: [{ name: 'input_values', datatype: 'FP32', shape: ['batch', 'samples'] }],
      outputs: [{ name: 'logits', datatype: 'FP32', shape: ['batch', 2] }],
    })
    const files = {
      'model.onnx': model,
      'config.json': {
        architectures: ['Wav2Vec2ForSequenceClassification'],
        model_type: 'wav2vec2',
        id2label: { 0: 'yes', 1: 'no' },
      },
      'preprocessor_config.json': { sampling_rate: 16_000, do_normalize: false },
    }
    const { '1': version } = await served(files)
    expect(version?.batching?.runs).toBe('shared')
    expect(version?.task).toMatchObject({ task: 'audio-classify', audio: { rate: 16_000, secondsMax: 30 } })
  })
})

describe('a change of a folder', () => {
  test('of any file of the model is noticed, and of version control is not', async () => {
    const folder = join(await placed({ ...sentenceFolder(), '.git/HEAD': 'x', '.git/refs/main': 'x' }), 'm')
    const changes = async (path: string) => {
      const before = fingerprintOf(folder)
      await Bun.write(join(folder, path), 'changed')
      utimesSync(join(folder, path), new Date(0), new Date(0))
      return before !== fingerprintOf(folder)
    }
    for (const path of ['tokenizer.json', 'config.json', '1_Pooling/config.json', 'model.onnx', '2_Dense/model.safetensors'])
      expect([path, await changes(path)]).toEqual([path, true])
    for (const path of ['.git/HEAD', '.git/refs/main']) expect([path, await changes(path)]).toEqual([path, false])
  })

  test('is one of the version where it is in the folder that the version is', async () => {
    const folder = join(await placed({ ...sentenceFolder(), '2/model.onnx': 'x', 'model.toml': '' }), 'm')
    const isSeen = async (path: string) => {
      const hasChanged = watchFiles(join(folder, 'model.onnx'), folder)
      mkdirSync(dirname(join(folder, path)), { recursive: true })
      await Bun.write(join(folder, path), `changed ${path}`)
      return hasChanged()
    }
    for (const path of ['tokenizer.json', '1_Pooling/config.json', 'model.onnx'])
      expect([path, await isSeen(path)]).toEqual([path, true])
    for (const path of ['2/model.onnx', 'model.toml']) expect([path, await isSeen(path)]).toEqual([path, false])
  })
})

describe('graphs of texts', () => {
  test('take the types and positions of tokens where they have inputs for them', async () => {
    const inputs = ['input_ids', 'attention_mask', 'token_type_ids', 'position_ids'] as const
    const files = sentenceFolder({ 'model.onnx': textModel({ gives: 'hidden', inputs }) })
    expect(await task(files)).toMatchObject({
      text: { inputs: { ids: 'input_ids', mask: 'attention_mask', types: 'token_type_ids', positions: 'position_ids' } },
    })
  })
})
