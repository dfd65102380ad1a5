import { Elysia } from 'elysia'
import {
  type AccountInput,
  changeAccount,
  createAccount,
  deleteAccount,
  findAccount,
  listAccounts,
  type ShownAccount,
} from '../../accounts/administration.ts'
import { normaliseName } from '../../accounts/names.ts'
import { jsonResponse } from '../json.ts'
import { USER_DETAIL } from '../openapi/administration.ts'
import { type AdministrationOptions, actorOf, NO_STORE } from './administration.ts'
import { fieldFault, readFields } from './fields.ts'
import { nextCursor, readQuery, tagOf, versionIn, yesOrNo } from './paging.ts'
import { timeOf } from './sessions.ts'

const FIELDS = {
  name: 'text',
  password: 'text or null',
  password_once: 'boolean',
  permissions: 'texts',
  roles: 'texts',
  disabled: 'boolean',
} as const

/** Accounts, for those who may see and change them. */
export function users(options: AdministrationOptions) {
  const { context } = options
  return new Elysia({ name: 'users' })
    .use(options.authentication)
    .get('/admin/users/', async ({ request }) => list(options, request), {
      permissions: ['users:read'],
      detail: USER_DETAIL.list,
    })
    .post(
      '/admin/users/',
      async ({ request, token }) => {
        const { name, ...input } = await readAccount(request, options)
        if (name === undefined) throw fieldFault('name', 'is missing')
        const by = actorOf(options, token, request)
        return one(await createAccount(context, { ...input, name }, by))
      },
      { parse: 'none', permissions: ['users:write'], detail: USER_DETAIL.create },
    )
    .get('/admin/users/:id/', async ({ params }) => one(await findAccount(context, params.id)), {
      permissions: ['users:read'],
      detail: USER_DETAIL.read,
    })
    .patch(
      '/admin/users/:id/',
      async ({ request, token, params }) => {
        const version = versionIn(request)
        const input = await readAccount(request, options)
        const { id } = await findAccount(context, params.id)
        const by = actorOf(options, token, request)
        return one(await changeAccount(context, { ...input, id, version }, by))
      },
      { parse: 'none', permissions: ['users:write'], detail: USER_DETAIL.change },
    )
    .delete(
      '/admin/users/:id/',
      async ({ request, token, params }) => {
        const version = versionIn(request)
        const { id } = await findAccount(context, params.id)
        await deleteAccount(context, { id, version }, actorOf(options, token, request))
        return jsonResponse({ ended: id }, NO_STORE)
      },
      { parse: 'none', permissions: ['users:write'], detail: USER_DETAIL.remove },
    )
}

async function list({ context }: AdministrationOptions, request: Request): Promise<Response> {
  const { page, filter } = readQuery(request, ['name', 'role', 'disabled'])
  const [name, role] = [filter.get('name'), filter.get('role')]
  const isDisabled = yesOrNo('disabled', filter.get('disabled'))
  const accounts = await listAccounts(
    context,
    {
      ...(name !== undefined && { name: normaliseName(name) }),
      ...(role !== undefined && { role }),
      ...(isDisabled !== undefined && { isDisabled }),
    },
    page,
  )
  const next_cursor = nextCursor(accounts.length, page, accounts.at(-1)?.name)
  return jsonResponse({ users: accounts.map(shown), next_cursor }, NO_STORE)
}

async function readAccount(request: Request, options: AdministrationOptions): Promise<AccountInput> {
  const { password_once, disabled, ...fields } = await readFields(request, FIELDS, options)
  return {
    ...fields,
    ...(password_once !== undefined && { isPasswordOnce: password_once }),
    ...(disabled !== undefined && { isDisabled: disabled }),
  }
}

function one(account: ShownAccount): Response {
  return jsonResponse(shown(account), { ...NO_STORE, ...tagOf(account.version) })
}

function shown({ id, name, permissions, roles, version, hasPassword, disabledAt, createdAt, lastSignInAt }: ShownAccount) {
  const times = { created_at: timeOf(createdAt), disabled_at: timeOf(disabledAt), last_sign_in_at: timeOf(lastSignInAt) }
  return { id, name, permissions, roles, version, has_password: hasPassword, ...times }
}
