import type { Engine } from '../../src/inference/engine.ts'
import type { TaskCall } from '../../src/tasks/call.ts'
import type { TaskDescription, TextInput } from '../../src/tasks/task.ts'
import type { Tensor } from '../../src/tensor/tensor.ts'
import { type Node, onnxModel } from './tiny-models.ts'

/** Words of the tokenizer of tests, by their ids from 5 on; a text of others has [UNK]. */
export const WORDS = [
  'alpha',
  'beta',
  'gamma',
  'delta',
  'query',
  ':',
  'good',
  'bad',
  'film',
  'ada',
  'paris',
  '##s',
  '😀',
  'is',
  '.',
]
const SPECIAL = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]']
/** Ids of the tokenizer. */
export const VOCABULARY: readonly string[] = [...SPECIAL, ...WORDS]

/** The id of a token of the tokenizer. */
export function idOfToken(token: string): number {
  return VOCABULARY.indexOf(token)
}

/** A tokenizer of BERT's kind as `tokenizer.json`, with a truncation and a padding of its own that must not be used. */
export function bertTokenizer(): string {
  const special = (token: string) => ({ id: token, ids: [idOfToken(token)], tokens: [token] })
  const added = (content: string) => ({
    id: idOfToken(content),
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  })
  const token = (id: string, type_id: number) => ({ SpecialToken: { id, type_id } })
  const sequence = (id: string, type_id: number) => ({ Sequence: { id, type_id } })
  return JSON.stringify({
    version: '1.0',
    truncation: { direction: 'Right', max_length: 4, strategy: 'LongestFirst', stride: 0 },
    padding: {
      strategy: { Fixed: 4 },
      direction: 'Right',
      pad_to_multiple_of: null,
      pad_id: 0,
      pad_type_id: 0,
      pad_token: '[PAD]',
    },
    added_tokens: SPECIAL.map(added),
    normalizer: { type: 'BertNormalizer', clean_text: true, handle_chinese_chars: true, strip_accents: null, lowercase: true },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: {
      type: 'TemplateProcessing',
      single: [token('[CLS]', 0), sequence('A', 0), token('[SEP]', 0)],
      pair: [token('[CLS]', 0), sequence('A', 0), token('[SEP]', 0), sequence('B', 1), token('[SEP]', 1)],
      special_tokens: { '[CLS]': special('[CLS]'), '[SEP]': special('[SEP]') },
    },
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    model: {
      type: 'WordPiece',
      unk_token: '[UNK]',
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab: Object.fromEntries(VOCABULARY.map((word, id) => [word, id])),
    },
  })
}

/** A table of numbers for each token: what the models of tests look up. */
export type Table = (id: number) => readonly number[]

const INPUTS = ['input_ids', 'attention_mask', 'token_type_ids']

function textModel(
  table: Table,
  output: string,
  { nodes, shape }: { readonly nodes: readonly Node[]; readonly shape: readonly (number | string)[] },
): Uint8Array {
  const width = table(0).length
  const values = Float32Array.from(VOCABULARY.flatMap((_, id) => [...table(id)]))
  return onnxModel({
    nodes: [{ operator: 'Gather', inputs: ['table', 'input_ids'], outputs: ['looked'] }, ...nodes],
    inputs: INPUTS.map((name) => ({ name, datatype: 'INT64', shape: ['batch', 'tokens'] })),
    outputs: [{ name: output, datatype: 'FP32', shape }],
    constants: [
      { name: 'table', shape: [VOCABULARY.length, width], values },
      { name: 'one', shape: [1], values: new BigInt64Array([1n]) },
      { name: 'flat', shape: [2], values: new BigInt64Array([-1n, BigInt(width)]) },
    ],
  })
}

/** A model that gives the row of the table for each token: `last_hidden_state` or logits of tokens. */
export function tokenModel(table: Table, output = 'last_hidden_state'): Uint8Array {
  const nodes = [{ operator: 'Identity', inputs: ['looked'], outputs: [output] }]
  return textModel(table, output, { nodes, shape: ['batch', 'tokens', table(0).length] })
}

/** A model whose `logits` are the sum of the table's rows of a text's tokens. */
export function sumModel(table: Table): Uint8Array {
  const nodes = [
    { operator: 'ReduceSum', inputs: ['looked', 'one'], outputs: ['sums'] },
    { operator: 'Reshape', inputs: ['sums', 'flat'], outputs: ['logits'] },
  ]
  return textModel(table, 'logits', { nodes, shape: ['batch', table(0).length] })
}

/** How texts become tensors, with a tokenizer at a path. */
export async function textInput(path: string, more: Partial<TextInput> = {}): Promise<TextInput> {
  const sha256 = new Bun.CryptoHasher('sha256').update(await Bun.file(path).bytes()).digest('hex')
  return {
    tokenizer: { path, sha256 },
    tokensMax: 12,
    truncationSide: 'right',
    paddingSide: 'right',
    padId: 0,
    inputs: { ids: 'input_ids', mask: 'attention_mask', types: 'token_type_ids' },
    prompts: {},
    isStripped: false,
    ...more,
  }
}

/** An engine whose models have these tasks, by name. */
export function withTasks(engine: Engine, tasks: Readonly<Record<string, TaskDescription>>): Engine {
  return {
    ...engine,
    model(name) {
      const model = engine.model(name)
      const task = tasks[name]
      if (model === undefined || task === undefined) return model
      return { ...model, versions: model.versions.map((version) => ({ ...version, task })) }
    },
  }
}

/** Numbers in the place of a model: for each token of a text, or for a text. */
interface Numbers {
  readonly output: string
  readonly ofToken?: (id: number) => readonly number[]
  readonly ofText?: (ids: readonly number[]) => readonly number[]
}

/** A call of an operation whose model looks its numbers up. */
export function callOf(task: TaskDescription, { output, ofToken, ofText }: Numbers): TaskCall {
  return {
    task,
    inputs: [],
    infer: async (inputs) => {
      // The cast: ids are integers of 64 bits where nothing else is said.
      const ids = Array.from((inputs.get('input_ids') as Tensor).data as BigInt64Array, Number)
      const rows = ofText === undefined ? ids.map((id) => ofToken?.(id) ?? []) : [ofText(ids)]
      const shape = [1, ...(ofText === undefined ? [ids.length] : []), rows[0]?.length ?? 0]
      return new Map([[output, { datatype: 'FP32', shape, data: Float32Array.from(rows.flat()) }]])
    },
  }
}
