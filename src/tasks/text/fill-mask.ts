import { VestalError } from '../../core/errors.ts'
import type { NamedTensors } from '../../tensor/tensor.ts'
import { breathe } from '../breath.ts'
import type { TaskCall } from '../call.ts'
import { softmax } from '../scores.ts'
import type { TaskDescription, TextInput } from '../task.ts'
import { scoresOf } from './classify.ts'
import { computeRows, floatsOf } from './rows.ts'
import { encodeTexts, type TextRow, type TruncationOptions, textInputOf } from './texts.ts'
import { decode } from './tokenize.ts'
import { encode } from './tokenizer-pool.ts'

export interface FillMaskOptions extends TruncationOptions {
  /** Tokens that are proposed for each mask; default 5. */
  readonly topK?: number | undefined
}

/** A token that may stand in the place of a mask. */
export interface Filling {
  readonly score: number
  readonly token: number
  readonly tokenText: string
  /** The text with it. */
  readonly sequence: string
}

const TOP_K = 5
/** What tokenizers call a mask. */
const MASKS = ['[MASK]', '<mask>']
/** The scores of one row are as many as its tokens times the vocabulary. */
const AT_ONCE_MAX = 4

/**
 * Proposes tokens for each mask of texts.
 * @throws VestalError TASK_MISMATCH, INPUT_INVALID where a text has no mask, and as the engine
 */
export async function fillMask(
  call: TaskCall,
  texts: readonly string[],
  { topK = TOP_K, ...truncation }: FillMaskOptions = {},
): Promise<{ readonly fillings: readonly (readonly (readonly Filling[])[])[]; readonly tokens: readonly number[] }> {
  const { output } = scoresOf(call.task, 'fill')
  const input = textInputOf(call.task)
  const mask = await maskOf(input)
  const rows = await encodeTexts(call, texts, truncation)
  for (const { text, ids } of rows)
    if (!ids.includes(mask.id)) throw new VestalError('INPUT_INVALID', { detail: `Text ${text} has no ${mask.token} to fill` })
  const found = await computeRows(call, rows, {
    outputs: [output],
    atOnceMax: AT_ONCE_MAX,
    read: (results, row) => best(results, { output, row, topK, mask: mask.id }),
  })
  const fillings: (readonly (readonly Filling[])[])[] = []
  for (const [index, masks] of found.entries()) fillings.push(await filled(call.task, rows[index]?.ids ?? [], masks))
  return { fillings, tokens: rows.map(({ ids }) => ids.length) }
}

/** The token of the vocabulary that stands for a mask. @throws VestalError TASK_MISMATCH where there is none */
async function maskOf({ tokenizer: file, tokensMax }: TextInput): Promise<{ readonly token: string; readonly id: number }> {
  const encoded = await encode({ file, texts: MASKS, tokensMax, cut: 'right', hasSpecial: false, hasDetails: true })
  for (const [index, token] of MASKS.entries()) {
    const text = encoded[index]
    const [window] = text !== undefined && 'windows' in text ? text.windows : []
    const [id] = window?.ids ?? []
    if (id !== undefined && window?.ids.length === 1 && window.details?.tokens[0] === token) return { token, id }
  }
  throw new VestalError('TASK_MISMATCH', { detail: 'The tokenizer of the model has neither [MASK] nor <mask>' })
}

/** A mask of a text, with the tokens that fit best. */
interface FilledMask {
  readonly place: number
  readonly choices: readonly { readonly token: number; readonly score: number }[]
}

interface Reading {
  readonly output: string
  readonly row: TextRow
  readonly topK: number
  readonly mask: number
}

async function best(results: NamedTensors, { output, row, topK, mask }: Reading): Promise<readonly FilledMask[]> {
  const { data, sizes } = floatsOf(results, output, 2)
  const [tokens = 0, size = 0] = sizes
  if (tokens !== row.ids.length)
    throw new VestalError('INFERENCE_FAILED', { detail: `The output "${output}" has ${tokens} tokens of ${row.ids.length}` })
  const masks: FilledMask[] = []
  for (const [place, id] of row.ids.entries()) {
    if (id !== mask) continue
    const scores = softmax(Float64Array.from({ length: size }, (_, token) => data[place * size + token] ?? 0))
    const order = Array.from(scores.keys()).sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0))
    masks.push({ place, choices: order.slice(0, topK).map((token) => ({ token, score: scores[token] ?? 0 })) })
    await breathe()
  }
  return masks
}

/** The texts of the choices for each mask. */
async function filled(
  task: TaskDescription,
  ids: readonly number[],
  masks: readonly FilledMask[],
): Promise<readonly (readonly Filling[])[]> {
  const fillings: (readonly Filling[])[] = []
  for (const { place, choices } of masks) {
    const tokens = choices.map(({ token }) => [token])
    const texts = await decode(task, tokens, { skipSpecialTokens: false })
    const sequences = await decode(
      task,
      choices.map(({ token }) => ids.with(place, token)),
    )
    fillings.push(
      choices.map((choice, index) => ({ ...choice, tokenText: texts[index] ?? '', sequence: sequences[index] ?? '' })),
    )
  }
  return fillings
}
