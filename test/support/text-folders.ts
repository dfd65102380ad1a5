/** Folders of tiny models of texts, as Hugging Face and sentence-transformers lay them out. */
import { join } from 'node:path'
import { type Constant, type Node, onnxModel } from './tiny-models.ts'

/** Tokens of the tiny tokenizer, in the order of their ids. */
export const TOKENS = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', 'good', 'bad', 'film', 'a', 'the', 'very', 'paris'] as const
/** Numbers of a token's vector. */
export const SIZE = 4

/** A tokenizer of words in lower case, `[CLS] … [SEP]` and `[CLS] … [SEP] … [SEP]`, as JSON. */
export function tokenizerJson(changes: Readonly<Record<string, unknown>> = {}): string {
  const special = TOKENS.slice(0, 5).map((content, id) => ({
    ...{ id, content, special: true, single_word: false, lstrip: false, rstrip: false, normalized: false },
  }))
  const sequence = (id: 'A' | 'B', type: number) => ({ Sequence: { id, type_id: type } })
  const token = (id: string, type: number) => ({ SpecialToken: { id, type_id: type } })
  return JSON.stringify({
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: special,
    normalizer: { type: 'Lowercase' },
    pre_tokenizer: { type: 'Whitespace' },
    post_processor: {
      type: 'TemplateProcessing',
      single: [token('[CLS]', 0), sequence('A', 0), token('[SEP]', 0)],
      pair: [token('[CLS]', 0), sequence('A', 0), token('[SEP]', 0), sequence('B', 1), token('[SEP]', 1)],
      special_tokens: {
        '[CLS]': { id: '[CLS]', ids: [2], tokens: ['[CLS]'] },
        '[SEP]': { id: '[SEP]', ids: [3], tokens: ['[SEP]'] },
      },
    },
    decoder: null,
    model: { type: 'WordLevel', vocab: Object.fromEntries(TOKENS.map((content, id) => [content, id])), unk_token: '[UNK]' },
    ...changes,
  })
}

export interface TextModelOptions {
  /** `hidden`: [rows, tokens, 4]; `sentence`: [rows, 4], the sums of tokens; `logits`: [rows, classes]; `token-logits`: [rows, tokens, classes]. */
  readonly gives: 'hidden' | 'sentence' | 'logits' | 'token-logits'
  /** Name of the output; default what exporters call it. */
  readonly output?: string
  /** Default 2. */
  readonly classes?: number
  /** Default the ids and the mask. */
  readonly inputs?: readonly ('input_ids' | 'attention_mask' | 'token_type_ids' | 'position_ids')[]
  /** Default any. */
  readonly tokens?: number
}

const NAMES = { hidden: 'last_hidden_state', sentence: 'sentence_embedding', logits: 'logits', 'token-logits': 'logits' }

/**
 * A model of texts whose numbers can be computed by hand: the vector of token t is [t, t², 1, -t] / 10, plus one tenth of its type, times
 * its mask. Score c is the sum of its vector, over the tokens where there is one for each row, times c + 1.
 */
export function textModel({ gives, output = NAMES[gives], classes = 2, tokens, ...options }: TextModelOptions): Uint8Array {
  const { inputs = ['input_ids', 'attention_mask'] } = options
  const table = TOKENS.flatMap((_, id) => [id / 10, (id * id) / 10, 0.1, -id / 10])
  const nodes: Node[] = [{ operator: 'Gather', inputs: ['table', 'input_ids'], outputs: ['v0'], axis: 0 }]
  const constants: Constant[] = [{ name: 'table', shape: [TOKENS.length, SIZE], values: Float32Array.from(table) }]
  let last = 'v0'
  const combine = (operator: 'Add' | 'Mul', name: string, values: readonly number[]) => {
    const next = `${last}x`
    constants.push({ name: `${name}_values`, shape: [values.length, 1], values: Float32Array.from(values) })
    nodes.push({ operator: 'Gather', inputs: [`${name}_values`, name], outputs: [`${name}_each`], axis: 0 })
    nodes.push({ operator, inputs: [last, `${name}_each`], outputs: [next] })
    last = next
  }
  if (inputs.includes('token_type_ids')) combine('Add', 'token_type_ids', [0, 0.1])
  if (inputs.includes('position_ids')) combine('Add', 'position_ids', Array<number>(64).fill(0))
  if (inputs.includes('attention_mask')) combine('Mul', 'attention_mask', [0, 1])
  if (gives === 'sentence' || gives === 'logits') {
    constants.push({ name: 'one', shape: [1], values: new BigInt64Array([1n]) })
    nodes.push(
      { operator: 'ReduceSum', inputs: [last, 'one'], outputs: ['sum'] },
      { operator: 'Squeeze', inputs: ['sum', 'one'], outputs: ['row'] },
    )
    last = 'row'
  }
  if (gives === 'logits' || gives === 'token-logits') {
    const weights = Array.from({ length: SIZE * classes }, (_, index) => (index % classes) + 1)
    constants.push({ name: 'weights', shape: [SIZE, classes], values: Float32Array.from(weights) })
    nodes.push({ operator: 'MatMul', inputs: [last, 'weights'], outputs: ['scores'] })
    last = 'scores'
  }
  nodes.push({ operator: 'Identity', inputs: [last], outputs: [output] })
  const width = gives === 'logits' || gives === 'token-logits' ? classes : SIZE
  const isByToken = gives === 'hidden' || gives === 'token-logits'
  return onnxModel({
    nodes,
    constants,
    inputs: inputs.map((name) => ({ name, datatype: 'INT64', shape: ['batch', tokens ?? 'sequence'] })),
    outputs: [{ name: output, datatype: 'FP32', shape: isByToken ? ['batch', tokens ?? 'sequence', width] : ['batch', width] }],
  })
}

/** Files of a folder by their paths; objects become JSON. */
export type ModelFiles = Readonly<Record<string, Uint8Array | string | object>>

/** Writes the files of a folder. */
export async function writeFolder(folder: string, files: ModelFiles): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    const isJson = typeof content === 'object' && !(content instanceof Uint8Array)
    await Bun.write(join(folder, path), isJson ? JSON.stringify(content) : content)
  }
}

/** A folder of sentence-transformers: an embedding by the mean of its tokens, normalised. */
export function sentenceFolder(files: ModelFiles = {}): ModelFiles {
  return {
    'model.onnx': textModel({ gives: 'hidden' }),
    'tokenizer.json': tokenizerJson(),
    'config.json': {
      architectures: ['BertModel'],
      model_type: 'bert',
      hidden_size: SIZE,
      max_position_embeddings: 64,
      pad_token_id: 0,
    },
    'modules.json': ['Transformer', 'Pooling', 'Normalize'].map((name, idx) => ({
      ...{ idx, name: `${idx}`, path: idx === 0 ? '' : `${idx}_${name}`, type: `sentence_transformers.models.${name}` },
    })),
    '1_Pooling/config.json': { word_embedding_dimension: SIZE, pooling_mode_cls_token: false, pooling_mode_mean_tokens: true },
    'sentence_bert_config.json': { max_seq_length: 32, do_lower_case: false },
    ...files,
  }
}

/** A folder of Hugging Face for scores of texts, with these labels. */
export function scoreFolder(
  architecture: string,
  labels: readonly string[],
  { files = {}, config = {} }: { readonly files?: ModelFiles; readonly config?: object } = {},
): ModelFiles {
  const gives = /TokenClassification|MaskedLM/.test(architecture) ? 'token-logits' : 'logits'
  const id2label = Object.fromEntries(labels.map((label, id) => [id, label]))
  return {
    'onnx/model.onnx': textModel({
      gives,
      classes: gives === 'token-logits' && labels.length === 0 ? TOKENS.length : labels.length,
    }),
    'tokenizer.json': tokenizerJson(),
    'tokenizer_config.json': { model_max_length: 16, padding_side: 'right', truncation_side: 'left' },
    'config.json': {
      architectures: [architecture],
      model_type: 'bert',
      max_position_embeddings: 64,
      ...(labels.length > 0 && { id2label }),
      ...config,
    },
    ...files,
  }
}
