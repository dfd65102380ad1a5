import { Tokenizer } from 'tokenizers'
import {
  type DecodeRequest,
  type Encoded,
  type EncodedText,
  type EncodeRequest,
  type TextOrPair,
  type TokenDetails,
  TokenizerFailure,
  type TokenizerFile,
} from './tokens.ts'

/** Larger files are not read, as folders with one are not served. */
const FILE_BYTES_MAX = 64 * 1024 * 1024
/** Tokenizers that are kept, and the bytes of their files. */
const KEPT_MAX = 64
const KEPT_BYTES_MAX = 512 * 1024 * 1024

/** In the description of a model of words and their parts. */
const PREFIX = /"continuing_subword_prefix"\s*:\s*"[^"]/

interface Loaded {
  readonly tokenizer: Tokenizer
  /** Whether its tokens say that they go on with a word, as `##ing` does. */
  readonly hasPrefix: boolean
}

interface Kept {
  readonly tokenizer: Promise<Loaded>
  bytes: number
}

/** The tokenizers that are in use, each loaded once; the least recently used are given up. */
const kept = new Map<string, Kept>()

/**
 * Encodes texts as Rust's `tokenizers` does, in its own threads. The truncation and the padding that the file describes are not used.
 * @throws TokenizerFailure
 */
export async function encode(request: EncodeRequest): Promise<readonly EncodedText[]> {
  const loaded = await tokenizerOf(request.file)
  return Promise.all(request.texts.map((text) => encodeOne(loaded, text, request)))
}

/** The texts of lists of ids. @throws TokenizerFailure */
export async function decode({ file, ids, skipsSpecial }: DecodeRequest): Promise<readonly string[]> {
  const { tokenizer } = await tokenizerOf(file)
  try {
    return await tokenizer.decodeBatch(
      ids.map((list) => [...list]),
      skipsSpecial,
    )
  } catch {
    throw new TokenizerFailure('failed', 'the tokenizer cannot decode these ids')
  }
}

function tokenizerOf(file: TokenizerFile): Promise<Loaded> {
  const key = `${file.sha256} ${file.path}`
  const known = kept.get(key)
  // The map is in the order of use.
  kept.delete(key)
  const entry = known ?? { tokenizer: load(file, (bytes) => sized(key, bytes)), bytes: 0 }
  kept.set(key, entry)
  if (known === undefined) entry.tokenizer.catch(() => kept.delete(key))
  return entry.tokenizer
}

function sized(key: string, bytes: number): void {
  const entry = kept.get(key)
  if (entry !== undefined) entry.bytes = bytes
  let sum = 0
  for (const each of kept.values()) sum += each.bytes
  for (const [oldest, { bytes: own }] of kept) {
    if (kept.size <= KEPT_MAX && sum <= KEPT_BYTES_MAX) return
    if (oldest === key) continue
    kept.delete(oldest)
    sum -= own
  }
}

async function load({ path, sha256 }: TokenizerFile, known: (bytes: number) => void): Promise<Loaded> {
  const file = Bun.file(path)
  if (file.size > FILE_BYTES_MAX)
    throw new TokenizerFailure('unreadable', `tokenizer.json is larger than ${FILE_BYTES_MAX} bytes`)
  const bytes = await file.bytes().catch(() => undefined)
  if (bytes === undefined) throw new TokenizerFailure('unreadable', 'tokenizer.json cannot be read')
  if (new Bun.CryptoHasher('sha256').update(bytes).digest('hex') !== sha256)
    throw new TokenizerFailure('changed', 'tokenizer.json is not the file that the model was loaded with; reload the model')
  known(bytes.length)
  try {
    const text = new TextDecoder().decode(bytes)
    const tokenizer = Tokenizer.fromString(text)
    tokenizer.disableTruncation()
    tokenizer.disablePadding()
    return { tokenizer, hasPrefix: PREFIX.test(text) }
  } catch {
    // The library's text may show what is in the file.
    throw new TokenizerFailure('unreadable', 'tokenizer.json is not a tokenizer that the library `tokenizers` can read')
  }
}

async function encodeOne({ tokenizer, hasPrefix }: Loaded, text: TextOrPair, request: EncodeRequest): Promise<EncodedText> {
  const { tokensMax, cut, cutsFirst = false, hasSpecial = true, stride, windowTokensMax, hasDetails = false } = request
  const [first, second] = typeof text === 'string' ? [text] : text
  let encoding: Awaited<ReturnType<Tokenizer['encode']>>
  try {
    encoding = await tokenizer.encode(first, second, { addSpecialTokens: hasSpecial })
  } catch {
    throw new TokenizerFailure('failed', 'the tokenizer cannot read this text')
  }
  const ids = encoding.getIds()
  const types = encoding.getTypeIds()
  const details = hasDetails ? detailsOf(encoding, { texts: [first, second ?? ''], hasPrefix }) : undefined
  const whole: Encoded = { ids, types, ...(details && { details }) }
  if (ids.length <= tokensMax) return { windows: [whole] }
  if (cut === 'none') return { tooLong: ids.length }
  const sequences = encoding.getSequenceIds().map((sequence) => sequence ?? -1)
  const windows =
    stride === undefined
      ? [cutTo(tokensMax, sequences, { side: cut, cutsFirst })]
      : windowsOf(sequences, { tokensMax, stride, windowTokensMax })
  return { windows: windows.map((places) => taken(whole, places)) }
}

interface Cutting {
  readonly side: 'left' | 'right'
  readonly cutsFirst: boolean
}

/** Places of the tokens that are kept where there are too many: those that the tokenizer added, and of the texts the longest is cut first. */
function cutTo(tokensMax: number, sequences: readonly number[], { side, cutsFirst }: Cutting): readonly number[] {
  const places = [0, 1].map((text) => sequences.flatMap((sequence, place) => (sequence === text ? [place] : [])))
  const [first = [], second = []] = places
  const room = roomIn(tokensMax, sequences)
  if (cutsFirst && second.length >= room)
    throw new TokenizerFailure('failed', `the second text of a pair leaves no room for the first in ${tokensMax} tokens`)
  const [one, two] =
    cutsFirst || second.length === 0 ? [room - second.length, second.length] : sharesOf(room, first.length, second.length)
  const cut = (list: readonly number[], count: number) =>
    side === 'left' ? list.slice(list.length - Math.min(count, list.length)) : list.slice(0, count)
  const keep = new Set([...cut(first, one), ...cut(second, two)])
  return sequences.flatMap((sequence, place) => (sequence === -1 || keep.has(place) ? [place] : []))
}

/** Tokens of two texts that have room together, as the library's strategy `longest_first` shares it. */
function sharesOf(room: number, one: number, two: number): readonly [number, number] {
  const shorter = Math.min(one, two)
  const left = Math.max(shorter, room - shorter)
  const [few, many] = shorter + left > room ? [Math.floor(room / 2), room - Math.floor(room / 2)] : [shorter, left]
  return one <= two ? [few, many] : [many, few]
}

interface Windowing {
  readonly tokensMax: number
  readonly stride: number
  readonly windowTokensMax?: number | undefined
}

/** Places of each window of a text: as many tokens as there is room for, `stride` of them shared with the window before. */
function windowsOf(
  sequences: readonly number[],
  { tokensMax, stride, windowTokensMax = Number.POSITIVE_INFINITY }: Windowing,
): readonly (readonly number[])[] {
  const own = sequences.flatMap((sequence, place) => (sequence === -1 ? [] : [place]))
  const added = sequences.flatMap((sequence, place) => (sequence === -1 ? [place] : []))
  const room = roomIn(tokensMax, sequences)
  if (stride >= room) throw new TokenizerFailure('failed', `a stride of ${stride} leaves no room in windows of ${room} tokens`)
  const windows: (readonly number[])[] = []
  for (let begin = 0; begin < own.length; begin += room - stride) {
    windows.push([...added, ...own.slice(begin, begin + room)].sort((one, other) => one - other))
    if (begin + room >= own.length || windows.length * tokensMax > windowTokensMax) break
  }
  return windows
}

function roomIn(tokensMax: number, sequences: readonly number[]): number {
  const room = tokensMax - sequences.filter((sequence) => sequence === -1).length
  if (room > 0) return room
  throw new TokenizerFailure('failed', `the special tokens leave no room in ${tokensMax} tokens`)
}

function taken({ ids, types, details }: Encoded, places: readonly number[]): Encoded {
  const of = <T>(list: readonly T[]) => places.map((place) => list[place] as T)
  if (details === undefined) return { ids: of(ids), types: of(types) }
  const { tokens, sequences, inside, starts, ends } = details
  return {
    ids: of(ids),
    types: of(types),
    details: { tokens: of(tokens), sequences: of(sequences), inside: of(inside), starts: of(starts), ends: of(ends) },
  }
}

interface Detailing {
  readonly texts: readonly [string, string]
  readonly hasPrefix: boolean
}

function detailsOf(encoding: Awaited<ReturnType<Tokenizer['encode']>>, { texts, hasPrefix }: Detailing): TokenDetails {
  const sequences = encoding.getSequenceIds().map((sequence) => sequence ?? -1)
  const units = texts.map(unitsOf)
  const offsets = encoding.getOffsets()
  const words = encoding.getWordIds()
  const at = (place: number, side: 0 | 1) => {
    const offset = offsets[place]?.[side] ?? 0
    return units[Math.max(0, sequences[place] ?? 0)]?.[offset] ?? offset
  }
  const isInside = (place: number): boolean => {
    const sequence = sequences[place] ?? -1
    if (sequence === -1) return false
    if (hasPrefix) return sequences[place - 1] === sequence && words[place] != null && words[place - 1] === words[place]
    // Other tokenizers know of no words: what no space stands before goes on with one, as transformers has it.
    const start = at(place, 0)
    return start > 0 && !(texts[sequence] ?? '').slice(start - 1, start + 1).includes(' ')
  }
  return {
    tokens: encoding.getTokens(),
    sequences,
    inside: sequences.map((_, place) => (isInside(place) ? 1 : 0)),
    starts: sequences.map((_, place) => at(place, 0)),
    ends: sequences.map((_, place) => at(place, 1)),
  }
}

/** Where each code point of a text begins in UTF-16 units; undefined where the two are the same. The library counts code points. */
function unitsOf(text: string): readonly number[] | undefined {
  const units: number[] = []
  let unit = 0
  for (const character of text) {
    units.push(unit)
    unit += character.length
  }
  units.push(unit)
  return units.length === text.length + 1 ? undefined : units
}
