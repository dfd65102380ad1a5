import { VestalError } from '../../core/errors.ts'
import { breathe } from '../breath.ts'
import type { TaskCall } from '../call.ts'
import { textInputOf } from './texts.ts'
import { decode as decodeIds, type Encoder, encode } from './tokenizer-pool.ts'
import type { EncodedText } from './tokens.ts'

/** A token of a text. */
export interface Token {
  readonly id: number
  /** The part of the text that it stands for, or its name where the tokenizer added it. */
  readonly text: string
  readonly isSpecial: boolean
  /** Where it begins and ends in the text, in UTF-16 units; absent where the tokenizer added it. */
  readonly start?: number
  readonly end?: number
}

/** What the tokens of texts are asked for with: the model's task, and who asks. */
type TokenizerCall = Pick<TaskCall, 'task'> & Encoder

/** Texts of one request, their characters in sum, and ids of one text. */
const TEXTS_MAX = 2048
const CHARACTERS_MAX = 262_144
const IDS_MAX = 65_536
/** Tokens of one text: it is neither cut nor rejected for the length of the model. */
const TOKENS_MAX = 2 ** 31 - 1

/** The tokens of texts, however many they are. @throws VestalError TASK_MISMATCH, INPUTS_TOO_MANY, TOKENIZING_FAILED */
export async function tokenize(
  call: TokenizerCall,
  texts: readonly string[],
  { addSpecialTokens = true }: { readonly addSpecialTokens?: boolean | undefined } = {},
): Promise<readonly (readonly Token[])[]> {
  const { tokenizer: file } = textInputOf(call.task)
  const characters = texts.reduce((sum, { length }) => sum + length, 0)
  if (texts.length > TEXTS_MAX || characters > CHARACTERS_MAX)
    throw new VestalError('INPUTS_TOO_MANY', {
      detail: `The request has ${texts.length} texts of ${characters} characters; the most is ${TEXTS_MAX} and ${CHARACTERS_MAX}`,
    })
  const setting = { file, tokensMax: TOKENS_MAX, cut: 'right', hasSpecial: addSpecialTokens, hasDetails: true } as const
  const encoded: EncodedText[] = []
  // One by one: the details of many tokens at once would keep the thread that answers HTTP.
  for (const text of texts) {
    encoded.push(...(await encode({ ...setting, texts: [text] }, call)))
    await breathe()
  }
  return encoded.map((each, index) => {
    const [window] = 'windows' in each ? each.windows : []
    const { tokens = [], sequences = [], starts = [], ends = [] } = window?.details ?? {}
    return (window?.ids ?? []).map((id, place) => {
      const isSpecial = sequences[place] === -1
      const [start = 0, end = 0] = [starts[place], ends[place]]
      if (isSpecial) return { id, text: tokens[place] ?? '', isSpecial }
      return { id, text: (texts[index] ?? '').slice(start, end), isSpecial, start, end }
    })
  })
}

/** The texts of lists of ids. @throws VestalError TASK_MISMATCH, INPUT_INVALID, INPUTS_TOO_MANY, TOKENIZING_FAILED */
export async function decode(
  call: TokenizerCall,
  ids: readonly (readonly number[])[],
  { skipSpecialTokens = true }: { readonly skipSpecialTokens?: boolean | undefined } = {},
): Promise<readonly string[]> {
  const { tokenizer: file } = textInputOf(call.task)
  const count = ids.reduce((sum, { length }) => sum + length, 0)
  if (ids.length > TEXTS_MAX || count > IDS_MAX)
    throw new VestalError('INPUTS_TOO_MANY', {
      detail: `The request has ${ids.length} lists of ${count} ids; the most is ${TEXTS_MAX} and ${IDS_MAX}`,
    })
  if (!ids.every((list) => list.every((id) => Number.isInteger(id) && id >= 0 && id < 2 ** 32)))
    throw new VestalError('INPUT_INVALID', { detail: 'Ids of tokens must be integers from 0 on' })
  return decodeIds({ file, ids, skipsSpecial: skipSpecialTokens }, call)
}
