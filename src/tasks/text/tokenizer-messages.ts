/** What a server and its tokenizer processes say to each other, as frames of JSON. Pure. */
import { broken, type FrameBuffer, type FrameCursor } from '../../processes/frames.ts'
import { type DecodeRequest, type Encoded, type EncodedText, type EncodeRequest, TokenizerFailure } from './tokens.ts'

export type TokenizerJob =
  | { readonly kind: 'encode'; readonly request: EncodeRequest }
  | { readonly kind: 'decode'; readonly request: DecodeRequest }

export type TokenizerAnswer =
  | { readonly kind: 'encoded'; readonly texts: readonly EncodedText[] }
  | { readonly kind: 'decoded'; readonly texts: readonly string[] }
  | { readonly kind: 'failed'; readonly failure: TokenizerFailure }

/** There is one kind of frames: the JSON says what a frame is. */
const JSON_FRAME = 1

/** Writes a job or an answer as a frame. */
export function jsonFrame(value: TokenizerJob | TokenizerAnswer): {
  readonly kind: number
  readonly write: (buffer: FrameBuffer) => void
} {
  const said = value.kind === 'failed' ? { kind: 'failed', code: value.failure.code, message: value.failure.message } : value
  return { kind: JSON_FRAME, write: (buffer) => buffer.text(JSON.stringify(said)) }
}

/** Reads a job; the server is trusted, and of the same version. */
export function readJob(cursor: FrameCursor): TokenizerJob {
  return readJson(cursor) as TokenizerJob
}

function readJson(cursor: FrameCursor): unknown {
  if (cursor.byte() !== JSON_FRAME) return broken('a frame of an unknown kind')
  const text = cursor.text()
  cursor.finish()
  return JSON.parse(text)
}

/** Reads an answer: of a process that a tokenizer file may have taken over, so that nothing of it is trusted but its form. */
export function readAnswer(cursor: FrameCursor): TokenizerAnswer {
  const { kind, texts, code, message } = objectOf(readJson(cursor))
  if (kind === 'encoded') return { kind, texts: listOf(texts, encodedText) }
  if (kind === 'decoded') return { kind, texts: listOf(texts, textOf) }
  if (kind === 'failed' && (code === 'changed' || code === 'unreadable' || code === 'failed'))
    return { kind, failure: new TokenizerFailure(code, textOf(message).slice(0, 200)) }
  return broken('an answer of an unknown kind')
}

function encodedText(value: unknown): EncodedText {
  const { windows, tooLong } = objectOf(value)
  return tooLong === undefined ? { windows: listOf(windows, encoded) } : { tooLong: integerOf(tooLong) }
}

function encoded(value: unknown): Encoded {
  const { ids, types, details } = objectOf(value)
  const read = { ids: listOf(ids, integerOf), types: listOf(types, integerOf) }
  if (read.types.length !== read.ids.length) return broken('tokens without types')
  if (details === undefined) return read
  const { tokens, sequences, inside, starts, ends } = objectOf(details)
  const lists = [sequences, inside, starts, ends].map((list) => listOf(list, integerOf))
  const all = {
    tokens: listOf(tokens, textOf),
    sequences: lists[0] ?? [],
    inside: lists[1] ?? [],
    starts: lists[2] ?? [],
    ends: lists[3] ?? [],
  }
  if (Object.values(all).some(({ length }) => length !== read.ids.length)) return broken('tokens without details')
  return { ...read, details: all }
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  // The cast: whatever it is, its members are unknown.
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : broken('no object')
}

function listOf<T>(value: unknown, read: (item: unknown) => T): readonly T[] {
  return Array.isArray(value) ? value.map(read) : broken('no list')
}

function integerOf(value: unknown): number {
  return typeof value === 'number' && Number.isInteger(value) && value >= -1 ? value : broken('no integer')
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : broken('no text')
}
