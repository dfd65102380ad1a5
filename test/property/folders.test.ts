import { afterAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readFolder } from '../../src/tasks/folder/read-folder.ts'
import { seeded } from '../support/seed.ts'
import { sentenceFolder, writeFolder } from '../support/text-folders.ts'

const ROUNDS = 500
const root = mkdtempSync(join(tmpdir(), 'vestal-folders-property-'))
afterAll(() => rmSync(root, { recursive: true }))

const draw = seeded('folders')
const pick = <T>(among: readonly T[]): T => among[Math.floor(draw() * among.length)] as T

/** Values that stand where the files have others. */
const VALUES: readonly unknown[] = [
  ...[null, true, false, 0, 1, -1, 2 ** 53, 1e308, 0.5, '', 'a', 'BertModel', 'x'.repeat(5000), '../..', '__proto__'],
  ...[
    [],
    [null],
    ['BertForSequenceClassification'],
    [[[]]],
    Array(100).fill(1),
    {},
    { 0: 'a' },
    { '-1': 'a' },
    { constructor: 1 },
    { size: {} },
  ],
]
const FILES: Readonly<Record<string, readonly string[]>> = {
  'config.json': [
    'architectures',
    'model_type',
    'id2label',
    'num_labels',
    'max_position_embeddings',
    'pad_token_id',
    'eos_token_id',
    'vocab_size',
    'hidden_size',
    'problem_type',
    'is_encoder_decoder',
    'sentence_transformers',
    'vision_config',
  ],
  'tokenizer_config.json': ['model_max_length', 'padding_side', 'truncation_side', 'do_lower_case'],
  'modules.json': ['0', '1', '2'],
  '1_Pooling/config.json': ['pooling_mode', 'pooling_mode_mean_tokens', 'word_embedding_dimension', 'include_prompt'],
  'sentence_bert_config.json': ['max_seq_length', 'do_lower_case'],
  'config_sentence_transformers.json': ['prompts', 'default_prompt_name', 'similarity_fn_name'],
  'preprocessor_config.json': [
    'size',
    'crop_size',
    'resample',
    'do_resize',
    'image_mean',
    'image_std',
    'do_normalize',
    'image_processor_type',
    'pad_size',
    'sampling_rate',
    'rescale_factor',
  ],
}
const spec = (name: string, datatype: 'FP32' | 'INT64', ...shape: readonly number[]) => ({ name, datatype, shape })
const TOKENIZER = { sha256: 'a', vocabulary: 9, samples: [] }
const IDS = spec('input_ids', 'INT64', -1, -1)
const PIXELS = spec('pixel_values', 'FP32', -1, 3, -1, -1)
/** Architectures with the graphs that they have. */
const MODELS = [
  ['BertModel', { inputs: [IDS], outputs: [spec('last_hidden_state', 'FP32', -1, -1, 4)], tokenizer: TOKENIZER }],
  ['BertForSequenceClassification', { inputs: [IDS], outputs: [spec('logits', 'FP32', -1, 2)], tokenizer: TOKENIZER }],
  ['BertForTokenClassification', { inputs: [IDS], outputs: [spec('logits', 'FP32', -1, -1, 2)], tokenizer: TOKENIZER }],
  ['ViTForImageClassification', { inputs: [PIXELS], outputs: [spec('logits', 'FP32', -1, 2)] }],
  [
    'DetrForObjectDetection',
    { inputs: [PIXELS], outputs: [spec('logits', 'FP32', -1, 9, 3), spec('pred_boxes', 'FP32', -1, 9, 4)] },
  ],
  ['SegformerForSemanticSegmentation', { inputs: [PIXELS], outputs: [spec('logits', 'FP32', -1, 2, 8, 8)] }],
  [
    'Wav2Vec2ForAudioClassification',
    { inputs: [spec('input_values', 'FP32', -1, -1)], outputs: [spec('logits', 'FP32', -1, 2)] },
  ],
] as const

/** A folder as its users have it, some of whose values were replaced. */
function changedFolder(architecture: string): Record<string, unknown> {
  const files: Record<string, unknown> = structuredClone({ ...sentenceFolder(), 'model.onnx': 'x' })
  files['config.json'] = { architectures: [architecture], model_type: 'bert', id2label: { 0: 'a', 1: 'b' } }
  if (!architecture.startsWith('Bert'))
    files['preprocessor_config.json'] = {
      ...{ size: { height: 8, width: 8 }, do_normalize: true, image_mean: [0, 0, 0], image_std: [1, 1, 1], sampling_rate: 8000 },
    }
  if (architecture !== 'BertModel' || draw() < 0.3) delete files['modules.json']
  for (let change = 0; change < 2; change += 1) {
    const name = pick(Object.keys(FILES))
    const value = structuredClone(pick(VALUES))
    const target = files[name]
    if (draw() < 0.1) files[name] = value === null ? 'null' : value
    else if (typeof target === 'object' && target !== null) Object.assign(target, { [pick(FILES[name] ?? [])]: value })
    else files[name] = { [pick(FILES[name] ?? [])]: value }
  }
  return files
}

test(`whatever the files of a folder say, it has a task or a reason that can be shown (${draw.seed})`, async () => {
  let described = 0
  for (let round = 0; round < ROUNDS; round += 1) {
    const folder = join(root, `${round}`)
    const [architecture, graph] = pick(MODELS)
    const files = Object.fromEntries(
      Object.entries(changedFolder(architecture)).map(([name, value]) => [
        name,
        typeof value === 'string' ? value : JSON.stringify(value),
      ]),
    )
    await writeFolder(folder, files)
    try {
      const { task } = readFolder(folder).describe(graph)
      if (task === undefined) continue
      described += 1
      const { text, vector, image } = task
      // What is described is whole: nothing in it is a number that no picture, text or vector has.
      const numbers = [text?.tokensMax, text?.padId, vector?.dimensions, image?.scale, ...(image?.std ?? [])]
      for (const number of numbers) if (number !== undefined) expect([round, Number.isFinite(number)]).toEqual([round, true])
      expect(JSON.parse(JSON.stringify(task))).toEqual(structuredClone(task) as never)
    } catch (error) {
      // A bug of ours would be of another kind.
      expect([
        round,
        (error as Error).constructor.name,
        error instanceof TypeError || error instanceof RangeError ? (error as Error).stack : '',
      ]).toEqual([round, 'Error', ''])
      const { message } = error as Error
      expect([message.includes(root), message.length < 1500]).toEqual([false, true])
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  }
  expect(described).toBeGreaterThan(ROUNDS / 20)
})
