import { randomBytes } from 'node:crypto'
import { createAccount } from './administration.ts'
import type { AccountsContext } from './service.ts'

/** Name of the account that a new server has, and the role that may do everything. */
export const FIRST_ADMINISTRATOR = 'admin'
const PASSWORD_BYTES = 18

/**
 * Makes the first administrator where there is no account at all: with the password that is given or, without one, with a password that
 * signs in once, and is told to whoever started the server. Of several processes that start at once, one makes it.
 */
export async function addFirstAdministrator(
  context: AccountsContext,
  password: string | undefined,
): Promise<{ readonly oncePassword: string | undefined } | undefined> {
  if (await context.store.read((records) => records.hasAccounts())) return undefined
  const oncePassword = password === undefined ? randomBytes(PASSWORD_BYTES).toString('base64url') : undefined
  try {
    await createAccount(
      context,
      {
        name: FIRST_ADMINISTRATOR,
        password: password ?? oncePassword ?? '',
        isPasswordOnce: oncePassword !== undefined,
        roles: ['admin'],
      },
      { actor: 'first-start' },
    )
  } catch (error) {
    const isMade = await context.store.read((records) => records.hasAccounts())
    if (isMade) return undefined
    throw error
  }
  return { oncePassword }
}
