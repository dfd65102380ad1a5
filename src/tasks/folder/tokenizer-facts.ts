/** Loads a tokenizer that was not tried yet: only a process that it may crash calls this. */
import type { TokenizerFacts } from './facts.ts'
import { isPointer, POINTER_SAYS, TOKENIZER_BYTES_MAX } from './folder-files.ts'

/** Texts of several lengths and scripts: what a hostile file does, it does to them, and the model is tried with their tokens. */
const TEXTS = [
  'good',
  'The quick brown fox jumps over the lazy dog.',
  'A model that reads a text gives the same answer alone and beside others, whatever their lengths are; this one is tried.',
  'Ünïcödé 東京 مرحبا 👩‍👩‍👧 \u0000\uFEFF 1234.5 <unk> [MASK]',
] as const
/** Tokens of a sample that are kept. */
const SAMPLE_TOKENS_MAX = 32

/**
 * Reads and tries a tokenizer.json.
 * @throws Error where it is no tokenizer
 */
export async function readTokenizer(path: string): Promise<TokenizerFacts> {
  const file = Bun.file(path)
  if (file.size > TOKENIZER_BYTES_MAX) throw new Error(`tokenizer.json has ${file.size} bytes, more than ${TOKENIZER_BYTES_MAX}`)
  const bytes = await file.bytes()
  const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  if (isPointer(text)) throw new Error(`it ${POINTER_SAYS}`)
  const { Tokenizer } = await importLibrary()
  const tokenizer = Tokenizer.fromString(text)
  // What the folder says of lengths counts, and padding is for those who join rows.
  tokenizer.disablePadding()
  tokenizer.disableTruncation()
  const encoded = await tokenizer.encodeBatch([...TEXTS])
  await tokenizer.encode('a', 'b')
  const samples = encoded.map((encoding) => cut(encoding.getIds()))
  await tokenizer.decode([...(samples[0] ?? [])], true)
  const vocabulary = vocabularyOf(Object.values(tokenizer.getVocab(true)))
  const padId = padIdIn(text)
  return {
    sha256: new Bun.CryptoHasher('sha256').update(bytes).digest('hex'),
    vocabulary,
    ...(padId !== undefined && { padId }),
    samples: samples.filter((ids) => ids.length > 0),
  }
}

/** Its own error would name files of this machine. */
async function importLibrary() {
  try {
    return await import('tokenizers')
  } catch (error) {
    throw new Error('the library of tokenizers does not load on this machine', { cause: error })
  }
}

/** The first tokens, and the last, which may be a special one. */
function cut(ids: readonly number[]): readonly number[] {
  return ids.length <= SAMPLE_TOKENS_MAX ? ids : [...ids.slice(0, SAMPLE_TOKENS_MAX - 1), ids.at(-1) ?? 0]
}

/** One more than the largest id: some numbers may be left out. */
function vocabularyOf(ids: readonly number[]): number {
  let largest = -1
  for (const id of ids) largest = Math.max(largest, id)
  return largest + 1
}

/** The id that pads in the file's own settings, which are not used otherwise. */
function padIdIn(text: string): number | undefined {
  const id: unknown = JSON.parse(text)?.padding?.pad_id
  return typeof id === 'number' && Number.isInteger(id) && id >= 0 ? id : undefined
}
