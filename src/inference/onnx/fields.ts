/** One field of a protobuf message: its number, and its bytes with and without what stands before them. */
export interface Field {
  readonly number: number
  readonly whole: Uint8Array
  /** Of a field with a length; empty for numbers. */
  readonly content: Uint8Array
}

/** The content of the first field of that number; empty where there is none. */
export function contentOf(fields: readonly Field[], number: number): Uint8Array {
  return fields.find((field) => field.number === number)?.content ?? new Uint8Array(0)
}

/** The same as a text. */
export function textIn(fields: readonly Field[], number: number): string {
  return Buffer.from(contentOf(fields, number)).toString('utf8')
}

/** True where there is a field of that number. */
export function hasField(fields: readonly Field[], number: number): boolean {
  return fields.some((field) => field.number === number)
}

/** The fields of a message, in their order. @throws Error where the bytes are no message */
export function fieldsOf(bytes: Uint8Array): readonly Field[] {
  return [...partsOf(bytes)].map(({ number, begin, end, content, isNumber }) => ({
    number,
    whole: bytes.subarray(begin, end),
    content: isNumber ? bytes.subarray(0, 0) : content,
  }))
}

/** A field of a message as `partsOf` reads it. */
export interface Part {
  readonly number: number
  /** Where it is in the message, with its tag. */
  readonly begin: number
  readonly end: number
  /** The bytes of the value: of a number as they are written. */
  readonly content: Uint8Array
  readonly isNumber: boolean
}

/** The fields of a message one by one, without a list, since a constant may have a million. @throws Error where the bytes are no message */
export function* partsOf(bytes: Uint8Array): Generator<Part> {
  let at = 0
  const varint = () => {
    let value = 0
    for (let shift = 1; ; shift *= 128) {
      const byte = bytes[at++]
      if (byte === undefined || shift > 2 ** 63) throw new Error('the model is cut off')
      value += (byte % 128) * shift
      if (byte < 128) return value
    }
  }
  while (at < bytes.length) {
    const begin = at
    const tag = varint()
    const kind = tag % 8
    let start = at
    if (kind === 0) varint()
    else if (kind === 1) at += 8
    else if (kind === 5) at += 4
    else if (kind === 2) {
      const length = varint()
      start = at
      at += length
    } else throw new Error('the model has a field of an unknown kind')
    if (at > bytes.length) throw new Error('the model is cut off')
    yield { number: Math.floor(tag / 8), begin, end: at, content: bytes.subarray(start, at), isNumber: kind !== 2 }
  }
}

/** A field that holds an integer from 0 up. */
export function integerField(field: number, value: number): Uint8Array {
  return joined([varintOf(field * 8), varintOf(value)])
}

/** A field that holds a message, or a text, of these parts. */
export function messageField(field: number, parts: readonly Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  return joined([varintOf(field * 8 + 2), varintOf(length), ...parts])
}

/** Parts in one piece. */
export function joined(parts: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(parts)
}

function varintOf(value: number): Uint8Array {
  const bytes: number[] = []
  let rest = value
  while (rest > 127) {
    bytes.push((rest % 128) + 128)
    rest = Math.floor(rest / 128)
  }
  return Uint8Array.from([...bytes, rest])
}
