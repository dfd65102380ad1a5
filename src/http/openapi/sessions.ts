import { operation } from './operation.ts'

const tag = 'Sign-in'
const ID = '497f6eca-6276-4993-bfeb-53cbbbba6f08'
const TOKEN = 'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.c2lnbmF0dXJl'
const TIME = '2026-11-24T08:00:00.000Z'
const SESSION = {
  id: '0b6f4a52-6c6b-4f27-9a9e-0d3a5c9f9f10',
  is_this: true,
  created_at: TIME,
  used_at: TIME,
  expires_at: '2026-12-24T08:00:00.000Z',
  address: '192.0.2.7',
  user_agent: 'curl/8.5.0',
  client_id: null,
}

function signingOut(summary: string, outcome: string) {
  return operation({
    tag,
    summary,
    permission: '',
    body: { schema: 'Empty', examples: { nothing: {} }, isOptional: true },
    answer: { description: outcome, schema: 'SignedOut', example: { signed_out: true } },
    failures: [404, 503],
  })
}

/** The documentation of the routes under `/auth/` that follow a sign-in. */
export const SESSION_DETAIL = {
  refresh: operation({
    tag,
    summary: 'Get the next token of a session',
    description:
      'Takes the `refresh_token` of the body or, without a body, of the cookie; it is used up. The one before gives the same answer for a short time; an older one ends the session.',
    body: {
      schema: 'Refresh',
      examples: { token: { refresh_token: 'Yk2b0n3sXl0sW0H9w3Yv2m1q8c5t7u4r6e9z0a1b2c3' } },
      isOptional: true,
    },
    answer: { description: 'The next tokens', schema: 'SignedIn', example: { id: ID, token: TOKEN } },
    failures: [400, 401, 403, 413, 503],
  }),
  logout: signingOut('End this session', 'It has ended'),
  logoutAll: signingOut('End all sessions of this account, and every token that was made for it', 'They have ended'),
  me: operation({
    tag,
    summary: 'Who this token is for',
    permission: '',
    answer: {
      description: 'The account',
      schema: 'OwnAccount',
      example: {
        id: ID,
        name: 'ada@example.com',
        permissions: [],
        roles: { analyst: ['model:*:predict'] },
        last_sign_in_at: TIME,
        has_password: true,
      },
    },
    failures: [404, 503],
  }),
  password: operation({
    tag,
    summary: 'Change the password',
    description: 'Ends the other sessions and all tokens; this session goes on with the token of the answer.',
    permission: '',
    body: {
      schema: 'PasswordChange',
      examples: { change: { old_password: 'a long sentence', new_password: 'another long sentence' } },
    },
    answer: { description: 'It is changed', schema: 'SignedIn', example: { id: ID, token: TOKEN } },
    failures: [404, 413, 429, 503],
  }),
  list: operation({
    tag,
    summary: 'The sessions of this account',
    permission: '',
    answer: { description: 'The last used first', schema: 'SessionList', example: { sessions: [SESSION] } },
    failures: [404, 503],
  }),
  end: operation({
    tag,
    summary: 'End one of the sessions of this account',
    permission: '',
    answer: { description: 'It has ended', schema: 'Ended', example: { ended: SESSION.id } },
    failures: [404, 503],
  }),
}
