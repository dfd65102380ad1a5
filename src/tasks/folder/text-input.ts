import { join } from 'node:path'
import type { TensorSpec } from '../../tensor/tensor.ts'
import type { TextInput } from '../task.ts'
import { byDefault, type GraphFacts, listed, type Sources, said } from './facts.ts'
import { type FolderFiles, type JsonValue, TOKENIZER_BYTES_MAX } from './folder-files.ts'
import { PROMPT_LENGTH_MAX, PROMPTS_MAX, type TaskTables, TOKENS_MAX } from './task-tables.ts'

/** What sentence-transformers has called its file of a Transformer module. */
const TRANSFORMER_FILES = ['bert', 'roberta', 'distilbert', 'camembert', 'albert', 'xlm-roberta', 'xlnet'].map(
  (model) => `sentence_${model}_config.json`,
)
/** Tokenizers in forms that only Python's slow ones read. */
const SLOW_TOKENIZERS = ['vocab.txt', 'vocab.json', 'sentencepiece.bpe.model', 'spiece.model', 'tokenizer.model']
/** Types of models that count positions from the id of their padding on. */
const OFFSET_TYPES: ReadonlySet<string> = new Set([
  'roberta',
  'xlm-roberta',
  'xlm-roberta-xl',
  'roberta-prelayernorm',
  'camembert',
  'mpnet',
  'longformer',
  'data2vec-text',
  'ibert',
  'xmod',
])
/** Tokens of a text where nothing says how many the model takes. */
const TOKENS_DEFAULT = 512
/** `model_max_length` above this means unknown (1e30). */
const UNKNOWN_LENGTH = 1e9

/** The files that say how texts become tokens. */
export interface TextFiles {
  /** Absolute path of tokenizer.json. */
  readonly tokenizer: string
  readonly config?: JsonValue
  readonly tokenizerConfig?: JsonValue
  /** Of a Transformer module of sentence-transformers. */
  readonly transformer?: JsonValue
  /** config_sentence_transformers.json. */
  readonly sentences?: JsonValue
  /** Whether sentence-transformers made the folder. */
  readonly isOfSentences: boolean
}

/**
 * Reads the files that say how texts become tokens.
 * @param base Folder of the Transformer module; empty where it is the model's own
 * @throws Error where there is no tokenizer, or a file cannot be read
 */
export function readTextFiles(
  files: FolderFiles,
  tables: TaskTables,
  {
    base,
    config,
    isOfSentences,
  }: { readonly base: string; readonly config: JsonValue | undefined; readonly isOfSentences: boolean },
): TextFiles {
  const name = tables.text?.tokenizer ?? join(base, 'tokenizer.json')
  const tokenizer = files.path(name, TOKENIZER_BYTES_MAX)
  if (tokenizer === undefined) {
    const slow = SLOW_TOKENIZERS.find((each) => files.path(join(base, each)) !== undefined)
    const has = slow === undefined ? '' : `, and ${slow} alone is not enough`
    throw new Error(
      `its ${name} is missing${has}: save it with AutoTokenizer.from_pretrained(…).save_pretrained(…), or set task = "tensors" in model.toml`,
    )
  }
  const transformer = TRANSFORMER_FILES.map((each) => files.json(join(base, each))).find((each) => each !== undefined)
  const tokenizerConfig = files.json(join(base, 'tokenizer_config.json'))
  const sentences = files.json('config_sentence_transformers.json')
  const isLowered = tokenizerConfig?.get('do_lower_case')?.flag() === true
  if (transformer?.get('do_lower_case')?.flag() === true && !isLowered)
    throw transformer.fault('do_lower_case is not computed here; set it to false where the tokenizer makes lower case itself')
  return {
    tokenizer,
    isOfSentences,
    ...(config !== undefined && { config }),
    ...(tokenizerConfig !== undefined && { tokenizerConfig }),
    ...(transformer !== undefined && { transformer }),
    ...(sentences !== undefined && { sentences }),
  }
}

/**
 * How texts become the tensors of a model with this graph.
 * @throws Error where the graph takes something else
 */
export function textInputOf(
  files: TextFiles,
  tables: TaskTables,
  { graph, sources }: { readonly graph: GraphFacts; readonly sources: Sources },
): TextInput {
  const { text = {} } = tables
  const { tokenizer } = graph
  if (tokenizer === undefined) throw new Error('its tokenizer was not loaded')
  const inputs = inputsOf(graph.inputs, tables, sources)
  const padId = padIdOf(files, text.pad_id, { graph, sources })
  const sideOf = (key: 'truncation_side' | 'padding_side', fact: string): 'left' | 'right' => {
    const own = files.tokenizerConfig?.get(key)
    const candidate = own && { value: sideIn(own), place: own.place }
    return (
      sources.first<'left' | 'right'>(fact, said(`text.${key}`, text[key]), candidate, byDefault('right' as const)) ?? 'right'
    )
  }
  const prompts = promptsOf(files.sentences, tables, sources)
  return {
    tokenizer: { path: files.tokenizer, sha256: tokenizer.sha256 },
    tokensMax: tokensMaxOf(files, text.tokens_max, { padId, sources }),
    truncationSide: sideOf('truncation_side', 'truncationSide'),
    paddingSide: sideOf('padding_side', 'paddingSide'),
    padId,
    inputs,
    ...prompts,
    isStripped:
      sources.first(
        'isStripped',
        said('text.strip', text.strip),
        files.isOfSentences ? { value: true, place: 'sentence-transformers' } : undefined,
        byDefault(false),
      ) ?? false,
  }
}

function sideIn(value: JsonValue): 'left' | 'right' {
  const side = value.text()
  if (side !== 'left' && side !== 'right') throw value.fault('must be left or right')
  return side
}

/** The graph's own names: what a text does not give is a fault. */
function inputsOf(specs: readonly TensorSpec[], { text = {} }: TaskTables, sources: Sources): TextInput['inputs'] {
  const named = text.inputs ?? {}
  const find = (key: 'ids' | 'mask' | 'types' | 'positions', usual: string): string | undefined => {
    const own = named[key]
    if (own !== undefined && !specs.some(({ name }) => name === own))
      throw new Error(`model.toml: "text.inputs.${key}" names "${own}"; the model has ${listed(specs)}`)
    const found = specs.some(({ name }) => name === usual) ? usual : undefined
    return sources.first(`inputs.${key}`, said(`text.inputs.${key}`, own), { value: found, place: 'the graph' })
  }
  const ids = find('ids', 'input_ids')
  if (ids === undefined)
    throw new Error(
      `the model has no input "input_ids" for the tokens of texts, but ${listed(specs)}; [text.inputs] in model.toml names it`,
    )
  const [mask, types, positions] = [
    find('mask', 'attention_mask'),
    find('types', 'token_type_ids'),
    find('positions', 'position_ids'),
  ]
  const used = [ids, mask, types, positions]
  const other = specs.find(({ name }) => !used.includes(name))
  if (other !== undefined)
    throw new Error(
      other.name.startsWith('past_key_values')
        ? `the model has the input "${other.name.slice(0, 64)}": it generates text step by step, which is not computed here; task = "tensors" serves its tensors`
        : `the model also needs the input ${listed([other])}, which texts do not give; task = "tensors" in model.toml serves its tensors`,
    )
  for (const spec of specs) {
    const [, length = 0] = spec.shape
    if ((spec.datatype !== 'INT64' && spec.datatype !== 'INT32') || spec.shape.length !== 2)
      throw new Error(`the input ${listed([spec])} of texts must be INT64 or INT32 [rows, tokens]`)
    if (length !== -1)
      throw new Error(
        `the input ${listed([spec])} has a fixed number of tokens; export the model with dynamic axes (batch and sequence)`,
      )
  }
  return {
    ids,
    ...(mask !== undefined && { mask }),
    ...(types !== undefined && { types }),
    ...(positions !== undefined && { positions }),
  }
}

function padIdOf(
  { config }: TextFiles,
  own: number | undefined,
  { graph, sources }: { readonly graph: GraphFacts; readonly sources: Sources },
): number {
  const { vocabulary = 0, padId } = graph.tokenizer ?? {}
  const idOf = (key: 'pad_token_id' | 'eos_token_id') => {
    const value = config?.get(key)
    // Models with several ends of a text have a list of them.
    const first = value?.isList === true ? value.items(64)[0] : value
    return first === undefined ? undefined : { value: padIn(first), place: first.place }
  }
  const found =
    sources.first(
      'padId',
      said('text.pad_id', own),
      idOf('pad_token_id'),
      { value: padId, place: 'tokenizer.json' },
      idOf('eos_token_id'),
      byDefault(0),
    ) ?? 0
  const size = config?.get('vocab_size')?.whole(0, 2 ** 31 - 1) ?? 0
  if (found >= Math.max(vocabulary, size, 1))
    throw new Error(`the id that pads, ${found}, is not one of the ${Math.max(vocabulary, size)} of the vocabulary`)
  return found
}

/** Some models have -1 for none. */
function padIn(value: JsonValue): number | undefined {
  const id = value.whole(-1, 2 ** 31 - 1)
  return id < 0 ? undefined : id
}

function tokensMaxOf(
  { config, tokenizerConfig, transformer }: TextFiles,
  own: number | undefined,
  { padId, sources }: { readonly padId: number; readonly sources: Sources },
): number {
  const positions = config?.get('max_position_embeddings')
  const hasOffset = OFFSET_TYPES.has(config?.get('model_type')?.text() ?? '')
  const places = positions === undefined ? undefined : positions.whole(-1, 2 ** 31 - 1) - (hasOffset ? padId + 1 : 0)
  const placesMax = places === undefined || places < 1 ? Number.POSITIVE_INFINITY : places
  const said = own ?? transformer?.get('max_seq_length')?.whole(1, 2 ** 31 - 1)
  const place = own === undefined ? `${transformer?.get('max_seq_length')?.place}` : 'model.toml text.tokens_max'
  if (own !== undefined && own > placesMax)
    throw new Error(`model.toml: "text.tokens_max" must be at most ${placesMax}, the positions of the model, and is ${own}`)
  if (said !== undefined && said <= placesMax) return sources.from(place, 'tokensMax', Math.min(said, TOKENS_MAX))
  const length = tokenizerConfig?.get('model_max_length')
  const lengthMax =
    length === undefined || length.number() > UNKNOWN_LENGTH ? Number.POSITIVE_INFINITY : Math.max(1, Math.floor(length.number()))
  const least = Math.min(lengthMax, placesMax)
  if (least === Number.POSITIVE_INFINITY) return sources.from('default', 'tokensMax', TOKENS_DEFAULT)
  const offset = hasOffset ? `, less pad_token_id + 1` : ''
  return sources.from(
    placesMax <= lengthMax ? `${positions?.place}${offset}` : `${length?.place}`,
    'tokensMax',
    Math.min(least, TOKENS_MAX),
  )
}

function promptsOf(
  sentences: JsonValue | undefined,
  { prompts: own = {}, text = {} }: TaskTables,
  sources: Sources,
): Pick<TextInput, 'prompts' | 'defaultPrompt'> {
  const theirs = sentences?.get('prompts')
  const prompts: Record<string, string> = Object.create(null)
  for (const [name, value] of theirs?.entries(PROMPTS_MAX) ?? []) prompts[name] = value.text(PROMPT_LENGTH_MAX)
  for (const [name, value] of Object.entries(own)) prompts[name] = value
  const isOwn = Object.keys(own).length > 0
  if (isOwn || theirs !== undefined) sources.from(isOwn ? 'model.toml prompts' : `${theirs?.place}`, 'prompts', prompts)
  const named = sentences?.get('default_prompt_name')
  const defaultPrompt = sources.first(
    'defaultPrompt',
    said('text.default_prompt', text.default_prompt),
    named && { value: named.text(), place: named.place },
  )
  if (defaultPrompt !== undefined && !Object.hasOwn(prompts, defaultPrompt))
    throw new Error(`the default prompt "${defaultPrompt.slice(0, 64)}" is not one of the prompts`)
  return { prompts: { ...prompts }, ...(defaultPrompt !== undefined && { defaultPrompt }) }
}
