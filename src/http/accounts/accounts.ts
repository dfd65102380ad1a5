import { Elysia } from 'elysia'
import type { AuthenticationPlugin } from '../authentication.ts'
import type { SignInOptions } from '../sign-in.ts'
import type { AccountsOptions } from './context.ts'
import { accountSessions } from './sessions.ts'
import { accountSignIn } from './sign-in.ts'

/** All routes about accounts. */
export function accounts(
  options: AccountsOptions,
  {
    authentication,
    demonstration,
  }: { readonly authentication: AuthenticationPlugin; readonly demonstration: SignInOptions | undefined },
) {
  return new Elysia({ name: 'accounts' })
    .use(accountSignIn(options, demonstration))
    .use(accountSessions({ ...options, authentication }))
}
