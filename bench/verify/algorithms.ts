import { signJwt } from '../../src/jose/sign.ts'
import { bare } from '../contestants/bare.ts'
import { type BenchAlgorithm, badTokens, type Contestant, check, makeKeys, type Verify } from '../contestants/contestant.ts'
import { fastJwt } from '../contestants/fast-jwt.ts'
import { hono } from '../contestants/hono.ts'
import { jose } from '../contestants/jose.ts'
import { jsonWebToken } from '../contestants/jsonwebtoken.ts'
import { nodeRs } from '../contestants/node-rs.ts'
import { vestal, vestalBoring, vestalNative, vestalWasm } from '../contestants/vestal.ts'
import { type Asked, atLeast, atMost } from '../harness/asked.ts'
import { type Figure, interleave, type Rounds, type Work } from '../harness/measure.ts'
import type { Section } from '../harness/report.ts'

const CONTESTANTS: readonly Contestant[] = [
  vestal,
  vestalBoring,
  vestalWasm,
  vestalNative,
  bare,
  nodeRs,
  jose,
  fastJwt,
  jsonWebToken,
  hono,
]
const ALGORITHMS: readonly BenchAlgorithm[] = ['HS256', 'RS256', 'ES256', 'EdDSA']
/** Different tokens, so that nobody is timed on one that it remembers. */
const TOKENS = 256

/** How long one fresh token takes, for us and for other libraries. */
export async function algorithmSections(rounds: Rounds): Promise<{ sections: Section[]; asked: Asked[] }> {
  const sections: Section[] = []
  const asked: Asked[] = []
  for (const algorithm of ALGORITHMS) {
    const { section, figures } = await measure(algorithm, rounds)
    sections.push(section)
    if (algorithm === 'HS256') continue
    const medianOf = (name: string) => figures.get(name)?.median ?? Number.NaN
    const ours = medianOf(vestal.name)
    asked.push(
      atMost(`${algorithm}, cold`, 1.3, { value: ours / medianOf(bare.name), unit: `× the time of ${bare.name}` }),
      atLeast(`${algorithm}, cold`, 2, { ratio: medianOf(jose.name) / ours, of: 'the speed of jose' }),
    )
  }
  return { sections, asked }
}

async function measure(algorithm: BenchAlgorithm, rounds: Rounds) {
  const keys = makeKeys(algorithm)
  const claims = {
    sub: 'bench',
    data: { permissions: ['model:iris:predict', 'model:iris:read'], roles: { analyst: ['reports:read'] } },
  }
  const make = (lifetimeSeconds: number, more: object = {}) =>
    signJwt({ ...claims, ...more }, keys.signing, { algorithm, lifetimeSeconds })
  const tokens = Array.from({ length: TOKENS }, (_, index) => make(3600, { jti: `token-${index}` }))
  const past = Math.floor(Date.now() / 1000) - 3600
  const bad = badTokens(tokens[0] ?? '', make(3600, { sub: 'other' }), make(60, { iat: past, exp: past + 60 }))
  const contestants = CONTESTANTS.filter(({ algorithms }) => algorithms === undefined || algorithms.includes(algorithm))
  const works: Work[] = []
  for (const contestant of contestants) {
    const verify = await contestant.create(algorithm, keys)
    await check(contestant, verify, { good: tokens[0] ?? '', bad })
    works.push({ name: contestant.name, run: contestant.isAsync ? runAsync(verify, tokens) : runSync(verify, tokens) })
  }
  const figures = await interleave(works, rounds)
  const section: Section = {
    id: `verify-${algorithm.toLowerCase()}`,
    title: `Verifying a token, ${algorithm}`,
    text: `${TOKENS} different tokens of ${tokens[0]?.length} characters in turn, with four claims and three permissions. Every contestant first had to accept a valid token and reject six invalid ones.`,
    unit: 'ns a token',
    isLessBetter: true,
    base: vestal.name,
    rows: contestants.map(({ name, note }) => ({ name, note, figure: figures.get(name) as Figure })),
  }
  return { section, figures }
}

function runSync(verify: Verify, tokens: readonly string[]) {
  return (times: number) => {
    let seen = 0
    for (let index = 0; index < times; index += 1) if (verify(tokens[index % TOKENS] ?? '')) seen += 1
    return seen
  }
}

function runAsync(verify: Verify, tokens: readonly string[]) {
  return async (times: number) => {
    let seen = 0
    for (let index = 0; index < times; index += 1) if (await verify(tokens[index % TOKENS] ?? '')) seen += 1
    return seen
  }
}
