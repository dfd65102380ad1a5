import { signJwt } from '../src/jwt/sign.ts'
import { type BenchAlgorithm, badTokens, type Contestant, check, makeKeys, type Verify } from './contestants/contestant.ts'
import { fastJwt } from './contestants/fast-jwt.ts'
import { hono } from './contestants/hono.ts'
import { jose } from './contestants/jose.ts'
import { jsonWebToken } from './contestants/jsonwebtoken.ts'
import { nodeRs } from './contestants/node-rs.ts'
import { vestal, vestalBoring } from './contestants/vestal.ts'
import { describeMachine, warnWhereBusy } from './harness/machine.ts'
import { interleave, type Rounds, type Work } from './harness/measure.ts'
import { report, type Section } from './harness/report.ts'

const CONTESTANTS: readonly Contestant[] = [vestal, vestalBoring, nodeRs, jose, fastJwt, jsonWebToken, hono]
const ALGORITHMS: readonly BenchAlgorithm[] = ['HS256', 'RS256', 'ES256']
/** Different tokens, so that nobody is timed on one that it remembers. */
const TOKENS = 256

/** `bun run bench verify`: how long one fresh token takes, for us and for others. */
export async function benchVerify(rounds: Rounds): Promise<void> {
  warnWhereBusy()
  const machine = describeMachine()
  const sections: Section[] = []
  for (const algorithm of ALGORITHMS) sections.push(await section(algorithm, rounds))
  report(sections, machine)
}

async function section(algorithm: BenchAlgorithm, rounds: Rounds): Promise<Section> {
  const keys = makeKeys(algorithm)
  const claims = {
    sub: 'bench',
    data: { permissions: ['model:iris:predict', 'model:iris:read'], roles: { analyst: ['reports:read'] } },
  }
  const make = (lifetimeSeconds: number, more: object = {}) =>
    signJwt({ ...claims, ...more }, keys.signing, { algorithm, lifetimeSeconds })
  const tokens = Array.from({ length: TOKENS }, () => make(3600))
  const past = Math.floor(Date.now() / 1000) - 3600
  const bad = badTokens(tokens[0] ?? '', make(3600, { sub: 'other' }), make(60, { iat: past, exp: past + 60 }))
  const works: Work[] = []
  for (const contestant of CONTESTANTS) {
    const verify = await contestant.create(algorithm, keys)
    await check(contestant, verify, { good: tokens[0] ?? '', bad })
    works.push({ name: contestant.name, run: contestant.isAsync ? runAsync(verify, tokens) : runSync(verify, tokens) })
  }
  const figures = await interleave(works, rounds)
  return {
    id: `verify-${algorithm.toLowerCase()}`,
    title: `Verifying a token, ${algorithm}`,
    text: `${TOKENS} different tokens of ${tokens[0]?.length} characters in turn, with three claims and three permissions. Every contestant first had to accept a good token and to refuse six bad ones.`,
    unit: 'ns a token',
    isLessBetter: true,
    base: vestal.name,
    rows: CONTESTANTS.flatMap(({ name, note }) => {
      const figure = figures.get(name)
      return figure === undefined ? [] : [{ name, note, figure }]
    }),
  }
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
