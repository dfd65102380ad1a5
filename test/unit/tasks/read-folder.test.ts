import { afterAll, beforeEach, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, symlinkSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readModelFile } from '../../../src/inference/repository/model-file.ts'
import type { GraphFacts } from '../../../src/tasks/folder/facts.ts'
import { readFolder } from '../../../src/tasks/folder/read-folder.ts'
import { type ModelFiles, writeFolder } from '../../support/text-folders.ts'

const root = mkdtempSync(join(tmpdir(), 'vestal-read-folder-'))
afterAll(() => rmSync(root, { recursive: true }))
let folder = ''
let count = 0
beforeEach(() => {
  count += 1
  folder = join(root, `${count}`)
})

type Shapes = Readonly<Record<string, readonly number[]>>

const specs = (shapes: Shapes, datatype: 'INT64' | 'FP32') =>
  Object.entries(shapes).map(([name, shape]) => ({ name, datatype, shape }))

/** A graph of texts with these outputs. */
function textGraph(outputs: Shapes, inputs: Shapes = { input_ids: [-1, -1], attention_mask: [-1, -1] }): GraphFacts {
  const tokenizer = { sha256: 'ab', vocabulary: 100, samples: [[2, 5, 3]] }
  return { inputs: specs(inputs, 'INT64'), outputs: specs(outputs, 'FP32'), tokenizer }
}

/** A graph of pictures or sound. */
function otherGraph(inputs: Shapes, outputs: Shapes, metadata: Readonly<Record<string, string>> = {}): GraphFacts {
  return { inputs: specs(inputs, 'FP32'), outputs: specs(outputs, 'FP32'), metadata: new Map(Object.entries(metadata)) }
}

const HIDDEN = textGraph({ last_hidden_state: [-1, -1, 8] })
const LOGITS = (classes: number) => textGraph({ logits: [-1, classes] })

/** What a folder with these files does with a graph, or why not. */
async function described(files: ModelFiles, graph: GraphFacts, toml = '') {
  await writeFolder(folder, { 'README.md': '', ...files })
  const { tasks, labels } = readModelFile(toml)
  try {
    return readFolder(folder, { labels, ...(tasks && { tables: tasks }) }).describe(graph)
  } catch (error) {
    return { reason: (error as Error).message }
  }
}

const bert = (config: object = {}) => ({
  'tokenizer.json': {},
  'config.json': { architectures: ['BertModel'], model_type: 'bert', max_position_embeddings: 512, hidden_size: 8, ...config },
})
const sentences = (modules: readonly string[], files: ModelFiles = {}) => ({
  ...bert(),
  'modules.json': modules.map((name, idx) => ({
    ...{ idx, name: `${idx}`, path: idx === 0 ? '' : `${idx}_${name}`, type: `sentence_transformers.models.${name}` },
  })),
  '1_Pooling/config.json': { word_embedding_dimension: 8, pooling_mode_mean_tokens: true },
  ...files,
})

/** A file of safetensors with these tensors of FP32. */
function safetensors(tensors: Readonly<Record<string, readonly number[]>>, datatype = 'F32'): Uint8Array {
  let end = 0
  const header = Object.entries(tensors).map(([name, shape]) => {
    const begin = end
    end += shape.reduce((product, size) => product * size, 4)
    return [name, { dtype: datatype, shape, data_offsets: [begin, end] }] as const
  })
  const json = Buffer.from(JSON.stringify(Object.fromEntries(header)))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(json.length))
  return Buffer.concat([length, json, Buffer.alloc(end)])
}

describe('the task', () => {
  const cases: readonly (readonly [name: string, files: ModelFiles, graph: GraphFacts, expected: object, toml?: string])[] = [
    [
      'of a bare encoder is an embedding',
      bert(),
      HIDDEN,
      {
        task: {
          task: 'embedding',
          vector: { pooling: ['mean'], isNormalized: false },
          sources: { pooling: 'default', task: 'config.json architectures[0]' },
        },
      },
    ],
    [
      'of one label is to rerank',
      bert({ architectures: ['BertForSequenceClassification'], id2label: { 0: 'LABEL_0' } }),
      LOGITS(1),
      { task: { task: 'rerank', scores: { labels: ['LABEL_0'], activation: 'sigmoid' } } },
    ],
    [
      'with a label of entailment is zero-shot',
      bert({ architectures: ['BertForSequenceClassification'], id2label: { 0: 'contradiction', 1: 'neutral', 2: 'ENTAILMENT' } }),
      LOGITS(3),
      { task: { task: 'zero-shot' } },
    ],
    [
      'without labels takes their number from the graph',
      bert({ architectures: ['BertForSequenceClassification'] }),
      LOGITS(2),
      { task: { task: 'classify', scores: { labels: ['LABEL_0', 'LABEL_1'] } } },
    ],
    [
      'for tokens',
      bert({ architectures: ['BertForTokenClassification'], id2label: { 0: 'O', 1: 'B-PER' } }),
      textGraph({ logits: [-1, -1, 2] }),
      { task: { task: 'tokens', scores: { labels: ['O', 'B-PER'] } } },
    ],
    [
      'for masks',
      bert({ architectures: ['BertForMaskedLM'] }),
      textGraph({ logits: [-1, -1, 100] }),
      { task: { task: 'fill', scores: { labels: [] } } },
    ],
    [
      'of model.toml counts first',
      bert({ architectures: ['BertForSequenceClassification'], id2label: { 0: 'a' } }),
      LOGITS(1),
      { task: { task: 'classify', sources: { task: 'model.toml task' } } },
      'task = "classify"',
    ],
    [
      'of an unknown head is tensors, with a note',
      bert({ architectures: ['BertForQuestionAnswering'] }),
      HIDDEN,
      { note: 'its architecture BertForQuestionAnswering has no task here: it is served as tensors' },
    ],
    ['of model.toml may be tensors', bert({ architectures: ['GPT2LMHeadModel'] }), HIDDEN, {}, 'task = "tensors"'],
    ['of a config.json of another program is tensors', { 'config.json': { labels: ['a'] } }, HIDDEN, {}],
    [
      'of a sparse encoder of sentence-transformers is that of its masks',
      sentences(['MLMTransformer', 'SpladePooling']),
      textGraph({ logits: [-1, -1, 100] }),
      { task: { task: 'fill' } },
    ],
  ]
  for (const [name, files, graph, expected, toml] of cases)
    test(name, async () => {
      const found = await described(files, graph, toml)
      if (Object.keys(expected).length === 0) expect(found).toEqual({})
      else expect(found).toMatchObject(expected)
    })

  const rejected: readonly (readonly [name: string, files: ModelFiles, graph: GraphFacts, reason: string, toml?: string])[] = [
    ['generation', bert({ architectures: ['LlamaForCausalLM'] }), HIDDEN, 'LlamaForCausalLM generates its answer step by step'],
    [
      'generation of one text from another',
      bert({ architectures: ['T5ForConditionalGeneration'] }),
      HIDDEN,
      'generates its answer step by step',
    ],
    [
      'an encoder with a decoder',
      bert({ architectures: ['BartModel'], is_encoder_decoder: true }),
      HIDDEN,
      'is an encoder with a decoder',
    ],
    [
      'a graph that goes on from a step before',
      bert(),
      textGraph({ last_hidden_state: [-1, -1, 8] }, { input_ids: [-1, -1], 'past_key_values.0.key': [-1, -1] }),
      'it generates text step by step',
    ],
    [
      'an input that texts do not give',
      bert(),
      textGraph({ last_hidden_state: [-1, -1, 8] }, { input_ids: [-1, -1], bbox: [-1, -1] }),
      'the model also needs the input "bbox"',
    ],
    [
      'a fixed number of tokens',
      bert(),
      textGraph({ last_hidden_state: [-1, 128, 8] }, { input_ids: [-1, 128] }),
      'has a fixed number of tokens; export the model with dynamic axes',
    ],
    [
      'two outputs that may be it',
      bert(),
      textGraph({ a: [-1, 8], b: [-1, 8] }),
      '[embedding] output in model.toml names the right one',
    ],
    [
      'labels that do not fit',
      bert({ architectures: ['BertForSequenceClassification'], id2label: { 0: 'a', 1: 'b' } }),
      LOGITS(3),
      'has 3 classes, and there are 2 labels',
    ],
    [
      'a graph without the scores',
      bert({ architectures: ['BertForTokenClassification'] }),
      LOGITS(3),
      'gives scores for each token',
    ],
    [
      'no tokenizer',
      { 'config.json': bert()['config.json'], 'vocab.txt': 'a' },
      HIDDEN,
      'its tokenizer.json is missing, and vocab.txt alone is not enough',
    ],
    [
      'several scores to rerank',
      bert({ architectures: ['BertForSequenceClassification'] }),
      LOGITS(2),
      'must give one score for a pair, and this one gives 2',
      'task = "rerank"',
    ],
    [
      'a key that is no number of a class',
      bert({ architectures: ['BertForSequenceClassification'], id2label: { one: 'a' } }),
      LOGITS(1),
      'has the key "one", which is no number of a class',
    ],
    [
      'numbers of classes that are too large',
      bert({ architectures: ['BertForSequenceClassification'], id2label: { 999999999: 'a' } }),
      LOGITS(1),
      'numbers of classes that are too large',
    ],
    [
      'a Git LFS pointer',
      { ...bert(), 'config.json': 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n' },
      HIDDEN,
      'config.json is a Git LFS pointer',
    ],
    ['a config.json that is none', { ...bert(), 'config.json': '{"a": Infinity}' }, HIDDEN, 'config.json is not valid JSON'],
    [
      'JSON of another kind',
      { ...bert(), 'config.json': { architectures: 'BertModel' } },
      HIDDEN,
      'config.json: "architectures" must be a list',
    ],
    [
      'lower case outside of the tokenizer',
      { ...bert(), 'sentence_bert_config.json': { do_lower_case: true } },
      HIDDEN,
      'do_lower_case is not computed here',
    ],
    ['a class of words in model.toml that is unknown', bert(), HIDDEN, 'names "x"; the model has', '[embedding]\noutput = "x"'],
  ]
  for (const [name, files, graph, reason, toml] of rejected)
    test(`is rejected for ${name}`, async () => {
      expect(await described(files, graph, toml)).toEqual({ reason: expect.stringContaining(reason) })
    })

  test('is rejected where a file leads out of the folder', async () => {
    await writeFolder(folder, bert())
    rmSync(join(folder, 'config.json'))
    await Bun.write(join(root, 'outside.json'), '{}')
    symlinkSync(join(root, 'outside.json'), join(folder, 'config.json'))
    expect(() => readFolder(folder)).toThrow('config.json is a link that leads outside the folder of the version')
  })

  test('is read of a snapshot in the cache of Hugging Face, whose files are links to its blobs', async () => {
    const cache = join(folder, 'models--own--bert')
    await writeFolder(cache, {
      'blobs/a1': JSON.stringify(bert()['config.json']),
      'blobs/b2': '{}',
      'snapshots/c3/README.md': '',
    })
    symlinkSync('../../blobs/a1', join(cache, 'snapshots/c3/config.json'))
    symlinkSync('../../blobs/b2', join(cache, 'snapshots/c3/tokenizer.json'))
    symlinkSync(join(cache, 'snapshots/c3'), join(folder, 'linked'))
    expect(readFolder(join(folder, 'linked')).describe(HIDDEN)).toMatchObject({ task: { task: 'embedding' } })
    rmSync(join(cache, 'snapshots/c3/config.json'))
    await Bun.write(join(folder, 'outside.json'), '{}')
    symlinkSync('../../../outside.json', join(cache, 'snapshots/c3/config.json'))
    expect(() => readFolder(join(folder, 'linked'))).toThrow('config.json is a link that leads outside')
  })

  test('is rejected where a file is larger than any', async () => {
    await writeFolder(folder, { ...bert(), 'config.json': `{"a": "${'x'.repeat(4 * 1024 * 1024)}"}` })
    expect(() => readFolder(folder)).toThrow(/^config\.json has \d+ bytes, more than 4194304$/)
    await writeFolder(folder, bert())
    truncateSync(join(folder, 'tokenizer.json'), 64 * 1024 * 1024 + 1)
    expect(() => readFolder(folder)).toThrow('tokenizer.json has 67108865 bytes, more than 67108864')
  })
})

describe('the length of texts', () => {
  const cases: readonly (readonly [name: string, files: ModelFiles, tokensMax: number, place: string, toml?: string])[] = [
    [
      'is that of sentence-transformers, not of the model or the tokenizer',
      { ...bert(), 'sentence_bert_config.json': { max_seq_length: 256 }, 'tokenizer_config.json': { model_max_length: 128 } },
      256,
      'sentence_bert_config.json max_seq_length',
    ],
    [
      'is in the file of its kind',
      { ...bert(), 'sentence_roberta_config.json': { max_seq_length: 100 } },
      100,
      'sentence_roberta_config.json max_seq_length',
    ],
    [
      'is the least of tokenizer and positions',
      { ...bert(), 'tokenizer_config.json': { model_max_length: 128 } },
      128,
      'tokenizer_config.json model_max_length',
    ],
    [
      'is not one that nobody knew',
      { ...bert(), 'tokenizer_config.json': '{"model_max_length": 1000000000000000019884624838656}' },
      512,
      'config.json max_position_embeddings',
    ],
    [
      'is two less for roberta',
      bert({ model_type: 'xlm-roberta', max_position_embeddings: 514, pad_token_id: 1 }),
      512,
      'config.json max_position_embeddings, less pad_token_id + 1',
    ],
    ['has a default', { 'tokenizer.json': {}, 'config.json': { architectures: ['BertModel'] } }, 512, 'default'],
    [
      'is what model.toml says',
      { ...bert(), 'sentence_bert_config.json': { max_seq_length: 256 } },
      64,
      'model.toml text.tokens_max',
      '[text]\ntokens_max = 64',
    ],
  ]
  for (const [name, files, tokensMax, place, toml] of cases)
    test(name, async () => {
      expect(await described(files, HIDDEN, toml)).toMatchObject({ task: { text: { tokensMax }, sources: { tokensMax: place } } })
    })

  test('must not be more than the model has positions', async () => {
    expect(await described(bert(), HIDDEN, '[text]\ntokens_max = 513')).toEqual({
      reason: expect.stringContaining('must be at most 512'),
    })
  })
})

describe('an embedding', () => {
  test('has the poolings of its flags, in the order of sentence-transformers', async () => {
    const flags = {
      pooling_mode_lasttoken: true,
      pooling_mode_mean_sqrt_len_tokens: true,
      pooling_mode_cls_token: true,
      include_prompt: false,
    }
    const files = sentences(['Transformer', 'Pooling'], { '1_Pooling/config.json': { word_embedding_dimension: 8, ...flags } })
    expect(await described(files, HIDDEN)).toMatchObject({
      task: { vector: { pooling: ['cls', 'mean-sqrt', 'last'], includesPrompt: false, isNormalized: false, dimensions: 24 } },
    })
  })

  test('has the poolings that newer files name', async () => {
    const files = sentences(['Transformer', 'Pooling', 'Normalize'], {
      '1_Pooling/config.json': { pooling_mode: 'weightedmean' },
    })
    expect(await described(files, HIDDEN)).toMatchObject({ task: { vector: { pooling: ['weighted-mean'], isNormalized: true } } })
  })

  test('that the graph has pooled is taken as it is, and may be named', async () => {
    const files = sentences(['Transformer', 'Pooling', 'Normalize'])
    const both = textGraph({ token_embeddings: [-1, -1, 8], sentence_embedding: [-1, 8] })
    expect(await described(files, both)).toMatchObject({
      task: { vector: { form: 'vector', output: 'sentence_embedding', pooling: [] } },
    })
    const traced = textGraph({ 460: [-1, 8], 461: [-1, 8] })
    expect(await described(files, traced, '[embedding]\noutput = "461"\nnormalize = false')).toMatchObject({
      task: { vector: { output: '461', isNormalized: false }, sources: { output: 'model.toml embedding.output' } },
    })
  })

  test('has prompts of its files and of model.toml', async () => {
    const files = {
      ...bert(),
      'config_sentence_transformers.json': {
        prompts: { query: 'query: ' },
        default_prompt_name: null,
        similarity_fn_name: 'dot',
      },
    }
    expect(
      await described(files, HIDDEN, '[prompts]\ndocument = "passage: "\n[text]\ndefault_prompt = "document"'),
    ).toMatchObject({
      task: {
        text: { prompts: { query: 'query: ', document: 'passage: ' }, defaultPrompt: 'document' },
        vector: { similarity: 'dot' },
      },
    })
    expect(await described(files, HIDDEN, '[text]\ndefault_prompt = "none"')).toEqual({
      reason: 'the default prompt "none" is not one of the prompts',
    })
  })

  const dense = (files: ModelFiles, config: object = {}) =>
    sentences(['Transformer', 'Pooling', 'Dense', 'Normalize'], {
      '2_Dense/config.json': {
        in_features: 8,
        out_features: 3,
        bias: true,
        activation_function: 'torch.nn.modules.activation.Tanh',
        ...config,
      },
      ...files,
    })
  const weights = { 'linear.weight': [3, 8], 'linear.bias': [3] }

  test('has the Dense layers that lie outside of the graph', async () => {
    expect(await described(dense({ '2_Dense/model.safetensors': safetensors(weights) }), HIDDEN)).toMatchObject({
      task: {
        vector: {
          dense: [{ inputs: 8, outputs: 3, activation: 'tanh', path: join(folder, '2_Dense/model.safetensors') }],
          dimensions: 3,
          isNormalized: true,
        },
      },
    })
    const inside = textGraph({ sentence_embedding: [-1, 3] })
    expect(await described(dense({ '2_Dense/model.safetensors': safetensors(weights) }), inside)).toMatchObject({
      task: { vector: { dense: [], dimensions: 3 } },
    })
  })

  const rejected: readonly (readonly [name: string, files: ModelFiles, reason: string])[] = [
    [
      'no weights',
      dense({ '2_Dense/pytorch_model.bin': 'x' }),
      'its 2_Dense/model.safetensors is missing: the Dense layer lies outside of the ONNX file',
    ],
    [
      'weights of another shape',
      dense({ '2_Dense/model.safetensors': safetensors({ ...weights, 'linear.weight': [8, 3] }) }),
      'has linear.weight [8,3], and config.json says [3,8]',
    ],
    ['weights of another type', dense({ '2_Dense/model.safetensors': safetensors(weights, 'F16') }), 'must have it as F32'],
    ['weights that are cut off', dense({ '2_Dense/model.safetensors': safetensors(weights).subarray(0, -4) }), 'is cut off'],
    ['a file that is none', dense({ '2_Dense/model.safetensors': '<!DOCTYPE html>' }), 'is not a file of safetensors'],
    [
      'an unknown activation',
      dense({ '2_Dense/model.safetensors': safetensors(weights) }, { activation_function: 'torch.nn.GELU' }),
      'only Tanh and Identity',
    ],
    [
      'a layer that does not fit',
      dense({ '2_Dense/model.safetensors': safetensors({ 'linear.weight': [3, 9], 'linear.bias': [3] }) }, { in_features: 9 }),
      'its Dense layer takes 9 numbers, and the pooled vectors have 8',
    ],
    [
      'a module that is not computed',
      sentences(['Transformer', 'Pooling', 'LayerNorm']),
      'is the module "LayerNorm", which is not computed here',
    ],
    [
      'an order of modules that is not computed',
      sentences(['Transformer', 'Pooling', 'Normalize', 'Dense']),
      'is the module "Dense", which is not computed here in this place',
    ],
    [
      'a path out of the folder',
      { ...bert(), 'modules.json': [{ type: 'x.Transformer', path: '../other' }] },
      'has a path that is not one inside the folder',
    ],
    [
      'no description of the pooling',
      { ...sentences(['Transformer', 'Pooling']), '1_Pooling/config.json': { pooling_mode_mean_tokens: false } },
      'names no pooling',
    ],
  ]
  for (const [name, files, reason] of rejected)
    test(`is rejected for ${name}`, async () => {
      expect(await described(files, HIDDEN)).toEqual({ reason: expect.stringContaining(reason) })
    })
})

describe('scores', () => {
  const head = (config: object) =>
    bert({ architectures: ['BertForSequenceClassification'], id2label: { 0: 'a', 1: 'b' }, ...config })
  const cases: readonly (readonly [name: string, config: object, activation: string, toml?: string])[] = [
    ['are shares of one', {}, 'softmax'],
    ['of several labels at once are each for itself', { problem_type: 'multi_label_classification' }, 'sigmoid'],
    ['of a regression are as they are', { problem_type: 'regression' }, 'none'],
    [
      'of a cross-encoder are what it names',
      { sentence_transformers: { activation_fn: 'torch.nn.modules.linear.Identity' } },
      'none',
    ],
    ['of an old cross-encoder too', { sbert_ce_default_activation_function: 'torch.nn.modules.activation.Sigmoid' }, 'sigmoid'],
    ['are what model.toml says', { problem_type: 'regression' }, 'softmax', '[scores]\nactivation = "softmax"'],
  ]
  for (const [name, config, activation, toml] of cases)
    test(name, async () => {
      expect(await described(head(config), LOGITS(2), toml)).toMatchObject({ task: { scores: { activation } } })
    })

  test('of a bare model must say what they are, unless they are called logits', async () => {
    const toml = 'task = "classify"\n[scores]\nlabels = ["a", "b"]'
    expect(await described({ 'tokenizer.json': {} }, textGraph({ probabilities: [-1, 2] }), toml)).toEqual({
      reason: expect.stringContaining('[scores] activation in model.toml must be'),
    })
    expect(await described({ 'tokenizer.json': {} }, LOGITS(2), toml)).toMatchObject({
      task: { scores: { activation: 'softmax', labels: ['a', 'b'] } },
    })
  })

  test('have the labels of [outputs] too', async () => {
    const toml = '[outputs.logits]\nlabels = ["no", "yes"]'
    expect(await described(head({}), LOGITS(2), toml)).toMatchObject({
      task: { scores: { labels: ['no', 'yes'] }, sources: { labels: 'model.toml outputs.logits.labels' } },
    })
  })
})

describe('pictures', () => {
  const vit = (processor: object, config: object = {}) => ({
    'config.json': {
      architectures: ['ViTForImageClassification'],
      model_type: 'vit',
      id2label: { 0: 'cat', 1: 'dog' },
      ...config,
    },
    'preprocessor_config.json': processor,
  })
  const planes = (height: number, width: number) => otherGraph({ pixel_values: [-1, 3, height, width] }, { logits: [-1, 2] })
  const HALF = { do_normalize: true, image_mean: [0.5, 0.5, 0.5], image_std: [0.5, 0.5, 0.5] }

  test('are prepared as preprocessor_config.json says', async () => {
    expect(
      await described(
        vit({ image_processor_type: 'ViTImageProcessor', size: { height: 224, width: 224 }, resample: 3, ...HALF }),
        planes(-1, -1),
      ),
    ).toMatchObject({
      task: {
        task: 'image-classify',
        image: {
          layout: 'NCHW',
          channels: 'RGB',
          steps: [{ kind: 'warp', width: 224, height: 224, filter: 'bicubic' }],
          scale: 1 / 255,
          mean: [0.5, 0.5, 0.5],
          std: [0.5, 0.5, 0.5],
        },
        scores: { labels: ['cat', 'dog'], activation: 'softmax' },
        sources: { 'image.steps': 'preprocessor_config.json' },
      },
    })
  })

  const steps: readonly (readonly [name: string, processor: object, expected: readonly object[]])[] = [
    [
      'of CLIP, by the shorter side and cropped',
      { feature_extractor_type: 'CLIPFeatureExtractor', size: 224, crop_size: 224, resample: 3 },
      [
        { kind: 'shortest', size: 224, filter: 'bicubic' },
        { kind: 'crop', width: 224, height: 224 },
      ],
    ],
    ['of an old ViT, square', { size: 224 }, [{ kind: 'warp', width: 224, height: 224, filter: 'bilinear' }]],
    [
      'of ConvNext, larger than they are cropped',
      { image_processor_type: 'ConvNextImageProcessor', size: { shortest_edge: 224 }, crop_pct: 0.875 },
      [
        { kind: 'shortest', size: 256, filter: 'bilinear' },
        { kind: 'crop', height: 224, width: 224 },
      ],
    ],
    [
      'of a large ConvNext, as they are',
      { image_processor_type: 'ConvNextImageProcessor', size: { shortest_edge: 384 } },
      [{ kind: 'warp', width: 384, height: 384, filter: 'bilinear' }],
    ],
    [
      'of DETR, with a longest side',
      { size: { shortest_edge: 800, longest_edge: 1333 } },
      [{ kind: 'shortest', size: 800, longestMax: 1333, filter: 'bilinear' }],
    ],
    [
      'that are not resized',
      { do_resize: false, size: 224, do_center_crop: true, crop_size: { height: 10, width: 20 } },
      [{ kind: 'crop', height: 10, width: 20 }],
    ],
  ]
  for (const [name, processor, expected] of steps)
    test(`have the steps ${name}`, async () => {
      expect(await described(vit(processor), planes(-1, -1))).toMatchObject({ task: { image: { steps: expected } } })
    })

  test('of EfficientNet are divided twice', async () => {
    const found = await described(vit({ image_processor_type: 'EfficientNetImageProcessor', size: 8, ...HALF }), planes(-1, -1))
    expect(found).toMatchObject({ task: { image: { std: [0.25, 0.25, 0.25] } } })
  })

  test('may be said by model.toml alone', async () => {
    const toml = `task = "image-classify"
      [image]
      resize = "letterbox"
      size = [32, 64]
      channels = "BGR"
      mean = [104, 117, 123]
      scale = 1
      [scores]
      labels = ["a", "b"]
      activation = "none"`
    expect(await described({}, otherGraph({ x: [1, 32, 64, 3] }, { y: [1, 2] }), toml)).toMatchObject({
      task: {
        image: {
          input: 'x',
          layout: 'NHWC',
          channels: 'BGR',
          scale: 1,
          mean: [104, 117, 123],
          std: [1, 1, 1],
          steps: [{ kind: 'letterbox', height: 32, width: 64, fill: 0, place: 'center' }],
        },
        scores: { output: 'y', activation: 'none' },
      },
    })
  })

  const rejected: readonly (readonly [name: string, files: ModelFiles, graph: GraphFacts, reason: string, toml?: string])[] = [
    [
      'a size that the graph does not take',
      vit({ size: 224 }),
      planes(256, 256),
      'pictures get 224×224 pixels, and the input "pixel_values" FP32 [?,3,256,256] takes 256×256',
    ],
    [
      'a way to resize that is not computed',
      vit({ size: { max_pixels: 1000 } }),
      planes(-1, -1),
      'another way to resize is not computed here',
    ],
    [
      'nothing that says their values',
      { 'config.json': vit({})['config.json'] },
      planes(8, 8),
      '[image] mean and std in model.toml do',
    ],
    [
      'a step that is not computed',
      vit({ size: { height: 8, width: 8 }, keep_aspect_ratio: true }),
      planes(8, 8),
      'has keep_aspect_ratio, which is not computed here',
    ],
    [
      'a multiple of pixels',
      vit({ do_resize: true, size_divisor: 32 }),
      planes(-1, -1),
      'has size_divisor, which is not computed here',
    ],
    ['no size of its files', vit({ do_resize: true }), planes(-1, -1), 'preprocessor_config.json has no size'],
    ['values without a mean', vit({ size: 8, do_normalize: true }), planes(8, 8), 'has do_normalize without image_mean'],
    [
      'a second input',
      vit({ size: 8 }),
      otherGraph({ pixel_values: [-1, 3, 8, 8], mask: [-1, 8, 8] }, { logits: [-1, 2] }),
      'the model also needs the input "mask"',
    ],
    [
      'a standard deviation of 0',
      vit({ size: 8, do_normalize: true, image_mean: 0.5, image_std: [0, 1, 1] }),
      planes(8, 8),
      'must not be 0',
    ],
    ['no size at all', vit({ do_resize: false }), planes(8, 8), 'pictures get no fixed size'],
  ]
  for (const [name, files, graph, reason, toml] of rejected)
    test(`are rejected for ${name}`, async () => {
      expect(await described(files, graph, toml)).toEqual({ reason: expect.stringContaining(reason) })
    })
})

describe('boxes and masks', () => {
  const METADATA = { task: 'detect', stride: '32', imgsz: '[320, 320]', names: `{0: 'person', 1: "driver's cab", 2: 'caf\\xe9'}` }

  test('of ultralytics are described by the file itself', async () => {
    const graph = otherGraph({ images: [1, 3, 320, 320] }, { output0: [1, 7, 2100] }, METADATA)
    expect(await described({}, graph)).toMatchObject({
      task: {
        task: 'detect',
        image: {
          steps: [{ kind: 'letterbox', width: 320, height: 320, fill: 114, place: 'center' }],
          scale: 1 / 255,
          mean: [0, 0, 0],
        },
        boxes: {
          form: 'yolo',
          output: 'output0',
          labels: ['person', "driver's cab", 'café'],
          threshold: 0.25,
          overlapMax: 0.45,
          isAcrossClasses: false,
        },
        sources: { task: 'the metadata of the ONNX file' },
      },
    })
  })

  test('of ultralytics that cannot be read leave the model to its tensors, with a note', async () => {
    const graph = (names: string) => otherGraph({ images: [1, 3, 320, 320] }, { output0: [1, 7, 2100] }, { ...METADATA, names })
    for (const names of ['{', '{0: 1}', "{1: 'a'}", "{0: 'a'", '__import__("os")', `{0: '${'x'.repeat(2000)}'}`])
      expect(await described({}, graph(names))).toEqual({ note: expect.stringContaining('names of classes that cannot be read') })
    expect(await described({}, otherGraph({ images: [1, 3, 320, 320] }, { output0: [1, 300, 6] }, METADATA))).toEqual({
      note: expect.stringContaining('nms=False'),
    })
  })

  test('have thresholds of model.toml, and the form with objectness', async () => {
    const toml = 'task = "detect"\n[image]\nsize = 64\nmean = 0\n[boxes]\nlabels = ["a"]\nthreshold = 0.2\nacross_classes = true'
    expect(await described({}, otherGraph({ x: [-1, 3, 64, 64] }, { y: [-1, 100, 6] }), toml)).toMatchObject({
      task: { boxes: { form: 'yolo-objectness', threshold: 0.2, isAcrossClasses: true, labels: ['a'] } },
    })
  })

  test('of DETR are described by their two outputs', async () => {
    const files = {
      'config.json': { architectures: ['DetrForObjectDetection'], id2label: { 0: 'N/A', 1: 'person' } },
      'preprocessor_config.json': { size: { shortest_edge: 800, longest_edge: 1333 } },
    }
    const graph = (classes: number) =>
      otherGraph({ pixel_values: [-1, 3, -1, -1] }, { logits: [-1, 100, classes], pred_boxes: [-1, 100, 4] })
    expect(await described(files, graph(3))).toMatchObject({
      task: { boxes: { form: 'detr', output: 'logits', boxes: 'pred_boxes', labels: ['N/A', 'person'] } },
    })
    expect(await described(files, graph(5))).toEqual({ reason: expect.stringContaining('has 5 classes, and there are 2 labels') })
  })

  test('of a segmentation are scores for each pixel', async () => {
    const files = {
      'config.json': { architectures: ['SegformerForSemanticSegmentation'], id2label: { 0: 'wall', 1: 'sky' } },
      'preprocessor_config.json': { size: { height: 64, width: 64 } },
    }
    const graph = otherGraph({ pixel_values: [-1, 3, 64, 64] }, { logits: [-1, 2, 16, 16] })
    expect(await described(files, graph)).toMatchObject({
      task: { task: 'segment', masks: { output: 'logits', labels: ['wall', 'sky'] } },
    })
  })
})

describe('sound', () => {
  const files = {
    'config.json': {
      architectures: ['Wav2Vec2ForSequenceClassification'],
      model_type: 'wav2vec2',
      id2label: { 0: 'yes', 1: 'no' },
    },
    'preprocessor_config.json': { sampling_rate: 16_000, do_normalize: true },
  }

  test('is described by its files', async () => {
    const graph = otherGraph({ input_values: [-1, -1] }, { logits: [-1, 2] })
    expect(await described(files, graph, '[audio]\nseconds_max = 5')).toMatchObject({
      task: {
        task: 'audio-classify',
        audio: { input: 'input_values', rate: 16_000, secondsMax: 5, isNormalized: true },
        scores: { labels: ['yes', 'no'] },
      },
    })
  })

  test('is rejected where the model takes spectrograms', async () => {
    const graph = otherGraph({ input_features: [-1, 1024, 128] }, { logits: [-1, 2] })
    expect(await described(files, graph)).toEqual({ reason: expect.stringContaining('spectrograms are not computed here') })
  })
})

describe('the tables of model.toml', () => {
  for (const [toml, reason] of [
    ['task = "embeddings"', 'model.toml: "task" must be one of embedding, classify'],
    ['[text]\ntokens = 1', 'model.toml: "text.tokens" is not a key that is known'],
    ['[huggingface]\nfile = "../model.onnx"', 'model.toml: "huggingface.file" must be a path inside the folder of the version'],
    ['[huggingface]\nfile = "/model.onnx"', 'must be a path inside the folder'],
    ['[embedding]\npooling = ["mean", "sum"]', 'model.toml: "embedding.pooling" must be one of cls, max'],
    ['[image]\nsize = [1, 2, 3]', 'model.toml: "image.size" must be a whole number from 1 to 8192, or a list of two'],
    ['[scores]\nlabels = []', 'model.toml: "scores.labels" must be a list of 1 to'],
    ['[boxes]\nthreshold = 2', 'model.toml: "boxes.threshold" must be a number from 0 to 1'],
    ['[prompts]\nquery = 1', 'model.toml: "prompts.query" must be a string'],
  ] as const)
    test(`reject ${toml.replaceAll('\n', ' ')}`, () => {
      expect(() => readModelFile(toml)).toThrow(reason)
    })
})
