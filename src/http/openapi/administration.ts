import type { TObject } from '@sinclair/typebox'
import { AuditQuery, PageQuery, UserQuery } from '../accounts/schemas.ts'
import { IF_MATCH, type Operation, operation, parametersOf } from './operation.ts'

const tag = 'Administration'
const TIME = '2026-11-24T08:00:00.000Z'
const USER = {
  id: '497f6eca-6276-4993-bfeb-53cbbbba6f08',
  name: 'ada@example.com',
  permissions: [],
  roles: ['analyst'],
  version: 1,
  has_password: true,
  created_at: TIME,
  disabled_at: null,
  last_sign_in_at: TIME,
}
const ROLE = { name: 'analyst', description: 'Asks every model', permissions: ['model:*:predict'], version: 1, created_at: TIME }
const KEY = {
  id: '4fK2mQ9xZ1aB',
  name: 'robot',
  permissions: ['model:iris:predict'],
  version: 1,
  created_at: TIME,
  expires_at: '2027-01-01T00:00:00.000Z',
  last_used_at: null,
  revoked_at: null,
}
const LISTS = '`limit` and `cursor` page through it.'
const GRANTS = 'Nobody grants, changes or takes away more than they are granted.'
const MATCH = '`If-Match` takes the `ETag` of what was read, or `*`.'

/** What one operation says besides what all of its resource say. */
type Own = Pick<Operation, 'summary' | 'description' | 'body'> & Partial<Pick<Operation, 'answer' | 'failures'>>

/** The operations on one kind of record; `one` is the answer that shows a record. */
function operationsOn(records: 'users' | 'roles' | 'api-keys', one: NonNullable<Operation['answer']>) {
  const reading = { tag, permission: `${records}:read`, answer: one }
  const writing = { tag, permission: `${records}:write`, answer: one }
  return {
    list: (summary: string, query: TObject, page: NonNullable<Operation['answer']>) =>
      operation({ ...reading, summary, description: LISTS, parameters: parametersOf(query), failures: [503], answer: page }),
    create: (own: Own) => operation({ ...writing, description: GRANTS, failures: [409, 413, 503], ...own }),
    read: (summary: string) => operation({ ...reading, summary, failures: [404, 503] }),
    change: ({ description, ...own }: Own) =>
      operation({
        ...writing,
        description: `${description} ${MATCH} ${GRANTS}`,
        parameters: [IF_MATCH],
        failures: [404, 409, 412, 413, 428, 503],
        ...own,
      }),
  }
}

const user = operationsOn('users', { description: 'The account', schema: 'User', example: USER })

/** The documentation of the routes under `/admin/users/`. */
export const USER_DETAIL = {
  list: user.list('Accounts, by name', UserQuery, {
    description: 'A page of accounts',
    schema: 'UserList',
    example: { users: [USER], next_cursor: null },
  }),
  create: user.create({
    summary: 'Make an account',
    body: {
      schema: 'UserInput',
      examples: { account: { name: 'ada@example.com', password: 'a long sentence', roles: ['analyst'] } },
    },
  }),
  read: user.read('One account, by id or name'),
  change: user.change({
    summary: 'Change an account',
    description: 'Other grants end its tokens; another password, or being disabled, its sessions too.',
    body: { schema: 'UserChange', examples: { roles: { roles: ['operator'] }, disable: { disabled: true } } },
    answer: { description: 'The account', schema: 'User', example: { ...USER, version: 2 } },
  }),
  remove: user.change({
    summary: 'Delete an account',
    description: 'Ends its sessions and its tokens.',
    answer: { description: 'It is deleted', schema: 'Ended', example: { ended: USER.id } },
  }),
}

const role = operationsOn('roles', { description: 'The role', schema: 'Role', example: ROLE })

/** The documentation of the routes under `/admin/roles/`. */
export const ROLE_DETAIL = {
  list: role.list('Roles, by name', PageQuery, {
    description: 'A page of roles',
    schema: 'RoleList',
    example: { roles: [ROLE], next_cursor: null },
  }),
  create: role.create({
    summary: 'Make a role',
    body: {
      schema: 'RoleInput',
      examples: { role: { name: 'tester', description: 'Asks iris', permissions: ['model:iris:predict'] } },
    },
  }),
  read: role.read('One role'),
  change: role.change({
    summary: 'Change a role',
    description: 'Other permissions end the tokens of all who have it.',
    body: { schema: 'RoleChange', examples: { permissions: { permissions: ['model:*:read'] } } },
    answer: { description: 'The role', schema: 'Role', example: { ...ROLE, version: 2 } },
  }),
  remove: role.change({
    summary: 'Delete a role',
    description: 'Ends the tokens of all who have it.',
    answer: { description: 'It is deleted', schema: 'Ended', example: { ended: ROLE.name } },
  }),
}

const key = operationsOn('api-keys', { description: 'The key', schema: 'ApiKey', example: KEY })

/** The documentation of the routes under `/admin/api-keys/`. */
export const API_KEY_DETAIL = {
  list: key.list('API keys, by id', PageQuery, {
    description: 'A page of keys',
    schema: 'ApiKeyList',
    example: { api_keys: [KEY], next_cursor: null },
  }),
  create: key.create({
    summary: 'Make an API key',
    description: `The answer holds the key; it is not shown again. ${GRANTS}`,
    body: { schema: 'ApiKeyInput', examples: { key: { name: 'robot', permissions: ['model:iris:predict'], expires_at: null } } },
    answer: {
      description: 'The key',
      schema: 'NewApiKey',
      example: { ...KEY, key: 'vst_4fK2mQ9xZ1aB_0000000000000000000000000000000000000000000_000000' },
    },
    failures: [413, 503],
  }),
  read: key.read('One API key'),
  change: key.change({
    summary: 'Change an API key',
    description: 'Ends the tokens that it got.',
    body: { schema: 'ApiKeyChange', examples: { permissions: { permissions: ['model:*:read'] } } },
    answer: { description: 'The key', schema: 'ApiKey', example: { ...KEY, version: 2 } },
  }),
  revoke: key.change({
    summary: 'End an API key',
    description: 'It stays in the list. Ends the tokens that it got.',
    answer: { description: 'The key', schema: 'ApiKey', example: { ...KEY, version: 2, revoked_at: TIME } },
  }),
}

const EVENT = {
  time: TIME,
  event: 'sign-in',
  actor: USER.id,
  sessionId: '0b8f1a54-6f0e-4c57-8a55-6c1f2a0f5a11',
  name: 'ada@example.com',
  address: '192.0.2.1',
  userAgent: 'curl/8',
}

/** The documentation of the audit log. */
export const AUDIT_DETAIL = {
  list: operation({
    tag,
    summary: 'What happened, newest first',
    description: `${LISTS} A page may have fewer events than the limit, or none, and more may follow: it is over where \`next_cursor\` is null.`,
    permission: 'audit:read',
    parameters: parametersOf(AuditQuery),
    answer: { description: 'A page of events', schema: 'AuditList', example: { events: [EVENT], next_cursor: null } },
    failures: [503],
  }),
}
