import type { Static } from '@sinclair/typebox'
import { Elysia } from 'elysia'
import { signInWithPassword } from '../../accounts/sign-in.ts'
import { type DemonstrationOptions, demonstrate, SIGN_IN_DETAIL } from '../sign-in.ts'
import { type AccountRoutesOptions, refuseCrossSite, type SessionKind, sessionResponse } from './context.ts'
import { fieldFault, readFields } from './fields.ts'
import { SignIn } from './schemas.ts'

/** Signing in with a password. While there is no account, and only in development mode, the demonstration answers in its place. */
export function accountSignIn(options: AccountRoutesOptions, demonstration: DemonstrationOptions | undefined) {
  return new Elysia({ name: 'account-sign-in' }).post(
    '/auth/',
    async ({ request }) => {
      const origin = options.originOf(request)
      if (demonstration !== undefined && !(await hasAccounts(options))) return demonstrate(demonstration, request)
      const { login, password, kind } = readSignIn(await readFields(request, SignIn, options))
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

interface SignInRequest {
  readonly login: string
  readonly password: string
  readonly kind: SessionKind | undefined
}

function readSignIn({ id, name, password, session }: Static<typeof SignIn>): SignInRequest {
  if ((id === undefined) === (name === undefined)) throw fieldFault('name', 'must be given, or "id" in its place')
  if (password === undefined) throw fieldFault('password', 'is missing')
  return { login: id ?? name ?? '', password, kind: session }
}
