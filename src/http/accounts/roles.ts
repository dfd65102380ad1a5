import { Elysia } from 'elysia'
import type { Role } from '../../accounts/records.ts'
import { changeRole, createRole, deleteRole, findRole, listRoles } from '../../accounts/roles.ts'
import type { Answer } from '../../schema/build.ts'
import { jsonResponse } from '../json.ts'
import { ROLE_DETAIL } from '../openapi/administration.ts'
import { type AdministrationOptions, actorOf, NO_STORE, readChange, recordResponse, routesOn } from './administration.ts'
import { readFields } from './fields.ts'
import { nextCursor, readQuery, versionIn } from './paging.ts'
import { type Ended, PageQuery, type Role as RoleAnswer, RoleChange, RoleInput, type RoleList } from './schemas.ts'
import { timeOf } from './sessions.ts'

/** Roles, for those who may see and change them. */
export function roles(options: AdministrationOptions) {
  const { context } = options
  const { reading, writing } = routesOn('roles')
  return new Elysia({ name: 'roles' })
    .use(options.authentication)
    .get(
      '/admin/roles/',
      async ({ request }) => {
        const { page } = readQuery(request, PageQuery)
        const found = await listRoles(context, page)
        const next_cursor = nextCursor(found.length, page, found.at(-1)?.name)
        return jsonResponse({ roles: found.map(shown), next_cursor } satisfies Answer<typeof RoleList>, NO_STORE)
      },
      reading(ROLE_DETAIL.list),
    )
    .post(
      '/admin/roles/',
      async ({ request, token }) => {
        const input = await readFields(request, RoleInput, options)
        return recordResponse(shown(await createRole(context, input, actorOf(options, token, request))))
      },
      writing(ROLE_DETAIL.create),
    )
    .get(
      '/admin/roles/:role/',
      async ({ params }) => recordResponse(shown(await findRole(context, params.role))),
      reading(ROLE_DETAIL.read),
    )
    .patch(
      '/admin/roles/:role/',
      async ({ request, token, params: { role: name } }) => {
        const { fields, version, by } = await readChange(options, { request, token }, RoleChange)
        return recordResponse(shown(await changeRole(context, { ...fields, name, version }, by)))
      },
      writing(ROLE_DETAIL.change),
    )
    .delete(
      '/admin/roles/:role/',
      async ({ request, token, params }) => {
        const by = actorOf(options, token, request)
        await deleteRole(context, { name: params.role, version: versionIn(request) }, by)
        return jsonResponse({ ended: params.role } satisfies Answer<typeof Ended>, NO_STORE)
      },
      writing(ROLE_DETAIL.remove),
    )
}

function shown({ name, description, permissions, version, createdAt }: Role): Answer<typeof RoleAnswer> {
  return { name, description, permissions, version, created_at: timeOf(createdAt) }
}
