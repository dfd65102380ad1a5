import { Type } from '@sinclair/typebox'
import { byName, orNull, strict, text, words, yes } from '../../schema/build.ts'

const texts = (description: string) => Type.Array(Type.String(), { description })
const time = (description: string) => Type.String({ format: 'date-time', description })
const timeOrNull = (description: string) => orNull(Type.String({ format: 'date-time' }), description)
const uuid = Type.String({ format: 'uuid' })
/** A list of a body, whose texts the rules of accounts read. */
const manyTexts = (description: string) => Type.Array(Type.String(), { description, maxItems: 1000 })

// Signing in and sessions.

export const SignIn = strict({
  id: Type.Optional(text('Id of the account', { documented: { format: 'uuid' } })),
  name: Type.Optional(text('Name or email, in place of the id')),
  password: Type.Optional(text('Not checked in development mode while there is no account')),
  session: Type.Optional(
    words(['cookie', 'token'], {
      description: 'How the session is kept; without it, it cannot be refreshed',
      rule: 'must be "cookie" or "token"',
    }),
  ),
})
export const SignedIn = Type.Object({
  id: uuid,
  token: text('A JSON Web Token'),
  refresh_token: Type.Optional(text('Where `session` was `token`')),
  expires_in: Type.Optional(Type.Integer({ description: 'Seconds that the token lives' })),
})
export const Refresh = strict({ refresh_token: Type.Optional(text('The refresh token')) })
const Empty = Type.Object({})
export const SignedOut = Type.Object({ signed_out: yes('True') })
export const OwnAccount = Type.Object({
  id: uuid,
  name: text('Name or email'),
  permissions: texts('Permissions beside those of the roles'),
  roles: byName(texts('Permissions of the role'), { description: 'Roles by name' }),
  last_sign_in_at: timeOrNull('When it last signed in'),
  has_password: yes('False after a sign-in with a password for once'),
})
export const PasswordChange = strict({
  old_password: Type.Optional(text('Not asked for where the account has none')),
  new_password: text('8 characters to 1024 bytes'),
})
export const Session = Type.Object({
  id: uuid,
  is_this: yes('True for the session of the token'),
  created_at: time('When it began'),
  used_at: time('When it was last refreshed'),
  expires_at: time('When it ends, however much it is used'),
  address: text('Where it began'),
  user_agent: text('The program that it began in'),
  client_id: orNull(Type.String(), 'The client that it is for'),
})
export const SessionList = Type.Object({ sessions: Type.Array(Session) })

// Forms of OAuth: a parameter that they do not name is ignored (RFC 6749 §3.2).

const client = {
  client_id: Type.Optional(text('Id of an API key, or the name of a public client')),
  client_secret: Type.Optional(text('The API key')),
}
export const ClientForm = Type.Object(client)
export const TokenRequest = Type.Object({
  grant_type: words(['password', 'refresh_token', 'client_credentials']),
  username: Type.Optional(text('Name or id of an account, for `password`')),
  password: Type.Optional(text('Its password')),
  refresh_token: Type.Optional(text('For `refresh_token`')),
  scope: Type.Optional(text('Permissions that are enough, separated by spaces, for `client_credentials`')),
  ...client,
})
export const TokenAnswer = Type.Object({
  access_token: text('A JSON Web Token'),
  token_type: words(['Bearer']),
  expires_in: Type.Integer({ description: 'Seconds that the token lives' }),
  scope: text('Permissions that it grants, separated by spaces'),
  refresh_token: Type.Optional(text('For a session of an account')),
})
export const TokenText = Type.Object({
  token: text('An access token or a refresh token'),
  token_type_hint: Type.Optional(text('Not needed')),
  ...client,
})
const Introspection = Type.Object({
  active: yes('False, and nothing else, for a token that is not accepted'),
  token_type: Type.Optional(text('`Bearer` or `refresh_token`')),
  scope: Type.Optional(text('Permissions, separated by spaces')),
  client_id: Type.Optional(text('Client that it was made for')),
  username: Type.Optional(text('Name of the account')),
  sub: Type.Optional(text('Whom it is for')),
  exp: Type.Optional(Type.Integer()),
  iat: Type.Optional(Type.Integer()),
})
const OauthFailure = Type.Object({ error: text('A word of RFC 6749 §5.2'), error_description: text('What is wrong') })

// Administration.

const cursor = orNull(Type.String(), 'For the next page; null at the end')
const version = Type.Integer({ description: 'Also the ETag' })

const page = {
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 200, description: 'Entries of a page at most; default 50' })),
  cursor: Type.Optional(text('`next_cursor` of the page before')),
}
export const PageQuery = strict(page)
export const UserQuery = strict({
  name: Type.Optional(text('Beginning of the name')),
  role: Type.Optional(text('Name of a role')),
  disabled: Type.Optional(yes('Whether it may not sign in')),
  ...page,
})
const TIME = '2026-11-24T08:00:00.000Z'
export const AuditQuery = strict({
  event: Type.Optional(text('Names of events, with commas between them')),
  subject: Type.Optional(text('Who did it or whom it was done to: an account, a session, a key, a name, an address')),
  since: Type.Optional(text('A time from which on, in UTC', { example: TIME })),
  until: Type.Optional(text('A time before which, in UTC', { example: TIME })),
  ...page,
})

export const User = Type.Object({
  id: uuid,
  name: text('Name or email'),
  permissions: texts('Permissions beside those of the roles'),
  roles: texts('Names of roles'),
  version,
  has_password: yes('Whether it can sign in with one'),
  created_at: time('When it was made'),
  disabled_at: timeOrNull('Since when it may not sign in'),
  last_sign_in_at: timeOrNull('When it last signed in'),
})
export const UserInput = strict({
  name: text('Name or email'),
  password: Type.Optional(orNull(Type.String(), '8 characters to 1024 bytes; null takes it away')),
  password_once: Type.Optional(yes('The password signs in once')),
  permissions: Type.Optional(manyTexts('Permissions beside those of the roles')),
  roles: Type.Optional(manyTexts('Names of roles')),
  disabled: Type.Optional(yes('Whether it may not sign in')),
})
export const UserChange = Type.Partial(UserInput)
export const UserList = Type.Object({ users: Type.Array(User), next_cursor: cursor })

export const Role = Type.Object({
  name: text('Name'),
  description: text('What it is for'),
  permissions: texts('What it grants'),
  version,
  created_at: time('When it was made'),
})
export const RoleInput = strict({
  name: text('Name'),
  description: Type.Optional(text('What it is for')),
  permissions: Type.Optional(manyTexts('What it grants')),
})
export const RoleChange = Type.Omit(RoleInput, ['name'])
export const RoleList = Type.Object({ roles: Type.Array(Role), next_cursor: cursor })

const apiKey = {
  id: text('Also its client_id'),
  name: text('What it is called'),
  permissions: texts('What it grants'),
  version,
  created_at: time('When it was made'),
  expires_at: timeOrNull('When it is over'),
  last_used_at: timeOrNull('When it was last used, to the minute'),
  revoked_at: timeOrNull('When it was ended'),
}
export const ApiKey = Type.Object(apiKey)
export const NewApiKey = Type.Object({ ...apiKey, key: text('The key itself') })
export const ApiKeyInput = strict({
  name: text('What it is called'),
  permissions: Type.Optional(manyTexts('What it grants')),
  expires_at: Type.Optional(orNull(Type.String({ documented: { format: 'date-time' } }), 'When it is over; null for never')),
})
export const ApiKeyChange = Type.Partial(ApiKeyInput)
export const ApiKeyList = Type.Object({ api_keys: Type.Array(ApiKey), next_cursor: cursor })

const Event = Type.Object(
  { time: time('When it happened'), event: text('What happened') },
  { additionalProperties: true, description: 'A line of the audit log, as it is' },
)
const AuditList = Type.Object({ events: Type.Array(Event), next_cursor: cursor })
export const Ended = Type.Object({ ended: text('Id of what has ended') })

/** The schemas of everything about accounts, by name. */
export const ACCOUNT_SCHEMAS = {
  SignIn,
  SignedIn,
  Refresh,
  Empty,
  SignedOut,
  OwnAccount,
  PasswordChange,
  Session,
  SessionList,
  TokenRequest,
  TokenAnswer,
  TokenText,
  Introspection,
  User,
  UserInput,
  UserChange,
  UserList,
  Role,
  RoleInput,
  RoleChange,
  RoleList,
  ApiKey,
  NewApiKey,
  ApiKeyInput,
  ApiKeyChange,
  ApiKeyList,
  AuditList,
  OauthFailure,
  Ended,
}
