import { isUtf8 } from 'node:buffer'

/** Objects and arrays inside each other in a token's header or claims; deeper ones are rejected. */
const JSON_DEPTH_MAX = 32

const SPACE = 32
const COLON = 58
const BACKSLASH = 92

/** Names of members that a token may not have: what parsers make of them differs. */
const FORBIDDEN_NAMES: readonly string[] = ['__proto__']

export type JsonObject = Readonly<Record<string, unknown>>

/**
 * Reads one JSON object the way two parsers cannot disagree on: valid UTF-8 without a byte order mark, no member twice at any
 * depth (RFC 7515 §4, RFC 7519 §4), no `__proto__`, no lone surrogate, no infinite number, at most 32 levels.
 * Returns the rule that was broken, as text, where it is none.
 */
export function readStrictObject(bytes: Buffer, forbidden = FORBIDDEN_NAMES): JsonObject | string {
  return isUtf8(bytes) ? readStrictText(bytes.toString('utf8'), forbidden) : 'not UTF-8'
}

/**
 * As `readStrictObject`, of a text that was valid UTF-8.
 * @param forbidden names that no member may have at any depth; `__proto__` should be one of them
 */
export function readStrictText(text: string, forbidden = FORBIDDEN_NAMES): JsonObject | string {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return 'not JSON'
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'not a JSON object'
  const members = countMembers(value, 1)
  // Names and texts are looked at one by one only where there can be something: an escape may hide it, nothing else can.
  const mayHide = Number.isNaN(members) || text.includes('\\') || forbidden.some((name) => text.includes(name))
  const fault = mayHide ? faultIn(value, forbidden, 1) : undefined
  if (fault !== undefined) return fault
  if (members !== countNames(text)) return 'a member is there twice'
  // The cast is what the checks above establish: a plain object that JSON.parse made.
  return value as JsonObject
}

/**
 * Members in the parsed value: `JSON.parse` keeps one of two members with the same name, so the text then holds more.
 * NaN where it is too deep or a number is infinite.
 */
function countMembers(value: object, depth: number): number {
  if (depth > JSON_DEPTH_MAX) return Number.NaN
  let count = 0
  if (Array.isArray(value)) {
    for (const inside of value) count += countInside(inside, depth)
    return count
  }
  for (const name in value) count += 1 + countInside((value as JsonObject)[name], depth)
  return count
}

function countInside(value: unknown, depth: number): number {
  if (typeof value === 'object') return value === null ? 0 : countMembers(value, depth + 1)
  return typeof value === 'number' && !Number.isFinite(value) ? Number.NaN : 0
}

/** The rule that a value breaks, looked for in every name and every value. */
function faultIn(value: unknown, forbidden: readonly string[], depth: number): string | undefined {
  if (typeof value === 'string') return value.isWellFormed() ? undefined : 'a lone surrogate'
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : 'a number is too large'
  if (typeof value !== 'object' || value === null) return undefined
  if (depth > JSON_DEPTH_MAX) return `deeper than ${JSON_DEPTH_MAX} levels`
  for (const name in value) {
    if (forbidden.includes(name)) return `a member is called ${name}`
    if (!name.isWellFormed()) return 'a lone surrogate'
    const fault = faultIn((value as JsonObject)[name], forbidden, depth + 1)
    if (fault !== undefined) return fault
  }
  return undefined
}

/** Texts that a colon follows: one for each member that the JSON holds. */
function countNames(text: string): number {
  let count = 0
  let begin = text.indexOf('"')
  while (begin !== -1) {
    let next = endOfString(text, begin) + 1
    while (text.charCodeAt(next) <= SPACE) next += 1
    if (text.charCodeAt(next) === COLON) count += 1
    begin = text.indexOf('"', next)
  }
  return count
}

/** The index of the quote that closes the string opened at `start`; the text is known to be JSON, so there is one. */
function endOfString(text: string, start: number): number {
  let index = text.indexOf('"', start + 1)
  while (isEscaped(text, index)) index = text.indexOf('"', index + 1)
  // Never back to the start: no token may make this run for ever, whatever is wrong here.
  return index === -1 ? text.length : index
}

function isEscaped(text: string, index: number): boolean {
  let backslashes = 0
  while (text.charCodeAt(index - 1 - backslashes) === BACKSLASH) backslashes += 1
  return backslashes % 2 === 1
}
