import { VestalError } from '../core/errors.ts'
import { bytesOfBase64url } from './base64url.ts'
import { type CompactOptions, splitCompact } from './compact.ts'
import { type JsonObject, readStrictObject } from './strict-json.ts'

/** What a token says of itself. Nobody has checked that it is true. */
export interface UnverifiedJwt {
  readonly isVerified: false
  readonly header: JsonObject
  readonly payload: JsonObject
}

/**
 * Reads a token WITHOUT verifying it: anyone can write what it returns. For logs and debugging; never decide by it.
 *
 * @example
 * console.log(decodeJwt(token).payload.sub)
 *
 * @throws VestalError TOKEN_TOO_LONG, TOKEN_ENCRYPTED, TOKEN_MALFORMED
 */
export function decodeJwt(token: string, options: CompactOptions = {}): UnverifiedJwt {
  const parts = splitCompact(token, options)
  return { isVerified: false, header: readPart(parts.header, 'header'), payload: readPart(parts.payload, 'payload') }
}

function readPart(encoded: string, name: string): JsonObject {
  const part = readStrictObject(bytesOfBase64url(encoded))
  if (typeof part === 'string') throw new VestalError('TOKEN_MALFORMED', { reason: `the ${name} is ${part}` })
  return part
}
