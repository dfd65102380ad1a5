import { CommandError } from '../core/command-error.ts'

/** Characters of one line, or of one record of CSV. */
export const LINE_LENGTH_MAX = 16 * 1024 * 1024

export interface Line {
  readonly text: string
  /** From 1. */
  readonly number: number
}

/** Text of UTF-8 bytes, piece by piece. @throws CommandError where they are none */
export async function* textOf(chunks: AsyncIterable<Uint8Array>, name: string): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  try {
    for await (const chunk of chunks) yield decoder.decode(chunk, { stream: true })
    yield decoder.decode()
  } catch (error) {
    throw error instanceof TypeError ? new CommandError(`${name}: is not UTF-8`) : error
  }
}

/** The lines of a text that are not empty. */
export async function* linesOf(texts: AsyncIterable<string>, name: string): AsyncGenerator<Line> {
  let rest = ''
  let number = 0
  for await (const text of texts) {
    const parts = (rest + text).split('\n')
    rest = parts.pop() ?? ''
    if (rest.length > LINE_LENGTH_MAX)
      throw new CommandError(`${name} line ${number + parts.length + 1}: is longer than ${LINE_LENGTH_MAX} characters`)
    for (const part of parts) {
      number += 1
      if (part.trim() !== '') yield { text: part, number }
    }
  }
  if (rest.trim() !== '') yield { text: rest, number: number + 1 }
}
