/** A value of the protobuf text format; what type it is for is not known yet. */
export type TextValue =
  | { readonly kind: 'text'; readonly text: string; readonly line: number }
  /** A number as it was written. */
  | { readonly kind: 'number'; readonly text: string; readonly line: number }
  /** A word that is not quoted: a name of an enumeration, true, false, inf, nan. */
  | { readonly kind: 'word'; readonly text: string; readonly line: number }
  | TextMessage

export interface TextMessage {
  readonly kind: 'message'
  readonly fields: readonly TextField[]
  readonly line: number
}

export interface TextField {
  readonly name: string
  readonly value: TextValue
  readonly line: number
}

/** What is wrong with a text, and in which line. */
export class TextFormatError extends Error {
  readonly line: number

  constructor(message: string, line: number) {
    super(message)
    this.line = line
  }
}

const DEPTH_MAX = 32
const FIELDS_MAX = 10_000

interface Token {
  readonly kind: 'text' | 'number' | 'word' | 'sign' | 'end'
  readonly text: string
  readonly line: number
}

const SPACE = /(?:[ \t\r\v\f\n]|#[^\n]*)+/y
const WORD = /[A-Za-z_][A-Za-z0-9_]*/y
const NUMBER = /-?[ \t]*(?:0[xX][0-9a-fA-F]+|(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?[fF]?|inf(?:inity)?\b|nan\b)/y
const QUOTED = /"(?:[^"\\\n]|\\[^\n])*"|'(?:[^'\\\n]|\\[^\n])*'/y

/**
 * Reads the protobuf text format (protobuf.dev, "Text Format Language Specification"): fields with their values in the order of the
 * text. A list is its elements as fields of one name.
 * @throws TextFormatError
 */
export function parseTextFormat(text: string): TextMessage {
  const reader = new Reader(tokensOf(text))
  const fields = reader.fields('end', 0)
  return { kind: 'message', fields, line: 1 }
}

function tokensOf(text: string): readonly Token[] {
  const tokens: Token[] = []
  let at = 0
  let line = 1
  const match = (pattern: RegExp) => {
    pattern.lastIndex = at
    return pattern.exec(text)?.[0]
  }
  while (at < text.length) {
    const space = match(SPACE)
    if (space !== undefined) {
      at += space.length
      line += space.split('\n').length - 1
      continue
    }
    const token = tokenAt(match, text.charAt(at), line)
    tokens.push({ ...token, line })
    at += token.length
  }
  tokens.push({ kind: 'end', text: 'the end', line })
  return tokens
}

function tokenAt(
  match: (pattern: RegExp) => string | undefined,
  first: string,
  line: number,
): Omit<Token, 'line'> & { readonly length: number } {
  const word = match(WORD)
  if (word !== undefined) return { kind: 'word', text: word, length: word.length }
  const number = match(NUMBER)
  if (number !== undefined) return { kind: 'number', text: number.replace(/[ \t]/g, ''), length: number.length }
  const quoted = match(QUOTED)
  if (quoted !== undefined) return { kind: 'text', text: unescaped(quoted.slice(1, -1), line), length: quoted.length }
  if (first === '"' || first === "'") throw new TextFormatError('a string is not closed', line)
  if ('{}<>[]:,;'.includes(first)) return { kind: 'sign', text: first, length: 1 }
  throw new TextFormatError(`${JSON.stringify(first)} has no meaning here`, line)
}

const ESCAPES: Readonly<Record<string, string>> = { a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' }

function unescaped(text: string, line: number): string {
  // Bytes may be written one by one, so that letters beyond ASCII come together only at the end.
  const bytes = text.replace(
    /[^\\]+|\\(?:([0-7]{1,3})|x([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([abfnrtv\\'"?])|(.?))/gs,
    (all, octal, hex, short, long, letter, wrong) => {
      if (!all.startsWith('\\')) return Buffer.from(all, 'utf8').toString('latin1')
      if (wrong !== undefined) throw new TextFormatError(`"\\${wrong}" is not an escape`, line)
      if (letter !== undefined) return ESCAPES[letter] ?? letter
      if (short === undefined && long === undefined)
        return String.fromCharCode(Number.parseInt(octal ?? hex, octal === undefined ? 16 : 8) & 255)
      const point = Number.parseInt(short ?? long, 16)
      if (point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) throw new TextFormatError(`"${all}" is not a character`, line)
      return Buffer.from(String.fromCodePoint(point), 'utf8').toString('latin1')
    },
  )
  return Buffer.from(bytes, 'latin1').toString('utf8')
}

class Reader {
  readonly #tokens: readonly Token[]
  #at = 0
  #count = 0

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens
  }

  fields(end: string, depth: number): readonly TextField[] {
    if (depth > DEPTH_MAX) throw new TextFormatError(`is nested more than ${DEPTH_MAX} deep`, this.#peek().line)
    const fields: TextField[] = []
    while (!this.#ends(end)) {
      const { kind, text: name, line } = this.#next()
      if (kind !== 'word') throw new TextFormatError(`expected the name of a field, got ${JSON.stringify(name)}`, line)
      for (const value of this.#values(depth)) fields.push({ name, value, line: value.line })
      this.#takeSign(',') || this.#takeSign(';')
      this.#count += 1
      if (this.#count > FIELDS_MAX) throw new TextFormatError(`has more than ${FIELDS_MAX} fields`, line)
    }
    return fields
  }

  #values(depth: number): readonly TextValue[] {
    const hasColon = this.#takeSign(':')
    if (!this.#takeSign('[')) return [this.#value(hasColon, depth)]
    const values: TextValue[] = []
    if (this.#takeSign(']')) return values
    do {
      values.push(this.#value(hasColon, depth))
      if (values.length > FIELDS_MAX) throw new TextFormatError(`has more than ${FIELDS_MAX} elements`, this.#peek().line)
    } while (this.#takeSign(','))
    this.#expect(']')
    return values
  }

  #value(hasColon: boolean, depth: number): TextValue {
    const { line } = this.#peek()
    for (const [open, close] of ['{}', '<>']) {
      if (open === undefined || close === undefined || !this.#takeSign(open)) continue
      const fields = this.fields(close, depth + 1)
      return { kind: 'message', fields, line }
    }
    const token = this.#next()
    if (!hasColon) throw new TextFormatError(`expected ":" or "{", got ${JSON.stringify(token.text)}`, line)
    if (token.kind === 'number' || token.kind === 'word') return { kind: token.kind, text: token.text, line }
    if (token.kind !== 'text') throw new TextFormatError(`expected a value, got ${JSON.stringify(token.text)}`, line)
    let text = token.text
    // Texts one after the other are one.
    while (this.#peek().kind === 'text') text += this.#next().text
    return { kind: 'text', text, line }
  }

  #ends(end: string): boolean {
    const token = this.#peek()
    if (end === 'end') return token.kind === 'end'
    if (token.kind === 'end') throw new TextFormatError(`"${end}" is missing`, token.line)
    return this.#takeSign(end)
  }

  #takeSign(sign: string): boolean {
    const { kind, text } = this.#peek()
    if (kind !== 'sign' || text !== sign) return false
    this.#at += 1
    return true
  }

  #expect(sign: string): void {
    const { text, line } = this.#peek()
    if (!this.#takeSign(sign)) throw new TextFormatError(`expected "${sign}", got ${JSON.stringify(text)}`, line)
  }

  #peek(): Token {
    return this.#tokens[this.#at] ?? { kind: 'end', text: 'the end', line: 0 }
  }

  #next(): Token {
    const token = this.#peek()
    if (token.kind !== 'end') this.#at += 1
    return token
  }
}
