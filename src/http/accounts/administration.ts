import type { Actor } from '../../accounts/administration.ts'
import type { AuthenticatedToken } from '../../auth/authenticator.ts'
import type { AuthenticationPlugin } from '../authentication.ts'
import type { AccountsOptions } from './context.ts'

/** What the administration's routes are made of. */
export interface AdministrationOptions extends AccountsOptions {
  readonly authentication: AuthenticationPlugin
}

/** Who changes something: the subject of the token, with what it may grant. */
export function actorOf(
  { originOf }: AccountsOptions,
  token: AuthenticatedToken,
  request: Request,
  peer: string | undefined,
): Actor {
  return { actor: token.payload.sub ?? 'unknown', origin: originOf(request, peer), allows: token.allows }
}

export const NO_STORE = { 'cache-control': 'no-store' }
