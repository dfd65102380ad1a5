import { Elysia } from 'elysia'
import type { AuthenticatedToken, Authenticator } from '../../auth/authenticator.ts'
import { guard } from '../authentication.ts'
import type { DemonstrationOptions } from '../sign-in.ts'
import { apiKeys } from './api-keys.ts'
import { auditLog } from './audit.ts'
import type { AccountRoutesOptions } from './context.ts'
import { oauth } from './oauth.ts'
import { roles } from './roles.ts'
import { accountSessions } from './sessions.ts'
import { accountSignIn } from './sign-in.ts'
import { users } from './users.ts'

export interface AccountRoutes {
  readonly authenticator: Authenticator
  /** The sign-in of development mode, for as long as there is no account. */
  readonly demonstration: DemonstrationOptions | undefined
  /** The verified token of a text; it throws a `VestalError` where there is none. */
  readonly verify: (text: string) => Promise<AuthenticatedToken>
}

/** All routes about accounts. */
export function accounts(options: AccountRoutesOptions, { authenticator, demonstration, verify }: AccountRoutes) {
  const authentication = guard(authenticator)
  return new Elysia({ name: 'accounts' })
    .use(accountSignIn(options, demonstration))
    .use(accountSessions({ ...options, authentication }))
    .use(users({ ...options, authentication }))
    .use(roles({ ...options, authentication }))
    .use(apiKeys({ ...options, authentication }))
    .use(auditLog({ ...options, authentication }))
    .use(oauth({ ...options, authenticator, verify }))
}
