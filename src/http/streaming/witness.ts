import type { Authenticator } from '../../auth/authenticator.ts'
import type { VestalError } from '../../core/errors.ts'
import { vestalErrorIn } from '../errors.ts'

/** Says whether who opened a connection may still use it: undefined, or the refusal. */
export type Witness = () => Promise<VestalError | undefined>

/**
 * Keeps what a request showed of itself, to ask again as long as its connection is open: a token that has expired or was revoked, a key
 * that was taken back and a permission that a model asks for since then count from the next row or message.
 */
export function createWitness(authenticator: Authenticator, request: Request, required: () => readonly string[]): Witness {
  // Its own copy: what Bun keeps of a request ends with the request. A host that is none makes an address that is none.
  const address = URL.canParse(request.url) ? request.url : 'http://localhost/'
  const shown = new Request(address, { headers: new Headers(request.headers) })
  return async () => {
    try {
      authenticator.authorize(await authenticator.authenticateOrWait(shown), required())
      return undefined
    } catch (error) {
      const refusal = vestalErrorIn(error)
      if (refusal === undefined) throw error
      return refusal
    }
  }
}
