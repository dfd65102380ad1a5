import { afterAll, describe, expect, test } from 'bun:test'
import { authentication, type VerifyOptions, VestalError, verifyJwt } from '../../src/index.ts'
import { DOORS } from '../support/doors.ts'
import { forge, keysOf, type Target } from '../support/forge.ts'
import { ownApp } from '../support/own-app.ts'
import { algorithmAttacks } from './algorithms.ts'
import type { Attack } from './attack.ts'
import { claimAttacks } from './claims.ts'
import { encodingAttacks } from './encodings.ts'
import { headerAttacks } from './headers.ts'
import { signatureAttacks, soundRsaToken } from './signatures.ts'

const TARGETS: readonly Target[] = ['HS256', 'RS256', 'ES256', 'EdDSA']
const BACKENDS = ['auto', 'native', 'boring', 'wasm'] as const
const ALL = [...algorithmAttacks(), ...signatureAttacks(), ...encodingAttacks(), ...headerAttacks(), ...claimAttacks()]

/** Rows in the order of the list, each with its attacks. */
const rows = Map.groupBy(ALL, ({ row }) => row)

/** An attack's rules: those of the target, and its own. */
function optionsOf({ target = 'HS256', options }: Pick<Attack, 'target' | 'options'>): VerifyOptions {
  return { algorithms: [target], ...options }
}

function outcomeAtLibrary(token: string, target: Target, options: VerifyOptions): string {
  try {
    verifyJwt(token, keysOf(target), options)
    return 'accepted'
  } catch (error) {
    // Anything but a refusal would be a 500.
    return error instanceof VestalError ? `refused with ${error.status}` : `failed: ${String(error)}`
  }
}

/** Header values are latin-1 without line breaks, and HTTP takes white space off their end: other tokens cannot be sent as a header. */
function canBeSent(token: string): boolean {
  return /^[\t\x20-\x7e\x80-\xff]*(?<![\t ])$/.test(token) && token.length < 12_000
}

for (const target of TARGETS) {
  test(`a token that is right in everything gets in with ${target}, so that what follows can fail`, async () => {
    expect(outcomeAtLibrary(forge({ target }), target, { algorithms: [target] })).toBe('accepted')
  })
}

test('a signature made of a raw message gets in, so that S7 can fail', () => {
  expect(outcomeAtLibrary(soundRsaToken(), 'RS256', { algorithms: ['RS256'] })).toBe('accepted')
})

for (const [row, cases] of rows) {
  describe(`${row} at the library`, () => {
    for (const signatureBackend of BACKENDS) {
      test(`${row}: none of ${cases.length} tokens gets in with the signature backend ${signatureBackend}`, () => {
        for (const { what, target = 'HS256', token, options } of cases) {
          const outcome = outcomeAtLibrary(token, target, {
            ...optionsOf({ target, ...(options && { options }) }),
            signatureBackend,
          })
          expect([what, outcome]).toEqual([what, 'refused with 401'])
        }
      })
    }
  })
}

/** One app for each set of rules that an attack needs. */
const ruleSets = Map.groupBy(ALL, (attack) => JSON.stringify([attack.target ?? 'HS256', optionsOf(attack)]))

for (const [rules, cases] of ruleSets) {
  const [target, options] = JSON.parse(rules) as [Target, VerifyOptions]
  for (const open of DOORS) {
    const { algorithms: _, ...rest } = options
    const only = options.algorithms?.length === 1 ? { algorithm: options.algorithms[0] } : {}
    const door = open(ownApp(authentication({ keys: keysOf(target), ...rest, ...(only as object) }), ['p1']))
    afterAll(door.close)

    describe(`${target} with ${JSON.stringify(rest)}, ${door.name}`, () => {
      for (const [row, attacks] of Map.groupBy(cases, ({ row: name }) => name)) {
        test(`${row}: none of ${attacks.length} tokens gets in`, async () => {
          for (const { what, token } of attacks.filter((attack) => canBeSent(attack.token))) {
            const answers: number[] = []
            for (const headers of [{ authorization: `Bearer ${token}` }, { cookie: `access_token=${token}` }]) {
              const response = await door.fetch('/p1', { headers: headers as Record<string, string> })
              answers.push(response.status)
              await response.body?.cancel()
            }
            // What is no token at all is a broken header (400); everything else is a 401, and nothing is a 500.
            expect([what, answers.every((status) => status === 401 || status === 400)]).toEqual([what, true])
          }
        })
      }
    })
  }
}
