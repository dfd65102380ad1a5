import { operation } from './operation.ts'

const tag = 'OAuth 2.0'
const TOKEN = 'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.c2lnbmF0dXJl'
const REFRESH = 'Yk2b0n3sXl0sW0H9w3Yv2m1q8c5t7u4r6e9z0a1b2c3'
const TYPE = 'application/x-www-form-urlencoded'

/** The documentation of the routes under `/oauth/`. */
export const OAUTH_DETAIL = {
  token: operation({
    tag,
    summary: 'Get a token (RFC 6749)',
    description:
      'Grants: `password` (`username`, `password`), `refresh_token`, and `client_credentials` with the id and the text of an API key, by HTTP Basic or as `client_id` and `client_secret`. A public client sends a `client_id` alone with the first two.',
    body: {
      schema: 'TokenRequest',
      contentType: TYPE,
      examples: {
        password: { grant_type: 'password', username: 'ada@example.com', password: 'a long sentence' },
        refresh: { grant_type: 'refresh_token', refresh_token: REFRESH },
      },
    },
    answer: {
      description: 'The tokens',
      schema: 'TokenAnswer',
      example: { access_token: TOKEN, token_type: 'Bearer', expires_in: 300, scope: 'model:*:predict', refresh_token: REFRESH },
    },
    failures: [400, 401, 413, 429, 503],
    isOauth: true,
  }),
  introspect: operation({
    tag,
    summary: 'What a token is (RFC 7662)',
    description: 'The caller is a client by HTTP Basic or in the form, or has a token or an API key.',
    permission: 'tokens:introspect',
    body: { schema: 'TokenText', contentType: TYPE, examples: { token: { token: TOKEN } } },
    answer: { description: 'What it is', schema: 'Introspection', example: { active: false } },
    failures: [413, 503],
    isOauth: true,
  }),
  revoke: operation({
    tag,
    summary: 'End a token (RFC 7009)',
    description:
      'A refresh token ends its session. A token that does not count is no fault. A token that counts and cannot be revoked here is: one of another issuer, without a `jti`, or issued to another client.',
    body: { schema: 'TokenText', contentType: TYPE, examples: { token: { token: REFRESH } } },
    answer: { description: 'It is not valid any more', schema: 'Empty', example: {} },
    failures: [400, 401, 413, 503],
    isOauth: true,
  }),
}
