import { createApiKey, findApiKey, listApiKeys, revokeApiKey, type ShownApiKey } from '../accounts/api-keys.ts'
import type { AccountsContext } from '../accounts/service.ts'
import type { Arguments, FlagRow } from '../config/arguments.ts'
import { SettingsError } from '../config/load.ts'
import type { Mode } from '../config/mode.ts'
import type { Settings } from '../config/settings.ts'
import { VestalError } from '../core/errors.ts'
import { openAccounts } from '../server/accounts.ts'
import { readAction } from './action.ts'
import { table } from './table.ts'
import { faultIn } from './users.ts'

export const API_KEYS_FLAGS: readonly FlagRow[] = [
  { name: 'permission', value: 'NAME', help: 'A permission of the key, for create; may be given several times.' },
  { name: 'days', value: 'N', help: 'Days until the key expires, for create, 1 to 3650; without it the key does not expire.' },
  { name: 'json', help: 'Print JSON in place of a table.' },
]

/** What may follow `vestal api-keys`. */
export const API_KEYS_ACTIONS = ['create', 'list', 'revoke'] as const
const SYNONYMS = {
  create: ['add', 'new', 'make', 'generate'],
  list: ['ls', 'show', 'get', 'all'],
  revoke: ['remove', 'delete', 'rm', 'del', 'disable', 'end'],
} as const
const BY = { actor: 'command-line' }
const PAGE = 500
const DAY_MS = 86_400_000
const DAYS_MAX = 3650

/** `vestal api-keys …`. What it changes holds for a server that runs within a second. */
export async function apiKeys(settings: Settings, _mode: Mode, args: Arguments): Promise<void> {
  const [word, name = ''] = args.words
  const action = readAction('api-keys', word, { actions: API_KEYS_ACTIONS, synonyms: SYNONYMS })
  if (action === 'list' && name !== '') throw new SettingsError([`api-keys list: takes no ${JSON.stringify(name.slice(0, 60))}`])
  if (action !== 'list' && name === '')
    throw new SettingsError([`api-keys ${action}: needs ${action === 'create' ? 'a name' : 'the id of a key'}`])
  const expiresAt = readDays(args)
  const { context, close } = await openAccounts(settings, () => '')
  try {
    if (action === 'create') await create(context, { name, expiresAt, args })
    else print(action === 'list' ? await everyKey(context) : [await revoke(context, name)], args)
  } catch (error) {
    throw error instanceof VestalError
      ? new SettingsError([faultIn(error, `there is no key ${JSON.stringify(name)}; api-keys list shows them`)])
      : error
  } finally {
    await close()
  }
}

function readDays({ values }: Arguments): number | null {
  const text = values.get('days')?.at(-1)
  if (text === undefined) return null
  const days = Number(text)
  if (!Number.isInteger(days) || days < 1 || days > DAYS_MAX)
    throw new SettingsError([`--days: must be a whole number from 1 to ${DAYS_MAX}`])
  return Date.now() + days * DAY_MS
}

/** Prints only the key on standard output, so that a script can read it; the rest goes to standard error. */
async function create(
  context: AccountsContext,
  { name, expiresAt, args }: { readonly name: string; readonly expiresAt: number | null; readonly args: Arguments },
): Promise<void> {
  const key = await createApiKey(context, { name, permissions: args.values.get('permission') ?? [], expiresAt }, BY)
  if (args.switches.has('json')) return void console.log(JSON.stringify(key, null, 2))
  console.error(`The key ${key.id} was made. It is not shown again:`)
  console.log(key.text)
}

async function revoke(context: AccountsContext, id: string): Promise<ShownApiKey> {
  await findApiKey(context, id)
  return revokeApiKey(context, { id }, BY)
}

async function everyKey(context: AccountsContext): Promise<readonly ShownApiKey[]> {
  const all: ShownApiKey[] = []
  for (;;) {
    const after = all.at(-1)?.id
    const page = await listApiKeys(context, { limit: PAGE, ...(after !== undefined && { after }) })
    all.push(...page)
    if (page.length < PAGE) return all
  }
}

function print(keys: readonly ShownApiKey[], { switches }: Arguments): void {
  if (switches.has('json')) return void console.log(JSON.stringify(keys, null, 2))
  const rows = keys.map(({ id, name, permissions, expiresAt, revokedAt, lastUsedAt }) => {
    return [
      id,
      name,
      permissions.join(' ') || '-',
      revokedAt === null ? 'valid' : 'revoked',
      dateOf(expiresAt),
      dateOf(lastUsedAt),
    ]
  })
  console.log(table([['ID', 'NAME', 'PERMISSIONS', 'STATE', 'UNTIL', 'LAST USED'], ...rows]))
}

function dateOf(milliseconds: number | null): string {
  return milliseconds === null ? '-' : new Date(milliseconds).toISOString().slice(0, 10)
}
