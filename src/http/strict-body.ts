import { type ErrorDetail, VestalError } from '../core/errors.ts'
import { type JsonObject, readStrictObject, readStrictText } from '../jose/strict-json.ts'
import { parseJson } from '../tensor/exact-json.ts'

/** Names that lead to an object's prototype where code is careless with them. No body has a member of these names. */
const FORBIDDEN_NAMES = ['__proto__', 'constructor', 'prototype'] as const

/**
 * Reads the JSON object of a body about accounts, roles, keys, tokens or the model repository, as strictly as a token: no member twice
 * at any depth, no `__proto__`, `constructor` or `prototype`, no lone surrogate, at most 32 levels. Two readers of such a body cannot
 * take it for two different requests.
 * @param notObject the error text for a body that is JSON and no object
 * @throws VestalError BODY_INVALID
 */
export function readStrictBody(bytes: Uint8Array, notObject: ErrorDetail): JsonObject {
  const read = readStrictObject(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), FORBIDDEN_NAMES)
  if (typeof read !== 'string') return read
  // Tells in the words of other bodies what is empty, not UTF-8, not JSON or nested too deep.
  parseJson(bytes)
  throw new VestalError('BODY_INVALID', {
    detail: read === 'not a JSON object' ? notObject : `The body is not accepted: ${read}`,
  })
}

/** What makes a text that holds a JSON object unsafe to read; undefined where nothing does, and where it is no JSON object at all. */
export function strictFault(text: string): string | undefined {
  const read = readStrictText(text, FORBIDDEN_NAMES)
  return typeof read !== 'string' || read === 'not JSON' || read === 'not a JSON object' ? undefined : read
}
