import type { Static, TObject } from '@sinclair/typebox'
import type { Actor } from '../../accounts/administration.ts'
import type { AuthenticatedToken } from '../../auth/authenticator.ts'
import type { AuthenticationPlugin } from '../authentication.ts'
import { jsonResponse } from '../json.ts'
import type { AccountRoutesOptions } from './context.ts'
import { readFields } from './fields.ts'
import { tagOf, versionIn } from './paging.ts'

/** What the administration's routes are made of. */
export interface AdministrationOptions extends AccountRoutesOptions {
  readonly authentication: AuthenticationPlugin
}

/** Who changes something: the principal, with what it may grant. */
export function actorOf({ originOf }: AccountRoutesOptions, token: AuthenticatedToken, request: Request): Actor {
  return { actor: token.principal.key, origin: originOf(request), allows: token.allows }
}

/** The options of the routes on one kind of record: what they require, and that they read bodies themselves. */
export function routesOn(records: 'users' | 'roles' | 'api-keys') {
  return {
    reading: <Detail>(detail: Detail) => ({ permissions: [`${records}:read`], detail }),
    writing: <Detail>(detail: Detail) => ({ parse: 'none' as const, permissions: [`${records}:write`], detail }),
  }
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

/** Shows a record, with its version as the entity tag. */
export function recordResponse<Shown extends { readonly version: number }>(shown: Shown): Response {
  return jsonResponse(shown, { ...NO_STORE, ...tagOf(shown.version) })
}

export const NO_STORE = { 'cache-control': 'no-store' }
