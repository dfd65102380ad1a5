import { isUtf8 } from 'node:buffer'

/** Objects and arrays inside each other in a token's header or claims; deeper ones are refused. */
export const JSON_DEPTH_MAX = 32

const QUOTE = 34
const COLON = 58
const BACKSLASH = 92

export type JsonObject = Readonly<Record<string, unknown>>

/**
 * Reads one JSON object the way two parsers cannot disagree on: valid UTF-8 without a byte order mark, no member twice at any
 * depth (RFC 7515 §4, RFC 7519 §4), no `__proto__`, no lone surrogate, no infinite number, at most 32 levels.
 * Returns the rule that was broken, as text, where it is none.
 */
export function readStrictObject(bytes: Buffer): JsonObject | string {
  if (!isUtf8(bytes)) return 'not UTF-8'
  const text = bytes.toString('utf8')
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return 'not JSON'
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'not a JSON object'
  const members = countMembers(value, 1)
  if (typeof members === 'string') return members
  if (members !== countColons(text)) return 'a member is there twice'
  // The cast is what the checks above establish: a plain object that JSON.parse made.
  return value as JsonObject
}

/** Members in the parsed value: `JSON.parse` keeps one of two members with the same name, so the text then holds more. */
function countMembers(value: object, depth: number): number | string {
  if (depth > JSON_DEPTH_MAX) return `deeper than ${JSON_DEPTH_MAX} levels`
  let count = 0
  if (Array.isArray(value)) {
    for (const element of value) {
      const inside = countInside(element, depth)
      if (typeof inside === 'string') return inside
      count += inside
    }
    return count
  }
  for (const name in value) {
    if (name === '__proto__') return 'a member is called __proto__'
    if (!name.isWellFormed()) return 'a lone surrogate'
    const inside = countInside((value as JsonObject)[name], depth)
    if (typeof inside === 'string') return inside
    count += 1 + inside
  }
  return count
}

function countInside(value: unknown, depth: number): number | string {
  switch (typeof value) {
    case 'string':
      return value.isWellFormed() ? 0 : 'a lone surrogate'
    case 'number':
      return Number.isFinite(value) ? 0 : 'a number is too large'
    case 'object':
      return value === null ? 0 : countMembers(value, depth + 1)
    default:
      return 0
  }
}

/** Colons outside strings: one for each member that the text holds. */
function countColons(text: string): number {
  let count = 0
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index)
    if (code === COLON) count += 1
    else if (code === QUOTE) index = endOfString(text, index)
  }
  return count
}

/** The index of the quote that closes the string opened at `start`; the text is known to be JSON. */
function endOfString(text: string, start: number): number {
  let index = text.indexOf('"', start + 1)
  while (isEscaped(text, index)) index = text.indexOf('"', index + 1)
  return index
}

function isEscaped(text: string, index: number): boolean {
  let backslashes = 0
  while (text.charCodeAt(index - 1 - backslashes) === BACKSLASH) backslashes += 1
  return backslashes % 2 === 1
}
