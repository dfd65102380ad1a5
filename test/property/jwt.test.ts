import { expect, test } from 'bun:test'
import { VestalError } from '../../src/core/errors.ts'
import { createVerifier } from '../../src/jose/verify.ts'
import { below, type Random, seeded } from '../support/seed.ts'
import { makeToken, nowSeconds, SECRET } from '../support/tokens.ts'

const CHARACTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ \n\u0000é'

function character(random: Random): string {
  return CHARACTERS[below(random, CHARACTERS.length)] ?? 'A'
}

for (const signatureBackend of ['native', 'boring', 'wasm'] as const) {
  const verify = createVerifier(SECRET, { signatureBackend })
  const isRefused = (token: string): boolean => {
    try {
      verify(token)
      return false
    } catch (error) {
      if (error instanceof VestalError) return true
      throw error
    }
  }

  test(`a token with any one character changed, gone or more is rejected by the signature backend ${signatureBackend}`, () => {
    const random = seeded('mutation')
    const token = makeToken({ payload: { exp: nowSeconds() + 600, sub: 'me', data: { permissions: ['a:b'] } } })
    expect(isRefused(token)).toBe(false)
    for (let round = 0; round < 4000; round += 1) {
      const at = below(random, token.length)
      const end = at + below(random, 2)
      const mutated = token.slice(0, at) + (random() < 0.8 ? character(random) : '') + token.slice(end)
      if (mutated !== token && !isRefused(mutated)) throw new Error(`accepted: ${JSON.stringify(mutated)}; ${random.seed}`)
    }
  })

  test(`any text is rejected by the signature backend ${signatureBackend}, and makes nothing but a VestalError`, () => {
    const random = seeded('nonsense')
    for (let round = 0; round < 4000; round += 1) {
      const parts = Array.from({ length: below(random, 6) }, () =>
        Array.from({ length: below(random, 40) }, () => character(random)).join(''),
      )
      const header = random() < 0.5 ? Buffer.from('{"alg":"HS256"}').toString('base64url') : (parts[0] ?? '')
      const text = [header, ...parts.slice(1)].join('.')
      if (!isRefused(text)) throw new Error(`accepted: ${JSON.stringify(text)}; ${random.seed}`)
    }
  })
}
