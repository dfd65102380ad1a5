import { VestalError } from '../../core/errors.ts'
import type { NamedTensors } from '../../tensor/tensor.ts'
import { breathe } from '../breath.ts'
import type { TaskCall } from '../call.ts'
import { softmax } from '../scores.ts'
import type { TextInput } from '../task.ts'
import { scoresOf } from './classify.ts'
import { computeRows, tokenFloatsOf } from './rows.ts'
import { encodeTexts, type TextRow, type TruncationOptions, textInputOf } from './texts.ts'
import { decode } from './tokenize.ts'
import { encode } from './tokenizer-pool.ts'

export interface FillMaskOptions extends TruncationOptions {
  /** Tokens that are proposed for each mask; default 5. */
  readonly topK?: number | undefined
}

/** A token that may fill a mask. */
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
/** Masks of one request: each is filled with some tokens, each of which is a text of its own. */
const MASKS_MAX = 256
/** Bytes of a character of what is filled in, and of its text in the answer. */
const CHARACTER_BYTES = 4
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
  const mask = await maskOf(call, input)
  const rows = await encodeTexts(call, texts, truncation)
  for (const { text, ids } of rows)
    if (!ids.includes(mask.id)) throw new VestalError('INPUT_INVALID', { detail: `Text ${text} has no ${mask.token} to fill` })
  const masks = rows.reduce((sum, { ids }) => sum + ids.filter((id) => id === mask.id).length, 0)
  if (masks > MASKS_MAX)
    throw new VestalError('INPUTS_TOO_MANY', {
      detail: `The request has ${masks} masks; the most is ${MASKS_MAX}: send the texts in several requests`,
    })
  const found = await computeRows(call, rows, {
    outputs: [output],
    atOnceMax: AT_ONCE_MAX,
    read: (results, row) => best(results, { output, row, topK, mask: mask.id }),
  })
  const fillings: (readonly (readonly Filling[])[])[] = []
  for (const [index, masks] of found.entries()) fillings.push(await filled(call, rows[index]?.ids ?? [], masks))
  return { fillings, tokens: rows.map(({ ids }) => ids.length) }
}

/** The token of the vocabulary that stands for a mask. @throws VestalError TASK_MISMATCH where there is none */
async function maskOf(
  call: TaskCall,
  { tokenizer: file, tokensMax }: TextInput,
): Promise<{ readonly token: string; readonly id: number }> {
  const request = { file, texts: MASKS, tokensMax, cut: 'right', hasSpecial: false, hasDetails: true } as const
  const encoded = await encode(request, call)
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
  const { data, size } = tokenFloatsOf(results, output, row)
  const masks: FilledMask[] = []
  for (const [place, id] of row.ids.entries()) {
    if (id !== mask) continue
    const scores = softmax(Float64Array.from({ length: size }, (_, token) => data[place * size + token] ?? 0))
    masks.push({ place, choices: greatest(scores, topK).map((token) => ({ token, score: scores[token] ?? 0 })) })
    await breathe()
  }
  return masks
}

/** Places of the greatest scores, best first, and of equal ones the first; sorting a vocabulary would take much longer. */
function greatest(scores: Float64Array, count: number): readonly number[] {
  const best: number[] = []
  for (const [place, score] of scores.entries()) {
    if (best.length >= count && !(score > (scores[best[count - 1] ?? 0] ?? 0))) continue
    let at = Math.min(best.length, count - 1)
    for (; at > 0 && score > (scores[best[at - 1] ?? 0] ?? 0); at -= 1) best[at] = best[at - 1] ?? 0
    best[at] = place
  }
  return best
}

/** The texts of the choices for each mask. */
async function filled(
  call: TaskCall,
  ids: readonly number[],
  masks: readonly FilledMask[],
): Promise<readonly (readonly Filling[])[]> {
  const fillings: (readonly Filling[])[] = []
  for (const { place, choices } of masks) {
    if (call.signal?.aborted === true) throw new VestalError('REQUEST_ABORTED')
    const tokens = choices.map(({ token }) => [token])
    const texts = await decode(call, tokens, { skipSpecialTokens: false })
    const sequences = await decode(
      call,
      choices.map(({ token }) => ids.with(place, token)),
    )
    call.hold?.(sequences.reduce((sum, { length }) => sum + length, 0) * CHARACTER_BYTES)
    fillings.push(
      choices.map((choice, index) => ({ ...choice, tokenText: texts[index] ?? '', sequence: sequences[index] ?? '' })),
    )
  }
  return fillings
}
