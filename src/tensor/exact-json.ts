import { VestalError } from '../core/errors.ts'
import { isList, type ListKind, NumberList, takeNumberLists } from './number-list.ts'
import { TRITON_TEXTS } from './triton-texts.ts'

/** Objects and arrays inside each other in a request's body; deeper ones are rejected. */
export const JSON_DEPTH_MAX = 100

/** What JSON calls an object. */
export type JsonObject = Readonly<Record<string, unknown>>

/** True for an object of JSON, which a list is not. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !isList(value) && !(value instanceof BareFloat)
}

export interface JsonOptions {
  /** Gives integers beyond 2^53 as bigint, so that 64-bit tensors stay exact; default false: they are rounded. */
  readonly exactIntegers?: boolean
  /** Takes the bare tokens `NaN`, `Infinity` and `-Infinity`, which JSON does not have, as a `BareFloat` each; default false: they are no JSON. */
  readonly hasBareFloats?: boolean
  /** Objects and arrays inside each other; default 100. */
  readonly levelsMax?: number
  /** Gives the long lists of numbers of a large body as a `NumberList` each, with elements of this kind; default never. */
  readonly lists?: ListKind | undefined
}

/** A float that stood in a body as a bare token, as Python and Triton write those that JSON has no form for. */
export class BareFloat {
  readonly value: number

  constructor(value: number) {
    this.value = value
  }

  /** How messages show it, in what else they show. */
  toJSON(): string {
    return String(this.value)
  }
}

/** Integers with fewer digits than this, and without an exponent that makes them longer, are exact as numbers. */
const LONG_INTEGER = /(?<![.\d])\d{16}|\d[eE]\+?\d/
/** What some writers of JSON make of these floats. */
const NO_NUMBER = /[[,:]\s*-?(?:NaN|Inf(?:inity)?)\b/
/** A text, which is left as it is, or a bare token. */
const TEXT_OR_TOKEN = /"(?:[^"\\]|\\.)*"|-?\b(?:NaN|Inf(?:inity)?)\b/gs
/** Prefix of the text that replaces a number token during parsing; no client can know it. */
const MARK = crypto.randomUUID().slice(0, 8)
const BARE_FLOATS: ReadonlyMap<unknown, BareFloat> = new Map(
  [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY].map((value) => [MARK + value, new BareFloat(value)]),
)
/** A byte order mark is no JSON, so it is not taken away. */
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const DECIMAL = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/
/** Characters of a number that may be an integer of 64 bits, or somewhat beyond. */
const INTEGER_LENGTH_MAX = 40
/** Beyond all integers of 64 bits. */
const SPELLED_MAX = 2e19

/**
 * Reads a JSON text (RFC 8259) of UTF-8 bytes.
 * @throws VestalError BODY_INVALID when it is empty, not UTF-8, not JSON, or deeper than 100 levels
 */
export function parseJson(bytes: Uint8Array, options: JsonOptions = {}): unknown {
  return parseText(textOf(bytes), options)
}

/**
 * Reads a JSON text and makes something of it. What is rejected is read once more with exact integers, so that the message shows the
 * number that came and not the one that it was rounded to; and what is rejected of a text with a `NumberList`, without those.
 * @throws VestalError as `parseJson` and `decode`
 */
export function decodeJson<T>(bytes: Uint8Array, options: JsonOptions, decode: (value: unknown) => T): T {
  try {
    const value = parseLists(bytes, options)
    if (value !== undefined) return decode(value)
  } catch (error) {
    if (!(error instanceof VestalError || error instanceof SyntaxError)) throw error
  }
  const text = textOf(bytes)
  const value = parseText(text, options)
  try {
    return decode(value)
  } catch (error) {
    if (options.exactIntegers !== true && error instanceof VestalError && LONG_INTEGER.test(text)) {
      decode(parseText(text, { ...options, exactIntegers: true }))
    }
    throw error
  }
}

/** The value of a text that is mostly long lists of numbers. @throws SyntaxError, VestalError where it is read as a whole to say why */
function parseLists(bytes: Uint8Array, { lists, exactIntegers = false, levelsMax = JSON_DEPTH_MAX }: JsonOptions): unknown {
  const marked = lists === undefined ? undefined : takeNumberLists(bytes, lists)
  if (marked === undefined) return undefined
  const { revive } = marked
  const text = textOf(marked.bytes)
  const value = JSON.parse(
    text,
    exactIntegers && LONG_INTEGER.test(text) ? (...member) => revive('', exactInteger(...member)) : revive,
  )
  if (isDeeper(value, levelsMax)) throw tooDeep()
  return value
}

function parseText(
  text: string,
  { exactIntegers = false, hasBareFloats = false, levelsMax = JSON_DEPTH_MAX }: JsonOptions,
): unknown {
  const value = parse(text, { isExact: exactIntegers && LONG_INTEGER.test(text), hasBareFloats })
  if (isDeeper(value, levelsMax)) throw tooDeep()
  return value
}

function tooDeep(): VestalError {
  return invalid(TRITON_TEXTS.nestingDepth(JSON_DEPTH_MAX))
}

function textOf(bytes: Uint8Array): string {
  if (bytes.length === 0) throw invalid('The body is empty; it must be JSON')
  try {
    return UTF8.decode(bytes)
  } catch {
    throw invalid('The body is not UTF-8')
  }
}

interface ParseOptions {
  readonly isExact: boolean
  readonly hasBareFloats: boolean
}

function parse(text: string, { isExact, hasBareFloats }: ParseOptions): unknown {
  try {
    return isExact ? JSON.parse(text, exactInteger) : JSON.parse(text)
  } catch (error) {
    if (isTooDeepToRevive(error)) throw tooDeep()
    // The parser's own text repeats what was sent.
    if (!NO_NUMBER.test(text)) throw invalid('The body is not valid JSON')
  }
  if (!hasBareFloats)
    throw invalid(
      'The body is not valid JSON: it has no NaN and no Infinity; rows take null, "NaN", "Infinity" and "-Infinity" for them',
    )
  try {
    return JSON.parse(withMarks(text), isExact ? (...member) => bareFloat('', exactInteger(...member)) : bareFloat)
  } catch (error) {
    if (isTooDeepToRevive(error)) throw tooDeep()
    throw invalid('The body is not valid JSON, also with NaN and Infinity as numbers')
  }
}

/** True where a reviver ran out of stack: the text is JSON, some thousand levels deep. */
function isTooDeepToRevive(error: unknown): boolean {
  return error instanceof RangeError
}

/** The text with a marked text in place of each bare token. */
function withMarks(text: string): string {
  return text.replace(TEXT_OR_TOKEN, (found) => {
    if (found.startsWith('"')) return found
    return `"${MARK}${found.endsWith('NaN') ? 'NaN' : found.startsWith('-') ? '-Infinity' : 'Infinity'}"`
  })
}

/** A reviver of `JSON.parse`: what a mark stands before is the float whose place it took. */
function bareFloat(_name: string, value: unknown): unknown {
  return BARE_FLOATS.get(value) ?? value
}

/** A reviver of `JSON.parse`: an integer that a number would round becomes a bigint. */
function exactInteger(_name: string, value: unknown, context?: { readonly source?: string }): unknown {
  return typeof value === 'number' ? (integerOf(value, context?.source) ?? value) : value
}

/**
 * The integer that a number stands for which may be rounded, by its text: in full, or with a fraction of zeros or an exponent. Undefined for one
 * that is exact as it is, for what is no integer, and for what is beyond all datatypes: reading millions of digits takes seconds.
 */
export function integerOf(value: number, source = ''): bigint | undefined {
  if (Number.isSafeInteger(value) || source.length > INTEGER_LENGTH_MAX) return undefined
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = DECIMAL.exec(source) ?? []
  if (whole === '') return undefined
  if (source !== `${sign}${whole}` && Math.abs(value) > SPELLED_MAX) return undefined
  const digits = whole + fraction
  const zeros = Number(exponent) - fraction.length
  if (zeros >= 0) return BigInt(sign + digits + '0'.repeat(zeros))
  return /^0+$/.test(digits.slice(zeros)) ? BigInt(sign + digits.slice(0, zeros)) : undefined
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null || value instanceof BareFloat) return false
  if (levels === 0) return true
  if (value instanceof NumberList) return value.shape.length > levels
  if (Array.isArray(value)) {
    for (const element of value) if (typeof element === 'object' && isDeeper(element, levels - 1)) return true
    return false
  }
  // Walked by name: a list of the members would be thrown away at once. The cast: an object of JSON.parse has only own members.
  const members = value as JsonObject
  for (const name in members) if (typeof members[name] === 'object' && isDeeper(members[name], levels - 1)) return true
  return false
}

function invalid(detail: string): VestalError {
  return new VestalError('BODY_INVALID', { detail })
}
