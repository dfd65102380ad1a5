import { VERSION } from '../../core/version.ts'
import { DIALECT_TAGS } from './dialects.ts'
import { failureResponses } from './operation.ts'
import { SCHEMAS } from './schemas.ts'

export interface DocumentOptions {
  readonly title: string
  readonly description: string
  readonly headerPrefix: string
  readonly cookieKey: string
}

/** All of the OpenAPI document but the paths, which come from the routes. */
export function openApiDocument({ title, description, cookieKey }: DocumentOptions) {
  return {
    info: { title, version: VERSION, description, license: { name: 'MIT' } },
    servers: [{ url: '/', description: 'This server' }],
    tags: [
      { name: 'Models', description: 'Predictions in rows: the shortest way to ask' },
      { name: 'Open Inference Protocol', description: 'Predictions in tensors, for clients of Triton, KServe and MLServer' },
      ...DIALECT_TAGS,
      { name: 'Sign-in', description: 'Tokens and sessions of accounts; the demonstration in development mode' },
      { name: 'OAuth 2.0', description: 'The same for OAuth clients' },
      { name: 'Administration', description: 'Accounts, roles and API keys' },
      { name: 'Information', description: 'What this server is' },
      { name: 'Keys', description: 'What other services need to check tokens that are signed here' },
      { name: 'Health', description: 'For load balancers and orchestrators' },
      { name: 'Operations', description: 'For those who run this server' },
    ],
    components: {
      schemas: SCHEMAS,
      responses: failureResponses(),
      securitySchemes: {
        bearer: {
          type: 'http',
          scheme: 'bearer',
          bearerFormat: 'JWT',
          description: 'A token from `bun run token --subject me --permission "model:*:predict"`, or from `POST /auth/`',
        },
        account: {
          type: 'oauth2',
          description: 'Name and password of an account, where this server has accounts',
          flows: { password: { tokenUrl: '/oauth/token', refreshUrl: '/oauth/token', scopes: {} } },
        },
        apiKey: {
          type: 'apiKey',
          in: 'header',
          name: 'X-API-Key',
          description: 'A key of a program, where this server has accounts: `bun run api-keys create`',
        },
        cookie: {
          type: 'apiKey',
          in: 'cookie',
          name: cookieKey,
          description: 'The same token in a cookie; the header goes first',
        },
      },
    },
  } as const
}
