import { Type } from '@sinclair/typebox'
import { Elysia } from 'elysia'
import { VestalError } from '../core/errors.ts'
import { isLoopback } from '../core/loopback.ts'
import { checkFields } from './accounts/fields.ts'
import { hostOf } from './address.ts'
import { jsonResponse } from './json.ts'
import { operation } from './openapi/operation.ts'
import type { RequestMemory } from './request-memory.ts'
import { readStrictBody } from './strict-body.ts'

export interface SignInOptions {
  /** Makes a token for a subject, which is a UUID. */
  readonly issue: (subject: string) => string
  /** True only for the `Host` values of this machine: a page on another name, rebound to this address, gets no token. */
  readonly isLoopbackHost: (host: string) => boolean
}

/** The sign-in within an app, which knows its connections. */
export interface DemonstrationOptions extends SignInOptions {
  /** The other end of a request's connection; undefined in memory. */
  readonly peerOf: (request: Request) => string | undefined
  readonly memory: RequestMemory
}

/** A sign-in's body is small; a larger one is rejected with 413. */
const BODY_BYTES_MAX = 4096
const NOT_OBJECT = { body: 'must be an object with "id" and, if you like, "password"' }
const DemonstrationSignIn = Type.Object(
  {
    id: Type.String({
      pattern: '^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$',
      rule: 'must be a UUID',
      missing: 'is missing; it must be a UUID',
    }),
    password: Type.Optional(Type.String({ maxLength: 1024, rule: 'must be a string of at most 1024 characters' })),
  },
  { additionalProperties: false },
)

/** The article's sign-in, for development: any UUID gets a token, and no password is checked. It exists in development mode only. */
export function signIn(options: DemonstrationOptions) {
  return new Elysia({ name: 'sign-in' }).post('/auth/', async ({ request }) => demonstrate(options, request), {
    parse: 'none',
    detail: SIGN_IN_DETAIL,
  })
}

/** Answers as the demonstration does, only to callers on this machine. @throws VestalError NOT_FOUND, whose reason is for the log */
export async function demonstrate(options: DemonstrationOptions, request: Request): Promise<Response> {
  const sign = signOfElsewhere(request, options)
  if (sign !== undefined)
    throw new VestalError('NOT_FOUND', { reason: `the sign-in of development mode is for this machine only: ${sign}` })
  const body = readStrictBody(await options.memory.readSmall(request, BODY_BYTES_MAX), NOT_OBJECT)
  const { id } = checkFields(DemonstrationSignIn, body)
  return jsonResponse({ id, token: options.issue(id) }, { 'cache-control': 'no-store' })
}

/**
 * Headers that a reverse proxy, a load balancer, a CDN or a tunnel adds: the connection from this machine then carries another client's
 * request. A client on this machine sends none of them.
 */
const PROXY_HEADER =
  /^(?:via|max-forwards|proxy-connection|cdn-loop|surrogate-capability|front-end-https|x-varnish|x-cloud-trace-context)$|^(?:x-)?forwarded|^(?:x-original|x-proxy|x-envoy|x-amzn|x-amz-cf|x-azure|x-arr|x-appengine|x-vercel|x-nf|x-akamai|akamai|cf|fastly|fly|incap|tailscale|ngrok|wl-proxy)-|(?:^|-)(?:client|real|remote|source|connecting|proxyuser)-ip$/

/** What shows that a request did not begin on this machine; undefined where nothing does. Names of headers only: values are the caller's. */
export function signOfElsewhere(request: Request, { isLoopbackHost, peerOf }: DemonstrationOptions): string | undefined {
  const { headers } = request
  const peer = peerOf(request)
  if (peer !== undefined && !isLoopback(peer.replace(/^::ffff:/i, ''))) return 'the connection is not from a loopback address'
  if (!isLoopbackHost(hostOf(request))) return 'the Host is not a loopback name'
  for (const name of headers.keys()) if (PROXY_HEADER.test(name)) return `the header ${name} shows a proxy`
  const site = headers.get('sec-fetch-site')
  if (site !== null && site !== 'same-origin' && site !== 'none') return 'Sec-Fetch-Site shows a page of another site'
  const origin = headers.get('origin')
  if (origin !== null && origin !== new URL(request.url).origin) return 'Origin names a page of another site'
  return undefined
}

const ID = '497f6eca-6276-4993-bfeb-53cbbbba6f08'

/** Its documentation, and that of the sign-in with a password. */
export const SIGN_IN_DETAIL = operation({
  tag: 'Sign-in',
  summary: 'Get a token',
  description:
    'Takes the `id` or the `name` of an account and its password. `session` asks for a session that can be refreshed: `cookie` sets two cookies, `token` gives a `refresh_token`. In development mode, while there is no account, any UUID gets a token with the permission `my-permission-name`.',
  body: {
    schema: 'SignIn',
    examples: {
      uuid: { id: ID, password: 'string' },
      name: { name: 'ada@example.com', password: 'a long sentence', session: 'cookie' },
    },
  },
  answer: {
    description: 'The token',
    schema: 'SignedIn',
    example: { id: ID, token: 'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.c2lnbmF0dXJl' },
  },
  failures: [400, 401, 403, 413, 429, 503],
})
