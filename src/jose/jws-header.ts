import { VestalError } from '../core/errors.ts'
import { isAlgorithm } from './algorithms.ts'
import type { JoseHeader } from './compact.ts'
import type { JsonObject } from './strict-json.ts'

/** What changes how a JWS is read (RFC 7515 §4.1.11, RFC 7797), and what a JWE has (RFC 7516 §4.1): none of it is supported. */
const REFUSED_PARAMETERS = ['crit', 'b64', 'zip', 'enc'] as const
/** Texts of RFC 7515 §4.1. They name keys and types; the caller has chosen the key, and none of them is followed. */
const TEXTS = ['kid', 'typ', 'cty', 'jku', 'x5u', 'x5t', 'x5t#S256'] as const

/**
 * The rules for the header of a bare JWS. Parameters that name a key are ignored, as RFC 7515 §4 asks of what is not used; a token's header
 * has stricter ones (`compact.ts`).
 * @throws VestalError ALGORITHM_REFUSED, HEADER_PARAMETER_REFUSED, TOKEN_MALFORMED
 */
export function checkJwsHeader(header: JsonObject): JoseHeader {
  if (!isAlgorithm(header.alg))
    throw new VestalError('ALGORITHM_REFUSED', { reason: 'the header\'s "alg" is not a signature algorithm' })
  for (const name of REFUSED_PARAMETERS) {
    if (Object.hasOwn(header, name)) throw new VestalError('HEADER_PARAMETER_REFUSED', { reason: `the header has "${name}"` })
  }
  for (const name of TEXTS) {
    const value = header[name]
    if (value !== undefined && typeof value !== 'string')
      throw new VestalError('TOKEN_MALFORMED', { reason: `the header's "${name}" is not a string` })
  }
  // The cast is what the checks above establish.
  return header as JoseHeader
}
