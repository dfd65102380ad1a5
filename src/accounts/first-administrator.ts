import { randomBytes } from 'node:crypto'
import { VestalError } from '../core/errors.ts'
import { createAccount } from './administration.ts'
import type { AccountsContext } from './service.ts'

/** Name of the account that a new server has, and the role that may do everything. */
export const FIRST_ADMINISTRATOR = 'admin'
const PASSWORD_BYTES = 18

export interface FirstAdministratorOptions {
  /** The operator's own choice; without one a password is made up that signs in once. */
  readonly password?: string | undefined
  /**
   * Shows the password that was made up, in one go: the account is there once this returns, and is not where it throws or the process ends in it.
   * So that no account has a password that was never shown.
   */
  readonly show: (oncePassword: string) => void
}

/**
 * Makes the first administrator where there is no account at all. Of several processes that start at once, one makes it. True where it
 * was this one.
 */
export async function addFirstAdministrator(
  context: AccountsContext,
  { password, show }: FirstAdministratorOptions,
): Promise<boolean> {
  const isMade = () => context.store.read((records) => records.hasAccounts())
  if (await isMade()) return false
  const oncePassword = password === undefined ? randomBytes(PASSWORD_BYTES).toString('base64url') : undefined
  const account = {
    name: FIRST_ADMINISTRATOR,
    password: password ?? oncePassword ?? '',
    isPasswordOnce: oncePassword !== undefined,
    roles: ['admin'],
  }
  const beforeCommit = () => {
    if (oncePassword !== undefined) show(oncePassword)
  }
  try {
    await createAccount(context, account, { actor: 'first-start', beforeCommit })
    return true
  } catch (error) {
    if (error instanceof VestalError && error.code === 'NAME_TAKEN' && (await isMade())) return false
    throw error
  }
}
