import { VestalError } from '../core/errors.ts'

const [TAB, NEWLINE, RETURN, SPACE, QUOTE, COMMA] = [9, 10, 13, 32, 34, 44] as const
const [OPEN, BACKSLASH, CLOSE, BRACE_OPEN, BRACE_CLOSE] = [91, 92, 93, 123, 125] as const
/** How a body begins whose rows are in an object, without its spaces. */
const OBJECT_HEAD = '{"input":['
/** Spaces that may stand before the first row. */
const HEAD_BYTES_MAX = 4096
/** Pieces of a row that are joined at once, so that many small ones take no more memory than their bytes. */
const PIECE_BYTES_MIN = 64

type State = 'head' | 'line' | 'first' | 'before' | 'value' | 'after' | 'tail'

export interface RowSplitterOptions {
  /** Longest row in bytes. */
  readonly rowBytesMax: number
  /** True when each line is a row, whatever it begins with. */
  readonly hasLines: boolean
}

/**
 * Cuts a body into the JSON texts of its rows as its bytes come, and keeps no more than one row: a JSON array of rows, `{"input": [rows]}`,
 * or lines. What is in a row is not looked at beyond finding its end.
 */
export class RowSplitter {
  readonly #rowBytesMax: number
  #state: State
  /** True where the array is in an object, which has to be closed too. */
  #isInObject = false
  /** Bytes of the row, or of the head, that came before this chunk. */
  #kept: Uint8Array[] = []
  #keptLength = 0
  #depth = 0
  #isInText = false
  #isEscaped = false
  /** The fault after valid rows; it is reported once those rows were taken. */
  #fault: unknown

  constructor({ rowBytesMax, hasLines }: RowSplitterOptions) {
    this.#rowBytesMax = rowBytesMax
    this.#state = hasLines ? 'line' : 'head'
  }

  /** Bytes of the row that has not come whole. */
  get pendingBytes(): number {
    return this.#keptLength
  }

  /**
   * Takes the next bytes and gives the rows that they complete.
   * @throws VestalError BODY_INVALID, BODY_TOO_LARGE
   */
  push(chunk: Uint8Array): readonly Uint8Array[] {
    if (this.#fault !== undefined) throw this.#fault
    if (this.#state !== 'head') return this.#cut(chunk)
    this.#keep(chunk)
    const head = this.#take()
    const length = this.#begin(head)
    if (length !== undefined) return this.#cut(head.subarray(length))
    if (head.length > HEAD_BYTES_MAX) throw invalid('the body does not begin with rows')
    this.#keep(head)
    return []
  }

  /**
   * Says that no more comes, and gives the last row where it had no end of its own.
   * @throws VestalError BODY_INVALID
   */
  end(): readonly Uint8Array[] {
    if (this.#fault !== undefined) throw this.#fault
    if (this.#state === 'head') throw invalid('the body ended before its rows began')
    if (this.#state === 'line') {
      const last = trim(this.#take())
      return last.length === 0 ? [] : [last]
    }
    if (this.#state !== 'tail' || this.#isInObject) throw invalid('the body ended before its array of rows did')
    return []
  }

  /** Decides what the body is once that is sure, and gives the length of what stands before the rows. */
  #begin(head: Uint8Array): number | undefined {
    let text = ''
    for (const [index, byte] of head.entries()) {
      if (isSpace(byte)) continue
      text += String.fromCharCode(byte)
      if (text === OBJECT_HEAD || text === '[') {
        this.#isInObject = text !== '['
        this.#state = 'first'
        return index + 1
      }
      if (OBJECT_HEAD.startsWith(text)) continue
      this.#state = 'line'
      return 0
    }
    return undefined
  }

  #cut(chunk: Uint8Array): readonly Uint8Array[] {
    const rows: Uint8Array[] = []
    try {
      if (this.#state === 'line') this.#cutLines(chunk, rows)
      else this.#cutArray(chunk, rows)
    } catch (error) {
      if (rows.length === 0) throw error
      this.#fault = error
    }
    return rows
  }

  #cutArray(chunk: Uint8Array, rows: Uint8Array[]): void {
    let start = 0
    for (let index = 0; index < chunk.length; index += 1) {
      const byte = chunk[index] ?? SPACE
      if (this.#state === 'value') {
        const end = this.#endsValue(byte, index)
        if (end === undefined) continue
        rows.push(this.#take(chunk.subarray(start, end)))
        this.#state = 'after'
        if (end > index) continue
      }
      if (isSpace(byte)) continue
      const begins = this.#between(byte)
      if (begins) {
        start = index
        const end = this.#endsValue(byte, index)
        if (end !== undefined) throw invalid('a row of the array is no JSON')
      }
    }
    if (this.#state === 'value') this.#keep(chunk.subarray(start))
  }

  #cutLines(chunk: Uint8Array, rows: Uint8Array[]): void {
    let start = 0
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      const row = trim(this.#take(chunk.subarray(start, end)))
      if (row.length > 0) rows.push(row)
      start = end + 1
    }
    this.#keep(chunk.subarray(start))
  }

  /** What a byte between rows does; true when it begins one. */
  #between(byte: number): boolean {
    switch (this.#state) {
      case 'first':
      case 'before':
        if (byte === CLOSE && this.#state === 'first') return this.#close()
        this.#state = 'value'
        this.#depth = 0
        this.#isInText = false
        return true
      case 'after':
        if (byte === CLOSE) return this.#close()
        if (byte !== COMMA) throw invalid('rows of the array must be separated by commas')
        this.#state = 'before'
        return false
      default:
        if (!this.#isInObject || byte !== BRACE_CLOSE) {
          throw invalid('there is something behind the array of rows; lines need the media type application/x-ndjson')
        }
        this.#isInObject = false
        return false
    }
  }

  #close(): false {
    this.#state = 'tail'
    return false
  }

  /** Where the row ends, at this byte or before it; undefined when it continues. */
  #endsValue(byte: number, index: number): number | undefined {
    if (this.#isInText) {
      if (this.#isEscaped) this.#isEscaped = false
      else if (byte === BACKSLASH) this.#isEscaped = true
      else if (byte === QUOTE) {
        this.#isInText = false
        if (this.#depth === 0) return index + 1
      }
      return undefined
    }
    if (byte === QUOTE) this.#isInText = true
    else if (byte === OPEN || byte === BRACE_OPEN) this.#depth += 1
    else if (byte === CLOSE || byte === BRACE_CLOSE) {
      if (this.#depth === 0) return index
      this.#depth -= 1
      if (this.#depth === 0) return index + 1
    } else if (this.#depth === 0 && (byte === COMMA || isSpace(byte))) return index
    return undefined
  }

  #keep(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    this.#keptLength += bytes.length
    this.#checkLength(this.#keptLength)
    // A copy: the chunk belongs to who gave it. Many small ones are joined, so that they take no more memory than their bytes.
    const last = this.#kept.at(-1)
    if (last !== undefined && last.length < bytes.length + PIECE_BYTES_MIN)
      this.#kept[this.#kept.length - 1] = Buffer.concat([last, bytes])
    else this.#kept.push(new Uint8Array(bytes))
  }

  #take(more: Uint8Array = new Uint8Array(0)): Uint8Array {
    this.#checkLength(this.#keptLength + more.length)
    const row = this.#kept.length === 0 ? new Uint8Array(more) : Buffer.concat([...this.#kept, more])
    this.#kept = []
    this.#keptLength = 0
    return row
  }

  #checkLength(length: number): void {
    // The head is a whole chunk that is not split into rows yet.
    if (this.#state === 'head' || length <= this.#rowBytesMax) return
    throw new VestalError('BODY_TOO_LARGE', {
      detail: `a row is larger than ${this.#rowBytesMax} bytes, the most that one may have`,
    })
  }
}

function trim(bytes: Uint8Array): Uint8Array {
  let [start, end] = [0, bytes.length]
  while (start < end && isSpace(bytes[start] ?? 0)) start += 1
  while (end > start && isSpace(bytes[end - 1] ?? 0)) end -= 1
  return bytes.subarray(start, end)
}

function isSpace(byte: number): boolean {
  return byte === SPACE || byte === NEWLINE || byte === RETURN || byte === TAB
}

function invalid(detail: string): VestalError {
  return new VestalError('BODY_INVALID', { detail })
}
