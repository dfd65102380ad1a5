const text = (description: string) => ({ type: 'string' as const, description })
const time = (description: string) => ({ type: 'string' as const, format: 'date-time', nullable: true, description })
const texts = (description: string) => ({ type: 'array' as const, items: { type: 'string' as const }, description })
const yes = (description: string) => ({ type: 'boolean' as const, description })
const uuid = { type: 'string' as const, format: 'uuid' }

function object(properties: Readonly<Record<string, object>>, optional: readonly string[] = []) {
  const required = Object.keys(properties).filter((name) => !optional.includes(name))
  return { type: 'object' as const, properties, ...(required.length > 0 && { required }) }
}

const grants = {
  permissions: texts('Permissions beside those of the roles'),
  roles: { type: 'object', additionalProperties: texts('Permissions of the role'), description: 'Roles by name' },
}
const session = object({
  id: uuid,
  is_this: yes('True for the session of the token'),
  created_at: time('When it began'),
  used_at: time('When it was last refreshed'),
  expires_at: time('When it ends, however much it is used'),
  address: text('Where it began'),
  user_agent: text('The program that it began in'),
  client_id: { ...text('The client that it is for'), nullable: true },
})

const cursor = { ...text('For the next page; null at the end'), nullable: true }
const version = { type: 'integer' as const, description: 'Also the ETag' }
const user = {
  id: uuid,
  name: text('Name or email'),
  permissions: texts('Permissions beside those of the roles'),
  roles: texts('Names of roles'),
  version,
  has_password: yes('Whether it can sign in with one'),
  created_at: time('When it was made'),
  disabled_at: time('Since when it may not sign in'),
  last_sign_in_at: time('When it last signed in'),
}
const role = {
  name: text('Name'),
  description: text('What it is for'),
  permissions: texts('What it grants'),
  version,
  created_at: time('When it was made'),
}
const apiKey = {
  id: text('Also its client_id'),
  name: text('What it is called'),
  permissions: texts('What it grants'),
  version,
  created_at: time('When it was made'),
  expires_at: time('When it is over'),
  last_used_at: time('When it was last used, to the minute'),
  revoked_at: time('When it was ended'),
}

const SCHEMAS = {
  SignIn: object(
    {
      id: uuid,
      name: text('Name or email, in place of the id'),
      password: text('Not checked in development mode while there is no account'),
      session: {
        type: 'string',
        enum: ['cookie', 'token'],
        description: 'How the session is kept; without it, it cannot be refreshed',
      },
    },
    ['id', 'name', 'password', 'session'],
  ),
  SignedIn: object(
    {
      id: uuid,
      token: text('A JSON Web Token'),
      refresh_token: text('Where `session` was `token`'),
      expires_in: { type: 'integer', description: 'Seconds that the token lives' },
    },
    ['refresh_token', 'expires_in'],
  ),
  Refresh: object({ refresh_token: text('The refresh token') }, ['refresh_token']),
  Empty: object({}),
  SignedOut: object({ signed_out: yes('True') }),
  OwnAccount: object({
    id: uuid,
    name: text('Name or email'),
    ...grants,
    last_sign_in_at: time('When it last signed in'),
    has_password: yes('False after a sign-in with a password for once'),
  }),
  PasswordChange: object(
    { old_password: text('Not asked for where the account has none'), new_password: text('8 characters to 1024 bytes') },
    ['old_password'],
  ),
  SessionList: object({ sessions: { type: 'array', items: session } }),
  TokenRequest: object(
    {
      grant_type: { type: 'string', enum: ['password', 'refresh_token', 'client_credentials'] },
      username: text('Name or id of an account, for `password`'),
      password: text('Its password'),
      refresh_token: text('For `refresh_token`'),
      scope: text('Permissions that are enough, separated by spaces, for `client_credentials`'),
      client_id: text('Id of an API key, or the name of a public client'),
      client_secret: text('The API key'),
    },
    ['username', 'password', 'refresh_token', 'scope', 'client_id', 'client_secret'],
  ),
  TokenAnswer: object(
    {
      access_token: text('A JSON Web Token'),
      token_type: { type: 'string', enum: ['Bearer'] },
      expires_in: { type: 'integer', description: 'Seconds that the token lives' },
      scope: text('Permissions that it grants, separated by spaces'),
      refresh_token: text('For a session of an account'),
    },
    ['refresh_token'],
  ),
  TokenText: object({ token: text('An access token or a refresh token'), token_type_hint: text('Not needed') }, [
    'token_type_hint',
  ]),
  Introspection: object(
    {
      active: yes('False, and nothing else, for a token that is not accepted'),
      token_type: text('`Bearer` or `refresh_token`'),
      scope: text('Permissions, separated by spaces'),
      client_id: text('Client that it was made for'),
      username: text('Name of the account'),
      sub: text('Whom it is for'),
      exp: { type: 'integer' },
      iat: { type: 'integer' },
    },
    ['token_type', 'scope', 'client_id', 'username', 'sub', 'exp', 'iat'],
  ),
  User: object(user),
  UserList: object({ users: { type: 'array', items: object(user) }, next_cursor: cursor }),
  UserInput: object(
    {
      name: text('Name or email; needed for a new account'),
      password: { ...text('8 characters to 1024 bytes; null takes it away'), nullable: true },
      password_once: yes('The password signs in once'),
      permissions: texts('Permissions beside those of the roles'),
      roles: texts('Names of roles'),
      disabled: yes('Whether it may not sign in'),
    },
    ['name', 'password', 'password_once', 'permissions', 'roles', 'disabled'],
  ),
  Role: object(role),
  RoleList: object({ roles: { type: 'array', items: object(role) }, next_cursor: cursor }),
  RoleInput: object(
    { name: text('Needed for a new role'), description: text('What it is for'), permissions: texts('What it grants') },
    ['name', 'description', 'permissions'],
  ),
  ApiKey: object({ ...apiKey, key: text('The key itself, when it is made') }, ['key']),
  ApiKeyList: object({ api_keys: { type: 'array', items: object(apiKey) }, next_cursor: cursor }),
  AuditList: object({
    events: {
      type: 'array',
      items: {
        ...object({ time: { ...time('When it happened'), nullable: false }, event: text('What happened') }),
        additionalProperties: true,
        description: 'A line of the audit log, as it is',
      },
    },
    next_cursor: cursor,
  }),
  ApiKeyInput: object(
    {
      name: text('Needed for a new key'),
      permissions: texts('What it grants'),
      expires_at: time('When it is over; null for never'),
    },
    ['name', 'permissions', 'expires_at'],
  ),
  OauthFailure: object({ error: text('A word of RFC 6749 §5.2'), error_description: text('What is wrong') }),
  Ended: object({ ended: text('Id of what has ended') }),
}

export type AccountSchemaName = keyof typeof SCHEMAS

/** The schemas of everything about accounts, by name. */
export const ACCOUNT_SCHEMAS: Readonly<Record<AccountSchemaName, object>> = SCHEMAS
