import type { Actor } from '../../accounts/administration.ts'
import type { AuthenticatedToken } from '../../auth/authenticator.ts'
import type { AuthenticationPlugin } from '../authentication.ts'
import type { AccountRoutesOptions } from './context.ts'

/** What the administration's routes are made of. */
export interface AdministrationOptions extends AccountRoutesOptions {
  readonly authentication: AuthenticationPlugin
}

/** Who changes something: the principal, with what it may grant. */
export function actorOf({ originOf }: AccountRoutesOptions, token: AuthenticatedToken, request: Request): Actor {
  return { actor: token.principal.key, origin: originOf(request), allows: token.allows }
}

export const NO_STORE = { 'cache-control': 'no-store' }
