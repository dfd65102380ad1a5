/** Bun.serve and the same check by hand: a Map of headers that were verified before, BoringSSL for the rest. */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { INFORMATION, PERMISSION, SECRET } from '../servers/plan.ts'

interface Remembered {
  readonly untilMs: number
  readonly permissions: ReadonlySet<string>
}

const REMEMBERED_MAX = 10_000
const remembered = new Map<string, Remembered>()
const answer = { ...INFORMATION, public: false }

function verify(header: string): Remembered | undefined {
  if (!header.startsWith('Bearer ')) return undefined
  const [head = '', body = '', signature = ''] = header.slice(7).split('.')
  const given = Buffer.from(signature, 'base64url')
  const expected = createHmac('sha256', SECRET).update(`${head}.${body}`).digest()
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined
  if ((JSON.parse(Buffer.from(head, 'base64url').toString()) as { alg: string }).alg !== 'HS256') return undefined
  // The cast: it signed these claims itself.
  const claims = JSON.parse(Buffer.from(body, 'base64url').toString()) as {
    readonly exp: number
    readonly data: { readonly permissions: readonly string[] }
  }
  const entry = { untilMs: claims.exp * 1000, permissions: new Set(claims.data.permissions) }
  if (remembered.size >= REMEMBERED_MAX) remembered.clear()
  remembered.set(header, entry)
  return entry
}

function mayPass(request: Request): boolean {
  const header = request.headers.get('authorization')
  if (header === null) return false
  const entry = remembered.get(header) ?? verify(header)
  return entry !== undefined && Date.now() < entry.untilMs && entry.permissions.has(PERMISSION)
}

const server = Bun.serve({
  port: 0,
  hostname: '127.0.0.1',
  routes: {
    '/private/info/': (request) => (mayPass(request) ? Response.json(answer) : new Response('Unauthorized', { status: 401 })),
    '/public/info/': () => Response.json(answer),
    // What no check can do without: the header is asked for, and nothing is done with it.
    '/header/': ({ headers }) =>
      headers.get('authorization') === null ? new Response('Unauthorized', { status: 401 }) : Response.json(answer),
  },
})
console.log(server.port)
