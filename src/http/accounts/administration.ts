import type { Static, TObject } from '@sinclair/typebox'
import type { Actor } from '../../accounts/administration.ts'
import type { AuthenticatedToken } from '../../auth/authenticator.ts'
import type { AuthenticationPlugin } from '../authentication.ts'
import type { AccountRoutesOptions } from './context.ts'
import { readFields } from './fields.ts'
import { versionIn } from './paging.ts'

/** What the administration's routes are made of. */
export interface AdministrationOptions extends AccountRoutesOptions {
  readonly authentication: AuthenticationPlugin
}

/** Who changes something: the principal, with what it may grant. */
export function actorOf({ originOf }: AccountRoutesOptions, token: AuthenticatedToken, request: Request): Actor {
  return { actor: token.principal.key, origin: originOf(request), allows: token.allows }
}

/** What a change brings: the version it is for, the fields of its body, and who makes it. */
export async function readChange<S extends TObject>(
  options: AdministrationOptions,
  { request, token }: { readonly request: Request; readonly token: AuthenticatedToken },
  schema: S,
): Promise<{ readonly version: number | undefined; readonly fields: Static<S>; readonly by: Actor }> {
  const version = versionIn(request)
  return { version, fields: await readFields(request, schema, options), by: actorOf(options, token, request) }
}

export const NO_STORE = { 'cache-control': 'no-store' }
