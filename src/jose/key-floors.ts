import type { KeyObject } from 'node:crypto'
import { ALGORITHMS, type Algorithm, algorithmsOf } from './algorithms.ts'
import { bytesOfBase64url } from './base64url.ts'
import { KeyError } from './key-error.ts'

const RSA_BITS_MIN = 2048
const RSA_BITS_MAX = 16_384
const RSA_EXPONENT_MIN = 65_537n
/** BoringSSL checks no signature with a longer exponent, and a long one makes verification slow. */
const RSA_EXPONENT_MAX = 2n ** 33n - 1n
/** The primes below 168: a modulus that one of them divides is no product of two large primes. */
const SMALL_PRIMES = [
  2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109, 113, 127,
  131, 137, 139, 149, 151, 157, 163, 167,
].map(BigInt)

/**
 * The algorithms that a public key may be used with. BoringSSL has rejected points off their curve by then; what it lets
 * pass is rejected here: RSA keys that are short, odd or known to be weak, and points of Ed25519 that verify anything.
 * @throws KeyError when the key is too weak for any use
 */
export function fittingAlgorithms(key: KeyObject): readonly Algorithm[] {
  switch (key.asymmetricKeyType) {
    case 'rsa':
      checkRsa(key)
      return algorithmsOf('RSA')
    case 'ec':
      return algorithmsOf('EC').filter((name) => ALGORITHMS[name].curve === key.asymmetricKeyDetails?.namedCurve)
    case 'ed25519':
      if (!isSoundEd25519Point(bytesOfBase64url(key.export({ format: 'jwk' }).x ?? '')))
        throw new KeyError('the Ed25519 key is not a point of the curve that can be a public key (RFC 8032 §5.1.3, small order)')
      return ['EdDSA']
    default:
      return []
  }
}

function checkRsa(key: KeyObject): void {
  const { modulusLength: bits = 0, publicExponent: exponent = 0n } = key.asymmetricKeyDetails ?? {}
  if (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX) {
    throw new KeyError(`the RSA key has ${bits} bits; ${RSA_BITS_MIN} to ${RSA_BITS_MAX} are accepted (RFC 7518 §3.3)`)
  }
  if (exponent < RSA_EXPONENT_MIN || exponent > RSA_EXPONENT_MAX || exponent % 2n === 0n)
    throw new KeyError('the RSA public exponent is even, below 65537 or longer than 33 bits')
  const modulus = BigInt(`0x${bytesOfBase64url(key.export({ format: 'jwk' }).n ?? '').toString('hex')}`)
  if (SMALL_PRIMES.some((prime) => modulus % prime === 0n)) throw new KeyError('the RSA modulus has a small factor')
  if (isOfInfineon(modulus))
    throw new KeyError('the RSA key was made by a chip whose keys can be factored (ROCA, CVE-2017-15361)')
}

/** What 65537 generates modulo each small prime: keys of the chips of CVE-2017-15361 lie in it for all primes at once, others do not. */
const GENERATED = SMALL_PRIMES.map((prime) => {
  const powers = new Set<bigint>()
  for (let power = 1n; !powers.has(power); power = (power * 65_537n) % prime) powers.add(power)
  return { prime, powers }
})

function isOfInfineon(modulus: bigint): boolean {
  return GENERATED.every(({ prime, powers }) => powers.has(modulus % prime))
}

/** The field of Ed25519, 2^255 - 19, and the curve's constant d (RFC 8032 §5.1). */
const P = 2n ** 255n - 19n
const D = 37095705934669439343138083508754565189542113879843219016388785533085940283555n
/**
 * The y of the points whose order is 4 or 8: with one of them as a key, a signature can be right for any message. Those of order 1 and 2,
 * whose y is 1 and -1, have the x 0, which the check of the curve rejects.
 */
const SMALL_ORDER = new Set([
  0n,
  0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n,
  0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n,
])

/**
 * True for the 32 bytes of a point that can be a public key: its y is below p (RFC 8032 §5.1.3), it lies on the curve, and
 * its order is large. BoringSSL imports any 32 bytes, and checks signatures with points of small order.
 */
export function isSoundEd25519Point(bytes: Uint8Array): boolean {
  if (bytes.length !== 32) return false
  const number = BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`)
  const y = number & (2n ** 255n - 1n)
  if (y >= P || SMALL_ORDER.has(y)) return false
  // x² = (y² - 1) / (d y² + 1) has a root when its power to (p - 1) / 2, which is p / 2 rounded down, is one; a quotient and a product are squares together.
  const square = (y * y) % P
  return power(((square + P - 1n) * (D * square + 1n)) % P, P / 2n) === 1n
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n
  for (let bits = exponent, square = base; bits > 0n; bits >>= 1n, square = (square * square) % P) {
    if ((bits & 1n) === 1n) result = (result * square) % P
  }
  return result
}
