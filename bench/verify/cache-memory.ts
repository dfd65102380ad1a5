import { heapStats } from 'bun:jsc'
import { createAuthenticator } from '../../src/auth/authenticator.ts'
import type { JwtPayload } from '../../src/jose/claims.ts'
import { signJwt } from '../../src/jose/sign.ts'
import { type Occasion, reportTable } from '../harness/report.ts'
import { SECRET } from '../servers/plan.ts'

const TOKENS = 5000

/** Tokens of three sizes, from the least that is asked for to a list of many permissions. */
const SHAPES: Readonly<Record<string, (index: number) => JwtPayload>> = {
  'only a subject': (index) => ({ sub: `user-${index}` }),
  'four claims and four permissions': (index) => ({
    sub: `user-${index}`,
    jti: `token-${index}`,
    iss: 'https://issuer.example',
    data: { permissions: ['model:iris:predict', 'model:iris:read', 'model:digits:read'], roles: { analyst: ['reports:read'] } },
  }),
  'eighty permissions, all of them its own': (index) => ({
    data: { permissions: Array.from({ length: 80 }, (_, model) => `model:m${model}-${index}:predict`) },
  }),
}

/** What remembered tokens hold in memory, beside the eight bytes a character that the cache counts for them. */
export function reportCacheMemory(occasion: Occasion): void {
  const rows = Object.entries(SHAPES).map(([name, claims]) => {
    // The first are for what is made once: code, shapes of objects, buffers.
    remember(claims, createAuthenticator({ secret: SECRET }))
    const authenticator = createAuthenticator({ secret: SECRET, cacheBytesMax: 2 ** 40 })
    const before = heapBytes()
    const characters = remember(claims, authenticator)
    const each = (heapBytes() - before) / TOKENS
    if (authenticator.cacheStatistics.entries !== TOKENS) throw new Error('not every token is remembered')
    return [name, String(characters), each.toFixed(0), (each / characters).toFixed(1)]
  })
  const text = `${TOKENS} cached tokens; growth of the heap after a collection.`
  const head = ['', 'characters of the header', 'bytes each', 'bytes a character']
  reportTable({ id: 'verify-cache-memory', title: 'Memory of a cached token', text, head, rows }, occasion)
}

function remember(claims: (index: number) => JwtPayload, authenticator: ReturnType<typeof createAuthenticator>): number {
  let characters = 0
  for (let index = 0; index < TOKENS; index += 1) {
    const authorization = `Bearer ${signJwt(claims(index), SECRET, { lifetimeSeconds: 3600 })}`
    void authenticator.authenticate(new Request('http://localhost/', { headers: { authorization } }))
    characters = authorization.length
  }
  return characters
}

function heapBytes(): number {
  for (let time = 0; time < 3; time += 1) Bun.gc(true)
  return heapStats().heapSize
}
