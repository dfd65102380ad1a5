import { describe, expect, test } from 'bun:test'
import { createHmac, type KeyObject, sign } from 'node:crypto'
import { type ErrorCode, VestalError } from '../../src/core/errors.ts'
import { ALGORITHMS, type Algorithm } from '../../src/jose/algorithms.ts'
import type { SignatureBackend } from '../../src/jose/signature-backends.ts'
import { createVerifier } from '../../src/jose/verify.ts'
import { makeKeyPair } from '../support/key-pairs.ts'

const BACKENDS: readonly SignatureBackend[] = ['native', 'boring', 'wasm']
/** Order of the group, for P-256, P-384, P-521 and Ed25519. */
const ORDERS: Readonly<Partial<Record<Algorithm, bigint>>> = {
  ES256: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  ES384: 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
  ES512:
    0x01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409n,
  EdDSA: 2n ** 252n + 27742317777372353535851937790883648493n,
}

interface Signer {
  readonly verifying: string | Buffer
  /** A signature over a text, by this key; of another algorithm of its kind where one is named. */
  readonly sign: (input: string, algorithm?: Algorithm, encoding?: 'ieee-p1363' | 'der') => Buffer
}

function signer(algorithm: Algorithm): Signer {
  if (ALGORITHMS[algorithm].kind === 'oct') {
    const secret = Buffer.from(crypto.getRandomValues(new Uint8Array(64)))
    return { verifying: secret, sign: (input, as = algorithm) => createHmac(ALGORITHMS[as].hash, secret).update(input).digest() }
  }
  const pair = makeKeyPair(algorithm)
  return {
    verifying: pair.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    sign: (input, as = algorithm, dsaEncoding = 'ieee-p1363') => signWith(pair.privateKey, as, { input, dsaEncoding }),
  }
}

function signWith(
  key: KeyObject,
  algorithm: Algorithm,
  { input, dsaEncoding }: { readonly input: string; readonly dsaEncoding: 'ieee-p1363' | 'der' },
): Buffer {
  const { hash, hashBytes } = ALGORITHMS[algorithm]
  // 6 is RSA_PKCS1_PSS_PADDING.
  const padding = algorithm.startsWith('PS') ? { padding: 6, saltLength: hashBytes } : {}
  return sign(hash === '' ? null : hash, Buffer.from(input), { key, ...padding, dsaEncoding })
}

const bytesOf = (value: bigint, length: number) => Buffer.from(value.toString(16).padStart(length * 2, '0'), 'hex')
const numberOf = (bytes: Uint8Array) => BigInt(`0x${Buffer.from(bytes).toString('hex')}`)

/** Signatures that are none, by what is wrong with them. */
function faults(algorithm: Algorithm, own: Signer, input: string): Readonly<Record<string, Buffer>> {
  const good = own.sign(input)
  const flipped = (index: number) => Buffer.from(good.map((byte, at) => (at === index ? byte ^ 1 : byte)))
  const common = {
    'of another text': own.sign(`${input}x`),
    'by another key': signer(algorithm).sign(input),
    empty: Buffer.alloc(0),
    'of one byte': good.subarray(0, 1),
    'cut in half': good.subarray(0, good.length / 2),
    'one byte short': good.subarray(0, -1),
    'one byte long': Buffer.concat([good, Buffer.alloc(1)]),
    'with a zero before it': Buffer.concat([Buffer.alloc(1), good]),
    'twice over': Buffer.concat([good, good]),
    'all zeros': Buffer.alloc(good.length),
    'all ones': Buffer.alloc(good.length, 255),
    'with its first bit changed': flipped(0),
    'with its middle changed': flipped(good.length / 2),
    'with its last bit changed': flipped(good.length - 1),
  }
  return { ...common, ...ofKind(algorithm, own, { input, good }) }
}

function ofKind(
  algorithm: Algorithm,
  own: Signer,
  { input, good }: { readonly input: string; readonly good: Buffer },
): Readonly<Record<string, Buffer>> {
  const { kind } = ALGORITHMS[algorithm]
  const others = (Object.keys(ALGORITHMS) as Algorithm[]).filter((name) => name !== algorithm && ALGORITHMS[name].kind === kind)
  const order = ORDERS[algorithm]
  if (kind === 'oct' || kind === 'RSA') {
    return Object.fromEntries(others.map((name) => [`of ${name}`, own.sign(input, name)]))
  }
  if (order === undefined) throw new Error(`${algorithm} has an order`)
  const size = good.length / 2
  const [r, s] = [good.subarray(0, size), good.subarray(size)]
  if (kind === 'OKP') {
    // The same number written as itself and the order: RFC 8032 §5.1.7 takes the smallest alone.
    const larger = bytesOf(numberOf(Buffer.from(s).reverse()) + order, size).reverse()
    return { 'whose s is larger than the order': Buffer.concat([r, larger]), 'r and s exchanged': Buffer.concat([s, r]) }
  }
  const edges = { zero: 0n, one: 1n, 'the order': order, 'the order and one': order + 1n }
  const pairs = Object.entries(edges).flatMap(([first, a]) =>
    Object.entries(edges).map(([second, b]) => [
      `r is ${first}, s is ${second}`,
      Buffer.concat([bytesOf(a, size), bytesOf(b, size)]),
    ]),
  )
  return {
    ...Object.fromEntries(pairs),
    'r and s exchanged': Buffer.concat([s, r]),
    'r is zero': Buffer.concat([Buffer.alloc(size), s]),
    's is zero': Buffer.concat([r, Buffer.alloc(size)]),
    'r and the order': Buffer.concat([bytesOf((numberOf(r) + order) % 2n ** BigInt(size * 8), size), s]),
    'in DER': own.sign(input, algorithm, 'der'),
  }
}

const encoded = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')

for (const algorithm of Object.keys(ALGORITHMS) as Algorithm[]) {
  describe(algorithm, () => {
    const own = signer(algorithm)
    const input = `${encoded({ alg: algorithm })}.${encoded({ sub: 'me', exp: 4_000_000_000, data: { permissions: ['a'] } })}`
    for (const signatureBackend of BACKENDS) {
      const verify = createVerifier(own.verifying, { algorithms: [algorithm], signatureBackend })
      const outcomeOf = (signature: Buffer): ErrorCode | 'accepted' => {
        try {
          verify(`${input}.${signature.toString('base64url')}`)
          return 'accepted'
        } catch (error) {
          if (error instanceof VestalError) return error.code
          throw error
        }
      }

      test(`with ${signatureBackend}: a right signature is right`, () => {
        for (let time = 0; time < 3; time += 1) expect(outcomeOf(own.sign(input))).toBe('accepted')
      })

      test(`with ${signatureBackend}: a signature that is none is rejected, whatever it is`, () => {
        for (const [fault, signature] of Object.entries(faults(algorithm, own, input)))
          expect([fault, outcomeOf(signature)]).toEqual([fault, 'SIGNATURE_INVALID'])
      })

      const order = ORDERS[algorithm]
      if (!algorithm.startsWith('ES') || order === undefined) continue
      test(`with ${signatureBackend}: a signature has a twin that is right too, so nothing may know a token by its text`, () => {
        const good = own.sign(input)
        const size = good.length / 2
        const twin = Buffer.concat([good.subarray(0, size), bytesOf(order - numberOf(good.subarray(size)), size)])
        expect(outcomeOf(twin)).toBe('accepted')
      })
    }
  })
}
