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
          dense: [
            {
              inputs: 8,
              outputs: 3,
              activation: 'tanh',
              path: join(folder, '2_Dense/model.safetensors'),
              sha256: expect.stringMatching(/^[\da-f]{64}$/),
            },
          ],
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
    ['task = "sentiment"', 'audio-classify, tensors; got "sentiment"'],
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

describe('limits and places of what a folder says', () => {
  const head = (config: object = {}) => bert({ architectures: ['BertForSequenceClassification'], ...config })
  const reasons: readonly (readonly [name: string, files: ModelFiles, graph: GraphFacts, reason: string, toml?: string])[] = [
    // Files
    [
      'a file in the place of JSON that is a folder',
      { 'tokenizer.json': {}, 'config.json/inner': 'x' },
      HIDDEN,
      'config.json is not a file',
    ],
    ['a text in the place of an object', head({ id2label: 'a' }), LOGITS(1), 'config.json: "id2label" must be an object'],
    ['a list in the place of an object', head({ id2label: ['a'] }), LOGITS(1), 'config.json: "id2label" must be an object'],
    ['a number in the place of a name', bert({ architectures: [7] }), HIDDEN, '"architectures[0]" must be a string'],
    ['a text of 1001 characters', bert({ architectures: ['x'.repeat(1001)] }), HIDDEN, 'has 1001 characters, more than 1000'],
    ['17 architectures', bert({ architectures: Array(17).fill('BertModel') }), HIDDEN, 'has 17 elements, more than 16'],
    ['half a position', bert({ max_position_embeddings: 1.5 }), HIDDEN, 'must be a whole number from -1 to 2147483647'],
    ['2³¹ positions', bert({ max_position_embeddings: 2 ** 31 }), HIDDEN, 'must be a whole number from -1 to 2147483647'],
    ['-2 positions', bert({ max_position_embeddings: -2 }), HIDDEN, 'must be a whole number from -1 to 2147483647'],
    ['a flag that is a number', bert({ architectures: ['BartModel'], is_encoder_decoder: 1 }), HIDDEN, 'must be true or false'],
    [
      'a length that is a text',
      { ...bert(), 'tokenizer_config.json': { model_max_length: 'long' } },
      HIDDEN,
      'tokenizer_config.json: "model_max_length" must be a number',
    ],
    [
      'a length of no token',
      { ...bert(), 'sentence_bert_config.json': { max_seq_length: 0 } },
      HIDDEN,
      'must be a whole number from 1 to 2147483647',
    ],
    [
      'a Git LFS pointer for its modules',
      { ...bert(), 'modules.json': 'version https://git-lfs.github.com/spec/v1\n' },
      HIDDEN,
      'modules.json is a Git LFS pointer',
    ],
    // Texts
    [
      'a side that is none',
      { ...bert(), 'tokenizer_config.json': { padding_side: 'top' } },
      HIDDEN,
      'tokenizer_config.json: "padding_side" must be left or right',
    ],
    [
      'an input of model.toml that is not there',
      bert(),
      HIDDEN,
      'model.toml: "text.inputs.mask" names "masks"; the model has "input_ids" INT64 [?,?], "attention_mask" INT64 [?,?]',
      '[text.inputs]\nmask = "masks"',
    ],
    [
      'no input of tokens',
      bert(),
      textGraph({ last_hidden_state: [-1, -1, 8] }, { tokens: [-1, -1] }),
      'the model has no input "input_ids" for the tokens of texts, but "tokens" INT64 [?,?]; [text.inputs] in model.toml names it',
    ],
    [
      'tokens of three dimensions',
      bert(),
      textGraph({ last_hidden_state: [-1, -1, 8] }, { input_ids: [-1, -1, 1] }),
      'of texts must be INT64 or INT32 [rows, tokens]',
    ],
    [
      'tokens of another type',
      bert(),
      { ...HIDDEN, inputs: [{ name: 'input_ids', datatype: 'FP32', shape: [-1, -1] }] },
      'of texts must be INT64 or INT32 [rows, tokens]',
    ],
    [
      'a padding outside of the vocabulary',
      bert({ pad_token_id: 100 }),
      HIDDEN,
      'the id that pads, 100, is not one of the 100 of the vocabulary',
    ],
    [
      'a padding outside of a larger vocabulary',
      bert({ pad_token_id: 200, vocab_size: 200 }),
      HIDDEN,
      'the id that pads, 200, is not one of the 200',
    ],
    [
      'a prompt of 10001 characters',
      { ...bert(), 'config_sentence_transformers.json': { prompts: { query: 'x'.repeat(10_001) } } },
      HIDDEN,
      'has 10001 characters, more than 10000',
    ],
    [
      '65 prompts',
      {
        ...bert(),
        'config_sentence_transformers.json': {
          prompts: Object.fromEntries(Array.from({ length: 65 }, (_, at) => [`p${at}`, ''])),
        },
      },
      HIDDEN,
      'has 65 entries, more than 64',
    ],
    // Vectors
    [
      'vectors of another length than its pooling says',
      sentences(['Transformer', 'Pooling']),
      textGraph({ last_hidden_state: [-1, -1, 9] }),
      'has vectors of 9 numbers, and 1_Pooling/config.json says 8',
    ],
    [
      'vectors of no known length',
      { 'tokenizer.json': {}, 'config.json': { architectures: ['BertModel'] } },
      textGraph({ last_hidden_state: [-1, -1, -1] }),
      'does not say how many numbers a vector has, and neither does config.json (hidden_size)',
    ],
    [
      'a named output that is no vector',
      bert(),
      textGraph({ last_hidden_state: [-1, -1, 8], scores: [-1] }),
      'the output "scores" FP32 [?] is no vector for each text or token',
      '[embedding]\noutput = "scores"',
    ],
    [
      'a similarity that is none',
      { ...bert(), 'config_sentence_transformers.json': { similarity_fn_name: 'x' } },
      HIDDEN,
      'must be one of cosine, dot, euclidean, manhattan',
    ],
    [
      'a pooling that is not computed',
      sentences(['Transformer', 'Pooling'], { '1_Pooling/config.json': { pooling_mode: ['mean', 'sum'] } }),
      HIDDEN,
      'has the pooling "sum", which is not computed here',
    ],
    [
      'no file of its pooling',
      {
        ...bert(),
        'modules.json': [
          { type: 'x.Transformer', path: '' },
          { type: 'x.Pooling', path: '1_Pooling' },
        ],
      },
      HIDDEN,
      'its 1_Pooling/config.json is missing, which says how the vectors of tokens are pooled',
    ],
    ['17 modules', sentences(['Transformer', ...Array<string>(16).fill('Dropout')]), HIDDEN, 'has 17 elements, more than 16'],
    [
      'a chain that begins with its pooling',
      sentences(['Pooling']),
      HIDDEN,
      'is the module "Pooling", which is not computed here',
    ],
    ['no modules', { ...bert(), 'modules.json': [] }, HIDDEN, 'is the module "", which is not computed here'],
    [
      'a second module that is no pooling',
      sentences(['Transformer', 'Normalize']),
      HIDDEN,
      'is the module "Normalize", which is not computed here',
    ],
    [
      'a sparse encoder with more modules',
      sentences(['MLMTransformer', 'SpladePooling', 'Normalize']),
      HIDDEN,
      'is the module "MLMTransformer", which is not computed here',
    ],
    // Scores
    [
      'a named output that gives no scores',
      head(),
      textGraph({ logits: [-1, 2], last_hidden_state: [-1, -1, 8] }),
      'model.toml: "scores.output" names "last_hidden_state", which gives no scores for each row ([rows, classes])',
      '[scores]\noutput = "last_hidden_state"',
    ],
    ['a named output that is not there', head(), LOGITS(2), 'model.toml: "scores.output" names "x"', '[scores]\noutput = "x"'],
    [
      'two outputs of scores',
      head(),
      textGraph({ a: [-1, 2], b: [-1, 2] }),
      'gives scores for each row ([rows, classes]) alone; [scores] output in model.toml names the right one',
    ],
    [
      'an unknown number of classes',
      head(),
      LOGITS(-1),
      'nothing says how many classes its output "logits" FP32 [?,?] has; [scores] labels',
    ],
    ['100001 classes', head(), LOGITS(100_001), 'has more than 100000 classes'],
    ['2³¹ tokens of a vocabulary', bert({ vocab_size: 2 ** 31 }), HIDDEN, 'must be a whole number from 0 to 2147483647'],
    [
      'a module with a long name, which is cut',
      sentences([`${'x'.repeat(64)}y`]),
      HIDDEN,
      `is the module "${'x'.repeat(64)}", which is not computed here`,
    ],
    ['two labels for one score', head({ id2label: { 0: 'a', 1: 'b' } }), LOGITS(1), 'has 1 classes, and there are 2 labels'],
    [
      'vectors of no numbers',
      sentences(['Transformer', 'Pooling'], {
        '1_Pooling/config.json': { word_embedding_dimension: 0, pooling_mode_mean_tokens: true },
      }),
      HIDDEN,
      'must be a whole number from 1 to 1000000',
    ],
    [
      'a kind of problem that is none',
      head({ problem_type: 'ranking' }),
      LOGITS(2),
      '"problem_type" must be regression, single_label_classification or multi_label_classification',
    ],
    [
      'an activation of a cross-encoder that is not computed',
      head({ sentence_transformers: { activation_fn: 'torch.nn.modules.activation.GELU' } }),
      LOGITS(1),
      'names an activation that is not computed here; [scores] activation in model.toml can be softmax, sigmoid or none',
    ],
    ['a label of 1001 characters', head({ id2label: { 0: 'x'.repeat(1001) } }), LOGITS(1), 'has 1001 characters, more than 1000'],
    [
      'a class of a number with a zero before it',
      head({ id2label: { '00': 'a' } }),
      LOGITS(1),
      'has the key "00", which is no number of a class',
    ],
    ['a class of 200000', head({ id2label: { 200000: 'a' } }), LOGITS(1), 'has numbers of classes that are too large'],
    [
      'no entailment where zero-shot is asked for',
      head({ id2label: { 0: 'yes', 1: 'no' } }),
      LOGITS(2),
      'a model for zero-shot must have a label that begins with "entail"',
      'task = "zero-shot"',
    ],
    [
      'two scores where reranking is asked for',
      head({ id2label: { 0: 'a', 1: 'b' } }),
      LOGITS(2),
      'this one gives 2',
      'task = "rerank"',
    ],
  ]
  for (const [name, files, graph, reason, toml] of reasons)
    test(`reject ${name}`, async () => {
      expect(await described(files, graph, toml)).toEqual({ reason: expect.stringContaining(reason) })
    })

  const accepted: readonly (readonly [name: string, files: ModelFiles, graph: GraphFacts, task: object, toml?: string])[] = [
    [
      'sides of the tokenizer',
      { ...bert(), 'tokenizer_config.json': { padding_side: 'left', truncation_side: 'left' } },
      HIDDEN,
      { text: { paddingSide: 'left', truncationSide: 'left' }, sources: { paddingSide: 'tokenizer_config.json padding_side' } },
    ],
    ['sides that nothing says', bert(), HIDDEN, { text: { paddingSide: 'right', truncationSide: 'right' } }],
    [
      'inputs of model.toml',
      bert(),
      textGraph({ last_hidden_state: [-1, -1, 8] }, { tokens: [-1, -1], kinds: [-1, -1], places: [-1, -1], m: [-1, -1] }),
      { text: { inputs: { ids: 'tokens', types: 'kinds', positions: 'places', mask: 'm' } } },
      '[text.inputs]\nids = "tokens"\ntypes = "kinds"\npositions = "places"\nmask = "m"',
    ],
    [
      'inputs by their usual names',
      bert(),
      textGraph({ last_hidden_state: [-1, -1, 8] }, { input_ids: [-1, -1], token_type_ids: [-1, -1], position_ids: [-1, -1] }),
      { text: { inputs: { ids: 'input_ids', types: 'token_type_ids', positions: 'position_ids' } } },
    ],
    ['a padding at the end of the vocabulary', bert({ pad_token_id: 99 }), HIDDEN, { text: { padId: 99 } }],
    ['a padding at the end of a larger one', bert({ pad_token_id: 150, vocab_size: 151 }), HIDDEN, { text: { padId: 150 } }],
    ['no padding as -1', bert({ pad_token_id: -1, eos_token_id: [7, 8] }), HIDDEN, { text: { padId: 7 } }],
    [
      'the padding of the tokenizer before the end of a text',
      bert({ eos_token_id: 7 }),
      { ...HIDDEN, tokenizer: { sha256: 'ab', vocabulary: 100, padId: 4, samples: [] } },
      { text: { padId: 4 }, sources: { padId: 'tokenizer.json' } },
    ],
    ['no padding anywhere', bert(), HIDDEN, { text: { padId: 0 }, sources: { padId: 'default' } }],
    ['texts as they are, without sentence-transformers', bert(), HIDDEN, { text: { isStripped: false } }],
    ['texts without space around them, with it', sentences(['Transformer', 'Pooling']), HIDDEN, { text: { isStripped: true } }],
    ['texts as model.toml says', sentences(['Transformer']), HIDDEN, { text: { isStripped: false } }, '[text]\nstrip = false'],
    [
      'the length of texts where positions are unknown',
      bert({ max_position_embeddings: -1 }),
      HIDDEN,
      { text: { tokensMax: 512 }, sources: { tokensMax: 'default' } },
    ],
    [
      'a length as long as the positions',
      { ...bert(), 'sentence_bert_config.json': { max_seq_length: 512 } },
      HIDDEN,
      { text: { tokensMax: 512 }, sources: { tokensMax: 'sentence_bert_config.json max_seq_length' } },
    ],
    [
      'a length longer than the positions',
      { ...bert(), 'sentence_bert_config.json': { max_seq_length: 513 } },
      HIDDEN,
      { text: { tokensMax: 512 }, sources: { tokensMax: 'config.json max_position_embeddings' } },
    ],
    [
      'a length of the tokenizer that is a fraction',
      { ...bert(), 'tokenizer_config.json': { model_max_length: 0.5 } },
      HIDDEN,
      { text: { tokensMax: 1 } },
    ],
    [
      'the largest length that counts as known',
      { ...bert({ max_position_embeddings: -1 }), 'tokenizer_config.json': { model_max_length: 1e9 } },
      HIDDEN,
      { text: { tokensMax: 131_072 } },
    ],
    [
      'the longest texts that there may be',
      { ...bert({ max_position_embeddings: 2 ** 31 - 1 }), 'sentence_bert_config.json': { max_seq_length: 2 ** 31 - 1 } },
      HIDDEN,
      { text: { tokensMax: 131_072 } },
    ],
    [
      'a default prompt of its files',
      { ...bert(), 'config_sentence_transformers.json': { prompts: { q: 'q: ' }, default_prompt_name: 'q' } },
      HIDDEN,
      { text: { defaultPrompt: 'q' } },
    ],
    [
      'a similarity with its old name',
      { ...bert(), 'config_sentence_transformers.json': { similarity_fn_name: 'euclidean_similarity' } },
      HIDDEN,
      { vector: { similarity: 'euclidean' } },
    ],
    ['no similarity', bert(), HIDDEN, { vector: { similarity: 'cosine' } }],
    ['a similarity of model.toml', bert(), HIDDEN, { vector: { similarity: 'dot' } }, '[embedding]\nsimilarity = "dot"'],
    [
      'one pooling of model.toml',
      sentences(['Transformer', 'Pooling']),
      HIDDEN,
      { vector: { pooling: ['cls'], dimensions: 8 } },
      '[embedding]\npooling = "cls"',
    ],
    [
      'two poolings of model.toml',
      bert(),
      HIDDEN,
      { vector: { pooling: ['cls', 'max'], dimensions: 16, includesPrompt: false } },
      '[embedding]\npooling = ["cls", "max"]\ninclude_prompt = false',
    ],
    [
      'vectors whose length the configuration says',
      bert(),
      textGraph({ last_hidden_state: [-1, -1, -1] }),
      { vector: { dimensions: 8, form: 'tokens' } },
    ],
    [
      'the vector of a text before the ones of its tokens',
      bert(),
      textGraph({ last_hidden_state: [-1, -1, 8], text_embeds: [-1, 4] }),
      { vector: { output: 'text_embeds', form: 'vector', dimensions: 4 } },
    ],
    [
      'dropout between modules',
      sentences(['Transformer', 'Pooling', 'Dropout', 'Normalize']),
      HIDDEN,
      { vector: { isNormalized: true, dense: [] } },
    ],
    [
      'modules that do not normalize',
      sentences(['Transformer', 'Pooling']),
      HIDDEN,
      { vector: { isNormalized: false }, sources: { isNormalized: 'modules.json' } },
    ],
    ['100000 classes', head(), LOGITS(100_000), { task: 'classify' }],
    [
      'labels with numbers left out',
      head({ id2label: { 0: 'a', 2: 'c' } }),
      LOGITS(3),
      { scores: { labels: ['a', 'LABEL_1', 'c'] } },
    ],
    [
      'as many labels as the configuration says',
      head({ num_labels: 2 }),
      LOGITS(-1),
      { scores: { labels: ['LABEL_0', 'LABEL_1'] } },
    ],
    [
      'one kind of problem by its name',
      head({ problem_type: 'single_label_classification' }),
      LOGITS(2),
      { scores: { activation: 'softmax' } },
    ],
    [
      'scores named by model.toml',
      head(),
      textGraph({ a: [-1, 2], b: [-1, 3] }),
      { scores: { output: 'b' }, sources: { output: 'model.toml scores.output' } },
      '[scores]\noutput = "b"',
    ],
    [
      'zero-shot that is asked for',
      head({ id2label: { 0: 'Entails', 1: 'no' } }),
      LOGITS(2),
      { task: 'zero-shot' },
      'task = "zero-shot"',
    ],
    [
      'labels of entailment only of its own files',
      head(),
      LOGITS(2),
      { task: 'classify' },
      '[scores]\nlabels = ["entailment", "no"]',
    ],
    [
      'an encoder of an encoder with a decoder',
      bert({ architectures: ['T5EncoderModel'], is_encoder_decoder: true }),
      HIDDEN,
      { task: 'embedding' },
    ],
  ]
  for (const [name, files, graph, task, toml] of accepted)
    test(`take ${name}`, async () => {
      expect(await described(files, graph, toml)).toMatchObject({ task })
    })

  test('leave a model of texts and pictures to its tensors', async () => {
    expect(await described(bert({ architectures: ['CLIPModel'], vision_config: {} }), HIDDEN)).toMatchObject({
      note: expect.stringContaining('CLIPModel'),
    })
    expect(await described({ ...bert(), 'preprocessor_config.json': {} }, HIDDEN)).toMatchObject({
      note: expect.stringContaining('BertModel'),
    })
    expect(await described(bert({ model_type: 'wav2vec2' }), HIDDEN)).toMatchObject({
      note: expect.stringContaining('BertModel'),
    })
  })

  test('name no more than eight tensors', async () => {
    const outputs = Object.fromEntries(Array.from({ length: 9 }, (_, at) => [`o${at}`, [-1, 2]]))
    const { reason } = (await described(head(), textGraph(outputs))) as { reason: string }
    expect(reason).toContain('"o7" FP32 [?,2], …')
    expect(reason).not.toContain('"o8"')
    const eight = Object.fromEntries(Object.entries(outputs).slice(0, 8))
    expect(((await described(head(), textGraph(eight))) as { reason: string }).reason).not.toContain('…')
  })
})

describe('Dense weights', () => {
  const layer = (config: object, weights: Uint8Array | string) =>
    sentences(['Transformer', 'Pooling', 'Dense'], {
      '2_Dense/config.json': { in_features: 8, out_features: 3, ...config },
      '2_Dense/model.safetensors': weights,
    })
  const whole = safetensors({ 'linear.weight': [3, 8], 'linear.bias': [3] })
  const bare = safetensors({ 'linear.weight': [3, 8] })
  const file = (head: string) => {
    const length = Buffer.alloc(8)
    length.writeBigUInt64LE(BigInt(Buffer.byteLength(head)))
    return Buffer.concat([length, Buffer.from(head), Buffer.alloc(96)])
  }
  const place = (offsets: readonly number[]) =>
    file(JSON.stringify({ 'linear.weight': { dtype: 'F32', shape: [3, 8], data_offsets: offsets } }))

  test('may have no bias, where the configuration says so, and another activation', async () => {
    const identity = 'torch.nn.modules.linear.Identity'
    expect(await described(layer({ bias: false, activation_function: identity }, bare), HIDDEN)).toMatchObject({
      task: { vector: { dense: [{ activation: 'identity' }], dimensions: 3 }, sources: { dense: 'modules.json' } },
    })
    expect(await described(layer({}, whole), HIDDEN)).toMatchObject({ task: { vector: { dense: [{ activation: 'tanh' }] } } })
    expect(await described(layer({ bias: false }, place([0, 96])), HIDDEN)).toMatchObject({ task: { vector: { dimensions: 3 } } })
  })

  for (const [name, files, reason] of [
    [
      'a bias that should not be there',
      layer({ bias: false }, whole),
      'has linear.bias, and config.json says that there is none',
    ],
    ['no bias', layer({}, bare), 'has no tensor linear.bias'],
    ['a header that is no JSON', layer({}, file('{"linear')), 'is not a file of safetensors'],
    ['a header longer than the file', layer({}, whole.subarray(0, 40)), 'is not a file of safetensors'],
    ['less than a header', layer({}, whole.subarray(0, 7)), 'is cut off'],
    ['too few numbers', layer({ bias: false }, place([0, 95])), 'is cut off, or has linear.weight in the wrong place'],
    ['numbers behind the end', layer({ bias: false }, place([1, 97])), 'is cut off, or has linear.weight in the wrong place'],
    ['no length of its input', layer({ in_features: null }, whole), '2_Dense/config.json has no in_features'],
    ['65537 numbers', layer({ out_features: 65_537 }, whole), 'must be a whole number from 1 to 65536'],
    ['no description', { ...layer({}, whole), '2_Dense/config.json': 'null' }, 'has no in_features'],
  ] as const)
    test(`are rejected for ${name}`, async () => {
      expect(await described(files, HIDDEN)).toEqual({ reason: expect.stringContaining(reason) })
    })

  test('are not computed twice where it cannot be told who does it', async () => {
    const square = layer({ in_features: 8, out_features: 8 }, safetensors({ 'linear.weight': [8, 8], 'linear.bias': [8] }))
    expect(await described(square, textGraph({ sentence_embedding: [-1, 8] }))).toEqual({
      reason: expect.stringContaining('it cannot be told whether its ONNX file has computed the Dense layers of modules.json'),
    })
    expect(await described(layer({}, whole), textGraph({ sentence_embedding: [-1, 5] }))).toEqual({
      reason: expect.stringContaining('its vectors have 5 numbers, the layers take 8 and give 3'),
    })
    expect(await described(layer({}, whole), textGraph({ sentence_embedding: [-1, 8] }))).toMatchObject({
      task: { vector: { form: 'vector', dimensions: 3, dense: [{ inputs: 8 }] } },
    })
  })
})

describe('limits of what is said of pictures, boxes, masks and sound', () => {
  const vit = (processor: object | undefined, config: object = {}) => ({
    'config.json': { architectures: ['ViTForImageClassification'], id2label: { 0: 'cat', 1: 'dog' }, ...config },
    ...(processor !== undefined && { 'preprocessor_config.json': processor }),
  })
  const planes = (height: number, width: number) => otherGraph({ pixel_values: [-1, 3, height, width] }, { logits: [-1, 2] })
  const SCALED = { do_normalize: true, image_mean: [0.1, 0.2, 0.3], image_std: [0.4, 0.5, 0.6] }
  const square = (kind: string, size: number) => ({ kind, height: size, width: size })
  const crop = { crop_size: { height: 4, width: 6 } }

  const taken: readonly (readonly [name: string, files: ModelFiles, graph: GraphFacts, image: object, toml?: string])[] = [
    [
      'an old CLIP by the shorter side, with a longest',
      vit({ feature_extractor_type: 'CLIPFeatureExtractor', size: 8, max_size: 16, crop_size: 8 }),
      planes(8, 8),
      { steps: [{ kind: 'shortest', size: 8, longestMax: 16 }, square('crop', 8)] },
    ],
    [
      'a crop of a processor that crops by itself',
      vit({ image_processor_type: 'MobileNetV2ImageProcessor', size: { shortest_edge: 8 }, ...crop }),
      planes(-1, -1),
      {
        steps: [
          { kind: 'shortest', size: 8 },
          { kind: 'crop', height: 4, width: 6 },
        ],
      },
    ],
    [
      'a crop that is switched off',
      vit({ image_processor_type: 'CLIPImageProcessor', size: { shortest_edge: 8 }, do_center_crop: false, ...crop }),
      planes(-1, -1),
      { steps: [{ kind: 'shortest', size: 8 }] },
    ],
    [
      'a crop that other processors leave out',
      vit({ image_processor_type: 'ViTImageProcessor', size: 8, ...crop }),
      planes(-1, -1),
      { steps: [square('warp', 8)] },
    ],
    [
      'a padding',
      vit({ size: 8, do_pad: true, pad_size: { height: 9, width: 10 } }),
      planes(-1, -1),
      { steps: [square('warp', 8), { kind: 'pad', height: 9, width: 10, fill: 'zero' }] },
    ],
    ['a padding that is switched off', vit({ size: 8, pad_size: 9 }), planes(-1, -1), { steps: [square('warp', 8)] }],
    [
      'a padding to the largest of a batch as none',
      vit({ size: 8, do_pad: true }),
      planes(-1, -1),
      { steps: [square('warp', 8)] },
    ],
    [
      'Levit larger than it is cropped',
      vit({ image_processor_type: 'LevitImageProcessor', size: { shortest_edge: 224 }, crop_size: 224 }),
      planes(-1, -1),
      { steps: [{ kind: 'shortest', size: 256 }, square('crop', 224)] },
    ],
    [
      'ConvNext of 383 pixels with a crop',
      vit({ image_processor_type: 'ConvNextImageProcessor', size: 383 }),
      planes(-1, -1),
      { steps: [{ kind: 'shortest', size: 437 }, square('crop', 383)] },
    ],
    [
      'ConvNext of which all is cropped',
      vit({ image_processor_type: 'ConvNextImageProcessor', size: 8, crop_pct: 1 }),
      planes(-1, -1),
      { steps: [{ kind: 'shortest', size: 8 }, square('crop', 8)] },
    ],
    [
      'each of Pillow’s filters by its number',
      vit({ size: 8, resample: 5 }),
      planes(-1, -1),
      { steps: [{ ...square('warp', 8), filter: 'hamming' }] },
    ],
    [
      'the first of Pillow’s filters',
      vit({ size: 8, resample: 0 }),
      planes(-1, -1),
      { steps: [{ ...square('warp', 8), filter: 'nearest' }] },
    ],
    ['channels the other way round', vit({ size: 8, do_flip_channel_order: true }), planes(-1, -1), { channels: 'BGR' }],
    ['channels as they are', vit({ size: 8, do_flip_channel_order: false }), planes(-1, -1), { channels: 'RGB' }],
    [
      'grey pictures',
      vit({ size: 8 }),
      otherGraph({ x: [-1, 1, 8, 8] }, { logits: [-1, 2] }),
      { channels: 'grey', mean: [0], std: [1] },
    ],
    ['channels behind the pixels', vit({ size: 8 }), otherGraph({ x: [-1, 8, 8, 3] }, { logits: [-1, 2] }), { layout: 'NHWC' }],
    [
      'channels first where both may be',
      vit({ size: 3 }),
      otherGraph({ x: [-1, 3, 3, 3] }, { logits: [-1, 2] }),
      { layout: 'NCHW' },
    ],
    [
      'a layout of model.toml',
      vit({ size: 3 }),
      otherGraph({ x: [-1, 3, 3, 3] }, { logits: [-1, 2] }),
      { layout: 'NHWC' },
      '[image]\nlayout = "NHWC"',
    ],
    ['another factor', vit({ size: 8, rescale_factor: 0.5 }), planes(-1, -1), { scale: 0.5 }],
    ['no factor', vit({ size: 8, do_rescale: false }), planes(-1, -1), { scale: 1 }],
    [
      'a mean without a switch',
      vit({ size: 8, image_mean: 0.5, image_std: 0.5 }),
      planes(-1, -1),
      { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
    ],
    [
      'a mean that is switched off',
      vit({ size: 8, ...SCALED, do_normalize: false }),
      planes(-1, -1),
      { mean: [0, 0, 0], std: [1, 1, 1] },
    ],
    [
      'EfficientNet without its top',
      vit({ image_processor_type: 'EfficientNetImageProcessor', size: 8, include_top: false, ...SCALED }),
      planes(-1, -1),
      { std: [0.4, 0.5, 0.6] },
    ],
    [
      'values of a model of bytes',
      vit({ size: 8, ...SCALED }),
      { ...planes(8, 8), inputs: [{ name: 'x', datatype: 'UINT8', shape: [-1, 8, 8, 3] }] },
      { scale: 1, mean: [0, 0, 0], std: [1, 1, 1], datatype: 'UINT8' },
    ],
    [
      'the size of the graph',
      vit(undefined),
      planes(5, 7),
      { steps: [{ kind: 'warp', height: 5, width: 7, filter: 'bilinear' }], mean: [1, 2, 3] },
      '[image]\nmean = [1, 2, 3]',
    ],
    [
      'a filter of model.toml',
      vit({ size: 8, resample: 0 }),
      planes(-1, -1),
      { steps: [{ filter: 'lanczos' }] },
      '[image]\nfilter = "lanczos"',
    ],
    [
      'a crop of model.toml without a size',
      vit({ size: 8 }),
      planes(-1, -1),
      { steps: [{ kind: 'crop', height: 4, width: 6 }] },
      '[image]\nresize = "none"\ncrop = [4, 6]',
    ],
    [
      'the shorter side of model.toml',
      vit({ size: 8 }),
      planes(-1, -1),
      { steps: [{ kind: 'shortest', size: 10, longestMax: 20, filter: 'bilinear' }] },
      '[image]\nresize = "shortest"\nsize = 10\nlongest_max = 20',
    ],
    [
      'a place and a fill of model.toml',
      vit({ size: 8 }),
      planes(-1, -1),
      { steps: [{ kind: 'letterbox', fill: 7, place: 'start' }] },
      '[image]\nresize = "letterbox"\nsize = 10\nfill = 7\nplace = "start"',
    ],
    ['8192 pixels', vit({ size: 8192 }), planes(-1, -1), { steps: [square('warp', 8192)] }],
  ]
  for (const [name, files, graph, image, toml] of taken)
    test(`take ${name}`, async () => {
      expect(await described(files, graph, toml)).toMatchObject({ task: { image } })
    })

  const detr = { 'config.json': { architectures: ['DetrForObjectDetection'] }, 'preprocessor_config.json': { size: 8 } }
  const named = (files: ModelFiles) => ({
    ...files,
    'config.json': { architectures: ['DetrForObjectDetection'], id2label: { 0: 'a', 1: 'b' } },
  })
  const boxes = (outputs: Shapes) => otherGraph({ x: [-1, 3, 8, 8] }, outputs)
  const masks = {
    'config.json': { architectures: ['SegformerForSemanticSegmentation'], id2label: { 0: 'wall' } },
    'preprocessor_config.json': { size: 8 },
  }
  const sound = (processor: object, config: object = {}) => ({
    'config.json': {
      architectures: ['Wav2Vec2ForSequenceClassification'],
      model_type: 'wav2vec2',
      id2label: { 0: 'yes', 1: 'no' },
      ...config,
    },
    'preprocessor_config.json': processor,
  })
  const waves = (inputs: Shapes) => otherGraph(inputs, { logits: [-1, 2] })
  const rejected: readonly (readonly [name: string, files: ModelFiles, graph: GraphFacts, reason: string, toml?: string])[] = [
    [
      'two channels',
      vit({ size: 8 }),
      otherGraph({ x: [-1, 2, 8, 8] }, { logits: [-1, 2] }),
      'has 2 channels, and RGB pictures have 3',
    ],
    [
      'grey pictures of three channels',
      vit({ size: 8 }),
      planes(8, 8),
      'has 3 channels, and grey pictures have 1',
      '[image]\nchannels = "grey"',
    ],
    [
      'two inputs of which none is known',
      vit({ size: 8 }),
      otherGraph({ a: [-1, 3, 8, 8], b: [-1, 3, 8, 8] }, { logits: [-1, 2] }),
      'is the picture must be said: [image] input in model.toml',
    ],
    [
      'a picture of three dimensions',
      vit({ size: 8 }),
      otherGraph({ x: [3, 8, 8] }, { logits: [-1, 2] }),
      'of pictures must be FP32, FP16 or UINT8 of four dimensions',
    ],
    [
      'a picture of integers',
      vit({ size: 8 }),
      { ...planes(8, 8), inputs: [{ name: 'x', datatype: 'INT64', shape: [-1, 3, 8, 8] }] },
      'of pictures must be FP32, FP16 or UINT8 of four dimensions',
    ],
    [
      'no size',
      vit(undefined),
      planes(-1, -1),
      'nothing says which size its pictures must have: neither its graph nor preprocessor_config.json',
    ],
    ['half a size of the graph', vit(undefined), planes(8, -1), 'nothing says which size its pictures must have'],
    [
      'a shorter side of two numbers',
      vit({ size: 8 }),
      planes(-1, -1),
      '"image.size" must be one number where "image.resize" is "shortest"',
      '[image]\nresize = "shortest"\nsize = [1, 2]',
    ],
    [
      'a way to resize without a size',
      vit({ size: 8 }),
      planes(-1, -1),
      '"image.size" is missing, and the graph has no fixed size',
      '[image]\nresize = "warp"',
    ],
    [
      'a scale for bytes',
      vit({ size: 8 }),
      { ...planes(8, 8), inputs: [{ name: 'x', datatype: 'UINT8', shape: [-1, 8, 8, 3] }] },
      'have no effect on a model that takes UINT8',
      '[image]\nscale = 1',
    ],
    [
      'two numbers for three channels',
      vit({ size: 8 }),
      planes(8, 8),
      '"image.mean" must have 3 numbers, one for each channel',
      '[image]\nmean = [1, 2]',
    ],
    ['a deviation of 0 in model.toml', vit({ size: 8 }), planes(8, 8), 'must not be 0', '[image]\nstd = [1, 0, 1]'],
    [
      'a mean of two numbers',
      vit({ size: 8, ...SCALED, image_mean: [1, 2] }),
      planes(8, 8),
      'has 2 numbers in image_mean, and its pictures have 3 channels',
    ],
    ['no deviation', vit({ size: 8, do_normalize: true, image_mean: 1 }), planes(8, 8), 'has do_normalize without image_std'],
    [
      'EfficientNet with an offset',
      vit({ image_processor_type: 'EfficientNetImageProcessor', size: 8, rescale_offset: true }),
      planes(8, 8),
      'has rescale_offset, which is not computed here',
    ],
    [
      'a multiple of 32',
      vit({ size: 8, ensure_multiple_of: 32 }),
      planes(8, 8),
      'has ensure_multiple_of, which is not computed here',
    ],
    [
      'a crop of ConvNext of nothing',
      vit({ image_processor_type: 'ConvNextImageProcessor', size: 8, crop_pct: 0 }),
      planes(-1, -1),
      'has a crop_pct that is not between 0 and 1',
    ],
    [
      'a crop of ConvNext of more than all',
      vit({ image_processor_type: 'ConvNextImageProcessor', size: 8, crop_pct: 1.01 }),
      planes(-1, -1),
      'has a crop_pct that is not between 0 and 1',
    ],
    [
      'ConvNext without a size',
      vit({ image_processor_type: 'ConvNextImageProcessor' }),
      planes(-1, -1),
      'preprocessor_config.json has no size',
    ],
    ['a filter of no number', vit({ size: 8, resample: 6 }), planes(8, 8), 'must be a whole number from 0 to 5'],
    ['8193 pixels', vit({ size: 8193 }), planes(-1, -1), 'must be a whole number from 1 to 8192'],
    ['no pixels', vit({ size: { height: 0, width: 8 } }), planes(-1, -1), 'must be a whole number from 1 to 8192'],
    [
      'half a crop',
      vit({ size: 8, do_center_crop: true, crop_size: { height: 4 } }),
      planes(-1, -1),
      '"crop_size" must have height and width',
    ],
    ['a higher picture than the graph takes', vit({ size: { height: 9, width: 8 } }), planes(8, 8), 'pictures get 9×8 pixels'],
    ['a wider picture than the graph takes', vit({ size: { height: 8, width: 9 } }), planes(8, 8), 'pictures get 8×9 pixels'],
    ['a shorter side for a graph of one size', vit({ size: { shortest_edge: 8 } }), planes(8, 8), 'pictures get no fixed size'],
    [
      'DETR without its scores',
      named(detr),
      boxes({ pred_boxes: [-1, 5, 4], l: [-1, 5, 3] }),
      'a model of the form "detr" must give logits [rows, boxes, classes] and pred_boxes [rows, boxes, 4]',
    ],
    [
      'DETR without its boxes',
      named(detr),
      boxes({ logits: [-1, 5, 3] }),
      'must give logits [rows, boxes, classes] and pred_boxes',
      '[boxes]\nform = "detr"',
    ],
    [
      'DETR with one class for two names',
      named(detr),
      boxes({ logits: [-1, 5, 1], pred_boxes: [-1, 5, 4] }),
      'has 1 classes, and there are 2 labels',
    ],
    ['DETR without names', detr, boxes({ logits: [-1, 5, 3], pred_boxes: [-1, 5, 4] }), 'nothing names the classes of its boxes'],
    ['boxes without names', detr, boxes({ y: [-1, 6, 100] }), 'nothing names the classes of its boxes'],
    [
      'two outputs of boxes',
      named(detr),
      boxes({ y: [-1, 6, 100], z: [-1, 6, 100] }),
      'alone gives boxes ([rows, values, boxes]); [boxes] output in model.toml names the right one',
    ],
    [
      'boxes of a form that does not fit',
      named(detr),
      boxes({ y: [-1, 6, 100] }),
      'fits neither 6 values for each box (4 and 2 classes) nor 7',
      '[boxes]\nform = "yolo-objectness"',
    ],
    [
      'two outputs of masks',
      masks,
      boxes({ y: [-1, 1, 8, 8], z: [-1, 1, 8, 8] }),
      'gives a score for each class and pixel ([rows, classes, height, width]); [masks] output',
    ],
    ['masks of three dimensions', masks, boxes({ logits: [-1, 1, 8] }), 'gives a score for each class and pixel'],
    ['masks of another number of classes', masks, boxes({ logits: [-1, 3, 8, 8] }), 'has 3 classes, and there are 1 labels'],
    [
      'two inputs of sound of which none is known',
      sound({ sampling_rate: 16_000 }),
      waves({ a: [-1, -1], b: [-1, -1] }),
      'is the sound must be said: [audio] input in model.toml',
    ],
    [
      'a second input beside sound',
      sound({ sampling_rate: 16_000 }),
      waves({ input_values: [-1, -1], mask: [-1, -1] }),
      'the model also needs the input "mask" FP32 [?,?], which sound does not give',
    ],
    [
      'sound of no known rate',
      sound({}),
      waves({ input_values: [-1, -1] }),
      'nothing says how many samples a second its sound must have',
    ],
    [
      '999 samples a second',
      sound({ sampling_rate: 999 }),
      waves({ input_values: [-1, -1] }),
      'must be a whole number from 1000 to 192000',
    ],
    [
      '192001 samples a second',
      sound({ sampling_rate: 192_001 }),
      waves({ input_values: [-1, -1] }),
      'must be a whole number from 1000 to 192000',
    ],
    [
      'sound as integers',
      sound({ sampling_rate: 16_000 }),
      { ...waves({}), inputs: [{ name: 'x', datatype: 'INT16', shape: [-1, -1] }] },
      'takes no samples of sound (FP32 or FP16 [rows, samples])',
    ],
  ]
  for (const [name, files, graph, reason, toml] of rejected)
    test(`reject ${name}`, async () => {
      expect(await described(files, graph, toml)).toEqual({ reason: expect.stringContaining(reason) })
    })

  const others: readonly (readonly [name: string, files: ModelFiles, graph: GraphFacts, task: object, toml?: string])[] = [
    [
      'boxes of DETR with one class more',
      named(detr),
      boxes({ logits: [-1, 5, 3], pred_boxes: [-1, 5, 4] }),
      { boxes: { form: 'detr', threshold: 0.5, overlapMax: 1, isAcrossClasses: false } },
    ],
    [
      'boxes of DETR with as many classes',
      named(detr),
      boxes({ logits: [-1, 5, 2], pred_boxes: [-1, 5, 4] }),
      { boxes: { form: 'detr' }, sources: { form: 'the graph' } },
    ],
    [
      'outputs of DETR by their names',
      named(detr),
      boxes({ l: [-1, 5, 2], b: [-1, 5, 4] }),
      { boxes: { output: 'l', boxes: 'b', threshold: 0.1, overlapMax: 0.7, isAcrossClasses: true } },
      '[boxes]\noutput = "l"\nboxes = "b"\nthreshold = 0.1\noverlap_max = 0.7\nacross_classes = true',
    ],
    ['boxes before their values', named(detr), boxes({ y: [-1, 100, 7] }), { boxes: { form: 'yolo-objectness' } }],
    [
      'values before their boxes',
      named(detr),
      boxes({ y: [-1, 6, 100] }),
      { boxes: { form: 'yolo', threshold: 0.25, overlapMax: 0.45, isAcrossClasses: false } },
    ],
    [
      'values that fit both forms, as boxes without objectness',
      named(detr),
      boxes({ y: [-1, 6, 7] }),
      { boxes: { form: 'yolo' } },
    ],
    ['values of unknown size', named(detr), boxes({ y: [-1, -1, -1] }), { boxes: { form: 'yolo' } }],
    [
      'one of two outputs of boxes',
      named(detr),
      boxes({ y: [-1, 6, 100], z: [-1, 6, 100] }),
      { boxes: { output: 'z' }, sources: { output: 'model.toml boxes.output' } },
      '[boxes]\noutput = "z"',
    ],
    [
      'one of two outputs of masks',
      masks,
      boxes({ y: [-1, 1, 8, 8], z: [-1, 1, 8, 8] }),
      { masks: { output: 'z', labels: ['wall'] } },
      '[masks]\noutput = "z"',
    ],
    [
      'sound by the name of its input',
      sound({ sampling_rate: 16_000 }),
      waves({ a: [-1, -1] }),
      { audio: { input: 'a', secondsMax: 30, isNormalized: false } },
    ],
    [
      'sound that its kind of file normalizes',
      sound({ sampling_rate: 1000, feature_extractor_type: 'Wav2Vec2FeatureExtractor' }),
      waves({ input_values: [-1, -1] }),
      { audio: { rate: 1000, isNormalized: true } },
    ],
    [
      'sound as model.toml says',
      sound({ sampling_rate: 16_000, do_normalize: true }),
      waves({ input_values: [-1, -1] }),
      { audio: { rate: 192_000, isNormalized: false } },
      '[audio]\nrate = 192000\nnormalize = false',
    ],
  ]
  for (const [name, files, graph, task, toml] of others)
    test(`take ${name}`, async () => {
      expect(await described(files, graph, toml)).toMatchObject({ task })
    })

  const YOLO = { task: 'classify', stride: '32', names: "{0: 'a', 1: 'b'}" }
  const ofSize = (imgsz: string, metadata: object = {}) =>
    described({}, otherGraph({ x: [-1, 3, -1, -1] }, { output0: [-1, 2] }, { ...YOLO, ...metadata, imgsz }))

  test('read the size that ultralytics notes, and nothing else as one', async () => {
    for (const [text, height, width] of [
      ['[32, 64]', 32, 64],
      ['[32]', 32, 32],
      ['32', 32, 32],
      ['8192', 8192, 8192],
      ['[1, 2]', 1, 2],
      ['[2, 1]', 2, 1],
    ] as const)
      expect(await ofSize(text)).toMatchObject({
        task: {
          task: 'image-classify',
          image: {
            steps: [
              { kind: 'shortest', size: Math.min(height, width) },
              { kind: 'crop', height, width },
            ],
          },
          scores: { activation: 'none', labels: ['a', 'b'] },
        },
      })
    for (const text of ['', '0', '[32, 0]', '8193', '[32, 8193]', '123456', '[1, 2, 3]'])
      expect(await ofSize(text)).toEqual({ note: expect.stringContaining('nothing says which size its pictures must have') })
  })

  test('read names of classes as Python writes them', async () => {
    const names = String.raw`{0: 'a\n\t\\\'', 1: "\u00e9\x41"}`
    expect(await ofSize('8', { names })).toMatchObject({ task: { scores: { labels: ["a\n\t\\'", 'éA'] } } })
  })

  test('leave a model of ultralytics without a task here to its tensors, and say so', async () => {
    for (const task of ['pose', 'segment', 'constructor'])
      expect(await ofSize('8', { task })).toEqual({
        note: `the task ${task} of its metadata is not computed here: it is served as tensors`,
      })
    expect(
      await described({}, otherGraph({ x: [-1, 3, 8, 8] }, { output0: [-1, 2] }, { task: 'classify', names: '{}' })),
    ).toEqual({})
  })
})
