import { Elysia } from 'elysia'
import { signInWithPassword } from '../../accounts/sign-in.ts'
import { parseJson } from '../../tensor/exact-json.ts'
import { readBody } from '../body.ts'
import { type DemonstrationOptions, demonstrate, SIGN_IN_DETAIL } from '../sign-in.ts'
import { type AccountRoutesOptions, refuseCrossSite, type SessionKind, sessionResponse } from './context.ts'
import { ACCOUNT_BODY_BYTES_MAX, checkFields, fieldFault } from './fields.ts'

/** Signing in with a password. While no account is there, and in development mode alone, the demonstration answers in its place. */
export function accountSignIn(options: AccountRoutesOptions, demonstration: DemonstrationOptions | undefined) {
  return new Elysia({ name: 'account-sign-in' }).post(
    '/auth/',
    async ({ request }) => {
      const origin = options.originOf(request)
      if (demonstration !== undefined && !(await hasAccounts(options))) return demonstrate(demonstration, request)
      const { login, password, kind } = readSignIn(parseJson(await readBody(request, ACCOUNT_BODY_BYTES_MAX)))
      if (kind === 'cookie') refuseCrossSite(request)
      const isLasting = kind !== undefined
      return sessionResponse(options, await signInWithPassword(options.context, { login, password, origin, isLasting }), kind)
    },
    { parse: 'none', detail: SIGN_IN_DETAIL },
  )
}

function hasAccounts({ context }: AccountRoutesOptions): Promise<boolean> {
  return context.store.read((records) => records.hasAccounts())
}

function readSignIn(body: unknown): { login: string; password: string; kind: SessionKind | undefined } {
  const { id, name, password, session } = checkFields(body, { id: 'text', name: 'text', password: 'text', session: 'text' })
  if ((id === undefined) === (name === undefined)) throw fieldFault('name', 'must be given, or "id" in its place')
  if (password === undefined) throw fieldFault('password', 'is missing')
  if (session !== undefined && session !== 'cookie' && session !== 'token')
    throw fieldFault('session', 'must be "cookie" or "token"')
  return { login: id ?? name ?? '', password, kind: session }
}
