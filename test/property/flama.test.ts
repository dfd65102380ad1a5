import { expect, test } from 'bun:test'
import { createHmac } from 'node:crypto'
import { type VerifyOptions, VestalError, verifyJwt } from '../../src/index.ts'
import { below, type Random, seeded } from '../support/seed.ts'
import { SECRET } from '../support/tokens.ts'

const NOW = 1_800_000_000
const ROUNDS = 20_000

type Claims = Record<string, unknown>

function pick<T>(random: Random, ...values: readonly T[]): T {
  return values[below(random, values.length)] as T
}

const TIMES = [NOW + 60, NOW - 60, NOW + 3, NOW - 3, NOW + 60.5, null, null, '1800000060', -1, 1e300, true]
const TEXTS = ['a', 'b', null, null, '', 7, ['a'], 'x\n']

function drawClaims(random: Random): Claims {
  const claims: Claims = { exp: NOW + 60, sub: 'me' }
  // Mostly right, so that what is wrong alone decides.
  for (const name of ['exp', 'nbf', 'iat']) if (random() < 0.3) claims[name] = pick(random, ...TIMES)
  for (const name of ['iss', 'sub', 'aud', 'jti']) if (random() < 0.25) claims[name] = pick(random, ...TEXTS)
  if (random() < 0.15) delete claims.exp
  return claims
}

function drawHeader(random: Random): string {
  const more: Record<string, unknown> = {}
  if (random() < 0.1) more.typ = pick<unknown>(random, 'JWT', 'at+jwt', 'rt+jwt', null, 7)
  if (random() < 0.1)
    more[pick(random, 'crit', 'b64', 'zip', 'jwk', 'jku', 'cty', 'kid', 'x')] = pick<unknown>(
      random,
      ['exp'],
      true,
      'JWT',
      'a',
      null,
    )
  return JSON.stringify({ alg: random() < 0.95 ? 'HS256' : pick(random, 'none', 'RS256', 'hs256', null), ...more })
}

function drawRules(random: Random): VerifyOptions {
  return {
    ...(random() < 0.2 && { audiences: ['a'] }),
    ...(random() < 0.2 && { issuers: ['a'] }),
    ...(random() < 0.1 && { lifetimeSecondsMax: 100 }),
    ...(random() < 0.1 && { requiredClaims: ['sub'] }),
  }
}

const PADDINGS = ['right', 'none', 'none', 'too much', 'inside', 'letters'] as const

function encodeAs(text: string, padding: (typeof PADDINGS)[number]): string {
  const encoded = Buffer.from(text).toString('base64url')
  switch (padding) {
    case 'none':
      return encoded
    case 'right':
      return encoded.padEnd(Math.ceil(encoded.length / 4) * 4, '=')
    case 'too much':
      return `${encoded.padEnd(Math.ceil(encoded.length / 4) * 4, '=')}=`
    case 'inside':
      return `${encoded.slice(0, 2)}=${encoded.slice(2)}`
    case 'letters':
      return `${encoded.slice(0, 2)}+/${encoded.slice(4)}`
  }
}

/** A token; a signature that is not right has one byte of it changed. */
function makeToken(parts: readonly [string, string], isRight: boolean, encode: (text: string) => string): string {
  const input = parts.map(encode).join('.')
  const mac = createHmac('sha256', SECRET).update(input).digest()
  if (!isRight) mac[0] = (mac[0] ?? 0) ^ 1
  return `${input}.${mac.toString('base64url')}`
}

function isAccepted(token: string, options: VerifyOptions): boolean {
  try {
    verifyJwt(token, SECRET, { now: () => NOW * 1000, ...options })
    return true
  } catch (error) {
    if (error instanceof VestalError) return false
    throw error
  }
}

/** The same claims as a strict issuer writes them: no null, and an `exp`. */
function asStrict(claims: Claims): Claims {
  const present = Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== null))
  return { exp: NOW + 60, ...present }
}

test('interop flama loosens padding, null claims and a missing exp, and nothing else', () => {
  const random = seeded('flama')
  const seen = { both: 0, neither: 0, flamaAlone: 0 }
  for (let round = 0; round < ROUNDS; round += 1) {
    const claims = drawClaims(random)
    const header = drawHeader(random)
    const rules = drawRules(random)
    const isRight = random() < 0.9
    const padding = random() < 0.4 ? pick(random, ...PADDINGS) : 'none'
    const token = makeToken([header, JSON.stringify(claims)], isRight, (text) => encodeAs(text, padding))
    const [strict, flama] = [isAccepted(token, rules), isAccepted(token, { ...rules, interop: 'flama' })]
    const told = `${token} with ${JSON.stringify(rules)}; ${random.seed}`
    if (strict && !flama) throw new Error(`tightened: ${told}`)
    if (flama && !strict) {
      // What flama alone accepts is right in everything else, and nobody else's idea of padding.
      const same = makeToken([header, JSON.stringify(asStrict(claims))], isRight, (text) => encodeAs(text, 'none'))
      if (!isAccepted(same, rules) || !['none', 'right'].includes(padding)) throw new Error(`loosened too much: ${told}`)
    }
    seen[strict && flama ? 'both' : flama ? 'flamaAlone' : 'neither'] += 1
  }
  // The draw reaches every side of the question.
  for (const count of Object.values(seen)) expect(count).toBeGreaterThan(ROUNDS / 100)
})
