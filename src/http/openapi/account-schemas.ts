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
  Ended: object({ ended: text('Id of what has ended') }),
}

export type AccountSchemaName = keyof typeof SCHEMAS

/** The schemas of everything about accounts, by name. */
export const ACCOUNT_SCHEMAS: Readonly<Record<AccountSchemaName, object>> = SCHEMAS
