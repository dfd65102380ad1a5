import { Elysia } from 'elysia'
import type { AuthenticationPlugin } from './authentication.ts'
import { operation } from './openapi/operation.ts'

export interface InfoOptions {
  readonly authentication: AuthenticationPlugin
  readonly title: string
  readonly description: string
}

/** The permission that `/private/info/` asks for, as in the article that Vestal grew out of. */
export const PRIVATE_INFO_PERMISSION = 'my-permission-name'

/** What this server is: once for everybody, and once for those who may. */
export function info({ authentication, title, description }: InfoOptions) {
  return new Elysia({ name: 'info' })
    .use(authentication)
    .get('/public/info/', () => ({ title, description, public: true }), { detail: DETAIL.public })
    .get('/private/info/', () => ({ title, description, public: false }), {
      permissions: [PRIVATE_INFO_PERMISSION],
      detail: DETAIL.private,
    })
}

const INFO = { title: 'Vestal', description: 'ONNX models behind JSON Web Tokens' }

const DETAIL = {
  public: operation({
    tag: 'Information',
    summary: 'What this server is',
    answer: { description: 'Title and description', schema: 'Information', example: { ...INFO, public: true } },
  }),
  private: operation({
    tag: 'Information',
    summary: 'What this server is, with a permission',
    permission: PRIVATE_INFO_PERMISSION,
    answer: { description: 'Title and description', schema: 'Information', example: { ...INFO, public: false } },
  }),
}
