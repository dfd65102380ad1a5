import type { Static } from '@sinclair/typebox'
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
import type { Answer } from '../../schema/build.ts'
import { jsonResponse } from '../json.ts'
import { USER_DETAIL } from '../openapi/administration.ts'
import { type AdministrationOptions, actorOf, NO_STORE, readChange, recordResponse, routesOn } from './administration.ts'
import { readFields } from './fields.ts'
import { nextCursor, readQuery, versionIn, yesOrNo } from './paging.ts'
import { type Ended, type User, UserChange, UserInput, type UserList, UserQuery } from './schemas.ts'
import { timeOf, timeOrNull } from './sessions.ts'

/** Accounts, for those who may see and change them. */
export function users(options: AdministrationOptions) {
  const { context } = options
  const { reading, writing } = routesOn('users')
  return new Elysia({ name: 'users' })
    .use(options.authentication)
    .get('/admin/users/', async ({ request }) => list(options, request), reading(USER_DETAIL.list))
    .post(
      '/admin/users/',
      async ({ request, token }) => {
        const { name, ...input } = await readFields(request, UserInput, options)
        const by = actorOf(options, token, request)
        return recordResponse(shown(await createAccount(context, { ...accountOf(input), name }, by)))
      },
      writing(USER_DETAIL.create),
    )
    .get(
      '/admin/users/:id/',
      async ({ params }) => recordResponse(shown(await findAccount(context, params.id))),
      reading(USER_DETAIL.read),
    )
    .patch(
      '/admin/users/:id/',
      async ({ request, token, params }) => {
        const { fields, version, by } = await readChange(options, { request, token }, UserChange)
        const { id } = await findAccount(context, params.id)
        return recordResponse(shown(await changeAccount(context, { ...accountOf(fields), id, version }, by)))
      },
      writing(USER_DETAIL.change),
    )
    .delete(
      '/admin/users/:id/',
      async ({ request, token, params }) => {
        const version = versionIn(request)
        const { id } = await findAccount(context, params.id)
        await deleteAccount(context, { id, version }, actorOf(options, token, request))
        return jsonResponse({ ended: id } satisfies Answer<typeof Ended>, NO_STORE)
      },
      writing(USER_DETAIL.remove),
    )
}

async function list({ context }: AdministrationOptions, request: Request): Promise<Response> {
  const { page, filter } = readQuery(request, UserQuery)
  const { name, role, disabled } = filter
  const isDisabled = yesOrNo('disabled', disabled)
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
  return jsonResponse({ users: accounts.map(shown), next_cursor } satisfies Answer<typeof UserList>, NO_STORE)
}

function accountOf({ password_once, disabled, ...fields }: Static<typeof UserChange>): AccountInput {
  return {
    ...fields,
    ...(password_once !== undefined && { isPasswordOnce: password_once }),
    ...(disabled !== undefined && { isDisabled: disabled }),
  }
}

function shown({
  id,
  name,
  permissions,
  roles,
  version,
  hasPassword,
  disabledAt,
  createdAt,
  lastSignInAt,
}: ShownAccount): Answer<typeof User> {
  const times = { created_at: timeOf(createdAt), disabled_at: timeOrNull(disabledAt), last_sign_in_at: timeOrNull(lastSignInAt) }
  return { id, name, permissions, roles, version, has_password: hasPassword, ...times }
}
