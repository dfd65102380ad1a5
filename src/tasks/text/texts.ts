import { VestalError } from '../../core/errors.ts'
import { breathe } from '../breath.ts'
import type { TaskCall } from '../call.ts'
import type { TaskDescription, TaskName, TextInput } from '../task.ts'
import { encode } from './tokenizer-pool.ts'
import type { Encoded, EncodedText, EncodeRequest, TextOrPair } from './tokens.ts'

/** A text, or the ids of its tokens with the special ones among them. */
export type Text = string | readonly number[]

/** What an operation does with texts that are longer than the model takes. */
export interface TruncationOptions {
  /** Whether they are cut; otherwise the request is rejected. Default true. */
  readonly truncate?: boolean | undefined
  /** The side at which they are cut; default that of the model's folder. */
  readonly truncationSide?: 'left' | 'right' | undefined
}

interface EncodingOptions extends TruncationOptions {
  /** Put before each text. */
  readonly prompt?: string
  /** Whether white space around a text is removed, where the model's folder asks for it. */
  readonly isStripped?: boolean
  readonly hasDetails?: boolean
  /** Whether of a pair only the first text is cut. */
  readonly cutsFirst?: boolean
  /** Cuts long texts into windows that share so many tokens. */
  readonly stride?: number | undefined
}

/** A text as the model gets it: one row. */
export interface TextRow extends Encoded {
  /** Index of its text among those of the request. */
  readonly text: number
}

/** Texts of one request where nothing else is set, and their tokens in sum. */
const ITEMS_MAX = 2048
const TOKENS_MAX = 262_144
/** Characters of a text for each token that the model takes: a longer one is cut or rejected before its tokens are counted. */
const CHARACTERS_A_TOKEN = 250
/** Texts that are encoded together, and their characters. */
const CHUNK_TEXTS = 64
const CHUNK_CHARACTERS = 64 * 1024
/** Bytes that are held for a token while its request is worked on: its id and type, as numbers and as tensors. */
const TOKEN_BYTES = 48

/** The input of texts of a task. @throws VestalError TASK_MISMATCH where the model is for something else */
export function textInputOf({ task, text }: TaskDescription, ...tasks: readonly TaskName[]): TextInput {
  if (text === undefined || (tasks.length > 0 && !tasks.includes(task))) throw mismatch(task, tasks)
  return text
}

/** The error of an operation that is not the model's. */
export function mismatch(task: TaskName, tasks: readonly TaskName[]): VestalError {
  return new VestalError('TASK_MISMATCH', { detail: `The model is for the task ${task}; this asks for ${tasks.join(' or ')}` })
}

/**
 * Encodes texts within the limits of a request, each as rows of the model, in the order of the texts.
 * @throws VestalError INPUT_INVALID, INPUT_TOO_LONG, INPUTS_TOO_MANY, TOKENIZING_FAILED, MODEL_UNAVAILABLE, MEMORY_LIMIT, QUEUE_TIMEOUT
 */
export async function encodeTexts(
  call: TaskCall,
  inputs: readonly (Text | readonly [string, string])[],
  options: EncodingOptions = {},
): Promise<readonly TextRow[]> {
  const text = textInputOf(call.task)
  const { itemsMax = ITEMS_MAX, tokensMax = TOKENS_MAX } = call.limits ?? {}
  const spent = spentBy(call)
  spent.items += inputs.length
  if (spent.items > itemsMax) throw tooMany(`${spent.items} texts`, `${itemsMax}; send them in several requests`)
  const setting: EncodeSetting = { text, ...options, side: options.truncationSide ?? text.truncationSide }
  const rows: TextRow[] = []
  let tokens = 0
  for (const chunk of chunksOf(inputs, setting)) {
    if (call.signal?.aborted === true) throw new VestalError('REQUEST_ABORTED')
    const tokensLeft = tokensMax - spent.tokens - tokens
    for (const { index, windows } of await encodeChunk(chunk, call, { ...setting, tokensLeft })) {
      for (const window of windows) {
        tokens += window.ids.length
        rows.push({ text: index, ...window })
      }
    }
    if (spent.tokens + tokens > tokensMax)
      throw tooMany(`more than ${tokensMax} tokens in sum`, 'that; send the texts in several requests')
    await breathe()
  }
  spent.tokens += tokens
  call.hold?.(tokens * TOKEN_BYTES)
  return rows
}

interface Spent {
  items: number
  tokens: number
}

/** What the operations of one request have taken already: some of them ask more than once. */
const spentByCall = new WeakMap<TaskCall, Spent>()

function spentBy(call: TaskCall): Spent {
  const known = spentByCall.get(call)
  if (known !== undefined) return known
  const spent = { items: 0, tokens: 0 }
  spentByCall.set(call, spent)
  return spent
}

interface EncodeSetting extends EncodingOptions {
  readonly text: TextInput
  readonly side: 'left' | 'right'
}

interface Indexed<T> {
  readonly index: number
  readonly value: T
}

type Input = Text | readonly [string, string]

function* chunksOf(inputs: readonly Input[], { prompt = '' }: EncodeSetting): Generator<readonly Indexed<Input>[]> {
  let chunk: Indexed<Input>[] = []
  let characters = 0
  for (const [index, value] of inputs.entries()) {
    const length = isPair(value) ? value[0].length + value[1].length : value.length + prompt.length
    if (chunk.length > 0 && (chunk.length >= CHUNK_TEXTS || characters + length > CHUNK_CHARACTERS)) {
      yield chunk
      chunk = []
      characters = 0
    }
    chunk.push({ index, value })
    characters += length
  }
  if (chunk.length > 0) yield chunk
}

async function encodeChunk(
  chunk: readonly Indexed<Input>[],
  call: TaskCall,
  setting: EncodeSetting & { readonly tokensLeft: number },
) {
  const { text, truncate = true, side, stride, tokensLeft, cutsFirst = false, hasDetails = false } = setting
  const ids = chunk.flatMap(({ index, value }) => (isIds(value) ? [{ index, windows: [idsRow(value, index, setting)] }] : []))
  const texts = chunk.flatMap(({ index, value }) => (isIds(value) ? [] : [{ index, value: prepared(value, index, setting) }]))
  const request: EncodeRequest = {
    file: text.tokenizer,
    texts: texts.map(({ value }) => value),
    tokensMax: text.tokensMax,
    cut: truncate ? side : 'none',
    stride,
    windowTokensMax: tokensLeft,
    cutsFirst,
    hasDetails,
  }
  const encoded = await encode(request, call)
  const rows = texts.map(({ index }, place) => ({ index, windows: windowsOf(encoded[place], index, text) }))
  return ids.length === 0 ? rows : [...rows, ...ids].sort((a, b) => a.index - b.index)
}

function windowsOf(encoded: EncodedText | undefined, index: number, { tokensMax }: TextInput): readonly Encoded[] {
  if (encoded === undefined) throw new Error('a text was not encoded')
  if ('tooLong' in encoded) throw tooLong(index, `${encoded.tooLong} tokens; the model takes ${tokensMax}`)
  for (const { ids } of encoded.windows) if (ids.length === 0) throw invalid(index, 'has no tokens')
  return encoded.windows
}

function prepared(value: string | readonly [string, string], index: number, setting: EncodeSetting): TextOrPair {
  const { prompt = '', isStripped = false, text } = setting
  const one = (part: string) => bounded(prompt + (isStripped && text.isStripped ? part.trim() : part), index, setting)
  return typeof value === 'string' ? one(value) : [one(value[0]), one(value[1])]
}

/** A text that is not much longer than its tokens may be, without half of a surrogate pair at its cut. */
function bounded(value: string, index: number, { text: { tokensMax }, truncate = true, side, stride }: EncodeSetting): string {
  const charactersMax = CHARACTERS_A_TOKEN * tokensMax
  if (value.length <= charactersMax) return value
  const rule = `${value.length} characters; the model takes ${tokensMax} tokens, so the limit is ${charactersMax}`
  if (!truncate || stride !== undefined) throw tooLong(index, rule)
  if (side === 'right') return value.slice(0, isLow(value, charactersMax) ? charactersMax - 1 : charactersMax)
  const begin = value.length - charactersMax
  return value.slice(isLow(value, begin) ? begin + 1 : begin)
}

/** Whether the second half of a surrogate pair stands there. */
function isLow(value: string, place: number): boolean {
  const unit = value.charCodeAt(place)
  return unit >= 0xdc00 && unit <= 0xdfff
}

function idsRow(ids: readonly number[], index: number, { text: { tokensMax }, truncate = true, side }: EncodeSetting): Encoded {
  if (ids.length === 0) throw invalid(index, 'has no tokens')
  if (!ids.every((id) => Number.isInteger(id) && id >= 0 && id < 2 ** 31))
    throw invalid(index, 'must be ids of tokens, integers from 0 on')
  if (ids.length > tokensMax && !truncate) throw tooLong(index, `${ids.length} tokens; the model takes ${tokensMax}`)
  const kept = side === 'left' ? ids.slice(-tokensMax) : ids.slice(0, tokensMax)
  return { ids: kept, types: kept.map(() => 0) }
}

function isIds(value: Input): value is readonly number[] {
  return typeof value !== 'string' && typeof value[0] !== 'string'
}

function isPair(value: Input): value is readonly [string, string] {
  return typeof value !== 'string' && typeof value[0] === 'string'
}

function tooMany(what: string, most: string): VestalError {
  return new VestalError('INPUTS_TOO_MANY', { detail: `The request has ${what}; the most is ${most}` })
}

function tooLong(index: number, rule: string): VestalError {
  return new VestalError('INPUT_TOO_LONG', {
    detail: `Text ${index} has ${rule}. Shorten it, or ask for it to be cut with "truncate": true`,
  })
}

function invalid(index: number, rule: string): VestalError {
  return new VestalError('INPUT_INVALID', { detail: `Text ${index} ${rule}` })
}
