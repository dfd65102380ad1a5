import { expect, test } from 'bun:test'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { jwtVerify } from 'jose'
import { type ErrorCode, VestalError } from '../../src/core/errors.ts'
import type { Algorithm } from '../../src/jose/algorithms.ts'
import { signJwt } from '../../src/jose/sign.ts'
import type { SignatureBackendOption } from '../../src/jose/signature-backends.ts'
import { createVerifier } from '../../src/jose/verify.ts'
import { below, type Random, seeded } from '../support/seed.ts'
import { SECRET } from '../support/tokens.ts'

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

interface Subject {
  readonly algorithm: Algorithm
  readonly backends: readonly SignatureBackendOption[]
  readonly rounds: number
  readonly signing: string
  readonly verifying: string
  readonly jose: KeyObject | Uint8Array
}

function asymmetric(
  algorithm: Algorithm,
  rounds: number,
  pair: { readonly publicKey: KeyObject; readonly privateKey: KeyObject },
): Subject {
  return {
    algorithm,
    backends: ['native', 'boring', 'wasm'],
    rounds,
    signing: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    verifying: pair.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    jose: pair.publicKey,
  }
}

function hmac(algorithm: Algorithm, rounds: number): Subject {
  const secret = SECRET.padEnd(64, '.')
  return {
    algorithm,
    backends: ['native', 'boring', 'wasm'],
    rounds,
    signing: secret,
    verifying: secret,
    jose: Buffer.from(secret),
  }
}

const rsa = () => generateKeyPairSync('rsa', { modulusLength: 2048 })
const ec = (namedCurve: string) => generateKeyPairSync('ec', { namedCurve })

/** Fewer rounds where WebAssembly takes milliseconds. `native` hands ES512 on to BoringSSL: node-rs does not have it. */
const SUBJECTS: readonly Subject[] = [
  hmac('HS256', 20_000),
  hmac('HS384', 5000),
  hmac('HS512', 5000),
  ...(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'] as const).map((name) => asymmetric(name, 300, rsa())),
  asymmetric('ES256', 400, ec('prime256v1')),
  asymmetric('ES384', 80, ec('secp384r1')),
  asymmetric('ES512', 80, ec('secp521r1')),
  asymmetric('EdDSA', 2000, generateKeyPairSync('ed25519')),
]

/** A token with characters of its parts, or whole parts, exchanged; now and then as it was. */
function mutate(random: Random, token: string, other: string): string {
  const kind = below(random, 10)
  if (kind === 0) return token
  if (kind === 1) {
    const [parts, others] = [token.split('.'), other.split('.')]
    const place = below(random, 3)
    return parts.map((part, index) => (index === place ? others[index] : part)).join('.')
  }
  const characters = [...token]
  for (let count = 1 + below(random, 2); count > 0; count -= 1) {
    // Signatures are short, and where backends could differ: half of all changes go there.
    const from = random() < 0.5 ? token.lastIndexOf('.') + 1 : 0
    const at = from + below(random, token.length - from)
    characters[at] = ALPHABET[below(random, 64)] ?? 'A'
  }
  return characters.join('')
}

for (const { algorithm, backends, rounds, signing, verifying, jose } of SUBJECTS) {
  test(`${algorithm}: ${backends.join(', ')} and jose say the same of mutated tokens`, async () => {
    const random = seeded(`backends ${algorithm}`)
    const verifiers = backends.map((signatureBackend) => createVerifier(verifying, { signatureBackend, algorithms: [algorithm] }))
    const outcomeOf = (verify: (token: string) => unknown, token: string): ErrorCode | 'accepted' => {
      try {
        verify(token)
        return 'accepted'
      } catch (error) {
        if (error instanceof VestalError) return error.code
        throw error
      }
    }
    const tokens = [0, 1, 2, 3].map((index) =>
      signJwt({ sub: `me${index}`, data: { permissions: ['a'] } }, signing, { algorithm }),
    )
    let accepted = 0
    for (let round = 0; round < rounds; round += 1) {
      const token = mutate(random, tokens[below(random, 4)] ?? '', tokens[below(random, 4)] ?? '')
      const [first, ...rest] = verifiers.map((verify) => outcomeOf(verify, token))
      const isAccepted = first === 'accepted'
      for (const outcome of rest) {
        if ((outcome === 'accepted') !== isAccepted) throw new Error(`${first} and ${outcome} for ${token}; ${random.seed}`)
      }
      const byJose = await jwtVerify(token, jose, { algorithms: [algorithm] }).then(
        () => true,
        () => false,
      )
      // jose takes base64url whose unused bits are set, which RFC 4648 §3.5 lets a decoder refuse and we do (case E3).
      const isNamedCase = byJose && first === 'TOKEN_MALFORMED'
      if (byJose !== isAccepted && !isNamedCase) throw new Error(`we say ${first}, jose ${byJose}, of ${token}; ${random.seed}`)
      if (isAccepted) accepted += 1
    }
    // Some stay as they were, and most do not.
    expect(accepted).toBeGreaterThan(rounds / 50)
    expect(accepted).toBeLessThan(rounds / 2)
  })
}
