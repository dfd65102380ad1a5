import { createInterface } from 'node:readline'
import {
  type AccountInput,
  changeAccount,
  createAccount,
  findAccount,
  listAccounts,
  type ShownAccount,
} from '../accounts/administration.ts'
import type { AccountsContext } from '../accounts/service.ts'
import { signOutEverywhere } from '../accounts/sessions.ts'
import type { Arguments, FlagRow } from '../config/arguments.ts'
import { SettingsError } from '../config/load.ts'
import type { Mode } from '../config/mode.ts'
import type { Settings } from '../config/settings.ts'
import { VestalError } from '../core/errors.ts'
import { promptSecret } from '../platform/prompt.ts'
import { openAccounts } from '../server/accounts.ts'
import { readAction } from './action.ts'
import { table } from './table.ts'

export const USERS_FLAGS: readonly FlagRow[] = [
  {
    name: 'role',
    value: 'NAME',
    help: 'A role of the account, for add and roles; may be given several times. None: it has no role.',
  },
  {
    name: 'permission',
    value: 'NAME',
    help: 'A permission beside those of the roles, for add and roles; may be given several times.',
  },
  { name: 'once', help: 'The password signs in once, and the account must then set another.' },
  { name: 'json', help: 'Print JSON in place of a table.' },
]

/** What may follow `vestal users`. */
export const USERS_ACTIONS = ['add', 'list', 'disable', 'enable', 'passwd', 'roles', 'signout'] as const
/** There is no removing: what an account did stays in the audit log under its id. */
const SYNONYMS = {
  add: ['create', 'new', 'make'],
  list: ['ls', 'show', 'get', 'all'],
  disable: ['remove', 'delete', 'rm', 'del', 'lock', 'block', 'deactivate'],
  enable: ['unlock', 'unblock', 'activate'],
  passwd: ['password', 'reset', 'set-password'],
  roles: ['grant', 'permissions', 'set', 'update', 'change'],
  signout: ['logout', 'revoke', 'kick'],
} as const
const BY = { actor: 'command-line' }
const NOWHERE = { address: 'command-line', userAgent: '' }
const PAGE = 500

/** `vestal users …`. What it changes holds for a server that runs within a second. */
export async function users(settings: Settings, _mode: Mode, args: Arguments): Promise<void> {
  const { words } = args
  const [word, name = ''] = words
  const action = readAction('users', word, { actions: USERS_ACTIONS, synonyms: SYNONYMS })
  if (action === 'list' && name !== '') throw new SettingsError([`users list: takes no ${JSON.stringify(name.slice(0, 60))}`])
  if (action !== 'list' && name === '') throw new SettingsError([`users ${action}: needs the name of an account`])
  const input = action === 'add' || action === 'passwd' ? await passwordOf(name, args) : {}
  const { context, close } = await openAccounts(settings, () => '')
  try {
    if (action === 'list') return print(await everyAccount(context), args)
    const account = await act(context, { action, name, input, args })
    print([account], args)
  } catch (error) {
    throw error instanceof VestalError
      ? new SettingsError([faultIn(error, `there is no account ${JSON.stringify(name)}; users list shows them`)])
      : error
  } finally {
    await close()
  }
}

async function passwordOf(name: string, { switches }: Arguments): Promise<AccountInput> {
  return { password: await askPassword(`Password of ${name}`), isPasswordOnce: switches.has('once') }
}

interface Act {
  readonly action: Exclude<(typeof USERS_ACTIONS)[number], 'list'>
  readonly name: string
  readonly input: AccountInput
  readonly args: Arguments
}

async function act(context: AccountsContext, { action, name, input, args }: Act): Promise<ShownAccount> {
  const grants = { roles: args.values.get('role') ?? [], permissions: args.values.get('permission') ?? [] }
  if (action === 'add') return createAccount(context, { name, ...input, ...grants }, BY)
  const { id } = await findAccount(context, name)
  if (action === 'roles') return changeAccount(context, { id, ...grants }, BY)
  if (action === 'signout') {
    await signOutEverywhere(context, { accountId: id, origin: NOWHERE }, BY.actor)
    return findAccount(context, id)
  }
  if (action === 'passwd') return changeAccount(context, { id, ...input }, BY)
  return changeAccount(context, { id, isDisabled: action === 'disable' }, BY)
}

async function everyAccount(context: AccountsContext): Promise<readonly ShownAccount[]> {
  const all: ShownAccount[] = []
  for (;;) {
    const after = all.at(-1)?.name
    const page = await listAccounts(context, {}, { limit: PAGE, ...(after !== undefined && { after }) })
    all.push(...page)
    if (page.length < PAGE) return all
  }
}

function print(accounts: readonly ShownAccount[], { switches }: Arguments): void {
  if (switches.has('json')) return void console.log(JSON.stringify(accounts, null, 2))
  const rows = accounts.map(({ id, name, roles, permissions, disabledAt }) => {
    return [name, id, [...roles, ...permissions].join(' ') || '-', disabledAt === null ? 'enabled' : 'disabled']
  })
  console.log(table([['NAME', 'ID', 'ROLES', 'STATE'], ...rows]))
}

/** The details of an error, field by field. */
export function faultIn({ code, detail }: VestalError, unknown: string): string {
  if (code === 'RECORD_UNKNOWN') return unknown
  if (typeof detail === 'string') return detail
  return Object.entries(detail)
    .map(([field, rule]) => `${field}: ${rule}`)
    .join('\n')
}

/**
 * Asks for a new password. On a terminal it is asked for twice and not shown; otherwise it is the first line of the standard input, so
 * that a script can pipe it in and no command line ever holds it.
 */
async function askPassword(label: string): Promise<string> {
  const password = promptSecret(label)
  if (password === undefined) return firstLine()
  if (password !== promptSecret('Once more')) throw new SettingsError(['the two passwords are not the same'])
  return password
}

async function firstLine(): Promise<string> {
  for await (const line of createInterface({ input: process.stdin })) return line
  throw new SettingsError(['a password is needed, on the terminal or as the first line of the standard input'])
}
