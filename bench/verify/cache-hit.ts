import { createAuthenticator } from '../../src/auth/authenticator.ts'
import { signJwt } from '../../src/jose/sign.ts'
import { type Asked, atMost } from '../harness/asked.ts'
import { figureOf, type Rounds } from '../harness/measure.ts'
import type { Section } from '../harness/report.ts'
import { PERMISSION, SECRET } from '../servers/plan.ts'

/** Header texts made before each round: none has been hashed before, as none of a request has. */
const TEXTS = 20_000
const TOKENS = 1000
const REQUIRED = [PERMISSION]

/** What a request costs whose token is remembered, beside a bare `Map` that is asked with the same fresh text. */
export async function cacheHitSection({ rounds }: Rounds): Promise<{ section: Section; asked: Asked }> {
  const headers = Array.from({ length: TOKENS }, (_, index) => {
    const claims = {
      sub: 'bench',
      jti: `token-${index}`,
      data: { permissions: [PERMISSION], roles: { analyst: ['reports:read'] } },
    }
    return Buffer.from(`Bearer ${signJwt(claims, SECRET, { lifetimeSeconds: 3600 })}`)
  })
  const fresh = () => Array.from({ length: TEXTS }, (_, index) => (headers[index % TOKENS] as Buffer).toString('latin1'))
  const map = new Map(headers.map((header, index) => [header.toString('latin1'), index]))
  const authenticator = createAuthenticator({ secret: SECRET })
  const pass = (request: Request) => {
    const token = authenticator.authenticate(request)
    if (token instanceof Promise) throw new Error('nothing has to be waited for')
    authenticator.authorize(token, REQUIRED)
  }
  /** What the authenticator reads of a request, without what Bun takes to give it. */
  const asRequest = (text: string) => ({ headers: { get: () => text } }) as unknown as Request
  const real = (text: string) => new Request('http://localhost/', { headers: { authorization: text } })
  const works = [
    timed('a bare Map', fresh, (text) => map.has(text)),
    timed('a cache hit with all checks', () => fresh().map(asRequest), pass),
    timed('the same from a Request of Bun', () => fresh().map(real), pass),
  ]
  for (const text of fresh().slice(0, TOKENS)) pass(asRequest(text))
  for (let warm = 0; warm < 5; warm += 1) for (const work of works) work.round()
  const samples = works.map(() => [] as number[])
  for (let round = 0; round < rounds; round += 1) {
    for (const [index, work] of works.entries()) samples[index]?.push(work.round())
  }
  if (authenticator.cacheStatistics.misses !== TOKENS) throw new Error('a token was not remembered')
  const figures = samples.map(figureOf)
  const notes = ['has(text)', 'header, lookup, times, revocation, permission', 'headers.get is about the rest']
  return {
    section: {
      id: 'verify-cache-hit',
      title: 'A cached token',
      text: `${TEXTS} header texts of ${headers[0]?.length} characters that were never hashed before, for ${TOKENS} tokens.`,
      unit: 'ns a request',
      isLessBetter: true,
      base: 'a bare Map',
      rows: works.map(({ name }, index) => ({ name, note: notes[index] ?? '', figure: figures[index] ?? figureOf([]) })),
    },
    asked: atMost('a cache hit with all checks', 250, {
      value: figures[1]?.median ?? Number.NaN,
      unit: `ns (a bare Map: ${figures[0]?.median.toFixed(0)})`,
    }),
  }
}

function timed<T>(name: string, make: () => readonly T[], use: (item: T) => unknown) {
  const round = () => {
    const items = make()
    Bun.gc(true)
    const begun = Bun.nanoseconds()
    for (const item of items) use(item)
    return (Bun.nanoseconds() - begun) / items.length
  }
  return { name, round }
}
